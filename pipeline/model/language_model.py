"""Recurrent language models: h_t = f₁(x_t, h_{t-1}; θ) and y_t = f₂(h_t; φ)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import keras
import numpy as np
import tensorflow as tf

from pipeline import InputError
from pipeline.model import recurrent
from pipeline.model.adaptive_softmax import AdaptiveSoftmax, cutoffs
from pipeline.model.checkpoint import UNREADABLE, check_sizes, latest_checkpoint, reason_of
from pipeline.model.config import ModelConfig, Precision
from pipeline.model.cross_entropy import cross_entropy
from pipeline.model.dropout import Dropout
from pipeline.model.mogrifier import Mogrifier, MogrifierCell
from pipeline.tokens.windows import NO_TARGET


class LastWords(keras.layers.Layer):
    """A cell whose state (B, context · E) is the last vectors, oldest first, at first zeros."""

    def __init__(self, context: int, embedding: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.context, self.embedding = context, embedding
        self.state_size = self.output_size = context * embedding

    def call(self, x: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:  # (B, E), [(B, S)]
        window = keras.ops.concatenate([states[0][:, self.embedding :], x], axis=-1)
        return window, [window]


class Context(keras.layers.RNN):
    """A `LastWords` layer without a loop: all steps of a window at once."""

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if mask is not None:
            return super().inner_loop(sequences, initial_state, mask, training=training)
        before = tf.reshape(initial_state[0], (-1, self.cell.context, self.cell.embedding))
        vectors = tf.concat([before[:, 1:], sequences], axis=1)
        steps = tf.shape(sequences)[1]
        shifted = [vectors[:, first : first + steps] for first in range(self.cell.context)]
        outputs = tf.concat(shifted, axis=-1)  # (B, T, context · E)
        return outputs[:, -1], outputs, [outputs[:, -1]]


class LanguageModel(keras.Model):
    """Map ids (B, T) to logits (B, T, V).

    Args:
        config: architecture.
        stateful: layers keep their state between calls until `reset_states`, as in Keras. If
            False, pass it to `hidden`.
        precision: dtype policy of the layers.
    """

    def __init__(self, config: ModelConfig, *, stateful: bool, precision: Precision):
        super().__init__(name=config.cell, dtype=precision)
        self.config = config
        width = config.embedding if config.tied else config.units  # of the output matrix
        self.adaptive = self.output_weights = None
        if config.softmax == "adaptive":
            ends = cutoffs(config.vocabulary_size)
            self.adaptive = AdaptiveSoftmax(ends, width=width, dtype=precision)
        if self.adaptive and config.tied:
            self.embed = self.adaptive
        else:
            # ±0.1 keeps the initial logits near zero if this is the output matrix, too.
            self.embed = keras.layers.Embedding(
                config.vocabulary_size,
                config.embedding,
                embeddings_initializer=keras.initializers.RandomUniform(-0.1, 0.1),
                dtype=precision,
            )

        mask = (None, 1, None) if config.variational else None  # one for all steps, or each its own

        def dropout() -> keras.layers.Layer:
            return Dropout(config.dropout, noise_shape=mask, dtype=precision)

        self.word_dropout = Dropout(config.word_dropout, dtype=precision)
        self.dropouts = [dropout() for _ in range(config.layers + 1)]
        self.recurrent = [
            _recurrent(config, stateful=stateful, precision=precision) for _ in range(config.layers)
        ]
        self.readout = []
        if config.cell == "feedforward":
            dense = keras.layers.Dense(config.units, activation="tanh", dtype=precision)
            self.readout += [dense, dropout()]
        if width != config.units:
            self.readout += [keras.layers.Dense(width, dtype=precision)]
        if not self.adaptive:
            if not config.tied:
                shape = (config.vocabulary_size, width)
                self.output_weights = self.add_weight(shape, name="output")
            size = (config.vocabulary_size,)
            self.output_bias = self.add_weight(size, "zeros", autocast=False, name="output_bias")

    def build(self, input_shape: tuple[int, int]) -> None:
        """Create the weights, and the states of stateful layers, for ids (B, T).

        Without this method Keras runs the model once to create them, and XLA compiles it first.
        """
        self.embed.build(input_shape)
        shape = (*input_shape, self.config.embedding)
        for layer in self.recurrent:
            layer.build(shape)
            shape = (*input_shape, layer.cell.output_size)
        for layer in self.readout:
            if isinstance(layer, keras.layers.Dense):
                layer.build(shape)
                shape = (*input_shape, layer.units)

    def hidden(
        self,
        ids: tf.Tensor,
        *,
        states: Sequence[Any] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, list[Any]]:
        """Run the recurrent layers, f₁.

        Args:
            ids: int32, (B, T).
            states: of every layer, from an earlier call; None for the layers' own, or zeros.
            mask: bool, (B, T); False where a step leaves the state as it is.
            training: drop activations before every layer. For h, use `dropouts[-1]`.

        Returns:
            The last layer's h, (B, T, H), and the states of every layer after the last step.
        """
        x = self.embed(ids)
        if training and self.config.word_dropout:
            ones = tf.ones((self.config.vocabulary_size, 1), x.dtype)
            x *= tf.gather(self.word_dropout(ones, training=True), ids)
        after = []
        for i, layer in enumerate(self.recurrent):
            x = self.dropouts[i](x, training=training)
            x, *state = layer(x, initial_state=states and states[i], mask=mask, training=training)
            after.append(state)
        return x, after

    def features(self, h: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """Map h (…, H) to the input of the output matrix, (…, width)."""
        for layer in self.readout:
            h = layer(h) if isinstance(layer, keras.layers.Dense) else layer(h, training=training)
        return h

    def _output(self, dtype: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the output matrix (V, width) and its bias (V,)."""
        weights = self.embed.embeddings if self.output_weights is None else self.output_weights
        return tf.cast(weights.value, dtype), tf.convert_to_tensor(self.output_bias.value)

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """Map features (…, width) to float32 logits (…, V); ln p from an adaptive softmax."""
        flat = tf.reshape(features, (-1, features.shape[-1]))
        if self.adaptive:
            scores = self.adaptive.log_probabilities(flat)
        else:
            matrix, bias = self._output(flat.dtype)
            scores = tf.cast(tf.matmul(flat, matrix, transpose_b=True), bias.dtype) + bias
        return tf.reshape(scores, tf.concat([tf.shape(features)[:-1], [scores.shape[-1]]], 0))

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        h, _ = self.hidden(ids, training=training)
        h = self.dropouts[-1](h, training=training)
        return self.logits(self.features(h, training=training))

    def negative_log_likelihood(
        self, h: tf.Tensor, targets: tf.Tensor, *, training: bool = False
    ) -> tf.Tensor:
        """Return −ln p(target), float32 (B, T), from h (B, T, H) and int32 targets (B, T).

        It is 0 where the target is `NO_TARGET`.
        """
        features = self.features(h, training=training)
        counted = tf.not_equal(targets, NO_TARGET)
        flat = tf.reshape(features, (-1, features.shape[-1]))
        ids = tf.reshape(tf.where(counted, targets, 0), (-1,))
        if self.adaptive:
            losses = self.adaptive.negative_log_likelihood(flat, ids)
        else:
            losses = cross_entropy(flat, *self._output(flat.dtype), ids)
        losses = tf.reshape(losses, tf.shape(targets))
        return tf.where(counted, losses, tf.zeros_like(losses))

    @property
    def states(self) -> list[keras.Variable]:
        """The states of all stateful layers, (B, units) each; an LSTM has two, h and c."""
        return [state for layer in self.recurrent for state in layer.states]

    def reset_states(self) -> None:
        """Set the states of all layers to zero."""
        for layer in self.recurrent:
            layer.reset_states()


