"""Kills each stage at its system calls that change files, or lets them fail, and runs it again.

    python tests/torture.py --minutes 30 --seed 1 [--stages ingest export …] [--skip 120]

strace, which must be installed, does it from outside. A stage is run once, and the calls are listed
that change what is in its output folder, or beside it with its name. Then it is run for each of
them, with the folder of an earlier run in its place: the call is lost with the process (SIGKILL),
or fails as on a full disk (ENOSPC) or a broken one (EIO). What stood there must be there whole, or
the new must be; a failure is told in one sentence; the same command, run again, ends with the bytes
of a run that nothing disturbed, and clears what was left. Each stage has its share of the time, in
which faults are tried in random order. Where two leave the same bytes, the next run is made once.

TensorFlow takes seconds to start: it is imported once, and each run is a fork of this process.
"""

import argparse
import collections
import contextlib
import dataclasses
import gc
import hashlib
import importlib
import itertools
import json
import os
import random
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from pathlib import Path

import rich.console
import rich.table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pipeline import cli, manifest  # noqa: E402
from pipeline.cli.process import import_tensorflow  # noqa: E402
from pipeline.manifest import MANIFEST, digest  # noqa: E402

CALLS = (
    *("open openat creat write writev pwrite64 pwritev truncate ftruncate fallocate".split()),
    *("copy_file_range sendfile rename renameat renameat2 link linkat symlink symlinkat".split()),
    *("unlink unlinkat rmdir mkdir mkdirat fsync fdatasync sync_file_range".split()),
)
# Which of its files a call only reads.
_SOURCE = {"sendfile": 1, "copy_file_range": 0}
FAULTS = {"SIGKILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
TIMEOUT = 600  # seconds of one run
# What stands in the place of the output after a fault; missed if the fault never came.
_STANDS = ("old", "new", "none", "missed")
_STORE = "mlruns/mlflow.db"  # of MLflow
SMALL = "--embedding 8 --units 8 --batch-size 8 --window 10 --strategy one"


@dataclasses.dataclass(frozen=True)
class Stage:
    """A command, the option in which an earlier run differed, and where both write."""

    name: str
    command: str
    earlier: str
    output: str


# The first three are read by those after them.
STAGES = [
    Stage("ingest", "ingest --corpus text", "--held-out 600", "data/documents"),
    Stage("tokenize", "tokenize", "--vocabulary-size 150", "data/tokens"),
    Stage("train", f"train --resume {SMALL}", "--seed 2", "models/training"),
    Stage("litert", "export --format litert", "--lexicon mesa.txt", "models/litert"),
    Stage("export", "export", "--suggestions 3", "models/nextword"),
    Stage("explain", "explain --steps 5 --samples 8", "--steps 6", "models/explanation"),
    Stage("evaluate", "evaluate --ngram-order 2", "--ngram-order 3", "models/evaluation"),
    Stage("register", "export --register nextword", "--suggestions 3", "mlruns"),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Point:
    """The nth time that a thread calls something on a path."""

    call: str
    path: str
    number: int


def run(command: str, folder: Path, *options: str) -> tuple[int, str, str]:
    """Run a command of nextword in a folder, traced if there are options of strace.

    Returns the exit code, negative for a signal; what was printed; and what strace has seen.
    """
    seen, printed = folder / "seen", folder / "printed"
    seen.unlink(missing_ok=True)
    begin, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(go)
        _become(command, folder, printed, begin=begin, traced=bool(options))
    os.close(begin)
    with contextlib.ExitStack() as stack:
        if options:
            traced = ["strace", "-f", "-y", "-s", "0", "-o", str(seen), "-p", str(child), *options]
            strace = stack.enter_context(
                subprocess.Popen(traced, stderr=subprocess.PIPE, text=True)
            )
            assert strace.stderr
            said = []
            while "attached" not in (line := strace.stderr.readline()):
                said.append(line)
                if not line:
                    os.kill(child, signal.SIGKILL)
                    raise SystemExit(f"strace cannot trace a process here: {''.join(said)}")
        os.write(go, b"!")
        os.close(go)
        _, status = os.waitpid(child, 0)
    trace = seen.read_text(errors="replace") if seen.exists() else ""
    return os.waitstatus_to_exitcode(status), printed.read_text(errors="replace"), trace


def _become(command: str, folder: Path, printed: Path, *, begin: int, traced: bool) -> None:
    """Be a process that runs a command, once it is traced."""
    code: object = 1
    try:
        with printed.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(folder)
        # A fault finds files by the names that they had in the run that was traced first.
        tempfile._name_sequence = map(str, itertools.count())
        if traced:
            bits = random.Random(0).getrandbits
            uuid.uuid4 = lambda: uuid.UUID(int=bits(128), version=4)
        signal.alarm(TIMEOUT)
        os.read(begin, 1)
        cli.main(shlex.split(command))
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    (folder / "modules").write_text("\n".join(sys.modules))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def points_in(trace: str, output: Path) -> list[Point]:
    """The calls of a run that change its output folder, or something beside it of that name."""
    counts = collections.Counter[tuple[str, str, str]]()
    points = {}
    for place, line in enumerate(trace.splitlines()):
        if not (match := re.match(r"(\d+) +(\w+)\((.*)", line)):
            continue
        thread, call, arguments = match.groups()
        found = re.findall(r'(?<!AT_FDCWD)<(/[^>]*)>|"(/[^"]*)"', arguments.split(" = ")[0])
        changes = not call.startswith("open") or re.search("O_WRONLY|O_RDWR|O_CREAT", arguments)
        for which, path in enumerate(dict.fromkeys(a_file or named for a_file, named in found)):
            if path != str(output.parent) and not path.startswith(str(output)):
                continue
            counts[thread, call, path] += 1
            if changes and which != _SOURCE.get(call):
                points[place] = Point(call, path, counts[thread, call, path])
    return list(dict.fromkeys(points.values()))


def contents(folder: Path) -> dict[str, str]:
    """The digest of each file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Trial:
    """A stage, and what an undisturbed run of it does."""

    def __init__(self, stage: Stage, folder: Path):
        self.stage, self.folder, self.output = stage, folder, folder / stage.output
        self._kept, self._store = folder / "kept" / stage.name, folder / _STORE
        self._verified: dict[str, list[str]] = {}
        self._run(stage.earlier)
        for name in (folder / "modules").read_text().split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)  # the next runs need not
        gc.freeze()
        shutil.copytree(self.output, self._kept / "old")
        shutil.copy(self._store, self._kept)
        self._old = contents(self.output)

        self.put("old")
        self._run()
        first = contents(self.output)
        self.put("old")
        trace = self._run("", f"--trace={','.join(CALLS)}")
        self._new = contents(self.output)
        shutil.copytree(self.output, self._kept / "new")
        # Files that hold a time, or a random name.
        self.unstable = {name for name in first if first[name] != self._new.get(name)}
        self.points = points_in(trace, self.output)

    def _run(self, options: str = "", *traced: str) -> str:
        code, printed, trace = run(f"{self.stage.command} {options}", self.folder, *traced)
        if code:
            raise SystemExit(f"`nextword {self.stage.command} {options}` failed:\n{printed}")
        return trace

    def _beside(self) -> list[Path]:
        return sorted(self.output.parent.glob(f"*{self.output.name}*"))

    def put(self, which: str) -> None:
        """Put the old or the new folder in its place, and nothing beside it."""
        for path in (*self._beside(), *(self.folder / "tmp").iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._kept / which, self.output)
        if not self._store.is_relative_to(self.output):
            shutil.copy(self._kept / self._store.name, self._store)

    def _temporary(self) -> list[str]:
        """What is in the folder of temporary files, but for those TensorFlow deletes at exit."""
        names = [path.name for path in (self.folder / "tmp").iterdir()]
        return [name for name in names if not name.startswith("__autograph_generated_file")]

    def _is_new(self) -> bool:
        found = contents(self.output)
        told = json.loads((self.output / MANIFEST).read_text(encoding="utf-8"))
        return (
            found.keys() == self._new.keys()
            and all(found[name] == self._new[name] for name in found.keys() - self.unstable)
            and told["outputs"] == digest([self.output])
        )

    def _what_stands(self) -> str:
        """Whether the old folder stands in its place, the new one, none, or a mixture."""
        if not self.output.exists():
            return "none"
        if contents(self.output) == self._old:
            return "old"
        return "new" if self._is_new() else "mixture"

    def disturb(self, point: Point, fault: str) -> tuple[str, list[str]]:
        """Run the stage with a fault, and again; return what stood after it, and what is wrong."""
        self.put("old")
        code, printed, trace = run(
            self.stage.command,
            self.folder,
            *("-P", point.path, f"--trace={point.call}"),
            f"--inject={point.call}:{FAULTS[fault]}:when={point.number}",
        )
        if "INJECTED" not in trace and "killed by SIGKILL" not in trace:
            return "missed", [f"exit code {code}"] if code else []
        stands = self._what_stands()
        wrong = ["a mixture"] if stands == "mixture" else []
        if fault != "SIGKILL":
            told = [line for line in printed.splitlines() if line.startswith("Error: ")]
            sentence = code == 2 and len(told) == 1 and "Traceback" not in printed
            if stands == "none":
                wrong.append("nothing stands in its place")
            if not sentence and (code or stands != "new"):
                wrong.append(f"exit code {code}, {stands}: {printed.strip().splitlines()[-1:]}")
        left = {str(path): contents(path) if path.is_dir() else "" for path in self._beside()}
        state = json.dumps([left, self._temporary()])
        if state not in self._verified:
            self._verified[state] = self._again()
        return stands, wrong + self._verified[state]

    def _again(self) -> list[str]:
        """Run the same command again; return what is wrong."""
        code, printed, _ = run(self.stage.command, self.folder)
        if code:
            return [f"again, exit code {code}: {printed.strip().splitlines()[-1:]}"]
        wrong = [] if self._is_new() else ["again, other bytes"]
        left = [path.name for path in self._beside() if path != self.output] + self._temporary()
        return wrong + ([f"again, {', '.join(left)} is left"] if left else [])


class RegistryTrial(Trial):
    """A trial of MLflow's store: its files never are the same, but what it holds can be told.

    Before, it holds one version of a model; afterwards, a second one.
    """

    def _temporary(self) -> list[str]:
        return []  # MLflow's own

    def _is_new(self) -> bool:
        return self._what_stands() == "new"

    def _what_stands(self) -> str:
        with contextlib.closing(sqlite3.connect(self._store)) as store:
            whole = store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            versions = store.execute(
                "SELECT artifact_location FROM model_versions JOIN logged_models"
                " ON source = 'models:/' || model_id ORDER BY version"
            ).fetchall()
        if whole and len(versions) == 1:
            return "old"
        (exported,) = (self.folder / "models/nextword").glob("*/saved_model.pb")
        registered = Path(versions[-1][0]) / "data" / exported.parent.name
        same = contents(registered) == contents(exported.parent)
        return "new" if whole and same and len(versions) == 2 else "mixture"


def prepare(folder: Path) -> None:
    """Write what the stages read, and import what they import."""
    for name in ("text", "tmp", "models", "data", "kept", "mlruns"):
        (folder / name).mkdir()
    for number, topic in enumerate(("animais", "cozinha", "escola", "familia")):
        source = min((ROOT / "data/sample" / topic).glob("*.txt"))
        text = source.read_text(encoding="utf-8")[:4000]
        (folder / "text" / f"{number}.txt").write_text(text, encoding="utf-8")
    (folder / "mesa.txt").write_text("mesa\ncachorro\n", encoding="utf-8")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / _STORE}"}
    # One thread does the same calls each time.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1"}
    # What XLA has compiled for one run serves the others.
    cache = f"--tf_xla_persistent_cache_directory='{folder / 'xla'}'"
    os.environ |= {"TF_XLA_FLAGS": f"{cache} --tf_xla_persistent_cache_device_types=CPU"}
    import_tensorflow()
    from tensorflow.python.eager import context

    from pipeline.corpus.ingest import ingest
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.explain.explain import explain
    from pipeline.export.export import export
    from pipeline.export.litert import export_litert
    from pipeline.tokens.tokenize import tokenize
    from pipeline.training import loop
    from pipeline.training.train import train

    loop._SAVE_EVERY = 7
    # The forks need not parse the sources again.
    for function in (ingest, tokenize, train, explain, evaluate, export, export_litert):
        manifest.code_version(function)
    gc.freeze()
    assert context.context()._context_handle is None, "TensorFlow's threads do not survive a fork"


def torture(
    stage: Stage, folder: Path, *, seconds: float, chance: random.Random, skip: int
) -> list[str]:
    """Try as many faults of a stage as there is time for; return its row of the table."""
    kind = RegistryTrial if Path(_STORE).is_relative_to(stage.output) else Trial
    trial = kind(stage, folder)
    cases = [(point, fault) for point in trial.points for fault in FAULTS]
    chance.shuffle(cases)
    found, wrong, tried = collections.Counter[str](), 0, 0
    end = time.monotonic() + seconds
    for point, fault in cases[skip:]:
        if time.monotonic() > end:
            break
        stands, faults = trial.disturb(point, fault)
        tried, wrong = tried + 1, wrong + bool(faults)
        found[stands] += 1
        for what in faults:
            where = point.path.removeprefix(f"{folder}/")
            print(f"  {fault} at {point.call} {point.number} of {where}: {what}", flush=True)
        if tried % 10 == 0:
            left = max(0, end - time.monotonic()) / 60
            print(f"{stage.name}: {tried} of {len(cases)}, {left:.0f} minutes left", flush=True)
    trial.put("new")
    print(
        f"{stage.name}: {tried} of {len(cases)} faults, {dict(found)}, {wrong} with something wrong"
    )
    print(f"{stage.name}: {len(trial.unstable)} files differ by themselves", flush=True)
    numbers = (len(trial.points), len(cases), tried, *map(found.__getitem__, _STANDS), wrong)
    return [stage.name, *(f"{n:,}" for n in numbers)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1, help="of the order of the faults")
    parser.add_argument("--skip", type=int, default=0, help="faults that an earlier run has tried")
    names = [stage.name for stage in STAGES]
    parser.add_argument("--stages", nargs="+", choices=names, default=names, metavar="STAGE")
    arguments = parser.parse_args()
    if not shutil.which("strace"):
        raise SystemExit("strace, which disturbs system calls, is missing (Linux: install it).")
    end = time.monotonic() + 60 * arguments.minutes
    table = rich.table.Table(title=f"{arguments.minutes:g} minutes, seed {arguments.seed}")
    table.add_column("stage")
    for heading in ("calls", "faults", "tried", *_STANDS, "wrong"):
        table.add_column(heading, justify="right")
    rows = []
    with tempfile.TemporaryDirectory(prefix="torture-") as temporary:
        folder = Path(temporary).resolve()
        prepare(folder)
        for stage in STAGES:
            if len(rows) == len(arguments.stages):
                break
            if stage.name in arguments.stages:
                share = (end - time.monotonic()) / (len(arguments.stages) - len(rows))
                chance = random.Random(f"{arguments.seed} {stage.name}")
                skip = arguments.skip
                rows.append(torture(stage, folder, seconds=share, chance=chance, skip=skip))
                table.add_row(*rows[-1])
            elif stage in STAGES[:3] and (code := run(stage.command, folder)[0]):
                raise SystemExit(f"`nextword {stage.command}` failed: exit code {code}.")
    rich.console.Console(width=100).print(table)
    raise SystemExit(any(row[-1] != "0" for row in rows))


if __name__ == "__main__":
    main()
