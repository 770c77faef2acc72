"""Chats that WhatsApp exports, as text or in the .zip that a phone sends."""

import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.archives import Archive
from pipeline.corpus.formats.chats import Message, read_messages, visible
from pipeline.corpus.formats.texts import Texts
from pipeline.corpus.opening import open_bytes, open_lines, plain_line_ends

_HEAD = 2**16
_MAX_NAME = 100  # characters


def _any(*patterns: str, whole: bool = False) -> re.Pattern[str]:
    """Compile patterns for what the phone writes: of parts of a message, or of a whole one."""
    joined = "|".join(patterns)
    if whole:
        return re.compile(rf"(?:{joined})\.?", re.IGNORECASE | re.DOTALL)
    return re.compile(joined, re.IGNORECASE | re.MULTILINE)


# The stamp of a message, in the order and with the clock of the phone's language:
#   12/03/2024 09:16 - Lia: …      3/12/24, 9:16 AM - Lia: …      12/3/24, 9:16 p. m. - Lia: …
#   [12/03/24, 09:16:02] Lia: …    12/03/16 09:16:02: Lia: …      2024-03-12 09:16 - Lia: …
#   [09:16, 12/03/2024] Lia: …     (copied from WhatsApp Web)
_DATE = r"(?:\d{1,4}[/.-] ?\d{1,2}[/.-] ?\d{1,4}\.?|\d{1,2} de [a-zç]{3,9}\.?(?: de \d{4})?)"
_TIME = (
    r"\d{1,2}[:.h]\d\d(?:[:.]\d\d)?"
    r"(?:\s?[ap]\.?\s?m\b\.?|\sda (?:manhã|tarde|noite|madrugada))?"
)
_WHEN = rf"{_DATE}(?:,|,?\s(?:às|at|à|a las))?\s{_TIME}"
_STAMP = re.compile(
    rf"(?:[\[(](?:{_WHEN}|{_TIME},\s{_DATE})[\])]\s?|{_WHEN}(?:\s[-–—]\s|:\s))", re.IGNORECASE
)
# Copied from Telegram, with the message in the lines below: Lia, [12/03/2024 09:16]
_SIGNED = re.compile(rf"(?P<name>[^\[\]]{{1,{_MAX_NAME}}}), \[{_WHEN}\]:?\s*$", re.IGNORECASE)
_NAME = re.compile(rf"[\u200e\u200f\u202a]*(?:~\s?)?(?P<name>[^:]{{1,{_MAX_NAME}}}):(?:\s|$)")
# What the phone tells of a person or a group.
_VERB = (
    r"(?:criou|adicionou|removeu|saiu|entrou|mudou|alterou|a?fixou|ativou|desativou|bloqueou|"
    r"foi adicionad[oa]|foi removid[oa]|created|added|removed|left|joined|changed|pinned|turned|"
    r"blocked|was added|was removed)\b"
)
# It may hold ": " in a name: Lia mudou o nome do grupo de "Festa" para "Festa: sábado".
_TOLD = re.compile(rf"\b{_VERB}.*(?:[\"“”«»]|\.\s)")
# Some phones tell it as if the person or the group had written it.
_EVENT = re.compile(rf"\u200e[^.!?,:\n]{{1,60}} {_VERB}")
_SOMETHING = (
    "(?:imagem|foto|fotografia|vídeo|áudio|figurinha|autocolante|gif|documento|arquivo|ficheiro|"
    "mídia|multimédia|ficheiro multimédia|arquivo de mídia|anexo|contato|contacto|localização|"
    "cartão d[eo] contac?to|(?:mensagem|nota|recado) de (?:voz|vídeo|áudio)|image|photo|video|"
    "audio|sticker|document|media|contact card|(?:voice|video) (?:message|note)|location)"
)
_LEFT_OUT = "(?:não (?:revelad|incluíd)[oa]|ocultad[oa]|ocult[oa]|omitid[oa]|omitted)"
_ATTACHED = (
    "(?:(?:arquivo|ficheiro) anexado|anexado|(?:em )?anexo|(?:file )?attached|archivo adjunto"
    "|adjunto)"
)
# Parts of a message that the phone wrote in the place of something else.
_PLACEHOLDER = _any(
    rf"<[^<>\n]{{1,60}} {_LEFT_OUT}>",
    rf"<{_ATTACHED}: [^<>\n]*>",
    r"<(?:(?:esta |essa )?mensagem (?:foi )?editada|se editó este mensaje|editad[oa])>",
    r"<(?:this message was |message )?edited>",
    # A whole line, or what follows a mark; a document has its name and pages before it.
    rf"(?:^(?:.* • .*)?|\u200e){_SOMETHING} {_LEFT_OUT}\.?[^\w\n]*$",
    # The name of a file may stand again as its caption.
    rf"^(?P<file>[^\n]{{1,200}})\.\w{{2,5}} \({_ATTACHED}\)$(?:\n(?P=file)(?:\.\w{{2,5}})?$)?",
    r"^\u200e?(?:localização|location|ubicación)(?: em tempo real)?: ?\u200e?https?://\S+$",
)
_CALL = (
    "(?:(?:ligação|chamada)(?: perdida)?(?: de (?:voz|vídeo))?(?: em grupo)?"
    "|(?:missed )?(?:group )?(?:voice|video) call)"
)
_SPAN = r"\d+ ?(?:h|min|m|s|seg|sec|hr)\b.{0,20}"
# Messages that are all the phone's.
_MACHINE = _any(
    r"null",
    r"(?:(?:esta|essa) )?mensagem (?:foi )?(?:apagada|eliminada)(?: p(?:or|elo) (?:um )?admin.*)?",
    r"(?:você )?(?:apagou|eliminou|apagaste|eliminaste) (?:esta|essa) mensagem",
    r"this message was deleted(?: by admin .*)?|you deleted this message",
    r"se eliminó este mensaje|eliminaste este mensaje",
    rf"(?:{_CALL} (?:perdida|não atendida|recusada)|missed {_CALL})(?: (?:às|at) {_TIME})?",
    rf"{_CALL}(?: perdida| não atendida)?[.,] "
    rf"(?:{_SPAN}|sem resposta|não atendida|no answer|(?:toque|tap) .*)",
    r"(?:a aguardar|aguardando) (?:esta |essa |a )?mensagem[.…].*(?:demorar|instantes).*",
    r"waiting for this message\..*",
    r"(?:as )?mensagens e (?:as )?(?:ligações|chamadas)\b[^.]*\b(?:en)?cript\w+.*",
    r"messages and calls are end-to-end encrypted.*",
    r"localização em tempo real (?:compartilhada|partilhada|encerrada|terminada)",
    r"live location (?:shared|ended)",
    r"(?:você recebeu uma )?(?:mensagem|foto) de visualização única(?: \w+)?",
    r"you received a view once .*",
    r"(?:enquete|sondagem|inquérito|votação|poll|encuesta):.*"
    r"\n(?:opção|option|opción):.*\(\d+ vot.*",
    whole=True,
)
_EMPHASIS = re.compile(r"(?<!\w)(```|[*_~])(?=\S)([^\n]+?)(?<=\S)\1(?!\w)")


