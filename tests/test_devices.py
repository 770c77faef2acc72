"""Conditions for cuDNN against those of Keras; the check of devices; mixed precision."""

import dataclasses
import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CELLS, ROOT, config, physical_gpu, save_training, trained

from pipeline import InputError
from pipeline.export import verify
from pipeline.model.language_model import build_model, load_model
from pipeline.tracking.served import Served
from pipeline.training import device_check, devices
from pipeline.training.device_check import Comparison, Step, check_devices, print_check
from pipeline.training.devices import (
    cudnn_obstacles,
    describe_precision,
    describe_recurrence,
    find_devices,
)

GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
NO_GPU = "TensorFlow sees no GPU."
MIXED = ("mixed_float16", "mixed_bfloat16")


@pytest.fixture
def cudnn(monkeypatch):
    """Calls of cuDNN's kernel by a Keras that believes in a GPU; Keras then goes on without."""
    calls = []

    def kernel(**arguments):
        calls.append(arguments)
        raise tf.errors.NotFoundError(None, None, "no GPU")

    list_devices = tf.config.list_logical_devices
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind=None: ["GPU:0"] if kind == "GPU" else list_devices(kind),
    )
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", kernel)
    return calls


@pytest.mark.parametrize("precision", ["float32", *MIXED])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_layers_as_built_run_by_cudnn(cudnn, cell, precision):
    model = build_model(config(cell), batch_size=2, precision=precision)
    assert [cudnn_obstacles(layer) for layer in model.recurrent] == [[], []]
    cudnn.clear()
    model.hidden(tf.zeros((2, 3), tf.int32), training=True)
    assert [call["rnn_mode"] for call in cudnn] == [cell] * 2
    assert {call["input"].dtype.name for call in cudnn} == {precision.removeprefix("mixed_")}


def test_without_a_gpu_that_is_the_only_obstacle():
    for cell in ("lstm", "gru"):
        for layer in build_model(config(cell), batch_size=2).recurrent:
            assert cudnn_obstacles(layer) == [NO_GPU]


@pytest.mark.parametrize(
    ("layer", "options", "obstacle"),
    [
        (keras.layers.LSTM, {}, None),
        (keras.layers.GRU, {}, None),
        (keras.layers.LSTM, {"use_cudnn": False}, "told not to"),
        (keras.layers.LSTM, {"activation": "relu"}, "activation is not tanh"),
        (keras.layers.LSTM, {"recurrent_activation": "hard_sigmoid"}, "not sigmoid"),
        (keras.layers.LSTM, {"recurrent_dropout": 0.1}, "recurrent dropout"),
        (keras.layers.GRU, {"unroll": True}, "unrolled"),
        (keras.layers.GRU, {"use_bias": False}, "no bias"),
        (keras.layers.GRU, {"reset_after": False}, "reset gate"),
        (keras.layers.SimpleRNN, {}, "LSTM and GRU only"),
    ],
)
def test_obstacles_are_those_of_keras(cudnn, layer, options, obstacle):
    made = layer(3, **options)
    made(tf.zeros((1, 2, 4)))
    found = cudnn_obstacles(made)
    assert bool(cudnn) == (not found)
    if obstacle is None:
        assert found == []
    else:
        assert len(found) == 1
        assert obstacle in found[0]


def test_an_exported_model_needs_no_gpu(cudnn):
    model = build_model(config())
    model(tf.zeros((1, 3), tf.int32))
    assert not cudnn


def test_a_machine_without_gpu_is_described():
    (cpu,) = find_devices()
    assert cpu.name == "CPU:0"
    assert cpu.memory > 2**28
    xla, without_cudnn = describe_recurrence(config())
    assert "XLA compiles" in xla
    assert without_cudnn == f"No cuDNN: {NO_GPU}"
    assert "XLA compiles" in describe_recurrence(config("simple_rnn"))[0]
    assert "no recurrence" in describe_recurrence(config("feedforward"))[0]
    assert describe_precision("float32", (cpu,)) == "float32: all devices support it."
    assert "float32 may be faster" in describe_precision("mixed_float16", (cpu,))


def test_a_gpu_is_described(cudnn, monkeypatch):
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    listed = tf.config.list_physical_devices
    monkeypatch.setattr(
        tf.config,
        "list_physical_devices",
        lambda kind=None: [gpu] if kind == "GPU" else listed(kind),
    )
    details = {"device_name": "Tesla V100", "compute_capability": (7, 0)}
    experimental = tf.config.experimental
    monkeypatch.setattr(experimental, "get_device_details", lambda device: details)
    found = find_devices()
    assert found[1] == devices.Device("GPU:0", "Tesla V100", None, (7, 0))
    (recurrence,) = describe_recurrence(config())
    assert "cuDNN computes" in recurrence
    assert "by tensor cores" in describe_precision("mixed_float16", found)
    assert "V100 has no tensor cores" in describe_precision("mixed_bfloat16", found)


