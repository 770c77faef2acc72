"""Words that are never suggested, whatever the training text has: a file with one a line.

    você       você, Você, VOCÊ and voce, since accents may be missing
    burr*      burro, Burros, burrice, …: words that begin so

Accents that are written are meant, as where words are completed: *pais* leaves *país* alone.
TensorFlow is imported late, so that the command line can refuse a file at once.
"""

import dataclasses
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline import InputError
from pipeline.text.word_lists import LONGEST

if TYPE_CHECKING:
    import tensorflow as tf

log = logging.getLogger(__name__)

# Letters that must stand before "*": one letter would cover a tenth of the language.
_LETTERS = 2
# Each line costs memory and a little time in every call.
_MOST = 10_000
# Words in one regular expression, whose size RE2 limits.
_TOGETHER = 500


def read_lines(path: Path) -> list[str]:
    """Read the lines of a file that are not blank.

    Raises:
        InputError: it cannot be read, has none or too many, or one would cover almost any word.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"No words can be read from {path}: name a UTF-8 file with a word a line."
        ) from error
    if "\0" in text:
        raise InputError(f"{path} is no text: name a UTF-8 file with a word a line.")
    lines = [line.strip() for line in text.split("\n")]
    for number, line in enumerate(lines, start=1):
        if line.endswith("*") and sum(map(str.isalpha, line)) < _LETTERS:
            raise InputError(
                f"Line {number} of {path} covers too many words: write at least {_LETTERS} letters "
                "before the *."
            )
    lines = [line for line in lines if line]
    if not lines:
        raise InputError(f"{path} holds no word: write one a line, or leave out the option.")
    if len(lines) > _MOST:
        raise InputError(f"{path} has {len(lines):,} lines: shorten it to {_MOST:,}.")
    return lines


@dataclasses.dataclass(frozen=True)
class NeverSuggested:
    """Words that are never suggested.

    Attributes:
        patterns: regular expressions, one of which each of them matches in lower case.
    """

    patterns: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.patterns)

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read a file, and log the lines that are skipped; None for no words.

        Raises:
            InputError: it is no list of words; see `read_lines`.
        """
        if path is None:
            return cls()
        lines = read_lines(path)
        words = _words(lines)
        if not words:
            raise InputError(f"{path} holds no word: write one a line, or leave out the option.")
        if skipped := len(lines) - len(words):
            message = (
                "Skipped %d of the %d lines in %s: they are not one word of at most %d letters."
            )
            log.warning(message, skipped, len(lines), path, LONGEST)
        patterns = [*dict.fromkeys(map(_pattern, words))]
        starts = range(0, len(patterns), _TOGETHER)
        return cls(tuple("|".join(patterns[i : i + _TOGETHER]) for i in starts))

    def covers(self, words: "tf.Tensor") -> "tf.Tensor":
        """Return which words, UTF-8 of any shape, are among them: bool."""
        import tensorflow as tf

        lowered = tf.strings.lower(words, encoding="utf-8")
        covered = tf.zeros_like(words, tf.bool)
        for pattern in self.patterns:
            covered |= tf.strings.regex_full_match(lowered, pattern)
        return covered


NO_WORDS = NeverSuggested()


def _words(lines: Sequence[str]) -> list[str]:
    """Return the lines that are one word, or the beginning of one, as the tokenizer reads them."""
    import tensorflow as tf

    from pipeline.text.tokenizer import is_word, tokenize

    # What begins a word is a word with a letter after it, even "guarda-".
    rows = tokenize(tf.constant([re.sub(r"\*$", "a", line) for line in lines]))
    first = tf.strings.lower(rows[:, :1].to_tensor(shape=(None, 1))[:, 0], encoding="utf-8")
    single = (is_word(first) & tf.equal(rows.row_lengths(), 1)).numpy()
    words = [word.decode() for word in first.numpy().tolist()]
    return [
        word[:-1] + "*" if line.endswith("*") else word
        for line, word, one in zip(lines, words, single, strict=True)
        if one and len(word) <= LONGEST
    ]


def _pattern(word: str) -> str:
    """Return the expression of a word that `_words` returned."""
    from pipeline.text.suggestible import strip_accent

    letters = ("".join({letter: None, strip_accent(letter): None}) for letter in word.rstrip("*"))
    ending = "(?s:.*)" if word.endswith("*") else ""
    # No letter of a word has a meaning of its own between brackets.
    return "".join(f"[{letter}]" for letter in letters) + ending
