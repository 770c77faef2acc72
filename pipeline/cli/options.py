"""The options of the commands, in groups that several of them have."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pipeline.cli.defaults import ARCHITECTURE, FINE_TUNING, PRESETS
from pipeline.cli.stages import require

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def all_of(*decorators: Decorator) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def option(name: str, default: Any, text: str, **kwargs: Any) -> Decorator:
    shown = default not in ("", ())
    return click.option(name, default=default, show_default=shown, help=text, **kwargs)


def folder(name: str, default: Path, text: str) -> Decorator:
    return option(name, default, text, type=click.Path(path_type=Path))


force_option = click.option("--force", is_flag=True, help="Run even if nothing has changed.")

corpus_options = all_of(
    option("--corpus", ("data/sample",), "File, folder, glob, name that `nextword corpora` lists, or hf:owner/dataset; may be repeated.", multiple=True),
    option("--valid", (), "Glob of the files that validate; may be repeated.  [default: 5 % of the documents, or a tenth of each of fewer than 20]", multiple=True),
    option("--test", (), "Glob of the files that test; may be repeated.  [default: as of --valid]", multiple=True),
    option("--text-column", "text", "Column of .csv, .tsv, .jsonl, .parquet and data sets that holds text."),
    option("--strict", False, "Stop at a file that cannot be read, instead of skipping it.", type=bool),
    option("--deduplicate", True, "Drop repeated documents, and training passages that also occur in valid or test.", type=bool),
)  # fmt: skip

engine_options = all_of(
    option("--engine", "local", "Where it runs: on this machine, or on Spark (docs/cluster.md).", type=click.Choice(["local", "spark"])),
    option("--spark-master", "local[*]", "Address of the Spark master; empty for the session that is there already."),
)  # fmt: skip

vocabulary_options = all_of(
    option("--vocabulary-size", 10_000, "Most tokens the model may know.", type=click.IntRange(3)),
    option("--min-count", 2, "Tokens rarer than this in training are unknown.", type=click.IntRange(1)),
    option("--vocabulary", "", "File of the tokens to know instead, one a line or a vocabulary.tsv; then the two options above do not apply.  [default: none]"),
    option("--unit", "word", "word: each token is known or <unk>; subword: words are cut into pieces, and none is unknown.", type=click.Choice(["word", "subword"])),
    option("--case", "fold", "fold: the model sees tokens in lower case; keep: as they are written.", type=click.Choice(["fold", "keep"])),
    option("--numbers", "keep", "keep: as they are written; class: each is <num>, which is never suggested.", type=click.Choice(["keep", "class"])),
)  # fmt: skip

positive = click.IntRange(1)
_READY = f"{__name__}.ready"  # in the meta of a context


class _Steps(click.ParamType):
    """A number of steps, or one of some words."""

    name = "steps"

    def __init__(self, *words: str):
        self.words = words

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        return value if value in self.words else positive.convert(value, param, ctx)


class Counts(click.ParamType):
    """Numbers above zero, separated by spaces."""

    name = "counts"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(positive.convert(word, param, ctx) for word in value.split())


def _ready(ctx: click.Context) -> dict[str, Any]:
    """What the preset, or the model of --init, sets; a model is read once for all options."""
    init = ctx.params.get("init")
    if not init:
        return ARCHITECTURE | PRESETS[ctx.params["preset"]]
    if _READY not in ctx.meta:
        require("train", init)
        from pipeline.model.config import ModelConfig

        trained = ModelConfig.load(Path(init, "model.json"))
        ctx.meta[_READY] = FINE_TUNING | dataclasses.asdict(trained)
    return dict(ctx.meta[_READY])


class _OfPreset(click.ParamType):
    """A value of another type, or none for the one of the preset or of the model of --init."""

    def __init__(self, kind: Any):
        self.kind = click.types.convert_type(kind)
        self.name = self.kind.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self.kind.get_metavar(param, ctx)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            value = _ready(ctx)[param.name]
        return self.kind.convert(value, param, ctx)


def _preset_option(name: str, text: str, kind: Any) -> Decorator:
    key = name.removeprefix("--").replace("-", "_")
    values = ", ".join(f"{preset}: {options[key]}" for preset, options in PRESETS.items())
    return click.option(name, default="", help=f"{text}  [{values}]", type=_OfPreset(kind))


def _architecture_option(name: str, text: str, kind: Any) -> Decorator:
    default = str(ARCHITECTURE[name.removeprefix("--")]).lower()
    text = f"{text}  [default: {default}; with --init its own]"
    return click.option(name, default="", help=text, type=_OfPreset(kind))


_above_zero = click.FloatRange(0, min_open=True)
_share = click.FloatRange(0, 1, max_open=True)
_preset = option("--preset", "quick", "Sizes and training by what they cost: quick, minutes on the sample; cpu-hour, about an hour on two cores for two million tokens; gpu.", type=click.Choice(list(PRESETS)), is_eager=True)  # fmt: skip
model_options = all_of(
    _preset,
    _architecture_option("--cell", "The recurrence.", click.Choice(["lstm", "gru", "simple_rnn", "feedforward"])),
    _preset_option("--embedding", "Length of a word's vector.", positive),
    _preset_option("--units", "Units of a layer.", positive),
    _preset_option("--layers", "Recurrent layers.", positive),
    _preset_option("--mogrifier", "Rounds in which an LSTM's input and state gate each other before each step.", click.IntRange(0)),
    _preset_option("--dropout", "Share of activations dropped in training.", _share),
    _preset_option("--variational", "Drop the same activations at all steps of a window.", bool),
    _preset_option("--word-dropout", "Share of the words whose vectors are dropped for a window.", _share),
    _preset_option("--weight-dropout", "Share of the recurrent weights dropped for a window.", _share),
    _architecture_option("--tied", "Use the embedding as output weights too.", bool),
    _architecture_option("--softmax", "Over all words at once (full), or adaptive: in clusters, faster to train with 50,000 words and more.", click.Choice(["full", "adaptive"])),
    _architecture_option("--context", "Words a feedforward model sees.", positive),
)  # fmt: skip

precision_option = option(
    "--precision",
    "float32",
    "What layers compute in; weights and the loss stay float32.",
    type=click.Choice(["float32", "mixed_float16", "mixed_bfloat16"]),
)

training_options = all_of(
    model_options,
    _preset_option("--window", "Steps that the gradient travels back (T), or full: whole paragraphs, or documents with --reset document.", _Steps("full")),
    option("--stride", "", "Steps between two updates (k₁ ≤ T); 1 updates after every step.  [default: the window]", type=_Steps("")),
    option("--reset", "never", "Forget the state only where an epoch begins, or where each document does.", type=click.Choice(["never", "document"])),
    _preset_option("--batch-size", "Lanes of text read side by side.", positive),
    _preset_option("--epochs", "Passes over the training text, at most.", positive),
    _preset_option("--learning-rate", "Peak learning rate of Adam.", _above_zero),
    _preset_option("--warmup", "Share of the training in which the learning rate rises from zero.", _share),
    _preset_option("--schedule", "How the learning rate decays to zero after the warm-up.", click.Choice(["linear", "cosine"])),
    _preset_option("--activation-regularization", "α: weight of the mean square of the last layer's activations.", click.FloatRange(0)),
    _preset_option("--temporal-regularization", "β: weight of the mean square of their changes.", click.FloatRange(0)),
    _preset_option("--averaging", "Validate and keep an exponential moving average of the weights; this is its decay, 0 for none.", _share),
    _preset_option("--clip-norm", "Greatest global norm of a gradient.", _above_zero),
    option("--patience", 2, "Epochs without improvement before stopping.", type=positive),
    option("--seed", 1, "Makes a run repeatable.", type=click.IntRange(0, 2**32 - 1)),
    precision_option,
    option("--strategy", "auto", "one device; mirrored: all GPUs, or CPUs, of this machine; multiworker: the machines of TF_CONFIG; auto: what there is.", type=click.Choice(["auto", "one", "mirrored", "multiworker"])),
)  # fmt: skip

resume_option = click.option("--resume", is_flag=True, help="Continue an interrupted training.")

new_words_option = option("--new-words", 1_000, "New words that the vocabulary of --init grows by, at most: the most frequent ones of the training split.", type=click.IntRange(0))  # fmt: skip
_fine_tuning = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in FINE_TUNING.items())
init_options = all_of(
    option("--init", "", f"Folder of a trained model to go on from: sizes and dropout are its own, and in the place of a preset stand {_fine_tuning}.  [default: none]", is_eager=True),
    option("--corpus", (), "Text to go on with, as ingest takes it; may be repeated. Its documents and tokens go into data/documents-NAME and data/tokens-NAME, where NAME is the folder to write, and new words into the vocabulary.  [default: --tokens]", multiple=True),
    new_words_option,
    option("--retain", 0.5, "Share of the weights of --init in the saved ones: a higher share forgets less, and learns less.", type=click.FloatRange(0, 1)),
)  # fmt: skip

shown_options = all_of(
    option("--text", "", "Another file to evaluate on, of any kind that ingest reads.  [default: none]"),
    option("--text-column", "text", "Column of it that holds text, if it is a table."),
    option("--explanation", "", "Folder that explain wrote, to be shown in the report.  [default: none]"),
    option("--ablation", "", "Table that benchmarks/ablation.py wrote, to be shown too.  [default: none]"),
)  # fmt: skip

evaluation_options = all_of(
    option("--ngram-order", 5, "n of the Kneser-Ney n-gram baseline; 0 for none.", type=click.IntRange(0)),
)  # fmt: skip

cache_option = option("--cache", 0, "Tokens that a continuous cache over the text remembers; 0 for none.", type=click.IntRange(0))  # fmt: skip
export_options = all_of(
    option("--suggestions", 5, "Words suggested.", type=positive),
    cache_option,
    option("--register", "", "Name in MLflow's registry, where the model becomes the next version.  [default: none]"),
)  # fmt: skip

explanation_options = all_of(
    option("--sentence", "Matias tinha um cachorro e ele gostava de beber água", "Sentence whose words are predicted from ever shorter contexts; the report looks most closely at the last one."),
    option("--steps", 100, "How far back gradients are followed.", type=click.IntRange(1, 200)),
    option("--samples", 256, "Targets they are followed from.", type=positive),
)  # fmt: skip
