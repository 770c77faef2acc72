"""The progress bar of long work."""

import rich.progress
import rich.text


class Speed(rich.progress.ProgressColumn):
    """Shows megabytes (or million letters) per second.

    Unlike rich's own column it also has a value for a task that is done in a single step.
    """

    def render(self, task: rich.progress.Task) -> rich.text.Text:
        seconds = task.finished_time or task.elapsed
        speed = f"{task.completed / seconds / 1e6:.1f} MB/s" if seconds and task.completed else ""
        return rich.text.Text(speed)


def progress_bar(
    speed: rich.progress.ProgressColumn | None = None, *, disable: bool = False
) -> rich.progress.Progress:
    """Return a progress bar whose third column is `speed`, or the field `report` of each task."""
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        speed or rich.progress.TextColumn("{task.fields[report]}"),
        rich.progress.TimeRemainingColumn(),
        disable=disable,
    )
