"""Subtitles: SubRip, WebVTT, SubStation Alpha, MicroDVD and YouTube's .sbv.

Not with pysubs2, which takes comments, names of cues and broken times for text, and stops at a
broken time of SubStation Alpha.
"""

import html
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.corpus.config import ReadingConfig
from pipeline.corpus.formats.credits import without_credits
from pipeline.corpus.formats.texts import Text, Texts
from pipeline.corpus.opening import read_pieces
from pipeline.text.sentences import sentence_end

_TIME = re.compile(r"(?<![\w:])(?:\d+:){1,2}\d+(?:[.,]\d+)?(?![\w:]|\.\d)")
# A line with a broken time still separates two cues. The second is of .sbv.
_TIMES = re.compile(rf".{{0,20}}(?:--?|[—–]) ?>[ \t]*(?:\d.*)?|{_TIME.pattern},{_TIME.pattern}")
_SURE_TIMES = re.compile(rf"^[ \t]*{_TIME.pattern}(?:[ \t]*-->[ \t]*|,){_TIME.pattern}", re.M)
_NUMBER = re.compile(r"\W*\d+\W*")  # of a cue
_NAME = re.compile(r"[\w./-]*\d[\w./-]*")
_DIALOGUE = re.compile(
    r"\s*Dialogue:[^,\n]*,(?P<times>[^,\n]*,[^,\n]*),(?:[^,\n]*,){6}(?P<text>.*)"
)
_FRAMES = re.compile(r"[ \t]*[{\[](\d+)[}\]][ \t]*[{\[](\d*)[}\]](.*)")
_FRAMES_PER_SECOND = 25

_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}[^{}]*")
_TAG = re.compile(r"\{[^{}]*\}|</?[A-Za-z][^<>]*>|<[\d:.]+>")
_SOUNDS = (
    r"ri(?:s[oa]s?|ndo)?|m[úu]sica|aplausos?|suspir\w+|solu[çc]\w+|grit\w+|toss\w+|chor\w+|gem\w+"
    r"|sussurr\w+|ofeg\w+|laugh\w*|sigh\w*|music|applause"
)
_SOUND = re.compile(
    rf"""\[[^\[\]]*\]:?
      | ^(?P<dash>[-–—]?)[^\S\n]*(?:
            \([^().!?…]*\):?[^\S\n]*$  # a line, or several, of its own
          | \([A-ZÀ-Ý][A-ZÀ-Ý\d .'-]*\):?  # who speaks
        )
      | \((?i:{_SOUNDS})\b[^().!?…]*\)""",
    re.MULTILINE | re.VERBOSE,
)
_SONG = re.compile(r"[♪♫♩♬🎵🎶]+|^#(?=\s)|(?<=\s)#$", re.MULTILINE)
_SPEAKER = re.compile(r"^\s*>{2,3}", re.MULTILINE)
_BREAK = "\0"
# Who speaks: in WebVTT's own way, and in the way of transcripts of meetings.
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_VOICED = re.compile(r"(?P<name>[^\x01]*)\x01 *")
_NAMED = re.compile(r"(?P<name>[A-ZÀ-Ý][^:.,!?]{0,40}): +(?=\S)")
# In those for the deaf; a sign, in capitals too, has no other letters.
_SHOUTED = re.compile(
    r"[-–—‐]?\s*(?P<name>[A-ZÀ-Ý][A-ZÀ-Ý\d .'-]{1,30}): *(?:$|(?=[^a-zà-ÿ]*[A-ZÀ-Ý]?[a-zà-ÿ]))"
)
_ELLIPSES = ("...", "…")
_DASHES = ("-", "–", "—", "‐")
_SENTENCE_END = sentence_end()

# Seconds without a cue that end a paragraph: after a sentence, and anywhere.
_PAUSE, _LONG_PAUSE = 1.0, 3.0
_PUNCTUATED = 0.1  # the share of cues that end a sentence; automatic captions have none
_NAMES = 0.6  # the share of cues that begin with a name
_ROLLING = 0.25  # the share of cues that repeat lines of the one before


class _Cue(NamedTuple):
    """What is shown at once; an empty line ends a paragraph."""

    start: float  # in seconds
    end: float
    lines: list[str]


