"""Words of several pieces, found by a beam search."""

import tensorflow as tf

from pipeline.export.prefixes import Letters, Typed
from pipeline.export.reader import Reader
from pipeline.text.suggestible import suggestible
from pipeline.text.tokenizer import is_word
from pipeline.text.vocabulary import MARK, Vocabulary

_MAX_PIECES = 4
_WIDTH = 16
# What the later pieces of a word are made of.
_LETTERS = r"[\p{L}\p{M}\p{N}'_.-]*"


class Beam(tf.Module):
    """The most probable words of two pieces or more.

    p(word) is the product over its pieces, the last of which closes the word. The model was trained
    on one segmentation of each word, so words that are segmented otherwise are left out.
    """

    def __init__(self, reader: Reader, vocabulary: Vocabulary, *, letters: Letters):
        super().__init__(name="beam")
        self._reader, self._letters = reader, letters
        self._tokens = tf.constant(list(vocabulary.tokens))
        closes = tf.constant(vocabulary.closes())
        self._begins = tf.constant(suggestible(vocabulary)) & ~closes
        follows = tf.strings.regex_full_match(vocabulary.spellings(), _LETTERS)
        self._ends, self._goes_on = follows & closes, follows & ~closes

    def search(
        self, state: tf.Tensor, probabilities: tf.Tensor, typed: Typed | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Find words after a text, in the case of the vocabulary.

        Args:
            state: after the text, (B, S).
            probabilities: of each id after the text, (B, V).
            typed: what the words begin with, if anything.

        Returns:
            Words and their probabilities, (B, N); the probability is -1 if there is no such word.
        """
        fits = self._fits(typed, tf.zeros_like(probabilities[:, 0], tf.int32), ending=False)
        p, ids = tf.math.top_k(tf.where(self._begins & fits, probabilities, 0.0), _WIDTH)
        paths = tf.gather(self._tokens, ids)
        lengths = tf.gather(self._letters.length, ids)
        state = tf.repeat(state, _WIDTH, axis=0)
        typed = typed and typed.repeat(_WIDTH)
        ended = []
        for _ in range(_MAX_PIECES - 1):
            state = self._reader.advance(state, tf.reshape(ids, (-1, 1)))
            joint = tf.reshape(p, (-1, 1)) * self._reader.probabilities(state)  # (B · width, V)
            flat = tf.reshape(lengths, (-1,))
            ending = self._ends & self._fits(typed, flat, ending=True)
            going = self._goes_on & self._fits(typed, flat, ending=False)
            ended.append(self._grow(paths, tf.where(ending, joint, 0.0))[:2])
            paths, p, ids, parents = self._grow(paths, tf.where(going, joint, 0.0))
            lengths = tf.gather(lengths, parents, batch_dims=1)
            lengths += tf.gather(self._letters.length, ids)
            states = tf.reshape(state, (-1, _WIDTH, self._reader.state_size))
            states = tf.gather(states, parents, batch_dims=1)
            state = tf.reshape(states, (-1, self._reader.state_size))
        paths, p = (tf.concat(parts, axis=1) for parts in zip(*ended, strict=True))
        words = tf.strings.regex_replace(paths, f"[\n{MARK}]", "")
        valid = is_word(words) & tf.equal(self._segment(words), paths) & (p > 0)
        return words, tf.where(valid, p, -1.0)

    def _fits(self, typed: Typed | None, lengths: tf.Tensor, *, ending: bool) -> tf.Tensor:
        """Return which pieces can follow `lengths` (N,) letters: bool (N, V), or True for all."""
        if typed is None:
            return tf.constant(True)
        left = typed.without(lengths)
        fits, _ = self._letters.compare(left)
        return fits & (self._letters.length >= left.length[:, None]) if ending else fits

    def _segment(self, words: tf.Tensor) -> tf.Tensor:
        """Join the pieces of each word by line breaks."""
        ids = self._reader.tokenizer.segment(tf.reshape(words, (-1,)))
        joined = tf.strings.reduce_join(tf.gather(self._tokens, ids), axis=1, separator="\n")
        return tf.reshape(joined, tf.shape(words))

    def _grow(self, paths: tf.Tensor, joint: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Extend paths (B, width) by one piece and keep the best.

        Args:
            paths: pieces joined by line breaks.
            joint: probabilities of each path with each piece, (B · width, V).

        Returns:
            Paths, their probabilities, their last piece and the path each comes from, (B, width).
        """
        size = len(self._tokens)
        p, places = tf.math.top_k(tf.reshape(joint, (-1, _WIDTH * size)), _WIDTH)
        ids, parents = places % size, places // size
        before = tf.gather(paths, parents, batch_dims=1)
        paths = tf.strings.join([before, tf.gather(self._tokens, ids)], separator="\n")
        return paths, p, ids, parents
