"""Stages that run, are skipped, fail and die, in real folders."""

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_for_windows

import pipeline
from pipeline import InputError
from pipeline.manifest import MANIFEST, RESUME, code_version, digest, edit_output, run_stage


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


def test_a_record_of_progress_that_cannot_be_written_leaves_the_one_before(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"reads": [], "output": output, "parameters": {}}

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        path.write_bytes(b"")  # as far as the disk went
        raise OSError(errno.ENOSPC, "No space left on device")

    def stopped(*, output: Path) -> None:
        step(output=output)
        raise KeyboardInterrupt

    stopped.__name__, stopped.__module__ = step.__name__, step.__module__
    with pytest.raises(KeyboardInterrupt):
        run_stage(stopped, resume=True, **asked)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            run_stage(step, resume=True, **asked)
    assert run_stage(step, resume=True, **asked)
    assert (output / "steps.txt").read_text() == "2"
    assert sorted(path.name for path in output.iterdir()) == [MANIFEST, "steps.txt"]


def test_a_finished_folder_that_cannot_be_moved_is_moved_later(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"reads": [], "output": output, "parameters": {}}
    assert run_stage(step, **asked)
    before, rename = (output / MANIFEST).read_text(), Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "output.partial":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="Input/output"):
            run_stage(step, resume=True, **asked, force=True)
    assert (output / MANIFEST).read_text() == before, "the old folder is back"
    assert beside(output) == ["output", "output.partial"]
    shutil.rmtree(output)  # the one in waiting takes its place, without another step
    assert not run_stage(step, resume=True, **asked)
    assert (output / "steps.txt").read_text() == "1"
    assert beside(output) == ["output"]


def test_a_run_that_only_lacked_its_renames_is_not_run_again(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"reads": [], "output": output}
    assert run_stage(step_to, **asked, parameters={"last": 1})
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="Input/output"):
            run_stage(step_to, **asked, parameters={"last": 2}, resume=True)
    assert rename is Path.rename
    (output.parent / "never again").touch()
    assert run_stage(step_to, **asked, parameters={"last": 2}, resume=True)
    assert (output / "last.txt").read_text() == "2"
    assert beside(output) == ["never again", "output"]


def step_to(*, last: int, output: Path) -> None:
    """A stage that can run only until there is `never again`."""
    if (output.parent / "never again").exists():
        raise AssertionError("it has run again")
    (output / "last.txt").write_text(f"{last}")


