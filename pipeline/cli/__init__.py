"""The command line: one thin command per stage, and `run`, which walks them all.

TensorFlow and MLflow are imported inside the commands, so that --help answers at once.
"""

from pipeline.cli.commands import main
from pipeline.cli.presets import PRESETS
from pipeline.cli.promote import promote
from pipeline.cli.sweep import sweep

__all__ = ["PRESETS", "main", "promote", "sweep"]
