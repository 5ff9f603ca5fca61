"""How an export takes its place: whole or not at all, whatever happens in between, and over nothing but an export."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dataset_tools.errors import DiskFullError, UsageError
from tests.training.export_support import tiny_run
from training.export import ExportError, export
from training.export.placing import MANIFEST, Workshop, placed, require_space
from training.runs import locks

ROOT = Path(__file__).resolve().parents[2]
LISTED = '{"sha256": {"weights": "of no matter"}}'


def _make(out: Path, text: str) -> None:
    with placed(out) as workshop:
        (workshop.scratch / "large").write_text("not wanted")
        (workshop.export / "weights").write_text(text)
        (workshop.export / MANIFEST).write_text(LISTED)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_is_there_whole_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    _make(tmp_path / "new" / "out", "first")
    assert _names(tmp_path / "new") == ["out"] and _names(tmp_path / "new" / "out") == [MANIFEST, "weights"]


def test_an_earlier_export_is_replaced_in_one_step_and_its_readers_read_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _make(out, "first")
    with (out / "weights").open() as reader:
        with placed(out) as workshop:
            (workshop.export / MANIFEST).write_text(LISTED)
            (workshop.export / "weights").write_text("second")
            assert (out / "weights").read_text() == "first"
        assert reader.read() == "first"
    assert (out / "weights").read_text() == "second" and _names(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    _make(tmp_path / "out", "first")
    assert (tmp_path / "out" / "weights").read_text() == "first"


def test_a_system_that_cannot_swap_folders_replaces_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())  # a system without renameat2
    _make(tmp_path / "out", "first")
    _make(tmp_path / "out", "second")
    assert (tmp_path / "out" / "weights").read_text() == "second" and _names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["file", "foreign folder", "an export and notes", "link to a folder", "broken link"])
def test_nothing_but_an_export_is_replaced(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind in ("foreign folder", "an export and notes"):
        if kind == "an export and notes":
            _make(out, "first")
        out.mkdir(exist_ok=True)
        (out / "thesis.txt").write_text("mine")
    else:
        out.symlink_to(tmp_path / "elsewhere")
        if kind == "link to a folder":
            (tmp_path / "elsewhere").mkdir()
    before = _names(tmp_path)
    with pytest.raises(UsageError, match="not overwritten"):
        _make(out, "first")
    assert _names(tmp_path) == before
    with pytest.raises(UsageError, match="not overwritten"), placed(tmp_path / "late") as workshop:
        (workshop.export / MANIFEST).write_text("{}")
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "thesis.txt").write_text("written while it was made")
    assert _names(tmp_path / "late") == ["thesis.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ExportError("no"), OSError(errno.EIO, "broken")])
def test_an_export_that_fails_leaves_the_old_one_and_nothing_else(error: BaseException, tmp_path: Path) -> None:
    _make(tmp_path / "out", "first")
    with pytest.raises(type(error)), placed(tmp_path / "out") as workshop:
        (workshop.export / "weights").write_text("half of the sec")
        raise error
    assert (tmp_path / "out" / "weights").read_text() == "first" and _names(tmp_path) == ["out"]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="The disk is full"), placed(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(DiskFullError, match="no room"):
        require_space(tmp_path, 10**18)
    assert _names(tmp_path) == []


def _child(code: str, *words: object, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=cwd)


def test_a_process_killed_in_the_middle_leaves_the_old_export_and_the_next_one_clears_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _make(out, "first")
    child = _child(
        """
        import sys, time
        from pathlib import Path
        from training.export.placing import placed
        with placed(Path(sys.argv[1])) as workshop:
            (workshop.export / "weights").write_text("half")
            print("ready", flush=True)
            time.sleep(600)
        """,
        out,
    )
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    (left,) = [name for name in _names(tmp_path) if name != "out"]
    _make(tmp_path / "other", "a neighbour clears nothing of it")
    _make(out, "second, while the first is at work")
    assert left in _names(tmp_path), "a living export is let be"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert (out / "weights").read_text().startswith("second") and left in _names(tmp_path)
    _make(out, "third")
    assert _names(tmp_path) == ["other", "out"]


def test_an_export_that_was_set_aside_when_the_power_went_is_put_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _make(out, "first")
    workshop = Workshop(tmp_path / ".out.exporting-abc")
    workshop.path.mkdir()
    (workshop.path / "lock").touch()
    out.rename(workshop.replaced)
    with pytest.raises(ExportError), placed(out):
        raise ExportError("the next one fails")
    assert (out / "weights").read_text() == "first" and _names(tmp_path) == ["out"]


def test_one_that_is_just_being_made_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    workshop = tmp_path / ".out.exporting-abc"
    workshop.mkdir()  # its lock comes next
    _make(tmp_path / "out", "first")
    assert workshop.is_dir()
    held = locks.take(workshop / "lock")
    assert held is not None
    _make(tmp_path / "out", "second")
    assert workshop.is_dir()
    os.close(held)
    _make(tmp_path / "out", "third")
    assert not workshop.exists()


@pytest.mark.usefixtures("one_thread")
def test_a_disk_that_fills_up_in_the_middle_of_an_export_leaves_the_old_one(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    limits = {"merged": 200_000, "gguf": 305_000}  # bytes that a file may have: less than the model's
    for kind in limits:
        _make(tmp_path / kind, "first")
    child = _child(
        """
        import json, resource, sys
        from pathlib import Path
        from dataset_tools.errors import DiskFullError
        from training.export import export
        from training.runs.folder import RunFolder
        for kind, limit in json.loads(sys.argv[2]).items():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                export(RunFolder(Path(sys.argv[1])), kind, Path(kind), quantization="f16", rows=1)
            except DiskFullError as error:
                print(kind, error.what)
        """,
        run.path,
        json.dumps(limits),
        cwd=tmp_path,
    )
    said, errors = child.communicate()
    for kind in limits:
        assert f"{kind} The disk is full" in said.decode(), errors.decode()
        assert (tmp_path / kind / "weights").read_text() == "first"
    assert _names(tmp_path) == ["gguf", "merged", "run"]


@pytest.mark.usefixtures("one_thread")
def test_a_failed_proof_leaves_the_old_export(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    export(run, "adapter", tmp_path / "out", rows=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    scores = iter([[1.0] * 6, [0.0] * 6])  # the adapter is right, and the artefact is not
    with pytest.raises(ExportError, match="does the task worse"):
        export(run, "merged", tmp_path / "out", scorer=lambda examples, answers: next(scores))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert json.loads(before[MANIFEST])["kind"] == "adapter" and _names(tmp_path) == ["out", "run"]
