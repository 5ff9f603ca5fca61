"""Runs that are killed, starved or tampered with: what they had learnt is kept, and what they say is true."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import RunError
from dataset_tools.example import Example
from training.models.loading import check_adapter, machine
from training.recipe import Recipe
from training.runs.checkpoints import MANIFEST
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import delete, is_alive, resume, runs_folder, start_training, state_of, stop, watch

pytestmark = pytest.mark.usefixtures("one_thread")
ROWS = [
    Example.of(f"what is the colour of number {i}" + " please" * (i % 5), "red" + " blue" * (i % 4)) for i in range(16)
]
HELD_OUT = [Example.of(f"and of number {i}", "red" + " blue" * (i % 4)) for i in range(6)]
WEIGHTS = "adapter_model.safetensors"
# Exact on a CPU: 32 bits, one thread; dropout and the shuffled order are on.
EXACT: dict[str, Any] = {
    **{"method": "lora", "precision": "fp32", "dropout": 0.2, "batch_size": 4, "micro_batch_size": 2, "max_steps": 8},
    **{"evaluations": 4, "learning_rate": 1e-2, "patience": 0, "dry_run": False},
}
Start = Callable[..., RunFolder]


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start a run whose process has a fault; the runs that still go on at the end are killed."""
    started: list[RunFolder] = []

    def begin(fault: str | None = None, *, rows: list[Example] = ROWS, **knobs: Any) -> RunFolder:
        recipe = Recipe(str(tiny_model), **{**EXACT, **knobs})
        worker = {}
        if fault:
            monkeypatch.setenv("FAULT", fault)
            worker = {"worker": "tests.faults.faulty_worker"}
        folder = tmp_path / f"run-{len(started)}"
        started.append(start_training(recipe, rows, validation=HELD_OUT, folder=folder, quick=True, **worker))
        return started[-1]

    yield begin
    for run in started:
        if run.path.exists() and state_of(run) not in ENDED:
            stop(run, patience=0)


