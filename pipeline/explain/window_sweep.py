"""What a longer window is worth: the same training with the gradient cut at other places."""

import csv
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rich

from pipeline import InputError, Interrupted
from pipeline.text.vocabulary import choices_path
from pipeline.tokens.windows import open_stream
from pipeline.training.train import train


def tokens_of_update(train_options: Mapping[str, Any], windows: Sequence[int]) -> int:
    """How many tokens an update learns from.

    Raises:
        InputError: they cannot be cut into each of the windows.
    """
    tokens: int = train_options["batch_size"] * train_options["window"]
    for window in windows:
        if tokens % window:
            raise InputError(
                f"{tokens} tokens of an update cannot be cut into windows of {window}: give "
                "--windows that divide it."
            )
    return tokens


def perplexity_by_window(
    *,
    tokens: Path,
    folder: Path,
    cells: Sequence[str],
    windows: Sequence[int],
    training_tokens: int,
    train_options: Mapping[str, Any],
) -> dict[str, dict[int, float]]:
    """Train each cell with each window T; the validation perplexity of its best epoch.

    All trainings read the same text as often, in as many updates of as many tokens: where T is
    shorter, more lanes are read side by side. The state is carried on in all of them, and
    validation is read in one way: what differs is how far the gradient travels.

    Args:
        tokens: folder that `tokenize` wrote.
        folder: where trainings may leave their files for a while.
        cells: which recurrences.
        windows: T of each training.
        training_tokens: so many of the training split are read, the first ones, or all.
        train_options: of `train`, with a window of steps; an update learns from `batch_size` ·
            `window` tokens. Cell, stride and patience do not apply.

    Raises:
        InputError: too little text, or a window that does not fit an update.
        Interrupted: SIGINT or SIGTERM came.
    """
    per_update = tokens_of_update(train_options, windows)
    found: dict[str, dict[int, float]] = {cell: {} for cell in cells}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        share = Path(name) / "tokens"
        share.mkdir()
        vocabulary = tokens / "vocabulary.tsv"
        for path in (vocabulary, choices_path(vocabulary)):
            shutil.copyfile(path, share / path.name)
        np.save(share / "train.npy", open_stream(tokens / "train.npy")[:training_tokens])
        np.save(share / "valid.npy", open_stream(tokens / "valid.npy")[:])
        for cell in cells:
            for window in windows:
                rich.print(f"{cell}, window of {window}")
                output = Path(name) / f"{cell}-{window}"
                output.mkdir()
                options = {
                    **train_options,
                    "cell": cell,
                    "window": window,
                    "stride": None,
                    "batch_size": per_update // window,
                    "patience": train_options["epochs"],  # all of them
                }
                try:
                    train(tokens=share, output=output, **options)
                except Interrupted as stop:
                    raise Interrupted(
                        f"Stopped at {cell} with a window of {window}: the same command begins "
                        "anew.",
                        signal=stop.signal,
                    ) from stop
                with (output / "history.csv").open(newline="") as file:
                    rows = csv.DictReader(file)
                    found[cell][window] = min(float(row["valid_perplexity"]) for row in rows)
    return found
