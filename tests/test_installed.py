"""What is installed has no known hole, and nothing of it runs what it reads."""

import ast
import re
import tomllib

import pytest
from conftest import ROOT
from packaging.version import Version

HOLES = tomllib.loads((ROOT / "tests" / "vulnerable.toml").read_text(encoding="utf-8"))["hole"]


def versions(constraints: str) -> dict[str, Version]:
    """The version of each package of lines package==version."""
    rows = (line.partition("#")[0].strip().split("==") for line in constraints.splitlines())
    return {name.lower(): Version(version) for name, version in (row for row in rows if row[0])}


def holes(constraints: str) -> list[str]:
    """The numbers of the known holes that pinned versions have."""
    pinned = versions(constraints)
    return [
        hole["number"]
        for hole in HOLES
        if pinned.get(hole["package"].lower(), Version(hole["fixed"])) < Version(hole["fixed"])
    ]


def test_no_constraint_has_a_known_hole():
    assert holes((ROOT / "constraints.txt").read_text(encoding="utf-8")) == []


def test_a_constraint_below_the_fixed_version_is_found():
    for hole in HOLES:
        before = f"{hole['package']}=={hole['fixed']}rc1"
        assert hole["number"] in holes(before), hole
        assert hole["number"] not in holes(f"{hole['package']}=={hole['fixed']}"), hole


def test_each_known_hole_says_of_what_it_is():
    pinned = versions((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    for hole in HOLES:
        assert hole["package"].lower() in pinned, "not installed any more: take the hole out"
        assert re.fullmatch(r"CVE-\d{4}-\d{4,6}|GHSA(-[0-9a-z]{4}){3}", hole["number"])
        assert hole["what"]
        assert hole["source"].startswith("https://")
    assert len({hole["number"] for hole in HOLES}) == len(HOLES)


def test_the_container_installs_what_was_tested_as_an_ordinary_user():
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    user = lines.index("USER 1000")
    installs = [i for i, line in enumerate(lines) if "pip install" in line]
    assert installs
    for i in installs:
        assert i > user
        assert "-c constraints.txt" in lines[i]
    assert not any(line.startswith("USER") for line in lines[user + 1 :])
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for path in ("constraints.txt", "setup.py", "README.md", "MLproject", "pipeline"):
        assert f"!{path}" in ignored
        assert (ROOT / path).exists()


# Pickle

# These run code that the file they read holds.
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# So do these, wherever they come from.
CALLS = {
    "read_pickle",
    "to_pickle",
    "unsafe_load",
    "full_load",
    "load_all",
    "enable_unsafe_deserialization",
}


def running(source: str) -> list[str]:
    """What in a module may run what it reads, a line each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            found += [name for name in modules if name.split(".")[0] in PICKLES]
        elif isinstance(node, ast.Call):
            found += _running_call(node)
    return found


def _running_call(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if said.get("allow_pickle", "False") != "False" or said.get("safe_mode", "True") != "True":
        return [ast.unparse(call)]
    if name.split(".")[-1] in CALLS or name in {"eval", "exec", "__import__", "torch.load"}:
        return [ast.unparse(call)]
    if name == "yaml.load" or (name.endswith("import_module") and "pickle" in ast.unparse(call)):
        return [ast.unparse(call)]
    return []


def test_no_module_reads_a_pickle():
    sources = {p: p.read_text(encoding="utf-8") for p in (ROOT / "pipeline").rglob("*.py")}
    assert len(sources) > 100
    assert {p: found for p, source in sources.items() if (found := running(source))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import os, joblib.memory as m", "from cloudpickle import loads",
        "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=trusted)",
        "keras.models.load_model(path, safe_mode=False)", "pd.read_pickle(path)",
        "torch.load(path)", "yaml.load(text)", "yaml.unsafe_load(text)", "eval(text)",
        "importlib.import_module('pickle')",
        "keras.config.enable_unsafe_deserialization()",
    ],
)  # fmt: skip
def test_what_reads_a_pickle_is_found(source):
    assert running(source)
