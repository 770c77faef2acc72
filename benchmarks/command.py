"""Runs a command of nextword as anybody would type it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def nextword(command: str, *, folder: Path) -> float:
    """Run a command in a folder, its output into a log; the seconds of CPU time that it used."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *shlex.split(command)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"`nextword {command}` failed:\n{(folder / 'log').read_text()}")
    return usage.ru_utime + usage.ru_stime
