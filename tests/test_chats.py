"""Chats become what people wrote, without who, when, and what leads to a person."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from conftest import with_peak
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.detect import detect
from pipeline.corpus.formats import archives, whatsapp
from pipeline.corpus.formats.chats import Message, read_messages
from pipeline.corpus.formats.telegram import looks_like_telegram
from pipeline.corpus.formats.texts import Note, Text
from pipeline.corpus.formats.whatsapp import looks_like_whatsapp
from pipeline.corpus.mask import MASK, mask_private
from pipeline.corpus.reading import Document, read_file, read_rows

THIN = "\u202f"  # the space that phones put before AM and PM
MARK = "\u200e"  # the mark that they put before their own words


def read(path: Path, text: str | bytes, **options: object) -> tuple[list[str], list[str]]:
    """Write a file; return its documents and notes."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    found = [*read_file(path, path.name, ReadingConfig(**options))]  # type: ignore[arg-type]
    return (
        [document.text for document in found if isinstance(document, Document)],
        [note.what for note in found if isinstance(note, Note)],
    )


def android(*messages: str) -> str:
    return "".join(f"12/03/2024 09:{n % 60:02} - {what}\n" for n, what in enumerate(messages))


# WhatsApp


@pytest.mark.parametrize(
    "stamp",
    [
        *["12/03/2024 09:16 - ", "12/03/24, 09:16 - ", "3/12/24, 9:16 AM - "],
        *[f"3/12/24, 9:16{THIN}PM - ", "12/3/24 9:16 p. m. - ", f"12/3/24, 9:16{THIN}p.\xa0m. - "],
        *["[12/03/24, 09:16:02] ", f"{MARK}[12/03/24, 09:16:02] ", "[12/03/2024, 9:16:02 AM] "],
        *["[2024-03-12, 09:16:02] ", "2024-03-12 09:16 - ", "12.03.24, 09:16 - "],
        *["12-03-2024 09:16 - ", "12/03/16 09:16:02: ", "12/03/2024 às 09:16 - "],
        *["12 de mar. de 2024 09:16 - "],
        *["[09:16, 12/03/2024] ", "[9:16 AM, 3/12/2024] ", "12/03/2024, 9:16 da manhã - "],
        *["12/03/24 09.16 - ", "2024/03/12 09:16 – ", "(12/03/2024 09:16) "],
    ],
)  # fmt: skip
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_stamps_of_every_phone(tmp_path: Path, stamp: str, line_end: str) -> None:
    lines = [f"{stamp}Lia: chegou: sim", f"{stamp}Zé da Avó 🌻: boa", "notícia", f"{stamp}Lia saiu"]
    documents, notes = read(tmp_path / "a.txt", line_end.join(lines))
    assert documents == ["chegou: sim\nboa notícia"]
    assert notes == ["Lia 1 message, Zé da Avó 🌻 1"]


def test_chat_copied_from_telegram(tmp_path: Path) -> None:
    text = "Lia Moura, [12/03/2024 09:16]\nOi, Rui\ntudo bem?\n\nRui, [12/03/2024 09:17]\nTudo\n"
    assert read(tmp_path / "a.txt", text)[0] == ["Oi, Rui tudo bem?\nTudo"]


@pytest.mark.parametrize("stamp", ["[12/03/2024, 09:16:02] {}: ", "{}, [12/03/2024 09:16]\n"])
@pytest.mark.parametrize("pasted", ["12/03/2024 14:00 - Dentista: exame", "12/03/2024 14:00 - Fim"])
def test_a_stamp_of_another_form_is_what_a_person_wrote(
    tmp_path: Path, stamp: str, pasted: str
) -> None:
    text = f"{stamp.format('Rui')}Olha:\n{pasted}\n{stamp.format('Lia')}Está bem\n"
    documents, notes = read(tmp_path / "a.txt", text)
    assert documents == [f"Olha: {pasted}\nEstá bem"]
    assert notes == ["Rui 1 message, Lia 1"]