TWO_CHECKS = """
import tensorflow as tf
from pipeline.cli import main
from pipeline.training import device_check

(cpu,) = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
measure_step, steps, wrong = device_check.measure_step, {}, set()

def measure(config, weights, *, device, precision):
    where = device, precision
    if where in wrong:
        weights = [weight + 0.02 for weight in weights]
        return measure_step(config, weights, device=device, precision=precision)
    if where not in steps:
        steps[where] = measure_step(config, weights, device=device, precision=precision)
    return steps[where]

device_check.measure_step = measure
command = "devices --check --embedding 8 --units 8 --mogrifier 0 --layers 1 --dropout 0.5".split()
main(command, standalone_mode=False)
print("AND NOW", flush=True)
wrong.add(("/device:CPU:1", "float32"))
main(command)
"""


@pytest.mark.slow
def test_devices_that_agree_pass_the_check_and_one_that_does_not_fails_it():
    done = subprocess.run(
        [sys.executable, "-c", TWO_CHECKS],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    right, wrong = done.stdout.split("AND NOW")
    lines = [line.split() for line in right.splitlines()]
    rows = [words for words in lines if words[1:2] and words[1] in ("float32", *MIXED)]
    assert [row[:2] for row in rows] == [
        [device, precision] for device in ("CPU:0", "CPU:1") for precision in ("float32", *MIXED)
    ]
    for _, precision, _, gradient, cudnn, speed in rows:
        assert (float(gradient) > 1e-5) == (precision in MIXED)
        assert cudnn == "no"
        assert float(speed.replace(",", "")) > 0
    assert "All is well" in right

    assert done.returncode == 2
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert "CPU:1 computes wrong results in float32 (its gradient of" in sentence
    assert "mixed_bfloat16" in wrong  # the table comes first
    assert "All is well" not in wrong


def test_the_reference_runs_without_cudnn_where_there_is_a_gpu(cudnn):
    weights = [v.numpy() for v in build_model(config(), batch_size=1).trainable_variables]
    cudnn.clear()
    step = device_check.measure_step(config(), weights, device="/device:CPU:0", precision="float32")
    assert not cudnn
    assert not step.cudnn_expected


def test_the_check_compares_the_gradient_of_the_loss():
    """What it reads from the optimizer is what autodiff finds."""
    model = build_model(config(), batch_size=device_check._LANES)
    weights = [v.numpy() for v in model.trainable_variables]
    step = device_check.measure_step(
        config(), weights, device="/device:CPU:0", precision="mixed_float16"
    )
    shape = (device_check._LANES, device_check._STEPS + 1)
    ids = np.random.default_rng(device_check._SEED).integers(12, size=shape, dtype=np.int32)
    with tf.GradientTape() as tape:
        h, _ = model.hidden(tf.constant(ids[:, :-1]))
        loss = tf.reduce_mean(model.negative_log_likelihood(h, tf.constant(ids[:, 1:])))
    assert step.loss == pytest.approx(float(loss), rel=1e-3)
    gradients = tape.gradient(loss, model.trainable_variables)
    for (_, found), expected in zip(step.gradients, gradients, strict=True):
        expected = tf.convert_to_tensor(expected).numpy()
        assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


def test_a_trace_names_the_operations_that_ran(monkeypatch):
    traced = []
    executed = device_check._executed_ops
    monkeypatch.setattr(
        device_check, "_executed_ops", lambda *step: traced.append(executed(*step)) or traced[-1]
    )
    weights = [v.numpy() for v in build_model(config(), batch_size=1).trainable_variables]
    device_check.measure_step(config(), weights, device="/device:CPU:0", precision="float32")
    assert {"GatherV2", "UnsortedSegmentSum", "AssignVariableOp"} <= traced[0]


STEP = Step(9.2, (), cudnn_expected=True, cudnn=True, tokens_per_second=1e5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": 1.9e-3, "gradient": 0.031}, ""),
        ({"loss": 2.1e-3}, r"its loss differs by 0\.0021 from the CPU's, .* explains 0\.002\)"),
        ({"gradient": 0.032}, r"its gradient of lstm/kernel differs by 0\.032"),
        ({"gradient": float("nan")}, r"differs by nan"),
        ({"gradient": 0.24, "precision": "mixed_bfloat16"}, ""),
        ({"step": None, "error": "out of memory"}, r"GPU:0 fails in float32 \(out of memory\):"),
    ],
)
def test_what_rounding_explains_is_well(changes, sentence):
    options = {"device": "GPU:0", "precision": "float32", "step": STEP, "variable": "lstm/kernel"}
    comparison = Comparison(**{**options, **changes})
    if not sentence:
        print_check([comparison])
        return
    with pytest.raises(InputError, match=sentence):
        print_check([comparison])


def test_a_device_that_fails_does_not_end_the_check(monkeypatch, capsys):
    measure = device_check.measure_step

    def fail(*arguments, precision, **options):
        if precision == "mixed_float16":
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")
        return measure(*arguments, precision=precision, **options)

    monkeypatch.setattr(device_check, "measure_step", fail)
    with pytest.raises(InputError, match=r"CPU:0 fails in mixed_float16 \(OOM when allocating\)"):
        print_check(check_devices(config()))
    assert "mixed_bfloat16" in capsys.readouterr().out


