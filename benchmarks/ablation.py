"""What each idea for a better model is worth: one change at a time, everything else equal.

    python benchmarks/ablation.py [--tokens data/tokens] [--only NAME …] [--csv FILE] [--options …]

Each row trains the preset `quick` with one change, from the same seed, over the same text as
often, by the commands that anybody would type. "CPU" tells what its training costs beside the
preset's, in seconds of CPU, so a row that takes longer has to be worth it.
"""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

import pandas as pd
import rich.console
import rich.table
from command import nextword

# Options added to the preset, and the paper they come from.
CHANGES = {
    "quick": ("", ""),
    "no dropout": ("--dropout 0", "Zaremba et al. 2014"),
    "untied": ("--tied false", "Press & Wolf 2017; Inan et al. 2017"),
    "no warm-up": ("--warmup 0", "Goyal et al. 2017"),
    "cosine": ("--schedule cosine", "Loshchilov & Hutter 2017"),
    "variational": ("--variational true", "Gal & Ghahramani 2016"),
    "word dropout": ("--word-dropout 0.1", "Gal & Ghahramani 2016"),
    "weight dropout": ("--weight-dropout 0.3", "Merity et al. 2018"),
    "AR, TAR": (
        "--activation-regularization 2 --temporal-regularization 1",
        "Merity et al. 2018",
    ),
    "averaging": ("--averaging 0.99", "Polyak & Juditsky 1992"),
    "no mogrifier": ("--mogrifier 0", "Melis et al. 2020"),
    "two layers": ("--layers 2", ""),
    "512 units": ("--units 512", ""),
    "gru": ("--cell gru", "Cho et al. 2014"),
    "simple_rnn": ("--cell simple_rnn", "Elman 1990"),
    "feedforward": ("--cell feedforward", "Bengio et al. 2003"),
}


def row(name: str, *, tokens: Path, options: str, folder: Path) -> dict[str, float]:
    """Train and measure one model."""
    change, _ = CHANGES[name]
    output = folder / name.replace(" ", "_").replace(",", "")
    common = f"--tokens {shlex.quote(str(tokens))}"
    cpu = nextword(f"train {common} {change} {options} --output {output}", folder=folder)
    nextword(f"evaluate {common} --training {output} --output {output}.evaluation", folder=folder)
    metrics = json.loads(Path(f"{output}.evaluation", "metrics.json").read_text())
    cell = json.loads((output / "model.json").read_text())["cell"]
    history = pd.read_csv(output / "history.csv")
    return {
        "cpu": cpu,
        "train": history["train_perplexity"].iloc[-1],
        "valid": metrics["valid"][cell]["perplexity"],
        "test": metrics["test"][cell]["perplexity"],
        "top_3": metrics["test"][cell]["top_3"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--only", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--options", default="", help="more options of `nextword train`, for all")
    parser.add_argument("--csv", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in dict.fromkeys(["quick", *arguments.only]):
            rows[name] = row(
                name,
                tokens=arguments.tokens.resolve(),
                options=arguments.options,
                folder=Path(temporary),
            )
            print(f"{name}: test perplexity {rows[name]['test']:.1f}", file=sys.stderr, flush=True)
            frame = pd.DataFrame(
                {"change": key, "options": CHANGES[key][0], **found} for key, found in rows.items()
            )
            frame["cpu"] /= rows["quick"]["cpu"]
            if arguments.csv:
                frame.to_csv(arguments.csv, index=False)
    table = rich.table.Table(title=f"preset quick {arguments.options}".strip())
    for heading in ("change", "options", "training", "validation", "test", "top-3", "CPU"):
        table.add_column(heading, justify="left" if heading in ("change", "options") else "right")
    for found in frame.to_dict("records"):
        table.add_row(
            *(found["change"], found["options"]),
            *(f"{found[key]:.1f}" for key in ("train", "valid", "test")),
            f"{found['top_3']:.1%}",
            f"{found['cpu']:.2f} ×",
        )
    rich.console.Console(width=130).print(table)


if __name__ == "__main__":
    main()
