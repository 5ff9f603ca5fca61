"""The commands for runs: list, show, stop, resume, diff and delete, with --json and honest exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.runs_cli import runs
from dataset_tools import load_examples
from tests.app.run_folders import HEALTH, RESULT, steps, write_run
from training.planning import plan_training
from training.recipe import Recipe
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import start_training, state_of, stop

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., RunFolder]
pytestmark = pytest.mark.usefixtures("one_thread")


def call(*words: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(runs, [str(word) for word in words], input=typed)


def answer(*words: object) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def started(tiny_model: Path, rows_file: Path) -> Start:
    """Start a real run of the tiny model; the tests' fixtures see to its end."""

    def start(**changes: Any) -> RunFolder:
        plan = plan_training(load_examples(rows_file).examples, model=str(tiny_model), method="lora")
        recipe = replace(plan.recipe, dry_run=False, **changes)
        return start_training(recipe, plan.train, validation=plan.validation, quick=True)

    return start


def wait_for(run: RunFolder, *states: str) -> None:
    while state_of(run) not in (*states, *ENDED):
        time.sleep(0.05)
    assert state_of(run) in states


def test_the_list_tells_of_each_run_and_marks_the_dead() -> None:
    write_run("done", "done", steps(10), result=RESULT)
    write_run("dead", "running", steps(3), created=1.0)
    listed = {run["run"]: run for run in answer("list")["runs"]}
    assert list(listed) == ["done", "dead"]
    assert (listed["done"]["step"], listed["done"]["steps"], listed["done"]["validation_loss"]) == (10, 10, 2.25)
    assert listed["dead"]["state"] == "interrupted"
    table = call("list").stdout
    assert "10 of 10" in table and "interrupted" in table and "2.250" in table
    assert max(map(len, table.splitlines())) <= 160


def test_an_empty_list_says_what_to_do() -> None:
    assert answer("list") == {"runs": []}
    assert "fitting-room train" in call("list").stdout


def test_a_run_is_shown_with_its_phases_figures_health_error_and_files() -> None:
    dry = {"event": "dry_run", "seconds_per_step": 2.0, "memory": 10**9, "checkpoint_bytes": 1, "free_bytes": 2}
    events = [{"event": "phase", "phase": "reading the rows"}, dry, *steps(10)]
    events.insert(2, {"event": "adjusted", "knob": "x", "before": 2, "now": 1, "text": "Fewer [rows] at once."})
    write_run("done", "done", events, result=RESULT)
    shown = answer("show", "done")
    assert [phase["name"] for phase in shown["phases"]] == ["waiting for its turn", "reading the rows", "training"]
    assert shown["notes"] == ["Fewer [rows] at once."] and shown["health"] == HEALTH
    assert shown["dry_run"]["seconds_per_step"] == 2.0 and "adapter" in shown["files"]
    text = call("show", "done").stdout
    for part in ("validation loss 2.250", "Fewer [rows] at once.", "It recites. Turn: epochs.", "QLoRA"):
        assert part in text


def test_a_failed_run_is_shown_with_its_error_and_the_next_step() -> None:
    error = {"kind": "RunError", "what": "The loss is [no] number.", "found": "nan", "next_step": "A third of it."}
    write_run("failed", "failed", steps(3), error=error)
    shown = call("show", "fail")
    assert shown.exit_code == 0
    assert "The loss is [no] number." in shown.stdout and "A third of it." in shown.stdout
    assert "runs resume failed" in shown.stdout
    assert answer("show", "failed")["error"] == error


