"""Subtitles, mail, LaTeX and Bibles: what the files in tests/formats do not show."""

import gzip
from pathlib import Path

import pytest
from conftest import with_peak
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import opening
from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.detect import detect
from pipeline.corpus.formats.credits import without_credits
from pipeline.corpus.formats.latex import latex_paragraphs, looks_like_latex
from pipeline.corpus.formats.mail import html_text, looks_like_mail
from pipeline.corpus.formats.quoting import is_disclaimer, own_words
from pipeline.corpus.formats.subtitles import looks_like_subtitles, subtitle_paragraphs
from pipeline.corpus.formats.texts import Note
from pipeline.corpus.formats.verses import looks_like_verses
from pipeline.corpus.reading import Document, read_file

LOOKS = (looks_like_subtitles, looks_like_mail, looks_like_latex, looks_like_verses)
WORDS = st.lists(st.text("abcçãé", min_size=1, max_size=9), min_size=1, max_size=6)


def read(path: Path, data: bytes) -> list[Document | Note]:
    path.write_bytes(data)
    return list(read_file(path, path.name, ReadingConfig()))


def texts(path: Path, data: bytes) -> list[str]:
    return [found.text for found in read(path, data) if isinstance(found, Document)]


PROSE = [
    "Título\n\nEra uma vez — disse ela — uma serra.\n\n10:30 chegou o comboio.\n",
    "Em 1950 havia 3 poços.\n" * 20,
    "1 kg de farinha de milho\n2 ovos da nossa capoeira\n3 colheres de mel\n" * 5,
    "10:00 Abertura pelo presidente da mesa\n10:30 Café e conversa na sala grande\n"
    "11:00 Segunda parte da sessão\n11:30 Perguntas de quem quiser\n12:00 Almoço na ribeira\n",
    "De: Rui\nPara: Rosa\nAssunto: o poço\n\nA água subiu.\n",
    "From: there\n\nNada.\n",
    "ROSA: Vens?\nRUI: Vou.\nROSA: Então anda.\n" * 9,
    "O preço é R$ 20 \\ metro, e A --> B.\n",
    "[12] era o número da porta.\n\nA nota [1] diz que não.\n" * 9,
    "# text = Um.\n" + "".join(f"{n}\tpalavra\tpalavra\tNOUN\t_\n" for n in range(1, 40)),
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_none_of_these(text: str) -> None:
    assert not [looks_like.__name__ for looks_like in LOOKS if looks_like(text)]


# Subtitles


def srt(cues: list[str], seconds: float = 2.0) -> str:
    return "\n".join(
        f"{n}\n00:{int(n * seconds) // 60:02d}:{n * seconds % 60:06.3f} --> "
        f"00:{int((n + 1) * seconds) // 60:02d}:{(n + 1) * seconds % 60:06.3f}\n{cue}\n".replace(
            ".", ",", 2
        )
        for n, cue in enumerate(cues, start=1)
    )


@given(st.lists(WORDS, min_size=1, max_size=20), st.data())
def test_no_word_is_lost_or_repeated(cues: list[list[str]], data: st.DataObject) -> None:
    numbered = [[f"{word}{n}" for word in words] for n, words in enumerate(cues)]
    shown = []
    for words in numbered:
        place = data.draw(st.integers(0, len(words) - 1))
        end = data.draw(st.sampled_from(["", ".", "?"]))
        lines = [" ".join(words[:place]), " ".join(words[place:]) + end]
        shown.append("\n".join(f"<i>{line}</i>" for line in lines if line))
    found = " ".join(subtitle_paragraphs(srt(shown)))
    assert found.replace(".", "").replace("?", "").split() == [w for ws in numbered for w in ws]


def test_cues_are_joined_until_a_sentence_ends_and_a_pause_follows() -> None:
    cues = (
        "00:01 --> 00:02\nA barca\n\n00:02 --> 00:03\nparte às seis.\n\n"
        "00:03 --> 00:04\nNão esperes.\n\n00:06 --> 00:07\nAdeus.\n\n00:07 --> 00:08\n- Já?\n- Já."
    )
    assert subtitle_paragraphs(f"WEBVTT\n\n{cues}", webvtt=True) == [
        "A barca parte às seis. Não esperes.",
        "Adeus.",
        "- Já?",
        "- Já.",
    ]


@pytest.mark.parametrize(
    "times",
    [
        "00:00:0x,000 --> 00:00:09,000",
        "00:00:05,000 -->",
        "--> 00:00:09,000",
        "00:00:05,000 -> 00:00:09,000",
        "00:00:05,000 – 00:00:09,000".replace("–", "—>"),
    ],
)
def test_broken_times_are_no_text(times: str) -> None:
    text = f"1\n00:00:01,000 --> 00:00:05,000\nA barca\n\n2\n{times}\nparte.\n"
    assert subtitle_paragraphs(text) == ["A barca parte."]


def test_broken_numbers_are_no_text() -> None:
    times = "00:00:01,000 --> 00:00:05,000"
    cues = ["", "\nA barca\n", "\nparte\n#3\n", "\nàs 6\n\nx4\n", "\n\n\n5\n", "\nem\n1945."]
    text = times.join(cues)
    assert subtitle_paragraphs(text) == ["A barca parte às 6 em 1945."]


def test_a_line_of_dialogue_may_have_a_broken_time() -> None:
    line = "Dialogue: 0,{},0:00:0{}.00,Default,,0,0,0,,{}\n"
    text = line.format("0:00:01.00", 2, "A barca,") + line.format("0:0.0:", 3, "sim, parte.")
    assert subtitle_paragraphs(text) == ["A barca, sim, parte."]


def test_an_answer_that_repeats_the_question_stays() -> None:
    assert subtitle_paragraphs(srt(["Não?", "Não?", "Vem.", "Já vou.", "Então vem."])) == [
        "Não? Não? Vem. Já vou. Então vem."
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_subtitles_of_every_encoding(tmp_path: Path, encoding: str) -> None:
    data = srt(["O pão está cá", "e a água também."]).replace("\n", "\r\n").encode(encoding)
    assert texts(tmp_path / "a.srt", data) == ["O pão está cá e a água também."]
    assert texts(tmp_path / "a.txt.gz", gzip.compress(data)) == ["O pão está cá e a água também."]


def test_long_subtitles_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 600)
    found = texts(tmp_path / "a.srt", srt([f"Frase {n}." for n in range(90)]).encode())
    assert len(found) > 5
    assert " ".join(found) == " ".join(f"Frase {n}." for n in range(90))


@pytest.mark.parametrize(
    "line",
    [
        "Legendas por Rita Lapa",
        "Legendado por jo_mendes",
        "Legendas: jo",
        "Tradução: Rita Lapa",
        "TRADUÇÃO E SINCRONIA: Equipe Beira-Rio",
        "Tradução e Legendagem",
        "Revisão: Rita & Jo",
        "Resync by jo_mendes",
        "Subtitles by Rita Lapa",
        "Legendas em Português por Rita",
        "Traduzido do inglês por Rita",
        "www.exemplo.org",
        "Apoie-nos e torne-se membro VIP",
        "Uma legenda da equipe Beira-Rio",
        "Equipe Beira-Rio apresenta:",
        "Adaptação para português de Portugal:",
        "Traduzido do inglês por",
        "Legendas em português",
        "Versão brasileira: Estúdio Beira-Rio",
        "Facebook: facebook.com/beirario",
        "Support us and become VIP member",
    ],
)
def test_credits_go(line: str) -> None:
    assert without_credits([line]) == []
    assert without_credits(["Ela foi-se.", line]) in ([], ["Ela foi-se."])


@pytest.mark.parametrize(
    "line",
    [
        "Tradução: não quero ir",
        "Tradução: Vai-te embora.",
        "As legendas são para a avó",
        "Legendas",
        "Traduzido por mim mesmo.",
        "A revisão da matéria é amanhã",
        "Visita www.exemplo.org e diz",
        "Ajuste de contas",
        "Sincronia perfeita",
        "A equipe apresenta melhoras",
        "Uma revisão não faz mal",
    ],
)
def test_speech_like_credits_stays(line: str) -> None:
    assert without_credits([line]) == [line]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("[porta range]\nVem.", "Vem."),
        ("(JOÃO) Vem.", "Vem."),
        ("- (risos) Vem.", "- Vem."),
        ("Vem (se puderes) amanhã.", "Vem (se puderes) amanhã."),
        ("(Não me ouças.)", "(Não me ouças.)"),
        ("(música\ntriste)\nVem.", "Vem."),
        ("{\\an8}Vem&nbsp;<b>cá</b>.", "Vem cá."),
        ("<font color=#fff>Vem</font>", "Vem"),
        ("2 < 3 e 5 > 4", "2 < 3 e 5 > 4"),
        (">> Vem.", "Vem."),
        ("♪ Lá vai ♪", "Lá vai"),
        ("# Lá vai #", "Lá vai"),
        ("O #carnaval", "O #carnaval"),
        ("ROSA: Vem.", "Vem."),
        ("HOMEM 2:\nVem.", "Vem."),
        ("ATENÇÃO: RUA FECHADA", "ATENÇÃO: RUA FECHADA"),
    ],
)
def test_tags_and_sounds_go(shown: str, said: str) -> None:
    assert subtitle_paragraphs(srt([shown])) == [said]


