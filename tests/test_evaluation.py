import json
import math
import time

import numpy as np
import pandas as pd
import pytest
from conftest import TOKENS, VOCABULARY, config, predicted, write_training
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from texts import write_documents

from pipeline import InputError
from pipeline.corpus.splits import SPLITS
from pipeline.evaluation.config import EvaluationConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.evaluator import step_latency, subsample
from pipeline.evaluation.held_out import HeldOutText, open_split, read_text, training_overlap
from pipeline.evaluation.intervals import METRICS, SUMS, jackknife, metrics_of
from pipeline.evaluation.metrics import by_frequency, by_position, by_unit, calibration, score
from pipeline.export.saved_model import step_function
from pipeline.model.interpolation import Mixture, find_weights, interpolate
from pipeline.model.kneser_ney import KneserNey, NgramReader
from pipeline.model.language_model import build_model
from pipeline.model.meter import Meter, Predictions
from pipeline.model.unigram import log_frequencies
from pipeline.text.lexicon import Lexicon
from pipeline.text.vocabulary import BYTES, MARK, Vocabulary
from pipeline.tokens.config import VocabularyConfig
from pipeline.tokens.tokenize import tokenize
from pipeline.tokens.windows import paragraph_spans

# <s> o <unk> . a , in one document of five targets
STREAM = np.array([1, 4, 0, 2, 5, 3], np.int32)
TEXT = HeldOutText.of("test", STREAM, np.array([1, 1, 7, 1, 1, 1], np.int32), np.array([1]))
PREDICTIONS = Predictions(
    STREAM[1:],
    nats=-np.log(np.array([0.15, 0.3, 0.25, 0.2, 0.06], np.float32)),
    rank=np.array([3, 0, 1, 2, 4], np.int32),
    confidence=np.full(5, 0.3, np.float32),
    word_rank=np.array([1, 0, 0, 0, 2], np.int32),
    typed=np.array([0, -1, -1, 0, -1], np.int32),
)


