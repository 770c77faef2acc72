"""Stages that are skipped when nothing they depend on has changed.

The folder that a stage writes holds a manifest.json: digests of what went in (files,
parameters, code) and of what came out. A stage writes beside its folder and is renamed into
place when it is done, so a failure never costs what was there before: a run that dies between
the two renames leaves a whole folder beside the place, and the next run puts it back.
"""

import ast
import contextlib
import datetime
import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import InputError

MANIFEST = "manifest.json"
# What a stage was asked for, and what one that can go on needs to do so: neither is left of it
# when it is done.
_STARTED = "started.json"
RESUME = "resume"
_PARTIAL = ".partial"
# Libraries whose version changes what a stage writes.
_LIBRARIES = ("tensorflow", "keras", "pandas", "numpy")
_PACKAGE = Path(__file__).parent
# Files of a room that its code reads.
_DATA = (".html", ".css", ".toml")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def digest(files: Iterable[Path], *, without: Collection[str] = ()) -> str:
    """SHA-256 over the names and contents of files, and of all files in folders.

    Names count from the last folder that holds all of them: a move of the whole changes
    nothing, a move within it does. The manifest of a folder is left out, what else in it is
    named by `without`, and what does not exist.
    """
    places = [Path(os.path.abspath(place)) for place in files]
    roots = [place.parts if place.is_dir() else place.parent.parts for place in places]
    common = len(os.path.commonprefix(roots))  # noqa: RUF071, of tuples: whole names
    left_out = {MANIFEST, *without}
    total = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            top = path.relative_to(place).parts[:1]
            if path.is_file() and left_out.isdisjoint(top):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                total.update(f"{'/'.join(path.parts[common:])} {content}\n".encode())
    return total.hexdigest()


def _parse(path: Path) -> ast.Module:
    """What a file of source does: comments, docstrings and layout are left out."""
    module = ast.parse(path.read_bytes())
    for node in ast.walk(module):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            del node.body[0]
    return module


def _imports(module: ast.Module) -> Iterator[Path]:
    """The modules of this package that a module imports."""
    for node in ast.walk(module):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            place = _PACKAGE.parent.joinpath(*name.split("."))
            for source in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                if name.split(".")[0] == _PACKAGE.name and source.is_file():
                    yield source


