"""The files around the code: MLproject, documents, the sample corpus; and what Windows lacks."""

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.core import ParameterSource
from conftest import ROOT
from mlflow.projects._project_spec import load_project
from mlflow.utils.environment import _PythonEnv

from pipeline.cli import main
from pipeline.explain.config import ExplanationConfig

PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
DOCUMENTS = sorted(p.relative_to(ROOT) for f in ("", "[a-z]*/") for p in ROOT.glob(f"{f}*.md"))
IMPORT_ALL_AS_ON_WINDOWS = """
import importlib, os, pkgutil, sys

def import_all():
    import pipeline
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    return {name for name in sys.modules if name.split(".")[0] == "pipeline"}

for name in import_all():  # and with it the libraries, which may use these modules on Linux
    del sys.modules[name]
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None  # an import fails
del os.getuid, os.sysconf
print(len(import_all()))
"""


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


def test_mlflow_run_makes_an_environment_with_the_python_that_it_runs_on():
    environment = _PythonEnv.from_yaml(load_project(ROOT).env_config_path)
    assert environment.python == platform.python_version()
    assert environment.dependencies == ["-c constraints.txt", ".[lexicon]"]


def test_every_stage_has_an_entry_point():
    assert set(PROJECT["entry_points"]) == {"main", *main.commands} - {
        *("run", "corpora", "devices", "compare", "demo", "personal", "promote", "verify")
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


@pytest.mark.slow
def test_every_module_can_be_imported_where_windows_modules_are_missing():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_AS_ON_WINDOWS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len([*(ROOT / "pipeline").rglob("*.py")]) - 1  # __main__


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    prose = re.sub("```.*?```", "", text, flags=re.DOTALL)  # in code, a call may look like a link
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / document).parent / path if path else ROOT / document
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings], target


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_files_named_in_documents_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"\b(?:pipeline|tests|benchmarks|docs)/[\w./-]+\.\w+\b", text)
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_in_documents_have_their_options(document):
    text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", "")
    for line in re.findall(r"^(?:    |\$ )nextword ([a-z]+ .*)$", text, re.MULTILINE):
        name, *words = shlex.split(line, comments=True)
        command = main.commands[name]
        command.make_parser(click.Context(command)).parse_args(words)  # or NoSuchOption


# Sections of README.md that the Portuguese one leaves out.
FOR_DEVELOPERS = {"Code map"}


def _readme(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    sections = re.split("^## ", text, flags=re.MULTILINE)
    return "## ".join(s for s in sections if s.partition("\n")[0] not in FOR_DEVELOPERS)


def _commands(readme: str) -> set[tuple[str, str]]:
    """Each command of the console blocks with each option and extra that its line names."""
    found = set()
    for block in re.findall("```console\n(.*?)```", readme, re.DOTALL):
        for line in re.findall(r"^\$ (.+)$", block, re.MULTILINE):
            command = re.match(r"(?:(?:make|mlflow|nextword) )?\S+", line)[0]
            options = re.findall(r"(?<!\S)--?[A-Za-z][\w-]*|\.\[\w+\]", line)
            found |= {(command, option) for option in ("", *options)}
    return found


def test_the_portuguese_readme_has_all_that_the_english_one_has():
    english, portuguese = map(_readme, ("README.md", "README.pt-BR.md"))
    commands = _commands(english)
    assert {("nextword compare", ""), ("nextword train", "--speaker")} <= commands
    assert not commands - _commands(portuguese)
    for pattern in (
        r"(?<![\w-])--[a-z][a-z-]+",  # options in the text
        r"\]\(((?!README)[^)\s]+)\)",  # links
        r"```(?:powershell|python)\n.*?```",
    ):
        said = re.findall(pattern, english, re.DOTALL)
        assert said
        assert not {*said} - {*re.findall(pattern, portuguese, re.DOTALL)}


def test_code_map_shows_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Code map\n")[2]
    folders, mapped = [], set()
    for spaces, name in re.findall(r"^( {4,})(\S+)(?:  |$)", text, re.MULTILINE):
        depth = len(spaces) // 2 - 2
        folders[depth:] = [name]
        path = ROOT.joinpath(*folders)
        assert path.is_dir() if name.endswith("/") else path.is_file(), path
        mapped.add(path)
    packages = {file.parent for file in ROOT.glob("pipeline/*/__init__.py")}
    assert packages <= mapped