def looks_like_subtitles(head: str) -> bool:
    """Return whether a text is cues with their times, one after the other."""
    lines = [line for line in head.split("\n") if line.strip()]
    if re.match(r"\s*WEBVTT\b", head) or re.search(r"^Dialogue:[^,\n]*,\d+:\d\d:", head, re.M):
        return True
    if sum(map(bool, map(_FRAMES.match, lines))) > 0.8 * len(lines):
        return True
    return len(_SURE_TIMES.findall(head)) > len(lines) / 12


def read_subtitles(path: Path, config: ReadingConfig) -> Texts:
    """Yield what is said as one document, or as several if it is longer than `MAX_PIECE`."""
    webvtt = False
    for text, encoding in read_pieces(path):
        webvtt = webvtt or text.lstrip("\ufeff \n").startswith("WEBVTT")
        yield Text(subtitle_paragraphs(text, webvtt=webvtt), encoding)


def subtitle_paragraphs(text: str, *, webvtt: bool = False) -> list[str]:
    """Return what is said, in paragraphs that begin after a pause or with a dash."""
    lines = text.splitlines()
    if any(map(_DIALOGUE.match, lines)):
        found = filter(None, map(_DIALOGUE.match, lines))
        cues = _place((one["times"], [_DRAWING.sub("", one["text"])]) for one in found)
    elif sum(map(bool, map(_FRAMES.match, lines))) > len(lines) / 2:
        cues = _framed_cues(lines)
    else:
        cues = _timed_cues(lines, webvtt=webvtt)
    cleaned = (cue._replace(lines=without_credits(_clean(cue.lines))) for cue in cues)
    return _join(_unroll(_without_names([cue for cue in cleaned if cue.lines])))


def _timed_cues(lines: Sequence[str], *, webvtt: bool) -> list[_Cue]:
    """Return the cues below lines with times."""
    places = [place for place, line in enumerate(lines) if _TIMES.fullmatch(line)]
    if not places and any(line.strip() for line in lines) and not webvtt:
        raise ValueError("it has no times of subtitles: if it is plain text, end its name in .txt")
    cues = []
    for place, after in itertools.pairwise([*places, len(lines)]):
        shown = list(lines[place + 1 : after])
        if after < len(lines) and _names_next_cue(shown):
            shown.pop()
        if webvtt and "" in shown[1:]:
            # It ends the cue; comments may follow. The empty lines of YouTube hold a space.
            del shown[shown.index("", 1) :]
        cues.append((lines[place], shown))
    return _place(cues)


def _place(cues: Iterable[tuple[str, list[str]]]) -> list[_Cue]:
    """Return cues with their times; a cue without follows the one before."""
    found = []
    last = 0.0
    for line, shown in cues:
        times = [_seconds(time) for time in _TIME.findall(line)[:2]]
        start = times[0] if len(times) > 1 else last
        last = times[-1] if times else last
        found.append(_Cue(start, last, shown))
    return found


def _framed_cues(lines: Sequence[str]) -> list[_Cue]:
    cues = []
    for found in filter(None, map(_FRAMES.match, lines)):
        start, end, text = found.groups()
        if start == end and text.replace(".", "").isdigit():
            continue  # the number of frames per second
        shown = [line.removeprefix("/") for line in text.split("|")]
        first, last = (int(frame) / _FRAMES_PER_SECOND for frame in (start, end or start))
        cues.append(_Cue(first, last, shown))
    return cues


def _names_next_cue(shown: Sequence[str]) -> bool:
    """Return whether the last line before a time is a number, or a name with one."""
    if not shown:
        return False
    alone = len(shown) > 1 and not shown[-2].strip()
    return bool((_NAME if alone else _NUMBER).fullmatch(shown[-1].strip()))


def _seconds(time: str) -> float:
    total = 0.0
    for part in time.replace(",", ".").split(":"):
        total = 60 * total + float(part)
    return total


