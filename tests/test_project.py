"""The files around the code: MLproject, the sample corpus, the promise of no special case."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.cli import main

ROOT = Path(__file__).parents[1]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


@pytest.mark.parametrize("entry", PROJECT["entry_points"])
def test_defaults_of_mlproject_are_those_of_the_command_line(entry):
    point = PROJECT["entry_points"][entry]
    command = main.commands["run" if entry == "main" else entry]
    options = {p.name: p for p in command.params}
    assert point["command"].split()[3] == command.name
    for name, parameter in point["parameters"].items():
        assert f"{{{name}}}" in point["command"]
        if "default" not in parameter:
            assert options[name].required
            continue
        default = options[name].default
        if isinstance(default, tuple):
            default = " ".join(default)
        given = parameter["default"]
        if isinstance(default, Path):
            given = Path(given)
        assert given == default
        assert type(given) is type(default) or isinstance(given, Path)
    # What a person can set at the command line, `mlflow run -P` can set too.
    left_out = set(options) - set(point["parameters"])
    assert left_out <= {"force", "resume", "baselines", "models"}


def test_every_stage_has_an_entry_point():
    assert set(PROJECT["entry_points"]) == {"main", *main.commands} - {
        *("run", "corpora", "devices", "compare", "demo")
    }


def test_the_lecture_sentence_is_nowhere_it_could_be_learned_from():
    sentence = re.compile(r"matias|gostava de beber", re.IGNORECASE)
    files = [*(ROOT / "data/sample").rglob("*.txt"), *(ROOT / "pipeline").rglob("*.py")]
    assert len(files) > 100
    for path in files:
        text = path.read_text(encoding="utf-8")
        if path.name == "options.py":  # where it is what `explain` looks at
            text = re.sub(r'option\("--sentence", "[^"]*"', "", text)
        assert not sentence.search(text), path