def test_all_is_on_the_disk_before_it_is_moved(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    rename, fsync = Path.rename, os.fsync

    def note_rename(path: Path, target: Path) -> Path:
        done.append((path.name, target.name))
        return rename(path, target)

    def note_sync(file: int) -> None:
        done.append(os.fstat(file).st_ino)
        fsync(file)

    run(source, output)
    monkeypatch.setattr(Path, "rename", note_rename)
    monkeypatch.setattr(os, "fsync", note_sync)
    run(source, output, force=True)
    moved = done.index(("output.partial", "output"))
    whole = [output, *output.rglob("*")]
    assert {path.stat().st_ino for path in whole} <= set(done[:moved])
    manifest = (output / MANIFEST).stat().st_ino
    others = {path.stat().st_ino for path in whole if path.name != MANIFEST}
    assert others <= set(done[: done.index(manifest)]), "with a manifest it counts as complete"
    assert done[moved + 1 :] == [output.parent.stat().st_ino]


def test_a_file_system_that_cannot_wait_is_taken_as_it_is(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> Any:
        def fsync(file: int) -> None:
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    assert run(source, output)
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        run(source, output, times=2)
    assert read(output) == "ab"


def test_a_run_that_an_earlier_nextword_began_goes_on(output: Path) -> None:
    began = {"stage": "step", "parameters": {}, "inputs": digest([]), "code": "one digest of all"}
    partial = output.with_name("output.partial")
    partial.mkdir(parents=True)
    (partial / "started.json").write_text(json.dumps(began))
    (partial / "kept.txt").touch()
    assert run_stage(step, resume=True, reads=[], output=output, parameters={})
    assert (output / "kept.txt").exists()
    assert "pytest" in json.loads((output / MANIFEST).read_text())["changed"]


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


# Edits of what a stage has made


def edit(*, output: Path, text: str = "edited", error: type[BaseException] | None = None) -> None:
    (output / "deep" / "text.txt").write_text(text)
    if error:
        raise error("the edit failed")


def test_an_edited_folder_is_current_and_tells_of_it(source: Path, output: Path) -> None:
    run(source, output)
    for text in ("first", "second"):
        before = digest([output])
        edit_output(edit, output=output, what=text, text=text)
        assert read(output) == text
        assert digest([output]) != before  # a stage that reads the folder runs again
        assert not run(source, output)
    assert json.loads((output / MANIFEST).read_text())["edits"] == ["first", "second"]
    assert beside(output) == ["output"]
    assert run(source, output, force=True)
    assert read(output) == "ab"
    assert "edits" not in json.loads((output / MANIFEST).read_text())


def test_an_edit_that_fails_changes_nothing(source: Path, output: Path) -> None:
    run(source, output)
    for error in (InputError, KeyboardInterrupt):
        with pytest.raises(error, match="the edit failed"):
            edit_output(edit, output=output, what="edit", error=error)
        assert beside(output) == ["output"]
        assert not run(source, output)
        assert read(output) == "ab"


def test_an_interrupted_run_is_not_edited_away(source: Path, output: Path) -> None:
    run(source, output)
    run_failing(source, output, KeyboardInterrupt, half=True)
    with pytest.raises(InputError, match="interrupted run, which would undo this"):
        edit_output(edit, output=output, what="edit")
    assert beside(output) == ["output", "output.partial"]
    assert read(output) == "ab"


def test_a_folder_made_by_others_is_not_edited(source: Path) -> None:
    with pytest.raises(InputError, match="was not made by nextword and will not be changed"):
        edit_output(edit, output=source, what="edit")


# Edits copies of a folder in processes that die at their first, second, … operation on files.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from pipeline.manifest import edit_output

def edit(*, output):
    (output / "deep" / "text.txt").write_text("edited")

def deadly(operations):
    left = iter(range(operations))
    def hook(event, _):
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
    return hook

place, status = Path(sys.argv[1]), 1
while status:
    copy = place.with_name(str(len(list(place.parent.iterdir())) - 1))
    shutil.copytree(place, copy / "output")
    if not (child := os.fork()):
        sys.addaudithook(deadly(int(copy.name)))
        edit_output(edit, output=copy / "output", what="edit")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
"""


def test_an_edit_killed_at_any_moment_loses_nothing(source: Path, output: Path) -> None:
    run(source, output)
    subprocess.run(
        [sys.executable, "-c", KILLED, output],
        env={**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])},
        check=True,
        timeout=60,
    )
    found = []
    for copy in sorted(output.parent.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        assert not run(source, copy / "output"), "what is there must be whole"
        assert "output.old" not in beside(copy / "output")
        found.append(read(copy / "output"))
        edit_output(edit, output=copy / "output", what="again", text="again")
        assert beside(copy / "output") == ["output"]
        assert read(copy / "output") == "again"
    assert found == sorted(found), "the old folder, and from some moment on the new one"
    assert found[0] == "ab"
    assert found[-1] == "edited"
    assert len(found) > 10


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


def test_what_is_elsewhere_counts_by_a_name_that_changes_with_it(
    source: Path, output: Path
) -> None:
    def run(*names: str) -> bool:
        return run_stage(copy, reads=[source, *names], output=output, parameters={"source": source})

    assert run("hf:a/b@1", "hf:a/c@1")
    assert not run("hf:a/b@1", "hf:a/c@1")
    assert run("hf:a/b@1", "hf:a/c@2")
    assert run("hf:a/b@1")
    assert not run("hf:a/b@1")


# One writer


def test_two_runs_do_not_write_one_folder(source: Path, output: Path) -> None:
    def write_twice(*, source: Path, output: Path) -> None:
        with pytest.raises(InputError, match=r"Another nextword is writing .*output: wait for it"):
            run(source, place)
        copy(source=source, output=output)

    place = output
    write_twice.__name__ = copy.__name__
    assert run_stage(write_twice, reads=[source], output=output, parameters={"source": source})
    assert (output / "deep" / "text.txt").read_text() == "ab"
    assert run(source, output, times=2)  # whoever waits may


def test_a_process_holds_a_folder_by_any_path_until_it_is_killed(
    source: Path, output: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pipeline.manifest import run_stage\n"
        "def copy(*, output):\n"
        "    print(output, flush=True)\n"
        "    time.sleep(60)\n"
        "run_stage(copy, reads=[], output=Path(sys.argv[1]), parameters={})"
    )
    # Not from a string: a stage's code is read from its file.
    (tmp_path / "writer.py").write_text(code)
    link = tmp_path / "link"
    output.parent.mkdir()
    link.symlink_to(output.parent, target_is_directory=True)
    with subprocess.Popen(
        [sys.executable, tmp_path / "writer.py", link / "output"],
        env={**os.environ, "PYTHONPATH": str(Path(pipeline.__file__).parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == f"{output}.partial\n"
        with pytest.raises(InputError, match="Another nextword is writing"):
            run(source, output)
        writer.kill()
    assert run(source, output)
    assert beside(output) == ["output"]


def test_a_lock_follows_no_link(source: Path, output: Path, tmp_path: Path) -> None:
    """Where others may write beside a folder, they may put a link where a lock will be."""
    mine = tmp_path / "mine.txt"
    mine.write_text("years of work")
    output.parent.mkdir()
    output.with_name("output.partial.lock").symlink_to(mine)
    with pytest.raises(OSError, match=r"output\.partial\.lock"):
        run(source, output)
    assert mine.read_text() == "years of work"


# Code

MODEL = {
    f"model/{name}.py"
    for name in "language_model recurrent mogrifier adaptive_softmax cross_entropy".split()
}
TRAINING = {
    f"training/{name}.py" for name in "train trainer loop dataset checkpoints finetune".split()
}
REPORT = {f"evaluation/report/{name}" for name in ("page.py", "page.html", "style.css")}
HANGS_ON = {
    "corpus.ingest.ingest": {
        *("corpus/ingest.py", "corpus/reading.py", "corpus/books.py", "corpus/splits.py"),
        *("corpus/overlap.py", "corpus/hub.py", "text/tokenizer.py"),
        *("pandas", "pyarrow", "ftfy", "markdown-it-py", "datasets", "tensorflow"),
    },
    "tokens.tokenize.tokenize": {
        *("tokens/tokenize.py", "tokens/pieces.py", "tokens/counting.py"),
        *("text/tokenizer.py", "text/vocabulary.py", "text/subword.py"),
        *("sentencepiece", "pandas", "pyarrow", "tensorflow", "numpy"),
    },
    "training.train.train": {
        *(MODEL | TRAINING | {"training/strategies.py", "tokens/windows.py", "text/vocabulary.py"}),
        *("model/meter.py", "tensorflow", "keras", "numpy"),
    },
    "evaluation.evaluate.evaluate": {
        *(MODEL | REPORT | {"model/meter.py", "model/kneser_ney.py", "model/cache.py"}),
        *("evaluation/keystrokes.py", "evaluation/metrics.py"),
        *("Jinja2", "matplotlib", "tensorflow", "keras"),
    },
    "explain.explain.explain": {
        *(MODEL | TRAINING | {"explain/gradient_flow.py", "explain/truncated_context.py"}),
    },
    "export.export.export": {
        *(MODEL | {"export/saved_model.py", "export/model_card.py"}),
        *("corpus/catalog/machado.toml", "text/tokenizer.py"),
    },
    "export.litert.export_litert": MODEL | {"export/litert.py"},
    "page.build.export_page": MODEL | {"page/index.html", "page/network.js", "text/tokenizer.py"},
    "export.aosp.export_aosp": MODEL | {"export/aosp.py", "export/expected.py", "text/never.py"},
}
NOT_ON = {
    "corpus.ingest.ingest": MODEL | {"keras", "matplotlib"},
    "tokens.tokenize.tokenize": {
        *(MODEL | {"corpus/reading.py", "corpus/hub.py", "keras", "datasets"}),
    },
    "training.train.train": {
        *("evaluation/keystrokes.py", "evaluation/metrics.py", "text/tokenizer.py"),
        *("tokens/tokenize.py", "pandas", "pyarrow"),
    },
    "export.litert.export_litert": {
        *(TRAINING | {"model/meter.py", "evaluation/keystrokes.py", "pandas"}),
    },
    "export.aosp.export_aosp": {
        *(TRAINING | {"model/meter.py", "evaluation/keystrokes.py", "pandas"}),
    },
}
WITHOUT_EFFECT = {"manifest.py", "progress.py", "training/devices.py", "tracking/__init__.py"}


@pytest.mark.parametrize("stage", HANGS_ON)
def test_stages_hang_on_the_code_that_changes_what_they_write(stage: str) -> None:
    module, name = f"pipeline.{stage}".rsplit(".", 1)
    code = code_version(getattr(importlib.import_module(module), name)).keys()
    assert code >= HANGS_ON[stage]
    assert not code & {*NOT_ON.get(stage, ()), *WITHOUT_EFFECT}
    assert not code & {"rich", "requests", "pooch", "filelock", "psutil", "nextword-pt", "pipeline"}


@pytest.mark.slow
def test_what_python_imports_for_a_training_is_known() -> None:
    """Another way to the same list: which modules are there when `train` is imported."""
    code = (
        "import sys\n"
        "from pipeline import manifest\n"
        "from pipeline.training.train import train\n"
        "files = {m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'pipeline'}\n"
        "known = {str(manifest._PACKAGE / name) for name in manifest.code_version(train)}\n"
        "print('UNKNOWN', *files - known)"
    )
    unknown = run_python(code, Path(pipeline.__file__).parents[1]).split("UNKNOWN")[1].split()
    names = {Path(path).name for path in unknown}
    assert names == {"config.py", "limits.py", "manifest.py", "progress.py"}


def run_python(code: str, *path: Path, cwd: Path | None = None) -> str:
    """What a program prints, with these folders before all others that Python looks into."""
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout


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


@pytest.mark.slow
def test_code_version_follows_what_the_stage_imports(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    shutil.copytree(Path(pipeline.__file__).parent, package)
    first = version(package)
    moved = shutil.copytree(package, tmp_path / "moved" / "pipeline")
    # A room that corpus does not look into.
    with (moved / "tokens" / "windows.py").open("a") as file:
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


@pytest.fixture
def project(tmp_path: Path, source: Path) -> Path:
    """A stage, and a library that it uses."""
    (tmp_path / "stage.py").write_text(
        "import os\n"
        "import paint\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    TYPE = 1\n"
        "if not TYPE_CHECKING:\n"
        "    COLOUR = 'red'\n"
        "def stage(*, output, **parameters):\n"
        "    (output / 'resume').mkdir(exist_ok=True)\n"
        "    with (output / 'steps.txt').open('a') as file:\n"
        "        file.write(COLOUR + ' ')\n"
        "    if os.environ.get('BREAK'):\n"
        "        raise SystemExit(0)\n"
    )
    (tmp_path / "paint").mkdir()
    (tmp_path / "paint" / "__init__.py").touch()
    install_paint(tmp_path, "1.0")
    return tmp_path


def install_paint(project: Path, version: str) -> None:
    for old in project.glob("*.dist-info"):
        shutil.rmtree(old)
    info = project / f"paint_shop-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: paint-shop\nVersion: {version}\n")
    (info / "top_level.txt").write_text("paint\n")


def edit_stage(project: Path, before: str, after: str) -> None:
    text = (project / "stage.py").read_text()
    assert before in text
    (project / "stage.py").write_text(text.replace(before, after))


def run_project(project: Path, resume: bool | None = None, **parameters: int) -> str:
    code = (
        "from pathlib import Path\n"
        "from pipeline import InputError\n"
        "from pipeline.manifest import run_stage\n"
        "from stage import stage\n"
        "try:\n"
        "    print(run_stage(stage, reads=[Path('source')], output=Path('o'),\n"
        f"                    parameters={parameters}, resume={resume}))\n"
        "except InputError as error:\n"
        "    print(error)"
    )
    return run_python(code, project, Path(pipeline.__file__).parents[1], cwd=project).strip()


def test_a_stage_runs_again_when_its_code_or_a_library_changes(project: Path) -> None:
    assert [run_project(project) for _ in range(2)] == ["True", "False"]
    edit_stage(project, "TYPE = 1", "TYPE = 2")  # what only those read who check types
    assert run_project(project) == "False"
    edit_stage(project, "'red'", "'blue'")
    assert run_project(project) == "True"
    assert (project / "o" / "steps.txt").read_text() == "blue "
    install_paint(project, "2.0")
    assert [run_project(project) for _ in range(2)] == ["True", "False"]


def test_a_run_that_broke_off_goes_on_with_other_code_and_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("BREAK", "1")
        run_project(project, resume=False, times=1, init=1)
    edit_stage(project, "'red'", "'blue'")
    install_paint(project, "2.0")
    assert "continue with --resume" in run_project(project, resume=False, times=1, init=1)

    # What it was asked for must be the same.
    for parameters, changed in (
        ({"times": 2, "init": 1}, "--times"),
        ({"times": 1}, "--init"),
        ({"times": 1, "init": 1, "new": 1}, "--new"),
    ):
        told = run_project(project, resume=True, **parameters)
        assert told.endswith(
            f"o.partial cannot be resumed: {changed} changed since it began: change it back, or "
            "start over with --force."
        )
    (project / "source" / "a.txt").write_text("A")
    assert "resumed: inputs changed" in run_project(project, resume=True, times=1, init=1)
    (project / "source" / "a.txt").write_text("a")

    told = run_project(project, resume=True, times=1, init=1)
    warning = "o.partial goes on with other code than it began with: stage.py, paint-shop.\nTrue"
    assert told.endswith(warning), told
    assert (project / "o" / "steps.txt").read_text() == "red blue "
    assert json.loads((project / "o" / MANIFEST).read_text())["changed"] == [
        "stage.py",
        "paint-shop",
    ]
    assert run_project(project, resume=True, times=1, init=1) == "False"


def test_code_that_a_run_has_used_is_told_however_often_it_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("BREAK", "1")
        run_project(project, resume=False, times=1)
        edit_stage(project, "'red'", "'blue'")
        run_project(project, resume=True, times=1)
    edit_stage(project, "'blue'", "'red'")
    assert run_project(project, resume=True, times=1) == "True"
    assert json.loads((project / "o" / MANIFEST).read_text())["changed"] == ["stage.py"]


@pytest.mark.slow
def test_a_training_goes_on_with_other_code_and_says_so(
    start: Callable[..., list[subprocess.Popen[str]]], place: Path, tmp_path: Path
) -> None:
    shutil.copytree(Path(pipeline.__file__).parent, tmp_path / "pipeline")

    def train(*options: str) -> subprocess.Popen[str]:
        (process,) = start("edited", *options, PYTHONPATH=str(tmp_path))
        return process

    def edit(module: str) -> None:
        with (tmp_path / "pipeline" / module).open("a") as file:
            file.write("\nEDITED = True\n")

    process = train()
    wait_for_windows(process, 33)
    process.terminate()
    out, _ = process.communicate(timeout=400)
    assert "--resume goes on from it" in out
    for module in ("keystrokes.py", "progress.py", "training/loop.py"):
        edit(module)
    process = train("--resume")
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    assert "edited.partial goes on with other code than it began with: training/loop.py.\n" in out
    assert out.count("window\n") < 90, "it began anew"
