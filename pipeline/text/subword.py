"""Subword segmentation by a unigram model, so that no word is unknown.

The model is SentencePiece's (Kudo 2018, arXiv:1804.10959), trained by `pipeline.tokens.pieces`.
`Segmenter` finds the most probable segmentation with core TensorFlow operations, so that an
exported model needs nothing else:

    >>> segment = Segmenter(vocabulary.tokens, vocabulary.scores)
    >>> print(*(vocabulary.tokens[i] for i in segment(tf.constant(["desconstruindo"])).values))
    des const rui ndo▁

A piece never crosses a token. The last piece of each token ends with `MARK`, so the probability
of a word of one piece is that of one id. A character without a piece is encoded as its UTF-8
bytes.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from pipeline.text.vocabulary import BYTES, MARK, UNKNOWN_ID

# As in SentencePiece: an unknown character scores this much below the rarest piece, and sums of
# log-probabilities beyond the limit restart at zero.
_UNKNOWN_PENALTY = 10.0
_MAX_SUM = 100_000.0
# Bits of a code point.
_BITS = 21
# Tokens segmented at once.
_BATCH = 2**16


def in_batches(
    function: Callable[[tf.Tensor], tf.RaggedTensor], tokens: Sequence[str] | Sequence[bytes]
) -> tf.RaggedTensor:
    """Apply a function to any number of tokens in bounded memory; returns (N, None)."""
    starts = range(0, len(tokens), _BATCH)
    return tf.concat([function(tf.constant(tokens[i : i + _BATCH])) for i in starts], axis=0)


class Segmenter(tf.Module):
    """Encode tokens as ids of pieces, exactly as SentencePiece's `encode` does.

    Args:
        pieces: strings in id order; those of `BYTES` stand for bytes.
        scores: log-probability of each piece.
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float]):
        super().__init__(name="segmenter")
        ids = {piece: i for i, piece in enumerate(pieces)}
        self._bytes = tf.constant([ids.pop(piece) for piece in BYTES], tf.int32)
        del ids[pieces[UNKNOWN_ID]]
        self._longest = max(map(len, ids))
        # A trie as a sorted list of edges: a node and a character, packed into one integer.
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
        """Return ids of tokens of shape (N,), valid UTF-8: shape (N, None), int32."""
        # `while_loop` fails on an empty batch, so append an empty token.
        tokens = tf.concat([tf.strings.regex_replace(tokens, MARK, "_"), [""]], 0)
        codes = tf.strings.unicode_decode(tf.strings.join([tokens, MARK]), "UTF-8")
        matches = self._match(codes.values)
        lengths = self._best_lengths(codes, matches)
        ends = _trace_back(codes, lengths)
        length = tf.gather(lengths, ends)
        ids = tf.gather_nd(matches, tf.stack([ends + 1 - length, length - 1], axis=1))
        ids, repeats = self._encode_bytes(ids, tf.gather(codes.values, ends))
        rows = tf.repeat(tf.gather(codes.value_rowids(), ends), repeats)
        return tf.RaggedTensor.from_value_rowids(ids, rows, codes.nrows(), validate=False)[:-1]

    def _match(self, codes: tf.Tensor) -> tf.Tensor:
        """Return the piece of each length that begins at each character, or -1.

        No piece continues after `MARK`, so none crosses a token.

        Args:
            codes: characters of all tokens, (C,).

        Returns:
            ids, (C, longest).
        """
        padded = tf.pad(codes, [[0, self._longest]])
        shapes: list[list[int | None]] = [[], [None], [None], [None, self._longest]]

        # Follow the trie from every position at once; keep the positions that still match.
        def lengthen(
            length: tf.Tensor, positions: tf.Tensor, nodes: tf.Tensor, matches: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            characters = tf.cast(tf.gather(padded, positions + length), tf.int64)
            edges = tf.bitwise.left_shift(nodes, _BITS) | characters
            at = tf.minimum(tf.searchsorted(self._edges, edges), tf.size(self._edges) - 1)
            hit = tf.equal(tf.gather(self._edges, at), edges)
            positions = tf.boolean_mask(positions, hit)
            nodes = tf.gather(self._children, tf.boolean_mask(at, hit))
            places = tf.stack([positions, tf.fill(tf.shape(positions), length)], axis=1)
            ids = tf.gather(self._endings, nodes)
            return length + 1, positions, nodes, tf.tensor_scatter_nd_update(matches, places, ids)

        *_, matches = tf.while_loop(
            lambda length, positions, *_: (length < self._longest) & (tf.size(positions) > 0),
            lengthen,
            (
                tf.constant(0),
                tf.range(tf.size(codes)),
                tf.zeros_like(codes, tf.int64),
                tf.fill([tf.size(codes), self._longest], -1),
            ),
            shape_invariants=tuple(map(tf.TensorShape, shapes)),
        )
        return matches

    def _best_lengths(self, codes: tf.RaggedTensor, matches: tf.Tensor) -> tf.Tensor:
        """Find the length of the best piece that ends at each character (Viterbi), (C,).

        All tokens advance in parallel, one character a step. Sums are added in SentencePiece's
        order and precision, and ties go to the longer piece, as there.
        """
        scores = tf.gather(self._scores, tf.maximum(matches, 0))
        scores = tf.where(matches < 0, -float("inf"), scores)
        single = tf.where(matches[:, :1] < 0, self._unknown, scores[:, :1])
        scores = tf.concat([single, scores[:, 1:]], axis=1)
        sizes = tf.cast(codes.row_lengths(), tf.int32)
        # Longest tokens first, so that those that still advance are the first rows.
        order = tf.argsort(sizes, direction="DESCENDING")
        sizes, starts = tf.gather(sizes, order), tf.gather(codes.row_starts(), order)
        starts = tf.cast(starts, tf.int32)

        # sums, (N, 1 + longest): best sums that end before this character, with it, and after it;
        # last, (N, longest): lengths of the last pieces of all but the first of them.
        def advance(
            step: tf.Tensor, sums: tf.Tensor, last: tf.Tensor, lengths: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            rows = tf.math.count_nonzero(sizes > step, dtype=tf.int32)
            sums, last, places = sums[:rows], last[:rows], starts[:rows] + step
            best = sums[:, :1]
            sums -= tf.where(tf.abs(best) > _MAX_SUM, best, 0.0)
            candidates = sums[:, :1] + tf.gather(scores, places)
            better = candidates > sums[:, 1:]
            sums = tf.where(better, candidates, sums[:, 1:])
            last = tf.where(better, tf.range(1, self._longest + 1), last)
            lengths = tf.tensor_scatter_nd_update(lengths, places[:, None], last[:, 0])
            sums = tf.pad(sums, [[0, 0], [0, 1]], constant_values=-float("inf"))
            return step + 1, sums, tf.pad(last[:, 1:], [[0, 0], [0, 1]]), lengths

        first = tf.one_hot(tf.zeros_like(sizes), self._longest + 1, 0.0, -float("inf"))
        last = tf.zeros_like(first[:, 1:], tf.int32)
        width = self._longest
        shapes: list[list[int | None]] = [[], [None, width + 1], [None, width], [None]]
        *_, lengths = tf.while_loop(
            lambda step, *_: step < sizes[0],
            advance,
            (tf.constant(0), first, last, tf.zeros_like(codes.values)),
            shape_invariants=tuple(map(tf.TensorShape, shapes)),
        )
        return lengths

    def _encode_bytes(self, ids: tf.Tensor, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Replace each id of -1 by the ids of the bytes of its character.

        Args:
            ids: of pieces, (P,).
            codes: the last character of each, (P,).

        Returns:
            ids, and how many of them each of the given ids became, (P,).
        """
        unknown = ids < 0
        characters = tf.strings.unicode_encode(tf.boolean_mask(codes, unknown)[:, None], "UTF-8")
        # Latin-1 decodes each byte to the character with the byte's number.
        encoded = tf.strings.unicode_decode(characters, "ISO-8859-1")
        repeats = tf.tensor_scatter_nd_update(
            tf.ones_like(ids), tf.where(unknown), tf.cast(encoded.row_lengths(), tf.int32)
        )
        ids = tf.repeat(ids, repeats)
        byte_ids = tf.gather(self._bytes, encoded.values)
        return tf.tensor_scatter_nd_update(ids, tf.where(ids < 0), byte_ids), repeats


def _trace_back(codes: tf.RaggedTensor, lengths: tf.Tensor) -> tf.Tensor:
    """Return the characters at which the best pieces end, in order, int32.

    Args:
        codes: characters of tokens, (N, None).
        lengths: of the best piece that ends at each character, (C,).
    """
    # A node stands before each character, and one after the last. The pieces of a token link its
    # last node to its first, which is the last node of the token before. Pointer doubling reaches
    # all nodes of a chain in as many steps as its length has binary digits.
    links = tf.concat([[0], tf.range(1, tf.size(lengths) + 1) - lengths], 0)
    reached = tf.scatter_nd(
        tf.cast(codes.row_limits()[:, None], tf.int32),
        tf.ones([codes.nrows()], tf.int32),
        tf.shape(links),
    )

    def double(span: tf.Tensor, links: tf.Tensor, reached: tf.Tensor) -> tuple[tf.Tensor, ...]:
        reached = tf.tensor_scatter_nd_max(reached, links[:, None], reached)
        return 2 * span, tf.gather(links, links), reached

    longest = tf.reduce_max(codes.row_lengths())
    _, _, reached = tf.while_loop(
        lambda span, *_: span <= longest, double, (tf.constant(1, tf.int64), links, reached)
    )
    return tf.cast(tf.where(reached[1:] > 0)[:, 0], tf.int32)
