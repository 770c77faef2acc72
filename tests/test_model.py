"""The models against the lecture: state, truncation, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, config, save_training, slopes

from pipeline import InputError
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import build_model, load_model


def ids(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).integers(0, 12, shape), tf.int32)


@pytest.mark.parametrize("cell", CELLS)
def test_two_windows_with_carried_state_equal_one_pass(cell):
    model = build_model(config(cell), batch_size=3)
    x = ids(3, 8)
    whole = model(x)
    model.reset_states()
    halves = tf.concat([model(x[:, :4]), model(x[:, 4:])], axis=1)
    np.testing.assert_allclose(halves, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_reset_forgets_what_was_read(cell):
    model = build_model(config(cell), batch_size=2)
    x = ids(2, 5)
    first = model(x)
    assert not np.allclose(model(x), first)
    model.reset_states()
    np.testing.assert_array_equal(model(x), first)


@pytest.mark.parametrize("cell", CELLS)
def test_a_stateless_model_with_explicit_state_equals_the_stateful_one(cell):
    stateful = build_model(config(cell), batch_size=2)
    stateless = build_model(config(cell))
    for to, source in zip(stateless.weights, stateful.trainable_variables, strict=True):
        to.assign(source)
    x = ids(2, 6)
    expected = stateful(x)
    h1, state = stateless.hidden(x[:, :2])
    h2, _ = stateless.hidden(x[:, 2:], states=state)
    actual = stateless.logits(stateless.features(tf.concat([h1, h2], axis=1)))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_mogrifier_reads_on_without_its_compiled_loop():
    """Stateless, step after step and over masked steps, as an exported model reads."""
    stateful = build_model(config(mogrifier=3, dropout=0.0), batch_size=2)
    stateless = build_model(config(mogrifier=3, dropout=0.0))
    for to, source in zip(stateless.weights, stateful.trainable_variables, strict=True):
        to.assign(source)
    x = ids(2, 6)
    expected, _ = stateful.hidden(x)
    mask = tf.constant([[True, True, False]] * 2)
    h1, state = stateless.hidden(tf.concat([x[:, :2], x[:, :1]], axis=1), mask=mask)
    h2, _ = stateless.hidden(x[:, 2:], states=state)
    actual = tf.concat([h1[:, :2], h2], axis=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_masked_steps_leave_the_state_as_it_is(cell):
    model = build_model(config(cell))
    x = ids(1, 6)
    _, expected = model.hidden(x[:, :4])
    mask = tf.constant([[True] * 4 + [False] * 2])
    _, actual = model.hidden(x, mask=mask)
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_feedforward_model_sees_only_its_last_words():
    model = build_model(config("feedforward", context=3), batch_size=1)
    x = ids(1, 9)
    changed = tf.concat([(x[:, :6] + 1) % 12, x[:, 6:]], axis=1)
    first = model(x)[0, -1]
    model.reset_states()
    np.testing.assert_array_equal(model(changed)[0, -1], first)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_a_recurrent_model_remembers_further(cell):
    model = build_model(config(cell), batch_size=1)
    x = ids(1, 9)
    changed = tf.concat([(x[:, :6] + 1) % 12, x[:, 6:]], axis=1)
    first = model(x)[0, -1]
    model.reset_states()
    assert not np.allclose(model(changed)[0, -1], first, atol=1e-7)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_a_window_equals_finite_differences(cell, tied):
    keras.utils.set_random_seed(3)
    model = build_model(config(cell, layers=1, tied=tied), batch_size=2, precision="float64")
    x = ids(2, 4)
    assert model(x).dtype == tf.float64
    y = ids(2, 4, seed=1)

    def loss() -> tf.Tensor:
        model.reset_states()
        logits = model(x)
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    slope, difference = slopes(loss, model.trainable_variables)
    assert difference == pytest.approx(slope, rel=1e-6)


def test_bptt_is_the_sum_over_steps_of_the_lecture():
    """∂E_t/∂W = Σ_j ∂E_t/∂h_t · (Π_{i=j+1..t} ∂h_i/∂h_{i-1}) · ∂⁺h_j/∂W, written out in NumPy.

    One window of T steps after a carried state h_0: the sum runs over j = 1 … t inside the
    window, and h_0 counts as a constant.
    """
    keras.utils.set_random_seed(7)
    model = build_model(config("simple_rnn", layers=1, tied=False), batch_size=1)
    before, x, y = ids(1, 3), ids(1, 5, seed=1)[0].numpy(), ids(1, 5, seed=2)[0].numpy()
    model(before)  # the state carried in
    h0 = model.recurrent[0].states[0].numpy()[0].astype(np.float64)

    with tf.GradientTape() as tape:
        logits = model(x[None])
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y[None], logits))
    cell = model.recurrent[0].cell
    by_keras = tape.gradient(loss, [cell.kernel, cell.recurrent_kernel, cell.bias])

    kernel, recurrent, bias = (w.numpy().astype(np.float64) for w in cell.weights)
    embedding = model.embed.embeddings.numpy().astype(np.float64)
    output = model.output_weights.numpy().astype(np.float64)  # (V, H)
    inputs = embedding[x]
    h = [h0]
    for step in inputs:
        h.append(np.tanh(step @ kernel + h[-1] @ recurrent + bias))

    d_kernel, d_recurrent, d_bias = np.zeros_like(kernel), np.zeros_like(recurrent), 0.0
    for t in range(1, len(x) + 1):
        scores = output @ h[t] + model.output_bias.numpy()
        share = np.exp(scores - scores.max())
        share /= share.sum()
        share[y[t - 1]] -= 1
        reach = share @ output  # ∂E_t/∂h_t, then ∂E_t/∂h_j for j = t, t-1, … 1
        for j in range(t, 0, -1):
            through = reach * (1 - h[j] ** 2)
            d_kernel += np.outer(inputs[j - 1], through)
            d_recurrent += np.outer(h[j - 1], through)
            d_bias = d_bias + through
            reach = through @ recurrent.T
    for ours, keras_gradient in zip((d_kernel, d_recurrent, d_bias), by_keras, strict=True):
        np.testing.assert_allclose(keras_gradient, ours, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_an_untrained_model_is_as_perplexed_as_its_vocabulary_is_large(cell, tied):
    size = 5_000
    model = build_model(
        config(cell, vocabulary_size=size, embedding=32, units=32, tied=tied), batch_size=4
    )
    y = tf.constant(np.random.default_rng(0).integers(0, size, (4, 50)), tf.int32)
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(y))
    assert np.exp(np.mean(nats)) == pytest.approx(size, rel=0.02)


def test_tied_models_have_no_output_matrix():
    tied = build_model(config(tied=True, embedding=5, units=5))
    untied = build_model(config(tied=False, embedding=5, units=5))
    assert untied.count_params() - tied.count_params() == 12 * 5
    # A projection brings other sizes together.
    projected = build_model(config(tied=True, embedding=6, units=5))
    assert projected(ids(1, 2)).shape == (1, 2, 12)


def test_weights_travel_through_a_folder(tmp_path):
    model = build_model(config(), batch_size=4)
    moved = save_training(tmp_path / "training", model).rename(tmp_path / "moved")
    loaded = load_model(moved)
    for a, b in zip(loaded.trainable_variables, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("ending", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_truncated_weights_are_refused(tmp_path, ending, share):
    save_training(tmp_path, build_model(config()))
    (path,) = (tmp_path / "checkpoints").glob(f"*.{ending}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"The weights .* cannot be read"):
        load_model(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="nextword train"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text('{"cell": "lstm"}')
    with pytest.raises(InputError, match="nextword train"):
        load_model(tmp_path)
    config().save(tmp_path / "model.json")
    assert ModelConfig.load(tmp_path / "model.json") == config()
    with pytest.raises(InputError, match="No trained weights"):
        load_model(tmp_path)


def test_a_feedforward_model_has_one_layer():
    with pytest.raises(InputError, match="--layers"):
        build_model(config("feedforward", layers=2))


# Dropout


def zeros(x: tf.Tensor) -> np.ndarray:
    return np.asarray(x) == 0


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_variational_dropout_drops_the_same_activations_at_all_steps_of_a_window(cell):
    options = {"layers": 1, "units": 40, "embedding": 40, "dropout": 0.5}
    same = build_model(config(cell, variational=True, **options), batch_size=3)
    h = tf.ones((3, 20, 40))
    dropped = zeros(same.dropouts[0](h, training=True))
    np.testing.assert_array_equal(dropped, np.repeat(dropped[:, :1], 20, axis=1))
    assert 0.3 < dropped.mean() < 0.7
    assert (dropped[0] != dropped[1]).any()
    assert (dropped != zeros(same.dropouts[0](h, training=True))).any()  # another in each window
    other = build_model(config(cell, **options), batch_size=3)
    dropped = zeros(other.dropouts[0](h, training=True))
    assert (dropped != dropped[:, :1]).any()
    assert not zeros(same.dropouts[0](h)).any()
    # What is dropped is neither read nor handed on.
    x = ids(3, 20)
    same.reset_states()
    trained = same(x, training=True)
    same.reset_states()
    assert not np.allclose(same(x), trained)


def test_word_dropout_drops_whole_vectors_of_the_same_words():
    model = build_model(config("feedforward", context=1, word_dropout=0.5), batch_size=4)
    x = ids(4, 50)
    h = model.hidden(x, training=True)[0].numpy()  # with one word of context, its vector
    vectors = model.embed(x).numpy()
    kept = {}
    for word in range(12):
        here = x.numpy() == word
        kept[word] = bool(h[here].any())
        np.testing.assert_allclose(h[here], 2 * vectors[here] * kept[word], rtol=1e-6)
    assert 0 < sum(kept.values()) < 12
    np.testing.assert_array_equal(model.hidden(x)[0], vectors)


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple_rnn"])
def test_weight_dropout_drops_recurrent_weights_in_training_only(cell):
    """The gradient by a weight that is dropped is zero, whatever the window."""
    model = build_model(config(cell, layers=1, weight_dropout=0.5), batch_size=3)
    plain = build_model(config(cell, layers=1), batch_size=3)
    for theirs, mine in zip(plain.trainable_variables, model.trainable_variables, strict=True):
        theirs.assign(mine)
    x = ids(3, 8)
    np.testing.assert_array_equal(model.hidden(x)[0], plain.hidden(x)[0])
    for subject in (model, plain):
        subject.reset_states()
    weight = model.recurrent[0].cell.recurrent_kernel
    with tf.GradientTape() as tape:
        h, _ = model.hidden(x, training=True)
    dropped = zeros(tape.gradient(h, weight.value))
    assert 0.2 < dropped.mean() < 0.8
    # What is left is twice as large, as by hand.
    plain.recurrent[0].cell.recurrent_kernel.assign(np.where(dropped, 0, 2 * weight.numpy()))
    np.testing.assert_allclose(plain.hidden(x)[0], h, rtol=1e-5, atol=1e-6)
