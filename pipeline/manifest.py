"""Stages that are skipped when nothing they depend on has changed.

The folder that a stage writes holds a manifest.json: digests of what went in (files,
parameters, code) and of what came out. A stage writes beside its folder and is renamed into
place when it is done, so a failure never costs what was there before: a run that dies between
the two renames leaves a whole folder beside the place, and the next run puts it back.
"""

import ast
import contextlib
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import filelock

from pipeline import InputError

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
# What a stage was asked for, and what one that can go on needs to do so: neither is left of it
# when it is done.
_STARTED = "started.json"
RESUME = "resume"
_PARTIAL = ".partial"
_PACKAGE = Path(__file__).parent
# Modules and libraries that stages import and that change nothing of what they write.
_WITHOUT_EFFECT = frozenset(
    {
        "pipeline.manifest",  # whether a stage runs; `digest`, which some write, is in each record
        "pipeline.progress",  # what is shown meanwhile
        # What options hold is in each record; how they are explained changes nothing.
        "pipeline.option",
        *(f"pipeline.{room}.config" for room in "tokens model training evaluation explain".split()),
        "rich",
        "psutil",  # how much memory there is
        "filelock",  # who writes
        "pooch",  # downloads, whose SHA-256 is known
        "requests",
        "urllib3",
    }
)
# Files of a room that its code reads.
_DATA = (".html", ".css", ".toml")
_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def digest(files: Iterable[Path | str], *, without: Collection[str] = ()) -> str:
    """SHA-256 over the names and contents of files, and of all files in folders.

    What is no file is given as a string that changes with it.

    Names count from the last folder that holds all of them: a move of the whole changes
    nothing, a move within it does. The manifest of a folder is left out, what else in it is
    named by `without`, and what does not exist.
    """
    files = list(files)
    places = [Path(os.path.abspath(place)) for place in files if isinstance(place, Path)]
    roots = [place.parts if place.is_dir() else place.parent.parts for place in places]
    common = len(os.path.commonprefix(roots))  # noqa: RUF071, of tuples: whole names
    left_out = {MANIFEST, *without}
    total = hashlib.sha256("".join(f"{n}\n" for n in files if isinstance(n, str)).encode())
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            top = path.relative_to(place).parts[:1]
            if path.is_file() and left_out.isdisjoint(top):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                total.update(f"{'/'.join(path.parts[common:])} {content}\n".encode())
    return total.hexdigest()


def _parse(path: Path) -> ast.Module:
    """What a file of source does, without comments, docstrings, layout, and imports for types."""
    module = ast.parse(path.read_bytes())
    for node in ast.walk(module):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            del node.body[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) in _TYPES_ONLY:
            node.body.clear()
    return module


def _imports(module: ast.Module) -> set[str]:
    """The modules that a module imports, with the packages they lie in."""
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {prefix for name in names for prefix in accumulate(name.split("."), "{}.{}".format)}


