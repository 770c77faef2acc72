"""Stages that are skipped when nothing they depend on has changed.

The folder that a stage writes holds a manifest.json: digests of what went in (files,
parameters, code) and of what came out. A stage writes beside its folder and is renamed into
place when it is done, so a failure never costs what was there before.
"""

import ast
import datetime
import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline import InputError

MANIFEST = "manifest.json"
# Libraries whose version changes what a stage writes.
_LIBRARIES = ("tensorflow", "keras", "pandas", "numpy")


def digest(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files, and of all files in folders."""
    total = hashlib.sha256()
    for place in files:
        root = place if place.is_dir() else place.parent
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and path.name != MANIFEST:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                total.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _sources(module: str, seen: set[str]) -> set[str]:
    """Names of a module of this package and of all of its modules that it imports."""
    if module in seen:
        return seen
    seen.add(module)
    text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline."):
            _sources(node.module.removeprefix("pipeline."), seen)
    return seen


def code_version(function: Callable[..., Any]) -> str:
    """SHA-256 over the code a stage runs: its module, what that imports here, the libraries."""
    modules = sorted(_sources(function.__module__.removeprefix("pipeline."), set()))
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in _LIBRARIES]
    sources = digest(Path(__file__).parent / f"{module}.py" for module in modules)
    return hashlib.sha256("\n".join([sources, *versions]).encode()).hexdigest()


def run_stage(
    function: Callable[..., None],
    *,
    reads: Iterable[Path],
    output: Path,
    parameters: Mapping[str, Any],
    force: bool = False,
    **callbacks: Callable[..., None],
) -> bool:
    """Run a stage unless its folder already holds what it would write.

    Args:
        function: called with `parameters`, `callbacks` and `output`, a folder to write into.
        reads: files and folders whose contents matter.
        output: where that folder is moved to when the function returns.
        parameters: JSON values and paths; they decide, with `reads` and the code, whether the
            stage is current.
        force: run even if it is.

    Returns:
        Whether it ran.

    Raises:
        InputError: `output` is something this project has not made.
    """
    record = {
        "stage": function.__name__,
        "parameters": json.loads(json.dumps(parameters, default=str)),
        "inputs": digest(reads),
        "code": code_version(function),
    }
    made = _read_manifest(output)
    if made is None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} was not made by nextword and will not be replaced: name another.")
    if made and not force:
        current = {**record, "outputs": digest([output])}
        if all(made.get(key) == value for key, value in current.items()):
            return False

    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        function(output=partial, **parameters, **callbacks)
    except BaseException:
        # What a long stage had reached stays; an empty folder would help nobody.
        if not any(partial.iterdir()):
            partial.rmdir()
        raise
    made_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    manifest = {**record, "outputs": digest([partial]), "made": made_at}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _replace(output, partial)
    return True


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "stage" in manifest else None


def _replace(folder: Path, new: Path) -> None:
    """Move a finished folder to its place; what stood there goes only afterwards."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
