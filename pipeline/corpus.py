"""Files of Portuguese text become clean documents, split for training and honest testing."""

import collections
import fnmatch
import hashlib
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import charset_normalizer
import pandas as pd

from pipeline import InputError

log = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")

# A share of the documents this large goes to valid and to test where no glob says otherwise.
HELD_OUT_SHARE = 0.05
# With fewer documents than this, every document is cut instead: its first paragraphs train,
# the next ones validate, the last ones test.
FEW_DOCUMENTS = 20

# Pronouns that Portuguese hangs on a verb with a hyphen (disse-lhe), old spellings included.
_CLITICS = frozenset(
    "me te se lhe nos vos lhes o a os as lo la los las no na mo ma to ta lho lha".split()
)


def find_files(corpus: Sequence[str]) -> list[tuple[Path, str]]:
    """The text files of folders, files and globs, each with its name relative to what named it.

    Raises:
        InputError: one of them does not exist or holds no .txt file.
    """
    found = []
    for name in corpus:
        place = Path(name)
        if place.is_dir():
            files, root = sorted(place.rglob("*.txt")), place
        elif place.is_file():
            files, root = [place], place.parent
        else:
            files, root = sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor)))), None
            files = [file for file in files if file.is_file()]
        if not files:
            raise InputError(
                f"There is no text to read at {name}: name a .txt file, a folder of them, or a "
                "glob in quotes."
            )
        found += [(file, file.relative_to(root or Path()).as_posix()) for file in files]
    return found


def decode(data: bytes) -> str:
    """Text from bytes: UTF-8 with or without BOM, else the encoding that fits best.

    Raises:
        ValueError: the bytes are no text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = charset_normalizer.from_bytes(data).best()
        if guess is None:
            raise ValueError("its bytes are text in no known encoding") from None
        text = str(guess)
    controls = sum(text.count(chr(code)) for code in range(32) if code not in (9, 10, 12, 13))
    if controls > len(text) / 100:
        raise ValueError("its bytes are no text")
    return unicodedata.normalize("NFC", text)


def paragraphs(text: str) -> list[str]:
    """Paragraphs of a text, with the line breaks of a hard-wrapped book undone.

    A text is taken as hard-wrapped when its lines are short and most of them are full: the
    next line's first word would not have fitted. Full lines are joined with what follows;
    verse, dialogue and headings, which stop early, stay as they are.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lengths = sorted(len(line) for line in lines if line)
    width = lengths[len(lengths) * 98 // 100] if lengths else 0

    def full(line: str, after: str) -> bool:
        return bool(line and after) and len(line) + 1 + len(after.split()[0]) > width

    pairs = list(zip(lines, [*lines[1:], ""], strict=True))
    if width > 120 or sum(full(*pair) for pair in pairs) < len(lengths) / 3:
        return [line for line in lines if line]
    words = collections.Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))
    joined, open_line = [], ""
    for line, after in pairs:
        open_line = _join(open_line, line, words) if open_line else line
        if not full(line, after):
            joined.append(open_line)
            open_line = ""
    return [line for line in joined if line]


def _join(first: str, second: str, words: collections.Counter[str]) -> str:
    """Two lines of one paragraph; a hyphen at the end is kept only where the word has one."""
    head = re.search(r"([^\W\d_]+(?:-[^\W\d_]+)*)-$", first)
    tail = re.match(r"[^\W\d_]+", second)
    if not head or not tail:
        return f"{first} {second}"
    hyphened = f"{head[1]}-{tail[0]}".lower()
    plain = hyphened.replace("-", "")
    keep = words[hyphened] > words[plain] or (not words[plain] and tail[0].lower() in _CLITICS)
    return first + second if keep else first[:-1] + second


def _read(files: Iterable[tuple[Path, str]]) -> Iterator[tuple[str, list[str]]]:
    """(source, paragraphs) of every file that can be read and is not empty."""
    for path, source in files:
        try:
            found = paragraphs(decode(path.read_bytes()))
        except (OSError, ValueError) as error:
            log.warning("Skipped %s: %s.", path, error)
            continue
        if found:
            yield source, found
        else:
            log.warning("Skipped %s: it is empty.", path)


def _digest(found: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _fraction(digest: str) -> float:
    """A number in [0, 1) that depends on the text alone, so that adding files moves nothing."""
    return int(digest[:12], 16) / 16**12


def _split_by_share(
    documents: Sequence[tuple[str, list[str]]], held_out: Sequence[str]
) -> Iterator[tuple[str, str, list[str]]]:
    """(source, split, paragraphs): whole documents by hash, or blocks of each where they are few."""
    for source, found in documents:
        if len(documents) >= FEW_DOCUMENTS:
            place = int(_fraction(_digest(found)) / HELD_OUT_SHARE)
            yield source, held_out[place] if place < len(held_out) else "train", found
        else:
            block = max(len(found) // 10, 1)
            first = len(found) - block * len(held_out)
            yield source, "train", found[:first]
            for number, split in enumerate(held_out):
                start = first + number * block
                yield source, split, found[start : start + block]


def ingest(
    *, corpus: Sequence[str], output: Path, valid: Sequence[str] = (), test: Sequence[str] = ()
) -> None:
    """Read text files and write `documents.parquet` (doc_id, source, split, text).

    Args:
        corpus: files, folders or globs.
        output: folder to write into.
        valid: globs over file names relative to the corpus; what matches validates.
        test: the same for the test split. Where a split has no glob, a share of the documents,
            chosen by the hash of their text, goes into it.

    Raises:
        InputError: nothing readable, a glob that matches nothing, or a split left empty.
    """
    documents: dict[str, tuple[str, list[str]]] = {}
    for source, found in _read(find_files(corpus)):
        if documents.setdefault(_digest(found), (source, found))[0] != source:
            log.warning("Skipped %s: another file has the same text.", source)
    if not documents:
        raise InputError(f"No file of {', '.join(corpus)} holds readable text.")

    rows, rest = [], []
    for source, found in documents.values():
        matches = [
            split
            for split, globs in (("test", test), ("valid", valid))
            if any(fnmatch.fnmatchcase(source, glob) for glob in globs)
        ]
        if matches:
            rows.append((source, matches[0], found))
        else:
            rest.append((source, found))
    for glob in (*valid, *test):
        if not any(fnmatch.fnmatchcase(source, glob) for source, _ in documents.values()):
            raise InputError(
                f"No file of the corpus matches {glob!r}; globs are compared with names such as "
                f"{next(iter(documents.values()))[0]!r}."
            )
    held_out = [split for split, globs in (("valid", valid), ("test", test)) if not globs]
    rows += _split_by_share(rest, held_out)

    table = pd.DataFrame(
        [(_digest(found), source, split, "\n".join(found)) for source, split, found in rows if found],
        columns=["doc_id", "source", "split", "text"],
    )
    for split in SPLITS:
        if not (table["split"] == split).any():
            raise InputError(
                f"No document is left for the {split} split of {', '.join(corpus)}: add text, or "
                "choose the files of each split with --valid and --test."
            )
    table.to_parquet(output / "documents.parquet", index=False)