def test_names_of_speakers_go() -> None:
    said = ["Bom dia.", "Então, começamos", "pela ponte.", "Sim: hoje.", "Já.", "Fim."]
    names = ["Rosa Lima", "Rosa Lima", "Rosa Lima", "Rui", "Rosa Lima", "Rui"]
    expected = ["Bom dia. Então, começamos pela ponte.", "Sim: hoje.", "Já.", "Fim."]
    pairs = list(zip(names, said, strict=True))
    assert subtitle_paragraphs(srt([f"{name}: {line}" for name, line in pairs])) == expected
    assert subtitle_paragraphs(srt([f"<v {name}>{line}</v>" for name, line in pairs])) == expected
    assert subtitle_paragraphs(srt(["Ele disse: Vem.", "Fui."])) == ["Ele disse: Vem. Fui."]
    deaf = [
        "ROSA: Quem vem?",
        "HOMEM:\n- Eu, com\n- MÃE: E eu.",
        "RÁDIO: Bom dia",
        "RÁDIO: a todos.",
    ]
    assert subtitle_paragraphs(srt([*deaf, "Fim.", "Já.", "Lá."])) == [
        "Quem vem?", "- Eu, com", "- E eu.", "Bom dia a todos. Fim. Já. Lá."
    ]  # fmt: skip


