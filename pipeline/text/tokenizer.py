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

import functools
import unicodedata

import tensorflow as tf

from pipeline.text.sentences import SENTENCE_ENDS
from pipeline.text.subword import Segmenter
from pipeline.text.vocabulary import BEGIN_ID, MARK, NUMBER, UNKNOWN_ID, Case, Numbers, Vocabulary

# Inside the graph this control character, which no text brings along, stands for the beginning
# of a paragraph. "<s>" typed by a person stays three plain tokens.
BREAK = "\x02"

# Abbreviations that keep their full stop. Forms that are also words and may end a sentence
# ("mar.", "set.", "dez.", "min.", "apto.", "tb.") are left out: there the stop is more often
# the sentence's.
_ABBREVIATIONS = (
    "abr|ago|aprox|arq|art|arts|av|cap|caps|cf|dep|depto|des|dr|dra|dras|drs|ed|eng|etc|ex|exa|"
    "exas|excia|exma|exmas|exmo|exmos|fev|fig|figs|fls|fr|gen|gov|hab|ilma|ilmo|inc|jan|jr|jul|"
    "jun|ltda|mme|mr|mrs|nov|núm|obs|out|p[.]ex|pág|págs|pça|pp|pres|proc|prof|profa|profas|"
    "profs|rel|rev|revmo|rod|sáb|séc|sécs|sen|sr|sra|sras|srs|srta|srtas|sta|sto|tel|ten|trav|"
    "v[.]ex|v[.]exa|vol|vols"
)

# RE2 runs a pattern in linear time with a machine of bounded memory, and each \p{…} costs it
# about a thousand states; so only words are open to every alphabet, and the rest is Latin.
_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_CURRENCY = r"[A-Z]{0,3}\$"  # R$, US$, $
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
    r"|p\."  # p. ex., p. 12
)
_WORD = r"[\p{L}\p{M}\p{N}]+(?:['_&-][\p{L}\p{M}\p{N}]+)*"  # d'água, guarda-chuva, AT&T
_WORDS = rf"[{_LATIN} ]*"  # no more than these between blanks: each is a token
_EMOJI = r"[\x{1F1E6}-\x{1F1FF}]{2}|[\x{261D}-\x{1FAFF}][\x{1F3FB}-\x{1F3FF}]"  # 🇧🇷, 👍🏽
_MARK = r"\S"
_TOKEN = "|".join([_CURRENCY, _ADDRESS, _NUMBER, _ABBREVIATION, _WORD, _EMOJI, _MARK])

# Characters, to stand between brackets. BREAK is a space too, where a person types it.
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
_APART = "\x01"

# What is folded across white space, as (pattern, replacement), applied in this order.
_JOINS = (
    (BREAK, " "),
    # A full stop joins what it follows, or "Sr ." would be other tokens than "Sr."; a space (it is
    # one of `_SPACE`) keeps it apart from what comes after, or "o arquivo .pt" would be an address.
    (rf"[{_BLANK}]+\.", f".{_APART}"),
    (rf"[{_BLANK}]*[{_LINE_BREAK}][{_BLANK}{_LINE_BREAK}]*", f" {BREAK} "),
)
# What is folded between white spaces, applied in this order to valid UTF-8 in NFC.
_FOLDS = (
    (rf"[{_INVISIBLE}]", ""),
    (rf"{_APART}([.…ºª°])", r"\1"),  # ". . ." is an ellipsis, "n .º" an abbreviation
    (rf"[{_SPACE}]", " "),
    (r"[“”„‟«»″]", '"'),
    (r"[‘’‚‛‹›′ʼ´`]", "'"),
    (r"\.{2,}", "…"),
    (r"[‐‑]", "-"),
    (r"-{2,}|[―‒]", "—"),
)
# Valid UTF-8 without combining marks, but for those that vanish.
_SOUND = r"(?:[^\p{M}\x{D800}-\x{DFFF}]|[\x{FE00}-\x{FE0F}])*"


