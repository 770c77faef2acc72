"""The stage that trains a model: one loop for one device, several, and many machines."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.manifest import RESUME
from pipeline.model.config import Cell, ModelConfig, Precision, Softmax
from pipeline.model.language_model import build_model, weights
from pipeline.model.meter import LANES, Meter, perplexity
from pipeline.progress import progress_bar
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.windows import open_stream
from pipeline.training import strategies
from pipeline.training.checkpoints import Checkpoints, Position, write
from pipeline.training.dataset import Reset, Size, Text
from pipeline.training.finetune import initial_weights, move
from pipeline.training.loop import Decay, Loop, RanAway, Schedule, signals_to_stop
from pipeline.training.trainer import Trainer


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
    softmax: Softmax,
    context: int,
    variational: bool,
    word_dropout: float,
    weight_dropout: float,
    mogrifier: int,
    window: Size,
    stride: int | None,
    reset: Reset,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    warmup: float,
    schedule: Decay,
    activation_regularization: float,
    temporal_regularization: float,
    averaging: float,
    clip_norm: float,
    patience: int,
    seed: int,
    precision: Precision,
    strategy: strategies.Strategy,
    init: Path | None = None,
    retain: float = 0.0,
    on_windows: Callable[[int, dict[str, float]], None] = lambda number, row: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> None:
    """Train a model; write model.json, the vocabulary, checkpoints/ and history.csv.

    In resume/ is all that is needed to go on: called with the same arguments and such a folder,
    it ends with the same weights as if it had never stopped.

    Args:
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        cell, embedding, units, layers, dropout, tied, softmax, context, variational, word_dropout,
            weight_dropout, mogrifier: see `ModelConfig`.
        window: T, steps that the gradient travels back; `full` for whole paragraphs, or with
            `reset` whole documents, each from an empty state.
        stride: k₁ ≤ T, steps between two updates; None for T.
        reset: forget the state at no text's beginning but an epoch's, or at each document's.
        batch_size: lanes read side by side.
        epochs: at most so many passes over the training split.
        learning_rate: the greatest of Adam (Kingma & Ba 2015).
        warmup, schedule: how it gets there, and how it falls to zero; see `Schedule`.
        activation_regularization, temporal_regularization: see `Trainer`.
        averaging: validated and kept are averages of the weights, in which each update forgets the
            share 1 − averaging of the past (Polyak & Juditsky 1992, with exponential weights); 0
            for the weights themselves.
        clip_norm: the gradient's global norm is cut to this (Pascanu et al. 2013).
        patience: epochs without a better validation perplexity before training stops.
        seed: fixes weights, dropout and so, on a CPU, the result bit for bit.
        precision: what layers compute in; weights and the loss stay float32 (Micikevicius et al.
            2018).
        strategy: see `strategies.make`.
        init: folder of a trained model to go on from, whose vocabulary that of `tokens` extends;
            None for fresh weights. What is kept is never worse on the validation split than it.
        retain: α; with `init`, validated and kept are the weights (1 − α) θ + α θ_init between
            what is learned and what was known, so that less of that is forgotten (WiSE-FT;
            Wortsman et al. 2022, §3).
        on_windows: called now and then with the number of windows learned from, and what the
            loss is by then.
        on_epoch: called with each row of history.csv.

    Raises:
        InputError: too little text for one window, a model in `init` of other sizes or of another
            vocabulary, a checkpoint that cannot be written, or a loss that ran away again with an
            eighth of the learning rate.
        Interrupted: SIGINT or SIGTERM came; what was learned is saved.
    """
    distribution = strategies.make(strategy)
    replicas, chief = distribution.num_replicas_in_sync, strategies.is_chief()
    if batch_size % replicas:
        raise InputError(
            f"{batch_size} lanes cannot be spread evenly over {replicas} devices: choose a "
            f"--batch-size that {replicas} divides."
        )
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    text = Text(tokens, window=window, stride=stride, reset=reset, batch_size=batch_size, seed=seed)
    valid_stream = open_stream(tokens / "valid.npy")
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
        softmax=softmax,
        context=context,
        variational=variational,
        word_dropout=word_dropout,
        weight_dropout=weight_dropout,
        mogrifier=mogrifier if cell == "lstm" else 0,  # others have none, and say so
    )
    initial = initial_weights(init, config=config, vocabulary=vocabulary) if init else []
    with distribution.scope():
        model = build_model(config, batch_size=batch_size // replicas, precision=precision)
        if init:
            move(model, initial, share=1.0)
        optimizer: keras.Optimizer = keras.optimizers.Adam(
            learning_rate, use_ema=averaging > 0, ema_momentum=averaging
        )
        if precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        trainer = Trainer(
            model,
            optimizer,
            clip_norm=clip_norm,
            stride=stride,
            activation_regularization=activation_regularization,
            temporal_regularization=temporal_regularization,
        )
    # Validation is read in lanes of its own, so that it does not depend on batch and devices.
    reader = build_model(config, batch_size=LANES)
    meter = Meter(reader, reset=reader.reset_states)

    if chief:
        config.save(output / "model.json")
        vocabulary.save(output / "vocabulary.tsv")
    best = tf.train.CheckpointManager(weights(reader), str(output / "checkpoints"), max_to_keep=1)
    checkpoints = Checkpoints(output / RESUME, trainer, writes=chief)
    position = checkpoints.restore()
    least = math.inf
    if init:
        move(reader, initial, share=1.0)
        least = float(meter.negative_log_likelihood(valid_stream).mean(dtype=np.float64))
    even = math.log(len(vocabulary))  # the loss of a model that knows nothing
    if position is None:
        position = Position(recent=even, usual=even)
        if init and chief:
            write(best, checkpoint_number=0)
        checkpoints.save(position)
    elif position.recent is None:  # saved by an earlier nextword before its first window
        position.recent = position.usual = even
    for row in position.history:
        on_epoch(row)

    with progress_bar(disable=not chief) as progress, signals_to_stop() as signals:
        loop = Loop(
            trainer, text, checkpoints, position, epochs=epochs,
            schedule=Schedule(learning_rate, warmup=warmup, decay=schedule),
            progress=progress, signals=signals, on_windows=on_windows,
        )  # fmt: skip
        if init:
            progress.console.print(f"before training  validation {perplexity(least, 1):.1f}")
        while loop.position.epoch <= epochs and not _is_stalled(loop.position.history, patience):
            try:
                row = loop.epoch()
            except RanAway as error:
                loop.go_back(error, best=best.latest_checkpoint)
                continue
            trainer.copy_weights(reader)
            if init:
                move(reader, initial, share=retain)
            nats = meter.negative_log_likelihood(valid_stream)
            row["valid_loss"] = float(nats.mean(dtype=np.float64))
            row["valid_perplexity"] = perplexity(row["valid_loss"], 1)
            history = [*loop.position.history, row]
            better = row["valid_loss"] <= min(least, *(past["valid_loss"] for past in history))
            if chief:
                if better:
                    write(best, checkpoint_number=len(history))
                _write_history(history, output / "history.csv")
            loop.next_epoch(history)
            on_epoch(row)
            progress.console.print(
                f"epoch {len(history)}/{epochs}  loss {row['train_loss']:.3f} nats  "
                f"perplexity {row['train_perplexity']:.1f}, "
                f"validation {row['valid_perplexity']:.1f}{' (best)' if better else ''}  "
                f"{row['tokens_per_second']:,.0f} tokens/s",
                soft_wrap=True,
            )
        if loop.position.epoch <= epochs:
            progress.console.print(f"No better for {patience} epochs: stopped.")


def _is_stalled(history: list[dict[str, float]], patience: int) -> bool:
    losses = [row["valid_loss"] for row in history]
    return bool(losses) and len(losses) - 1 - int(np.argmin(losses)) >= patience


def _write_history(history: list[dict[str, float]], path: Path) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    partial.rename(path)