def test_a_note_is_no_subtitles(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it has no times of subtitles"):
        read(tmp_path / "a.srt", b"Volto j\xc3\xa1.\n")


def test_a_title_is_a_paragraph() -> None:
    cues = ["Ele não vem.", "MANHÃ DE\nDOMINGO", "Bom dia.", "NÃO!", "Sim."]
    assert subtitle_paragraphs(srt(cues)) == [
        "Ele não vem.",
        "MANHÃ DE DOMINGO",
        "Bom dia. NÃO! Sim.",
    ]


@pytest.mark.parametrize("text", ["", "\n\n", srt(["Legendas por Rita Lapa"]), "WEBVTT\n\n"])
def test_subtitles_in_which_nothing_is_said(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path / "a.srt", text.encode()) == []


# Mail

ATTRIBUTIONS = [
    "Em seg., 3 de mar. de 2024 às 10:00, Rui <rui@exemplo.pt> escreveu:",
    "Em segunda-feira, 3 de março de 2024 10:00:00 BRT, Rui\n<rui@exemplo.pt> escreveu:",
    "Em 03/03/2024 10:00, Rui Costa escreveu:",
    "No dia 3 de março de 2014 às 10:00, Rui <rui@exemplo.pt> escreveu:",
    "Rui <rui@exemplo.pt> escreveu no dia segunda, 3/03/2014 à(s) 10:00:",
    "2014-03-03 10:00 GMT-03:00 Rui Costa <rui@exemplo.pt>:",
    "On Mon, Mar 3, 2024 at 10:00 AM Rui Costa <rui@exemplo.pt> wrote:",
    "-----Mensagem original-----\nDe: Rui\nEnviada em: 3 de março\nPara: Rosa\nAssunto: Poço\n",
    "---------- Mensagem encaminhada ----------\nDe: Rui\nData: 3 de março\nAssunto: Poço\n",
    "________________________________\nDe: Rui <rui@exemplo.pt>\nEnviado: 3 de março\nPara: Rosa\n"
    "Assunto: Poço",
    "*De:* Rui\n*Enviada em:* 3 de março\n*Para:* Rosa\n*Assunto:* Poço\n",
    "Início da mensagem reencaminhada:\n\nDe: Rui\nAssunto: Poço\nData: 3 de março\nPara: Rosa\n",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("quote", ["> A água subiu.\n>\n> Vens?\n", "A água subiu.\n\nVens?\n"])
def test_quoted_mail_goes(attribution: str, quote: str) -> None:
    assert own_words(f"Vou amanhã.\n\n{attribution}\n\n{quote}").strip() == "Vou amanhã."


def test_answers_between_quotes_stay() -> None:
    text = "Rui escreveu:\n> Vens?\n\nVou.\n\n> Quando?\n\nAmanhã, e ele escreveu:\nnada.\n"
    assert own_words(text).split() == "Vou. Amanhã, e ele escreveu: nada.".split()


@pytest.mark.parametrize(
    "end",
    [
        "-- \nRui Costa\nTel. 21 000 0000",
        "--\nRui",
        "Enviado do meu iPhone",
        "Enviada a partir do meu telemóvel Samsung",
        "Enviado do Yahoo Mail no Android",
        "Obtenha o Outlook para Android<https://aka.ms/x>",
        "Sent from my iPhone",
        "Livre de vírus. www.avast.com",
        "_____________\nLista mailing list\nhttps://exemplo.pt/mailman/listinfo/horta",
        "---\nVocê está inscrito no grupo Horta dos Grupos do Google.\n",
        "-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----",
        "[image: logotipo.png]",
    ],
)
def test_signatures_and_footers_go(end: str) -> None:
    assert own_words(f"Vou amanhã.\n\n{end}\n").strip() == "Vou amanhã."


def test_a_closing_and_a_name_stay_without_what_tells_how_to_write_back() -> None:
    said = "Vou amanhã.\n\nAtenciosamente,\n\nRui Costa"
    assert own_words(f"{said}\nDiretor\nTel.: (11) 3456-7890\nrui@exemplo.pt\n").strip() == said
    for end in ("P.S.: liga para 3456-7890.", "Presidente da Câmara", f"Tel.: {'e ligue ' * 12}"):
        assert own_words(f"{said}\n{end}").strip() == f"{said}\n{end}".strip()


def test_what_a_mail_of_html_hides_goes() -> None:
    hidden = '<div style="display: none">Excerto<div>para a lista</div></div>'
    page = f"<title>x</title>{hidden}<p style=display:none>Outro<p>Vou <b>já</b>.<br>Fim."
    assert html_text(page).split() == "Vou já. Fim.".split()


@pytest.mark.parametrize("name", ["input", "source", "col", "blockquote type=cite", "li"])
def test_what_a_mail_of_html_hides_ends(name: str) -> None:
    page = f'<ul><{name} style="display:none !important"></ul></blockquote><p>Vou já.'
    assert own_words(html_text(page)).split() == "Vou já.".split()


@pytest.mark.parametrize(
    "text",
    [
        "Enviado o convite, fui dormir.",
        "Enviei tudo pelo meu iPhone ontem à noite.",
        "De: onde vens?",
        "Antes de imprimir o contrato, leia-o.",
        "Um.\n\n-----\n\nVou cancelar a viagem.\n\nFim.",
        "Um.\n\n--\n\n" + "Outra linha da carta.\n" * 20 + "Fim.",
        "Em 1974, à noite, ele escreveu:\nvenham todos.",
        "Obrigada!\n\nVou falar com ele amanhã.\nO telefone dele é 219 998 887.\nDeixa recado.",
        "Um.\n\nDe: Lisboa\nPara: Porto\nData: 12 de março\n\nEncontramo-nos lá.",
    ],
)
def test_prose_of_a_message_stays(text: str) -> None:
    assert own_words(text).split() == text.split()


@pytest.mark.parametrize(
    ("paragraph", "goes"),
    [
        ("Se não deseja mais receber estes e-mails, cancele a sua inscrição.", True),
        ("Você está recebendo este e-mail porque se cadastrou no site.", True),
        ("Para cancelar sua assinatura, clique aqui.", True),
        ("Ver no navegador", True),
        ("Quero cancelar a assinatura do jornal.", False),
        ("Adorei receber esta mensagem, obrigada.", False),
        ("Não consigo abrir no navegador.", False),
    ],
)
def test_what_newsletters_say_of_themselves_goes(paragraph: str, goes: bool) -> None:
    assert is_disclaimer(paragraph) is goes


def test_only_a_disclaimer_is_one() -> None:
    assert is_disclaimer(
        "Esta mensagem e seus anexos são confidenciais e para uso do destinatário. Se a recebeu "
        "por engano, apague-a."
    )
    assert not is_disclaimer("A mensagem era confidencial, e o destinatário guardou-a.")


def message(body: bytes, *headers: str) -> bytes:
    lines = ["From: Rui <rui@exemplo.pt>", "To: rosa@exemplo.pt", "Date: Mon, 3 Mar 2024", *headers]
    return "\n".join(lines).encode(errors="surrogateescape") + b"\n\n" + body


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "nada", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_the_bytes_tell_the_charset(tmp_path: Path, charset: str, encoding: str) -> None:
    body = "A avó põe açúcar — “muito” — no café.".encode(encoding)
    data = message(body, f"Content-Type: text/plain; charset={charset}")
    assert texts(tmp_path / "1709.M5P6.casa", data) == ["A avó põe açúcar — “muito” — no café."]


def test_mail_of_seven_bits_is_in_the_charset_that_it_names(tmp_path: Path) -> None:
    data = message("Olá — tudo + nada".encode("utf-7"), "Content-Type: text/plain; charset=UTF-7")
    assert texts(tmp_path / "a.eml", data) == ["Olá — tudo + nada"]


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        ("=?utf-8?B?TyBwb8Onbw==?=", "O poço\n"),
        ("[horta] O poço", "O poço\n"),
        ("Re: O poço", ""),
        ("[horta] ENC: O poço", ""),
        ("=?nada?Q?x?=", ""),
        ("=?utf-8?B?a?=", ""),
        (" ", ""),
    ],
)
def test_the_subject_of_a_first_message_stays(tmp_path: Path, subject: str, kept: str) -> None:
    data = message(b"Subiu.", f"Subject: {subject}")
    assert texts(tmp_path / "a.eml", data) == [f"{kept}Subiu."]


