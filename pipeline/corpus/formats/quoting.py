"""What a message quotes, signs and appends."""

import itertools
import re
from collections.abc import Sequence

from pipeline.text.sentences import sentence_end

_VERBS = ("escreveu", "wrote", "escribió", "a écrit")
_VERB = rf"(?:{'|'.join(_VERBS)})"
_ADDRESS = r"[<\[(]?[\w.+-]+(?:@| (?:at|em|arroba) )(?:[\w-]+\.)+[a-z]{2,}\b[>\])]?"
# "Em seg., 3 de mar. de 2024 às 10:00, Rui <rui@exemplo.pt> escreveu:"
_ATTRIBUTION = re.compile(
    rf"""(?:em|no\ dia|na|dia|a|on|el|le|at)\ .*\d.*\b{_VERB}\s?:?
      | .*{_ADDRESS}.*\b{_VERB}\b.*:
      | \d\d\d\d[-/]\d\d[-/]\d\d\ .*{_ADDRESS}\s?:""",
    re.IGNORECASE | re.VERBOSE,
)
_MAX_ATTRIBUTION = 300  # characters
_SURE = re.compile(rf".*(?:\d:\d\d|{_ADDRESS})", re.IGNORECASE)
_SAID = re.compile(
    rf"(?:citando|quoting|citação de) .*:|.*(?:\b{_VERB}|\bdisse|\bsaid|{_ADDRESS})\s?:",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"""[-_* ]{2,}(?:mensagem\ (?:original|(?:re)?encaminhada)|(?:original|forwarded)\ message
        |forwarded\ by\ .*|mensaje\ original|mensagem\ reenviada)[-_* ]*:?[-_* ]*
      | (?:in[ií]cio\ da\ mensagem\ (?:re)?(?:encaminhada|enviada)|begin\ forwarded\ message):?""",
    re.IGNORECASE | re.VERBOSE,
)
_FROM = re.compile(r"[*_ ]*(?:de|from)[*_ ]*:[*_ ]*\S", re.IGNORECASE)
_FIELD = re.compile(
    r"[*_ ]*(?:enviad[ao](?: em)?|data|date|sent|para|to|assunto|subject|cc|bcc|cco|de|from"
    r"|responder para|reply-to)[*_ ]*:",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"[*_ ]*(?:assunto|subject)[*_ ]*:", re.IGNORECASE)
