"""The models of the lecture: h_t = f₁(x_t, h_{t-1}; θ) and y_t = f₂(h_t; φ)."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import keras
import tensorflow as tf

from pipeline import InputError
from pipeline.lstm import LSTM

Cell = Literal["lstm", "gru", "simple_rnn", "feedforward"]


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model is made of; saved beside its weights as model.json.

    Attributes:
        cell: f₁, the recurrence; `feedforward` sees only the last `context` words.
        vocabulary_size: V.
        embedding: E, length of a word's vector.
        units: H, length of a layer's hidden state (for `feedforward`, its hidden layer).
        layers: recurrent layers, one upon the other.
        dropout: share of activations dropped before and after every layer.
        tied: the output weights are the embedding's (Press & Wolf 2017; Inan et al. 2017).
        context: words a `feedforward` model sees (Bengio et al. 2003).
    """

    cell: Cell
    vocabulary_size: int
    embedding: int
    units: int
    layers: int
    dropout: float
    tied: bool
    context: int

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: there is no such model.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"No trained model is described by {path}: run `nextword train` first."
            ) from error


@keras.saving.register_keras_serializable("nextword")
class LastWords(keras.layers.Layer):
    """A cell that remembers the last `context` vectors and nothing else.

    State: (B, context · E), oldest first, zeros before the text begins.
    """

    def __init__(self, context: int, embedding: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.context, self.embedding = context, embedding
        self.state_size = self.output_size = context * embedding

    def call(self, x: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:  # (B, E), [(B, S)]
        window = keras.ops.concatenate([states[0][:, self.embedding :], x], axis=-1)
        return window, [window]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "context": self.context, "embedding": self.embedding}


class Context(keras.layers.RNN):
    """`LastWords` over all steps of a window at once: nothing in it needs a loop."""

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
    """Ids (B, T) to logits (B, T, V).

    With `stateful`, layers keep their state from one call to the next (`stateful=True` of
    Keras) until `reset_states`; without, `hidden` takes and returns it.
    """

    def __init__(self, config: ModelConfig, *, stateful: bool):
        super().__init__(name=config.cell)
        self.config = config
        # ±0.1 keeps the first logits near zero, also where the embedding is the output matrix.
        self.embed = keras.layers.Embedding(
            config.vocabulary_size,
            config.embedding,
            embeddings_initializer=keras.initializers.RandomUniform(-0.1, 0.1),
        )
        self.dropouts = [keras.layers.Dropout(config.dropout) for _ in range(config.layers + 1)]
        self.recurrent = [_recurrent(config, stateful=stateful) for _ in range(config.layers)]
        self.readout = []
        width = config.units
        if config.cell == "feedforward":
            self.readout += [keras.layers.Dense(config.units, activation="tanh")]
            self.readout += [keras.layers.Dropout(config.dropout)]
        if config.tied and width != config.embedding:
            self.readout += [keras.layers.Dense(config.embedding)]
            width = config.embedding
        self.output_weights = (
            None if config.tied else self.add_weight((config.vocabulary_size, width), name="output")
        )
        self.output_bias = self.add_weight((config.vocabulary_size,), "zeros", name="output_bias")

    def hidden(
        self,
        ids: tf.Tensor,
        *,
        states: Sequence[Any] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, list[Any]]:
        """f₁ over time: ids (B, T) to the last layer's h (B, T, H) and every layer's state.

        Args:
            ids: int32, (B, T).
            states: what an earlier call returned; None for the layers' own state or zeros.
            mask: bool, (B, T); a step that is False leaves the state as it is.
            training: drop activations.
        """
        x = self.dropouts[0](self.embed(ids), training=training)
        after = []
        for i, layer in enumerate(self.recurrent):
            x, *state = layer(x, initial_state=states and states[i], mask=mask, training=training)
            x = self.dropouts[i + 1](x, training=training)
            after.append(state)
        return x, after

    def features(self, h: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """The part of f₂ before the vocabulary: h (…, H) to (…, width of the output matrix)."""
        for layer in self.readout:
            h = layer(h, training=training) if isinstance(layer, keras.layers.Dropout) else layer(h)
        return h

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """(…, width) to (…, V)."""
        weights = self.embed.embeddings if self.output_weights is None else self.output_weights
        flat = tf.reshape(features, (-1, features.shape[-1]))
        scores = tf.matmul(flat, tf.convert_to_tensor(weights), transpose_b=True) + self.output_bias
        return tf.reshape(scores, tf.concat([tf.shape(features)[:-1], [scores.shape[-1]]], 0))

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        h, _ = self.hidden(ids, training=training)
        return self.logits(self.features(h, training=training))

    def reset_states(self) -> None:
        """Forget what was read: h = 0 in every layer."""
        for layer in self.recurrent:
            layer.reset_states()


def _recurrent(config: ModelConfig, *, stateful: bool) -> keras.layers.Layer:
    # tanh, sigmoid, bias, no recurrent dropout, no unrolling: what cuDNN's kernels compute.
    options = {"return_sequences": True, "return_state": True, "stateful": stateful}
    # An exported model must run where there is no GPU, wherever it was exported.
    cudnn = "auto" if stateful else False
    match config.cell:
        case "lstm":
            # XLA must not be asked of whoever loads an exported model, either.
            layer = LSTM if stateful else keras.layers.LSTM
            return layer(config.units, use_cudnn=cudnn, **options)
        case "gru":
            return keras.layers.GRU(config.units, use_cudnn=cudnn, **options)
        case "simple_rnn":
            return keras.layers.SimpleRNN(config.units, **options)
        case "feedforward":
            return Context(LastWords(config.context, config.embedding), **options)
    raise InputError(f"There is no cell {config.cell!r}.")


def build_model(config: ModelConfig, *, batch_size: int | None = None) -> LanguageModel:
    """A model with fresh weights.

    Args:
        config: what it is made of.
        batch_size: lanes of a stateful model, for training and evaluation; None for a
            stateless one, for export.
    """
    if config.cell == "feedforward" and config.layers != 1:
        raise InputError("A feedforward model has one layer: leave --layers at 1.")
    model = LanguageModel(config, stateful=batch_size is not None)
    model(tf.zeros((batch_size or 1, 1), tf.int32))
    if batch_size:
        model.reset_states()
    return model


def weights(model: LanguageModel) -> tf.train.Checkpoint:
    """A checkpoint of what was learned, without the lanes' states, so that it fits any batch."""
    return tf.train.Checkpoint(weights=[variable.value for variable in model.trainable_variables])


def load_model(folder: Path, *, batch_size: int | None = None) -> LanguageModel:
    """The best model that `train` left in a folder.

    Raises:
        InputError: there is none, or its weights do not fit its description.
    """
    model = build_model(ModelConfig.load(folder / "model.json"), batch_size=batch_size)
    latest = tf.train.latest_checkpoint(folder / "checkpoints")
    if latest is None:
        raise InputError(f"No trained weights are in {folder}/checkpoints: run `nextword train`.")
    try:
        weights(model).restore(latest).assert_existing_objects_matched().expect_partial()
    except (tf.errors.OpError, ValueError, AssertionError) as error:
        raise InputError(f"The weights {latest} cannot be read: {error}.") from error
    return model
