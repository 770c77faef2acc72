"""The Portuguese tokenizer, written in core TensorFlow operations only.

The same graph runs in the `tokenize` stage and inside the exported SavedModel, so a model in use
always sees text tokenized as in training:

    >>> tokens = tokenize(tf.constant(["Dê-lhe d’água às 14h30, Sr. José..."]))
    >>> print(*(token.decode() for token in tokens.values.numpy()))
    Dê-lhe d'água às 14h30 , Sr. José …

A line break begins a new paragraph. Regular expressions are RE2's: the leftmost match wins, then
the first alternative, and there is no look-around. So no token depends on the text after the next
space, and a space between two tokens never changes them.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pipeline.text.sentences import SENTENCE_ENDS
from pipeline.text.subword import Segmenter
from pipeline.text.vocabulary import BEGIN_ID, MARK, NUMBER, UNKNOWN_ID, Case, Numbers, Vocabulary

# The token that begins a paragraph, `<s>` in the vocabulary. The tokenizer removes this control
# character from text, so no person can type it; a typed "<s>" is three plain tokens.
BREAK = "\x02"

# Abbreviations that keep their full stop. Those that are also words ("mar.", "set.", "dez.",
# "min.", "apto.", "tb.") are left out: their stop more often ends a sentence.
_ABBREVIATIONS = (
    "abr|ago|aprox|arq|art|arts|av|[bdm][.]sc|cap|caps|cf|cit|dep|depto|des|dr|dra|dras|drs|ed|"
    "eng|etc|ex|exa|exas|excia|exma|exmas|exmo|exmos|fev|fig|figs|fls|fr|gen|gov|hab|ibid|ilma|"
    "ilmo|inc|jan|jr|jul|jun|loc|ltda|mme|mr|mrs|nov|núm|obs|op|out|p[.]ex|pág|págs|pça|ph[.]d|pp|"
    "pres|proc|prof|profa|profas|profs|rel|rev|revmo|rod|sáb|sen|séc|sécs|sr|sra|sras|srs|srta|"
    "srtas|sta|sto|tel|ten|trav|v[.]ex|v[.]exa|vol|vols"
)

# RE2 bounds the memory of a pattern, and each \p{…} takes about a thousand states, so only words
# may be of any alphabet, and the rest is Latin.
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_CURRENCY = r"(?:[A-Z]{0,3}|N?C[rz])\$"  # R$, US$, $, NCz$
_ADDRESS = (
    rf"(?i:https?://|www\.)[^\s\"<>—…]*[{_LATIN}0-9/_=&#%~+-]"
    rf"|[{_LATIN}0-9][{_LATIN}0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{{2,}}"
    r"|[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*"
    r"\.(?:br|pt|(?:com|org|net|gov|edu)(?:\.(?:br|pt))?)\b"
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
    rf"|(?:[{_LATIN}]\.){{2,}}"  # E.U.A., S.A., a.C., q.b.
    r"|[BCDFGHJKLMNPQRSTVWXYZ]\."  # D. Pedro, S. Paulo; a vowel ("É.") may be a sentence
    r"|[np]\."  # n. 8, p. 12, p. ex.
)
_WORD = r"[\p{L}\p{M}\p{N}]+(?:['_&-][\p{L}\p{M}\p{N}]+)*"  # d'água, guarda-chuva, AT&T
_WORDS = rf"[{_LATIN} ]*"  # text in which each chunk between spaces is a token
_EMOJI = r"[\x{1F1E6}-\x{1F1FF}]{2}|[\x{261D}-\x{1FAFF}][\x{1F3FB}-\x{1F3FF}]"  # 🇧🇷, 👍🏽
_MARK = r"\S"
_TOKEN = "|".join([_CURRENCY, _ADDRESS, _NUMBER, _ABBREVIATION, _WORD, _EMOJI, _MARK])

# Classes of characters, to stand between brackets. A typed BREAK is a space.
_INVISIBLE = (
    r"\x{AD}\x{34F}\x{61C}\x{180E}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}"
    r"\x{FE00}-\x{FE0F}\x{FEFF}"
)
_SPACE = (
    r"\t \x00-\x01\x03-\x08\x0e-\x1f\x7f-\x{84}\x{86}-\x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}"
    r"\x{205F}\x{3000}"
)
_LINE_BREAK = r"\n\r\x0b\x0c\x{85}\x{2028}\x{2029}"
_BLANK = _SPACE + _INVISIBLE
_EDGE = f"[{_BLANK}{BREAK}{_LINE_BREAK}]+"  # what is stripped from a text
# The end of a text behind which no other space is written; any byte may be before it.
_SPACED = rf"[{_SPACE}{BREAK}{_LINE_BREAK}][{_INVISIBLE}]*"
_STOP_SPACE = "\x01"

# Replacements (pattern, replacement) across white space, applied in this order.
_JOINS = (
    (BREAK, " "),
    # Attach a full stop to the token before it, or "Sr ." and "Sr." would be other tokens. A space
    # (one of `_SPACE`) keeps it from the token after it, or "o arquivo .pt" would be an address.
    (rf"[{_BLANK}]+\.", f".{_STOP_SPACE}"),
    (rf"[{_BLANK}]*[{_LINE_BREAK}][{_BLANK}{_LINE_BREAK}]*", f" {BREAK} "),
)
# Replacements between white space, applied in this order to valid UTF-8 in NFC.
_FOLDS = (
    (rf"[{_INVISIBLE}]", ""),
    (rf"{_STOP_SPACE}([.…ºª°])", r"\1"),  # ". . ." is an ellipsis, "n .º" an abbreviation
    (rf"[{_SPACE}]", " "),
    (r"[“”„‟«»″]", '"'),
    (r"[‘’‚‛‹›′ʼ´`]", "'"),
    (r"\.{2,}", "…"),
    (r"[‐‑]", "-"),
    (r"-{2,}|[―‒]", "—"),
)
# Tokens to join where no letter or digit touches them, which takes look-around: they are matched
# when each stands between two spaces, in this order.
_ALPHANUMERIC = f"0-9{_LATIN}"
# :) ;-) =D :/ <3
_SMILEY = (
    rf"(?m)(^|[^{_ALPHANUMERIC} \n] +) (?:([:;=])  (-?)(?:  )?([()/|*DPp])|(<)  (3)) "
    rf"($| [^{_ALPHANUMERIC}/ \n])",
    r"\1 \2\3\4\5\6 \7",
)
_REJOINS = (
    # alun@s, amig@; p/ c/ s/, and with one more letter: c/c, S/A. But p/casa is two tokens.
    (rf"([{_LATIN}])  (@s?) |( [CPScps])  (/)(?:  ([A-Za-z])(\.?))? ", r"\1\2\3\4\5 \6 "),
    _SMILEY,
    _SMILEY,  # what stands between two of them belongs to one match only: <3.<3
)
# Valid UTF-8 without combining marks, except invisible ones.
_CLEAN = r"(?:[^\p{M}\x{D800}-\x{DFFF}]|[\x{FE00}-\x{FE0F}])*"


class Rules(NamedTuple):
    """The regular expressions above, RE2's, for a tokenizer that is no graph.

    Attributes:
        joins: replacements in a text, before it is split at white space.
        clean: what a chunk between white space matches unless letters must be composed in it.
        invisible: what is left out before letters are composed.
        folds: replacements in a chunk.
        token: what is a token after them.
        rejoins: replacements once each token stands between two spaces.
        number: what is a number.
        blank: what is stripped from the beginning of a text.
        spaced: the end of a text that ends in white space.
    """

    joins: Sequence[tuple[str, str]]
    clean: str
    invisible: str
    folds: Sequence[tuple[str, str]]
    token: str
    rejoins: Sequence[tuple[str, str]]
    number: str
    blank: str
    spaced: str


def rules() -> Rules:
    """Return the rules of the tokenizer."""
    invisible = f"[{_INVISIBLE}]"
    return Rules(_JOINS, _CLEAN, invisible, _FOLDS, _TOKEN, _REJOINS, _NUMBER, _EDGE, _SPACED)


# A branch that is seldom taken must not be inlined: TensorFlow would step over each of its
# operations, which takes as long as a typed word.
_no_inline = tf.function(
    input_signature=[tf.TensorSpec((None,), tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},
)


@functools.cache
@tf.autograph.experimental.do_not_convert  # AutoGraph would take seconds for this loop
def _compositions() -> tuple[list[int], list[int]]:
    """Return sorted pairs (letter, combining mark) as one integer, and what they compose."""
    composed = {}
    for code in range(0x10000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and parts[0][0] != "<" and unicodedata.is_normalized("NFC", chr(code)):
            composed[int(parts[0], 16) << 21 | int(parts[1], 16)] = code
    pairs = sorted(composed)
    return pairs, [composed[pair] for pair in pairs]


@_no_inline
def _repair(text: tf.Tensor) -> tf.Tensor:
    """Return valid UTF-8 with letters and combining marks composed: a + ◌̃ → ã; (B,) → (B,)."""
    # Binary search needs only constants, which any graph can hold, unlike a hash table.
    keys, values = map(tf.constant, _compositions(), (tf.int64, tf.int32))
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    codes = tf.strings.unicode_decode(
        tf.strings.regex_replace(text, f"[{_INVISIBLE}]", ""), "UTF-8"
    )
    for _ in range(3):  # no letter is composed of more than three marks (ᾂ)
        flat, rows = codes.values, codes.value_rowids()
        follows = tf.concat([tf.equal(rows[1:], rows[:-1]), tf.zeros_like(rows[:1], tf.bool)], 0)
        after = tf.concat([flat[1:], tf.zeros_like(flat[:1])], 0)
        pair = tf.bitwise.left_shift(tf.cast(flat, tf.int64), 21) | tf.cast(after, tf.int64)
        at = tf.minimum(tf.searchsorted(keys, pair), tf.size(keys) - 1)
        hit = follows & tf.equal(tf.gather(keys, at), pair)
        absorbed = tf.concat([tf.zeros_like(hit[:1]), hit[:-1]], 0)
        codes = codes.with_values(tf.where(hit, tf.gather(values, at), flat))
        codes = tf.ragged.boolean_mask(codes, codes.with_values(~absorbed))
    return tf.strings.unicode_encode(codes, "UTF-8")


def _repair_where_needed(chunks: tf.Tensor) -> tf.Tensor:
    """Repair the few strings of shape (N,) that need it, since it is slow."""
    places = tf.where(~tf.strings.regex_full_match(chunks, _CLEAN))
    return tf.tensor_scatter_nd_update(chunks, places, _repair(tf.gather_nd(chunks, places)))


def tokenize_unique(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Tokenize UTF-8 strings of shape (B,), each chunk between white space only once.

    Text repeats itself: a megabyte has about 180,000 chunks, of which 30,000 are unique, so any
    work on tokens costs a sixth when it is done before `expand`.

    Invalid bytes become U+FFFD, letters and combining marks compose (NFC), typographic quotes,
    apostrophes, ellipses and spaces fold to one form, invisible characters vanish, and any run
    of line breaks becomes one `BREAK`.

    Returns:
        The tokens of each unique chunk, strings of shape (U, None), and for each chunk of each
        text its row in them, int32 of shape (B, None).
    """
    # The word that a person has just typed needs none of the rest.
    words = tf.reduce_all(tf.strings.regex_full_match(text, _WORDS))
    return tf.cond(words, lambda: _split_words(text), lambda: _split_any(text))


