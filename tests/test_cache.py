"""The continuous cache against its formula, written out."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import (
    SUBWORDS,
    TOKENS,
    VOCABULARY,
    ask,
    config,
    random_model,
    write_export,
    write_tokens,
    write_training,
)

from pipeline import InputError
from pipeline.export.config import ExportConfig
from pipeline.export.export import export
from pipeline.export.saved_model import NextWord
from pipeline.model.cache import (
    Cache,
    CachedModel,
    Steps,
    choose,
    mix,
    target_losses,
    target_shares,
    tune,
)
from pipeline.model.language_model import build_model, load_model
from pipeline.model.meter import LANES, Meter
from pipeline.predict import load
from pipeline.text.tokenizer import Tokenizer

V, UNITS = 7, 4
CACHE = Cache(size=5, theta=0.7, weight=0.3)
TEXTS = ["", "o cachorro bebeu", "Ela bebeu água e o cachorro bebeu água", "O xadrez. E\nEla"]


def expected(p_model, h, ids, cache):
    """p(w | t) after each step of one text from its beginning: (T, V), (T, H), (T,) to (T, V)."""
    rows = []
    for t in range(len(ids)):
        p_cache = np.zeros(p_model.shape[1])
        for i in range(max(0, t - cache.size), t):
            p_cache[ids[i + 1]] += np.exp(cache.theta * h[t] @ h[i])
        if t:
            p_cache /= p_cache.sum()
            rows.append((1 - cache.weight) * p_model[t] + cache.weight * p_cache)
        else:
            rows.append(p_model[t])
    return np.array(rows)


def some_text(steps, *, batch=2):
    random = np.random.default_rng(4)
    logits = random.normal(size=(batch, steps, V)).astype(np.float32)
    h = random.normal(size=(batch, steps, UNITS)).astype(np.float32)
    ids = random.integers(0, V, (batch, steps)).astype(np.int32)
    return tf.nn.log_softmax(logits), h, ids


def test_a_case_by_hand():
    # o gato e o: before both «o» the state was (1, 0), and «gato» followed the first.
    h = tf.constant([[[1.0, 0], [1, 0], [0, 1], [0, 0], [1, 0]]])
    ids = tf.constant([[1, 2, 3, 4, 2]])
    steps = Steps.empty(1, 4, 2).append(h, ids)
    log_p = tf.fill((1, 1, V), -np.log(float(V)).astype(np.float32))
    p = tf.exp(mix(log_p, steps, Cache(size=4, theta=1.0, weight=0.5)))[0, 0].numpy()
    e = np.exp(1)
    # h · h_i = 1, 1, 0, 0 for what was followed by o, gato, e, o.
    cache = np.array([0, 0, e + 1, e, 1, 0, 0]) / (2 * e + 2)
    np.testing.assert_allclose(p, 0.5 / V + 0.5 * cache, rtol=1e-6)


@pytest.mark.parametrize("size", [1, 5, 50])
def test_a_window_from_the_beginning_is_the_formula(size):
    log_p, h, ids = some_text(12)
    cache = Cache(size, CACHE.theta, CACHE.weight)
    p = tf.exp(mix(log_p, Steps.empty(2, size, UNITS).append(h, ids), cache)).numpy()
    for row in range(2):
        by_hand = expected(tf.exp(log_p)[row].numpy(), h[row], ids[row], cache)
        np.testing.assert_allclose(p[row], by_hand, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)


def test_windows_one_after_the_other_are_one_long_window():
    log_p, h, ids = some_text(12)
    whole = mix(log_p, Steps.empty(2, CACHE.size, UNITS).append(h, ids), CACHE)
    memory, parts = Steps.empty(2, CACHE.size, UNITS), []
    for first, end in ((0, 2), (2, 3), (3, 10), (10, 12)):
        steps = memory.append(h[:, first:end], ids[:, first:end])
        parts.append(mix(log_p[:, first:end], steps, CACHE))
        memory = steps.last(CACHE.size)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, rtol=1e-5)


def test_padding_is_not_remembered():
    _, h, ids = some_text(9)
    lengths = [9, 4]
    steps = Steps.empty(2, CACHE.size, UNITS).append(h, ids)
    memory = steps.last(CACHE.size, padding=tf.constant([0, 5]))
    for row, length in enumerate(lengths):
        alone = Steps.empty(1, CACHE.size, UNITS).append(
            h[row : row + 1, :length], ids[row : row + 1, :length]
        )
        for part, expected_part in zip(memory, alone.last(CACHE.size), strict=True):
            np.testing.assert_array_equal(part[row], expected_part[0])
    # Nothing but padding leaves the memory as it was.
    for part, expected_part in zip(
        memory.append(h, ids).last(CACHE.size, padding=9), memory, strict=True
    ):
        np.testing.assert_array_equal(part, expected_part)


def test_what_is_improbable_stays_finite():
    log_p = tf.constant([[[0.0, -200.0, -1000.0]]])
    steps = Steps.empty(1, 3, 1).append(tf.fill((1, 2, 1), 40.0), tf.constant([[0, 1]]))
    mixed = mix(log_p, steps, Cache(size=3, theta=2.0, weight=0.25)).numpy()[0, 0]
    np.testing.assert_allclose(mixed, [np.log(0.75), np.log(0.25), np.log(0.75) - 1000], rtol=1e-5)


def test_shares_of_targets_are_those_of_the_distribution():
    log_p, h, ids = some_text(300)  # more than one piece of a long text
    targets = np.roll(ids, -1, axis=1)
    nats = -tf.gather(log_p, targets, batch_dims=2)
    steps = Steps.empty(2, CACHE.size, UNITS).append(h, ids)
    whole = mix(log_p, steps, CACHE)
    mixed = target_losses(nats, targets, tf.constant(h), tf.constant(ids), CACHE)
    np.testing.assert_allclose(mixed, -tf.gather(whole, targets, batch_dims=2), rtol=1e-4)
    equal, other = target_shares(nats, targets, steps, size=CACHE.size, thetas=(0.0, 3.0))
    seen = [
        [np.mean(ids[b, max(1, t - 4) : t + 1] == targets[b, t]) for t in range(1, 300)]
        for b in (0, 1)
    ]
    np.testing.assert_allclose(equal[:, 1:], seen, rtol=1e-5)
    np.testing.assert_allclose(equal[:, 0], tf.exp(-nats[:, 0]), rtol=1e-5)
    assert not np.allclose(equal, other)


def test_the_choice_is_the_best_of_a_grid():
    random = np.random.default_rng(6)
    nats = random.gamma(2, 2, 500)
    thetas = (0.0, 0.5, 1.0)
    shares = random.random((3, 500)) * np.array([[0.3], [0.9], [0.5]])
    shares[:, :100] = 0

    def mean(theta, weight):
        share = shares[thetas.index(theta)]
        return -np.log((1 - weight) * np.exp(-nats) + weight * share).mean()

    best = choose(nats, shares, size=9, thetas=thetas)
    grid = [(theta, weight) for theta in thetas for weight in np.linspace(0, 0.9, 91)]
    assert best.size == 9
    assert mean(best.theta, best.weight) <= min(mean(*entry) for entry in grid) + 1e-6
    # However good the cache, it does not get all the weight.
    assert choose(nats + 50, shares + 0.1, size=9, thetas=thetas).weight == 0.9


@pytest.fixture(scope="module")
def stream():
    """A text that repeats four tokens for a while, then four others, and so on."""
    random = np.random.default_rng(8)
    topics = [random.choice(np.arange(2, len(TOKENS)), 4) for _ in range(12)]
    return np.concatenate([[1, *random.choice(topic, 60)] for topic in topics]).astype(np.int32)


def test_a_text_that_repeats_itself_is_less_surprising_with_a_cache(stream):
    model = build_model(config("gru"), batch_size=LANES)
    cache = tune(model, stream, size=30)
    assert cache.size == 30
    assert cache.weight > 0.2
    alone = Meter(model).negative_log_likelihood(stream)
    cached = CachedModel(model, cache)
    meter = Meter(cached)
    nats = meter.negative_log_likelihood(stream)
    assert nats.mean() < alone.mean() - 0.2
    # Neither the memory nor the state is left over from one reading to the next.
    np.testing.assert_array_equal(meter.negative_log_likelihood(stream), nats)
    # θ and λ were chosen for what is measured: others are worse.
    other = CachedModel(model, Cache(30, cache.theta, cache.weight / 2))
    assert nats.mean() < Meter(other).negative_log_likelihood(stream).mean()


def test_no_theta_near_the_one_chosen_is_better():
    # Each token of a chain is always followed by the same one: to tell states apart pays, and the
    # five units of this model differ little.
    random = np.random.default_rng(8)
    chains = [random.permutation(np.arange(2, len(TOKENS)))[:8] for _ in range(12)]
    text = np.concatenate([[1, *np.tile(chain, 8)] for chain in chains]).astype(np.int32)
    model = build_model(config("gru"), batch_size=LANES)
    model.embed.embeddings.assign(20 * model.embed.embeddings)
    chosen = tune(model, text, size=30)

    def mean(theta):
        cached = CachedModel(model, Cache(30, theta, chosen.weight))
        return Meter(cached).negative_log_likelihood(text).mean()

    best = mean(chosen.theta)
    assert best < mean(chosen.theta / 2)
    assert best < mean(2 * chosen.theta)


@pytest.fixture(scope="module")
def exported(tmp_path_factory, stream):
    folder = tmp_path_factory.mktemp("cached")
    tokens = write_tokens(folder / "tokens")
    np.save(tokens / "valid.npy", stream)
    exported = write_export(folder, tokens=tokens, suggestions=4, cache=CACHE.size)
    training = folder / "training"
    cache = tune(load_model(training, batch_size=LANES), stream, size=CACHE.size)
    assert cache.weight > 0.05
    return load(exported), load_model(training), cache


def probabilities(model, cache, text):
    """p(w | t) after each token of a text, (T, V)."""
    ids = Tokenizer(VOCABULARY)(tf.constant([text])).to_tensor()
    h, _ = model.hidden(ids)
    p = tf.nn.softmax(model.logits(model.features(h)))[0].numpy()
    return expected(p, h[0].numpy(), ids[0].numpy(), cache), ids[0].numpy()


@pytest.mark.slow
def test_the_saved_model_has_the_cache(exported):
    saved, model, cache = exported
    answer = ask(saved, "serving_default", text=TEXTS)
    words = [i for i, token in enumerate(TOKENS) if token.isalpha()]
    for text, shown, shares in zip(TEXTS, answer["words"], answer["probabilities"], strict=True):
        p = probabilities(model, cache, text)[0][-1]
        best = sorted(words, key=lambda i: -p[i])[:4]
        assert [word.decode().lower() for word in shown] == [TOKENS[i] for i in best]
        np.testing.assert_allclose(shares, p[best], rtol=1e-3)


def test_the_saved_model_scores_with_the_cache(exported):
    saved, model, cache = exported
    texts = [*TEXTS, " ".join(TEXTS) * 10]  # the last one longer than what is looked at at once
    answer = ask(saved, "score", text=texts)
    for text, nats in zip(texts, answer["log_probability"], strict=True):
        p, ids = probabilities(model, cache, text)
        log_p = sum(np.log(p[t, ids[t + 1]]) for t in range(len(ids) - 1))
        assert nats == pytest.approx(log_p, rel=1e-3, abs=1e-5)


def test_word_by_word_remembers_as_the_whole_text(exported):
    saved, *_ = exported
    step = saved.signatures["step"]
    text = "Ela bebeu água e o cachorro bebeu água"
    answer = {"state": tf.zeros((1, step.structured_input_signature[1]["state"].shape[1]))}
    for word in text.split():
        answer = step(text=tf.constant([word]), state=answer["state"])
    whole = ask(saved, "serving_default", text=[text, "o"])
    np.testing.assert_array_equal(answer["words"][0], whole["words"][0])
    np.testing.assert_allclose(answer["probabilities"][0], whole["probabilities"][0], rtol=1e-4)
    again = step(text=tf.constant([""]), state=answer["state"])
    np.testing.assert_array_equal(again["state"], answer["state"])


def test_a_feedforward_model_has_a_cache_too():
    model = random_model("feedforward")
    cache = Cache(size=4, theta=0.2, weight=0.4)
    module = NextWord(model, VOCABULARY, suggestions=8, cache=cache)
    answer = module.suggest(tf.constant(TEXTS))
    for text, shares in zip(TEXTS, answer["probabilities"].numpy(), strict=True):
        p = probabilities(model, cache, text)[0][-1]
        words = sorted((p[i] for i, token in enumerate(TOKENS) if token.isalpha()), reverse=True)
        np.testing.assert_allclose(shares, words, rtol=1e-3)


def test_an_empty_batch_is_scored_with_a_cache_too():
    module = NextWord(random_model(), VOCABULARY, suggestions=8, cache=CACHE)
    answer = module.score(tf.constant([], tf.string))
    assert answer["log_probability"].shape == answer["tokens"].shape == (0,)


def test_a_recent_word_gains():
    model = build_model(config())
    ids = Tokenizer(VOCABULARY)(tf.constant(["Ela bebeu água e o cachorro e o"])).to_tensor()
    h, _ = model.hidden(ids)
    log_p = tf.nn.log_softmax(model.logits(model.features(h)))
    gain = mix(log_p, Steps.empty(1, 20, 5).append(h, ids), CACHE)[0, -1] - log_p[0, -1]
    gains, loses = TOKENS.index("cachorro"), TOKENS.index("brasil")
    assert gain[gains] > 0 > gain[loses]


def test_words_of_pieces_have_a_cache_too():
    cache = Cache(size=6, theta=0.1, weight=0.5)
    module = NextWord(random_model("gru", SUBWORDS), SUBWORDS, suggestions=3, cache=cache)
    texts = ["", "casa do Brasil", "brasileiro 😀", "brasileiro, brasileiro"]
    answer = module.suggest(tf.constant(texts))
    for words, shares in zip(*(answer[k].numpy() for k in ("words", "probabilities")), strict=True):
        assert len(set(words)) == 3
        assert ((shares >= 0) & (shares <= 1)).all()
    # A word of two pieces that stands twice is expected again.
    assert "brasileiro" in {word.decode().lower() for word in answer["words"][-1].numpy()}


def test_a_cache_needs_validation_text(tmp_path, tokens):
    training = write_training(tmp_path / "training")
    options = {"training": training, "output": tmp_path, "config": ExportConfig(3, cache=5)}
    with pytest.raises(InputError, match="name the folder of its tokens"):
        export(**options)
    np.save(tokens / "valid.npy", np.zeros(1, np.int32))
    with pytest.raises(InputError, match="no text to tune a cache on"):
        export(**options, tokens=tokens)
    SUBWORDS.save(tokens / "vocabulary.tsv")
    with pytest.raises(InputError, match="another vocabulary"):
        export(**options, tokens=tokens)


def test_zeros_are_a_memory_of_nothing():
    memory = Steps.empty(3, 2, UNITS)
    assert memory.h.shape == (3, 3, UNITS)
    assert not np.any(memory.ids)
