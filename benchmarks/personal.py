"""What a model learns from a person's text, and what it forgets of all other.

    python benchmarks/personal.py [--person mensagens] [--general OPTIONS] [--options OPTIONS]

A model is trained on the sample corpus without one of its folders, which then stands for what a
person has written: `nextword train --init --corpus` goes on with it. Both models are measured on
the last tenth of each of the person's texts, which no training has seen, and on the test split of
the others. New words count as `<unk>` before, which is easier to predict than each of them, so
perplexity flatters the model as it was; top-3 and keystrokes count them as misses.

`reading` is a model that goes on learning from the text that it is measured on (`--dynamic`).
"""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

import rich.console
import rich.table
from command import ROOT
from command import nextword as run


def nextword(command: str, *, folder: Path) -> None:
    """Run a command and say so."""
    print(f"nextword {command}", file=sys.stderr, flush=True)
    run(command, folder=folder)


def measured(model: str, tokens: str, *, folder: Path) -> list[dict[str, float]]:
    """The figures of a model on the test split of a folder of tokens: as it is, and reading."""
    out = f"evaluations/{Path(model).name}-on-{Path(tokens).name}"
    nextword(
        f"evaluate --training {model} --tokens {tokens} --ngram-order 0 --dynamic --output {out}",
        folder=folder,
    )
    return [*json.loads((folder / out / "metrics.json").read_text())["test"].values()][:2]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--sample", type=Path, default=ROOT / "data/sample")
    parser.add_argument("--person", default="mensagens", help="folder of the sample")
    parser.add_argument("--general", default="", help="options of the first `nextword train`")
    parser.add_argument("--options", default="", help="options of `nextword train --init`")
    arguments = parser.parse_args()
    person = shlex.quote(str(arguments.sample.resolve() / arguments.person))
    others = " ".join(
        f"--corpus {shlex.quote(str(path.resolve()))}"
        for path in sorted(arguments.sample.iterdir())
        if path.name != arguments.person
    )
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nextword(f"ingest {others}", folder=folder)
        nextword("tokenize", folder=folder)
        nextword(f"train {arguments.general}", folder=folder)
        nextword(
            f"train --init models/training --corpus {person} {arguments.options}", folder=folder
        )
        # Each text as the vocabulary of the other model sees it.
        again = "tokenize --new-words 0 --init models"
        nextword(
            f"{again}/training --documents data/documents-personal --output data/tokens-before",
            folder=folder,
        )
        nextword(f"{again}/personal --output data/tokens-after", folder=folder)
        for text, before, after in (
            (f"{arguments.person}, held out", "data/tokens-before", "data/tokens-personal"),
            ("all other, test split", "data/tokens", "data/tokens-after"),
        ):
            rows[text] = [
                *measured("models/training", before, folder=folder),
                *measured("models/personal", after, folder=folder),
            ]
    table = rich.table.Table(title=f"train --init {arguments.options}".strip())
    for heading in ("text", "tokens", "model", "unknown", "perplexity", "top-3", "keys saved"):
        table.add_column(heading, justify="left" if heading in ("text", "model") else "right")
    for text, models in rows.items():
        names = ("before", "before, reading", "after", "after, reading")
        for name, found in zip(names, models, strict=True):
            table.add_row(
                *(text, f"{found['tokens']:,}", name),
                f"{found['oov_rate']:.1%}",
                f"{found['perplexity']:.1f}",
                f"{found['top_3']:.1%} ({found['top_3_low']:.1%}–{found['top_3_high']:.1%})",
                f"{found['keystroke_savings']:.1%}",
            )
        change = 100 * (models[2]["top_3"] - models[0]["top_3"])
        saved = 100 * (models[2]["keystroke_savings"] - models[0]["keystroke_savings"])
        table.add_row("", "", "change, points", "", "", f"{change:+.1f}", f"{saved:+.1f}")
        table.add_section()
    rich.console.Console(width=130).print(table)


if __name__ == "__main__":
    main()
