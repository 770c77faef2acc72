"""Words of several pieces, found by a beam search."""

import tensorflow as tf

from pipeline.export.prefixes import Letters, Typed
from pipeline.export.reader import Reader
from pipeline.text.tokenizer import is_word
from pipeline.text.vocabulary import MARK, Vocabulary

# The most pieces of a word, and the beginnings that are followed at once.
_PIECES = 4
_BEAM = 16
# What a word's later pieces are made of.
_LETTERS = r"[\p{L}\p{M}\p{N}'_.-]*"


class Beam(tf.Module):
    """The most probable words of two pieces or more.

    p(word) is the product over its pieces, of which the last says that the word ends. The model
    knows words cut in one way only; what is spelled in another is left out.

    Args:
        reader: of pieces.
        vocabulary: the reader's.
        letters: of all pieces.
    """

    def __init__(self, reader: Reader, vocabulary: Vocabulary, *, letters: Letters):
        super().__init__(name="beam")
        self._reader, self._letters = reader, letters
        self._tokens = tf.constant(list(vocabulary.tokens))
        spelled, closes = vocabulary.spellings(), tf.constant(vocabulary.closes())
        shown = tf.not_equal(tf.constant(list(vocabulary.displays)), "")
        self._begins = is_word(spelled) & shown & ~closes
        follows = tf.strings.regex_full_match(spelled, _LETTERS)
        self._ends, self._goes_on = follows & closes, follows & ~closes

    def find(
        self, state: tf.Tensor, probabilities: tf.Tensor, typed: Typed | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Words after a text, as they are spelled.

        Args:
            state: of the text, (B, S).
            probabilities: of every id after it, (B, V).
            typed: what the words begin with, if anything.

        Returns:
            Words and their probabilities, -1 for what is no word: (B, N).
        """
        fits = self._fits(typed, tf.zeros_like(probabilities[:, 0], tf.int32), ending=False)
        shares, ids = tf.math.top_k(tf.where(self._begins & fits, probabilities, 0.0), _BEAM)
        paths = tf.gather(self._tokens, ids)
        lengths = tf.gather(self._letters.length, ids)
        state = tf.repeat(state, _BEAM, axis=0)
        typed = typed and typed.repeat(_BEAM)
        ended = []
        for _ in range(_PIECES - 1):
            state = self._reader.advance(state, tf.reshape(ids, (-1, 1)))
            after = self._reader.probabilities(state)
            joint = tf.reshape(shares, (-1, 1)) * after  # (B · beam, V)
            flat = tf.reshape(lengths, (-1,))
            ending = self._ends & self._fits(typed, flat, ending=True)
            going = self._goes_on & self._fits(typed, flat, ending=False)
            ended.append(self._grow(paths, tf.where(ending, joint, 0.0))[:2])
            paths, shares, ids, parents = self._grow(paths, tf.where(going, joint, 0.0))
            lengths = tf.gather(lengths, parents, batch_dims=1)
            lengths += tf.gather(self._letters.length, ids)
            states = tf.reshape(state, (-1, _BEAM, self._reader.state_size))
            states = tf.gather(states, parents, batch_dims=1)
            state = tf.reshape(states, (-1, self._reader.state_size))
        paths, shares = (tf.concat(parts, axis=1) for parts in zip(*ended, strict=True))
        words = tf.strings.regex_replace(paths, f"[\n{MARK}]", "")
        sound = is_word(words) & tf.equal(self._path(words), paths) & (shares > 0)
        return words, tf.where(sound, shares, -1.0)

    def _fits(self, typed: Typed | None, lengths: tf.Tensor, *, ending: bool) -> tf.Tensor:
        """Which pieces can follow so many letters, (N,): bool (N, V), or True for all of them."""
        if typed is None:
            return tf.constant(True)
        left = typed.without(lengths)
        fits, _ = self._letters.compare(left)
        return fits & (self._letters.length >= left.length[:, None]) if ending else fits

    def _path(self, words: tf.Tensor) -> tf.Tensor:
        """The pieces of words of any shape, joined by line breaks."""
        segmented = self._reader.tokenizer.segment(tf.reshape(words, (-1,)))
        pieces = tf.gather(self._tokens, segmented)
        joined = tf.strings.reduce_join(pieces, axis=1, separator="\n")
        return tf.reshape(joined, tf.shape(words))

    def _grow(self, paths: tf.Tensor, joint: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The most probable of all beginnings (B, beam) with one more piece (B · beam, V).

        Returns:
            Their pieces, their probabilities, the last piece, and what it was put to: (B, beam).
        """
        size = len(self._tokens)
        shares, places = tf.math.top_k(tf.reshape(joint, (-1, _BEAM * size)), _BEAM)
        ids, parents = places % size, places // size
        before = tf.gather(paths, parents, batch_dims=1)
        paths = tf.strings.join([before, tf.gather(self._tokens, ids)], separator="\n")
        return paths, shares, ids, parents
