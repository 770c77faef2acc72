"""benchmarks/treebank.py: what it reads from CoNLL-U, and what it calls a difference."""

import importlib.util
import sys

import pytest
from conftest import ROOT

SCRIPT = ROOT / "benchmarks/treebank.py"


@pytest.fixture(scope="module")
def treebank():
    """The script as a module; `benchmarks` is no package."""
    spec = importlib.util.spec_from_file_location("treebank", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["treebank"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["treebank"]


def conllu(*sentences: tuple[str | None, str]) -> str:
    """Sentences as a treebank has them: a text, and rows "place form", a comma between two."""
    blocks = []
    for number, (text, rows) in enumerate(sentences):
        head = [f"# sent_id = {number}"] + ([] if text is None else [f"# text = {text}"])
        cells = [row.split(" ", 1) for row in rows.split("; ")]
        body = ["\t".join([place, form, *"________"]) for place, form in cells]
        blocks.append("\n".join([*head, *body]) + "\n")
    return "\n".join(blocks)


CAT = (
    "O gato dela bebeu leite…",
    "1 O; 2 gato; 3-4 dela; 3 de; 4 ela; 5 bebeu; 6 leite; 6.1 ontem; 7 …",
)
VERB = ("Dar-lho-ia já.", "1-3 Dar-lho-ia; 1 daria; 2 lhe; 3 o; 4 já; 5 .")


def test_ranges_count_and_their_words_do_not(treebank):
    lines = conllu(CAT, VERB).split("\n")
    assert list(treebank.read(lines, name="")) == [
        (CAT[0], ["O", "gato", "dela", "bebeu", "leite", "…"]),
        (VERB[0], ["Dar-lho-ia", "já", "."]),
    ]


def test_line_ends_of_windows_and_blank_lines_and_comments_make_no_sentence(treebank):
    text = "\n# newdoc\n\n" + conllu(VERB, (None, "1 Sim")) + "\n\n"
    found = list(treebank.read(text.replace("\n", "\r\n").splitlines(keepends=True), name=""))
    assert found == [(VERB[0], ["Dar-lho-ia", "já", "."]), ("", ["Sim"])]


@pytest.mark.parametrize("row", ["Era uma vez", "um\tgato\t_", "1", "1-x\tdo\t_"])
def test_another_format_is_reported_with_its_line(treebank, row):
    with pytest.raises(SystemExit, match=r"^x\.txt, line 2 is no row of CoNLL-U"):
        list(treebank.read(["# text = Era uma vez", row], name="x.txt"))


@pytest.mark.parametrize(
    ("text", "forms", "found"),
    [
        ("Rio de Janeiro, sim", ["Rio_de_Janeiro", ",", "sim"], ["Rio de Janeiro", ",", "sim"]),
        ("Rio de Janeiro", ["Rio=de=Janeiro"], ["Rio de Janeiro"]),
        ("uso a_b = 2", ["uso", "a_b", "=", "2"], ["uso", "a_b", "=", "2"]),
        ("da casa", ["de", "a", "casa"], None),
        ("da casa", ["da"], None),
        ("", ["da"], None),
    ],
)
def test_tokens_are_located_in_the_text(treebank, text, forms, found):
    assert treebank.locate(text, forms) == found


def compared(treebank, text: str, forms: str):
    """What `compare` says of forms between spaces, where ␣ is a space inside a form."""
    tokens = [form.replace("␣", " ") for form in forms.split(" ")]
    return treebank.compare(treebank.fold([tokens])[0], treebank.tokenize([text])[0])


@pytest.mark.parametrize(
    ("text", "forms", "right", "differences"),
    [
        ("O gato «bebeu»...", "O gato « bebeu » ...", 6, []),
        ("Subiu 3% hoje.", "Subiu 3 % hoje .", 3, [("%", True, "3 %", "3%")]),
        ("(11) 5 gatos", "(11) 5 gatos", 2, [("(", False, "(11)", "( 11 )")]),
        ("Rio de Janeiro", "Rio␣de␣Janeiro", 0, [("space", False, "Rio␣de␣Janeiro", None)]),
        ("um copo d’água", "um copo d' água", 2, [("'", True, "d' água", "d'água")]),
        ("às 9h", "às 9 h", 1, [("letter, digit", True, "9 h", "9h")]),
        # A stretch ends where both cut, and counts once, however often it is cut.
        ("é 5%-6%", "é 5 %- 6 %", 1, [("%", True, "5 %-", "5% -"), ("%", True, "6 %", "6%")]),
    ],
)
def test_differences(treebank, text, forms, right, differences):
    count, found = compared(treebank, text, forms)
    assert count == right
    assert found == [
        treebank.Difference(mark, only, theirs, ours or theirs.replace("␣", " "))
        for mark, only, theirs, ours in differences
    ]


def test_other_letters_are_not_compared(treebank):
    assert compared(treebank, "da casa", "de a casa") is None


def test_the_whole_command(treebank, tmp_path, monkeypatch, capsys):
    file = tmp_path / "gatos.conllu"
    percent = ("Só 2% bebem.", "1 Só; 2 2; 3 %; 4 bebem; 5 .")
    file.write_text(conllu(CAT, VERB, percent, ("da", "1 de; 2 a")), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["treebank.py", str(file)])
    treebank.main()
    out = capsys.readouterr().out
    assert "sentences 3 (left out, for their tokens do not spell their text: 1)" in out
    assert "tokens 14 in the treebank, 13 ours, 12 the same" in out
    assert f"precision {12 / 13:.2%}, recall {12 / 14:.2%}, F1 {24 / 27:.2%}" in out
    assert "2 %" in out


@pytest.mark.parametrize("content", [b"\xff\xfe", None, b""])
def test_a_file_with_nothing_to_compare_is_refused(treebank, tmp_path, monkeypatch, content):
    file = tmp_path / "x.conllu"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["treebank.py", str(file)])
    with pytest.raises(SystemExit, match=r"cannot be read|Nothing to compare"):
        treebank.main()
