"""The Portuguese tokenizer, written in core TensorFlow operations only.

The same graph runs in the `tokenize` stage and inside the exported SavedModel, so a model
can never meet a text cut differently from the one it was trained on:

    >>> tokens = tokenize(tf.constant(["Dê-lhe d’água às 14h30, Sr. José..."]))
    >>> print(*(token.decode() for token in tokens.values.numpy()))
    Dê-lhe d'água às 14h30 , Sr. José …

A line break begins a new paragraph. Regular expressions are RE2's: the leftmost match wins,
among alternatives the first, and there is no look-around. So no token depends on what stands
beyond it, and a space put between two tokens never changes them.
"""

import dataclasses
import functools
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import tensorflow as tf

from pipeline import InputError

UNKNOWN, UNKNOWN_ID = "<unk>", 0
BEGIN, BEGIN_ID = "<s>", 1

# Inside the graph this control character, which `normalize` lets through from nowhere else,
# stands for the beginning of a paragraph. "<s>" typed by a person stays three plain tokens.
BREAK = "\x02"

# Abbreviations that keep their full stop. Forms that are also words and may end a sentence
# ("mar.", "set.", "dez.", "min.", "apto.", "tb.") are left out: there the stop is more often
# the sentence's.
_ABBREVIATIONS = (
    "a[.]c|a[.]m|abr|ago|aprox|arq|art|arts|av|cap|caps|cf|d[.]c|dep|depto|des|dr|dra|dras|drs|"
    "e[.]g|ed|eng|etc|ex|exa|exas|excia|exma|exmas|exmo|exmos|fev|fig|figs|fls|fr|gen|gov|hab|"
    "i[.]e|ilma|ilmo|inc|jan|jr|jul|jun|ltda|mme|mr|mrs|nov|núm|obs|out|p[.]ex|p[.]m|pág|págs|"
    "pça|pp|pres|proc|prof|profa|profas|profs|rel|rev|revmo|rod|séc|sécs|sen|sr|sra|sras|srs|"
    "srta|srtas|sta|sto|tel|ten|trav|v[.]ex|v[.]exa|v[.]g|vol|vols"
)

# RE2 runs a pattern in linear time with a machine of bounded memory, and each \p{…} costs it
# about a thousand states; so only words are open to every alphabet, and the rest is Latin.
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_CURRENCY = r"[A-Z]{0,3}\$"  # R$, US$, $
_ADDRESS = (
    rf"(?i:https?://|www\.)[^\s\"<>—…]*[{_LATIN}0-9/_=&#%~+-]"
    rf"|[{_LATIN}0-9][{_LATIN}0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{{2,}}"
    r"|[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*"
    r"\.(?:br|pt|(?:com|org|net|gov|edu)(?:\.(?:br|pt))?)"
    rf"(?:/(?:[^\s\"<>—…]*[{_LATIN}0-9/_=&#%~+-])?)?"
    rf"|[@#][{_LATIN}_][{_LATIN}0-9_]*"
)
_NUMBER = (
    rf"[0-9]+\.?[ºª°][{_LATIN}]*(?:-[{_LATIN}]+)*"  # 1.º, 2ª-feira, 30°C
    r"|[0-9]+(?:[.,:/$-][0-9]+)*"  # 1.234,56, 12/03/2020, 14:30, 5:000$000 (réis)
    rf"(?:[%‰]|°[{_LATIN}]*|[{_LATIN}²³][{_LATIN}0-9²³]*(?:-[{_LATIN}]+)*)?"  # 50%, 14h30, 5km²
)
_ABBREVIATION = (
    # Some only in this case: "AL.", "PE." and "CIA." are names, "min." often ends a sentence.
    rf"(?:(?i:{_ABBREVIATIONS})|[Aa]l|[Pp]e|[Cc]ia|Min)\.(?:[ºª]s?)?"
    rf"|[{_LATIN}]{{1,3}}\.[ºª°]s?|[Nn]°"  # n.º
    r"|(?:[A-ZÀ-ÖØ-Þ]\.){2,}"  # E.U.A., S.A.
    r"|[BCDFGHJKLMNPQRSTVWXYZ]\."  # D. Pedro, S. Paulo; a vowel ("É.") may be a sentence
    r"|p\."  # p. ex., p. 12
)
_WORD = r"[\p{L}\p{M}\p{N}]+(?:['_-][\p{L}\p{M}\p{N}]+)*"
_EMOJI = r"[\x{1F1E6}-\x{1F1FF}]{2}|[\x{261D}-\x{1FAFF}][\x{1F3FB}-\x{1F3FF}]"  # 🇧🇷, 👍🏽
_MARK = r"\S"
_TOKEN = "|".join([_CURRENCY, _ADDRESS, _NUMBER, _ABBREVIATION, _WORD, _EMOJI, _MARK])

