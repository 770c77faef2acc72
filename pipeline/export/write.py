"""Write a SavedModel; if that fails, one sentence says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeline import InputError
from pipeline.model.checkpoint import delete_parts, reason_of


def write_saved_model(module: tf.Module, folder: Path, *, signatures: Mapping[str, Any]) -> None:
    """Call `tf.saved_model.save`.

    Raises:
        InputError: it fails, as on a full disk.
    """
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
        delete_parts(folder / "variables")
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"No SavedModel can be written into {folder} ({reason_of(error)}): make room or see to "
            "its permissions, then run the same command again."
        ) from error
