"""Corpora of linguists and wikis: what their small files in tests/formats cannot show."""

import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import tensorflow as tf
from conftest import ROOT, with_peak
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.corpus import detect as detecting
from pipeline.corpus import opening, sections
from pipeline.corpus.config import DEFAULT_READING, ReadingConfig, Section
from pipeline.corpus.detect import FORMATS, detect
from pipeline.corpus.formats import conllu, tagged, vertical, xml
from pipeline.corpus.formats.joining import GLUE, contractions_are_split, join_tokens, plain_words
from pipeline.corpus.formats.wikitext import wikitext_paragraphs
from pipeline.corpus.opening import open_lines
from pipeline.corpus.reading import Document, read_file
from pipeline.text.spacing import detokenize
from pipeline.text.tokenizer import tokenize

TEI = "<TEI><text><body>{}</body></text></TEI>"


def documents(path: Path, config: ReadingConfig = DEFAULT_READING) -> Iterator[Document]:
    for found in read_file(path, path.name, config):
        assert isinstance(found, Document)
        yield found


def texts(path: Path, data: str | bytes) -> list[str]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [found.text for found in documents(path)]


def assert_joined_as_detokenized(lines: list[str]) -> None:
    tokens = tokenize(tf.constant(lines))
    joined = [join_tokens([word.decode() for word in line]) for line in tokens.to_list()]
    assert joined == [text.decode() for text in detokenize(tokens).numpy()]


def test_tokens_are_joined_as_the_model_joins_them() -> None:
    paths = sorted((ROOT / "data/sample").rglob("*.txt"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 1000
    assert_joined_as_detokenized(lines)


@settings(deadline=None, max_examples=40)  # TensorFlow is slow on a busy machine
@given(st.lists(st.sampled_from([*"aéÁ1.,;:!?…()[]{}\"'/—- "]), max_size=40))
def test_marks_in_any_order_are_joined_as_the_model_joins_them(letters: list[str]) -> None:
    text = "".join(letters)
    assume(not re.search(r"[:;]-*\s*[()/]", text))  # kept apart, or they would be emoticons
    assert_joined_as_detokenized([text])


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("casa de+a avó", "casa da avó"),
        ("De_ a casa em_ aquele dia por_ os fundos", "Da casa naquele dia pelos fundos"),
        ("para_ o mar", "para o mar"),
        ("D@ @o rio", "Do rio"),
        ("deu -lhe e disse- me -", "deu-lhe e disse-me -"),
        ("`` Oi '' -LRB- disse -RRB- $.", "“Oi” (disse)."),
        ("Nova_York e Rio=Grande=do=Sul", "Nova York e Rio Grande do Sul"),
        ("@ana_lima x=1 a_1 joao@vila_nova.pt _ =", "@ana_lima x=1 a_1 joao@vila_nova.pt _ ="),
        ("50 % de AT&amp;T &lt;", "50% de AT&T <"),
        (f"R$ {GLUE} 5 e ou / ou", "R$5 e ou/ou"),
    ],
)
def test_marks_of_other_tokenizers_are_known(tokens: str, text: str) -> None:
    assert join_tokens(plain_words(tokens.split())) == text


def test_contractions_in_two_parts_are_told_by_the_whole_text() -> None:
    split = "O gato de a vizinha entrou em a casa de o lado de um em o fim .".split()
    assert contractions_are_split(split)
    assert join_tokens(split, split=True) == (
        "O gato da vizinha entrou na casa do lado de um no fim."
    )
    assert not contractions_are_split("O facto de o gato da vizinha entrar na casa".split())


@pytest.mark.parametrize(
    "text",
    [
        "Ele e/ou ela vêm às 10/12/2024, com/sem chuva.\nNada/tudo serve.\n" * 20,
        "Ana Lima\nRui Melo\nIsa Sá\nZé Pó\n" * 20,
        "casa\tN\nrua\tN\nazul\tA\n" * 20,  # a dictionary
        "usr/bin\nusr/lib\nvar/log\n" * 20,
        "[[nota]] e [[outra nota]], diz *ela*.\n\n- {{data}}\n" * 20,
        "Escreva `a_b` e `c_d`.\n<s>não</s> <p>Sim.</p>\n" * 20,
        "<html><body><p>Um <s>dois</s>.</p></body></html>",
        "<rss><item><title>A</title></item></rss>",
        "O TEI usa <TEI> e o <mediawiki> também.\n",
        "1\tAna\ta\tb\tc\td\te\tf\n2\tEle saiu\ta\tb\tc\td\te\tf\n",
        "== Um ==\nUm texto == outro.\n",
        "##  Título\nTexto.\n@@ @ @ @\n",
        "",
    ],
)
def test_other_texts_are_not_taken_for_annotated(text: str) -> None:
    mine = [known for known in FORMATS if known.read.__module__.split(".")[-1] in OWN]
    assert len(mine) == 8
    assert not [known.name for known in mine if known.looks_like(text)]


