"""Train a model, on one device, several, or several machines."""

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.manifest import RESUME
from pipeline.model.checkpoint import writing
from pipeline.model.config import ModelConfig
from pipeline.model.language_model import LanguageModel, assign_weights, build_model, weights
from pipeline.model.meter import LANES, Meter, perplexity
from pipeline.model.unigram import log_frequencies
from pipeline.progress import progress_bar
from pipeline.text.vocabulary import Vocabulary
from pipeline.tokens.windows import open_stream
from pipeline.training import strategies
from pipeline.training.checkpoints import GO_ON, Checkpoints, Position
from pipeline.training.config import TrainingConfig
from pipeline.training.dataset import Text
from pipeline.training.finetune import initial_weights
from pipeline.training.history import save_history
from pipeline.training.loop import Diverged, Loop, signals_to_stop
from pipeline.training.new_words import first_new_id, save_new_words
from pipeline.training.trainer import Trainer, scale_losses
from pipeline.training.word_vectors import word_vectors


def train(
    tokens: Path,
    output: Path,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    init: Path | None = None,
    retain: float = 0.0,
    on_windows: Callable[[int, dict[str, float]], None] = lambda number, row: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    on_late_signal: Callable[[int], None] = lambda number: None,
) -> None:
    """Train a model; write model.json, the vocabulary and rare words, checkpoints/, history.csv.

    With `init` also new_words.tsv: the words that its vocabulary lacks, and those that fine-tuning
    had added to it.

    resume/ holds what an interrupted training needs to resume: called again with the same
    arguments, it ends with the same weights as if it had never stopped.

    Args:
        tokens: folder that `tokenize` wrote.
        output: folder to write into.
        model: what is trained; its vocabulary is that of `tokens`.
        training: how it is trained. On a CPU the seed determines the result bit for bit.
        init: folder of a trained model to start from, whose vocabulary that of `tokens` extends;
            None to begin with the counts of the text. The saved model is never worse on the
            validation split.
        retain: α; with `init`, the weights (1 − α) θ + α θ_init are validated and saved, so that
            less is forgotten (WiSE-FT; Wortsman et al. 2022, §3).
        on_windows: called every hundred windows with their number and the figures so far.
        on_epoch: called with each row of history.csv.
        on_late_signal: called with the number of a signal that came when no epoch was left.

    Raises:
        InputError: too little text for one window, a model in `init` of other sizes or of another
            vocabulary, a checkpoint that cannot be written, or a loss that diverges with an
            eighth of the learning rate, too.
        Interrupted: SIGINT or SIGTERM came while epochs were left; what was learned is saved.
    """
    distribution = strategies.make(training.strategy)
    chief = strategies.is_chief()
    lanes = _lanes_of_replica(training.batch_size, distribution.num_replicas_in_sync)
    vocabulary = Vocabulary.load(tokens / "vocabulary.tsv")
    text = Text(tokens, training, below=len(vocabulary))
    held_out = _held_out(tokens, below=len(vocabulary))
    keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    rounds = model.mogrifier if model.cell == "lstm" else 0  # other cells have none
    config = dataclasses.replace(model, vocabulary_size=len(vocabulary), mogrifier=rounds)
    initial = initial_weights(init, config=config, vocabulary=vocabulary) if init else []
    with distribution.scope():
        trainer = _build_trainer(config, training, lanes=lanes)
        if init:
            assign_weights(trainer.model, initial)
    best = _Best(config, held_out, output / "checkpoints", writes=chief)
    if chief:
        config.save(output / "model.json")
        _write_words(vocabulary, tokens, output, init=init)
    checkpoints = Checkpoints(output / RESUME, trainer, writes=chief)
    position = checkpoints.restore()
    if init:
        assign_weights(best.model, initial)
        best.keep(best.measure(), 0, write=position is None)
    if position is None:
        if not init:
            with distribution.scope():
                _begin_with_counts(trainer.model, vocabulary, tokens, seed=training.seed)
        even = math.log(len(vocabulary))  # the loss of a model that knows nothing
        position = Position(recent=even, usual=even)
        checkpoints.save(position)
    for row in position.history:
        best.keep(row["valid_loss"], row["epoch"], write=False)
        on_epoch(row)

    with progress_bar(disable=not chief) as progress, signals_to_stop() as signals:
        loop = Loop(
            trainer, text, checkpoints, position,
            config=training, progress=progress, signals=signals, on_windows=on_windows,
        )  # fmt: skip
        if init:
            progress.console.print(f"before training  validation {perplexity(best.loss, 1):.1f}")
        try:
            for row in loop:
                assign_weights(best.model, _retained(trainer.weights(), initial, retain))
                row["valid_loss"] = best.measure()
                row["valid_perplexity"] = perplexity(row["valid_loss"], 1)
                better = best.keep(row["valid_loss"], row["epoch"])
                if chief:
                    save_history([*loop.position.history, row], output)
                loop.end_epoch(row)
                on_epoch(row)
                progress.console.print(_in_words(row, training.epochs, better), soft_wrap=True)
            if loop.position.epoch <= training.epochs:
                progress.console.print(f"No better for {training.patience} epochs: stopped.")
        except Diverged as error:
            raise InputError(
                f"{error}: lower --learning-rate or --clip-norm; {best.in_words()}."
            ) from error
    if signals:
        on_late_signal(signals[0])