def _sources(path: Path, found: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    """A file of source and all modules of this package that it imports, near and far."""
    if path not in found:
        found[path] = _parse(path)
        for imported in _imports(found[path]):
            _sources(imported, found)
    return found


def code_version(function: Callable[..., Any]) -> str:
    """SHA-256 over the code a stage runs: its module, what that imports here, the libraries."""
    sources = _sources(Path(str(sys.modules[function.__module__].__file__)), {})
    beside = {p for s in sources for p in s.parent.iterdir() if p.suffix in _DATA}
    parts = [f"{name}=={importlib.metadata.version(name)}" for name in _LIBRARIES]
    root = os.path.commonpath([path.parent for path in sources])
    parts += [f"{path.relative_to(root)} {ast.dump(sources[path])}" for path in sorted(sources)]
    return hashlib.sha256("\n".join([digest(sorted(beside)), *parts]).encode()).hexdigest()


def run_stage(
    function: Callable[..., None],
    *,
    reads: Iterable[Path],
    output: Path,
    parameters: Mapping[str, Any],
    force: bool = False,
    resume: bool | None = None,
    **callbacks: Callable[..., None],
) -> bool:
    """Run a stage unless its folder already holds what it would write.

    Args:
        function: called with `parameters`, `callbacks` and `output`, a folder to write into.
        reads: files and folders whose contents matter.
        output: where that folder is moved to when the function returns.
        parameters: JSON values and paths; they decide, with `reads` and the code, whether the
            stage is current.
        force: run even if it is, and even if a run that broke off lies there.
        resume: of a stage that can go on where it broke off: go on, or begin anew; None for any
            other stage, which always begins anew.

    Returns:
        Whether it ran.

    Raises:
        InputError: `output` is something that this stage has not made, or it is, holds or lies
            in what the stage reads; another process is writing it; or a run broke off that is
            not asked to go on, or cannot.
    """
    output, reads = output.resolve(), list(reads)  # a link stays, what it leads to is replaced
    for read in map(Path.resolve, reads):
        if output == read or output in read.parents or read in output.parents:
            raise InputError(f"{output} cannot be written, {read} is read from: name another.")
    with _only_writer(output):
        partial = partial_of(output)
        _recover(output, partial)
        record = _record(function, reads, parameters)
        made = _read_manifest(output)
        if made is None and output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise InputError(
                f"{output} was not made by nextword and will not be replaced: name another."
            )
        if made and made["stage"] != record["stage"]:
            raise InputError(
                f"{output} holds what {made['stage']} has made and will not be replaced by "
                f"{record['stage']}: name another."
            )
        if not force and _is_current(output, record):
            return False

        if not (resume and not force and _goes_on(partial, record)):
            if resume is False and not force and (partial / _STARTED).exists():
                raise InputError(
                    f"{partial} holds an interrupted run: continue with --resume, or start over "
                    "with --force."
                )
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            (partial / _STARTED).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        try:
            function(output=partial, **parameters, **callbacks)
        except BaseException:
            # What a long stage had reached stays; an empty folder would help nobody.
            if [path.name for path in partial.iterdir()] == [_STARTED]:
                shutil.rmtree(partial)
            raise
        outputs = digest([partial], without=(_STARTED, RESUME))
        made_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        manifest = {**record, "outputs": outputs, "made": made_at}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        _replace(output, partial)
        return True


@contextlib.contextmanager
def _only_writer(output: Path) -> Iterator[None]:
    """Hold a folder against other processes of this user on this machine.

    Raises:
        InputError: one of them is writing it.
    """
    place = hashlib.sha256(os.fsencode(output)).hexdigest()[:16]
    lock = Path(tempfile.gettempdir(), f"nextword-{os.getuid()}-{place}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"Another nextword is writing {output}: wait for it, or name another folder."
            ) from error
        yield


def is_current(
    function: Callable[..., None],
    *,
    reads: Iterable[Path],
    output: Path,
    parameters: Mapping[str, Any],
) -> bool:
    """Whether `run_stage` would skip a stage."""
    return _is_current(output, _record(function, reads, parameters))


def partial_of(output: Path) -> Path:
    """The folder in which a stage writes before it takes its place."""
    return output.with_name(output.name + _PARTIAL)


def place_of(partial: Path) -> Path:
    """The folder whose place is taken by the one in which a stage writes."""
    return partial.with_name(partial.name.removesuffix(_PARTIAL))


def _record(
    function: Callable[..., None], reads: Iterable[Path], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "stage": function.__name__,
        "parameters": json.loads(json.dumps(parameters, default=str)),
        "inputs": digest(reads),
        "code": code_version(function),
    }


def _is_current(output: Path, record: Mapping[str, Any]) -> bool:
    made = _read_manifest(output)
    if made is None:
        return False
    current = {**record, "outputs": digest([output])}
    return all(made.get(key) == value for key, value in current.items())


def _goes_on(partial: Path, record: Mapping[str, Any]) -> bool:
    """Whether a run broke off that was asked for the same.

    Raises:
        InputError: it was asked for something else.
    """
    try:
        started = json.loads((partial / _STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    changed = [key for key in record if started.get(key) != record[key]]
    if "parameters" in changed:
        before, now = started["parameters"], record["parameters"]
        changed = [f"--{key.replace('_', '-')}" for key in now if before.get(key) != now[key]]
    if changed:
        raise InputError(
            f"{partial} cannot be resumed: {', '.join(changed)} changed since it began: change it "
            "back, or start over with --force."
        )
    return True


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "stage" in manifest else None


def _recover(folder: Path, partial: Path) -> None:
    """Put back what a run that died in `_replace` has left beside its place, the newest first."""
    for left in (partial, _old(folder)):
        if not folder.exists() and _read_manifest(left):
            _clear(left)
            left.rename(folder)


def _clear(finished: Path) -> None:
    """Remove what a stage has needed to go on."""
    shutil.rmtree(finished / RESUME, ignore_errors=True)
    (finished / _STARTED).unlink(missing_ok=True)


def _old(folder: Path) -> Path:
    return folder.with_name(folder.name + ".old")


def _replace(folder: Path, new: Path) -> None:
    """Move a finished folder to its place; what stood there goes only afterwards."""
    shutil.rmtree(_old(folder), ignore_errors=True)
    _clear(new)
    if folder.exists():
        folder.rename(_old(folder))
    new.rename(folder)
    shutil.rmtree(_old(folder), ignore_errors=True)
