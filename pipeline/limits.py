"""Limits for the files that one stage reads from another, before memory is taken for them.

A folder may come from elsewhere. Its files are data, and nothing of them runs; but one may be a
pipe, or hold more than any memory does.
"""

import json
import stat
from pathlib import Path
from typing import Any

from pipeline import InputError

# Bytes of a text of a stage (JSON, TSV, CSV): the vocabulary of five million words.
MAX_TEXT = 2**27


def check_file(path: Path, *, most: float = MAX_TEXT) -> None:
    """Check that what stands at a path is a file of at most so many bytes, or that nothing does.

    Raises:
        InputError: it is something else, or larger.
    """
    try:
        status = path.stat()
    except OSError:
        return  # whoever opens it says what is missing
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is no file: run the stage that writes it again.")
    if status.st_size > most:
        raise InputError(
            f"{path} has {status.st_size:,} bytes, and nextword writes {int(most):,} at most: it "
            "is damaged or another file; run the stage that writes it again."
        )


def read_json(path: Path, *, unreadable: str) -> Any:
    """Read what a stage wrote as JSON.

    Args:
        unreadable: the sentence that says that it is missing or damaged.

    Raises:
        InputError: it is; or it is too large.
    """
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # lists in lists in lists
        raise InputError(unreadable) from error
