"""The bar that long work shows: what it is, how far, how fast, how long it will take."""

import rich.progress
import rich.text


class Speed(rich.progress.ProgressColumn):
    """Megabytes a second since a task began, of one that counts bytes or letters.

    Unlike rich's own it tells something of a task that was done in a single step.
    """

    def render(self, task: rich.progress.Task) -> rich.text.Text:
        seconds = task.finished_time or task.elapsed
        speed = f"{task.completed / seconds / 1e6:.1f} MB/s" if seconds and task.completed else ""
        return rich.text.Text(speed)


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