_RULE = re.compile(r"[-_=*#~]{3,}\W*")
_LIST_FOOTER = re.compile(
    r"mailing ?list|lista de discuss|listinfo|unsubscribe|desinscrev"
    r"|cancelar (?:a |sua )*(?:inscri|assin)"
    r"|(?:grupos?|groups)\.(?:google|yahoo)|yahoo! grup|google groups|grupo.{0,20}google",
    re.IGNORECASE,
)
_MAX_SIGNATURE = 12  # lines below a "--" that may also be a rule, or below a closing
_MAX_CONTACT = 80  # characters of them; longer ones are prose
_CLOSING = re.compile(
    r"""(?:atte?|atenciosamente|cordialmente|respeitosamente|saudações(?:\ \w+)?|grat[oa]
      |obrigad[oa]|(?:com\ os\ )?(?:melhores\ |meus\ )?cumprimentos
      |(?:um\ )?(?:grande\ )?abra[çc]os?)[.,;!]*""",
    re.IGNORECASE | re.VERBOSE,
)
_CONTACT = re.compile(
    r"\b(?:tel|telefone|telem[óo]vel|celular|cel|fone|fax|ramal|e-?mail)\b *[.:]|www\.|https?:"
    r"|\S@\S+\.\w|\d{4}-?\d{4}\b|\d{3} \d{3} \d{3}\b",
    re.IGNORECASE,
)
_SENTENCE_END = sentence_end()
_POSTSCRIPT = re.compile(r"p\.? ?s\b", re.IGNORECASE)
_MOBILE = re.compile(
    r"""(?:(?:mensagem\ )?(?:enviad[oa]|escrit[oa]|sent)\ (?:d[aoe]|pel[ao]|via|com|a\ partir
          |atrav[ée]s|usando|from|with|using|by)\b.{0,30}\b(?:iphone|ipad|ipod|android
          |samsung|galaxy|celular|telem[óo]vel|smartphone|blackberry|motorola|moto\ g|xiaomi|huawei
          |tablet|m[óo]vel|mobile|dispositivo|yahoo|outlook|hotmail|windows|nokia|proton\w*|gmail)
          \b.{0,40}
      | (?:obt[ée]r?|obtenha|baixe|get)\ (?:o\ )?outlook\b.*
      | (?:livre\ de|sem|virus-?free|não\ contém)\W*(?:v[íi]rus)?.{0,25}(?:avast|avg)\b.*
      | este?\ e-?mail\ (?:foi|está).{0,40}(?:avast|antiv[íi]rus).*
      | (?:antes\ de|pense\ (?:bem\ )?antes|please\ consider).{0,60}\b(?:imprimi|print)
          .*(?:ambiente|necess|natureza|planeta|environment).*
      | \[?(?:image|imagem|cid):[^\]]*\]?)""",
    re.IGNORECASE | re.VERBOSE,
)
_INLINE = re.compile(r"\[(?:image|imagem|cid):[^\]]*\]|<(?:https?|mailto|tel):[^>]*>", re.I)
_PGP = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:\w+: .*\n)*"
    r"|-----BEGIN PGP (?!SIGNED)[A-Z ]+-----.*?(?:-----END PGP [A-Z ]+-----|\Z)",
    re.DOTALL,
)
# What newsletters say at their end, or their start.
_NO_MORE = re.compile(
    r"""\breceb(?:er?|eu|endo)\ (?:mais\ )?(?:[oa]s?|es[ts][ae]s?|noss[oa]s)
        \ (?:e-?mails?|mensage[mn]s?|newsletters?|comunicações)\b
        .*(?:cancel|descadastr|remov|clique|porque)
      | \b(?:cancel[ae]r?|anular?)\ (?:a\ )?(?:sua\ )?(?:inscrição|subscrição|assinatura)\b
        .*\b(?:aqui|clique)
      | \b(?:clique|carregue)\ aqui\b.*\b(?:navegador|browser|cancelar|descadastrar)
      | ^(?:ver|visualizar|abrir)\ (?:este\ e-?mail\ )?no\ (?:seu\ )?(?:navegador|browser)\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
_DISCLAIMER = [
    re.compile(words, re.IGNORECASE)
    for words in (
        r"mensage[mn]|e-?mail|message|correio",
        r"confidencia|sigilos|privilegiad|privileged|proprietary",
        r"destinat[áa]ri|recipient|addressee|endere[çc]ad|intended",
        r"proibid|vedad|n[ãa]o autorizad|por engano|apag[au]|destru|prohibit|in error|delete",
    )
]


def own_words(text: str) -> str:
    """Return the text of a message without what it quotes and its signature."""
    lines = [line.rstrip() if line != "-- " else line for line in _PGP.sub("", text).split("\n")]
    lines = _without_signature(_without_quotes(lines))
    kept = [line for line in lines if not _MOBILE.fullmatch(line.strip(" *_.<>"))]
    return _INLINE.sub("", "\n".join(kept))


def is_disclaimer(paragraph: str) -> bool:
    """Return whether a paragraph says that a message is confidential, or how to get no more."""
    if _NO_MORE.search(paragraph) and len(paragraph) < _MAX_ATTRIBUTION:
        return True
    return all(word.search(paragraph) for word in _DISCLAIMER)


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _without_quotes(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if _is_quoted(line):
            place += 1
            continue
        count = _header_lines(lines, place) or _attribution_lines(lines, place)
        if count and not any(map(_is_quoted, lines[place + count : place + count + 15])):
            break  # all the rest is quoted
        if not count:
            kept.append(line)
        place += count or 1
    while kept and (not kept[-1].strip() or _RULE.fullmatch(kept[-1].strip())):
        kept.pop()
    return kept


def _header_lines(lines: Sequence[str], place: int) -> int:
    """Return the number of lines that introduce a message sent on, or answered, from a place."""
    count = int(bool(_FORWARDED.fullmatch(lines[place].strip())))
    if not count and not _FROM.match(lines[place]):
        return 0
    fields = [line for line in lines[place : place + 10] if _FIELD.match(line)]
    # A letter may say where from and where to, too.
    if len(fields) < 3 or not (count or any(map(_SUBJECT.match, fields))):
        return count
    return next(
        number
        for number in range(10, 0, -1)
        if lines[place + number - 1 : place + number] and _FIELD.match(lines[place + number - 1])
    )


def _attribution_lines(lines: Sequence[str], place: int) -> int:
    """Return the number of lines that say who wrote what is quoted below."""
    for count in range(1, 5):
        span = lines[place : place + count]
        if not span[-1].strip():
            return 0
        after = next(filter(None, map(str.strip, lines[place + count : place + count + 5])), "")
        joined = " ".join(" ".join(span).split())
        if len(joined) > _MAX_ATTRIBUTION:
            return 0
        if not joined.endswith((":", *_VERBS)):
            continue
        if _ATTRIBUTION.fullmatch(joined) and (_SURE.match(joined) or _is_quoted(after)):
            return count
        if count == 1 and _is_quoted(after) and _SAID.fullmatch(joined):
            return count
    return 0


def _without_signature(lines: list[str]) -> list[str]:
    for place, line in enumerate(lines):
        if line == "-- ":
            return lines[:place]
        if _CLOSING.fullmatch(line.strip()) and (first := _contact_line(lines, place + 1)):
            return lines[:first]
        if not _RULE.fullmatch(line.strip()) and line not in ("--", "—"):
            continue
        below = [lines[other] for other in _filled(lines, place + 1)]
        short = line in ("--", "—") and len(below) <= _MAX_SIGNATURE
        if short or any(map(_LIST_FOOTER.search, below[:4])):
            return lines[:place]
    return lines


def _filled(lines: Sequence[str], start: int) -> list[int]:
    """Return the places of the next lines that are not empty, one more than signatures have."""
    filled = (place for place in range(start, len(lines)) if lines[place].strip())
    return list(itertools.islice(filled, _MAX_SIGNATURE + 1))


def _contact_line(lines: Sequence[str], start: int) -> int:
    """Return the place of what follows the name below a closing, if it tells how to write."""
    filled = _filled(lines, start)
    if not 2 <= len(filled) <= _MAX_SIGNATURE:
        return 0
    name, *below = [lines[place].strip() for place in filled]
    if _SENTENCE_END.search(name):
        return 0
    if any(map(_POSTSCRIPT.match, below)) or not any(map(_CONTACT.search, below)):
        return 0
    return filled[1] if max(map(len, below)) < _MAX_CONTACT else 0