class _Line(NamedTuple):
    """The start of a message, or of what the phone tells."""

    form: str  # of its stamp, without digits and letters
    speaker: str  # "" if the phone tells something
    text: str


def read_whatsapp(path: Path, config: ReadingConfig) -> Texts:
    """Yield a chat as a document of a message a paragraph; a .zip may hold several."""
    with open_bytes(path) as file:
        if file.read(4) == b"PK\x03\x04":
            yield from read_messages(_messages_of_zip(file), "utf-8", config)
            return
    with open_lines(path) as (lines, encoding):
        yield from read_messages(_messages(lines), encoding, config)


def looks_like_whatsapp(head: str) -> bool:
    lines = [line for line in head.split("\n") if line.strip()]
    started = [line for line in map(_start, lines) if line]
    spoken = [line.speaker for line in started if line.speaker]
    told = sum(line.speaker == "" and bool(re.search(_VERB, line.text)) for line in started)
    return (
        bool(spoken)
        and len(started) <= 3 * (len(spoken) + told)
        and len({*spoken}) < max(20, len(spoken))  # an agenda has another name a line
        and len(started) >= min(2, len(lines))
        and 30 * len(started) >= len(lines)
        # A text that quotes a chat starts otherwise; a chat may be cut at its start.
        and (_start(lines[0]) is not None or 2 * len(started) >= len(lines))
    )


def _messages_of_zip(file: IO[bytes]) -> Iterator[Message | None]:
    """Yield the messages of the chats in a .zip, None after each; pictures stay packed."""
    archive, found = Archive(file), False
    for name in archive.names:
        if not name.lower().endswith(".txt"):
            continue
        with archive.open(name) as member:
            head = member.read(_HEAD).decode("utf-8-sig", "replace")
        if looks_like_whatsapp(plain_line_ends(head)):
            found = True
            with (
                archive.open(name) as member,
                io.TextIOWrapper(member, "utf-8-sig", "replace", "") as lines,
            ):
                yield from _messages(lines)
            yield None
    if not found:
        raise ValueError("it is a .zip file without a chat: unpack it first")


def _messages(lines: Iterable[str]) -> Iterator[Message]:
    form: str | None = None
    speaker = ""
    spoken: set[str] = set()
    said: list[str] = []
    for line in lines:
        start = _start(line)
        # A line like "12/03/2024 09:16 - Dentista: exame" in a message is the phone's only if all
        # stamps have its form, or its speaker has spoken: then another phone's export follows.
        if start and (form in (None, start.form) or start.speaker in spoken):
            if start.speaker:
                spoken.add(start.speaker)
            if speaker:
                yield Message(speaker, _said(speaker, "\n".join(said), form or ""))
            form, speaker, said = start.form, start.speaker, [start.text]
        elif speaker:
            said.append(line.strip("\r\n"))
    if speaker:
        yield Message(speaker, _said(speaker, "\n".join(said), form or ""))


def _start(line: str) -> _Line | None:
    """Return the start of a message; None for a line that goes on with the one before."""
    marks = len(line) - len(line.lstrip("\u200e\u200f\u202a\u202c\ufeff "))
    if signed := _SIGNED.match(line, marks):
        return _Line("", signed["name"], "")
    stamp = _STAMP.match(line, marks)
    if not stamp:
        return None
    rest = line[stamp.end() :].strip("\r\n")
    form = re.sub(r"[\w.]", "", stamp[0])
    named = _NAME.match(rest)
    if not named or _TOLD.search(named["name"]):
        return _Line(form, "", rest)
    return _Line(form, visible(named["name"]).strip(), rest[named.end() :])


def _said(speaker: str, text: str, form: str) -> str:
    """Return what a person wrote of a message, "" if nothing; `form` is that of its stamp."""
    text = unicodedata.normalize("NFC", text)
    shown = visible(text).strip()
    told = re.match(_VERB, shown.removeprefix(f"{speaker} ")) if shown.startswith(speaker) else None
    if told or _EVENT.match(text) or _MACHINE.fullmatch(shown):
        return ""
    text = _PLACEHOLDER.sub("", text)
    if form.startswith("[") and text.startswith("\u200e"):  # so an iPhone marks its own words
        return ""
    return "" if _MACHINE.fullmatch(visible(text).strip()) else _EMPHASIS.sub(r"\2", text)
