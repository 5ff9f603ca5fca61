"""A run that is forked from a process with the libraries loaded: it is what a run that loads them itself is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example, Message
from training.recipe import Recipe
from training.runs import warm
from training.runs.folder import RunFolder
from training.runs.process import is_alive, launch
from training.runs.supervisor import start_training, watch

PROGRAM = "tests.training.warm_program"
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not warm.suits(), reason="runs are forked on Linux without an accelerator alone"),
]


@pytest.fixture
def ready() -> None:
    warm.prepare()
    while not warm.is_ready():
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    RunFolder(made).update(state="queued")
    return made


def started(folder: Path) -> dict[str, Any]:
    while not (folder / "started.json").exists():
        assert is_alive(folder), (folder / "worker.log").read_text("utf-8")
        time.sleep(0.02)
    found: dict[str, Any] = json.loads((folder / "started.json").read_text("utf-8"))
    return found


def end(folder: Path) -> None:
    (folder / "end").touch()
    while is_alive(folder):
        time.sleep(0.02)
    assert (folder / "ended").exists()


def test_it_has_the_arguments_the_environment_the_log_and_the_lock_of_its_own(
    ready: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_HOME", "another home")
    process = launch(PROGRAM, folder)
    found = started(folder)
    assert found == {
        "arguments": [str(folder)],
        "module": PROGRAM,
        "folder": str(folder),
        "home": "another home",
        "session": True,
        "loaded": True,
    }
    assert (folder / "pid").read_text("ascii") == str(process) and is_alive(folder)
    assert (folder / "worker.log").read_text("utf-8") == "printed\n"
    end(folder)


def test_nothing_in_the_working_folder_is_taken_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "socket.py").write_text("raise SystemExit(7)", "utf-8")
    code = """
import time
from training.runs import warm
warm.prepare()
while not warm.is_ready(): time.sleep(.05)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, check=True, timeout=120)


def test_other_settings_of_the_libraries_are_not_lost(
    ready: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    launch(PROGRAM, folder)
    assert not started(folder)["loaded"]
    end(folder)


def test_runs_outlive_what_started_them_and_start_in_the_plain_way_where_that_was_killed(tmp_path: Path) -> None:
    forked, plain = tmp_path / "forked", tmp_path / "plain"
    for each in (forked, plain):
        each.mkdir()
        RunFolder(each).update(state="queued")
    code = f"""
import os, signal, time
from pathlib import Path
from training.runs import warm
from training.runs.process import launch
warm.prepare()
while not warm.is_ready(): time.sleep(.05)
launch({PROGRAM!r}, Path({str(forked)!r}))
os.kill(int(Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()[0]), signal.SIGKILL)
time.sleep(.2)
launch({PROGRAM!r}, Path({str(plain)!r}))
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert started(forked)["loaded"] and not started(plain)["loaded"]
    assert is_alive(forked) and is_alive(plain)
    end(forked)
    end(plain)


def test_a_run_can_be_killed_with_its_group_and_leaves_its_lock(ready: None, folder: Path) -> None:
    process = launch(PROGRAM, folder)
    started(folder)
    os.killpg(process, signal.SIGKILL)
    while is_alive(folder):
        time.sleep(0.02)
    assert not (folder / "ended").exists()


def test_it_learns_what_a_run_with_libraries_of_its_own_learns(
    ready: None, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Example((Message("user", f"what is {i}"), Message("assistant", f"answer {i % 3}"))) for i in range(24)]
    recipe = Recipe(model=str(tiny_model), method="lora", max_steps=3, dropout=0.1, dry_run=False)

    def trained(name: str) -> tuple[float, bytes]:
        run = start_training(recipe, rows, folder=tmp_path / name, quick=True)
        return watch(run)["loss"], (run.adapter / "adapter_model.safetensors").read_bytes()

    forked = trained("forked")
    monkeypatch.setenv("PYTORCH_SETTING", "1")  # any setting of the libraries that is another one
    assert trained("plain") == forked