OWN = ("conllu", "tei", "wiki", "tagged", "vertical")


def test_a_bomb_of_entities_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE TEI [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + TEI.format("<p>&b;</p>")
    with pytest.raises(ValueError, match=r"^its entity 'b' is made of other entities$"):
        texts(tmp_path / "a.xml", bomb)


def test_no_other_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "segredo").write_text("segredo")
    entity = f'<!DOCTYPE TEI [<!ENTITY x SYSTEM "{tmp_path}/segredo">]>'
    assert texts(tmp_path / "a.xml", entity + TEI.format("<p>A &x; &eacute;.</p>")) == ["A é."]


def test_text_before_a_fault_in_xml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<TEI><text>\n<p>Um.</p></div>\n<p>Dois.</p></text></TEI>")
    found = documents(path)
    assert next(found).text == "Um."
    with pytest.raises(ValueError, match=r"^line 2 is not XML \(mismatched tag\)$"):
        next(found)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tei_is_read_in_the_encoding_it_has(tmp_path: Path, encoding: str) -> None:
    data = '<?xml version="1.0" encoding="UTF-8"?>\n' + TEI.format("<p>Não há água.</p>")
    assert texts(tmp_path / "a.xml", data.encode(encoding)) == ["Não há água."]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>guarda-<lb/>chuva fe-<pb n='2'/> chou</p>", "guardachuva fechou"),
        ("<p>viu-<lb/>a e chamou-<pb/>lhe</p>", "viu-a e chamou-lhe"),
        ("<p>conse<pb n='3'/>guiu <pb/>ir<lb/>ao <lb break='no'/>fim</p>", "conseguiu ir aofim"),
        ("<p>Um<ref>a</ref> dois<ref>[3]</ref> <ref>três</ref></p>", "Um dois três"),
        ("<p>Um [12]. Dois[13]três [sic] [1901-2]</p>", "Um. Dois três [sic] [1901-2]"),
        ("<p><orig>Hum</orig> <choice><reg>um</reg><orig>hum</orig></choice></p>", "Hum um"),
        ("<p><w>a</w><pc join='left'>,</pc><w>b</w><pc join='right'>(</pc><w>c</w></p>", "a, b (c"),
        ("<p><s>Um.</s><s>Dois.</s></p><note>x<note>y</note>z</note>", "Um. Dois."),
        ("<div type='Contents'><p>x</p></div><div type='notes'><p>x</p></div><p>A</p>", "A"),
    ],
)
def test_marks_within_a_text_of_tei(tmp_path: Path, markup: str, text: str) -> None:
    assert texts(tmp_path / "a.xml", TEI.format(markup)) == [text]


@pytest.mark.parametrize(
    ("wikitext", "paragraphs"),
    [
        ("{{a|{{b|{{c}}}}}}\nUm.{{d|[[x]]|{{{1|}}}}}", ["Um."]),
        ("Um {{nunca fechado\ndois.", ["Um {{nunca fechado dois."]),
        ("{|\n| a\n{|\n| b\n|}\n|}\nUm.", ["Um."]),
        ("[[Ficheiro:a.jpg|thumb|A [[casa]] e [[Imagem:b.png]].]]\n[[:en:Casa|Casa]].", ["Casa."]),
        ("[[casa]]s, [[Rio (cidade)|]] e [[Anexo:Rios|rios]].", ["casas, Rio e rios."]),
        ("Um<br>dois.<br/>Três.", ["Um dois.", "Três."]),
        ("'''Um''' ''e'' d''''ois'''' &amp;lt;", ["Um e dois &lt;"]),
        ("== A ==\n=== B ===\n== C ==\nUm.\n== Ver também ==\n* x\n=== y ===\nz\n== D ==\nDois.",
         ["C", "Um.", "D", "Dois."]),
        ("== Notas culturais ==\nUm.\n== Fontes e bibliografia ==\nx", ["Notas culturais", "Um."]),
        ("<ref>a<br>b</ref>Um<ref name=x/>.<math>{{</math>\n<gallery>\na\n</gallery>", ["Um."]),
        ("a < b e c > d", ["a < b e c > d"]),
        ("<poem>\nUm verso,\noutro verso.\n</poem>\nProsa\nlonga.",
         ["Um verso,", "outro verso.", "Prosa longa."]),
    ],
)  # fmt: skip
def test_marks_of_wikitext(wikitext: str, paragraphs: list[str]) -> None:
    assert wikitext_paragraphs(wikitext) == paragraphs


