"""Files of Portuguese text become clean documents, split for training and honest testing."""

import codecs
import collections
import fnmatch
import glob
import hashlib
import itertools
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from pipeline import InputError

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")

# A share of the documents this large goes to valid and to test where no glob says otherwise.
HELD_OUT_SHARE = 0.05
# With fewer documents than this, every document is cut instead: its first paragraphs train,
# the next tenth validates, the last tenth tests.
FEW_DOCUMENTS = 20

# What Portuguese is written with beside ASCII, and the encodings it was written in before UTF-8,
# likeliest first: Windows (Latin-1 is part of it), DOS, Macintosh.
_LETTERS = "áàâãéêíóôõúüçÁÀÂÃÉÊÍÓÔÕÚÜÇñÑªº°§€«»“”‘’–—…²³½"
_ENCODINGS = ("utf-8-sig", "cp1252", "cp850", "mac_roman")

# Lines broken before this many letters are verse.
_NARROWEST = 50
_NARROW = re.compile(r"[iíjlrtfI.,;:!|'’\"“”()\[\] -]")
_WIDE = re.compile(r"[mwMW—…%]")
_SENTENCE_ENDS = re.compile(r"[.!?…:;][\"'”’»)\]]*$")
# A dash of dialogue, the name of who speaks in a play, a heading.
_PARAGRAPH_OPENS = re.compile(r"[—–-]|[A-ZÁÂÃÉÊÍÓÔÕÚÇ. ]+[—–]|(?i:capítulo)\b")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")

# Pronouns that Portuguese hangs on a verb with a hyphen (disse-lhe), old spellings included.
_CLITICS = set("me te se lhe nos vos lhes o a os as lo la los las no na mo ma to ta".split())


def find_files(corpus: Sequence[str]) -> list[tuple[Path, str]]:
    """The text files of folders, files and globs, each with its name relative to what named it.

    A folder stands for all .txt files below it. The names of a glob are relative to the folder
    before its first wildcard. A file that is named twice is found once.

    Raises:
        InputError: one of them does not exist or holds no text file.
    """
    found: dict[Path, tuple[Path, str]] = {}
    for name in corpus:
        place = Path(name)
        if place.exists():
            named, root = [place], place if place.is_dir() else place.parent
        else:
            named = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
            root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), place.parts))
        files = [file for file in named if file.is_file()]
        for folder in named:
            files += [file for file in sorted(folder.rglob("*")) if _is_text_file(file)]
        if not files:
            raise InputError(
                f"There is no text to read at {name}: name a .txt file, a folder of them, or a "
                "glob in quotes."
            )
        for file in files:
            found.setdefault(file.resolve(), (file, file.relative_to(root).as_posix()))
    return list(found.values())


