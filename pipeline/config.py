"""Options declared once: as fields of frozen dataclasses, which the command line reads."""

import dataclasses
from typing import Any


def option(default: Any, help: str, **limits: Any) -> Any:
    """Declare a dataclass field that is an option of the command line, too.

    The option has the field's name. Its type comes from the annotation: a number within
    `limits`, one of the words of a `Literal`, true or false, a text, or a path.

    Args:
        default: of the field, and of the option.
        help: one sentence, for `--help`.
        limits: `min`, `max`, `min_open` and `max_open`, as in `click.IntRange`.
    """
    return dataclasses.field(default=default, metadata={"help": help, "limits": limits})
