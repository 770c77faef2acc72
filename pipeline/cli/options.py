"""The options of the commands, most of them from the fields of configurations."""

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pipeline import InputError
from pipeline.cli.presets import FINE_TUNING, PRESETS
from pipeline.cli.stages import require
from pipeline.corpus.config import HELD_OUT_TOKENS, ReadingConfig
from pipeline.export.config import ExportConfig
from pipeline.model.config import ModelConfig
from pipeline.training.config import TrainingConfig

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Config = TypeVar("Config")


class _Path(click.Path):
    """A path that is not empty: Path("") would be the working directory."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not os.fspath(value):
            self.fail("the path is empty: give one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A finite number in a range: no comparison refuses NaN."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


path = _Path(path_type=Path)
positive = click.IntRange(1)


def all_of(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def option(name: str, default: Any, text: str, **kwargs: Any) -> Decorator:
    shown = default not in (None, (), "")
    if not shown and not text.endswith("]"):
        text += "  [default: none]"
    return click.option(name, default=default, show_default=shown, help=text, **kwargs)


def folder(name: str, default: Path | None, text: str) -> Decorator:
    return option(name, default, text, type=path)


# Options from fields


class _NumberOr(click.ParamType):
    """A number in a range, or one of some words."""

    name = "number"

    def __init__(self, number: click.ParamType, words: tuple[str, ...]):
        self._number, self._words = number, words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(('INTEGER', *self._words))}]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if value in self._words else self._number.convert(value, param, ctx)


class _Numbers(click.ParamType):
    """Numbers in a range, separated by spaces."""

    name = "numbers"

    def __init__(self, number: click.ParamType):
        self._number = number

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(self._number.convert(word, param, ctx) for word in value.split())


# Of a field whose option may be repeated.
_TEXTS = tuple[str, ...]


def _type_of(hint: Any, limits: dict[str, Any]) -> click.ParamType:
    """Return the type of the option of a field."""
    kinds = typing.get_args(hint)
    if hint == _TEXTS:
        return click.STRING
    if typing.get_origin(hint) is typing.Literal:
        return click.Choice(kinds)
    if typing.get_origin(hint) is tuple:
        return _Numbers(_type_of(kinds[0], limits))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        first, second = kinds
        number = _type_of(first, limits)
        return number if second is types.NoneType else _NumberOr(number, typing.get_args(second))
    if hint is int:
        return click.IntRange(**limits)
    if hint is float:
        return FiniteRange(**limits)
    return path if hint is Path else click.types.convert_type(hint)


def _fields(config: type) -> dict[str, dataclasses.Field]:
    """Return the fields of a configuration that are options, by name."""
    return {field.name: field for field in dataclasses.fields(config) if field.metadata}


def options_of(config: type, *names: str) -> Decorator:
    """Add the options of all fields of a configuration, or of some."""
    hints, fields = typing.get_type_hints(config), _fields(config)
    return all_of(
        *(
            option(
                "--" + name.replace("_", "-"),
                fields[name].default,
                fields[name].metadata["help"],
                type=_type_of(hints[name], fields[name].metadata["limits"]),
                multiple=hints[name] == _TEXTS,
                **({"is_flag": False, "flag_value": True} if hints[name] is bool else {}),
            )
            for name in names or fields
        )
    )


def take(config: type[Config], options: dict[str, Any]) -> Config:
    """Move the fields of a configuration out of the options of a command."""
    return config(**{name: options.pop(name) for name in _fields(config) if name in options})


def values_of(*configs: Any) -> dict[str, Any]:
    """Return the values of configurations by the names of their options."""
    return {name: getattr(config, name) for config in configs for name in _fields(type(config))}


class _PresetName(click.ParamType):
    """The name of a preset, or a file of one."""

    name = "preset"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join((*PRESETS, 'FILE'))}]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value not in PRESETS and not Path(value).is_file():
            self.fail(f"{value!r} is neither one of {', '.join(PRESETS)} nor a file.", param, ctx)
        return value


def read_preset(file: Path) -> dict[str, Any]:
    """Read options of the model and its training, by name, from a TOML file.

    Raises:
        InputError: it is no such file, or has an option or a value that `train` does not take.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} is no preset ({error}): write lines such as units = 512."
        ) from error
    values = {}
    for name, value in given.items():
        for config in (ModelConfig, TrainingConfig):
            if field := _fields(config).get(name.replace("-", "_")):
                kind = _type_of(typing.get_type_hints(config)[field.name], field.metadata["limits"])
                try:
                    # As text, which is read strictly: 3.5 is no integer.
                    values[field.name] = kind.convert(str(value), None, None)
                except click.BadParameter as error:
                    reason = error.format_message().rstrip(".")
                    raise InputError(f"{file} sets {name} to {value!r}: {reason}.") from error
                break
        else:
            raise InputError(f"{file} sets {name}, which is no option of a model or its training.")
    return values