_INVISIBLE = (
    r"[\x{AD}\x{34F}\x{61C}\x{180E}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}"
    r"\x{FE00}-\x{FE0F}\x{FEFF}]"
)
_SPACE = (
    r"[\x00-\x08\x0e-\x1f\x7f-\x{84}\x{86}-\x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}"
    r"\x{3000}]"
)
_LINE_BREAK = r"\n\r\x0b\x0c\x{85}\x{2028}\x{2029}"

# (pattern, replacement), applied in this order to text that is valid UTF-8 in NFC.
_FOLDS = (
    (_INVISIBLE, ""),
    (_SPACE, " "),
    (rf"[ \t]*[{_LINE_BREAK}][ \t{_LINE_BREAK}]*", "\n"),
    (r"[“”„‟«»″]", '"'),
    (r"[‘’‚‛‹›′ʼ´`]", "'"),
    # A full stop joins what it follows, or "Sr ." would be other tokens than "Sr.".
    (r"[ \t]+\.", "."),
    (r"\.{2,}", "…"),
    (r"[‐‑]", "-"),
    (r"-{2,}|[―‒]", "—"),
)


@functools.cache
@tf.autograph.experimental.do_not_convert  # as a graph's code this loop would take seconds
def _compositions() -> tuple[list[int], list[int]]:
    """Pairs (letter, combining mark) packed into one integer, and the letter they compose."""
    pairs, composed = [], []
    for code in range(0x10000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<" and unicodedata.is_normalized("NFC", chr(code)):
            pairs.append(int(parts[0], 16) << 21 | int(parts[1], 16))
            composed.append(code)
    return pairs, composed


def _repair(text: tf.Tensor) -> tf.Tensor:
    """Valid UTF-8 whose letters and combining marks compose: a + ◌̃ → ã. Shape (B,) → (B,)."""
    pairs, composed = _compositions()
    # The table is sorted and searched, not hashed: a plain constant travels in any graph.
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    keys = tf.constant([pairs[i] for i in order], tf.int64)
    values = tf.constant([composed[i] for i in order], tf.int32)
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    codes = tf.strings.unicode_decode(tf.strings.regex_replace(text, _INVISIBLE, ""), "UTF-8")
    for _ in range(3):  # no letter is composed of more than three marks (ᾂ)
        flat, rows = codes.values, codes.value_rowids()
        follows = tf.concat([tf.equal(rows[1:], rows[:-1]), tf.zeros_like(rows[:1], tf.bool)], 0)
        after = tf.concat([flat[1:], tf.zeros_like(flat[:1])], 0)
        pair = tf.bitwise.left_shift(tf.cast(flat, tf.int64), 21) | tf.cast(after, tf.int64)
        found = tf.minimum(tf.searchsorted(keys, pair), tf.size(keys) - 1)
        hit = follows & tf.equal(tf.gather(keys, found), pair)
        swallowed = tf.concat([tf.zeros_like(hit[:1]), hit[:-1]], 0)
        codes = codes.with_values(tf.where(hit, tf.gather(values, found), flat))
        codes = tf.ragged.boolean_mask(codes, codes.with_values(~swallowed))
    return tf.strings.unicode_encode(codes, "UTF-8")


def normalize(text: tf.Tensor) -> tf.Tensor:
    """One form for what is written in several; strings of shape (B,), UTF-8.

    Invalid bytes become U+FFFD, letters and combining marks compose (NFC), typographic
    quotes, apostrophes, ellipses and spaces fold to one form, invisible characters vanish,
    and any run of line breaks becomes one "\\n".
    """
    # Nearly all text is valid UTF-8 without combining marks; one look tells.
    sound = tf.strings.regex_full_match(text, r"[^\p{M}\x{D800}-\x{DFFF}]*")
    text = tf.cond(tf.reduce_all(sound), lambda: text, lambda: _repair(text))
    for pattern, replacement in _FOLDS:
        text = tf.strings.regex_replace(text, pattern, replacement)
    return text


def _cut(text: tf.Tensor) -> tf.RaggedTensor:
    """Cut what `normalize` returns, shape (B,), into tokens, shape (B, None)."""
    text = tf.strings.regex_replace(text, "\n", f" {BREAK} ")
    return tf.strings.split(tf.strings.regex_replace(text, _TOKEN, r" \0 "))


def tokenize(text: tf.Tensor) -> tf.RaggedTensor:
    """Cut strings of shape (B,) into tokens as people wrote them, shape (B, None)."""
    return _cut(normalize(text))


def fold(tokens: tf.RaggedTensor) -> tf.RaggedTensor:
    """The form the model sees: case-folded tokens, same shape."""
    return tf.ragged.map_flat_values(tf.strings.lower, tokens, encoding="utf-8")


# Where the next word is capitalised for its position, not for itself.
_SENTENCE_END = r"[.!?…:\"'(\[—–-]|\x02"


def begins_sentence(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Whether each token (flat, row after row) stands where a capital says nothing."""
    before = tf.concat([[BREAK], tokens.values[:-1]], 0)
    first = tf.concat(
        [[True], tf.not_equal(tokens.value_rowids()[1:], tokens.value_rowids()[:-1])], 0
    )
    return first[: tf.size(tokens.values)] | tf.strings.regex_full_match(
        before[: tf.size(tokens.values)], _SENTENCE_END
    )


def is_word(tokens: tf.Tensor) -> tf.Tensor:
    """Which tokens a person would accept as a suggested word; any shape → bool."""
    # Vocabularies hold case-folded forms, "s.a." for "S.A.".
    return tf.strings.regex_full_match(
        tokens, rf"(?i:{_ABBREVIATION})|[^\P{{L}}ºª][\p{{L}}\p{{M}}\p{{N}}'_-]*"
    )


# Spacing of Portuguese text, as replacements over tokens joined by single spaces. A space goes
# only where no token could grow over the gap (for the full stop `normalize` has seen to it), so
# `tokenize` finds the same tokens again.
_SPACING = (
    (r"(^| )(\p{L}+) / (\p{L})", r"\1\2/\3"),
    (r" ([,;:!?.…)\]}])", r"\1"),
    (r"([(\[{]) ", r"\1"),
    (rf'" ([^"{BREAK}]+) "', r'"\1"'),
    (rf'(^|{BREAK} )" ', r'\1"'),  # opened here, and closed by another paragraph or never
    (rf"' ([^'{BREAK}]+) '", r"'\1'"),
    (rf" ?{BREAK} ?", "\n"),
)


def detokenize(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Join tokens of shape (B, None) into text of shape (B,) with the usual spacing.

    `tokenize(detokenize(tokenize(text)))` equals `tokenize(text)`.
    """
    text = tf.strings.reduce_join(tokens, axis=-1, separator=" ")
    for pattern, replacement in _SPACING:
        text = tf.strings.regex_replace(text, pattern, replacement)
    return text


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens a model knows, in id order; rows 0 and 1 are `<unk>` and `<s>`.

    Attributes:
        tokens: case-folded forms, what the model sees.
        displays: the form people write in mid-sentence, what suggestions show.
        counts: occurrences in the training split.
    """

    tokens: Sequence[str]
    displays: Sequence[str]
    counts: Sequence[int]

    def __len__(self) -> int:
        return len(self.tokens)

    def save(self, path: Path) -> None:
        """Write one row per id: token, display, count, separated by tabs."""
        with path.open("w", encoding="utf-8", newline="") as file:
            for row in zip(self.tokens, self.displays, self.counts, strict=True):
                file.write("\t".join(map(str, row)) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or holds something else.
        """
        try:
            lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"No vocabulary can be read from {path}: run `nextword tokenize` first."
            ) from error
        rows = [line.split("\t") for line in lines]
        for number, row in enumerate(rows, start=1):
            if len(row) != 3 or not row[2].isdecimal():
                raise InputError(
                    f"Line {number} of {path} is not a token, its display and its count: run the "
                    "stage that writes it again."
                )
        tokens, displays, counts = zip(*rows, strict=True)
        if tokens[:2] != (UNKNOWN, BEGIN):
            raise InputError(
                f"{path} does not begin with the rows {UNKNOWN} and {BEGIN}: run the stage that "
                "writes it again."
            )
        return cls(tokens, displays, tuple(map(int, counts)))


class Tokenizer(tf.Module):
    """Text to ids with one vocabulary; the lookup table travels with the module."""

    def __init__(self, tokens: Sequence[str]):
        super().__init__(name="tokenizer")
        keys = [*tokens]
        keys[BEGIN_ID] = BREAK
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys), tf.range(len(keys), dtype=tf.int32)
            ),
            default_value=UNKNOWN_ID,
        )

    def ids(self, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
        """Ids of tokens as `tokenize` cuts them, case apart; shape (B, None), int32."""
        return tf.ragged.map_flat_values(self.table.lookup, fold(tokens))

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids of texts of shape (B,), each opened by `<s>`; shape (B, None), int32."""
        ids = self.ids(_cut(tf.strings.strip(normalize(text))))
        begin = tf.fill([tf.shape(text)[0], 1], BEGIN_ID)
        return tf.concat([begin, ids], axis=1)
