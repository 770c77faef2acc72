"""Documents of word processors, e-books, PDF and web pages: what their examples cannot show."""

import gzip
import io
import random
import textwrap
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus import opening
from pipeline.corpus.config import DEFAULT_READING
from pipeline.corpus.detect import detect
from pipeline.corpus.formats.html import (
    HTML,
    decode_html,
    looks_like_html,
    looks_like_mhtml,
    main_text,
)
from pipeline.corpus.formats.markup import parse_html
from pipeline.corpus.formats.texts import Note
from pipeline.corpus.reading import Document, read_file

EXAMPLES = ROOT / "tests/formats"
PROSE = "A vizinha abriu a janela, viu a chuva e voltou para a cama sem dizer nada a ninguém."
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PICTURE = "q 200 0 0 200 50 50 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q"


def read(path: Path) -> list[Document | Note]:
    return list(read_file(path, path.name, DEFAULT_READING))


def paragraphs(path: Path) -> list[str]:
    texts = [found.text for found in read(path) if isinstance(found, Document)]
    return "\n".join(texts).split("\n")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def zipped(members: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return data.getvalue()


def unzipped(name: str) -> dict[str, str]:
    with zipfile.ZipFile(EXAMPLES / name) as archive:
        return {member: archive.read(member).decode() for member in archive.namelist()}


def docx(body: str) -> bytes:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    return zipped(
        {
            "_rels/.rels": f'<R><Relationship Type="{kind}" Target="/word/document2.xml"/></R>',
            "word/document2.xml": f'<w:document xmlns:w="{WORD}">{body}</w:document>',
        }
    )


def in_word(texts: Iterable[str]) -> str:
    return "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in texts)


def pdf(contents: Sequence[str], *, page: str = "", trailer: str = "") -> bytes:
    """Return a PDF whose pages have these contents, in the language of PDF."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(contents)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, content in enumerate(contents):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] "
            f"/Resources << /Font << /F 3 0 R >> >> /Contents {5 + 2 * number} 0 R {page} >>"
        )
        size = len(content.encode("cp1252"))
        objects.append(f"<< /Length {size} >>\nstream\n{content}\nendstream")
    body = "".join(f"{n} 0 obj\n{text}\nendobj\n" for n, text in enumerate(objects, 1))
    # Without a table of its objects: readers look for them.
    return f"%PDF-1.4\n{body}trailer << /Root 1 0 R {trailer} >>\n%%EOF\n".encode("cp1252")


def show(text: str, x: float, y: float, size: int = 10, matrix: str = "1 0 0 1") -> str:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F {size} Tf {matrix} {x} {y} Tm ({escaped}) Tj ET\n"


def column(lines: Sequence[str], x: float = 60, top: float = 700) -> str:
    return "".join(show(line, x, top - 13 * row) for row, line in enumerate(lines))


WRAPPED = textwrap.wrap(" ".join([PROSE] * 3), 60)


@pytest.mark.parametrize(
    ("data", "clause"),
    [
        (pdf([PICTURE, PICTURE]), "it is scanned: it has pictures of text, run OCR on it first"),
        (
            pdf(
                [column(WRAPPED)],
                trailer="/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 "
                f"/O <{'11' * 32}> /U <{'22' * 32}> /P -4 >>",
            ),
            "it is protected by a password: save it without one first",
        ),
        (b"%PDF-1.4\n1 0 obj << /Type", "it is damaged: its pages cannot be found"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "it is an old Office document (.doc"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "it is protected by a password",
        ),
        (zipped({"a.jpg": PROSE, "b.csv": PROSE}), "it is a zip archive: unpack it first"),
        (zipped({"a.txt": PROSE, "b.txt": PROSE}), "it is a .zip file without a chat: unpack it"),
        (zipped({"xl/workbook.xml": "<x/>"}), "it is no spreadsheet, or it is damaged or"),
        (zipped({"xl/workbook.bin": "\x83"}), r"it is a spreadsheet of \.xlsb: save it as"),
        (
            zipped({"xl/workbook.xml": "<x/>", "xl/sharedStrings.xml": " " * 30_000_000}),
            "its xl/sharedStrings.xml unpacks to 30,0",
        ),
        (zipped({"ppt/presentation.xml": "<x/>"}), "it is a presentation: save its text"),
        (
            zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}),
            r"it is a spreadsheet of \.ods: save it as",
        ),
        (docx(in_word([PROSE]))[:-40], "it is a damaged .zip file"),
        (zipped({"word/styles.xml": "<x/>"}), "its _rels/.rels is missing"),
        (docx("<w:p>" + " " * 30_000_000), "its word/document2.xml unpacks to 30,0"),
        (
            zipped(
                {
                    "mimetype": "application/vnd.oasis.opendocument.text",
                    "META-INF/manifest.xml": "<manifest:encryption-data/>",
                    "content.xml": "\x00\x01",
                }
            ),
            "it is protected by a password",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_a_clause(tmp_path: Path, data: bytes, clause: str) -> None:
    with pytest.raises(ValueError, match="^" + clause.replace("(", r"\(")) as error:
        read(write(tmp_path / "a.txt", data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["a.docx", "a.pdf", "a.epub", "a.xlsx", "a.rtf", "a.json", "a.zip"]
)
def test_an_empty_file_is_no_damaged_one(tmp_path: Path, name: str) -> None:
    assert list(read(write(tmp_path / name, b""))) == []


def test_a_chat_of_telegram_in_html_is_told(tmp_path: Path) -> None:
    page = '<!DOCTYPE html><body><div class="page_body chat_page"><p>09:17</p></div></body>'
    with pytest.raises(ValueError, match="Telegram exported as HTML: export it as JSON"):
        read(write(tmp_path / "messages.html", page.encode()))


@pytest.mark.parametrize("name", ["livro.docx", "livro.odt", "livro.epub", "livro.pdf"])
def test_names_do_not_make_documents(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^it is|^its"):
        read(write(tmp_path / name, b"\x01\x02\x03 not a document"))


@pytest.mark.parametrize("name", ["cesto.docx", "moinho.odt", "barco.epub", "sopa.pdf"])
def test_compressed_documents_are_read(tmp_path: Path, name: str) -> None:
    plain = EXAMPLES / name
    assert paragraphs(write(tmp_path / f"{name}.gz", gzip.compress(plain.read_bytes()))) == (
        paragraphs(plain)
    )


@pytest.mark.parametrize("name", ["noticia.html", "sopa.pdf"])
def test_a_missing_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("trafilatura", "pypdfium2"):
        monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ValueError, match=r"pip install 'nextword-pt\[documents\]'"):
        read(EXAMPLES / name)


def test_long_documents_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 200)
    found = read(write(tmp_path / "a.docx", docx(in_word([PROSE] * 9))))
    assert [found.text.count("\n") + 1 for found in found if isinstance(found, Document)] == [3] * 3


def test_what_stands_before_damage_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "a.docx", docx(in_word([PROSE] * 4000) + "<w:p></w:r>"))
    documents = read_file(path, path.name, DEFAULT_READING)
    first = next(documents)
    assert isinstance(first, Document)
    assert first.text.count(PROSE) == 4000
    with pytest.raises(ValueError, match=r"^line 1 is not XML"):
        next(documents)


@pytest.mark.parametrize(
    ("method", "locked"),
    [("http://www.idpf.org/2008/embedding", False), ("http://www.w3.org/aes128-cbc", True)],
)
def test_locked_books_are_told_from_locked_fonts(tmp_path: Path, method: str, locked: bool) -> None:
    members = unzipped("barco.epub")
    members["META-INF/encryption.xml"] = (
        '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{method}"/><e:CipherData>'
        '<e:CipherReference URI="OEBPS/text/c1.xhtml"/></e:CipherData></e:EncryptedData>'
        "</encryption>"
    )
    path = write(tmp_path / "a.epub", zipped(members))
    if locked:
        with pytest.raises(ValueError, match=r"^it is locked \(DRM\)"):
            read(path)
    else:
        assert paragraphs(path) == paragraphs(EXAMPLES / "barco.epub")


def test_a_chapter_that_is_missing_costs_no_other(tmp_path: Path) -> None:
    members = unzipped("barco.epub")
    del members["OEBPS/text/c1.xhtml"]
    found = read(write(tmp_path / "a.epub", zipped(members)))
    (document,) = (one.text for one in found if isinstance(one, Document))
    assert paragraphs(EXAMPLES / "barco.epub")[-1] in document
    what = "1 chapter was skipped: its OEBPS/text/c1.xhtml is missing"
    assert found[1:] == [Note(what, 1)]


@pytest.mark.parametrize("declared", ["utf8", "UTF8", "UTF-8"])
@pytest.mark.parametrize(
    ("name", "member"), [("barco.epub", "OEBPS/content.opf"), ("moinho.odt", "content.xml")]
)
def test_utf8_has_many_spellings(tmp_path: Path, name: str, member: str, declared: str) -> None:
    members = unzipped(name)
    _, end, rest = members[member].partition("?>")
    members[member] = f'<?xml version="1.0" encoding="{declared}"{end}<!-- é -->{rest}'
    assert paragraphs(write(tmp_path / name, zipped(members))) == paragraphs(EXAMPLES / name)


def test_an_encoding_that_nobody_knows_is_told(tmp_path: Path) -> None:
    members = unzipped("moinho.odt")
    members["content.xml"] = members["content.xml"].replace('"UTF-8"', '"utf8mb4"', 1)
    with pytest.raises(ValueError, match=r"declares an encoding that nobody knows .*utf8mb4"):
        read(write(tmp_path / "a.odt", zipped(members)))


@pytest.mark.parametrize("root", ["", "<rootfile/>"])
def test_a_book_that_names_no_file_is_told(tmp_path: Path, root: str) -> None:
    members = {**unzipped("barco.epub"), "META-INF/container.xml": f"<container>{root}</container>"}
    with pytest.raises(ValueError, match=r"^its META-INF/container\.xml names no book$"):
        read(write(tmp_path / "a.epub", zipped(members)))


@pytest.mark.parametrize(
    ("member", "good", "bad"),
    [
        ("[Content_Types].xml", "</Types>", ""),
        ("xl/_rels/workbook.xml.rels", "</Relationships>", ""),
        ("xl/workbook.xml", "</workbook>", ""),
        ("xl/styles.xml", "<patternFill/>", ""),
        ("xl/worksheets/sheet1.xml", "</sheetData>", ""),
        ("xl/worksheets/sheet1.xml", "oficina", "oficina & o forno"),
        ("xl/worksheets/sheet1.xml", "<v>5</v>", "<v>cinco</v>"),
    ],
)
def test_a_damaged_spreadsheet_is_told(tmp_path: Path, member: str, good: str, bad: str) -> None:
    members = unzipped("respostas.xlsx")
    assert good in members[member]
    members[member] = members[member].replace(good, bad)
    with pytest.raises(ValueError, match=r"^it is no spreadsheet, or it is damaged or encrypted$"):
        read(write(tmp_path / "a.xlsx", zipped(members)))


def test_controls_that_excel_has_escaped_are_none_of_the_text(tmp_path: Path) -> None:
    members = unzipped("respostas.xlsx")
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = members[sheet].replace("oficina", "oficina_x000D_\nde_x005F_novo")
    found = "\n".join(paragraphs(write(tmp_path / "a.xlsx", zipped(members))))
    assert "x000D" not in found
    assert "oficina\nde_novo" in found


def in_random_words(drawn: tuple[random.Random, int]) -> str:
    """Return a sentence; lines that are all alike would be running heads."""
    words = PROSE.lower().rstrip(".").replace(",", "").split()
    return f"Então {' '.join(drawn[0].choices(words, k=drawn[1]))}."


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.randoms(), st.integers(30, 120)).map(in_random_words), min_size=4, max_size=12
    ),
    st.integers(12, 40),
    st.booleans(),
)
def test_paragraphs_of_a_pdf(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], height: int, indent: bool
) -> None:
    """What is wrapped, and cut into pages with a running head, comes out as it was."""
    lines: list[tuple[int, str]] = []
    for text in texts:
        wrapped = textwrap.wrap(text, 60, initial_indent="  " * indent)
        lines += [
            (20 * (number == 0 and indent), line.strip()) for number, line in enumerate(wrapped)
        ]
        lines += [] if indent else [(0, "")]
    pages = [lines[start : start + height] for start in range(0, len(lines), height)]
    contents = [
        show("Contos da ladeira", 200, 760, 8)
        + "".join(show(line, 60 + x, 700 - 13 * row) for row, (x, line) in enumerate(page) if line)
        + show(f"- {number} -", 290, 30, 8)
        for number, page in enumerate(pages, 7)
    ]
    path = write(tmp_path_factory.mktemp("pdf") / "a.pdf", pdf(contents))
    found = paragraphs(path)
    if len(pages) == 1:
        found = [line for line in found if line != "Contos da ladeira"]
    assert " ".join(found) == " ".join(texts)
    # Between two pages, a paragraph may end where a sentence does.
    assert len(texts) <= len(found) <= len(texts) + len(pages)


def test_a_pdf_without_its_table_of_contents_watermark_and_turned_page(tmp_path: Path) -> None:
    contents = show("O moinho velho . . . . . . . . . . 12", 60, 740) + column(WRAPPED)
    stamp = show("RASCUNHO", 100, 100, 60, "0.7 0.7 -0.7 0.7")
    plain = write(tmp_path / "plain.pdf", pdf([contents + stamp]))
    assert paragraphs(plain) == [" ".join([PROSE] * 3)]
    turned = "".join(
        show(line, 100 + 13 * row, 60, matrix="0 1 -1 0") for row, line in enumerate(WRAPPED)
    )
    path = write(tmp_path / "turned.pdf", pdf([turned], page="/Rotate 90"))
    assert paragraphs(path) == [" ".join([PROSE] * 3)]


def test_pages_before_the_damage_of_a_pdf_stay(tmp_path: Path) -> None:
    data = pdf([column(WRAPPED)] * 3)
    catalog, rest = data.index(b"1 0 obj"), data.index(b"3 0 obj")  # often at the end
    path = write(tmp_path / "a.pdf", data[:catalog] + data[rest : data.index(b"8 0 obj") + 30])
    documents = read_file(path, path.name, DEFAULT_READING)
    first = next(documents)
    assert isinstance(first, Document)
    assert first.text.count(PROSE) == 6
    with pytest.raises(ValueError, match=r"^it is damaged: its last pages are lost$"):
        list(documents)


def test_pages_of_a_pdf_without_text_are_noted(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.pdf", pdf([column(WRAPPED), PICTURE])))
    assert found[1:] == [Note("a page has pictures and no text", 1)]


def test_verse_of_a_pdf_keeps_its_lines(tmp_path: Path) -> None:
    verse = ["A roda do moinho velho", "Gira ao sol e gira à lua", "Quem escuta a sua cantiga"]
    verse = [
        *verse,
        "Não se perde pela rua.",
        "Leva o rio toda a farinha",
        "Que a mó deixa na peneira",
    ]
    assert paragraphs(write(tmp_path / "a.pdf", pdf([column(verse)]))) == verse


def test_columns_of_a_table_stay_in_rows(tmp_path: Path) -> None:
    rows = [("pão", "dois"), ("leite", "três"), ("queijo", "nove"), ("mel", "onze"), ("sal", "um")]
    cells = "".join(
        show(left, 60, 700 - 13 * row) + show(right, 300, 700 - 13 * row)
        for row, (left, right) in enumerate(rows)
    )
    path = write(tmp_path / "a.pdf", pdf([cells]))
    assert paragraphs(path) == [cell for row in rows for cell in row]


@pytest.mark.parametrize(
    "head",
    [
        "\ufeff<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<html>",
        "<!-- salva em 2024 -->\n<HTML lang=pt>",
        '<?xml version="1.0"?>\n<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">',
        "<p>Um.</p>\n<p>Dois.</p>",
        "<div class=post><p>Um.</p></div>\n",
    ],
)
def test_web_pages_are_found(head: str) -> None:
    assert looks_like_html(head.removeprefix("\ufeff"))


@pytest.mark.parametrize(
    "head",
    [
        PROSE,
        "O elemento <p> abre um parágrafo e </p> fecha-o; <b> e </b> dão destaque.",
        '<p align="center"><img src="x.png"></p>\n\n# Título\n\nUm texto </p> longo. </p>',
        "<p>Um bilhete que começa assim e não volta a ter marcas. " + PROSE,
        "<TEI><text><p>Um.</p><p>Dois.</p></text></TEI>",
        "<div>\n\nUm texto **em** Markdown.\n\n</div>\n<p>Fim.</p>\n",
        "",
    ],
)
def test_other_texts_are_no_web_pages(head: str) -> None:
    assert not looks_like_html(head)


def test_saved_pages_are_told_from_mail() -> None:
    header = 'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="x"\n'
    assert looks_like_mhtml(f"{header}\n--x\n")
    assert not looks_like_mhtml(f"From: a@exemplo.pt\nTo: b@exemplo.pt\n{header}\n--x\n")
    assert not looks_like_mhtml(f"{PROSE}\n{header}\n")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ('<meta charset="iso-8859-1"><p>não'.encode("latin-1"), "cp1252"),
        ('<meta charset="iso-8859-1"><p>não'.encode(), "utf-8"),  # saved anew by a browser
        ('<?xml version="1.0" encoding="windows-1252"?><p>não “isso”'.encode("cp1252"), "cp1252"),
        ("<p>não".encode("utf-16"), "utf-16"),
        ("<meta charset=nenhum><p>não é ação".encode("latin-1"), "cp1252"),
        ("<meta charset=utf-16><p>não é ação".encode("cp1252"), "cp1252"),
        ("<meta charset=utf-16><p>não é ação".encode(), "utf-8"),
    ],
)
def test_the_encoding_of_a_page(data: bytes, name: str) -> None:
    text, encoding = decode_html(data)
    assert encoding == name
    assert "não" in text


def test_words_of_the_layout_do_not_lose_the_page() -> None:
    menu = "".join(f'<li><a href="/{n}">Seção número {n}</a></li>' for n in range(9))
    text = "".join(f"<p>{PROSE}</p>" for _ in range(5))
    page = (
        f'<html><body class="comments"><ul>{menu}</ul><div class="with-sidebar menu-open">'
        f'<div id="share-free">{text}</div></div></body></html>'
    )
    assert main_text(page) == [PROSE] * 5


def test_a_page_of_links_alone_is_not_lost() -> None:
    entry = '<p><a href="/x">Leia mais</a> {}</p>'
    page = f"<html><body>{''.join(entry.format(PROSE) for _ in range(5))}</body></html>"
    assert "\n".join(main_text(page)).count(PROSE) == 5


@pytest.mark.parametrize(
    "page",
    [
        "<head><title>x</title><body>Ela riu.",
        "<head><title>x</title><p>Ela riu.",
        "<p class=footnote>Nota<p>Ela riu.",
        "<p class=footnote>Nota<div>Ela riu.</div>",
        "<div><p class=footnote>Nota</div>Ela riu.",
        "<ul><li class=toc>Nota<li>Ela riu.</ul>",
        "<ul><li class=toc>Nota<ul><li>Nota<li>Nota</ul>Nota</ul>Ela riu.",
        "<table><tr><td class=noprint>Nota<td>Ela riu.</table>",
        "<table><tr><th class=noprint>Nota<tr><td>Ela riu.</table>",
        "<table><tr class=noprint><td>Nota<p>Nota<tr><td>Ela riu.</table>",
        "<table><tr class=noprint><td>Nota</table>Ela riu.",
        "<table><tr class=noprint><td><table><tr><td>Nota<tr><td>Nota</table>Nota</table>Ela riu.",
        "<dl><dd class=toc>Nota<dt>Ela riu.</dl>",
        "<option hidden>Nota<option>Ela riu.",
        "<img class=noprint>Ela riu.<br class=noprint />",
    ],
)
def test_ends_that_html_leaves_out_are_known(page: str) -> None:
    assert [one.text for one in parse_html(page, HTML)] == ["Ela riu."]


@pytest.mark.parametrize("odd", ["<![ x ]]>", "<![foo[ x ]]>", "<![]>"])
def test_odd_declarations_are_comments(odd: str) -> None:
    assert main_text(f"<html><body><p>Ela{odd} riu.</p></body></html>") == ["Ela riu."]


@given(st.lists(st.sampled_from(["{", "}", "\\", "par ", "'e9", "u8212?", "é", "x ", "*"])))
def test_any_rich_text_is_read(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    data = "{\\rtf1\\ansi " + "".join(parts)
    path = write(tmp_path_factory.mktemp("rtf") / "a.txt", data.encode("latin-1"))
    assert detect(path).name == "rtf"
    read(path)


@pytest.mark.parametrize(("page", "word"), [(65001, r"n\'c3\'a3o"), (1252, r"n\'e3o")])
def test_letters_of_rich_text_may_have_several_bytes(tmp_path: Path, page: int, word: str) -> None:
    data = rf"{{\rtf1\ansi\ansicpg{page} {word} \u233\'e9\'e9}}"
    assert paragraphs(write(tmp_path / "a.rtf", data.encode()))[0].startswith("não é")
