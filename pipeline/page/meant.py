"""What corrections in the page need besides words: frequencies and the noisy channel."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.export.correct import ENOUGH
from pipeline.export.meant_words import WEIGHTS
from pipeline.text.channel import ALPHABET, COSTS, Channel, letter_sets
from pipeline.text.lexicon import Lexicon


def log_frequencies(lexicon: Lexicon) -> np.ndarray:
    """Return ln of the share in the language of each id and then of each word of the lexicon.

    Returns:
        float32, (V + N,).
    """
    frequencies = lexicon.frequencies_of([*lexicon.vocabulary.displays, *lexicon.words])
    return np.log(np.maximum(frequencies, 1e-9)).astype(np.float32)


def describe_channel() -> dict[str, Any]:
    """Return, for channel.js, the tables of `Channel` and the `letter_sets` of each symbol."""
    channel = Channel.of(COSTS)
    symbols = tf.range(len(ALPHABET) + 2)  # with those of no letter and of any other
    return {
        "alphabet": ALPHABET,
        "tables": {
            name: [round(cost, 2) for cost in table.numpy().tolist()]
            for name, table in channel.tables.items()
        },
        "clusters": channel.clusters.numpy().tolist(),
        "bits": letter_sets(symbols[:, None]).numpy().tolist(),
        "first": COSTS.first,
        "swapped": COSTS.swapped,
        "accent": COSTS.accent,
        "weights": dataclasses.asdict(WEIGHTS),
        "enough": ENOUGH,
    }