def _clean(lines: Sequence[str]) -> list[str]:
    """Return lines without tags and sounds; an empty one parts songs and speakers."""
    text = "\n".join(line.strip() for line in lines)
    text = re.sub(r"\\[Nn]", "\n", html.unescape(text)).replace(r"\h", " ")
    text = _TAG.sub("", _VOICE.sub("\\1\x01", text))
    text = _SPEAKER.sub(f"\n{_BREAK}\n", text)
    text = _SOUND.sub(lambda found: found["dash"] or "", text)
    text = _SONG.sub(f"\n{_BREAK}\n", text)
    found = [" ".join(line.split()) for line in text.split("\n")]
    return [line.strip(_BREAK) for line in found if line == _BREAK or any(map(str.isalnum, line))]


def _without_names(cues: Sequence[_Cue]) -> list[_Cue]:
    """Return cues without the names of who speaks; another speaker begins a paragraph."""
    names = [found["name"] for cue in cues if (found := _NAMED.match(cue.lines[0]))]
    meeting = len(names) > _NAMES * len(cues) and len(set(names)) <= len(names) / 2
    pattern = _NAMED if meeting else _VOICED
    last, kept = "", []
    for cue in cues:
        lines: list[str] = []
        for line in cue.lines:
            found = pattern.match(line) or _SHOUTED.match(line)
            if found and found["name"] != last:
                last = found["name"]
                lines.append("")
            said = line[: found.start("name")] + line[found.end() :] if found else line
            lines += [said] if said or not line else []  # the name may stand alone
        kept.append(cue._replace(lines=lines))
    return kept


def _unroll(cues: Sequence[_Cue]) -> list[_Cue]:
    """Return cues without what the cue before showed already, as rolling captions do."""
    repeated = [0, *itertools.starmap(_count_repeated, itertools.pairwise(cues))][: len(cues)]
    rolling = sum(map(bool, repeated)) > _ROLLING * len(cues)
    found = []
    for number, (cue, count) in enumerate(zip(cues, repeated, strict=True)):
        again = count and (rolling or cue.start < cues[number - 1].end)
        found.append(cue._replace(lines=_drop_words(cue.lines, count)) if again else cue)
    return found


def _count_repeated(before: _Cue, cue: _Cue) -> int:
    """Return how many words of a cue end the one before: whole lines, or several words."""
    shown = " ".join(before.lines).split()
    words = " ".join(cue.lines).split()
    least = max(1, min(2, len(before.lines[-1].split())))
    counts = range(min(len(shown), len(words)), least - 1, -1)
    return next((count for count in counts if shown[-count:] == words[:count]), 0)


def _drop_words(lines: Sequence[str], count: int) -> list[str]:
    found = []
    for line in lines:
        words = line.split()
        if len(words) > count or not words:
            found.append(" ".join(words[count:]))
        count = max(count - len(words), 0)
    return found


def _join(cues: Sequence[_Cue]) -> list[str]:
    """Return the paragraphs of cues."""
    ends = sum(bool(_SENTENCE_END.search(cue.lines[-1])) for cue in cues if cue.lines)
    punctuated = ends > _PUNCTUATED * len(cues)
    found: list[list[str]] = []  # the lines of each paragraph
    opens, last = True, _Cue(0.0, 0.0, [])
    for cue in cues:
        pause: float | None = cue.start - last.end
        opens = opens or cue.start < last.start
        for line in cue.lines:
            if not line:
                opens = True
                continue
            if (
                opens
                or line.startswith(_DASHES)
                or (pause is not None and _ends(found[-1], line, pause, punctuated))
            ):
                found.append([line])
            else:
                cut = found[-1][-1].endswith(_ELLIPSES) and line.startswith(_ELLIPSES)
                found[-1].append(line.lstrip(".… ") if cut else line)
            opens, pause = False, None  # lines of one cue belong together
        last = cue
    return [" ".join(lines) for lines in found]


def _ends(paragraph: Sequence[str], line: str, pause: float, punctuated: bool) -> bool:
    """Return whether a paragraph ends before the first line of the next cue."""
    if _SENTENCE_END.search(paragraph[-1]):
        title = line.isupper() and len(line) > 3 and not _SENTENCE_END.search(line)
        return title or pause >= _PAUSE or paragraph[0].startswith(_DASHES)
    if paragraph[-1].isupper() and not line.isupper():  # MANHÃ SEGUINTE
        return True
    return pause >= _LONG_PAUSE and not (punctuated and line[0].islower())