def _sources(path: Path, found: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    """A file of source and all modules of this package that it imports, directly or indirectly."""
    if path not in found:
        found[path] = _parse(path)
        for name in _imports(found[path]) - _WITHOUT_EFFECT:
            place = _PACKAGE.parent.joinpath(*name.split("."))
            for source in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                if name.split(".")[0] == _PACKAGE.name and source.is_file():
                    _sources(source, found)
    return found


_distributions = functools.cache(importlib.metadata.packages_distributions)


def code_version(function: Callable[..., Any]) -> dict[str, str]:
    """What decides, of the code that a stage runs, what it writes.

    Returns:
        SHA-256 of its module, of those that it imports here, directly or indirectly, and of the
        data beside them, by path; versions of the libraries that they import, by name.
    """
    sources = _sources(Path(str(sys.modules[function.__module__].__file__)), {})
    contents = {path: ast.dump(module).encode() for path, module in sources.items()}
    folders = {path.parent for path in sources}
    data = [path for folder in folders for path in folder.iterdir() if path.suffix in _DATA]
    contents |= {path: path.read_bytes() for path in data}
    root = os.path.commonpath(folders)
    code = {
        path.relative_to(root).as_posix(): hashlib.sha256(contents[path]).hexdigest()
        for path in sorted(contents)
    }
    imported = set[str]().union(*map(_imports, sources.values()))
    imported -= _WITHOUT_EFFECT | {_PACKAGE.name}
    libraries = {name for top in imported for name in _distributions().get(top, ())}
    return code | {name: importlib.metadata.version(name) for name in sorted(libraries)}


def run_stage(
    function: Callable[..., None],
    *,
    reads: Iterable[Path | str],
    output: Path,
    parameters: Mapping[str, Any],
    force: bool = False,
    resume: bool | None = None,
    **callbacks: Callable[..., None],
) -> bool:
    """Run a stage unless its folder already holds what it would write.

    Args:
        function: called with `parameters`, `callbacks` and `output`, a folder to write into.
        reads: files and folders whose contents matter, and names of what is elsewhere that change
            with it.
        output: where that folder is moved to when the function returns.
        parameters: JSON values, paths, and dataclasses of such; they decide, with `reads` and the
            code, whether the stage is current.
        force: run even if it is, and even if a run that broke off lies there.
        resume: of a stage that can go on where it broke off: go on, or begin anew; None for any
            other stage, which always begins anew. Where only code has changed it goes on with a
            warning, and the manifest tells what has, as `changed`.

    Returns:
        Whether it ran.

    Raises:
        InputError: `output` is something that this stage has not made, or it is, holds or lies
            in what the stage reads; another process is writing it; or a run broke off that is
            not asked to go on, or cannot.
    """
    output, reads = output.resolve(), list(reads)  # a link stays, what it leads to is replaced
    for read in (read.resolve() for read in reads if isinstance(read, Path)):
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

        started = _read(partial / _STARTED) if resume and not force else None
        changed: list[str] = []
        if started:
            now = _changed(partial, started, record)
            changed = [*dict.fromkeys([*started.get("changed", ()), *now])]
            _write(partial / _STARTED, {**started, "changed": changed})
        else:
            if resume is False and not force and (partial / _STARTED).exists():
                raise InputError(
                    f"{partial} holds an interrupted run: continue with --resume, or start over "
                    "with --force."
                )
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _write(partial / _STARTED, record)
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
        if changed:
            manifest["changed"] = changed
        _write(partial / MANIFEST, manifest)
        _replace(output, partial)
        return True


@contextlib.contextmanager
def _only_writer(output: Path) -> Iterator[None]:
    """Hold a folder against other processes, by a file beside it that is there meanwhile.

    Raises:
        InputError: one of them is writing it.
    """
    lock = filelock.FileLock(f"{partial_of(output)}.lock", blocking=False)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise InputError(
            f"Another nextword is writing {output}: wait for it, or name another folder."
        ) from error
    try:
        yield
    finally:
        # While nobody else has it; Windows deletes it afterwards, by itself.
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def is_current(
    function: Callable[..., None],
    *,
    reads: Iterable[Path | str],
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
    function: Callable[..., None], reads: Iterable[Path | str], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        is_config = dataclasses.is_dataclass(value) and not isinstance(value, type)
        flat |= dataclasses.asdict(value) if is_config else {name: value}
    return {
        "stage": function.__name__,
        "parameters": json.loads(json.dumps(flat, default=str)),
        "inputs": digest(reads),
        "code": code_version(function),
    }


def _is_current(output: Path, record: Mapping[str, Any]) -> bool:
    made = _read_manifest(output)
    if made is None:
        return False
    current = {**record, "outputs": digest([output])}
    return all(made.get(key) == value for key, value in current.items())


def _changed(partial: Path, started: dict[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The code that has changed since a run began, which broke off and is to go on.

    Raises:
        InputError: it was asked for something else.
    """
    asked = _differing(started["parameters"], record["parameters"])
    changed = [f"--{name.replace('_', '-')}" for name in asked]
    changed += [key for key in ("stage", "inputs") if started[key] != record[key]]
    if changed:
        raise InputError(
            f"{partial} cannot be resumed: {', '.join(changed)} changed since it began: change it "
            "back, or start over with --force."
        )
    before = started["code"] if isinstance(started["code"], dict) else {}  # it was one digest once
    changed = _differing(before, record["code"])
    if changed:
        log.warning(
            "%s goes on with other code than it began with: %s.", partial, ", ".join(changed)
        )
    return changed


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    return _read(folder / MANIFEST)


def _read(manifest: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "stage" in told else None


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


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
