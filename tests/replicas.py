"""Two replicas, on two CPUs of one process, held against the same updates made by hand.

`python replicas.py CELL` learns from some windows with every kind of dropout, and after each
compares what was learned with the sum of both replicas' gradients, each taken alone on one device
with the masks that this replica draws.
"""

import sys

import conftest
import keras
import numpy as np
import tensorflow as tf

from pipeline.model.language_model import build_model
from pipeline.tokens.windows import distribute, even_lanes, windows
from pipeline.training.config import TrainingConfig
from pipeline.training.trainer import Trainer

REPLICAS, LANES, RATE = 2, 4, 0.5
OPTIONS = {"variational": True, "word_dropout": 0.2, "weight_dropout": 0.3, "dropout": 0.4}


def build(cell):
    keras.utils.set_random_seed(1)
    config = conftest.config(cell, mogrifier=2 if cell == "lstm" else 0, layers=1, **OPTIONS)
    model = build_model(config, batch_size=LANES // REPLICAS)
    return model, Trainer(model, keras.optimizers.SGD(RATE), TrainingConfig(clip_norm=1e9))


def values(variables):
    return [variable.numpy() for variable in variables]


cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * REPLICAS)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model, trainer = build(sys.argv[1])
alone = [build(sys.argv[1]) for _ in range(REPLICAS)]
random = [
    variable for variable in model.non_trainable_variables if "replica_seeds" in variable.path
]
assert len(random) == 4
for replica, (_, single) in enumerate(alone):
    for variable in single.model.non_trainable_variables:
        if "replica_seeds" in variable.path:
            variable.assign_add([replica, 0])

ids = np.random.default_rng(7).integers(0, len(conftest.TOKENS), 100, np.int32)
lanes = even_lanes(len(ids), batch_size=LANES)
batches = list(windows(ids, lanes, window=6, stride=6))
for batch, spread in zip(batches, distribute(batches, strategy), strict=True):
    before = values(model.trainable_variables)
    trainer.step(*spread)
    counted = np.sum(batch.y >= 0)
    expected, apart = before, []
    for replica, (one, single) in enumerate(alone):
        for variable, value in zip(one.trainable_variables, before, strict=True):
            variable.assign(value)
        share = slice(replica * LANES // REPLICAS, (replica + 1) * LANES // REPLICAS)
        y = batch.y[share]
        single.step(*map(tf.constant, (batch.x[share], y, batch.begins[share])))
        moved = [a - b for a, b in zip(values(one.trainable_variables), before, strict=True)]
        # Each is of the mean over its own targets.
        weight = np.sum(y >= 0) / counted
        expected = [e + weight * m for e, m in zip(expected, moved, strict=True)]
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6)
    for variable in [*model.trainable_variables, *random]:
        first, second = strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)
print("the same after", len(batches), "windows")
