"""An export that others watch: its state in the run's folder, one at a time, stopped, killed, waiting its turn."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.run_folders import RESULT, write_run
from training.export import ExportError
from training.export.attempts import Attempt, held, last_attempt, recorded, start, stop
from training.export.report import ExportReport, Fidelity, Proof
from training.export.turn import WAITING, own_turn
from training.home import home
from training.models.loading import machine
from training.runs import locks
from training.runs.folder import RunFolder
from training.runs.supervisor import delete

NEAR = Fidelity(1.0, 0.0, 8, same_answers=1.0, common_prefix=1.0)
REPORT = ExportReport("adapter", "a-run", Path("/out"), {}, Proof("transformers", 2, True, NEAR, None, None, ()))
# An export that takes for ever, started as pages start one.
_ENDLESS = """
import sys, time
from pathlib import Path
from training.export.attempts import end_on_request, record
from training.runs.folder import RunFolder

def work(tell):
    tell("merging")
    time.sleep(600)

end_on_request()
record(RunFolder(Path(sys.argv[1]).parent), "gguf", quantization="f16", folder=Path("/out"), work=work)
"""


@pytest.fixture
def run() -> RunFolder:
    return write_run("a-run", "done", result=RESULT)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def now(run: RunFolder) -> Attempt:
    found = last_attempt(run)
    assert found is not None
    return found


def start_endless(run: RunFolder) -> None:
    (run.path / "export").mkdir(exist_ok=True)
    (run.path / "export" / "endless.py").write_text(_ENDLESS)
    start(run, "gguf", quantization="f16", folder=Path("/out"), worker="endless")
    assert now(run).running and now(run).title == "gguf (f16)"


def test_an_export_is_watched_refused_twice_stopped_and_after_a_kill_found_interrupted(run: RunFolder) -> None:
    assert last_attempt(run) is None
    start_endless(run)
    with pytest.raises(ExportError, match="exported already"):
        start(run, "adapter", quantization="q8_0", folder=Path("/other"), worker="endless")
    with pytest.raises(ExportError, match="exported already"):
        recorded(run, "adapter", quantization="q8_0", folder=Path("/other"), work=lambda tell: REPORT)
    until(lambda: now(run).phase == "merging")
    assert [name for name, _ in now(run).phases] == ["starting", "merging"]
    stop(run)
    assert now(run).state == "stopped" and not locks.is_taken(run.path / "export" / "lock")
    start_endless(run)
    until(lambda: now(run).phase == "merging")
    os.kill(now(run).process, signal.SIGKILL)
    until(lambda: not now(run).running)
    assert now(run).state == "interrupted"
    stop(run)  # nothing is there to be stopped
    assert recorded(run, "adapter", quantization="q8_0", folder=Path("/out"), work=lambda tell: REPORT) == REPORT


def test_what_is_exported_in_this_process_is_told_phase_by_phase_and_how_it_ended(run: RunFolder) -> None:
    seen = []

    def work(tell: Callable[[str], None]) -> ExportReport:
        tell("merging")
        seen.append(now(run))
        return REPORT

    recorded(run, "merged", quantization="q8_0", folder=Path("/out"), work=work)
    assert (seen[0].running, seen[0].phase, seen[0].process) == (True, "merging", os.getpid())
    assert (now(run).state, now(run).folder, now(run).title) == ("done", "/out", "merged") and now(run).ended


@pytest.mark.parametrize(
    ("error", "state", "what"),
    [
        (ExportError("The proof failed.", next_step="Export again."), "failed", "The proof failed."),
        (MemoryError("out of memory"), "failed", "The machine ran out of memory."),
        (ZeroDivisionError("by zero"), "failed", "The export failed: ZeroDivisionError."),
        (KeyboardInterrupt(), "stopped", None),
    ],
)
def test_an_export_that_ends_early_says_how_and_why(
    error: BaseException, state: str, what: str | None, run: RunFolder
) -> None:
    def work(tell: Callable[[str], None]) -> ExportReport:
        tell("merging")
        raise error

    with pytest.raises(type(error)):
        recorded(run, "merged", quantization="q8_0", folder=Path("/out"), work=work)
    found = now(run)
    assert found.state == state and (found.error or {}).get("what") == what
    assert what is None or (found.error or {}).get("next_step")


def test_wrong_options_leave_what_is_told_of_the_last_export(run: RunFolder) -> None:
    recorded(run, "merged", quantization="q8_0", folder=Path("/out"), work=lambda tell: (tell("x"), REPORT)[1])
    before = now(run)

    def refused(tell: Callable[[str], None]) -> ExportReport:
        raise ExportError("There is no such kind.")

    with pytest.raises(ExportError, match="no such kind"):
        recorded(run, "onnx", quantization="q8_0", folder=Path("/out"), work=refused)
    assert now(run) == before


def test_a_run_that_is_deleted_meanwhile_is_not_made_anew(run: RunFolder) -> None:
    def work(tell: Callable[[str], None]) -> ExportReport:
        tell("merging")
        delete(run)
        tell("proving")
        return REPORT

    assert recorded(run, "merged", quantization="q8_0", folder=Path("/out"), work=work) == REPORT
    assert not run.path.exists()


def test_a_state_that_cannot_be_read_is_none(run: RunFolder) -> None:
    (run.path / "export").mkdir()
    for text in ("", "{", "[]", '{"to": 1}', '{"to": "gguf", "phases": [["a"]]}'):
        (run.path / "export" / "attempt.json").write_text(text)
        assert last_attempt(run) is None
    with held(run) as lock:
        assert lock >= 0


def test_an_export_waits_for_the_run_that_holds_the_accelerator_and_says_so_once() -> None:
    told: list[str] = []
    waits, inside, leave = threading.Event(), threading.Event(), threading.Event()

    def tell(phase: str) -> None:
        told.append(phase)
        waits.set()

    def export() -> None:
        with own_turn(tell, shared=True):
            inside.set()
            leave.wait()

    thread = threading.Thread(target=export)
    with locks.accelerator(my_turn=lambda: True, on_wait=lambda: None):
        thread.start()
        assert waits.wait(60) and not inside.is_set()
    assert inside.wait(60) and told == [WAITING]
    assert locks.take(home() / "accelerator.lock", patience=0) is None  # a run would wait for it in turn
    leave.set()
    thread.join()
    assert not locks.is_taken(home() / "accelerator.lock")


def test_an_export_that_is_stopped_while_it_waits_gives_up_its_place() -> None:
    def give_up(phase: str) -> None:
        raise KeyboardInterrupt

    busy = locks.accelerator(my_turn=lambda: True, on_wait=lambda: None)
    with busy, pytest.raises(KeyboardInterrupt), own_turn(give_up, shared=True):
        raise AssertionError("it did not wait")
    assert not locks.is_taken(home() / "accelerator.lock")


def test_on_a_cpu_an_export_waits_for_nobody() -> None:
    if machine().has_accelerator:
        pytest.skip("this machine has an accelerator")
    told: list[str] = []
    with locks.accelerator(my_turn=lambda: True, on_wait=lambda: None), own_turn(told.append):
        assert told == []


@pytest.mark.gpu
def test_on_an_accelerator_an_export_holds_the_machines_place() -> None:
    if not machine().has_accelerator:
        pytest.skip("no accelerator")
    with own_turn(lambda phase: None):
        assert locks.is_taken(home() / "accelerator.lock")