def test_metrics_by_hand():
    got = score(PREDICTIONS, TEXT, vocabulary=VOCABULARY)
    nats = [-math.log(p) for p in (0.15, 0.3, 0.25, 0.2, 0.06)]
    assert got["perplexity"] == pytest.approx(math.exp(sum(nats) / 5), rel=1e-6)
    known = nats[:1] + nats[2:]
    assert got["perplexity_known"] == pytest.approx(math.exp(sum(known) / 4), rel=1e-6)
    assert got["oov_rate"] == pytest.approx(1 / 5)
    # The unknown word is a miss though it ranks first.
    assert [got[f"top_{k}"] for k in (1, 3, 5)] == pytest.approx([0, 2 / 5, 4 / 5])
    assert got["mean_reciprocal_rank"] == pytest.approx((1 / 4 + 1 / 2 + 1 / 3 + 1 / 5) / 5)
    # Words: "o", "a" and the unknown one; "a" is the first word suggested, "o" the second.
    assert [got[f"top_{k}_words"] for k in (1, 3, 5)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    # The most probable token had 0.3 everywhere, and was right once in five.
    assert got["calibration_error"] == pytest.approx(0.1, rel=1e-5)
    # o_ (unknown). a, are 2 + 7 + 2 + 1 + 1 keys; "o" and "a" are chosen before any.
    assert got["keystroke_savings"] == pytest.approx(1 - 12 / 13)
    assert got["tokens"] == 5


@pytest.fixture
def pieces() -> Vocabulary:
    tokens = ("<unk>", "<s>", f".{MARK}", "ca", f"chorro{MARK}", f"o{MARK}", MARK, *BYTES)
    size = len(tokens)
    return Vocabulary(tokens, ("",) * size, [1] * size, unit="subword", scores=(-2.0,) * size)


def test_pieces_and_words_share_their_nats(pieces):
    stream = np.array([1, 5, 3, 4, 2, 1], np.int32)
    predictions = Predictions(
        stream[1:], np.ones(5, np.float32), PREDICTIONS.rank, PREDICTIONS.confidence
    )
    text = HeldOutText.of("test", stream, None, np.array([1]))
    got = score(predictions, text, vocabulary=pieces)
    assert got["perplexity"] == pytest.approx(math.e)
    assert (got["tokens"], got["words"]) == (5, 4)  # o, cachorro, the full stop, <s>
    assert got["perplexity_per_word"] == pytest.approx(math.exp(5 / 4))
    assert not any("_words" in name or "keystroke" in name for name in got)


def test_the_tables_add_up_to_the_whole():
    random = np.random.default_rng(3)
    stream = random.integers(0, len(TOKENS), 400, np.int32)
    stream[::9] = 1
    documents = np.array([10, 20, len(stream)])
    text = HeldOutText.of("test", stream, np.ones_like(stream), documents)
    rank = random.integers(0, 9, 399).astype(np.int32)
    nats = random.exponential(3, 399).astype(np.float32)
    confidence = random.uniform(size=399).astype(np.float32)
    predictions = Predictions(stream[1:], nats, rank, confidence, rank, np.minimum(rank, 1) - 1)
    whole = score(predictions, text, vocabulary=VOCABULARY)
    for table in (by_frequency(predictions, VOCABULARY), by_position(predictions, text.documents)):
        assert table["tokens"].sum() == 399
        total = (table["tokens"] * np.log(table["perplexity"])).sum()
        assert math.exp(total / 399) == pytest.approx(whole["perplexity"], rel=1e-6)
        assert (table["tokens"] * table["top_3"]).sum() / 399 == pytest.approx(whole["top_3"])
    units = by_unit(predictions, text, vocabulary=VOCABULARY)
    assert set(units["unit"]) == {"document"}
    assert len(units) == 3
    sums = metrics_of(units[[*SUMS]].sum().to_numpy())
    sums[0] = math.exp(sums[0])
    for name, value in zip(METRICS, sums, strict=True):
        assert value == pytest.approx(whole[name], rel=1e-6)
        assert whole[f"{name}_low"] < value < whole[f"{name}_high"]
    tenths = calibration(predictions)
    assert tenths["tokens"].sum() == 399
    assert (tenths["low"] <= tenths["confidence"]).all()
    assert (tenths["confidence"] <= tenths["high"]).all()


def test_bands_count_from_the_most_frequent():
    words = [*VOCABULARY.tokens, *(f"p{n}" for n in range(200))]
    counts = [3, 9, 9, 7, *range(8, 0, -1), *[0] * 200]
    wide = Vocabulary(words, words, counts)
    targets = np.array([2, 2, 11, 12, 100, 211, 0], np.int32)
    got = by_frequency(predicted(targets, np.zeros(7)), wide)
    # 11 tokens are in the vocabulary of counts above zero; the first zero has rank 12.
    assert dict(zip(got["rank"], got["tokens"], strict=True)) == {
        "1-10": 2, "11-100": 3, "101-1000": 1, "unknown": 1,
    }  # fmt: skip
    assert got["top_3"].tolist() == [1, 1, 1, 0]  # the unknown one is a miss


def test_parts_are_fifths_of_each_document():
    predictions = predicted(np.full(14, 4), np.arange(14))
    got = by_position(predictions, np.array([0, 10, 14]))
    # Ten targets are two a part; four are one in each of the first four.
    assert got["tokens"].tolist() == [3, 3, 3, 3, 2]
    assert got["perplexity"].iloc[0] == pytest.approx(math.exp((0 + 1 + 10) / 3), rel=1e-5)
    assert got["perplexity"].iloc[4] == pytest.approx(math.exp((8 + 9) / 2), rel=1e-5)


def test_a_single_document_is_divided_into_blocks_of_paragraphs():
    paragraph = [1, 4, 5, 6, 2]
    stream = np.array(paragraph * 120, np.int32)
    one = HeldOutText.of("test", stream, None, np.array([120]))
    unit, bounds = one.units()
    assert unit == "block"
    assert bounds[0] == 0
    assert bounds[-1] == len(stream) - 1
    assert 40 <= len(bounds) - 1 <= 50
    assert set(stream[1:][bounds[1:-1] - 1]) == {1}  # each ends with a paragraph
    two = HeldOutText.of("test", stream, None, np.array([40, 80]))
    assert two.units()[0] == "document"
    np.testing.assert_array_equal(two.units()[1], [0, 200, 599])


def sums_of(tokens, nats) -> np.ndarray:
    """Rows of documents with these tokens and nats; of the other sums as many."""
    other = np.ones_like(tokens)
    return np.stack([tokens, nats, other, other, other], axis=-1)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.5, 9), min_size=2, max_size=30))