@pytest.mark.parametrize("command", ["show", "stop", "resume", "delete"])
@pytest.mark.parametrize("named", ["../x", "nowhere"])
def test_a_run_that_is_not_there_is_wrong_use(command: str, named: str) -> None:
    result = call(command, named, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "UsageError"


def test_two_runs_are_laid_side_by_side() -> None:
    write_run("one", "done", steps(10), result=RESULT, recipe=Recipe("embedded"))
    write_run("two", "stopped", steps(5), recipe=Recipe("embedded", rank=8, alpha=16))
    told = answer("diff", "one", "two")
    assert told["settings"] == [{"knob": "rank", "values": [16, 8]}, {"knob": "alpha", "values": [32, 16]}]
    assert [part["same"] for part in told["data"]] == [True, True]
    figures = {each["figure"]: each["values"] for each in told["figures"]}
    assert figures["steps"] == [10, 5] and figures["validation_loss"] == [2.25, pytest.approx(3.1)]
    assert "the same" in call("diff", "one", "two").stdout
    assert call("diff", "one", "one").exit_code == 2


def test_nothing_is_deleted_unasked() -> None:
    run = write_run("done", "done")
    assert call("delete", "done").exit_code == 2  # nobody can be asked
    assert call("delete", "done", "--json").exit_code == 2
    assert run.path.is_dir()
    assert answer("delete", "done", "--yes") == {"run": "done", "deleted": True}
    assert not run.path.exists()


def test_there_is_nothing_to_stop_in_a_run_that_has_ended() -> None:
    write_run("done", "done")
    assert answer("stop", "done") == {"run": "done", "state": "done", "stopped": False}
    assert "nothing to stop" in call("stop", "done").stdout


def test_a_done_run_is_not_resumed() -> None:
    write_run("done", "done")
    result = call("resume", "done")
    assert result.exit_code == 1 and "done" in result.stderr


def test_a_run_is_stopped_and_goes_on_to_its_end_while_it_is_watched(started: Start) -> None:
    run = started(epochs=30.0)
    wait_for(run, "running")
    stopped = answer("stop", run.path.name)
    assert (stopped["state"], stopped["stopped"], stopped["discarded"]) == ("stopped", True, False)
    assert run.adapter.is_dir()
    resumed = call("resume", run.path.name, "--json")
    assert resumed.exit_code == 0
    told = json.loads(resumed.stdout)
    assert (told["state"], told["step"]) == ("done", told["steps"])
    assert "training" in resumed.stderr
    assert call("delete", run.path.name, "--yes").exit_code == 0


def test_what_a_discarded_run_has_learnt_is_gone(started: Start) -> None:
    run = started(epochs=500.0)
    wait_for(run, "running")
    assert answer("stop", run.path.name, "--discard")["discarded"]
    assert not run.adapter.exists() and not run.checkpoints.exists()
    assert answer("show", run.path.name)["health"] is None


def test_a_failed_run_that_is_watched_ends_with_its_error(started: Start) -> None:
    run = started(epochs=500.0)
    wait_for(run, "running")
    stop(run)
    (run.path / "train.jsonl").write_text("{}\n")
    refused = call("resume", run.path.name, "--json")
    assert refused.exit_code == 1 and "--force" in json.loads(refused.stdout)["error"]["next_step"]
    forced = call("resume", run.path.name, "--force", "--json")
    assert forced.exit_code == 1
    assert json.loads(forced.stdout)["error"]["what"]
    assert state_of(run) == "failed"


def test_ctrl_c_ends_the_watching_and_not_the_run(started: Start, environment: dict[str, str]) -> None:
    run = started(epochs=500.0)
    try:
        wait_for(run, "running")
        program = "from app.runs_cli import runs; runs()"
        command = [sys.executable, "-c", program, "show", run.path.name, "--follow", "--json"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        home = {"FITTING_ROOM_HOME": str(run.path.parent.parent)}
        with subprocess.Popen(command, cwd=ROOT, env={**environment, **home}, **pipes) as watching:
            assert watching.stderr is not None
            while "step" not in watching.stderr.readline():
                assert watching.poll() is None
            watching.send_signal(signal.SIGINT)
            told, _ = watching.communicate()
        assert watching.returncode == 130
        assert json.loads(told)["left"] is True
        assert state_of(run) == "running"
    finally:
        stop(run, keep=False)