@pytest.mark.parametrize(
    "text",
    [
        "Era uma vez, no dia 12/03/2024 às 09:16, uma festa.\nLia: bom dia.\nRui: bom dia.\n",
        "Lia: bom dia\nRui: bom dia\n",
        "12/03/2024\nHoje choveu: ficamos em casa.\n13/03/2024\nFez sol.\n",
        "10:30 - Reunião: sala 2\n11:30 - Almoço: cantina\n",
        # A story that begins with a chat, and one that quotes it.
        android("Lia: vem?", "Rui: vou") + "Ele fechou a conversa.\n" * 100,
        "O celular apitou.\n" * 5 + android("Lia: vem?", "Rui: vou"),
        # Minutes, without anybody who speaks.
        android("Chegada dos convidados", "Abertura", "Almoço"),
        "".join(android(f"Tema {n}: fala") for n in range(30)),
        "",
    ],
)
def test_what_is_no_chat(text: str) -> None:
    assert not looks_like_whatsapp(text)


def test_a_group_may_begin_with_what_happened_to_it() -> None:
    events = [f"+55 11 90000-{n:04} entrou usando o link de convite" for n in range(300)]
    assert looks_like_whatsapp(android(*events, *(f"Pessoa {n}: Parabéns!" for n in range(19))))


def test_a_chat_may_be_cut_at_its_start() -> None:
    assert looks_like_whatsapp("e o pão\n" + android("Lia: sim", "Rui: não", "Lia: talvez"))


@pytest.mark.parametrize(
    "text",
    [
        *["<Mídia oculta>", "<Arquivo de mídia oculto>", "<Ficheiro multimédia omitido>"],
        *["<Media omitted>", "imagem ocultada", f"{MARK}áudio ocultado", "figurinha omitida"],
        *["video omitted", "Contact card omitted", f"{MARK}cartão de contacto omitido"],
        *["IMG-20240312-WA0001.jpg (arquivo anexado)", f"{MARK}Lista da Lia.pdf (file attached)"],
        *[f"{MARK}<anexado: 0001-PHOTO.jpg>", "Rui.vcf (ficheiro anexado)", "null"],
        *["Conta de luz.pdf (arquivo anexado)\nConta de luz.pdf"],
        *["Mensagem apagada", "Essa mensagem foi apagada", "Esta mensagem foi eliminada."],
        *["Eliminaste esta mensagem.", "Você apagou esta mensagem", "Eliminou esta mensagem"],
        *["This message was deleted"],
        *["Mensagem apagada pelo admin Rui", "Chamada de voz perdida", "Missed video call"],
        *["Ligação de voz perdida às 10:00", f"Chamada de voz, {MARK}12 min"],
        *["Chamada não atendida"],
        *[f"{MARK}Chamada de vídeo perdida. {MARK}Toque para retornar a ligação"],
        *["localização: https://maps.google.com/?q=1,2", "live location shared"],
        *["Aguardando mensagem. Essa ação pode levar alguns instantes."],
        *[f"{MARK}ENQUETE:\nOnde?\n{MARK}OPÇÃO: Aqui (1 voto)\n{MARK}OPÇÃO: Lá (2 votos)"],
        *[f"{MARK}Rui adicionou Ana", "Lia criou este grupo"],
        *[f"foto.pdf • 3 páginas {MARK}documento omitido"],
        *[f"{MARK}As mensagens e as ligações são protegidas com a criptografia de ponta a ponta."],
        *["https://exemplo.com/receita", "11 99999-1234 / 11 99999-4321"],
    ],
)  # fmt: skip
def test_what_the_phone_wrote_goes(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "a.txt", android("Lia: Oi", f"Lia: {text}", "Rui: Olá")) == (
        ["Oi\nOlá"],
        ["Lia 1 message, Rui 1"],
    )


