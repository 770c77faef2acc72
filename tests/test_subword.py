"""Pieces of words: SentencePiece's own, found without it."""

import random

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as protobuf
from texts import TEXTS, stream_texts, write_documents

from pipeline import InputError
from pipeline.corpus.splits import SPLITS
from pipeline.text import subword
from pipeline.text.subword import Segmenter, in_batches
from pipeline.text.tokenizer import BREAK, Tokenizer, tokenize
from pipeline.text.vocabulary import BYTES, MARK, Vocabulary, choices_path
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.pieces import piece_vocabulary, train_pieces
from pipeline.tokens.tokenize import tokenize as write_tokens

STEMS = "casa casinha caso cas carro corre come comida cantar canta falar fala menin água línguas"
ENDINGS = ["", "s", "ndo", "mos", "ria", "ção", "ções", "zinho", "-se", "-lhe"]
COUNTS = {
    stem + ending: 1 + (7 * i + 3 * j) % 11
    for i, stem in enumerate(STEMS.split())
    for j, ending in enumerate(ENDINGS)
}
COUNTS |= {".": 90, ",": 80, "o": 70, "a": 60, "não": 30, "d'água": 9, "guarda-chuva": 2, "…": 3}
ALL_COUNTS = COUNTS | {"<num>": 17, "brasil": 40}


def processor(pieces: list[str], scores: list[float]) -> sentencepiece.SentencePieceProcessor:
    """The library with a model made of pieces in id order."""
    model = protobuf.ModelProto()
    model.trainer_spec.model_type = protobuf.TrainerSpec.UNIGRAM
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.treat_whitespace_as_suffix = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    types = {"<unk>": 2, "<s>": 3} | dict.fromkeys(BYTES, 6)  # unknown, control, byte
    for piece, score in zip(pieces, scores, strict=True):
        model.pieces.add(piece=piece, score=score, type=types.get(piece, 1))
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def both(scores: dict[str, float]) -> tuple[Segmenter, sentencepiece.SentencePieceProcessor]:
    pieces, values = ["<unk>", "<s>", *scores], [0.0, 0.0, *scores.values()]
    return Segmenter(pieces, values), processor(pieces, values)


def assert_same(models, words: list[str]) -> None:
    segment, library = models
    found = segment(tf.constant(words, tf.string)).to_list()
    for word, ids in zip(words, found, strict=True):
        assert ids == library.encode(word), word


@pytest.fixture(scope="module")
def trained():
    return both(train_pieces(COUNTS, size=400))


def test_words_are_segmented_as_by_sentencepiece(trained):
    others = [
        "casamento",
        "CASA",
        "àquela",
        "14h30",
        "dar-lhe-ia",
        "😀👍🏽",
        "ñ",
        "中文",
        "<0x41>",
        "\u0301",
    ]
    assert_same(trained, [*COUNTS, *others])
    cut = trained[0](tf.constant([*COUNTS]))
    assert cut.row_lengths().numpy().max() > 1
    assert cut.row_lengths().numpy().min() == 1


@settings(deadline=None, max_examples=150)
@given(
    words=st.lists(
        st.one_of(
            st.text("aceioscdlnrmãçáé-'", min_size=1, max_size=40),
            st.text(st.characters(codec="utf-8", exclude_characters=" \0" + MARK), min_size=1),
        ),
        max_size=8,
    )
)
def test_any_words_are_segmented_as_by_sentencepiece(trained, words):
    assert_same(trained, words)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_ties_are_broken_as_by_sentencepiece(seed):
    """Few letters and few scores, of which many sums are equal, or would be without rounding."""
    chance = random.Random(seed)
    spelled = {"".join(chance.choices("ab", k=chance.randint(1, 4))) for _ in range(12)}
    pieces = {*spelled, *(piece + MARK for piece in spelled if chance.random() < 0.5), MARK}
    scores = {piece: chance.choice([-0.1, -0.2, -0.3, -0.7]) for piece in sorted(pieces)}
    words = ["".join(chance.choices("abc", k=k)) for k in range(1, 13) for _ in "123"]
    tf.config.run_functions_eagerly(True)  # a graph for each model would take longer
    try:
        assert_same(both(dict.fromkeys(BYTES, 0.0) | scores), words)
    finally:
        tf.config.run_functions_eagerly(False)


