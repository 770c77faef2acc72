"""The bar that long work shows: what it is, how far, how fast, how long it will take."""

import rich.progress


def progress_bar(
    speed: rich.progress.ProgressColumn | None = None, *, disable: bool = False
) -> rich.progress.Progress:
    """A bar for tasks of any kind.

    Args:
        speed: the column that tells how fast; by default the field `report` of a task.
        disable: show nothing.
    """
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        speed or rich.progress.TextColumn("{task.fields[report]}"),
        rich.progress.TimeRemainingColumn(),
        disable=disable,
    )
