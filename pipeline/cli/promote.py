"""The command that makes a model the champion, if it is better than the one there is."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import InputError
from pipeline.cli import addresses
from pipeline.cli.commands import main
from pipeline.cli.options import option
from pipeline.cli.presets import EVALUATION, MODEL
from pipeline.cli.process import import_tensorflow
from pipeline.cli.stages import mlflow_run, require

if TYPE_CHECKING:
    from pipeline.tracking.champion import Version


@main.command()
@click.argument("model", default=MODEL.as_posix())
@option(
    "--evaluation",
    None,
    "Its evaluation: a folder that evaluate wrote, or the id of an MLflow run.  [default: that of its last promotion, or else models/evaluation]",
)
@option("--on", "test", "Text that decides.", type=click.Choice(["valid", "test", "text"]))
@option("--name", "nextword", "Name in MLflow's registry of a model that is in a folder.")
def promote(model: str, evaluation: str | None, on: str, name: str) -> None:
    """Make a model the champion of MLflow's registry, if it is better than the one there is.

    MODEL is a folder that `export` wrote, which is registered, or the address of a version, such as
    models:/nextword/3. The first champion is any model. Another one is better if its perplexity is
    lower and that is not noise, as `compare` tells; if not, nothing is changed, and the exit code
    is 1.
    """
    from pipeline.tracking.champion import ALIAS, find_version, make_champion

    candidate = _version(model, name)
    name = candidate.name if candidate else name
    champion = find_version(f"models:/{name}@{ALIAS}")
    rival = None if champion == candidate else champion
    if champion and not rival and champion.evaluation and not evaluation:
        click.echo(f"{champion.address} is the champion already.")
        return
    measured = evaluation or (candidate and candidate.evaluation) or EVALUATION.as_posix()
    with addresses.saved_model(model) as saved:
        with addresses.evaluation(measured) as folder:
            _check_measured(model, saved, folder)
            better = _is_better(model, folder, rival, on)
            if rival and not better:
                click.echo(f"{rival.address} stays the champion; nothing has changed.")
                click.get_current_context().exit(1)
        with mlflow_run(evaluation=measured, name=name) as run:
            kept = _keep(measured, run)  # what fails here has not registered anything
            version = candidate or _register(saved, name)
            make_champion(version, evaluation=kept)
    before = f"; before, it was {rival.address}" if rival else ""
    click.echo(f"{version.address} is now models:/{name}@{ALIAS}{before}.")


def _version(model: str, name: str) -> "Version | None":
    """Return the version that holds a model; None for one in a folder that is not registered."""
    import_tensorflow()
    from pipeline.tracking.champion import find_model, find_version
    from pipeline.tracking.registry import check_model_name

    if addresses.in_mlflow(model):
        if version := find_version(model):
            return version
        raise InputError(f"{model} is no version of a registered model: name models:/NAME/VERSION.")
    check_model_name(name)
    require("export", Path(model))
    return find_model(Path(model), name)


def _check_measured(model: str, saved: Path, evaluation: Path) -> None:
    """Raise an InputError unless an evaluation is of the network in a SavedModel."""
    from pipeline.evaluation.evaluated_model import load_models
    from pipeline.export.model_card import training_digest

    trained = training_digest(saved)
    if not trained:
        raise InputError(f"The card of {model} does not say of which training it is: export again.")
    if load_models(evaluation)[0].digest != trained:
        raise InputError(
            f"The evaluation in {evaluation} is of another training than {model}: evaluate the "
            "training that was exported, or name its evaluation with --evaluation."
        )


def _is_better(model: str, evaluation: Path, rival: "Version | None", on: str) -> bool:
    """Print how a model compares with the champion on a text; without one, it is better.

    Raises:
        InputError: they were not both measured on that text, with the same vocabulary.
    """
    from pipeline.evaluation.compare import compare, print_comparison

    with contextlib.ExitStack() as stack:
        other = stack.enter_context(_evaluation_of(rival)) if rival else evaluation
        compared = compare(evaluation, other)
    found = [difference for difference in compared if difference.split == on]
    if rival is None:
        if found:
            return True
        raise InputError(
            f"{evaluation} has not measured {model} on the {on} text: choose another with --on, or "
            "evaluate on it."
        )
    if not found:
        raise InputError(
            f"{model} and the champion were not both measured on the {on} text: choose another "
            "with --on, or evaluate both on the same."
        )
    print_comparison(found, first=model, second=rival.address)
    return found[0].better == 1  # of perplexity


@contextlib.contextmanager
def _evaluation_of(champion: "Version") -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            if not champion.evaluation:
                raise InputError("none is noted")
            kept = addresses.evaluation(champion.evaluation, shown=champion.address)
            folder = stack.enter_context(kept)
        except InputError as error:
            raise InputError(
                f"It is not known how good the champion is, {champion.address}: name its "
                f"evaluation with `nextword promote {champion.address} --evaluation FOLDER`, and "
                "try again."
            ) from error
        yield folder


def _register(saved: Path, name: str) -> "Version":
    from pipeline.tracking.champion import find_version
    from pipeline.tracking.registry import log_model

    address, _ = log_model(saved, register=name)
    version = find_version(address)
    assert version is not None
    return version


def _keep(evaluation: str, run: str) -> str:
    """Return the run that holds an evaluation: the active one logs what is in a folder."""
    from pipeline.tracking.runs import log_evaluation

    folder = Path(evaluation)
    if not folder.is_dir():
        return evaluation
    log_evaluation(folder)
    return run
