import json
import math
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, TOKENS, random_model, small, trained, write_training

from pipeline import InputError
from pipeline.explain.config import ExplanationConfig, WindowSweepConfig
from pipeline.explain.explain import explain, print_explanation
from pipeline.explain.gradient_flow import gradient_flow
from pipeline.explain.truncated_context import truncate_context
from pipeline.explain.unrolled_gradient import gradient_terms, unrolled_gradient
from pipeline.model.language_model import load_model

STEPS = 6


def model_of(cell, **changes):
    """A stateless model whose weights are large enough for states to matter."""
    return random_model(cell, scale=0.5, tied=True, **changes)


def text(length=2 * STEPS + 1):
    return np.random.default_rng(4).integers(0, len(TOKENS), length, np.int32)


# Gradient flow


def test_gradients_of_a_simple_network_are_products_of_jacobians():
    """∂E_t/∂h_j = U diag(1 − h_{j+1}²) · … · U diag(1 − h_t²) · W_outᵀ (p − y), by hand."""
    model = model_of("simple_rnn", layers=1, units=6)
    ids = text()
    flow = gradient_flow(model, ids, steps=STEPS, samples=1)

    cell = model.recurrent[0].cell
    kernel, u, bias = (np.float64(v) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    vectors, output_bias = np.float64(model.embed.embeddings), np.float64(model.output_bias)
    h = [np.zeros(6)]
    for word in ids[:-1]:
        h.append(np.tanh(vectors[word] @ kernel + h[-1] @ u + bias))
    scores = vectors @ h[-1] + output_bias
    p = np.exp(scores) / np.exp(scores).sum()
    p[ids[-1]] -= 1
    gradient, norms = vectors.T @ p, []
    for after in h[: -STEPS - 2 : -1]:
        norms.append(np.linalg.norm(gradient))
        gradient = u @ np.diag(1 - after**2) @ gradient
    assert flow.h.shape == (1, STEPS + 1)
    np.testing.assert_allclose(flow.h[0], norms, rtol=1e-4)
    np.testing.assert_array_equal(flow.state, flow.h)
    assert max(norms) / min(norms) > 2


@pytest.mark.parametrize(
    ("cell", "changes"),
    [("lstm", {}), ("lstm", {"mogrifier": 2}), ("gru", {}), ("simple_rnn", {})],
    ids=["lstm", "mogrifier", "gru", "simple_rnn"],
)
def test_gradients_are_those_of_finite_differences(cell, changes):
    """h_j, and of an LSTM c_j, moved one coordinate after the other, in the upper of two layers."""
    model, ids = model_of(cell, **changes), tf.constant(text()[None])
    flow = gradient_flow(model, text(), steps=STEPS, samples=1)
    hidden = tf.function(model.hidden, reduce_retracing=True)
    back = STEPS // 2
    lower, state = hidden(ids[:, : -1 - back])[1]

    def negative_log_likelihood(state):
        h, _ = hidden(ids[:, -1 - back : -1], states=[lower, state])
        return float(model.negative_log_likelihood(h[:, -1:], ids[:, -1:])[0, 0])

    slopes = []
    for part in range(len(state)):
        for unit in range(5):
            moved = [np.zeros((1, 5), np.float32) for _ in state]
            moved[part][0, unit] = 0.01
            up, down = (
                [s + sign * m for s, m in zip(state, moved, strict=True)] for sign in (1, -1)
            )
            slopes.append((negative_log_likelihood(up) - negative_log_likelihood(down)) / 0.02)
    norms = float(flow.h[0, back]), float(flow.state[0, back])
    expected = np.linalg.norm(slopes[:5]), np.linalg.norm(slopes)
    np.testing.assert_allclose(norms, expected, rtol=0.02, atol=1e-4)
    assert expected[0] > 1e-3
    assert (flow.state[0] > flow.h[0]).any() == (cell == "lstm")


def test_no_gradient_reaches_beyond_the_context_of_a_feedforward_model():
    flow = gradient_flow(model_of("feedforward"), text(40), steps=STEPS, samples=9)
    assert flow.h.shape == (9, STEPS + 1)
    assert (flow.h[:, :3] > 0).all()  # three words of context
    assert (flow.h[:, 3:] == 0).all()


def test_targets_are_spread_over_the_stream():
    model, ids = model_of("simple_rnn", layers=1), text(60)
    flow = gradient_flow(model, ids, steps=STEPS, samples=3)
    middle = ids[36 - 2 * STEPS : 36 + 1]  # of the targets 12, 36 and 59
    alone = gradient_flow(model, middle, steps=STEPS, samples=1)
    np.testing.assert_allclose(flow.h[1], alone.h[0], rtol=1e-4)
    every = gradient_flow(model, middle[:-1].repeat(2), steps=STEPS, samples=1000)
    assert len(every.h) == 2 * STEPS
    with pytest.raises(InputError, match="too few to look back 6 steps: lower --steps"):
        gradient_flow(model, ids[: 2 * STEPS], steps=STEPS, samples=1)


# Unrolled gradients


def test_terms_of_a_scalar_network_by_hand():
    """h_j = tanh(w x_j + u h_{j−1} + b), three steps: g_j = δ_j · (x_j, h_{j−1}, 1)."""
    model = model_of("simple_rnn", layers=1, units=1, embedding=1)
    ids = np.array([1, 4, 8, 6], np.int32)
    terms = [term.numpy().ravel() for term in gradient_terms(model, ids)]

    cell = model.recurrent[0].cell
    w, u, b = (float(np.squeeze(v)) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    vectors, bias = np.float64(model.embed.embeddings)[:, 0], np.float64(model.output_bias)
    x_1, x_2, x_3 = vectors[ids[:-1]]
    h_1 = np.tanh(w * x_1 + b)
    h_2 = np.tanh(w * x_2 + u * h_1 + b)
    h_3 = np.tanh(w * x_3 + u * h_2 + b)
    p = np.exp(vectors * h_3 + bias) / np.exp(vectors * h_3 + bias).sum()
    p[ids[-1]] -= 1
    by_h = vectors @ p  # ∂E/∂h_3
    d_3 = by_h * (1 - h_3**2)
    d_2 = d_3 * u * (1 - h_2**2)
    d_1 = d_2 * u * (1 - h_1**2)
    np.testing.assert_allclose(terms[0], [d_1 * x_1, d_2 * x_2, d_3 * x_3], rtol=1e-4)
    np.testing.assert_allclose(terms[1], [0, d_2 * h_1, d_3 * h_2], rtol=1e-4)
    np.testing.assert_allclose(terms[2], [d_1, d_2, d_3], rtol=1e-4)

    g_1, g_2, g_3 = np.transpose(terms)
    g = g_1 + g_2 + g_3
    of_word = unrolled_gradient(model, ids)
    np.testing.assert_allclose(of_word.shares, [g_1 @ g, g_2 @ g, g_3 @ g] / (g @ g), rtol=1e-4)
    norms = np.array([np.linalg.norm(v) for v in (g_1, g_2, g_3, g_1 + g_2)]) / np.linalg.norm(g)
    np.testing.assert_allclose(of_word.left_out, [norms[3], norms[0], 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("cell", "changes"),
    [
        ("lstm", {}),
        ("lstm", {"mogrifier": 3, "softmax": "adaptive"}),
        ("gru", {}),
        ("simple_rnn", {"layers": 1}),
        ("simple_rnn", {"batch_size": 1}),  # stateful, as it is trained
    ],
    ids=["lstm", "mogrifier", "gru", "simple_rnn", "stateful"],
)
def test_the_last_terms_are_the_gradient_of_truncated_bptt(cell, changes):
    """And all of them are the whole gradient."""
    model, ids = model_of(cell, **changes), text()
    weights = [w.value for layer in model.recurrent for w in layer.trainable_variables]
    terms = [term.numpy() for term in gradient_terms(model, ids)]
    of_word = unrolled_gradient(model, ids)
    steps = len(ids) - 1
    assert of_word.shares.shape == of_word.left_out.shape == (steps,)

    def norm(parts):
        return np.sqrt(sum((part.astype(np.float64) ** 2).sum() for part in parts))

    for kept in (1, 4, steps):
        states = None
        if "batch_size" in changes:
            model.reset_states()
        if kept < steps:
            _, states = model.hidden(tf.constant(ids[None, : steps - kept]))
        with tf.GradientTape() as tape:
            h, _ = model.hidden(tf.constant(ids[None, steps - kept : -1]), states=states)
            nats = model.negative_log_likelihood(h[:, -1:], tf.constant(ids[None, -1:]))
        truncated = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(nats, weights)]
        for term, gradient in zip(terms, truncated, strict=True):
            np.testing.assert_allclose(
                term[steps - kept :].sum(axis=0), gradient, rtol=1e-3, atol=1e-5
            )
        whole = [term.sum(axis=0) for term in terms]
        rest = [g - part for g, part in zip(whole, truncated, strict=True)]
        share = norm(rest) / norm(whole)
        assert of_word.left_out[kept - 1] == pytest.approx(share, abs=1e-4)
    assert of_word.left_out[0] > 0.01
    assert of_word.shares.sum() == pytest.approx(1)


# Truncated contexts


@pytest.mark.parametrize("cell", CELLS)
def test_each_word_is_predicted_from_its_last_words_alone(cell):
    model, ids = model_of(cell, softmax="adaptive" if cell == "gru" else "full"), text(6)
    predictions = truncate_context(model, ids)
    assert predictions.probabilities.shape == predictions.ranks.shape == (5, 5)
    for k in range(1, 6):
        for place in range(5):
            if k > place + 1:
                assert math.isnan(predictions.probabilities[k - 1, place])
                continue
            context = tf.constant(ids[None, place + 1 - k : place + 1])
            p = tf.nn.softmax(model(context)[0, -1]).numpy()
            target = predictions.probabilities[k - 1, place]
            np.testing.assert_allclose(target, p[ids[place + 1]], rtol=1e-4)
            order = sorted(p, reverse=True)
            assert order[predictions.ranks[k - 1, place] - 1] == pytest.approx(target, rel=1e-4)
            assert predictions.likeliest[k - 1, place] == p.argmax()


def test_truncation_beyond_its_context_does_not_change_a_feedforward_model():
    predictions = truncate_context(model_of("feedforward"), text(9))
    last = predictions.probabilities[:, -1]
    np.testing.assert_allclose(last[2:], last[2], rtol=1e-5)
    assert abs(last[1] - last[2]) > 1e-4
    last = truncate_context(model_of("lstm"), text(9)).probabilities[:, -1]
    assert len(set(last.round(6))) == 8


# The stage


def explained(tokens, models, output, **changes):
    output.mkdir()
    options = {"sentence": "O cachorro bebeu água.", "steps": STEPS, "samples": 5, **changes}
    sweep = WindowSweepConfig(options.pop("windows", ()), 320, 3, **small(window=6, batch_size=5))
    explain(tokens, output, models=models, config=ExplanationConfig(**options), sweep=sweep)
    return json.loads((output / "explanation.json").read_text(encoding="utf-8"))


def test_figures_and_numbers(tokens, tmp_path, capsys):
    lstm, feedforward = (write_training(tmp_path / cell, cell) for cell in ("lstm", "feedforward"))
    again = shutil.copytree(feedforward, tmp_path / "again")
    out, models = tmp_path / "explanation", [feedforward, lstm, again]
    (tmp_path / "pairs.tsv").write_text("context\tright\twrong\nela\tbebeu\te\n")
    options = {"pairs": tmp_path / "pairs.tsv", "ngram_order": 0}
    explanation = explained(tokens, models, out, sentence="O gato bebeu água.", **options)

    assert list(explanation["models"]) == ["feedforward", "lstm", f"feedforward {again}"]
    assert {path.name for path in out.iterdir()} == {"figures", "explanation.json"}
    third = re.sub("[^a-z0-9_-]+", "_", f"feedforward {again}")
    assert {path.name for path in (out / "figures").iterdir()} == {
        *("gradient_reach.png", "context_last_word.png", "unrolled.png", "left_out.png"),
        *(f"context_{name}.png" for name in ("feedforward", "lstm", third)),
    }
    context = explanation["context"]
    assert context["words"] == ["O", "gato <unk>", "bebeu", "água", "."]
    assert context["place"] == 3
    ids = np.array([1, *map(TOKENS.index, ["o", "<unk>", "bebeu", "água", "."])], np.int32)
    predictions = truncate_context(load_model(lstm), ids)
    of_lstm = context["models"]["lstm"]
    assert [len(row) for row in of_lstm["probabilities"]] == [5, 4, 3, 2, 1]
    assert of_lstm["probabilities"][1][2] == pytest.approx(float(predictions.probabilities[1, 3]))
    assert of_lstm["ranks"][1][2] == predictions.ranks[1, 3]
    likeliest = [TOKENS[i] for i in predictions.likeliest[:4, 3]]
    assert of_lstm["likeliest"] == likeliest
    assert explanation["reach"]["feedforward"]["h"]["mean"][3:] == [0.0] * 4
    assert explanation["reach"]["feedforward"]["vanished_after"] == 3
    assert len(explanation["reach"]["lstm"]["state"]["median"]) == STEPS + 1
    assert explanation["windows"] is None
    assert {row["by"] for row in explanation["agreement"]["counts"]} == {"all"}  # and no chart
    assert [*explanation["unrolled"]] == ["lstm"]  # a feed-forward network has no such sum
    of_word = unrolled_gradient(load_model(lstm), ids[:-1])
    assert explanation["unrolled"]["lstm"]["shares"] == pytest.approx(list(of_word.shares))
    assert explanation["unrolled"]["lstm"]["left_out"][-1] == 0

    capsys.readouterr()
    print_explanation(explanation)
    printed = capsys.readouterr().out
    assert "«água»" in printed
    assert "gato <unk>" in printed
    share, left_out = of_word.shares[-1], of_word.left_out[0]
    assert re.search(rf"1 +bebeu +{share:.1%} +{left_out:.1%} *\n", printed)


@pytest.mark.slow
def test_windows_are_compared_in_trainings_of_equal_size(tokens, tmp_path, capsys):
    """Half as long windows in twice as many lanes, all epochs, on the first tokens of the text."""
    models = [write_training(tmp_path / cell, cell) for cell in ("feedforward", "simple_rnn")]
    out = tmp_path / "out"
    windows = explained(tokens, models, out, sentence="água", steps=2, windows=(3,))["windows"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"figures", "explanation.json"}
    assert (tmp_path / "out" / "figures" / "windows.png").stat().st_size > 10_000

    np.save(tokens / "train.npy", np.load(tokens / "train.npy")[:320])
    options = {"cell": "simple_rnn", "window": 3, "batch_size": 10, "epochs": 3, "patience": 3}
    best = min(row["valid_perplexity"] for row in trained(tokens, tmp_path / "alone", **options))
    assert windows == {
        "training_tokens": 320,
        "epochs": 3,
        "tokens_of_an_update": 30,
        "perplexity": {"simple_rnn": {"3": pytest.approx(best)}},  # of feedforward there is no T
    }
    capsys.readouterr()
    print_explanation(json.loads((tmp_path / "out" / "explanation.json").read_text()))
    assert f"{best:.1f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentence": "  "}, "has 0 tokens: give a --sentence with 1 to 40"),
        ({"sentence": "o " * 41}, "has 41 tokens"),
        ({"steps": 30}, "60 tokens, too few to look back 30 steps"),
        ({"windows": (7,)}, "30 tokens of an update cannot be divided into windows of 7"),
    ],
    ids=["empty", "long", "steps", "windows"],
)
def test_what_cannot_be_shown_is_refused(tokens, tmp_path, changes, message):
    model = write_training(tmp_path / "model", "feedforward")
    with pytest.raises(InputError, match=message):
        explained(tokens, [model], tmp_path / "out", **changes)


def test_models_that_do_not_fit_are_refused(tokens, tmp_path):
    model = write_training(tmp_path / "model", "feedforward")
    with pytest.raises(InputError, match="No trained model is described by"):
        explained(tokens, [tmp_path / "nothing"], tmp_path / "a")
    lines = (tokens / "vocabulary.tsv").read_text().splitlines()
    (tokens / "vocabulary.tsv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="another vocabulary"):
        explained(tokens, [model], tmp_path / "b")