def test_long_words_are_segmented_as_by_sentencepiece(trained):
    """The library begins sums at zero again when they grow too far."""
    chance = random.Random(1)
    long = "".join(chance.choices("casodá中", k=9_000))
    assert_same(trained, [long, "o", "中" * 5_000, "casas", "ab" * 3_000])


def test_segmentation_does_not_depend_on_the_batch(trained):
    segment, _ = trained
    words = [*COUNTS][:40]
    alone = [segment(tf.constant([word])).to_list()[0] for word in words]
    assert segment(tf.constant(words)).to_list() == alone
    assert segment(tf.constant([], tf.string)).to_list() == []


def test_the_mark_typed_by_a_person_closes_no_word(trained):
    segment, library = trained
    typed = ["ca" + MARK + "sa", MARK]
    expected = [library.encode(word.replace(MARK, "_")) for word in typed]
    assert segment(tf.constant(typed)).to_list() == expected


def test_training_does_not_depend_on_the_order_of_words():
    pieces = train_pieces(COUNTS, size=400)
    assert pieces == train_pieces(dict(reversed(COUNTS.items())), size=400)
    assert len(pieces) <= 400
    assert {*BYTES, MARK} < set(pieces)
    # Frequent words are whole, also those that begin no other.
    assert {"." + MARK, "não" + MARK, "a" + MARK} < set(pieces)


def test_large_counts_are_scaled_to_bounded_text(monkeypatch):
    from pipeline.tokens import pieces

    monkeypatch.setattr(pieces, "_MAX_BYTES", 10_000)
    scaled = train_pieces({word: count * 1_000_000 for word, count in COUNTS.items()}, size=400)
    assert {"." + MARK, "não" + MARK} < set(scaled)


def test_errors_of_training_say_what_to_do():
    with pytest.raises(InputError, match="raise --vocabulary-size"):
        train_pieces(COUNTS, size=270)
    with pytest.raises(InputError, match="no word to split"):
        train_pieces({}, size=400)


@pytest.fixture(scope="module")
def vocabulary():
    return piece_vocabulary(
        ALL_COUNTS,
        displays={"brasil": "Brasil"},
        paragraphs=5,
        config=VocabularyConfig(vocabulary_size=400, case="keep", numbers="class"),
    )


def test_the_vocabulary_counts_pieces(vocabulary):
    library = processor([*vocabulary.tokens], [*vocabulary.scores])
    expected = np.zeros(len(vocabulary), int)
    for word, count in ALL_COUNTS.items():
        for i in library.encode(word) if word != "<num>" else []:
            expected[i] += count
    expected[1], expected[vocabulary.tokens.index("<num>" + MARK)] = 5, 17
    assert expected.tolist() == [*vocabulary.counts]
    assert len(vocabulary) <= 400
    assert sorted(vocabulary.counts[2:], reverse=True) == [*vocabulary.counts[2:]]
    assert vocabulary.displays[vocabulary.tokens.index("brasil" + MARK)] == "Brasil"
    first = {vocabulary.tokens[library.encode(word)[0]] for word in COUNTS}
    shown = {t for t, d in zip(vocabulary.tokens, vocabulary.displays, strict=True) if d}
    assert shown - {"<unk>", "<s>", "<num>" + MARK, "brasil" + MARK} == first
    assert len(shown) < sum(count > 0 for count in vocabulary.counts)
    closes = dict(zip(vocabulary.tokens, vocabulary.closes(), strict=True))
    assert closes["<s>"]
    assert closes["." + MARK]
    assert closes["<num>" + MARK]
    assert not closes["<0x41>"]
    assert sum(closes.values()) < len(vocabulary)


def test_any_number_of_words_is_segmented(trained, monkeypatch):
    segment, _ = trained
    whole = in_batches(segment, [*COUNTS]).to_list()
    monkeypatch.setattr(subword, "_BATCH", 7)
    assert in_batches(segment, [*COUNTS]).to_list() == whole