WIKI_MARKS = "{{ }} [[ ]] {| |} | <ref> </ref> == '' * a <!-- --> {{{ & (".split()


@given(st.lists(st.sampled_from([*WIKI_MARKS, " ", "\n"])))
def test_broken_wikitext_is_read(parts: list[str]) -> None:
    for paragraph in wikitext_paragraphs("".join(parts)):
        assert paragraph.strip() == paragraph != ""


@pytest.mark.parametrize(
    ("name", "data", "clause"),
    [
        ("a.conllu", "Ele\tele\n", "it has no words in numbered rows"),
        ("a.conllu", "1\t_\t_\n2\t_\t_\n", "it has no words in numbered rows"),
        ("a.vrt", "Uma frase.\n", "its lines do not hold a word and its tags each"),
        ("a.pos", "Uma frase.\n", "its words do not carry a tag each"),
        ("a.xml", "<a><b>Um.</b></a>", "it is a .xml file"),
    ],
)
def test_what_is_no_corpus_says_so(tmp_path: Path, name: str, data: str, clause: str) -> None:
    with pytest.raises(ValueError, match=f"^{clause}"):
        texts(tmp_path / name, data)


def page(number: int) -> str:
    return f"<page><ns>0</ns><revision><text>A casa {number}.\n</text></revision></page>\n"


LONG: dict[str, Callable[[int], str]] = {
    "mediawiki": page,
    "wikiextractor": lambda n: f'<doc id="{n}" url="u" title="t">\nt\n\nA casa {n}.\n</doc>\n',
    "tagged": lambda n: f"A_ART casa_N {n}_NUM ._.\n",
    "vertical": lambda n: f"<doc>\nA\tART\ncasa\tN\n{n}\tNUM\n.\tPU\n</doc>\n",
    "tei": lambda n: f"<p>A casa {n}.</p>\n",
    "conllu": lambda n: f"1\tA{t}\n2\tcasa{t}\n3\t{n}{t}\n4\t.{t}\n\n" if (t := "\t_" * 8) else "",
}
FRAMES = {"mediawiki": "<mediawiki>{}</mediawiki>", "tei": TEI}


def long_file(folder: Path, name: str, count: int) -> Path:
    path = folder / "a.txt"
    text = "".join(map(LONG[name], range(count)))
    path.write_text(FRAMES.get(name, "{}").replace("{}", text), encoding="utf-8")
    assert detect(path).name == name
    return path


def letters(path: Path) -> int:
    return sum(len(text.text) for text in documents(path))


@pytest.mark.parametrize("name", LONG)
def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 2**13)
    monkeypatch.setattr(xml, "_CHUNK", 2**12)
    for module in (conllu, detecting, tagged, vertical):
        monkeypatch.setattr(module, "_HEAD", 2**11)
    peaks = []
    for count in (3_000, 12_000):
        path = long_file(tmp_path, name, count)
        found, peak = with_peak(partial(letters, path))
        assert found > count * len("A casa 12.")
        peaks.append(peak)
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize("name", ["mediawiki", "wikiextractor", "tagged", "vertical"])
def test_sections_of_a_file_hold_its_text_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sections, "_SECTION", 8000)
    path = long_file(tmp_path, name, 1000)
    edges = sections._edges(path, DEFAULT_READING)
    assert len(edges) > 3
    found = []
    for start, stop in itertools.pairwise(edges):
        config = ReadingConfig(format=name, section=Section(start, stop))
        found += [text.text for text in documents(path, config)]
    assert "\n".join(found).split("\n") == [f"A casa {number}." for number in range(1000)]


def test_a_treebank_is_its_text_whether_or_not_it_is_written_out(tmp_path: Path) -> None:
    path = ROOT.parent / "shared/corpora/porttinari"
    files = sorted(path.rglob("*.conllu"))
    if not files:
        pytest.skip("the corpora are not here")
    for file in files:
        with open_lines(file) as (lines, _):
            kept = "".join(line for line in lines if not line.startswith("# text"))
        (written,) = (found.text for found in documents(file))
        written = re.sub(" +", " ", written)
        assert texts(tmp_path / "a.conllu", kept) == [written]