@pytest.mark.parametrize(
    "text",
    [
        *["As mensagens e as chamadas são protegidas com a encriptação ponto a ponto. Saiba mais"],
        *['Rui criou o grupo "A: b"', 'Rui mudou o nome do grupo de "A: b" para "C: d"'],
        *["Rui changed the subject to “Festa: hoje”", "Rui adicionou Ana", "Ana saiu"],
        *["Você alterou as mensagens temporárias. Novo prazo: 7 dias", "Missed voice call"],
        *["+55 11 99999-1234 mudou para +55 11 98888-1234"],
        *['Rui mudou a descrição para "oi: tchau"'],
    ],
)  # fmt: skip
def test_what_the_phone_tells_goes(tmp_path: Path, text: str) -> None:
    text = android(text, "Lia: Oi", text, "Rui: Olá", text)
    assert read(tmp_path / "a.txt", text)[0] == ["Oi\nOlá"]


@pytest.mark.parametrize(
    "text",
    [
        *["mensagem apagada por quê?", "a imagem ocultada da lua", "Enquete: quem vai?"],
        *["localização: minha casa", "null não existe", "Vídeo ruim", "<3", "2*3*4", "*você"],
        *["veja o arquivo.pdf", "Chamada perdida de quem?", "o prazo: 12/03/2024 09:16 - manhã"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["", MARK])
def test_what_a_person_wrote_stays(tmp_path: Path, text: str, mark: str) -> None:
    text = f"{mark}{text}"
    documents, _ = read(tmp_path / "a.txt", android("Lia: Oi", f"Lia: {text}"))
    assert documents == [f"Oi\n{text.removeprefix(MARK)}"]


def test_parts_of_a_message_that_the_phone_wrote_go(tmp_path: Path) -> None:
    lines = [
        "Lia: vou <Mensagem editada>",
        f"Lia: já volto {MARK}<Esta mensagem foi editada>",
        "Rui: IMG.jpg (arquivo anexado)\nOlha a lua",
        f"Rui: {MARK}image omitted\nE o sol",
        f"Rui: a rua {MARK}<anexado: a.jpg>",
        "Rui: *muito* _bom_",
    ]
    (document,), _ = read(tmp_path / "a.txt", android(*lines))
    assert document.split("\n") == "vou|já volto|Olha a lua|E o sol|a rua|muito bom".split("|")


def test_what_an_iphone_marks_is_its_own(tmp_path: Path) -> None:
    said = [
        f"Rui: {MARK}Foste adicionado(a)",
        f"Rui: vou {MARK}<em anexo: 0021-PHOTO.jpg>",
        f"Lia: {MARK}Está à espera desta mensagem. Pode demorar algum tempo.",
        f"Rui: {MARK}<em anexo: 0022-PHOTO.jpg>",
        "Lia: e eu",
        f"Lia: {MARK}Rui mudou de número: toque para o adicionar.",
    ]
    text = "".join(f"{MARK}[12/03/24, 09:16:0{n}] {what}\n" for n, what in enumerate(said))
    assert read(tmp_path / "a.txt", text) == (["vou\ne eu"], ["Rui 1 message, Lia 1"])


WORDS = st.text("aeiouçãéAB ,.!?😊", min_size=1, max_size=20).filter(lambda text: text.strip(" "))


@given(
    st.lists(
        st.tuples(st.sampled_from(["Lia", "Zé", "Ana B."]), st.lists(WORDS, min_size=1, max_size=9))
    )
)
def test_no_message_is_lost(chat: list[tuple[str, list[str]]]) -> None:
    text = android(*(f"{speaker}: " + "\n".join(lines) for speaker, lines in chat))
    found = [*whatsapp._messages(text.splitlines(keepends=True))]
    assert [message.speaker for message in found] == [speaker for speaker, _ in chat]
    assert [message.text for message in found] == ["\n".join(lines) for _, lines in chat]
    if len(chat) > 1:
        assert looks_like_whatsapp(text)


def test_zip_of_a_phone(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Conversa do WhatsApp com Lia.txt", android("Lia: Oi", "Rui: Olá"))
        archive.writestr("pasta/_chat.txt", "\ufeff" + android("Lia: Até logo"))
        archive.writestr("notas.txt", "Isto é um anexo.")
        archive.writestr("foto.jpg", b"\xff\xd8\xff")
    assert detect(path).name == "whatsapp"
    assert read(path, path.read_bytes()) == (["Oi\nOlá", "Até logo"], ["Lia 2 messages, Rui 1"])


def test_zip_without_a_chat_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notas.txt", "Isto é um anexo.")
    with pytest.raises(ValueError, match=r"a \.zip file without a chat"):
        read(path, path.read_bytes())
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_chat.txt", android(*(f"Lia: frase {n}" for n in range(9000))))
    data = bytearray(path.read_bytes())
    with pytest.raises(ValueError, match=r"it is a damaged .zip file \("):
        read(tmp_path / "b.zip", bytes(data[:-30]))
    data[100_000] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(data)
    found = read_file(tmp_path / "b.zip", "b.zip", ReadingConfig())
    first = next(found)
    assert isinstance(first, Document)
    assert first.text.startswith("frase 0\nfrase 1\n")
    with pytest.raises(ValueError, match=r"it is a damaged .zip file \("):
        next(found)
    monkeypatch.setattr(archives, "MAX_MEMBER", 1000)
    with pytest.raises(ValueError, match=r"its _chat.txt unpacks to .* bytes"):
        read(path, path.read_bytes())


# Telegram


def telegram(*messages: dict[str, object]) -> dict[str, object]:
    return {"name": "Lia", "type": "personal_chat", "id": 1, "messages": [*messages]}


def said(speaker: str, text: object, **more: object) -> dict[str, object]:
    return {"id": 1, "type": "message", "from": speaker, "text": text, **more}


def test_telegram_is_found_by_its_content(tmp_path: Path) -> None:
    chat = telegram(said("Lia", "Oi"), said("Rui", ["A", {"type": "bold", "text": "B"}]))
    for name in ("result.json", "a.txt"):
        for indent in (None, 1):
            assert read(tmp_path / name, json.dumps(chat, indent=indent))[0] == ["Oi\nAB"]
    for encoding in ("utf-8-sig", "utf-16"):
        data = json.dumps(chat, ensure_ascii=False).encode(encoding)
        assert read(tmp_path / "a.txt", data)[0] == ["Oi\nAB"]
    assert not looks_like_telegram('{"messages": [{"role": "user", "content": "Oi"}]}')
    assert not looks_like_telegram('{"text": "o \\"messages\\": [ do Telegram"}')
    contacts = [{"first_name": f"Pessoa {n}"} for n in range(9000)]  # the chats come after 64 KiB
    account = {
        "about": "Aqui estão os dados que pediu ao Telegram.",
        "contacts": {"list": contacts},
        "chats": {"about": "", "list": [chat, chat]},
        "left_chats": {"list": [chat]},
    }
    assert read(tmp_path / "a.json", json.dumps(account, indent=1))[0] == ["Oi\nAB"] * 3


def test_telegram_cut_in_the_middle(tmp_path: Path) -> None:
    chats = [telegram(said("Lia", "Oi")), telegram(said("Rui", "Olá"), said("Rui", "Tchau"))]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"chats": {"list": chats}})[:-30])
    found = read_file(path, "a.json", ReadingConfig(format="telegram"))
    first, second = next(found), next(found)
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.text, second.text) == ("Oi", "Olá")
    with pytest.raises(ValueError, match=r"it is not JSON to its end \("):
        next(found)