def _retained(
    learned: list[np.ndarray], initial: list[np.ndarray], retain: float
) -> list[np.ndarray]:
    """Return (1 − α) θ + α θ_init of weights; without initial ones, those that were learned."""
    if not initial:
        return learned
    return [(1 - retain) * new + retain * old for new, old in zip(learned, initial, strict=True)]


def _write_words(vocabulary: Vocabulary, tokens: Path, output: Path, *, init: Path | None) -> None:
    vocabulary.save(output / "vocabulary.tsv")
    if (tokens / "rare.tsv").exists():
        shutil.copy(tokens / "rare.tsv", output)
    if init:
        save_new_words(output, vocabulary, first=first_new_id(init))


def _lanes_of_replica(batch_size: int, replicas: int) -> int:
    if batch_size % replicas:
        raise InputError(
            f"{batch_size} lanes cannot be spread evenly over {replicas} devices: choose a "
            f"--batch-size that {replicas} divides."
        )
    return batch_size // replicas


def _held_out(tokens: Path, *, below: int) -> np.ndarray:
    stream = open_stream(tokens / "valid.npy", below=below)
    if len(stream) < 2:
        raise InputError(f"The validation split in {tokens} holds no text to predict.")
    return stream


class _Best:
    """Measure weights on the validation split and save the best.

    The batch size is fixed, so that the loss does not depend on that of training or on devices.

    Attributes:
        model: holds the weights to measure.
        loss: the lowest so far, nats per token.
    """

    def __init__(self, config: ModelConfig, stream: np.ndarray, folder: Path, *, writes: bool):
        self.model, self.loss = build_model(config, batch_size=LANES), math.inf
        self._stream, self._writes = stream, writes
        self._meter = Meter(self.model)
        self._manager = tf.train.CheckpointManager(weights(self.model), str(folder), max_to_keep=1)

    def measure(self) -> float:
        """Return the loss of the weights in `model`, in nats per token, equal on all workers."""
        nats = self._meter.negative_log_likelihood(self._stream)
        return strategies.mean_of_workers(float(nats.mean(dtype=np.float64)))

    def keep(self, loss: float, epoch: float, *, write: bool = True) -> bool:
        """Save the weights in `model` if their loss is the lowest so far; return whether it is."""
        if not loss <= self.loss:  # NaN is not
            return False
        self.loss = loss
        if write and self._writes:
            # TensorFlow saves how often it has saved: a resumed training writes the same bytes.
            self._manager.checkpoint.save_counter.assign(int(epoch) - 1)
            with writing(Path(self._manager.directory), "checkpoint", GO_ON):
                self._manager.save(checkpoint_number=int(epoch))
        return True

    def in_words(self) -> str:
        kept = tf.train.latest_checkpoint(self._manager.directory)  # whichever process wrote it
        return f"the best weights so far are kept in {kept}" if kept else "no epoch was finished"


def _build_trainer(config: ModelConfig, training: TrainingConfig, *, lanes: int) -> Trainer:
    """Build the model and its optimizer, in the scope of a strategy."""
    model = build_model(config, batch_size=lanes, precision=training.precision)
    optimizer = keras.optimizers.Adam(
        training.learning_rate, use_ema=training.averaging > 0, ema_momentum=training.averaging
    )
    return Trainer(model, scale_losses(optimizer, training.precision), training)


def _begin_with_counts(
    model: LanguageModel, vocabulary: Vocabulary, tokens: Path, *, seed: int
) -> None:
    """Set initial weights from the training text, in the scope of a strategy.

    The output bias is ln p of each word, and the embedding tells which words have similar
    neighbours. An adaptive softmax has no such bias, and if it is tied, no such embedding.
    """
    if not model.adaptive:
        model.output_bias.assign(log_frequencies(vocabulary))
    if model.embed is not model.adaptive:
        vectors = word_vectors(
            open_stream(tokens / "train.npy"),
            vocabulary_size=len(vocabulary),
            length=model.config.embedding,
            seed=seed,
        )
        # As a new variable: those of several machines begin with the values of the chief.
        model.embed.embeddings.assign(tf.Variable(vectors, trainable=False).value())


def _in_words(row: dict[str, float], epochs: int, better: bool) -> str:
    return (
        f"epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.3f} nats  "
        f"perplexity {row['train_perplexity']:.1f}, "
        f"validation {row['valid_perplexity']:.1f}{' (best)' if better else ''}  "
        f"{row['tokens_per_second']:,.0f} tokens/s"
    )
