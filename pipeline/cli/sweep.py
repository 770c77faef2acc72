"""The command that searches options of `train`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pipeline import InputError
from pipeline.cli.commands import main
from pipeline.cli.options import (
    FiniteRange,
    folder,
    option,
    positive,
    refuse_of_other_cells,
    take,
    training_options,
)
from pipeline.cli.presets import SWEEP, TOKENS
from pipeline.cli.process import import_tensorflow
from pipeline.cli.stages import require
from pipeline.model.config import ModelConfig
from pipeline.training.config import TrainingConfig
from pipeline.training.strategies import require_one_machine


@main.command()
@folder("--tokens", TOKENS, "Folder that tokenize wrote.")
@folder("--output", SWEEP, "Folder to write; of one process at a time.")
@option(
    "--hours",
    1.0,
    "Hours, from its start, after which no trial begins.",
    type=FiniteRange(0, min_open=True),
)
@option("--trials", None, "Trials, pruned ones too, after which none begins.", type=positive)
@option(
    "--storage",
    None,
    "Address of the database of trials, as SQLAlchemy takes it; several machines may share one.  [default: the file sweep.db in --output]",
)
@training_options
def sweep(
    tokens: Path,
    output: Path,
    hours: float,
    trials: int | None,
    storage: str | None,
    preset: str,
    **options: Any,
) -> None:
    """Search options of `train`; write preset.toml, which --preset takes, and trials.csv.

    Searches --learning-rate, --dropout, --embedding, --units, --mogrifier, --window and
    --batch-size for the lowest validation perplexity. An option that is given is not searched.
    The first trial is the preset. A trial that is worse than the median of the others after as
    many epochs is pruned.

    The same command goes on with a sweep that was stopped or killed, or has ended.
    """
    require("tokenize", tokens)
    require_one_machine("`nextword sweep`")
    refuse_of_other_cells(options)
    context = click.get_current_context()
    model, training = take(ModelConfig, options), take(TrainingConfig, options)
    pinned = [
        name
        for name in context.params
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE
    ]
    if "stride" in pinned and "window" not in pinned:
        raise InputError("--stride is of one window: give --window too.")
    import_tensorflow()
    from pipeline.tracking.runs import log_epoch, log_files, start_run, start_trial
    from pipeline.training import sweep as searching
    from pipeline.training.search import Search
    from pipeline.training.trials import PRESET, TRIALS, print_trials

    search = Search(tokens, model, training, pinned)
    study = searching.open_study(output, storage)
    shown = {"tokens": tokens, "output": output, "preset": preset, "hours": hours}
    with start_run("sweep", {**shown, **search.fixed}, run_id=study.user_attrs.get("run")) as run:
        study.set_user_attr("run", run)
        searching.sweep(
            search,
            output,
            study=study,
            budget=searching.Budget(hours, trials),
            track=start_trial,
            on_epoch=log_epoch,
        )
        log_files(output, PRESET, TRIALS)
    print_trials(output)
    click.echo(f"Wrote {output}: `nextword run --preset {output / PRESET}` takes the best options.")
