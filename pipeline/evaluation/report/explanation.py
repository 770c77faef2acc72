"""What `explain` wrote, for the report."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pipeline import InputError


@dataclasses.dataclass(frozen=True)
class Explanation:
    """explanation.json.

    Attributes:
        models: name → digest of the model's folder.
        reach: name → norms of gradients by the number of steps back.
        windows: perplexity by cell and window T, and the size of these trainings; None without.
        agreement: how often each model prefers the right form of minimal pairs; None without.
        context: a sentence, and each model's predictions from truncated contexts.
    """

    models: Mapping[str, str]
    reach: Mapping[str, Any]
    windows: Mapping[str, Any] | None
    context: Mapping[str, Any]
    agreement: Mapping[str, Any] | None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the folder that `explain` wrote.

        Raises:
            InputError: there is no explanation.json, or it is not one.
        """
        path = folder / "explanation.json"
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            message = f"{path} holds no explanation: run `nextword explain` first."
            raise InputError(message) from error


def by_context(rows: Sequence[Sequence[Any]], place: int) -> list[Any]:
    """Select the entries of the token at a place, from the shortest context to the longest.

    In explanation.json, row k is for contexts of k + 1 tokens, and begins with the k-th token.
    """
    return [row[place - k] for k, row in enumerate(rows[: place + 1])]
