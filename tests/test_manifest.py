"""Stages that run, are skipped, fail and die, in real folders."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline import InputError
from pipeline.manifest import MANIFEST, RESUME, code_version, digest, run_stage


def copy(*, source: Path, output: Path, times: int = 1) -> None:
    """A stage: the text of all files of a folder, so many times."""
    text = "".join(path.read_text() for path in sorted(source.rglob("*.txt")))
    (output / "deep").mkdir()
    (output / "deep" / "text.txt").write_text(text * times)


def fail(*, source: Path, output: Path, error: type[BaseException], half: bool) -> None:
    if half:
        (output / "half.txt").write_text("half")
    raise error("the stage failed")


# A stage of the same name as the first one: what it has made may be replaced.
fail.__name__ = copy.__name__


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "new" / "output"


def run(source: Path, output: Path, force: bool = False, **parameters: Any) -> bool:
    return run_stage(
        copy,
        reads=[source],
        output=output,
        parameters={"source": source, **parameters},
        force=force,
    )


def run_failing(source: Path, output: Path, error: type[BaseException], half: bool) -> None:
    parameters = {"source": source, "error": error, "half": half}
    with pytest.raises(error, match="the stage failed"):
        run_stage(fail, reads=[source], output=output, parameters=parameters, force=True)


def read(output: Path) -> str:
    return (output / "deep" / "text.txt").read_text()


def beside(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def test_a_stage_writes_its_folder_and_what_it_was_made_from(source: Path, output: Path) -> None:
    assert run(source, output, times=2)
    assert read(output) == "abab"
    assert beside(output) == ["output"]
    manifest = json.loads((output / MANIFEST).read_text())
    assert manifest["stage"] == "copy"
    assert manifest["parameters"] == {"source": str(source), "times": 2}
    assert manifest["inputs"] == digest([source])
    assert manifest["outputs"] == digest([output])


def test_a_stage_is_skipped_when_nothing_has_changed(source: Path, output: Path) -> None:
    run(source, output)
    before = (output / MANIFEST).stat()
    assert not run(source, output)
    assert (output / MANIFEST).stat().st_ino == before.st_ino
    # Times of files are no contents.
    os.utime(source / "a.txt", (1, 1))
    assert not run(source, output)


def test_tuples_and_paths_among_parameters_are_recognised(source: Path, output: Path) -> None:
    def stage(*, globs: tuple[str, ...], places: list[Path], rate: float, output: Path) -> None:
        (output / "done").touch()

    parameters = {"globs": ("a", "b"), "places": [source], "rate": 1e-3}
    assert run_stage(stage, reads=[source], output=output, parameters=parameters)
    assert not run_stage(stage, reads=[source], output=output, parameters=parameters)


def test_a_stage_runs_again_when_a_parameter_changes(source: Path, output: Path) -> None:
    run(source, output, times=1)
    assert run(source, output, times=2)
    assert read(output) == "abab"
    assert not run(source, output, times=2)


def test_a_stage_runs_again_when_an_input_changes(source: Path, output: Path) -> None:
    run(source, output)
    (source / "a.txt").write_text("A")
    assert run(source, output)
    (source / "c.txt").write_text("c")
    assert run(source, output)
    (source / "b.txt").rename(source / "d.txt")
    assert run(source, output)
    (source / "c.txt").unlink()
    assert run(source, output)
    assert read(output) == "Ab"
    assert not run(source, output)


@pytest.mark.parametrize("damage", ["changed", "deleted", "added", "renamed"])
def test_a_stage_runs_again_when_what_it_wrote_changes(
    source: Path, output: Path, damage: str
) -> None:
    run(source, output)
    text = output / "deep" / "text.txt"
    if damage == "changed":
        text.write_text("other")
    elif damage == "deleted":
        text.unlink()
    elif damage == "added":
        (output / "deep" / "more.txt").touch()
    else:
        text.rename(output / "text.txt")
    assert run(source, output)
    assert read(output) == "ab"
    assert beside(output) == ["output"]
    assert sorted(path.name for path in output.iterdir()) == ["deep", MANIFEST]


def test_force_runs_a_stage_that_is_current(source: Path, output: Path) -> None:
    run(source, output)
    assert run(source, output, force=True)
    assert not run(source, output)


def test_callbacks_reach_the_stage_and_decide_nothing(source: Path, output: Path) -> None:
    heard = []

    def stage(*, output: Path, on_epoch: Any) -> None:
        on_epoch("done")

    for hear in (heard.append, print):
        run_stage(stage, reads=[source], output=output, parameters={}, on_epoch=hear)
    assert heard == ["done"]
    assert not run_stage(stage, reads=[source], output=output, parameters={}, on_epoch=print)


@pytest.mark.parametrize("error", [ValueError, InputError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("half", [True, False])
def test_a_failure_leaves_the_earlier_output_untouched(
    source: Path, output: Path, error: type[BaseException], half: bool
) -> None:
    run(source, output)
    before = (output / MANIFEST).read_text()
    run_failing(source, output, error, half)
    assert read(output) == "ab"
    assert (output / MANIFEST).read_text() == before
    assert beside(output) == (["output", "output.partial"] if half else ["output"])
    assert not run(source, output)
    # What was left half done is in nobody's way.
    assert run(source, output, force=True)
    assert sorted(path.name for path in output.iterdir()) == ["deep", MANIFEST]
    assert beside(output) == ["output"]


def test_a_failure_of_the_first_run_leaves_no_output(source: Path, output: Path) -> None:
    run_failing(source, output, ValueError, half=True)
    assert beside(output) == ["output.partial"]
    assert run(source, output)
    assert beside(output) == ["output"]


def step(*, output: Path) -> None:
    """A stage that can go on: each run goes one step further."""
    (output / RESUME).mkdir(exist_ok=True)
    (output / RESUME / f"{len(list((output / RESUME).iterdir()))}").touch()
    (output / "steps.txt").write_text(f"{len(list((output / RESUME).iterdir()))}")


def test_a_disk_that_is_full_at_the_last_moment_costs_nothing(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_text

    def write(path: Path, *args: Any, **kwargs: Any) -> int:
        if path.name == MANIFEST:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, *args, **kwargs)

    asked = {"reads": [], "output": output, "parameters": {}}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write)
        with pytest.raises(OSError, match="No space left"):
            run_stage(step, resume=False, **asked)
    with pytest.raises(InputError, match="--resume"):
        run_stage(step, resume=False, **asked)
    assert run_stage(step, resume=True, **asked)
    assert (output / "steps.txt").read_text() == "2"
    assert sorted(path.name for path in output.iterdir()) == [MANIFEST, "steps.txt"]
    assert not run_stage(step, resume=False, **asked)


def test_a_run_that_was_killed_is_done_again(source: Path, output: Path) -> None:
    partial = output.with_name("output.partial")
    partial.mkdir(parents=True)
    (partial / "half.txt").write_text("half")
    assert run(source, output)
    assert sorted(path.name for path in output.iterdir()) == ["deep", MANIFEST]


def test_a_run_that_died_between_the_two_renames_loses_nothing(source: Path, output: Path) -> None:
    run(source, output, times=1)
    output.rename(output.with_name("output.old"))
    run(source, output.with_name("output.partial"), times=2)
    assert beside(output) == ["output.old", "output.partial"]
    # The finished folder takes its place, though its stage would now fail.
    assert not run(source, output, times=2)
    assert read(output) == "abab"


def test_a_run_that_died_before_the_second_rename_gives_the_old_folder_back(
    source: Path, output: Path
) -> None:
    run(source, output)
    output.rename(output.with_name("output.old"))
    output.with_name("output.partial").mkdir()
    assert not run(source, output)
    assert read(output) == "ab"


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_made_by_others_is_not_replaced(source: Path, output: Path, force: bool) -> None:
    output.mkdir(parents=True)
    (output / "thesis.txt").write_text("years of work")
    for _ in range(2):
        with pytest.raises(InputError, match="was not made by nextword"):
            run(source, output, force=force)
        assert (output / "thesis.txt").read_text() == "years of work"
        # Nor one with a manifest of something else.
        (output / MANIFEST).write_text('{"name": "a web application"}')


def test_a_file_is_not_replaced(source: Path, output: Path) -> None:
    output.parent.mkdir()
    output.write_text("years of work")
    with pytest.raises(InputError, match="was not made by nextword"):
        run(source, output)
    assert output.read_text() == "years of work"


def test_what_another_stage_made_is_not_replaced(source: Path, output: Path) -> None:
    def other(*, output: Path) -> None:
        (output / "weights").write_text("hours of training")

    run_stage(other, reads=[source], output=output, parameters={})
    with pytest.raises(InputError, match=r"holds what other has made.* by copy"):
        run(source, output, force=True)
    assert (output / "weights").read_text() == "hours of training"


def test_an_empty_folder_is_filled(source: Path, output: Path) -> None:
    output.mkdir(parents=True)
    assert run(source, output)
    assert beside(output) == ["output"]


def test_output_may_not_be_what_is_read(source: Path, output: Path) -> None:
    run(source, output)
    for reads in (output, output / "deep", output / "deep" / "text.txt", output.parent):
        parameters = {"source": reads}
        with pytest.raises(InputError, match="cannot be written"):
            run_stage(copy, reads=[reads], output=output, parameters=parameters, force=True)
    with pytest.raises(InputError, match="cannot be written"):
        run(output, output.parent / "deep" / ".." / "output", force=True)
    assert read(output) == "ab"
    assert beside(output) == ["output"]
    # A name that begins alike is another folder.
    assert run(output, output.with_name("output2"))


def test_a_link_to_the_output_stays(source: Path, output: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    output.parent.mkdir()
    output.symlink_to(disk, target_is_directory=True)
    run(source, output)
    assert run(source, output, times=2)
    assert output.is_symlink()
    assert read(disk) == "abab"
    assert beside(output) == ["output"]
    assert beside(disk) == ["disk", "new", "source"]


def test_relative_names_are_understood(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(Path("source"), Path("output"))
    assert read(tmp_path / "output") == "ab"
    assert not run(Path("source"), Path("output"))


def test_a_whole_that_moves_is_still_current(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "here"
    home.mkdir()
    source.rename(home / "source")
    monkeypatch.chdir(home)
    run(Path("source"), Path("output"))
    monkeypatch.chdir(home.rename(tmp_path / "there"))
    assert not run(Path("source"), Path("output"))


# Digests


def test_digest_does_not_depend_on_the_place(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "deep" / "other"
    shutil.copytree(source, other)
    assert digest([source]) == digest([other])
    assert digest([source / "a.txt", source / "b.txt"]) == digest(
        [other / "a.txt", other / "b.txt"]
    )


def test_digest_depends_on_names_and_on_which_file_holds_what(source: Path) -> None:
    digests = [digest([source])]
    (source / "a.txt").rename(source / "c.txt")
    digests.append(digest([source]))
    (source / "x").mkdir()
    (source / "c.txt").rename(source / "x" / "c.txt")
    digests.append(digest([source]))
    (source / "x" / "c.txt").write_text("b")
    (source / "b.txt").write_text("a")
    digests.append(digest([source]))
    assert len(set(digests)) == len(digests)


def test_digest_of_single_files_depends_on_their_folders(source: Path) -> None:
    (source / "x").mkdir()
    (source / "y").mkdir()
    (source / "x" / "c.txt").write_text("c")
    before = digest([source / "a.txt", source / "x" / "c.txt"])
    (source / "x" / "c.txt").rename(source / "y" / "c.txt")
    assert digest([source / "a.txt", source / "y" / "c.txt"]) != before


def test_digest_leaves_out_the_manifest_of_the_folder_alone(source: Path) -> None:
    before = digest([source])
    (source / MANIFEST).write_text("{}")
    assert digest([source]) == before
    (source / "x").mkdir()
    (source / "x" / MANIFEST).write_text("{}")
    assert digest([source]) != before


def test_what_is_read_may_have_any_names(source: Path) -> None:
    """Only of its own work a stage leaves out what it needs to go on."""
    before = digest([source])
    (source / RESUME).mkdir()
    (source / RESUME / "c.txt").write_text("c")
    assert digest([source]) != before
    assert digest([source], without=[RESUME]) == before


def test_digest_of_nothing_differs_from_that_of_an_empty_file(tmp_path: Path) -> None:
    nothing = digest([tmp_path / "missing"])
    (tmp_path / "missing").touch()
    assert digest([tmp_path / "missing"]) != nothing


def test_two_processes_do_not_write_one_folder(source: Path, output: Path) -> None:
    def write_twice(*, source: Path, output: Path) -> None:
        with pytest.raises(InputError, match=r"Another nextword is writing .*output: wait for it"):
            run(source, place)
        copy(source=source, output=output)

    place = output
    write_twice.__name__ = copy.__name__
    assert run_stage(write_twice, reads=[source], output=output, parameters={"source": source})
    assert (output / "deep" / "text.txt").read_text() == "ab"
    assert run(source, output, times=2)  # whoever waits may


# Code


def version(package: Path) -> str:
    """code_version(ingest) as a copy of the package sees it."""
    code = (
        "from pipeline.manifest import code_version\n"
        "from pipeline.corpus.ingest import ingest\n"
        "print(code_version(ingest))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_code_version_follows_what_the_stage_imports(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    shutil.copytree(Path(pipeline.__file__).parent, package)
    first = version(package)
    moved = shutil.copytree(package, tmp_path / "moved" / "pipeline")
    with (moved / "windows.py").open("a") as file:  # a room that corpus does not look into
        file.write("OTHER = 1\n")
    # What people read of code is not what it does.
    ingest = moved / "corpus" / "ingest.py"
    _, docstring, code = ingest.read_text().split('"""', 2)
    assert docstring
    ingest.write_text(f'"""Other words."""\n\n# A comment.\n{code}')
    assert version(moved) == first

    # Near and far: a module imported by one that is imported, however it is written.
    lines = ["from pipeline.near0 import X", "from pipeline import near1", "import pipeline.near2"]
    with (package / "corpus" / "ingest.py").open("a") as file:
        file.write("\n".join(["", *lines, ""]))
    for number in range(3):
        (package / f"near{number}.py").write_text(f"from pipeline.far{number} import X\n")
        (package / f"far{number}").mkdir()
        (package / f"far{number}" / "__init__.py").write_text("X = 1\n")
    before = version(package)
    assert before != first
    for number in range(3):
        (package / f"far{number}" / "__init__.py").write_text("X = 2\n")
        after = version(package)
        assert after != before
        before = after


def test_code_version_is_the_same_for_stages_of_one_module() -> None:
    assert code_version(copy) == code_version(fail)
    assert code_version(copy) != code_version(run_stage)


def test_a_stage_runs_again_when_its_code_changes(tmp_path: Path, source: Path) -> None:
    def ran() -> str:
        code = (
            "from pathlib import Path\n"
            "from pipeline.manifest import run_stage\n"
            "from stage import stage\n"
            "print(run_stage(stage, reads=[Path('source')], output=Path('o'), parameters={}))"
        )
        path = os.pathsep.join([str(tmp_path), str(Path(pipeline.__file__).parents[1])])
        return subprocess.run(
            [sys.executable, "-B", "-c", code],
            cwd=source.parent,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    text = "def stage(*, output):\n    (output / 'x').write_text('{}')\n"
    (tmp_path / "stage.py").write_text(text.format("one"))
    assert ran() == "True"
    assert ran() == "False"
    (tmp_path / "stage.py").write_text(text.format("two"))
    assert ran() == "True"
    assert (tmp_path / "o" / "x").read_text() == "two"