def test_the_interval_of_a_mean_is_students(rates):
    """Of documents equally long, mean ± t s/√D with D − 1 degrees of freedom."""
    whole, low, high = jackknife(sums_of(np.full(len(rates), 100.0), 100 * np.array(rates)))
    assert whole[0] == pytest.approx(np.mean(rates))
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    half = stats.t.ppf(0.975, len(rates) - 1) * error
    np.testing.assert_allclose([low[0], high[0]], [whole[0] - half, whole[0] + half], atol=1e-6)


def test_an_interval_by_hand():
    # Without the first, second and third document (0 + 6) / 3, 8 / 3 and 2 / 4 nats per token.
    whole, low, high = jackknife(sums_of(np.array([2.0, 2, 1]), np.array([2.0, 0, 6])))
    assert whole[0] == pytest.approx(8 / 5)
    error = math.sqrt(2 * np.var([6 / 3, 8 / 3, 2 / 4]))
    quantile = stats.t.ppf(0.975, 25 / 9 - 1)  # (2 + 2 + 1)² / (4 + 4 + 1) documents
    assert high[0] - whole[0] == pytest.approx(quantile * error)
    assert whole[0] - low[0] == pytest.approx(quantile * error)


def lognormal(random, documents):
    """Tokens of documents, some 5 times as long as others, as those of most corpora."""
    return np.exp(random.normal(6, 0.8, documents))


def equal(random, documents):
    return np.full(documents, 400.0)


@pytest.mark.parametrize("lengths", [equal, lognormal])
@pytest.mark.parametrize("documents", [3, 6, 8, 20, 50])
def test_intervals_cover_95_of_100(documents, lengths):
    """Of documents whose nats per token differ as those of texts do, the mean is known: 4.5."""
    random = np.random.default_rng(documents)
    held = []
    for _ in range(1000):
        tokens = lengths(random, documents)
        rates = random.normal(4.5, 0.4, documents)
        rates += random.normal(0, 3, documents) / np.sqrt(tokens)
        _, low, high = jackknife(sums_of(tokens, rates * tokens))
        held.append(low[0] <= 4.5 <= high[0])
    print(f"{documents} documents, {lengths.__name__}: {np.mean(held):.1%} of 95 % intervals hold")
    assert 0.932 < np.mean(held) < 0.985  # 0.95 − 2.6 standard errors; longer is on the safe side


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), models=st.integers(1, 4), targets=st.integers(1, 50))
def test_no_other_weights_make_a_text_more_probable(seed, models, targets):
    random = np.random.default_rng(seed)
    nats = random.exponential(4, (models, targets)).astype(np.float32)
    best_weights = find_weights(nats)
    assert best_weights.sum() == pytest.approx(1)
    assert (best_weights >= 0).all()
    best = interpolate(nats, best_weights).sum()
    assert best <= nats.sum(1).min() * (1 + 1e-3) + 1e-3
    for other in random.dirichlet(np.ones(models), 20):
        assert best <= interpolate(nats, other).sum() * (1 + 1e-3) + 1e-3


def test_interpolation_by_hand():
    nats = -np.log(np.array([[0.5, 0.1], [0.1, 0.3]]))
    mixed = interpolate(nats, np.array([0.25, 0.75]))
    np.testing.assert_allclose(mixed, -np.log([0.2, 0.25]), rtol=1e-6)
    # Of two that are right about different halves of a text, each has half the weight.
    both = find_weights(np.array([[0.1, 5.0], [5.0, 0.1]]).repeat(10, axis=1))
    np.testing.assert_allclose(both, 0.5, atol=1e-6)
    # What expects nothing of a text, as one with p = e⁻⁹⁰⁰, has none.
    np.testing.assert_allclose(find_weights(np.array([[1.0, 1.0], [900.0, 900.0]])), [1, 0])


