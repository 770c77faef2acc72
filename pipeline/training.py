"""Truncated backpropagation through time (Werbos 1990; Williams & Peng 1990).

The loss of a window of T steps sends its gradient back through those T steps and no further;
the state they end in opens the next window. One loop under `tf.distribute.get_strategy()`
serves one device, several, and many machines.
"""

import csv
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import keras
import numpy as np
import rich.progress
import tensorflow as tf

from pipeline import InputError
from pipeline.metrics import Meter, perplexity
from pipeline.model import Cell, LanguageModel, ModelConfig, build_model, weights
from pipeline.tokenizer import is_word
from pipeline.vocabulary import Vocabulary
from pipeline.windows import NO_TARGET, count_windows, distribute, open_stream

# Windows between two looks at the loss: often enough for a smooth bar, rare enough not to make
# a GPU wait.
_LOOK_EVERY = 10


class Trainer:
    """One model, its optimizer, and the step that a window takes through both."""

    def __init__(self, model: LanguageModel, optimizer: keras.Optimizer, *, clip_norm: float):
        self.model, self.optimizer, self.clip_norm = model, optimizer, clip_norm
        self.strategy = tf.distribute.get_strategy()
        optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Learn from one window.

        Args:
            x, y: ids and targets, (batch, time), spread over the replicas.

        Returns:
            Σ nats and number of targets of the whole batch, gradient norm before clipping.
        """
        nats, targets, norm = self.strategy.run(self._replica_step, (x, y))
        reduce = self.strategy.reduce
        return (
            reduce(tf.distribute.ReduceOp.SUM, nats, axis=None),
            reduce(tf.distribute.ReduceOp.MEAN, targets, axis=None),
            reduce(tf.distribute.ReduceOp.MEAN, norm, axis=None),
        )

    def _replica_step(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        replicas = tf.distribute.get_replica_context()
        counted = tf.cast(tf.not_equal(y, NO_TARGET), tf.float32)
        targets = replicas.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(counted))
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            nats = tf.reduce_sum(
                counted * tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(y, 0), logits)
            )
            loss = nats / targets
        variables = self.model.trainable_variables
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
        # Clip what all replicas found together, then hand each its share: the optimizer adds
        # the shares up again.
        gradients = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, norm = tf.clip_by_global_norm(gradients, self.clip_norm)
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], variables)
        return nats, targets, norm


def train(
    *,
    tokens: Path,
    output: Path,
    cell: Cell,
    embedding: int,
    units: int,
    layers: int,
    dropout: float,
    tied: bool,
    context: int,
    window: int,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    clip_norm: float,
    patience: int,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> None:
    """Train a model; write model.json, the vocabulary, checkpoints/ and history.csv.

    Args:
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        cell, embedding, units, layers, dropout, tied, context: see `ModelConfig`.
        window: T, steps that the gradient travels back.
        batch_size: lanes read side by side.
        epochs: at most so many passes over the training split.
        learning_rate: of Adam (Kingma & Ba 2015) at the start; it falls linearly to zero.
        clip_norm: the gradient's global norm is cut to this (Pascanu et al. 2013).
        patience: epochs without a better validation perplexity before training stops.
        seed: fixes weights, dropout and so, on a CPU, the result bit for bit.
        on_epoch: called with each row of history.csv.

    Raises:
        InputError: too little text for one window, or a loss that is not finite.
    """
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    train_stream = open_stream(tokens / "train.npy")
    valid_stream = open_stream(tokens / "valid.npy")
    if len(train_stream) <= batch_size * window:
        raise InputError(
            f"The training split in {tokens} has {len(train_stream)} tokens, less than one window "
            f"of {window} in each of {batch_size} lanes: add text, or lower --window or "
            "--batch-size."
        )
    if len(valid_stream) < 2:
        raise InputError(f"The validation split in {tokens} holds no text to predict.")

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    config = ModelConfig(
        cell=cell,
        vocabulary_size=len(vocabulary),
        embedding=embedding,
        units=units,
        layers=layers,
        dropout=dropout,
        tied=tied,
        context=context,
    )
    config.save(output / "model.json")
    vocabulary.save(output / "vocabulary.tsv")

    strategy = tf.distribute.get_strategy()
    steps = count_windows(train_stream, batch_size=batch_size, window=window)
    with strategy.scope():
        model = build_model(config, batch_size=batch_size)
        schedule = keras.optimizers.schedules.PolynomialDecay(
            learning_rate, decay_steps=epochs * steps, end_learning_rate=0.0
        )
        trainer = Trainer(model, keras.optimizers.Adam(schedule), clip_norm=clip_norm)
    best = tf.train.CheckpointManager(weights(model), output / "checkpoints", max_to_keep=1)
    meter = Meter(
        model, reset=model.reset_states, suggestible=is_word(list(vocabulary.tokens)).numpy()
    )
    history: list[dict[str, float]] = []
    with _progress() as progress, (output / "history.csv").open("w", newline="") as file:
        bar = progress.add_task("", total=epochs * steps, report="")
        for epoch in range(1, epochs + 1):
            progress.update(bar, description=f"epoch {epoch}/{epochs}")
            start = time.perf_counter()
            batches = distribute(
                train_stream, batch_size=batch_size, window=window, strategy=strategy
            )
            nats, targets, norm = _train_epoch(trainer, batches, progress, bar, best)
            seconds = time.perf_counter() - start
            valid = meter.measure(valid_stream, batch_size=batch_size, window=window)
            row = {
                "epoch": epoch,
                "train_loss": nats / targets,
                "train_perplexity": perplexity(nats, targets),
                "valid_loss": valid.nats / valid.tokens,
                "valid_perplexity": perplexity(valid.nats, valid.tokens),
                "learning_rate": float(schedule(trainer.optimizer.iterations)),
                "gradient_norm": norm,
                "tokens_per_second": targets / seconds,
            }
            history.append(row)
            writer = csv.DictWriter(file, list(row))
            if epoch == 1:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            losses = [past["valid_loss"] for past in history]
            better = losses[-1] <= min(losses)
            if better:
                best.save()
            on_epoch(row)
            progress.console.print(
                f"epoch {epoch}/{epochs}  loss {row['train_loss']:.3f} nats  "
                f"perplexity {row['train_perplexity']:.1f}, "
                f"validation {row['valid_perplexity']:.1f}{' (best)' if better else ''}  "
                f"{row['tokens_per_second']:,.0f} tokens/s",
                soft_wrap=True,
            )
            if epoch - 1 - int(np.argmin(losses)) >= patience:
                progress.console.print(f"No better for {patience} epochs: stopped.")
                break


def _train_epoch(
    trainer: Trainer,
    batches: Iterable[tuple[tf.Tensor, tf.Tensor]],
    progress: rich.progress.Progress,
    bar: rich.progress.TaskID,
    best: tf.train.CheckpointManager,
) -> tuple[float, float, float]:
    """One pass over the training split: Σ nats, targets, mean gradient norm."""
    total, targets, norms, seen = 0.0, 0.0, 0.0, 0
    waiting: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = []
    start = time.perf_counter()

    def look() -> None:
        nonlocal total, targets, norms, seen
        for nats, count, norm in waiting:
            total += float(nats)
            targets += float(count)
            norms += float(norm)
        seen += len(waiting)
        if not math.isfinite(total):
            kept = best.latest_checkpoint
            raise InputError(
                f"The loss is no longer finite after {int(trainer.optimizer.iterations)} windows: "
                "lower --learning-rate or --clip-norm; "
                + (
                    f"the best weights so far are kept in {kept}."
                    if kept
                    else "no epoch was finished."
                )
            )
        progress.update(
            bar,
            advance=len(waiting),
            report=f"{targets / (time.perf_counter() - start):,.0f} tokens/s  "
            f"loss {total / targets:.3f}  perplexity {perplexity(total, targets):.1f}",
        )
        waiting.clear()

    trainer.model.reset_states()
    for x, y in batches:
        waiting.append(trainer.step(x, y))
        if len(waiting) == _LOOK_EVERY:
            look()
    if waiting:
        look()
    return total, targets, norms / seen


def _progress() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[report]}"),
        rich.progress.TimeRemainingColumn(),
    )
