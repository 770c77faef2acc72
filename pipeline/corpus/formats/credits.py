"""The credits and advertisements that subtitles carry."""

import re
from collections.abc import Sequence

from pipeline.text.sentences import sentence_end

_SENTENCE_END = sentence_end()
_WORK = r"""(?:(?:re)?(?:legenda(?:s|dos?|das?|gem|gens|ção)?|legenders?|tradu[çc](?:ão|ao|ões)
    |tradu(?:tor(?:a|es|as)?|zid[oa]s?)|sinc(?:ronia|ronismo|roniza\w*)?|resync\w*|sync\w*
    |revis(?:[ãa]o|ad[oa]s?|or(?:a|es|as)?|ões)|transcri(?:[çc][ãa]o|tas?|to)|ripad[oa]s?|rip
    |ripped|adapta(?:[çc][ãa]o|d[oa]s?)|ajust(?:e|es|ad[oa]s?)|corre[çc](?:[ãa]o|ões)
    |corrigid[oa]s?|remasteriz\w+|vers[ãa]o[ ]brasileira
    |encod\w+|subtitl\w+|subs|captions?|captioning|captioned|translat\w+
    |corrected|timing|timed|transcrib\w+|transcript|closed|marcação|quality[ ]check))"""
# What the work was, and who did it.
_CREDIT = re.compile(
    rf"""\W*(?:uma\s+)?
        (?P<work>{_WORK}(?:(?:\s+(?:e|and|original|final|geral)\s+|\s*[&/,+|]\s*|\s+){_WORK})*)
        (?P<language>\s+(?:em|para|in)\s+(?:o\s+)?portugu\w+
        (?:\s+(?:d[eo]\s+(?:brasil|portugal)|brasileiro|europeu))?)?
        (?:\s+d[oa]\s+(?:inglês|francês|espanhol|italiano|alemão|japonês|coreano))?
        (?P<by>\s*[:|]|\s+[-–—]
            |\s+(?:por|pel[oa]s?|by|da\s+equip[ea])\b(?:\s+(?:[ao]s?|the)\b)?:?|\s|$)
        \s*(?P<who>.*)""",
    re.IGNORECASE | re.VERBOSE,
)
# Words that say nothing else before a colon.
_SURE = ("legend", "sinc", "sync", "resinc", "resync", "subtitl")
_SMALL = set("e de da do das dos a o & and the by por / - – | , +".split())
_ADVERTISEMENT = re.compile(
    r"""open-?subtitles|osdb\.link|\blegendas\.?tv\b|addic7ed|subscene|podnapisi|yify|yts\.\w\w
      |amara\.org|tvsubtitles|\binsubs\b|legendei|legendasdivx|subdivx|tvsubs|subdl|napiprojekt
      |advertise\ your\ product|become\ (?:a\ )?vip|rate\ this\ subtitle|best\ subtitles
      |(?:seu|o\ teu)\ produto\ ou\ marca|membro\ vip|avalie\ esta\ legenda|melhores\ legendas""",
    re.IGNORECASE | re.VERBOSE,
)
_ADDRESS = re.compile(
    r"(?:[\w-]+: ?)?(?:https?://|www\.|[\w-]+\.(?:com|net|org|tv|br|pt)(?=[/.]|$))\S*",
    re.IGNORECASE,
)
_PRESENTS = re.compile(r"\W*(?:equip[ea]|team|grupo|legenders)\b[^.!?:]*\bapresentam?\W*", re.I)


def without_credits(lines: Sequence[str]) -> list[str]:
    """Return the lines of a cue; of one with credits, only its whole sentences."""
    if _ADVERTISEMENT.search(" ".join(lines)):
        return []
    if not any(map(_is_credit, lines)):
        return list(lines)
    return [line for line in lines if _SENTENCE_END.search(line) and not _is_credit(line)]


def _is_credit(line: str) -> bool:
    if _ADDRESS.fullmatch(line) or _PRESENTS.fullmatch(line):
        return True
    found = _CREDIT.fullmatch(line)
    if not found:
        return False
    work, by, who = found["work"].lower(), found["by"].strip().lower(), found["who"]
    if not who:  # "Tradução e legendagem", "Legendas em português", "Traduzido por"
        return bool(by or found["language"]) or len(work.split()) > 1
    if (not by and len(work.split()) < 2) or _SENTENCE_END.search(who):
        return False
    names = [word for word in who.split() if word.lower() not in _SMALL]
    sure = by == ":" and work.startswith(_SURE)
    return len(names) < 9 and (sure or all(map(_is_name, names)))


def _is_name(word: str) -> bool:
    """Return whether a word is a name (Ana, joao_42, @ana, LegendasTV)."""
    word = word.strip(",;()")
    return not word.isalpha() or not word.islower()