def test_messages_that_are_no_text_are_counted(tmp_path: Path) -> None:
    line = b"From rui@exemplo.pt Mon Mar  3 10:00:00 2024\n"
    bad = message(bytes(range(1, 32)) * 9, "Content-Type: text/plain")
    *found, note = read(tmp_path / "a.mbox", line + bad + b"\n\n" + line + message(b"Subiu."))
    assert [document.text for document in found if isinstance(document, Document)] == ["Subiu."]
    assert isinstance(note, Note)
    assert note.skipped == 1


def test_mail_in_constant_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIECE", 2**13)
    line = b"From rui@exemplo.pt Mon Mar  3 10:00:00 2024\n"
    path = tmp_path / "a.mbox"
    with path.open("wb") as file:
        for n in range(40):
            body = f"Carta número {n}.\n\n".encode() + b"-- \n" + b"x" * 70 + b"\n"
            file.write(line + message(body + (b"y" * 70 + b"\n") * 500) + b"\n")

    def texts() -> list[str]:
        return [getattr(one, "text", "") for one in read_file(path, "a.mbox", ReadingConfig())]

    found, peak = with_peak(texts)
    assert found == [f"Carta número {n}." for n in range(40)]
    assert peak < path.stat().st_size / 3


# LaTeX


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            r"\'agua, \~ao, \^{e}, \`a, \"u, \c{c}, \c c, \'{\i}, \'\i{} fim",
            "água, ão, ê, à, ü, ç, ç, í, í fim",
        ),
        (r"``dois'' --- `um' -- <<tr\^es>>", "“dois” — ‘um' – «três»"),
        (r"R\$ 20 \& 5\% \#1 a\_b \{c\}", "R$ 20 & 5% #1 a_b {c}"),
        ("um % dois\ntrês\n%quatro\ncinco", "um três cinco"),
        (r"Veja~\cite[p.~3]{a,b}, \ref{x}.", "Veja,."),
        (r"são $3$ e $n$ de $\frac{a}{b}$ casos", "são 3 e n de casos"),
        (r"\textbf{a \emph{b}} {\em c} \meu{d}", "a b c d"),
        (r"\label{a} {\bf texto} \index{b}{\it mais}", "texto mais"),
        (r"fim\ldots e \LaTeX\ e \oe uvre 1\textordfeminine", "fim… e LaTeX e œuvre 1ª"),
        (r"aberto {\bf sem fim", "aberto sem fim"),
        (r"\begin{itemize} um", "um"),
        (r"\item<1-> um \only<2>{dois} \lstset{language=C}\newpage três", "um dois três"),
        (r"\newcommand{\eu}{Rosa} \newcommand{\ela}[1]{#1} \eu\ e \ela{Ana}", "Rosa e Ana"),
    ],
)
def test_commands_become_letters(source: str, text: str) -> None:
    assert " ".join(latex_paragraphs(source)) == text


