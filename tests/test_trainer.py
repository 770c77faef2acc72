"""One update, held against the formulas of the lecture."""

import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, ROOT, TOKENS, config

from pipeline.model.dropout import Dropout
from pipeline.model.language_model import build_model
from pipeline.tokens.windows import NO_TARGET, even_lanes, windows
from pipeline.training.checkpoints import Checkpoints, Position
from pipeline.training.config import TrainingConfig
from pipeline.training.trainer import Trainer

V = len(TOKENS)


def stream(tokens):
    return np.random.default_rng(7).integers(0, V, tokens, np.int32)


def gradients_of(trainer, x, y, begins):
    """What an update does with plain gradient descent at rate 1 and no clipping."""
    before = [v.numpy() for v in trainer.model.trainable_variables]
    trainer.step(*map(tf.constant, (x, y, begins)))
    return [b - v.numpy() for b, v in zip(before, trainer.model.trainable_variables, strict=True)]


def trainer_of(
    cell, *, batch_size=1, stride=None, rate=1.0, penalties=(0, 0), clip_norm=1e9, **changes
):
    keras.utils.set_random_seed(1)
    model = build_model(config(cell, **changes), batch_size=batch_size)
    alpha, beta = penalties
    training = TrainingConfig(
        clip_norm=clip_norm,
        stride=stride,
        activation_regularization=alpha,
        temporal_regularization=beta,
    )
    return Trainer(model, keras.optimizers.SGD(rate), training)


def test_a_step_clips_the_global_norm_and_reports_it_unclipped():
    trainer = trainer_of("lstm", batch_size=2, layers=1, rate=0.5, clip_norm=1e-3)
    x = np.array([[4, 5, 6], [7, 8, 9]], np.int32)
    y = np.array([[5, 6, 7], [8, 9, NO_TARGET]], np.int32)
    before = [v.numpy() for v in trainer.model.trainable_variables]
    nats, targets, norm = trainer.step(*map(tf.constant, (x, y, [True, True])))
    assert float(targets) == 5
    after = trainer.model.trainable_variables
    updates = [b - v.numpy() for b, v in zip(before, after, strict=True)]
    length = math.sqrt(sum(float((u**2).sum()) for u in updates))
    assert float(norm) > 1e-3
    assert length == pytest.approx(0.5e-3, rel=1e-3)
    assert float(nats) / 5 == pytest.approx(math.log(V), rel=0.05)


def test_a_worker_goes_back_to_what_the_chief_has_saved(tmp_path):
    trainer = trainer_of("simple_rnn")
    chief, worker = (Checkpoints(tmp_path, trainer, writes=writes) for writes in (True, False))
    assert worker.restore() is None
    for epoch in range(1, 5):  # the chief deletes the first ones
        chief.save(Position(recent=0.0, usual=0.0, epoch=epoch))
        assert worker.restore().epoch == epoch


