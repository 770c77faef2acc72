"""Stages that are skipped when nothing they depend on has changed.

The output folder of a stage holds a manifest.json: digests of its inputs (files, parameters, code)
and of its outputs. A stage writes into a folder beside it, which is renamed when the stage is done,
so a failure never destroys an earlier result: if a run dies between the two renames, the next run
moves the complete folder back. What is renamed is on the disk first, so a power cut does no more.
"""

import ast
import contextlib
import dataclasses
import datetime
import errno
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
from typing import Any, NamedTuple

import filelock

from pipeline import InputError
from pipeline.limits import check_file

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
# The record of an unfinished run, and what its stage needs to resume; both are deleted at the end.
_STARTED = "started.json"
RESUME = "resume"
_PARTIAL = ".partial"
_PACKAGE = Path(__file__).parent
# Modules and libraries that stages import but that do not change their outputs.
_WITHOUT_EFFECT = frozenset(
    {
        "pipeline.manifest",  # the digests that it computes are in each record
        "pipeline.progress",  # only what is shown
        "pipeline.limits",  # what it refuses has no output
        # The values of options are in each record; their help changes nothing.
        "pipeline.config",
        *(f"pipeline.{room}.config" for room in "tokens model training evaluation".split()),
        *("pipeline.explain.config", "pipeline.export.config"),
        *("rich", "psutil", "filelock"),
        *("pooch", "requests", "urllib3"),  # downloads are checked by their SHA-256
    }
)
# Errors of file systems that cannot wait for the disk.
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_DATA = (".html", ".css", ".js", ".toml")  # suffixes of data files that code reads


def digest(files: Iterable[Path | str], *, without: Collection[str] = ()) -> str:
    """Return the SHA-256 of the names and contents of files, and of all files in folders.

    Names are relative to the deepest folder that holds all of them, so moving the whole changes
    nothing, and moving a part does.

    Args:
        files: paths, of which those that do not exist are skipped; and strings, for what is not
            a file, that change with it.
        without: names at the top of a folder to leave out, besides its manifest.
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


class _Source(NamedTuple):
    """What a source file says, without docstrings and imports for type checkers.

    Attributes:
        sha256: of its syntax tree.
        imports: names of the modules that it imports, and of their packages, without those that
            change no output.
    """

    sha256: str
    imports: frozenset[str]


@functools.cache  # a run has many stages, most of them of the same sources
def _parse(source: bytes) -> _Source:
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node):
                del node.body[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) in _TYPES_ONLY:
            node.body.clear()
    names = set[str]()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    prefixes = {prefix for name in names for prefix in accumulate(name.split("."), "{}.{}".format)}
    return _Source(_sha256(ast.dump(module).encode()), frozenset(prefixes - _WITHOUT_EFFECT))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sources(path: Path, found: dict[Path, _Source]) -> dict[Path, _Source]:
    """Parse a source file and the modules of this package it imports, directly or indirectly."""
    if path not in found:
        found[path] = _parse(path.read_bytes())
        for name in found[path].imports:
            place = _PACKAGE.parent.joinpath(*name.split("."))
            for source in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                if name.split(".")[0] == _PACKAGE.name and source.is_file():
                    _sources(source, found)
    return found


_distributions = functools.cache(importlib.metadata.packages_distributions)


def code_version(function: Callable[..., Any]) -> dict[str, str]:
    """Return the version of all code that a stage runs.

    Returns:
        By path, the SHA-256 of the stage's module, of the modules of this package that it imports,
        directly or indirectly, and of the data beside them; by name, the versions of the libraries
        that they import.
    """
    sources = _sources(Path(str(sys.modules[function.__module__].__file__)), {})
    folders = {path.parent for path in sources}
    data = [path for folder in folders for path in folder.iterdir() if path.suffix in _DATA]
    contents = {path: source.sha256 for path, source in sources.items()}
    contents |= {path: _sha256(path.read_bytes()) for path in data}
    root = os.path.commonpath(folders)
    code = {path.relative_to(root).as_posix(): contents[path] for path in sorted(contents)}
    imported = frozenset[str]().union(*(source.imports for source in sources.values()))
    imported -= {_PACKAGE.name}
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
    """Run a stage unless its output is current.

    Args:
        function: called with `parameters`, `callbacks` and `output`, a folder to write into.
        reads: files and folders that the stage reads, and strings that change with what it reads
            elsewhere.
        output: where that folder is moved when the function returns.
        parameters: JSON values, paths, and dataclasses of such; together with `reads` and the
            code they decide whether the output is current.
        force: run even if it is, and discard an interrupted run.
        resume: whether to resume an interrupted run; None for a stage that always starts anew. If
            only code has changed since, the run is resumed with a warning, and the manifest lists
            the changes as `changed`.

    Returns:
        Whether it ran.

    Raises:
        InputError: `output` was not made by this stage, or it is, holds or lies in what the stage
            reads; another process is writing it; or there is an interrupted run, and it cannot be
            resumed or `resume` is False.
    """
    output, reads = output.resolve(), list(reads)  # a link stays, its target is replaced
    for read in (read.resolve() for read in reads if isinstance(read, Path)):
        if output == read or output in read.parents or read in output.parents:
            raise InputError(f"{output} cannot be written, {read} is read from: name another.")
    with only_writer(output):
        partial = partial_of(output)
        _recover(output, partial)
        record = _record(function, reads, parameters)
        _check_replaceable(output, record["stage"])
        if not force and _is_current(output, record):
            return False
        # Only the renames were missing.
        if not force and _is_current(partial, record, without=(_STARTED, RESUME)):
            _replace(output, partial)
            return True

        started = _read(partial / _STARTED) if resume and not force else None
        if started:
            changed = _changed_code(partial, started, record)
            started["changed"] = [*dict.fromkeys([*started.get("changed", ()), *changed])]
        else:
            if resume is False and not force and (partial / _STARTED).exists():
                raise InputError(
                    f"{partial} holds an interrupted run: continue with --resume, or start over "
                    "with --force."
                )
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            started = record
        new = partial / f"{_STARTED}.new"  # the record of progress is whole at any time
        _write(new, started)
        new.replace(partial / _STARTED)
        try:
            function(output=partial, **parameters, **callbacks)
        except BaseException:
            # Keep the progress of a long stage, but not an empty folder.
            if [path.name for path in partial.iterdir()] == [_STARTED]:
                shutil.rmtree(partial)
            raise
        outputs = digest([partial], without=(_STARTED, RESUME))
        made_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        manifest = {**record, "outputs": outputs, "made": made_at}
        if started.get("changed"):
            manifest["changed"] = started["changed"]
        _finish(partial, manifest)
        _replace(output, partial)
        return True


def edit_output(
    function: Callable[..., None], *, output: Path, what: str, **parameters: Any
) -> None:
    """Change what a stage has made, all at once; the stage counts it as current as before.

    Args:
        function: called with `parameters` and `output`, a copy to change.
        output: the folder that the stage wrote.
        what: line for the `edits` of the manifest.

    Raises:
        InputError: `output` was not made by a stage, another process is writing it, or there is an
            interrupted run, which would replace it.
    """
    output = output.resolve()
    with only_writer(output):
        partial = partial_of(output)
        _recover(output, partial)
        manifest = _read(output / MANIFEST)
        if manifest is None:
            raise InputError(f"{output} was not made by nextword and will not be changed.")
        if (partial / _STARTED).exists():
            raise InputError(
                f"{partial} holds an interrupted run, which would undo this: continue it with "
                "--resume first, or delete that folder."
            )
        shutil.rmtree(partial, ignore_errors=True)
        try:
            # Without a manifest the copy is not taken for a finished one.
            shutil.copytree(output, partial, ignore=shutil.ignore_patterns(MANIFEST))
            function(output=partial, **parameters)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        edits = [*manifest.get("edits", ()), what]
        _finish(partial, {**manifest, "outputs": digest([partial]), "edits": edits})
        _replace(output, partial)


def _check_replaceable(output: Path, stage: str) -> None:
    made = _read(output / MANIFEST)
    if made is None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            f"{output} was not made by nextword and will not be replaced: name another."
        )
    if made and made["stage"] != stage:
        raise InputError(
            f"{output} holds what {made['stage']} has made and will not be replaced by {stage}: "
            "name another."
        )


@contextlib.contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Lock a folder, by a file beside it; raise an InputError if another process has."""
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
        # Before it is released; Windows deletes it by itself, afterwards.
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
    """Return whether `run_stage` would skip a stage."""
    return _is_current(output, _record(function, reads, parameters))


