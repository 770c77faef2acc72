"""What a longer window is worth: the same training, truncating the gradient at other places."""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich

from pipeline import InputError, Interrupted
from pipeline.explain.config import WindowSweepConfig
from pipeline.model.config import Cell
from pipeline.text.vocabulary import choices_path
from pipeline.tokens.windows import open_stream
from pipeline.training.history import load_history
from pipeline.training.loop import stop_late
from pipeline.training.train import train


def tokens_of_update(sweep: WindowSweepConfig) -> int:
    """Return the number of tokens in an update.

    Raises:
        InputError: a window does not divide it.
    """
    tokens = sweep.training.batch_size * int(sweep.training.window)
    for window in sweep.windows:
        if tokens % window:
            raise InputError(
                f"{tokens} tokens of an update cannot be divided into windows of {window}: give "
                "--windows that divide it."
            )
    return tokens


def perplexity_by_window(
    tokens: Path, folder: Path, *, cells: Sequence[Cell], sweep: WindowSweepConfig
) -> dict[str, Any]:
    """Train each cell with each window T; compare the validation perplexity of the best epochs.

    All trainings have the same number of epochs, updates and tokens per update: a shorter T has
    more lanes. All carry the state from window to window, so they differ only in how far the
    gradient travels.

    Returns:
        `perplexity`, by cell and window; `training_tokens`, `epochs` and `tokens_of_an_update`.

    Raises:
        InputError: too little text, or a window that does not fit an update.
        Interrupted: SIGINT or SIGTERM came.
    """
    per_update = tokens_of_update(sweep)
    perplexities: dict[str, dict[int, float]] = {cell: {} for cell in cells}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        share = Path(name) / "tokens"
        share.mkdir()
        vocabulary = tokens / "vocabulary.tsv"
        for path in (vocabulary, choices_path(vocabulary)):
            shutil.copyfile(path, share / path.name)
        train_stream = open_stream(tokens / "train.npy")[: sweep.training_tokens]
        np.save(share / "train.npy", train_stream)
        np.save(share / "valid.npy", open_stream(tokens / "valid.npy")[:])
        for cell in cells:
            for window in sorted(set(sweep.windows)):
                rich.print(f"{cell}, window of {window}")
                output = Path(name) / f"{cell}-{window}"
                output.mkdir()
                model = dataclasses.replace(sweep.model, cell=cell)
                training = dataclasses.replace(
                    sweep.training,
                    window=window,
                    batch_size=per_update // window,
                    epochs=sweep.training_epochs,
                    patience=sweep.training_epochs,  # all of them
                )
                try:
                    train(share, output, model=model, training=training, on_late_signal=stop_late)
                except Interrupted as stop:
                    raise Interrupted(
                        f"Stopped at {cell} with a window of {window}: the same command starts "
                        "again.",
                        signal=stop.signal,
                    ) from stop
                history = load_history(output)
                perplexities[cell][window] = min(row["valid_perplexity"] for row in history)
    return {
        "training_tokens": len(train_stream),
        "epochs": sweep.training_epochs,
        "tokens_of_an_update": per_update,
        "perplexity": perplexities,
    }
