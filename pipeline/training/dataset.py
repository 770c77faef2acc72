"""The training split as the windows of an epoch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import InputError
from pipeline.tokens.windows import (
    Window,
    count_windows,
    document_lanes,
    document_spans,
    even_lanes,
    open_stream,
    paragraph_spans,
    sequences,
    windows,
)
from pipeline.training.config import TrainingConfig


class Text:
    """The windows of each epoch of the training split.

    Args:
        tokens: folder that `tokenize` wrote.
        config: window, stride and reset determine the windows; the seed, the order of whole
            paragraphs and documents.
        below: size of the vocabulary.

    Attributes:
        windows: number of windows in an epoch.

    Raises:
        InputError: the stride does not fit the window, there is too little text, or an id is not in
            the vocabulary.
    """

    def __init__(self, tokens: Path, config: TrainingConfig, *, below: int):
        self._stream, self._config = open_stream(tokens / "train.npy", below=below), config
        batch_size, window = config.batch_size, config.window
        resets = config.reset == "document"
        self._documents = tokens / "train.documents.npy" if resets else None
        if window == "full":
            if config.stride is not None:
                raise InputError(
                    "Whole paragraphs do not overlap: give --stride with a --window of steps only."
                )
            self._spans = np.fromiter(self._sequences(), np.dtype((np.int64, 2)))
            self.windows = -(-len(self._spans) // batch_size)
            if not self.windows:
                raise InputError(f"The training split in {tokens} holds no text to predict.")
            return
        self._stride = config.stride or window
        if self._stride > window:
            raise InputError(
                f"A --stride of {self._stride} would leave out text between windows of {window}: "
                "give at most as many steps as --window has."
            )
        if len(self._stream) <= batch_size * window:
            raise InputError(
                f"The training split in {tokens} has {len(self._stream)} tokens, less than one "
                f"window of {window} in each of {batch_size} lanes: add text, or lower --window "
                "or --batch-size."
            )
        if self._documents:
            self._lanes = document_lanes(
                self._sequences(), batch_size=batch_size, window=window, stride=self._stride
            )
        else:
            self._lanes = even_lanes(len(self._stream), batch_size=batch_size)
        self.windows = count_windows(self._lanes, window=window, stride=self._stride)

    def _sequences(self) -> Iterator[tuple[int, int]]:
        if self._documents:
            return document_spans(self._stream, open_stream(self._documents)[:].tolist())
        return paragraph_spans(self._stream)

    def epoch(self, number: int) -> Iterator[Window]:
        """Return all windows of an epoch; whole sequences are shuffled anew in each."""
        config = self._config
        if config.window == "full":
            seed = (config.seed, number)
            return sequences(self._stream, self._spans, batch_size=config.batch_size, seed=seed)
        return windows(self._stream, self._lanes, window=config.window, stride=self._stride)