def _split_words(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    chunks = tf.strings.split(text)
    unique, inverse = tf.unique(chunks.values)
    rows = tf.range(tf.size(unique) + 1, dtype=tf.int64)
    tokens = tf.RaggedTensor.from_row_splits(unique, rows, validate=False)
    return tokens, chunks.with_values(inverse)


@_no_inline
def _split_any(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    for pattern, replacement in _JOINS:
        text = tf.strings.regex_replace(text, pattern, replacement)
    chunks = tf.strings.split(text)
    unique, inverse = tf.unique(chunks.values)
    # Match all chunks as one string: a regular expression takes longer to start than to run.
    clean = tf.strings.regex_full_match(tf.strings.reduce_join(unique, separator="\n"), _CLEAN)
    unique = tf.cond(clean, lambda: unique, lambda: _repair_where_needed(unique))
    lines = tf.strings.reduce_join(unique, separator="\n")
    for pattern, replacement in (*_FOLDS, (_TOKEN, r" \0 "), *_REJOINS):
        lines = tf.strings.regex_replace(lines, pattern, replacement)
    return tf.strings.split(tf.strings.split(lines, "\n")), chunks.with_values(inverse)


def expand(values: tf.RaggedTensor, inverse: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return one value per token of each text, (B, None), given one per unique token.

    Args:
        values: for each token that `tokenize_unique` returned, (U, None).
        inverse: as `tokenize_unique` returned it.
    """
    return inverse.with_values(tf.gather(values, inverse.values)).merge_dims(1, 2)


def tokenize(text: tf.Tensor) -> tf.RaggedTensor:
    """Split strings of shape (B,) into tokens as they are written, (B, None)."""
    return expand(*tokenize_unique(text))


def begin_paragraph(text: tf.Tensor) -> tf.Tensor:
    """Put a line break in place of what is blank at the start of texts of shape (B,)."""
    return tf.strings.join(["\n", tf.strings.regex_replace(text, f"^{_EDGE}", "")])


def ends_in_space(text: tf.Tensor) -> tf.Tensor:
    """Return which texts (B,) end in white space, whatever invisible characters follow it."""
    return tf.strings.regex_full_match(text, rf"(?s:\C*{_SPACED})")


def open_paragraph(text: tf.Tensor) -> tf.Tensor:
    """Strip texts of shape (B,), and put a line break before each."""
    return begin_paragraph(tf.strings.regex_replace(text, f"{_EDGE}$", ""))


def normalise(tokens: tf.Tensor, *, case: Case, numbers: Numbers) -> tf.Tensor:
    """Return tokens as the model sees them, see `Vocabulary`; any shape."""
    if numbers == "class":
        tokens = tf.where(tf.strings.regex_full_match(tokens, _NUMBER), NUMBER, tokens)
    return tf.strings.lower(tokens, encoding="utf-8") if case == "fold" else tokens


def ends_sentence(tokens: tf.Tensor) -> tf.Tensor:
    """Return which tokens end a sentence or a paragraph; any shape, bool."""
    return tf.strings.regex_full_match(tokens, rf"[{SENTENCE_ENDS}]|{BREAK}")


def masks_case(tokens: tf.Tensor) -> tf.Tensor:
    """Return which tokens may be the only reason for a capital after them; any shape, bool."""
    return tf.strings.regex_full_match(tokens, rf"[{SENTENCE_ENDS}:\"'(\[—–-]|{BREAK}")


def is_word(tokens: tf.Tensor) -> tf.Tensor:
    """Return which tokens are words that a person would accept as a suggestion; any shape, bool."""
    # Vocabularies hold case-folded tokens, "s.a." for "S.A.".
    return tf.strings.regex_full_match(
        tokens,
        rf"(?i:{_ABBREVIATION}|[cps]/[a-z]?)|[{_LATIN}]+@s?"
        r"|[^\P{L}ºª][\p{L}\p{M}\p{N}'_&-]*",
    )


class Tokenizer(tf.Module):
    """Encode text as ids of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary):
        super().__init__(name="tokenizer")
        self.case, self.numbers = vocabulary.case, vocabulary.numbers
        self.unit = vocabulary.unit
        keys = [*vocabulary.tokens]
        if self.unit == "subword":
            keys[BEGIN_ID] = BREAK + MARK
            self.segment = Segmenter(keys, vocabulary.scores)
        else:
            keys[BEGIN_ID] = BREAK
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys), tf.range(len(keys), dtype=tf.int32)
                ),
                default_value=UNKNOWN_ID,
            )

    def lookup(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the id of each token, where tokens are words; any shape, int32."""
        return self.table.lookup(normalise(tokens, case=self.case, numbers=self.numbers))

    def pieces(self, tokens: tf.Tensor) -> tf.RaggedTensor:
        """Return the ids of the pieces of tokens of shape (N,): (N, None), int32."""
        unique, inverse = tf.unique(normalise(tokens, case=self.case, numbers=self.numbers))
        return tf.gather(self.segment(unique), inverse)

    def ids(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Encode texts of shape (B,) that continue others: (B, None), int32."""
        return self.ids_of_unique(*tokenize_unique(text))

    def ids_of_unique(self, tokens: tf.RaggedTensor, inverse: tf.RaggedTensor) -> tf.RaggedTensor:
        """Encode what `tokenize_unique` returned: (B, None), int32."""
        if self.unit == "word":
            return expand(tokens.with_values(self.lookup(tokens.values)), inverse)
        pieces = tokens.with_values(self.pieces(tokens.values))
        return expand(pieces.merge_dims(1, 2), inverse)

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Encode texts of shape (B,), each opened by `<s>`: (B, None), int32."""
        return self.ids(open_paragraph(text))