def test_the_vocabulary_comes_back_from_its_file(vocabulary, tmp_path):
    path = tmp_path / "vocabulary.tsv"
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert loaded.same_ids(vocabulary)
    lines = path.read_text("utf-8").splitlines()
    damaged = {
        "\n".join(lines[:9]) + "\n": "does not fit",
        "\n".join([*lines[:-1], lines[-1] + "x"]) + "\n": f"Line {len(lines)} ",
        "\n".join([*lines[:-1], lines[-1].rpartition("\t")[0]]) + "\n": f"Line {len(lines)} ",
    }
    for text, message in damaged.items():
        path.write_text(text, "utf-8")
        with pytest.raises(InputError, match=message):
            Vocabulary.load(path)
    vocabulary.save(path)
    choices = choices_path(path).read_text("utf-8")
    choices_path(path).write_text(choices.replace("subword", "word"), "utf-8")
    with pytest.raises(InputError, match="does not fit"):
        Vocabulary.load(path)


@pytest.fixture(scope="module")
def to_ids(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    return tf.function(tokenizer.ids, input_signature=[tf.TensorSpec((None,), tf.string)])


def spelled(vocabulary: Vocabulary, ids: list[int]) -> list[str]:
    """The tokens that ids spell."""
    data, tokens = b"", []
    for i, closes in zip(ids, np.take(vocabulary.closes(), ids), strict=True):
        piece = vocabulary.tokens[i]
        is_byte = piece in BYTES
        data += bytes([int(piece[3:5], 16)]) if is_byte else piece.removesuffix(MARK).encode()
        if closes:
            tokens.append(data.decode())
            data = b""
    assert not data
    return tokens


@settings(deadline=None, max_examples=15)
@given(texts=st.lists(st.text(max_size=30) | st.sampled_from(TEXTS["train"]), max_size=3))
def test_no_token_is_unknown(vocabulary, to_ids, texts):
    for text, ids in zip(texts, to_ids(tf.constant(texts, tf.string)).to_list(), strict=True):
        assert 0 not in ids
        expected = [t.decode() for t in tokenize(tf.constant([text])).values.numpy()]
        number = tf.strings.regex_full_match(expected, r"[0-9].*") if expected else []
        for token, found, numeral in zip(
            expected, spelled(vocabulary, ids), np.array(number), strict=True
        ):
            if not numeral:
                assert found == token.replace(BREAK, "<s>").replace(MARK, "_")


def test_streams_hold_pieces(tmp_path):
    output = tmp_path / "tokens"
    output.mkdir()
    config = VocabularyConfig(vocabulary_size=330, numbers="class", unit="subword")
    write_tokens(write_documents(tmp_path / "documents"), output, config=config)
    streams = {f"{split}{kind}.npy" for split in SPLITS for kind in ("", ".documents")}
    written = {path.name for path in output.iterdir()}
    assert written == streams | {"tokenizer.json", "vocabulary.tsv"}
    vocabulary = Vocabulary.load(output / "vocabulary.tsv")
    to_ids = Tokenizer(vocabulary)
    for split in TEXTS:
        ids = np.load(output / f"{split}.npy")
        assert ids.dtype == np.int32
        expected = to_ids(tf.constant(stream_texts(split))).values.numpy()
        np.testing.assert_array_equal(ids, expected)
        assert 0 not in ids
    counted = np.bincount(np.load(output / "train.npy"), minlength=len(vocabulary))
    assert counted.tolist() == list(vocabulary.counts)
    assert vocabulary.tokens.index("<num>" + MARK) in np.load(output / "test.npy")


def test_words_cannot_be_listed_for_pieces(tmp_path):
    with pytest.raises(InputError, match="leave out --vocabulary or --unit"):
        write_tokens(
            write_documents(tmp_path / "documents"), tmp_path,
            config=VocabularyConfig(unit="subword"), vocabulary=tmp_path / "listed.txt",
        )  # fmt: skip