def test_other_json_is_no_chat(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is JSON, but no chat of Telegram"):
        read(tmp_path / "a.json", '{"contacts": []}', format="telegram")


# Speakers

CHAT = android("José: um", "Lia Souza 🌸: dois", "Jose: três", "Rui: quatro", "Rui: cinco")


@pytest.mark.parametrize(
    ("speakers", "text", "note"),
    [
        (("Rui",), "quatro\ncinco", None),
        (("rui", "LIA SOUZA"), "dois\nquatro\ncinco", None),
        (("José",), "um", None),
        (("Jose",), "três", None),
        (("jose",), "um\ntrês", "jose may be José or Jose: all of them are kept"),
        (("Rui", "Ana", "Zé"), "quatro\ncinco", "nobody in it is called Ana or Zé"),
    ],
)
def test_the_messages_of_a_speaker(
    tmp_path: Path, speakers: tuple[str, ...], text: str, note: str | None
) -> None:
    documents, notes = read(tmp_path / "a.txt", CHAT, speaker=speakers)
    assert documents == [text]
    told = "Rui 2 messages, José 1, Lia Souza 🌸 1, Jose 1"
    assert notes == [*filter(None, [note]), told]


def test_a_message_sent_on_is_of_who_wrote_it(tmp_path: Path) -> None:
    sent_on = [
        said("Rui", f"frase {n}", forwarded_from=name) for n, name in enumerate(["Ana", None])
    ]
    chat = json.dumps(telegram(said("Rui", "Oi"), *sent_on))
    documents, notes = read(tmp_path / "a.json", chat, speaker=("Rui",))
    assert documents == ["Oi"]
    assert notes == ["Rui 1 message, Ana 1, (deleted account) 1"]


def test_exports_of_two_phones_may_follow_each_other(tmp_path: Path) -> None:
    """And what looks like a message of somebody who never spoke is a line of the one before."""
    other = "[13/03/24, 09:16:02] Rui: bom dia\n[13/03/24, 09:17:02] Lia: e aí\n"
    both = android("Rui: oi", "Lia: tudo\n[1/4/24, 9:00:00] Dentista: exame") + other
    assert read(tmp_path / "a.txt", both, speaker=("Lia",))[0] == [
        "tudo [1/4/24, 9:00:00] Dentista: exame\ne aí"
    ]


def test_a_chat_in_which_nobody_is_left_says_who_speaks(tmp_path: Path) -> None:
    clause = r"^nobody in it is called Ana, but Rui 2 messages, José 1, Lia Souza 🌸 1, Jose 1$"
    with pytest.raises(ValueError, match=clause):
        read(tmp_path / "a.txt", CHAT, speaker=("Ana",))


def test_speakers_of_other_texts_do_not_matter(tmp_path: Path) -> None:
    assert read(tmp_path / "a.txt", "Rui foi.", speaker=("Ana",)) == (["Rui foi."], [])


def test_many_speakers_are_not_all_told(tmp_path: Path) -> None:
    chat = android(*(f"Pessoa {n % 8}: frase {n}" for n in range(16_000)))
    _, notes = read(tmp_path / "a.txt", chat)
    most = "Pessoa 0 2,000 messages, Pessoa 1 2,000, Pessoa 2 2,000, Pessoa 3 2,000, Pessoa 4 2,000"
    assert notes == [f"{most}, … (3 more)"]


# Size


def test_a_long_chat_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 100)
    chat = [Message("Lia" if n % 2 else "Rui", f"frase {n}") for n in range(200)]
    for speakers, kept in (((), chat), (("lia",), chat[1::2])):
        found = [*read_messages(chat, "utf-8", ReadingConfig(speaker=speakers))]
        texts = [text.paragraphs for text in found if isinstance(text, Text)]
        assert len(texts) > 10
        assert [line for text in texts for line in text] == [message.text for message in kept]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.txt", "a.json"])
