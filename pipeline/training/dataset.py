"""The training split as the windows of an epoch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline import InputError
from pipeline.tokens.windows import (
    Window,
    count_windows,
    document_lanes,
    documents,
    even_lanes,
    open_stream,
    paragraphs,
    sequences,
    windows,
)

Reset = Literal["never", "document"]
Size = int | Literal["full"]


class Text:
    """What an epoch reads, in which windows.

    Args:
        tokens: folder that `tokenize` wrote.
        window: T; `full` for whole paragraphs, or with `reset` whole documents.
        stride: k₁ ≤ T; None for T.
        reset: whether each document begins with an empty state, and so in a window of its own.
        batch_size: lanes read side by side.
        seed: decides the order of whole paragraphs and documents.

    Attributes:
        windows: how many an epoch has.

    Raises:
        InputError: the stride does not fit the window, or there is too little text.
    """

    def __init__(
        self,
        tokens: Path,
        *,
        window: Size,
        stride: int | None,
        reset: Reset,
        batch_size: int,
        seed: int,
    ):
        self._stream = open_stream(tokens / "train.npy")
        self._window, self._batch_size, self._seed = window, batch_size, seed
        self._documents = tokens / "train.documents.npy" if reset == "document" else None
        if window == "full":
            if stride is not None:
                raise InputError(
                    "Whole paragraphs do not overlap: give --stride with a --window of steps only."
                )
            self._spans = np.fromiter(self._sequences(), np.dtype((np.int64, 2)))
            self.windows = -(-len(self._spans) // batch_size)
            if not self.windows:
                raise InputError(f"The training split in {tokens} holds no text to predict.")
            return
        self._stride = stride or window
        if self._stride > window:
            raise InputError(
                f"A --stride of {stride} would leave out text between windows of {window}: give "
                "at most as many steps as --window has."
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
            return documents(self._stream, open_stream(self._documents)[:].tolist())
        return paragraphs(self._stream)

    def epoch(self, number: int) -> Iterator[Window]:
        """All windows of an epoch, in order; whole sequences come in another order in each."""
        if self._window == "full":
            seed = (self._seed, number)
            return sequences(self._stream, self._spans, batch_size=self._batch_size, seed=seed)
        return windows(self._stream, self._lanes, window=self._window, stride=self._stride)
