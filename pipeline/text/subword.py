"""Tokens cut into pieces, so that no word is unknown: SentencePiece's unigram model.

The model is of Kudo (2018), "Subword Regularization", arXiv:1804.10959. `pipeline.tokens.pieces`
trains it with the library; here its most probable segmentation is found again in core TensorFlow
operations, so that an exported model needs nothing else:

    >>> segment = Segmenter(vocabulary.tokens, vocabulary.scores)
    >>> print(*(vocabulary.tokens[i] for i in segment(tf.constant(["desconstruindo"])).values))
    des const rui ndo▁

A piece never crosses a token. `MARK` stands after a token's last character, so that the piece
says whether it closes the token: p(word of one piece) is then the probability of one id. A
character that no piece has is written as its bytes in UTF-8.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from pipeline.text.vocabulary import BYTES, MARK, UNKNOWN_ID

# SentencePiece's: ln p of a character that no piece has, below that of the rarest piece.
_UNKNOWN_PENALTY = 10.0
# SentencePiece's: sums beyond it begin at zero again.
_FARTHEST = 100_000.0
# Bits of a code point.
_BITS = 21
# Tokens cut into pieces at once.
_CHUNK = 2**16


def in_chunks(
    function: Callable[[tf.Tensor], tf.RaggedTensor], tokens: Sequence[str] | Sequence[bytes]
) -> tf.RaggedTensor:
    """What a function makes of any number of tokens, (N, None), in bounded memory."""
    starts = range(0, len(tokens), _CHUNK)
    return tf.concat([function(tf.constant(tokens[i : i + _CHUNK])) for i in starts], axis=0)


class Segmenter(tf.Module):
    """Tokens to the ids of their pieces, exactly as SentencePiece's `encode` finds them.

    Args:
        pieces: strings in id order; those of `BYTES` stand for bytes.
        scores: ln p of each.
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float]):
        super().__init__(name="segmenter")
        ids = {piece: i for i, piece in enumerate(pieces)}
        self._bytes = tf.constant([ids.pop(piece) for piece in BYTES], tf.int32)
        del ids[pieces[UNKNOWN_ID]]
        self._longest = max(map(len, ids))
        # A trie: the child of a node by a character, both packed into one integer, in order.
        children: dict[int, int] = {}
        endings = {}
        for piece, i in ids.items():
            node = 0
            for character in piece:
                node = children.setdefault(node << _BITS | ord(character), len(children) + 1)
            endings[node] = i
        edges = sorted(children)
        self._edges = tf.constant(edges, tf.int64)
        self._children = tf.constant([children[edge] for edge in edges], tf.int64)
        self._endings = tf.constant(
            [endings.get(node, -1) for node in range(len(children) + 1)], tf.int32
        )
        self._scores = tf.constant(scores, tf.float32)
        self._unknown = tf.constant(min(scores), tf.float32) - _UNKNOWN_PENALTY

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def __call__(self, tokens: tf.Tensor) -> tf.RaggedTensor:
        """Ids of tokens of shape (N,), valid UTF-8: shape (N, None), int32."""
        # A loop over no token fails; so there is always one, the empty one.
        tokens = tf.concat([tf.strings.regex_replace(tokens, MARK, "_"), [""]], 0)
        codes = tf.strings.unicode_decode(tf.strings.join([tokens, MARK]), "UTF-8")
        found = self._found(codes.values)
        lengths = self._lengths(codes, found)
        ends = _reached(codes, lengths)
        length = tf.gather(lengths, ends)
        ids = tf.gather_nd(found, tf.stack([ends + 1 - length, length - 1], axis=1))
        ids, repeats = self._with_bytes(ids, tf.gather(codes.values, ends))
        rows = tf.repeat(tf.gather(codes.value_rowids(), ends), repeats)
        return tf.RaggedTensor.from_value_rowids(ids, rows, codes.nrows(), validate=False)[:-1]

    def _found(self, codes: tf.Tensor) -> tf.Tensor:
        """The piece of each length that begins at each character: (C,) → ids (C, longest).

        Where there is none stands -1. No piece goes on after `MARK`, so none crosses a token.
        """
        padded = tf.pad(codes, [[0, self._longest]])

        # positions: the beginnings from which the trie still leads on; nodes: how far.
        def lengthen(
            length: tf.Tensor, positions: tf.Tensor, nodes: tf.Tensor, found: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            characters = tf.cast(tf.gather(padded, positions + length), tf.int64)
            edges = tf.bitwise.left_shift(nodes, _BITS) | characters
            at = tf.minimum(tf.searchsorted(self._edges, edges), tf.size(self._edges) - 1)
            hit = tf.equal(tf.gather(self._edges, at), edges)
            positions = tf.boolean_mask(positions, hit)
            nodes = tf.gather(self._children, tf.boolean_mask(at, hit))
            places = tf.stack([positions, tf.fill(tf.shape(positions), length)], axis=1)
            ids = tf.gather(self._endings, nodes)
            return length + 1, positions, nodes, tf.tensor_scatter_nd_update(found, places, ids)

        *_, found = tf.while_loop(
            lambda length, positions, *_: (length < self._longest) & (tf.size(positions) > 0),
            lengthen,
            (
                tf.constant(0),
                tf.range(tf.size(codes)),
                tf.zeros_like(codes, tf.int64),
                tf.fill([tf.size(codes), self._longest], -1),
            ),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape([None, self._longest]),
            ),
        )
        return found

    def _lengths(self, codes: tf.RaggedTensor, found: tf.Tensor) -> tf.Tensor:
        """Viterbi: the length of the best piece that ends at each character, (C,).

        All tokens advance side by side, character by character. The sums are SentencePiece's,
        in its order and precision, and like there a later beginning must be better to win.
        """
        scores = tf.where(found < 0, -float("inf"), tf.gather(self._scores, tf.maximum(found, 0)))
        alone = tf.where(found[:, :1] < 0, self._unknown, scores[:, :1])
        scores = tf.concat([alone, scores[:, 1:]], axis=1)
        sizes = tf.cast(codes.row_lengths(), tf.int32)
        # The longest tokens first: those that still advance are always the first so many.
        order = tf.argsort(sizes, direction="DESCENDING")
        sizes, starts = tf.gather(sizes, order), tf.gather(codes.row_starts(), order)
        steps = tf.range(1, self._longest + 1)
        rows = tf.size(sizes)

        # best: the best sum before this character. ahead, (N, longest): the best sums known so
        # far that end 1, 2, … characters after it, and the lengths of their last pieces.
        def advance(
            step: tf.Tensor,
            best: tf.Tensor,
            ahead: tf.Tensor,
            lengths: tf.Tensor,
            places: tf.TensorArray,
            chosen: tf.TensorArray,
        ) -> tuple[tf.Tensor, ...]:
            left = tf.math.count_nonzero(sizes > step, dtype=tf.int32)
            best, ahead, lengths = best[:left], ahead[:left], lengths[:left]
            place = tf.cast(starts[:left], tf.int32) + step
            far = tf.where(tf.abs(best) > _FARTHEST, best, 0.0)
            best, ahead = best - far, ahead - far[:, None]
            sums = best[:, None] + tf.gather(scores, place)
            better = sums > ahead
            ahead, lengths = tf.where(better, sums, ahead), tf.where(better, steps, lengths)
            places = places.write(step, place)
            chosen = chosen.write(step, lengths[:, 0])
            beyond = tf.fill([left, 1], -float("inf"))
            return (
                step + 1,
                ahead[:, 0],
                tf.concat([ahead[:, 1:], beyond], axis=1),
                tf.concat([lengths[:, 1:], tf.zeros_like(lengths[:, :1])], axis=1),
                places,
                chosen,
            )

        longest = sizes[0]
        arrays = [
            tf.TensorArray(tf.int32, longest, infer_shape=False, element_shape=[None])
            for _ in range(2)
        ]
        *_, places, chosen = tf.while_loop(
            lambda step, *_: step < longest,
            advance,
            (
                tf.constant(0),
                tf.zeros([rows]),
                tf.fill([rows, self._longest], -float("inf")),
                tf.zeros([rows, self._longest], tf.int32),
                *arrays,
            ),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None]),
                tf.TensorShape([None, self._longest]),
                tf.TensorShape([None, self._longest]),
                *[None, None],
            ),
        )
        return tf.scatter_nd(places.concat()[:, None], chosen.concat(), tf.shape(codes.values))

    def _with_bytes(self, ids: tf.Tensor, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids with each -1 written as the bytes of its character; how many stand for each.

        Args:
            ids: of pieces, (P,).
            codes: the last character of each, (P,).
        """
        unknown = ids < 0
        characters = tf.strings.unicode_encode(tf.boolean_mask(codes, unknown)[:, None], "UTF-8")
        # Latin-1 has one character for each byte, with the byte's number.
        written = tf.strings.unicode_decode(characters, "ISO-8859-1")
        repeats = tf.tensor_scatter_nd_update(
            tf.ones_like(ids), tf.where(unknown), tf.cast(written.row_lengths(), tf.int32)
        )
        ids = tf.repeat(ids, repeats)
        byte_ids = tf.gather(self._bytes, written.values)
        return tf.tensor_scatter_nd_update(ids, tf.where(ids < 0), byte_ids), repeats


def _reached(codes: tf.RaggedTensor, lengths: tf.Tensor) -> tf.Tensor:
    """The characters at which the pieces of the best segmentations end, in order, int32.

    Args:
        codes: characters of tokens, (N, None).
        lengths: of the best piece that ends at each of them, (C,).
    """
    # A node stands before each character, and one behind the last. From a token's last node a
    # chain of pieces leads to its first, which is the last of the token before. Jumps that
    # double reach all of a chain in as many steps as its length has binary digits.
    jumps = tf.concat([[0], tf.range(1, tf.size(lengths) + 1) - lengths], 0)
    seen = tf.scatter_nd(
        tf.cast(codes.row_limits()[:, None], tf.int32),
        tf.ones([codes.nrows()], tf.int32),
        tf.shape(jumps),
    )

    def double(span: tf.Tensor, jumps: tf.Tensor, seen: tf.Tensor) -> tuple[tf.Tensor, ...]:
        seen = tf.tensor_scatter_nd_max(seen, jumps[:, None], seen)
        return 2 * span, tf.gather(jumps, jumps), seen

    longest = tf.reduce_max(codes.row_lengths())
    _, _, seen = tf.while_loop(
        lambda span, *_: span <= longest, double, (tf.constant(1, tf.int64), jumps, seen)
    )
    return tf.cast(tf.where(seen[1:] > 0)[:, 0], tf.int32)