@pytest.mark.parametrize(
    ("cell", "stride"),
    [
        *[("lstm", 1), ("lstm", 4), ("simple_rnn", 1), ("feedforward", 1)],
        *[pytest.param("gru", k, marks=pytest.mark.slow) for k in (1, 4)],  # compiles for long
    ],
)
def test_the_state_is_carried_and_the_gradient_is_truncated(cell, stride):
    """Every window's gradient is that of its last outputs, from the state its first step had.

    The state is carried over from the windows before as the weights of their time made it, and
    autodiff through the window alone, from that state as a constant, gives the same gradient.
    """
    window, ids = 4, stream(11)
    trainer = trainer_of(cell, stride=stride, rate=0.1)
    layers = trainer.model.config.layers
    carried = None
    lanes = even_lanes(len(ids), batch_size=1)
    for batch in windows(ids, lanes, window=window, stride=stride):
        alone = build_model(trainer.model.config)
        for mine, theirs in zip(alone.weights, trainer.model.trainable_variables, strict=True):
            mine.assign(theirs)
        with tf.GradientTape() as tape:
            h, _ = alone.hidden(batch.x, states=carried)
            nats = alone.negative_log_likelihood(h[:, -batch.y.shape[1] :], tf.constant(batch.y))
            loss = tf.reduce_sum(nats) / np.sum(batch.y != NO_TARGET)
        expected = tape.gradient(loss, alone.trainable_variables)
        _, carried = alone.hidden(batch.x[:, :stride], states=carried)
        found = gradients_of(trainer, batch.x, batch.y, batch.begins)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine / 0.1, tf.convert_to_tensor(theirs), atol=2e-6)
        flat = [part for layer in carried for part in layer]
        assert len(flat) % layers == 0
        for mine, theirs in zip(trainer.model.states, flat, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_stride_one_is_the_sum_of_the_lecture_term_by_term():
    """∂E_t/∂W = Σ_j ∂E_t/∂h_t · Π_{i=j+1}^{t} ∂h_i/∂h_{i-1} · ∂⁺h_j/∂W, j over the window.

    For a simple recurrent network every factor is known: with a = W x + U h + b, h = tanh a,
    ∂h_i/∂h_{i-1} = diag(1 − h_i²) U, and ∂⁺h_j/∂U holds h_{j-1} fixed.
    """
    window, ids = 4, stream(10)
    trainer = trainer_of("simple_rnn", layers=1, stride=1)
    model = trainer.model
    cell = model.recurrent[0].cell
    names = [v.path for v in model.trainable_variables]
    place = names.index(cell.recurrent_kernel.path)
    lanes = even_lanes(len(ids), batch_size=1)
    for batch in windows(ids, lanes, window=window, stride=1):
        h = [model.states[0].numpy()[0] * (0 if batch.begins[0] else 1)]
        kernel, recurrent, bias = (
            v.numpy() for v in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        table, out_bias = model.embed.embeddings.numpy(), model.output_bias.numpy()
        project = model.readout[0].get_weights() if model.readout else None
        for i in batch.x[0]:
            h.append(np.tanh(table[i] @ kernel + h[-1] @ recurrent + bias))
        total = np.zeros_like(recurrent)
        counted = 0
        first = window - batch.y.shape[1] + 1
        for t, target in enumerate(batch.y[0], first):
            if target == NO_TARGET:
                continue
            counted += 1
            features = h[t] @ project[0] + project[1] if project else h[t]
            p = np.exp(features @ table.T + out_bias)
            error = p / p.sum() - np.eye(V)[target]  # ∂E_t/∂logits
            back = error @ table
            back = project[0] @ back if project else back  # ∂E_t/∂h_t
            for j in range(t, 0, -1):
                through = back * (1 - h[j] ** 2)  # ∂E_t/∂a_j
                total += np.outer(h[j - 1], through)  # ∂⁺h_j/∂U
                back = recurrent @ through  # one Jacobian further back
        found = gradients_of(trainer, batch.x, batch.y, batch.begins)[place]
        np.testing.assert_allclose(found, total / counted, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_two_windows_read_what_one_of_twice_the_length_reads(cell):
    ids = stream(17)
    states = []
    for window in (8, 16):
        trainer = trainer_of(cell, rate=0.0, batch_size=1)
        lanes = even_lanes(len(ids), batch_size=1)
        nats = 0.0
        for batch in windows(ids, lanes, window=window, stride=window):
            nats += float(trainer.step(*map(tf.constant, (batch.x, batch.y, batch.begins)))[0])
        states.append([nats, *(state.numpy() for state in trainer.model.states)])
    for short, long in zip(*states, strict=True):
        np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-6)


def test_a_lane_that_begins_forgets_and_the_others_do_not():
    trainer = trainer_of("lstm", batch_size=2, rate=0.0)
    x = np.array([[4, 5, 6], [4, 5, 6]], np.int32)
    trainer.step(*map(tf.constant, (x, x, [True, True])))
    once = [state.numpy() for state in trainer.model.states]
    trainer.step(*map(tf.constant, (x, x, [False, True])))
    for before, after in zip(once, trainer.model.states, strict=True):
        np.testing.assert_allclose(before[1], after[1], atol=1e-7)
        assert np.abs(before[0] - after[0]).max() > 1e-4


def test_activations_and_their_changes_cost_what_the_paper_says():
    """The gradient grows by that of α · mean(h²) + β · mean((h_t − h_{t-1})²), taken apart."""
    x, y = np.array([[4, 5, 6, 2]], np.int32), np.array([[5, 6, 2, 1]], np.int32)
    model = trainer_of("simple_rnn", layers=1).model  # the weights of all three are the same
    with tf.GradientTape() as tape:
        h, _ = model.hidden(tf.constant(x))
        changes = [h[0, t] - h[0, t - 1] for t in (1, 2, 3)]
        size = 4 * h.shape[2]
        loss = 2.0 * tf.reduce_sum(h**2) / size
        loss += 3.0 * sum(tf.reduce_sum(c**2) for c in changes) / (size - h.shape[2])
    variables = model.trainable_variables
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(loss, [v.value for v in variables], unconnected_gradients=zero)
    expected = [tf.convert_to_tensor(g).numpy() for g in gradients]
    assert max(abs(e).max() for e in expected) > 1e-3
    plain = gradients_of(trainer_of("simple_rnn", layers=1), x, y, [True])
    penalized = trainer_of("simple_rnn", layers=1, penalties=(2.0, 3.0))
    found = gradients_of(penalized, x, y, [True])
    for with_penalty, without, more in zip(found, plain, expected, strict=True):
        np.testing.assert_allclose(with_penalty - without, more, rtol=1e-3, atol=1e-6)


def test_changes_are_those_before_dropout():
    """What is dropped at one step and not at the next is no change of the state."""
    x, y = np.array([[4, 5, 6, 2]], np.int32), np.array([[5, 6, 2, 1]], np.int32)

    def gradients(beta, share):
        trainer = trainer_of("simple_rnn", layers=1, dropout=0.5, penalties=(0, beta))
        for dropout, rate in zip(trainer.model.dropouts, (0, share), strict=True):
            dropout.rate = rate
        return gradients_of(trainer, x, y, [True])

    apart = zip(gradients(0, 0.5), gradients(0, 0), strict=True)
    assert max(abs(dropped - whole).max() for dropped, whole in apart) > 1e-3
    of_penalty, expected = (
        [more - less for more, less in zip(gradients(3.0, share), gradients(0, share), strict=True)]
        for share in (0.5, 0)
    )
    assert max(abs(e).max() for e in expected) > 1e-3
    for found, e in zip(of_penalty, expected, strict=True):
        np.testing.assert_allclose(found, e, rtol=1e-3, atol=1e-6)


def test_weights_are_the_moving_averages():
    """After each update, average ← m · average + (1 − m) · weights; the weights stay."""
    keras.utils.set_random_seed(1)
    model = build_model(config(layers=1), batch_size=1)
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    trainer = Trainer(model, optimizer, TrainingConfig(clip_norm=1e9))
    x, y = np.array([[4, 5, 6, 2]], np.int32), np.array([[5, 6, 2, 1]], np.int32)
    average = None
    for _ in range(3):
        trainer.step(*map(tf.constant, (x, y, [True])))
        weights = [v.numpy() for v in model.trainable_variables]
        if average is None:
            average = weights
        average = [0.75 * a + 0.25 * w for a, w in zip(average, weights, strict=True)]
        averages = trainer.weights()
        for theirs, mine, expected, before in zip(
            averages, model.trainable_variables, average, weights, strict=True
        ):
            np.testing.assert_allclose(theirs, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(mine, before)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "feedforward"])
def test_each_replica_drops_others_and_all_learn_the_same(cell):
    script = Path(__file__).with_name("replicas.py")
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, script, cell], env=variables, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "the same after 5 windows" in result.stdout


def test_on_one_device_masks_are_those_of_keras():
    x = tf.ones((3, 4, 50))
    for shape in (None, (None, 1, None)):
        layers = []
        for kind in (Dropout, keras.layers.Dropout):
            keras.utils.set_random_seed(3)
            layers.append(kind(0.3, noise_shape=shape))
        for _ in range(3):
            mine, theirs = (layer(x, training=True).numpy() for layer in layers)
            np.testing.assert_array_equal(mine, theirs)
            assert np.isclose(np.unique(mine), [0, 1 / 0.7]).all()
        np.testing.assert_array_equal(layers[0](x), x)