def test_cudnn_that_does_not_run_where_it_should_is_reported(capsys):
    step = dataclasses.replace(STEP, cudnn=False)
    print_check([Comparison("GPU:0", "float32", step)])
    out = " ".join(capsys.readouterr().out.split())
    assert "cuDNN did not run where it should: GPU:0 in float32." in out


def test_a_training_takes_what_has_run_before_it(tokens, tmp_path):
    """As a function, in a process in which operations have run: growth is set no more."""
    tf.constant(1) + 1
    with physical_gpu() as gpu:
        with pytest.raises(RuntimeError, match="cannot be modified"):
            tf.config.experimental.set_memory_growth(gpu, True)
        trained(tokens, tmp_path / "trained", epochs=1)


def test_tensorflow_knows_the_variable_that_lets_memory_grow():
    (library,) = Path(tf.sysconfig.get_lib()).glob("libtensorflow_framework.*")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert data.find(GROWTH.encode() + b"\0") > 0


def test_a_server_takes_gpu_memory_as_it_needs_it(monkeypatch, tmp_path):
    monkeypatch.delenv(GROWTH, raising=False)
    monkeypatch.syspath_prepend(Path(verify.__file__).parent)  # as MLflow puts the file there
    with pytest.raises(ValueError, match="holds no SavedModel"):
        Served(str(tmp_path))
    assert os.environ[GROWTH] == "true"


ALL_COMMANDS = """
import os, sys
from conftest import context, physical_gpu, tf
from pipeline.cli import main

begun, begin = [], context.pywrap_tfe.TFE_NewContext
def note(options):
    begun.append(os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"))
    return begin(options)
context.pywrap_tfe.TFE_NewContext = note
tf.config.experimental.get_device_details = lambda device: {}
with physical_gpu():
    for command in sys.argv[1:]:
        try:
            main(command.split())
        except SystemExit as end:
            assert not end.code, command
assert begun == ["true"], begun
"""


@pytest.mark.slow
def test_on_a_machine_with_a_gpu_its_memory_grows_whatever_runs_first(tmp_path, store):
    """Each command after others have run operations in the same process."""
    shutil.copytree(ROOT / "data/sample/animais", tmp_path / "data/sample")
    sizes = "--embedding 8 --units 8 --window 10 --batch-size 8 --mogrifier 0 --epochs 1"
    brief = "--steps 3 --samples 8 --ngram-order 0"
    fine_tune = "--init models/training --corpus data/sample --epochs 1"
    commands = [f"run {sizes} {brief}", f"train {fine_tune}", "devices", "predict Bom"]
    done = subprocess.run(
        [sys.executable, "-c", ALL_COMMANDS, *commands],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("softmax", ["full", "adaptive"])
@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize("cell", CELLS)
def test_mixed_precision_learns_nearly_the_same(cell, precision, softmax):
    options = {"layers": 1, "softmax": softmax, "vocabulary_size": 4_050}
    exact = build_model(config(cell, **options), batch_size=2)
    mixed = build_model(config(cell, **options), batch_size=2, precision=precision)
    for variable, source in zip(mixed.weights, exact.weights, strict=True):
        variable.assign(source)
    x, y = tf.constant([[4, 4_040], [7, 2]]), tf.constant([[4_049, 2], [8, 4_010]])

    def learned(model):
        with tf.GradientTape() as tape:
            h, _ = model.hidden(x, training=True)
            nats = model.negative_log_likelihood(h, y, training=True)
        gradients = tape.gradient(nats, model.trainable_variables)
        return h, nats, tf.concat([tf.reshape(tf.convert_to_tensor(g), -1) for g in gradients], 0)

    (h, nats, gradient), (_, exact_nats, exact_gradient) = learned(mixed), learned(exact)
    assert h.dtype.name == precision.removeprefix("mixed_")
    assert nats.dtype == mixed(x).dtype == gradient.dtype == tf.float32
    np.testing.assert_allclose(nats, exact_nats, rtol=1e-2)
    apart = tf.norm(gradient - exact_gradient) / tf.norm(exact_gradient)
    assert 0 < float(apart) < 0.02


def test_a_model_trained_in_mixed_precision_is_loaded_in_float32(tmp_path):
    mixed = build_model(config(), batch_size=3, precision="mixed_float16")
    loaded = load_model(save_training(tmp_path, mixed))
    assert loaded(tf.zeros((1, 2), tf.int32)).dtype == tf.float32
    for layer in loaded.recurrent:
        assert layer.compute_dtype == "float32"
    for variable, source in zip(loaded.trainable_variables, mixed.trainable_variables, strict=True):
        assert variable.dtype == source.dtype == "float32"
        np.testing.assert_array_equal(variable, source)
