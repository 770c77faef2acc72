"""The files around the code: MLproject, the sample corpus, the promise of no special case."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.core import ParameterSource
from mlflow.projects._project_spec import load_project

from pipeline.cli import main
from pipeline.explain.config import ExplanationConfig

ROOT = Path(__file__).parents[1]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


@pytest.mark.parametrize("entry", PROJECT["entry_points"])
def test_defaults_of_mlproject_are_those_of_the_command_line(entry):
    point = PROJECT["entry_points"][entry]
    command = main.commands["run" if entry == "main" else entry]
    options = {p.name: p for p in command.params}
    assert point["command"].split()[3] == command.name
    for name, parameter in point.get("parameters", {}).items():
        assert f"{{{name}}}" in point["command"]
        if "default" not in parameter:
            assert options[name].required
            continue
        default = options[name].default
        assert default not in ("", ())  # MLflow would show that nothing was used
        given = parameter["default"]
        if isinstance(default, Path):
            given = Path(given)
        if isinstance(default, tuple):
            given = (given,)
        assert given == default
        assert type(given) is type(default) or isinstance(given, Path)


@pytest.mark.parametrize("entry", PROJECT["entry_points"])
def test_mlflow_run_sets_every_option(entry):
    command = main.commands["run" if entry == "main" else entry]
    taken = [p for p in command.params if not getattr(p, "is_flag", False)]
    options = {p.opts[0].removeprefix("--"): p for p in taken}
    for spelled in (lambda name: name, lambda name: name.replace("-", "_")):
        asked = {spelled(name): "a b" for name in options}
        words = shlex.split(load_project(ROOT).get_entry_point(entry).compute_command(asked, None))
        assert words[:4] == ["python", "-m", "pipeline.cli", command.name]
        # Resilient: "a b" is not what most of them take.
        context = command.make_context(command.name, words[4:], resilient_parsing=True)
        for option in options.values():
            assert context.get_parameter_source(option.name) == ParameterSource.COMMANDLINE
        assert not context.args


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
        if path == ROOT / "pipeline/explain/config.py":  # what `explain` looks at
            text = text.replace(ExplanationConfig().sentence, "")
        assert not sentence.search(text), path
