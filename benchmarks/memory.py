"""The memory that ingest and tokenize need, and their speed, for a corpus of any size.

    python benchmarks/memory.py --megabytes 2000 [--corpus data/sample …] [--folder FOLDER]

The corpus is repeated up to that size, each time with the words of its paragraphs in another
order, in files of some megabytes. The peak is the resident memory of the command's process, as
the kernel counted it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rich.console
import rich.table
from text import SAMPLE, read

FILE = 4_000_000  # bytes


def write(corpus: list[Path], folder: Path, *, size: int) -> None:
    """Text of `size` bytes, in files."""
    folder.mkdir()
    number, lines, length = 0, [], 0
    for document in read(corpus, size=size):
        lines.append(document)
        length += len(document.encode())
        if length >= FILE:
            (folder / f"{number:05}.txt").write_text("\n".join(lines), encoding="utf-8")
            number, lines, length = number + 1, [], 0
    if lines:
        (folder / f"{number:05}.txt").write_text("\n".join(lines), encoding="utf-8")


def measure(arguments: list[str], *, folder: Path) -> tuple[float, float]:
    """Peak memory in MB and seconds of one command."""
    environment = {**os.environ, "PYTHONPATH": str(SAMPLE.parents[1])}
    store = f"sqlite:///{folder / 'mlflow.db'}"
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=folder,
        env={**environment, "MLFLOW_TRACKING_URI": store},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"`nextword {' '.join(arguments)}` failed.")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return usage.ru_maxrss * unit / 2**20, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[SAMPLE])
    parser.add_argument("--deduplicate", nargs="+", default=["false", "true"])
    parser.add_argument("--folder", type=Path, help="where the text is written, and kept")
    arguments = parser.parse_args()
    table = rich.table.Table(title=f"{arguments.megabytes:,} MB of text")
    table.add_column("command")
    for heading in ("peak MB", "seconds", "MB/s"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(exist_ok=True)
        if not (folder / "text").exists():
            corpus = [path.resolve() for path in arguments.corpus]
            write(corpus, folder / "text", size=arguments.megabytes * 1_000_000)
        commands: list[str] = []
        for choice in arguments.deduplicate:
            commands += [f"ingest --corpus text --deduplicate {choice} --force", "tokenize --force"]
        for command in commands:
            peak, seconds = measure(command.split(), folder=folder)
            speed = arguments.megabytes / seconds
            name = command.removesuffix(" --force")
            table.add_row(name, f"{peak:,.0f}", f"{seconds:,.0f}", f"{speed:.1f}")
    rich.console.Console().print(table)


if __name__ == "__main__":
    main()
