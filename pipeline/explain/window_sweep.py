"""What a longer window is worth: the same training with the gradient cut at other places."""

import csv
import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich

from pipeline import InputError, Interrupted
from pipeline.explain.config import SweepConfig
from pipeline.model.config import Cell
from pipeline.text.vocabulary import choices_path
from pipeline.tokens.windows import open_stream
from pipeline.training.train import train


def tokens_of_update(sweep: SweepConfig) -> int:
    """Return how many tokens an update learns from.

    Raises:
        InputError: they cannot be cut into each of the windows.
    """
    tokens = sweep.training.batch_size * int(sweep.training.window)
    for window in sweep.windows:
        if tokens % window:
            raise InputError(
                f"{tokens} tokens of an update cannot be cut into windows of {window}: give "
                "--windows that divide it."
            )
    return tokens


def perplexity_by_window(
    tokens: Path, folder: Path, *, cells: Sequence[Cell], sweep: SweepConfig
) -> dict[str, Any]:
    """Train each cell with each window T; compare the validation perplexity of the best epochs.

    All trainings read the same text as often, in as many updates of as many tokens: where T is
    shorter, more lanes are read side by side. The state is carried on in all of them, and
    validation is read in one way: what differs is how far the gradient travels.

    Args:
        tokens: folder that `tokenize` wrote.
        folder: where trainings may leave their files for a while.
        cells: recurrences to train.
        sweep: windows, and how long each training is; the first tokens of the split are read.

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
                    train(share, output, model=model, training=training)
                except Interrupted as stop:
                    raise Interrupted(
                        f"Stopped at {cell} with a window of {window}: the same command begins "
                        "anew.",
                        signal=stop.signal,
                    ) from stop
                with (output / "history.csv").open(newline="") as file:
                    rows = csv.DictReader(file)
                    perplexities[cell][window] = min(float(row["valid_perplexity"]) for row in rows)
    return {
        "training_tokens": len(train_stream),
        "epochs": sweep.training_epochs,
        "tokens_of_an_update": per_update,
        "perplexity": perplexities,
    }