def _set_defaults(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """Take the defaults of other options from a preset, unless --init sets them."""
    preset = PRESETS.get(name)
    values = values_of(preset.model, preset.training) if preset else read_preset(Path(name))
    ctx.default_map = {**values, **(ctx.default_map or {})}
    return name


def _go_on_from(ctx: click.Context, param: click.Parameter, init: Path | None) -> Path | None:
    """Take the defaults of other options from a trained model and from fine-tuning."""
    if init:
        require("train", init)
        model = ModelConfig.load(init / "model.json")
        ctx.default_map = {**(ctx.default_map or {}), **values_of(model, FINE_TUNING)}
    return init


def refuse(names: Collection[str], message: str) -> None:
    """Refuse options that were typed and would have no effect; one with its default value passes.

    Args:
        message: with {} for the option.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        typed = context.get_parameter_source(str(parameter.name)) == ParameterSource.COMMANDLINE
        if parameter.name not in names or not typed:
            continue
        value = context.params[parameter.name]
        if isinstance(value, tuple):
            value = tuple(filter(None, value))  # `mlflow run -P speaker=` passes an empty text
        if value != parameter.default:
            raise InputError(message.replace("{}", parameter.opts[0]))


def refuse_of_other_cells(options: Mapping[str, Any]) -> None:
    """Refuse typed options that the cell of the model does not use."""
    if options["cell"] == "feedforward":
        refuse(["weight_dropout"], "A feedforward model has no recurrent weights: leave {} out.")
    else:
        refuse(["context"], "{} is for --cell feedforward: add that, or leave {} out.")
    if options["cell"] != "lstm" and options["mogrifier"]:
        refuse(["mogrifier"], "{} is for --cell lstm: leave it out.")


# Groups of options

trust_option = click.option("--trust", is_flag=True, help="Run the SavedModel without `verify`.")
force_option = click.option("--force", is_flag=True, help="Run even if nothing has changed.")
resume_option = click.option("--resume", is_flag=True, help="Continue an interrupted training.")

corpus_options = all_of(
    option("--corpus", ("data/sample",), "File, folder, glob, name that `nextword corpora` lists, or hf:owner/dataset; may be repeated.", multiple=True),
    option("--valid", (), "Glob of the files that validate; may be repeated.  [default: 5 % of the documents, or a tenth of each of fewer than 20]", multiple=True),
    option("--test", (), "Glob of the files that test; may be repeated.  [default: as of --valid]", multiple=True),
    options_of(ReadingConfig),
    option("--deduplicate", True, "Drop repeated documents, and training passages that also occur in valid or test.", type=bool),
    option("--held-out", HELD_OUT_TOKENS, "Most tokens, about, of valid and of test where no glob chooses them.", type=positive),
)  # fmt: skip

engine_options = all_of(
    option("--engine", "local", "Where it runs: on this machine, or on Spark (docs/cluster.md).", type=click.Choice(["local", "spark"])),
    option("--spark-master", "local[*]", "Address of the Spark master; empty for the session that is there already."),
)  # fmt: skip


def take_spark(options: dict[str, Any]) -> str | None:
    """Move the engine out of the options of a command; return Spark's master, or None."""
    engine, master = options.pop("engine"), options.pop("spark_master")
    if engine == "spark":
        return master
    refuse(["spark_master"], "{} is for --engine spark: add that, or leave {} out.")
    return None


vocabulary_option = folder("--vocabulary", None, "File of the tokens to know instead of the most frequent ones: one a line, or a vocabulary.tsv.")  # fmt: skip

model_options = all_of(
    option("--preset", "quick", "Sizes and training by what they cost: quick, minutes on the sample; cpu-hour, about an hour on two cores for two million tokens; gpu; or a TOML file of options, such as `sweep` writes. With --help, shows what it sets.", type=_PresetName(), is_eager=True, callback=_set_defaults),
    options_of(ModelConfig),
)  # fmt: skip
training_options = all_of(model_options, options_of(TrainingConfig))
precision_option = options_of(TrainingConfig, "precision")

new_words_option = option("--new-words", 1_000, "Maximum number of new words that the vocabulary of --init grows by: the most frequent ones of the training split.", type=click.IntRange(0))  # fmt: skip
init_options = all_of(
    option("--init", None, "Folder of a trained model to go on from: its sizes and dropout become the defaults, and so do a small learning rate and small batches.", type=path, is_eager=True, callback=_go_on_from),
    option("--corpus", (), "Text to go on with, as ingest takes it; may be repeated. Its documents and tokens go into data/documents-NAME and data/tokens-NAME, where NAME is the folder to write, and new words into the vocabulary.  [default: --tokens]", multiple=True),
    options_of(ReadingConfig),
    new_words_option,
    option("--retain", 0.5, "Share of the weights of --init in the saved ones: a higher share forgets less, and learns less.", type=FiniteRange(0, 1)),
)  # fmt: skip

export_options = all_of(
    options_of(ExportConfig),
    option("--register", None, "Name in MLflow's registry, where the model becomes the next version."),
)  # fmt: skip