def partial_of(output: Path) -> Path:
    """Return the folder that a stage writes into, which is then renamed to `output`."""
    return output.with_name(output.name + _PARTIAL)


def place_of(partial: Path) -> Path:
    """Return the output folder that `partial` will be renamed to."""
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


def _is_current(output: Path, record: Mapping[str, Any], *, without: Collection[str] = ()) -> bool:
    made = _read(output / MANIFEST)
    return made is not None and made == {
        **made,
        **record,
        "outputs": digest([output], without=without),
    }


def _changed_code(partial: Path, started: dict[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Return which code has changed since a run began; an InputError if anything else has."""
    options = _differing(started["parameters"], record["parameters"])
    changed = [f"--{name.replace('_', '-')}" for name in options]
    changed += [key for key in ("stage", "inputs") if started[key] != record[key]]
    if changed:
        raise InputError(
            f"{partial} cannot be resumed: {', '.join(changed)} changed since it began: change it "
            "back, or start over with --force."
        )
    before = started["code"] if isinstance(started["code"], dict) else {}  # formerly one digest
    changed = _differing(before, record["code"])
    if changed:
        log.warning(
            "%s goes on with other code than it began with: %s.", partial, ", ".join(changed)
        )
    return changed


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _read(manifest: Path) -> dict[str, Any] | None:
    check_file(manifest)
    try:
        record = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "stage" in record else None


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(file)


def _finish(partial: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a folder once the rest is on the disk: what has one is complete."""
    for path in (*partial.rglob("*"), partial):
        _sync(path)
    _write(partial / MANIFEST, manifest)
    _sync(partial)


def _recover(folder: Path, partial: Path) -> None:
    """Finish or undo a `_replace` that was interrupted."""
    for complete in (partial, _old(folder)):
        if not folder.exists() and _read(complete / MANIFEST):
            _remove_progress(complete)
            complete.rename(folder)
    if _read(folder / MANIFEST):
        shutil.rmtree(_old(folder), ignore_errors=True)


def _remove_progress(finished: Path) -> None:
    shutil.rmtree(finished / RESUME, ignore_errors=True)
    (finished / _STARTED).unlink(missing_ok=True)


def _old(folder: Path) -> Path:
    return folder.with_name(folder.name + ".old")


def _replace(folder: Path, new: Path) -> None:
    """Move a finished folder into place, and only then delete the old one."""
    old = _old(folder)
    shutil.rmtree(old, ignore_errors=True)
    _remove_progress(new)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