def _is_text_file(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and path.is_file()


def decode(data: bytes) -> str:
    """Text from bytes: UTF-8, UTF-16 with BOM, or the old encoding that fits Portuguese best.

    Detectors that must tell all languages apart take every second short Portuguese text in
    Latin-1 for Polish. Here it is enough to see which encoding yields most Portuguese letters.
    Single bytes that fit none of them become U+FFFD.

    Raises:
        ValueError: the bytes are no text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            texts = [data.decode(encoding, errors="replace") for encoding in _ENCODINGS]
            text = max(texts, key=lambda text: 2 * _portuguese(text) - _beyond_ascii(text))
            if _beyond_ascii(text) > 2 * _portuguese(text) + len(text) / 100:
                raise ValueError("its bytes are Portuguese in no known encoding") from None
    controls = sum(text.count(chr(code)) for code in range(32) if code not in (9, 10, 12, 13))
    if controls > len(text) / 100:
        raise ValueError("its bytes are no text")
    return unicodedata.normalize("NFC", text)


def _portuguese(text: str) -> int:
    return sum(map(text.count, _LETTERS))


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", errors="ignore"))


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a text, with the line breaks of a hard-wrapped book undone.

    Lines are joined while they are full, which means that the first word of the next one would
    not have fitted:

        A vizinha contou que o cachorro da padaria tinha passado a noite na calçada,
        debaixo do toldo, sem latir uma só vez.             <- "—" would have fitted
        — Ele espera o padeiro, disse ela.

    becomes two paragraphs. Verse, dialogue and headings stop early and stay as they are; so
    does every line of a text that shows no width at which its lines were broken.
    """
    lines = [line.expandtabs().rstrip() for line in text.splitlines()]
    found = _find_width(lines)
    if found is None:
        return [" ".join(line.split()) for line in lines if line]
    words = _whole_words(lines)
    # Few lines end in a hyphen of their own; where many do, words are cut between syllables.
    syllables = sum(line.endswith("-") for line in lines) > max(2, len(lines) / 20)
    joined: list[str] = []
    for before, line in itertools.pairwise(["", *lines]):
        clean = " ".join(line.split())
        if clean and _goes_on(before, line, *found):
            joined[-1] = _join(joined[-1], clean, words, syllables)
        elif clean:
            joined.append(clean)
    return joined


def _printed(line: str) -> float:
    """Length of a line in proportional type, in letters of usual width."""
    return len(line) - 0.4 * len(_NARROW.findall(line)) + 0.5 * len(_WIDE.findall(line))


def _with_next_word(line: str, after: str) -> str:
    return f"{line} {after.split(maxsplit=1)[0]}"


def _find_width(lines: Sequence[str]) -> tuple[Callable[[str], float], float] | None:
    """How the lines of a text were measured and the width they were broken at, if they were.

    Where a line goes on in lower case, the width lies between its own length and that with the
    next word. The width that lies between them most often is the one; it must explain most of
    these lines, and enough of all that are so long.
    """
    pairs = [pair for pair in itertools.pairwise(lines) if all(pair)]
    typewriter: Callable[[str], float] = len
    most, width, ruler = 0, 0.0, typewriter
    for measure in (typewriter, _printed):
        edges: list[tuple[float, int]] = []
        for line, after in pairs:
            if _opens_in_lower_case(after):
                edges.append((measure(line), 1))
                edges.append((measure(_with_next_word(line, after)), -1))
        depth = 0
        for edge, step in sorted(edges):
            depth += step
            if depth > most:
                most, width, ruler = depth, edge, measure
    going_on = sum(_opens_in_lower_case(after) for _, after in pairs)
    long = sum(ruler(line) > 0.85 * width for line, _ in pairs)
    if width < _NARROWEST or most < going_on / 2 or most < long / 3:
        return None
    return ruler, width


def _opens_in_lower_case(line: str) -> bool:
    return line.lstrip()[:1].islower()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _goes_on(line: str, after: str, ruler: Callable[[str], float], width: float) -> bool:
    """Whether the paragraph of a line goes on in the line after it."""
    if not line:
        return False
    start, length = after.lstrip(), ruler(line)
    full = ruler(_with_next_word(line, after)) > width
    if start[0].islower():
        return full or length > 0.67 * width
    if not _SENTENCE_ENDS.search(line):
        heading = line.isupper() and not start.isupper()
        return (full or length > 0.85 * width) and not heading
    opens = _PARAGRAPH_OPENS.match(start) or start.isupper() or _indent(after) > _indent(line)
    # Longer than the width is what an earlier repair has joined: nobody knows if it was full.
    return full and not opens and length < 1.05 * width


def _whole_words(lines: Iterable[str]) -> collections.Counter[str]:
    """How often each word occurs, leaving out the halves of words cut at the end of a line."""
    words: collections.Counter[str] = collections.Counter()
    cut = False
    for line in lines:
        found = _WORD.findall(line.lower())
        first, cut = int(cut), line.endswith("-")
        words.update(found[first : len(found) - cut])
    return words


def _join(first: str, second: str, words: collections.Counter[str], syllables: bool) -> str:
    """Two lines of one paragraph; a hyphen at the end stays only where the word has one."""
    head = _WORD.findall(first.rpartition(" ")[2].lower())
    tail = _WORD.match(second.lower())
    if first.endswith("\N{SOFT HYPHEN}"):
        return first[:-1] + second
    if first.endswith("-") and second.startswith("-"):  # Portuguese printers repeat it
        return first + second[1:]
    if not (first.endswith("-") and first[-2:-1].isalnum() and head and tail):
        return f"{first} {second}"
    hyphened, plain = words[f"{head[-1]}-{tail[0]}"], words[head[-1] + tail[0]]
    keep = hyphened > plain
    if hyphened == plain:
        halves = (head[-1].rpartition("-")[2], tail[0].partition("-")[0])
        keep = not syllables or all(
            half in _CLITICS or words[half] or half.isdecimal() for half in halves
        )
    return first + second if keep else first[:-1] + second


def _read(files: Iterable[tuple[Path, str]]) -> Iterator[tuple[str, list[str]]]:
    """(source, paragraphs) of every file that can be read and is not empty."""
    for path, source in files:
        try:
            text = decode(path.read_bytes())
        except (OSError, ValueError) as error:
            log.warning("Skipped %s: %s.", path, error)
            continue
        if damaged := text.count("\N{REPLACEMENT CHARACTER}"):
            log.warning("%s holds %d characters that cannot be read.", path, damaged)
        if found := paragraphs(text):
            yield source, found
        else:
            log.warning("Skipped %s: it is empty.", path)


def _digest(found: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _fraction(found: Sequence[str]) -> float:
    """A number in [0, 1) that depends on the text alone, so that adding files moves nothing."""
    return int(_digest(found)[:12], 16) / 16**12


def _named_split(source: str, valid: Sequence[str], test: Sequence[str]) -> str | None:
    for split, globs in (("test", test), ("valid", valid)):
        if any(fnmatch.fnmatchcase(source, pattern) for pattern in globs):
            return split
    return None


def _split_by_share(
    documents: Sequence[tuple[str, list[str]]], held_out: Sequence[str]
) -> list[tuple[str, str, list[str]]]:
    """(source, split, paragraphs): whole documents by hash, or parts of each where they are few."""
    rows = []
    for source, found in documents:
        if len(documents) >= FEW_DOCUMENTS:
            place = int(_fraction(found) / HELD_OUT_SHARE)
            split = SPLITS[place + 1] if place + 1 < len(SPLITS) else "train"
            rows.append((source, split if split in held_out else "train", found))
        elif len(found) > len(held_out):
            block = max(len(found) // 10, 1)
            first = len(found) - block * len(held_out)
            rows.append((source, "train", found[:first]))
            for start, split in zip(range(first, len(found), block), held_out, strict=True):
                rows.append((source, split, found[start : start + block]))
        else:  # too short to cut
            rows.append((source, "train", found))
    for split in held_out:
        train = [row for row in rows if row[1] == "train"]
        if len(train) > 1 and all(row[1] != split for row in rows):
            # Chance has left the split empty: it gets the document that came nearest.
            source, _, found = nearest = min(train, key=lambda row: _fraction(row[2]))
            rows[rows.index(nearest)] = (source, split, found)
    return rows


def ingest(
    *, corpus: Sequence[str], output: Path, valid: Sequence[str] = (), test: Sequence[str] = ()
) -> None:
    """Read text files and write `documents.parquet` (doc_id, source, split, text).

    Args:
        corpus: files, folders or globs.
        output: folder to write into.
        valid: globs over file names relative to the corpus; what matches validates.
        test: the same for the test split, which also has what matches both. Where a split has
            no glob, a share of the documents, chosen by the hash of their text, goes into it.

    Raises:
        InputError: nothing readable, a glob that matches nothing, or a split left empty.
    """
    # Of files with the same text, the one that a glob names is kept.
    files = sorted(find_files(corpus), key=lambda file: _named_split(file[1], valid, test) is None)
    documents: dict[str, tuple[str, list[str]]] = {}
    for source, found in _read(files):
        if (digest := _digest(found)) in documents:
            log.warning("Skipped %s: %s has the same text.", source, documents[digest][0])
        else:
            documents[digest] = (source, found)
    if not documents:
        raise InputError(f"No file of {', '.join(corpus)} holds readable text.")
    for pattern in (*valid, *test):
        if not any(fnmatch.fnmatchcase(source, pattern) for source, _ in documents.values()):
            raise InputError(
                f"No text of the corpus matches {pattern!r}; globs are compared with names such "
                f"as {next(iter(documents.values()))[0]!r}."
            )

    rows, rest = [], []
    for source, found in documents.values():
        if split := _named_split(source, valid, test):
            rows.append((source, split, found))
        else:
            rest.append((source, found))
    held_out = [split for split, globs in (("valid", valid), ("test", test)) if not globs]
    rows += _split_by_share(rest, held_out)

    table = pd.DataFrame(
        [(_digest(found), source, split, "\n".join(found)) for source, split, found in rows],
        columns=["doc_id", "source", "split", "text"],
    )
    for split in SPLITS:
        if not (table["split"] == split).any():
            raise InputError(
                f"No document is left for the {split} split of {', '.join(corpus)}: add text, or "
                "choose the files of each split with --valid and --test."
            )
    table.to_parquet(output / "documents.parquet", index=False)