def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 2**14)
    lines = [f"A vizinha contou {n} vezes. " * 10 for n in range(3000)]
    if name == "a.txt":
        data = android(*(f"Lia: {line}" for line in lines))
    else:
        data = json.dumps(telegram(*(said("Lia", line) for line in lines)))
    path = tmp_path / name
    path.write_text(data)
    size = len(data)
    del data, lines

    def letters() -> int:
        read = read_file(path, name, ReadingConfig())
        return sum(len(document.text) for document in read if isinstance(document, Document))

    found, peak = with_peak(letters)
    assert found > 0.8 * size
    assert peak < size / 2


# Masks

PRIVATE = re.split(
    r"[|\n]",
    """\
11999991234|(11) 99999-1234|+55 11 99999-1234|\u202a+55 11 99999\u20111234\u202c|+351 912 345 678
00351912345678|912 345 678|912345678|21 345 67 89|213 456 789|99999-1234|9 9999-1234|3333-4444
(21)3333-4444|0800 123 4567|+1 (415) 555-2671|+44 20 7946 0958|+258 84 123 4567|11 9 9999 1234
lia@exemplo.com.br|lia.souza+x@mail.pt|https://exemplo.com/a?b=1|www.exemplo.pt|exemplo.com.br|loja.com
wa.me/5511999991234|bit.ly/3xYz|https://maps.google.com/?q=-23.5,-46.6|01310-100|123456789
123.456.789-01|12345678901|12.345.678/0001-90|12345678000190|12.345.678-9|NIF 123 456 789
1234 5678 9012 3456|3782 822463 10005|PT50 0002 0123 1234 5678 9015 4|PT50000201231234567890154
123e4567-e89b-12d3-a456-426614174000|34191.79001 01043.510047 91020.150008 5 61370000010000
@5511999991234|@lia12345678|a1b2c3d4e5f6a7b8c9d0e1f2
@\u2068Lia 2\u2069|00020126580014br.gov.bcb.pix0136123e4567-e12b5913Ana D6304AD3D""",
)
PUBLIC = re.split(
    r"[|\n]",
    """\
R$ 1.234,56|1.500.000|12/03/2024|2024-03-12|12-03-2024|12.03.2024|09:16|09:16:02|14h30|2023-2024
1914-1918|2500-3000|3000-4000 euros|213 317 639 habitantes|1 234 567|10 000 000|99,90|10000000
1500000|3,14159265358|50%|20240312|1999 2000 2001 2002|12 345 678|1.234.567,89|24/7|10-12|e/ou
p. ex.|978-85-333-0227-3|2ª-feira|fim.Amanhã|20:00-22:00|ok.me liga|nada.Com|@lia|@lia99|Sr. José
#Auxilio600reaisParaTodosJa|#ForaDaqui2026ParaSempreEJa""",
)


