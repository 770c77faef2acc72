"""Train subwords with SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226).

`pipeline.text.subword` segments tokens with them.
"""

import io
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.text.subword import Segmenter, in_batches
from pipeline.text.vocabulary import BEGIN, BEGIN_ID, MARK, NUMBER, UNKNOWN, UNKNOWN_ID, Vocabulary
from pipeline.tokens.config import VocabularyConfig

# SentencePiece repeats each token as often as it was counted and takes 13 bytes of memory for each
# byte of that text. Counts are scaled down to at most so many bytes.
_MAX_BYTES = 2**25


def _interleave(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Order tokens so that neighbours begin with different bytes, as long as there are any.

    SentencePiece (0.2.3) seeds its pieces with the longest repeated strings of its input. Between
    neighbours that begin alike these extend beyond the token and are dropped, so a word that
    begins no other word would never become a piece.
    """
    groups: dict[int, list[tuple[str, int]]] = {}
    for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        groups.setdefault(token.encode()[0], []).append((token, count))
    for row in itertools.zip_longest(*groups.values()):
        yield from filter(None, row)


def train_pieces(counts: Mapping[str, int], *, size: int) -> dict[str, float]:
    """Train a unigram model on tokens.

    The order of the counts does not matter.

    Args:
        counts: occurrences of each token as the model sees it.
        size: maximum number of pieces, including the 256 of `BYTES`.

    Returns:
        The log-probability of each piece, and 0 for `BYTES`.

    Raises:
        InputError: the pieces are too few to spell the tokens, or `sentencepiece` is missing.
    """
    if not counts:
        raise InputError(
            "The training split holds no word to split into pieces: add text, or leave --unit at "
            "word."
        )
    try:
        import sentencepiece
    except ImportError as error:
        raise InputError(
            "Subwords need SentencePiece: `pip install 'nextword-pt[subword]'`, or leave --unit at "
            "word."
        ) from error
    share = min(1.0, _MAX_BYTES / sum(n * len(token.encode()) for token, n in counts.items()))
    lines = (
        f"{token.replace(MARK, '_')}\t{max(1, round(n * share))}"
        for token, n in _interleave(counts)
    )
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=size + 2,  # <unk> and <s>, which it must have
            hard_vocab_limit=False,
            byte_fallback=True,
            # The tokenizer has split and normalised the text.
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            treat_whitespace_as_suffix=True,
            unk_id=UNKNOWN_ID,
            bos_id=BEGIN_ID,
            eos_id=-1,
            pad_id=-1,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise InputError(
            f"{size} pieces are too few for 256 bytes and every letter of the training split: "
            "raise --vocabulary-size."
        ) from error
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(len(trained))[BEGIN_ID + 1 :]
    return {trained.id_to_piece(i): trained.get_score(i) for i in ids}


def piece_vocabulary(
    counts: Mapping[str, int],
    *,
    displays: Mapping[str, str],
    paragraphs: int,
    config: VocabularyConfig,
) -> Vocabulary:
    """Return the pieces of the tokens of a training split, most frequent first.

    Args:
        counts: occurrences of each token as the model sees it.
        displays: tokens that people write in another way; a piece that begins no token is
            displayed as "".
        paragraphs: occurrences of `<s>`.
        config: the size and the choices of the vocabulary.

    Raises:
        InputError: see `train_pieces`.
    """
    words = {token: count for token, count in counts.items() if token != NUMBER}
    wholes = [UNKNOWN, BEGIN, *([NUMBER + MARK] if config.numbers == "class" else [])]
    scores = dict.fromkeys(wholes, 0.0) | train_pieces(
        words, size=config.vocabulary_size - len(wholes)
    )
    pieces = [*scores]
    rows = in_batches(Segmenter(pieces, [*scores.values()]), [*words])
    occurrences = np.repeat([*words.values()], rows.row_lengths().numpy())
    totals = np.bincount(rows.values.numpy(), occurrences, len(pieces)).astype(np.int64)
    total = dict(zip(pieces, totals.tolist(), strict=True))
    total |= {BEGIN: paragraphs, NUMBER + MARK: counts.get(NUMBER, 0)}
    kept = [UNKNOWN, BEGIN, *sorted(pieces[BEGIN_ID + 1 :], key=lambda p: (-total[p], p))]
    first = {pieces[i] for i in tf.gather(rows.values, rows.row_starts()).numpy()} | {*wholes}
    return Vocabulary(
        tuple(kept),
        tuple(_display(piece, displays) if piece in first else "" for piece in kept),
        tuple(total[piece] for piece in kept),
        config.case,
        config.numbers,
        "subword",
        tuple(scores[piece] for piece in kept),
    )


def _display(piece: str, displays: Mapping[str, str]) -> str:
    word = piece.removesuffix(MARK)
    return displays.get(word, word) if piece.endswith(MARK) else word