@given(st.text("abé \n\\{}[]$%~`'^\"-&_#cfootnte", max_size=200))
def test_any_text_is_read_as_latex(text: str) -> None:
    for paragraph in latex_paragraphs(text):
        assert paragraph == " ".join(paragraph.split())


@given(st.lists(WORDS, min_size=1, max_size=8))
def test_latex_keeps_plain_paragraphs(paragraphs: list[list[str]]) -> None:
    body = "\n\n".join("\n".join(words) for words in paragraphs)
    text = f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}"
    assert looks_like_latex(text)
    assert latex_paragraphs(text) == [" ".join(words) for words in paragraphs]


# Bibles

VERSES = [
    "No início a serra estava deitada no mar,",
    "e o vento passava por cima dela todas as noites.",
    "E o vento disse à serra: Levanta-te já, preguiçosa.",
    "E a serra levantou-se devagar, e dela desceu",
    "o primeiro de todos os rios da nossa terra.",
]
CHAPTER = [f"{VERSES[0]} {VERSES[1]}", VERSES[2], f"{VERSES[3]} {VERSES[4]}"]


@pytest.mark.parametrize(
    "form",
    [
        "Gn {0}:{1} {2}",
        "1 Samuel {0}.{1} - {2}",
        "Cântico dos Cânticos {0}:{1} {2}",
        "{0}:{1} {2}",
        "[{0}:{1}] {2}",
        "{1} {2}",
        "{1}\n{2}",
        "{1}{2}",
        "[{1}] {2}",
        "Gn\t{0}\t{1}\t{2}",
        "7|Gn|{0}|{1}|{2}",
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_numbers_of_verses_go(tmp_path: Path, form: str, wrapped: bool) -> None:
    one_line = not wrapped or "\t" in form or "|" in form or form.startswith("[{1}")
    verses = VERSES if one_line else [verse.replace(" d", "\nd") for verse in VERSES]
    text = "".join(
        form.format(chapter, number, verse) + "\n"
        for chapter in (1, 2, 3)
        for number, verse in enumerate(verses, start=1)
    )
    (found,) = texts(tmp_path / "a.txt", text.encode())
    assert found.split("\n") == CHAPTER * 3


# Texts that are no prose


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\n', "a Praat TextGrid"),
        ("nome: horta\nplantas:\n  - feijão\n  - milho\nonde: aqui\npor: nós\n", "YAML"),
        ("---\npt:\n  ola: Olá\n  fim: Adeus\n  sim: Sim\n", "YAML"),
        ("[casa]\nnome = horta\nonde = aqui\n", "a file of settings"),
        ("\\id GEN\n\\c 1\n\\p\n\\v 1 A serra era mar.\n", "a Bible in USFM"),
        ("<?xml version='1.0'?>\n<rss><item>Chove.</item></rss>\n", "XML that is not known here"),
        ("INSERT INTO verses VALUES (1, 'A serra era mar.');\n", "a copy of a database"),
        ("-- Dump\n/*!40 SET x */;\nDROP TABLE a;\nCREATE TABLE a (\n", "a copy of a database"),
        ("- nome: sol\n  cor: ouro\n- nome: lua\n  cor: prata\n", "YAML"),
        ("@article{rosa1999,\n  title = {O poço},\n}\n", "a list of references"),
    ],
)
def test_what_is_no_prose_says_so(tmp_path: Path, text: str, clause: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^it is {clause}"):
        detect(tmp_path / "a.txt")


@pytest.mark.parametrize("suffix", [".rst", ".org", ".adoc", ".rss", ".yml", ".xml"])
def test_markup_that_is_not_read_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("A chuva parou, e *ninguém* saiu.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"^it is a {suffix} file, which has markup"):
        detect(path)


@pytest.mark.parametrize("suffix", [".xml", ".json", ".parquet", ".docx", ".pdf", ".txt", ".zip"])
def test_an_empty_file_is_one_of_any_name(tmp_path: Path, suffix: str) -> None:
    assert texts(tmp_path / f"a{suffix}", b" \n") == []


@pytest.mark.parametrize(
    "text",
    [
        *PROSE,
        "---\ntitle: x\ndate: y\n---\n\nEra uma vez.\n",
        "joão: oi\nana: olá\n" * 9,
        "ana: oi\nrui: tudo\nana: bem\n- risos\n",
        "Uma tabela se cria assim:\n\nCREATE TABLE alunos (\n  nome TEXT\n);\n",
    ],
)
def test_prose_is_not_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    detect(tmp_path / "a.txt")