@pytest.mark.parametrize("private", PRIVATE)
def test_what_leads_to_a_person_is_masked(private: str) -> None:
    for before, after in (
        ("", ""),
        ("liga no ", " amanhã, às 9h"),
        ("é ", "."),
        ("(", "), 20 vezes"),
    ):
        masked = mask_private(f"{before}{private}{after}")
        name = "NIF " * private.startswith("NIF")
        bare = masked.translate(dict.fromkeys(map(ord, "\u202a\u202c")))
        assert bare == f"{before}{name}{MASK}{after}"
        assert mask_private(masked) == masked


@pytest.mark.parametrize("number", ["12.345.678/0001-90", "123.456.789-01", "12345-678"])
def test_a_number_is_masked_to_its_end_after_its_name(number: str) -> None:
    assert mask_private(f"o CNPJ {number}, sim") == f"o CNPJ {MASK}, sim"


@pytest.mark.parametrize("public", PUBLIC)
def test_other_numbers_stay(public: str) -> None:
    for text in (public, f"foi {public} ontem", f"{public}, 20 pessoas", f"({public})."):
        assert mask_private(text) == text


def test_a_word_of_many_letters_and_digits_takes_no_time():
    """As a pattern that looks at every way to part its letters does: this one, for days."""
    laughter = ("1" + "k" * 20_000) * 2
    assert mask_private(laughter) == laughter
    assert mask_private(f"{laughter}1k") == MASK


@given(st.text("ab1290 .,-/()+@\n:█"))
def test_masks_do_not_change_again(text: str) -> None:
    masked = mask_private(text)
    assert mask_private(masked) == masked
    assert re.sub(r"[^a-z]", "", masked) in re.sub(r"[^a-z]", "", text) or "█" in masked


def test_which_texts_are_masked(tmp_path: Path) -> None:
    text = "liga no 11 99999-1234"
    for mask, in_chat, in_text in (
        ("chats", True, False),
        ("all", True, True),
        ("none", False, False),
    ):
        for name, data, masked in (
            ("a.txt", android(f"Lia: {text}", "Rui: tá"), in_chat),
            ("b.txt", f"Rui, {text}", in_text),
        ):
            ((document,), _) = read(tmp_path / name, data, mask=mask)
            assert (MASK in document, "99999" in document) == (masked, not masked)
        (row,) = read_rows([(text, "")], "hf:a", ReadingConfig(mask=mask))  # type: ignore[arg-type]
        assert isinstance(row, Document)
        assert (MASK in row.text) == in_text