def test_a_mixture_is_read_as_one_model(tokens):
    """Its p(target) is what `interpolate` makes of both; its ranks are of the mixed p."""
    stream = np.load(tokens / "valid.npy")
    size = len(VOCABULARY)
    stream[::3] = np.random.default_rng(0).integers(0, size, len(stream[::3]))
    network = build_model(config("feedforward"), batch_size=3)
    ngrams = NgramReader(KneserNey.fit(stream[:30], order=3, vocabulary_size=size))
    both = [Meter(m).measure(stream, batch_size=3) for m in (network, ngrams)]
    for share in (0.3, 1.0):
        mixture = Mixture(network, ngrams, [share])
        predictions = Meter(mixture).measure(stream, batch_size=3)
        nats = interpolate(np.stack([one.nats for one in both]), np.array([share, 1 - share]))
        np.testing.assert_allclose(predictions.nats, nats, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(predictions.rank, both[0].rank)


def test_unigram_probabilities_sum_to_one():
    shares = np.exp(log_frequencies(VOCABULARY))
    assert shares.sum() == pytest.approx(1, rel=1e-6)
    assert shares[1] == pytest.approx((9 + 1) / (sum(VOCABULARY.counts) + len(VOCABULARY)))


def test_any_text_is_encoded_with_the_vocabulary(tmp_path):
    path = tmp_path / "recado.txt"
    path.write_text("O cachorro bebeu água.\n\nA avó, no Brasil…\n", encoding="utf-8")
    got = read_text(path, VOCABULARY, text_column="text")
    shown = ["<s>", "o", "cachorro", "bebeu", "água", ".", "<s>", "a", "<unk>", ",", "<unk>"]
    assert [TOKENS[i] for i in got.stream] == [*shown, "brasil", "<unk>"]
    assert got.letters.tolist() == [1, 1, 8, 5, 4, 1, 1, 1, 3, 1, 2, 6, 1]
    assert got.documents.tolist() == [0, 12]
    for nothing in ("\n", "\u200b\n"):
        path.write_text(nothing, encoding="utf-8")
        with pytest.raises(InputError, match=r"recado\.txt has no text to predict"):
            read_text(path, VOCABULARY, text_column="text")
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10")
    with pytest.raises(InputError, match=r"recado\.txt cannot be read"):
        read_text(path, VOCABULARY, text_column="text")
    table = tmp_path / "recados.csv"
    table.write_text("n,recado\n1,O cachorro bebeu água.\n", encoding="utf-8")
    again = read_text(table, VOCABULARY, text_column="recado")
    np.testing.assert_array_equal(again.stream, got.stream[:6])


def test_letters_are_counted_as_they_are_written(tmp_path):
    texts = ["A avó comeu açaí.\nEla riu…", "O avô saiu.", "A Ângela saiu... Xícara! 14h30."]
    write_documents(tmp_path, {split: [text] for split, text in zip(SPLITS, texts, strict=True)})
    tokenize(tmp_path, tmp_path, config=VocabularyConfig(vocabulary_size=9, min_count=1))
    vocabulary = Vocabulary.load(tmp_path / "vocabulary.tsv")
    valid, test = (open_split(tmp_path, split, vocabulary) for split in ("valid", "test"))
    assert valid.letters[:].tolist() == [1, 1, 3, 4, 1]
    assert test.letters[:].tolist() == [1, 1, 6, 4, 1, 6, 1, 5, 1]
    # The same text from a file is read alike.
    (tmp_path / "texto.txt").write_text(texts[2], encoding="utf-8")
    again = read_text(tmp_path / "texto.txt", vocabulary, text_column="text")
    np.testing.assert_array_equal(again.stream, test.stream)
    np.testing.assert_array_equal(again.letters, test.letters)


def test_files_that_do_not_belong_together_are_refused(tokens):
    assert open_split(tokens, "valid", VOCABULARY).documents.tolist() == [0, 10, 30, 59]
    np.save(tokens / "valid.letters.npy", np.ones(5, np.int32))
    with pytest.raises(InputError, match=r"valid split in .* do not belong together"):
        open_split(tokens, "valid", VOCABULARY)
    (tokens / "test.letters.npy").unlink()
    with pytest.raises(InputError, match=r"test\.letters\.npy \(.*\): run `nextword tokenize`"):
        open_split(tokens, "test", VOCABULARY)


def test_a_subsample_is_taken_from_all_over_the_stream(monkeypatch):
    """Half of the stream in 10 blocks: whole paragraphs, from the first to the last."""
    monkeypatch.setattr("pipeline.evaluation.evaluator._BLOCKS", 10)
    stream = np.arange(2, 10_002, dtype=np.int32)  # each place has a token of its own
    stream[::20] = 1
    counted = subsample(stream, 5000)
    assert 4500 <= len(counted) <= 5000
    for start, end in paragraph_spans(counted):
        whole = counted[start : end - (counted[end - 1] == 1)]
        np.testing.assert_array_equal(np.diff(whole[1:]), 1)
        assert len(whole) == 20
    places = counted[counted != 1] // 1000
    assert np.bincount(places).min() >= 400  # of each tenth of the stream about half
    np.testing.assert_array_equal(subsample(stream, len(stream)), stream)
    without = np.full(1000, 5, np.int32)
    assert len(subsample(without, 500)) == 500


def test_overlap_with_training_text(monkeypatch):
    random = np.random.default_rng(0)
    train = random.integers(2, 10_000, 5000).astype(np.int32)
    train[::17] = 1
    words = train[train != 1]
    # 40 tokens of training, its paragraphs broken elsewhere; 12 of it, too few; none of it.
    ids = np.concatenate([[1], words[700:720], [1], words[720:740], words[2000:2012]])
    ids = np.concatenate([ids, random.integers(10_000, 10_100, 28)]).astype(np.int32)
    held_out = HeldOutText.of("text", ids, None, np.array([2]))
    for chunk in (2**20, 100, 7):
        monkeypatch.setattr("pipeline.evaluation.held_out._CHUNK", chunk)
        assert training_overlap(held_out, train) == pytest.approx(40 / 80)
    assert training_overlap(held_out, train[:600]) == 0
    # A run ends where its document ends.
    two = np.array([1, *words[700:710], 1, *words[710:720]], np.int32)
    assert training_overlap(HeldOutText.of("text", two, None, np.array([1, 1])), train) == 0
    assert training_overlap(HeldOutText.of("text", two, None, np.array([2])), train) == 1
    assert training_overlap(HeldOutText.of("text", two[:4], None, np.array([1])), train) == 0


def test_an_evaluation_has_all_models_and_texts(tokens, tmp_path, caplog):
    write_training(tmp_path / "rnn", "simple_rnn")
    write_training(tmp_path / "baseline", "feedforward")
    text = tmp_path / "recado.txt"
    trained = "O cachorro bebeu água e ela, a.\n" * 2
    text.write_text(trained + "Ela bebeu vinho.\n", encoding="utf-8")
    out = tmp_path / "evaluation"
    out.mkdir()
    config = EvaluationConfig(ngram_order=3, text=text)
    evaluate(tmp_path / "rnn", tokens, out, baselines=[tmp_path / "baseline"], config=config)
    metrics = json.loads((out / "metrics.json").read_text())
    assert list(metrics) == ["valid", "test", "text"]
    names = ["simple_rnn", "feedforward", "kneser_ney_3", "simple_rnn_and_kneser_ney_3", "unigram"]
    for models in metrics.values():
        assert list(models) == names
        assert len({values["tokens"] for values in models.values()}) == 1
        assert all(math.isfinite(v) for values in models.values() for v in values.values())
        assert models["simple_rnn"]["latency_ms"] > 0
        for values in models.values():
            assert values["perplexity_low"] <= values["perplexity"] <= values["perplexity_high"]
    assert metrics["text"]["simple_rnn"]["tokens"] == 24
    assert metrics["text"]["simple_rnn"]["oov_rate"] == pytest.approx(1 / 24)  # vinho
    # The text repeats itself: two words determine the next.
    valid = metrics["valid"]
    assert valid["kneser_ney_3"]["perplexity"] < 2 < valid["simple_rnn"]["perplexity"]
    mixed = valid["simple_rnn_and_kneser_ney_3"]
    assert mixed["perplexity"] <= valid["kneser_ney_3"]["perplexity"] * 1.001
    assert mixed["interpolation_weight"] < 0.5
    # The n-gram model is measured in all that the network is.
    for name in names[2:]:
        assert set(valid["simple_rnn"]) - set(valid[name]) <= {"latency_ms", "parameters"}
    # The vectors, two layers of x W + h U + b, and the output.
    assert valid["simple_rnn"]["parameters"] == 12 * 6 + (6 + 5 + 1) * 5 + (5 + 5 + 1) * 5 + 12 * 6
    assert valid["kneser_ney_3"]["top_3"] > 0.9 > valid["unigram"]["top_3"]
    assert valid["kneser_ney_3"]["keystroke_savings"] > valid["unigram"]["keystroke_savings"]
    assert valid["kneser_ney_3"]["counted_tokens"] == valid["kneser_ney_3"]["training_tokens"]
    assert "training_overlap" not in valid["simple_rnn"]
    assert {values["training_overlap"] for values in metrics["text"].values()} == {18 / 22}
    assert "valid (3 documents), test (3 documents), text (3 blocks)" in caplog.text
    assert f"81.8% of the tokens of {text} are in the training text" in caplog.text
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("trained on means nothing") == 1

    documents = pd.read_csv(out / "documents.csv")
    rows = documents[(documents["split"] == "test") & (documents["model"] == "simple_rnn")]
    assert rows["tokens"].tolist() == [10, 20, 29]
    perplexity = math.exp(rows["nats"].sum() / rows["tokens"].sum())
    assert perplexity == pytest.approx(metrics["test"]["simple_rnn"]["perplexity"], rel=1e-6)
    for name in ("frequency", "positions", "calibration"):
        table = pd.read_csv(out / f"{name}.csv")
        assert set(table["model"]) == set(names)
        assert set(table["split"]) == {"valid", "test", "text"}


def test_the_time_is_that_of_the_step_that_is_exported(tmp_path, monkeypatch):
    """What the signature does is timed, word by word, each with the state after the one before."""
    write_training(tmp_path / "lstm")
    called = []

    def watched(*parts):
        step = step_function(*parts)

        def slow(text, state):
            called.append((text.numpy()[0].decode(), state, answer := step(text, state)))
            time.sleep(0.02)
            return answer

        return slow

    monkeypatch.setattr("pipeline.evaluation.evaluator.step_function", watched)
    monkeypatch.setattr("pipeline.evaluation.evaluator._TIMED", 5)
    assert step_latency(tmp_path / "lstm", Lexicon.of(VOCABULARY), STREAM) > 20
    texts, states, answers = zip(*called, strict=True)
    assert texts[:6] == ("o", ".", "a", ",", "o", ".")
    assert answers[0]["words"].shape == (1, 3)
    assert all(s is a["state"] for s, a in zip(states[1:], answers[:-1], strict=True))


@pytest.mark.slow
def test_an_evaluation_of_pieces_has_no_metrics_of_words(tokens, tmp_path, pieces):
    pieces.save(tokens / "vocabulary.tsv")
    write_training(tmp_path / "lstm", vocabulary=pieces)
    for split in ("train", "valid", "test"):  # o cachorro. in two paragraphs
        np.save(tokens / f"{split}.npy", np.array([1, 5, 3, 4, 2] * 2, np.int32))
        np.save(tokens / f"{split}.documents.npy", np.array([1, 1], np.int32))
        (tokens / f"{split}.letters.npy").unlink()
    text = tmp_path / "recado.md"
    text.write_text("O *cachorro*.\n", encoding="utf-8")
    out = tmp_path / "evaluation"
    out.mkdir()
    evaluate(tmp_path / "lstm", tokens, out, config=EvaluationConfig(ngram_order=0, text=text))
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["test"]["lstm"]["tokens"], metrics["test"]["lstm"]["words"]) == (9, 7)
    assert (metrics["text"]["lstm"]["tokens"], metrics["text"]["lstm"]["words"]) == (4, 3)
    for models in metrics.values():
        assert list(models) == ["lstm", "unigram"]
        names = {name for values in models.values() for name in values}
        assert {"perplexity_per_word", "top_3", "calibration_error"} <= names
        assert not any("_words" in name or "keystroke" in name for name in names)