# What is seldom taken of two branches: inlined, each of its operations would be passed over, which
# takes as long as the word that is typed.
_apart = tf.function(
    input_signature=[tf.TensorSpec((None,), tf.string)],
    autograph=False,
    experimental_attributes={"_noinline": True},
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


@_apart
def _repair(text: tf.Tensor) -> tf.Tensor:
    """Valid UTF-8 whose letters and combining marks compose: a + ◌̃ → ã. Shape (B,) → (B,)."""
    pairs, composed = _compositions()
    # The table is sorted and searched, not hashed: a plain constant travels in any graph.
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    keys = tf.constant([pairs[i] for i in order], tf.int64)
    values = tf.constant([composed[i] for i in order], tf.int32)
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    codes = tf.strings.unicode_decode(
        tf.strings.regex_replace(text, f"[{_INVISIBLE}]", ""), "UTF-8"
    )
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


def _repair_unsound(pieces: tf.Tensor) -> tf.Tensor:
    """Strings of shape (N,) with those repaired that need it: few, and it is slow."""
    unsound = tf.where(~tf.strings.regex_full_match(pieces, _SOUND))
    return tf.tensor_scatter_nd_update(pieces, unsound, _repair(tf.gather(pieces, unsound[:, 0])))


def cut(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Cut UTF-8 strings of shape (B,) into tokens, each piece between white spaces only once.

    Text repeats itself: of some 180,000 pieces in a megabyte 30,000 differ, so what is done to
    tokens costs a sixth when it is done before `put_back`.

    Invalid bytes become U+FFFD, letters and combining marks compose (NFC), typographic quotes,
    apostrophes, ellipses and spaces fold to one form, invisible characters vanish, and any run
    of line breaks becomes one `BREAK`.

    Returns:
        The tokens of each different piece, strings of shape (D, None), and the pieces of each
        text as row numbers of those, int32 of shape (B, None).
    """
    # A word that somebody has just typed needs none of the rest.
    words = tf.reduce_all(tf.strings.regex_full_match(text, _WORDS))
    return tf.cond(words, lambda: _cut_words(text), lambda: _cut_any(text))


def _cut_words(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """`cut` of what `_WORDS` describes."""
    pieces = tf.strings.split(text)
    different, places = tf.unique(pieces.values)
    rows = tf.range(tf.size(different) + 1, dtype=tf.int64)
    tokens = tf.RaggedTensor.from_row_splits(different, rows, validate=False)
    return tokens, pieces.with_values(places)


@_apart
def _cut_any(text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    for pattern, replacement in _JOINS:
        text = tf.strings.regex_replace(text, pattern, replacement)
    pieces = tf.strings.split(text)
    different, places = tf.unique(pieces.values)
    # As one string, for the regular expressions take longer to start than to run.
    sound = tf.strings.regex_full_match(tf.strings.reduce_join(different, separator="\n"), _SOUND)
    different = tf.cond(sound, lambda: different, lambda: _repair_unsound(different))
    lines = tf.strings.reduce_join(different, separator="\n")
    for pattern, replacement in (*_FOLDS, (_TOKEN, r" \0 ")):
        lines = tf.strings.regex_replace(lines, pattern, replacement)
    return tf.strings.split(tf.strings.split(lines, "\n")), pieces.with_values(places)


def put_back(values: tf.RaggedTensor, places: tf.RaggedTensor) -> tf.RaggedTensor:
    """One value per token of each text, shape (B, None), from what `cut` returned.

    Args:
        values: one per token of each different piece, shape (D, None).
        places: row numbers of those, int32 of shape (B, None).
    """
    return places.with_values(tf.gather(values, places.values)).merge_dims(1, 2)


def tokenize(text: tf.Tensor) -> tf.RaggedTensor:
    """Cut strings of shape (B,) into tokens as people wrote them, shape (B, None)."""
    return put_back(*cut(text))


def skip_blank(text: tf.Tensor) -> tf.Tensor:
    """Texts of shape (B,) from the first character that anybody sees."""
    return tf.strings.regex_replace(text, rf"^[{_BLANK}{BREAK}{_LINE_BREAK}]+", "")


def open_paragraph(text: tf.Tensor) -> tf.Tensor:
    """Texts of shape (B,), stripped, each opened by a line break."""
    text = tf.strings.regex_replace(skip_blank(text), rf"[{_BLANK}{BREAK}{_LINE_BREAK}]+$", "")
    return tf.strings.join(["\n", text])


def model_form(tokens: tf.Tensor, *, case: Case, numbers: Numbers) -> tf.Tensor:
    """The form in which a model sees tokens, any shape; see `Vocabulary`."""
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
    """Which tokens a person would accept as a suggested word; any shape → bool."""
    # Vocabularies hold case-folded forms, "s.a." for "S.A.".
    return tf.strings.regex_full_match(
        tokens, rf"(?i:{_ABBREVIATION})|[^\P{{L}}ºª][\p{{L}}\p{{M}}\p{{N}}'_&-]*"
    )


class Tokenizer(tf.Module):
    """Text to ids with one vocabulary; what it looks up travels with the module."""

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
        """Ids of tokens as `tokenize` cuts them, where a token has one id; any shape, int32."""
        return self.table.lookup(model_form(tokens, case=self.case, numbers=self.numbers))

    def pieces(self, tokens: tf.Tensor) -> tf.RaggedTensor:
        """Ids of tokens of shape (N,), where a token has several; shape (N, None), int32."""
        different, places = tf.unique(model_form(tokens, case=self.case, numbers=self.numbers))
        return tf.gather(self.segment(different), places)

    def ids(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids of texts of shape (B,) that go on from another; shape (B, None), int32."""
        return self.of_cut(*cut(text))

    def of_cut(self, tokens: tf.RaggedTensor, places: tf.RaggedTensor) -> tf.RaggedTensor:
        """Ids of texts as `cut` returned them; shape (B, None), int32."""
        if self.unit == "word":
            return put_back(tokens.with_values(self.lookup(tokens.values)), places)
        pieces = tokens.with_values(self.pieces(tokens.values))
        return put_back(pieces.merge_dims(1, 2), places)

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Ids of texts of shape (B,), each opened by `<s>`; shape (B, None), int32."""
        return self.ids(open_paragraph(text))