@pytest.fixture(scope="module")
def unbroken(one_thread: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    if machine().has_accelerator:
        pytest.skip("the sums of an accelerator's kernels come in no fixed order")
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    run = start_training(Recipe(str(tiny_model), **EXACT), ROWS, validation=HELD_OUT, folder=folder, quick=True)
    watch(run)
    return run


@pytest.fixture(scope="module")
def killed(one_thread: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was killed after step 5, with its last checkpoint at step 4."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT", "die-at-step:5")
        recipe = Recipe(str(tiny_model), **EXACT)
        options: dict[str, Any] = {"folder": folder, "quick": True, "worker": "tests.faults.faulty_worker"}
        run = start_training(recipe, ROWS, validation=HELD_OUT, **options)
        assert end_of(run) == "interrupted"
    run.update(worker="training.runs.worker")
    return run


@pytest.fixture
def interrupted(killed: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the run that was killed."""
    return RunFolder(shutil.copytree(killed.path, tmp_path / "killed"))


def told(run: RunFolder, event: str, value: str) -> dict[int, Any]:
    """A figure of the events by its step; of a step that was done twice, the later one."""
    return {one["step"]: one[value] for one in run.events()[0] if one["event"] == event}


def end_of(run: RunFolder) -> str:
    """Wait for the end of a run; its state."""
    deadline = time.monotonic() + 180
    while state_of(run) not in ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return state_of(run)


def wait_for(run: RunFolder, event: str, count: int = 1) -> None:
    deadline = time.monotonic() + 180
    while sum(one["event"] == event for one in run.events()[0]) < count:
        assert state_of(run) not in ENDED and time.monotonic() < deadline, (run.path / "worker.log").read_text()
        time.sleep(0.02)


def assert_same(run: RunFolder, unbroken: RunFolder) -> None:
    """The same losses, the same learning rates, and the same adapter to the last byte."""
    for event, value in (("step", "loss"), ("step", "learning_rate"), ("evaluation", "validation_loss")):
        assert told(run, event, value) == told(unbroken, event, value)
    assert (run.adapter / WEIGHTS).read_bytes() == (unbroken.adapter / WEIGHTS).read_bytes()


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(interrupted: RunFolder, unbroken: RunFolder) -> None:
    assert not interrupted.adapter.exists()
    with pytest.raises(RunError, match=r"(?s)process died.*runs resume"):
        watch(interrupted)
    result = watch(resume(interrupted))
    assert (result["state"], result["steps"]) == ("done", 8)
    assert_same(interrupted, unbroken)
    phases = [one["phase"] for one in interrupted.events()[0] if one["event"] == "phase"]
    assert "going on from step 4" in phases


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(start: Start, unbroken: RunFolder) -> None:
    run = start("die-at-step:1")
    assert end_of(run) == "interrupted"
    watch(resume(run))
    assert_same(run, unbroken)


@pytest.mark.parametrize("name", ["optimizer.pt", "trainer_state.json"])
def test_a_run_that_was_killed_inside_a_save_goes_on_from_the_save_before(
    start: Start, unbroken: RunFolder, name: str
) -> None:
    run = start(f"die-in-save:{name}")
    assert end_of(run) == "interrupted"
    half = run.checkpoints / "checkpoint-4"
    assert (half / name).exists() and not (half / MANIFEST).exists()
    watch(resume(run))
    assert_same(run, unbroken)
    remarks = [one["text"] for one in run.events()[0] if one["event"] == "remark"]
    assert any("step 4" in text and MANIFEST in text for text in remarks)


def test_a_full_disk_in_a_save_fails_the_run_and_leaves_the_save_before(start: Start, unbroken: RunFolder) -> None:
    run = start("no-space:optimizer.pt")
    assert end_of(run) == "failed"
    with pytest.raises(RunError, match=r"(?s)disk is full.*Free some space.*runs resume"):
        watch(run)
    assert {path.name for path in run.checkpoints.iterdir()} == {"checkpoint-2"}
    watch(resume(run))
    assert_same(run, unbroken)


def test_out_of_memory_halves_the_rows_at_once_and_keeps_the_batch(start: Start) -> None:
    run = start("no-memory:1", micro_batch_size=2)
    result = watch(run)
    adjusted = [one for one in run.events()[0] if one["event"] == "adjusted"]
    assert [(one["before"], one["now"]) for one in adjusted] == [(2, 1)]
    assert "a step still sees 4" in adjusted[0]["text"]
    recipe = Recipe.load(run.adapter / "recipe.yaml")
    assert (recipe.micro_batch_size, recipe.batch_size, result["steps"]) == (1, 4, 8)


@pytest.mark.parametrize("what", ["train.jsonl", "recipe"])
def test_a_run_whose_inputs_were_changed_does_not_go_on(interrupted: RunFolder, what: str) -> None:
    run = interrupted
    if what == "recipe":
        recipe = Recipe.load(run.path / "recipe.yaml")
        replace(recipe, learning_rate=2e-2).save(run.path / "recipe.yaml")
        said = r"recipe\.learning_rate: 0\.01 -> 0\.02"
    else:
        rows = (run.path / "train.jsonl").read_text().replace("colour", "color", 1)
        (run.path / "train.jsonl").write_text(rows)
        said = r"train\.jsonl: \w{12} -> \w{12}"
    with pytest.raises(RunError, match=rf"(?s)was changed since its last checkpoint.*{said}.*--force"):
        resume(run)
    assert state_of(run) == "interrupted"


def test_only_one_of_two_who_resume_wins_and_force_takes_changed_rows(
    interrupted: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted
    run.update(worker="tests.faults.faulty_worker")
    monkeypatch.setenv("FAULT", "slow-step:1")  # so that it is still at work when the second comes
    rows = (run.path / "train.jsonl").read_text().replace("colour", "color", 1)
    (run.path / "train.jsonl").write_text(rows)
    resume(run, force=True)
    with pytest.raises(RunError, match="at work already"):
        resume(run)
    with pytest.raises(RunError, match="at work already"):
        delete(run)
    assert watch(run)["steps"] == 8
    with pytest.raises(RunError, match="is done"):
        resume(run)
    delete(run)
    assert not run.path.exists()


def test_a_run_outlives_the_process_that_started_it(tiny_model: Path, tmp_path: Path) -> None:
    recipe = Recipe(str(tiny_model), **EXACT)
    recipe.save(tmp_path / "wanted.yaml")
    script = (
        "import os, signal, sys; from pathlib import Path; from dataset_tools.example import Example\n"
        "from training.recipe import Recipe; from training.runs.supervisor import start_training\n"
        "rows = [Example.of(f'what is the colour of number {i}', 'red') for i in range(16)]\n"
        "start_training(Recipe.load(Path(sys.argv[1])), rows, folder=Path(sys.argv[2]), quick=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "wanted.yaml"), str(tmp_path / "run")]
    died = subprocess.run(arguments, check=False, cwd=Path(__file__).parents[2])
    assert died.returncode == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert state_of(run) in ("queued", "preparing", "running")
    result = watch(run)  # whoever comes back finds it by its folder, with all of its events
    assert result["state"] == "done" and sorted(told(run, "step", "loss")) == list(range(1, 9))


def test_a_process_number_that_belongs_to_another_by_now_is_not_taken_for_the_run(interrupted: RunFolder) -> None:
    run = interrupted
    run.update(state="running")
    (run.path / "pid").write_text(str(os.getpid()))
    assert not is_alive(run.path)
    assert state_of(run) == "interrupted"


def test_a_stop_inside_a_long_step_ends_soon_and_keeps_what_was_learnt(start: Start) -> None:
    run = start("slow-step:1", batch_size=16, micro_batch_size=1, max_steps=50, evaluations=50)
    wait_for(run, "step")
    time.sleep(1)  # in the middle of the second step, which takes 16 s
    began = time.monotonic()
    assert stop(run) == "stopped"
    assert time.monotonic() - began < 10
    check_adapter(run.adapter)
    assert watch(run)["steps"] == 1
    states = [one["state"] for one in run.events()[0] if one["event"] == "state"]
    assert states == ["queued", "preparing", "running", "stopping", "stopped"]


def test_a_stop_before_the_first_step_ends_the_run_without_a_result(start: Start) -> None:
    run = start()
    assert stop(run) == "stopped"
    with pytest.raises(RunError, match=r"(?s)stopped before it had learnt.*runs resume"):
        watch(run)
    assert watch(resume(run))["steps"] == 8


def test_a_stop_that_discards_leaves_nothing_of_what_was_learnt(start: Start) -> None:
    run = start("slow-step:0.3", max_steps=100, evaluations=100)
    wait_for(run, "step", 3)
    assert stop(run, keep=False) == "stopped"
    assert not run.adapter.exists() and not run.checkpoints.exists()
    with pytest.raises(RunError, match="before it had learnt"):
        watch(run)


def test_a_stopped_run_goes_on_where_it_stopped(start: Start, unbroken: RunFolder) -> None:
    run = start("slow-step:0.5")
    wait_for(run, "step", 3)
    assert stop(run) == "stopped"
    done = watch(run)["steps"]
    assert 3 <= done < 8 and run.adapter.is_dir()
    shutil.rmtree(run.path / "fault-happened", ignore_errors=True)
    watch(resume(run))
    assert_same(run, unbroken)


def test_the_second_run_waits_for_the_first_and_then_goes_on_by_itself(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT", "slow-step:0.5")
    recipe = Recipe(str(tiny_model), **EXACT)
    first = start_training(recipe, ROWS, quick=True, worker="tests.faults.faulty_worker")
    second = start_training(replace(recipe, max_steps=1), ROWS, quick=True)
    assert first.path.parent == second.path.parent == runs_folder()
    try:
        wait_for(first, "step")
        wait_for(second, "phase")
        assert state_of(second) == "queued"
        assert second.events()[0][-1]["phase"] == "waiting for another run to end"
        os.kill(int((first.path / "pid").read_text()), signal.SIGKILL)  # the kernel drops its locks
        assert watch(second)["steps"] == 1
        assert state_of(first) == "interrupted"
    finally:
        for run in (first, second):
            stop(run, patience=0)


def test_a_loss_that_is_no_number_ends_the_run_with_what_to_change(start: Start) -> None:
    run = start(learning_rate=1e30, max_steps=50)
    assert end_of(run) == "failed"
    with pytest.raises(RunError, match=r"(?s)no number any more.*at step \d+.*lower learning_rate"):
        watch(run)
    steps = told(run, "step", "loss")
    assert max(steps) < 50


def test_one_row_is_enough_to_train_on(start: Start) -> None:
    assert watch(start(rows=ROWS[:1], max_steps=2))["steps"] == 2


def test_a_result_that_cannot_be_written_is_in_the_last_checkpoint(interrupted: RunFolder, unbroken: RunFolder) -> None:
    blocked = interrupted.path / "adapter.part"
    blocked.touch()  # a file where the folder shall be
    assert end_of(resume(interrupted)) == "failed"
    blocked.unlink()
    taken = len(told(interrupted, "step", "loss"))
    watch(resume(interrupted))
    assert len(told(interrupted, "step", "loss")) == taken == 8
    assert_same(interrupted, unbroken)


def test_what_a_run_says_of_itself_is_whole_json_at_every_moment(unbroken: RunFolder) -> None:
    assert json.loads((unbroken.path / "run.json").read_text())["state"] == "done"
    assert [json.loads(line) for line in (unbroken.path / "events.jsonl").read_text().splitlines()]