def _recurrent(config: ModelConfig, *, stateful: bool, precision: Precision) -> keras.layers.Layer:
    # Keras's defaults (tanh, sigmoid, bias, no recurrent dropout) are what cuDNN computes.
    options: dict[str, Any] = {"return_sequences": True, "return_state": True}
    options |= {"stateful": stateful, "dtype": precision}
    # An exported model is stateless, and must run without a GPU and without XLA.
    cudnn = "auto" if stateful else False
    layers: Any = recurrent if stateful else keras.layers
    if stateful and config.cell != "feedforward":
        options["weight_dropout"] = config.weight_dropout
    match config.cell:
        case "lstm" if config.mogrifier:
            mogrifier = MogrifierCell(config.units, rounds=config.mogrifier, dtype=precision)
            return (Mogrifier if stateful else keras.layers.RNN)(mogrifier, **options)
        case "lstm":
            return layers.LSTM(config.units, use_cudnn=cudnn, **options)
        case "gru":
            return layers.GRU(config.units, use_cudnn=cudnn, **options)
        case "simple_rnn":
            return layers.SimpleRNN(config.units, **options)
        case "feedforward":
            cell = LastWords(config.context, config.embedding, dtype=precision)
            return Context(cell, **options)
        case _:
            assert_never(config.cell)


def build_model(
    config: ModelConfig, *, batch_size: int | None = None, precision: Precision = "float32"
) -> LanguageModel:
    """Build a model with new weights.

    Args:
        config: architecture.
        batch_size: of a stateful model, for training and evaluation; None for a stateless one,
            for export.
        precision: dtype policy; weights are always float32, so any precision can load them.

    Raises:
        InputError: the architecture is not possible.
    """
    if config.cell == "feedforward" and config.layers != 1:
        raise InputError("A feedforward model has one layer: leave --layers at 1.")
    model = LanguageModel(config, stateful=batch_size is not None, precision=precision)
    model.build((batch_size or 1, 1))
    return model


def named_models(*folders: Path) -> dict[str, Path]:
    """Name models by their cell, and by their folder, too, from the second of a cell on.

    Raises:
        InputError: a folder holds no model.
    """
    models: dict[str, Path] = {}
    for folder in folders:
        name: str = ModelConfig.load(folder / "model.json").cell
        models[f"{name} {folder}" if name in models else name] = folder
    return models


def weights(model: LanguageModel) -> tf.train.Checkpoint:
    """Return a checkpoint of the weights, without the states, so that it fits any batch size."""
    return tf.train.Checkpoint(weights=[variable.value for variable in model.trainable_variables])


def assign_weights(model: LanguageModel, values: Sequence[np.ndarray]) -> None:
    """Assign values to the trainable variables of a model, in their order."""
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)


def load_model(folder: Path, *, batch_size: int | None = None) -> LanguageModel:
    """Load the best model that `train` left in a folder.

    Raises:
        InputError: there is none, or its weights do not fit its `model.json`.
    """
    config = ModelConfig.load(folder / "model.json")
    latest = latest_checkpoint(folder / "checkpoints")
    try:
        check_sizes(config, latest)
        model = build_model(config, batch_size=batch_size)
        weights(model).restore(latest).assert_existing_objects_matched().expect_partial()
    except UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The weights {latest} cannot be read: {reason_of(error)}.") from error
    return model
