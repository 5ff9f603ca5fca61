"""An export as a piece of work that others watch: one at a time for each run, its state in the run's folder.

    export/          in the folder of a run
      attempt.json   what is being exported, its phases, how it ended; replaced in one step at each change
      worker.log     what the libraries said, where it is a process of its own
      lock           held by whoever exports, for as long as it lives

Whoever exports writes, everybody else reads and may ask it to stop. The export itself is `training.export.exporting`'s:
it takes its place whole or not at all, so that nothing here has to be put right after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dataset_tools.errors import FittingRoomError, RunError
from dataset_tools.writing import write_text_atomically
from training.export.job import Tell
from training.export.report import ExportError, ExportReport
from training.runs import locks
from training.runs.folder import RunFolder
from training.runs.process import launch
from training.runs.worker import is_out_of_memory

_FILE = "attempt.json"
# Seconds that a process which has said how it ended may take to go, and one that was asked to stop before it is killed.
_GOING, _PATIENCE = 20.0, 15.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Attempt:
    """The last export of a run, as it stands.

    Attributes:
        to: "adapter", "merged" or "gguf".
        quantization: Of a GGUF file.
        folder: Where it shall lie.
        state: "running", "done", "failed", "stopped" or "interrupted" (its process is gone without a word).
        began: When, in seconds since the epoch; `ended` likewise.
        phases: What it did and does, each with the time at which it began.
        error: Why it failed, as the parts of a `FittingRoomError`.
        process: Of whoever exports.
    """

    to: str
    quantization: str
    folder: str
    state: str = "running"
    began: float = 0.0
    ended: float | None = None
    phases: tuple[tuple[str, float], ...] = ()
    error: Mapping[str, str | None] | None = None
    process: int = 0

    @property
    def title(self) -> str:
        """What it is exported to: ``adapter``, ``merged``, ``gguf (q8_0)``."""
        return f"{self.to} ({self.quantization})" if self.to == "gguf" else self.to

    @property
    def phase(self) -> str:
        """What it does now, or did last."""
        return self.phases[-1][0] if self.phases else ""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == "running"


def last_attempt(run: RunFolder) -> Attempt | None:
    """The export of a run that goes on, else the last one that did; None where there was none."""
    found = _read(run)
    if found is None or not found.running or locks.is_taken(_folder(run) / "lock"):
        return found
    found = _read(run) or found  # it may have said how it ended between our two looks
    return replace(found, state="interrupted") if found.running else found


def start(run: RunFolder, to: str, *, quantization: str, folder: Path, worker: str) -> None:
    """Start an export in a process of its own, which outlives this one.

    Args:
        run: A run that ended well.
        to: "adapter", "merged" or "gguf".
        quantization: Of a GGUF file.
        folder: Where it shall lie.
        worker: The module that is the process: given the folder ``export/``, it calls `record`.

    Raises:
        ExportError: the run is being exported.
        RunError: the run's folder cannot be written to.
    """
    with held(run) as lock:
        began = time.time()
        wanted = Attempt(to, quantization, str(folder), began=began, phases=(("starting", began),))
        _write(run, wanted)
        launch(worker, _folder(run), lock=lock)


@contextlib.contextmanager
def held(run: RunFolder) -> Iterator[int]:
    """The right to export a run, as an open file that can be handed to a process.

    Raises:
        ExportError: somebody else has it.
        RunError: the run's folder cannot be written to.
    """
    folder, before = _folder(run), last_attempt(run)
    run.status()  # which refuses what is no run's folder
    if before is not None and before.running:
        raise _taken(run, before.title)
    try:
        folder.mkdir(exist_ok=True)
        lock = locks.take(folder / "lock", patience=1.0 if before is None else _GOING)
    except OSError as error:
        raise RunError(
            "The run's folder cannot be written to.",
            where=str(folder),
            found=str(error),
            next_step="Copy the run to a folder of yours, and export that.",
        ) from error
    if lock is None:
        raise _taken(run, None)
    try:
        yield lock
    finally:
        os.close(lock)


def recorded(
    run: RunFolder, to: str, *, quantization: str, folder: Path, work: Callable[[Tell], ExportReport]
) -> ExportReport:
    """Do an export in this process, and `record` it where the run's folder can be written to.

    Raises:
        ExportError: the run is being exported already.
        Whatever the work raises.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(run))
        except ExportError:
            raise
        except RunError:  # a run of somebody else, or on a disk that is read only
            return work(lambda phase: None)
        return record(run, to, quantization=quantization, folder=folder, work=work)


def record(
    run: RunFolder, to: str, *, quantization: str, folder: Path, work: Callable[[Tell], ExportReport]
) -> ExportReport:
    """Do an export, and keep how it goes where others can read it. The caller has the right to (`held`).

    What fails before its first phase, as wrong options do, is kept only if `start` has announced it.

    Raises:
        Whatever the work raises, once it is written down.
    """
    before = _read(run)
    announced = before if before is not None and before.running and not before.process else None
    now = Attempt(to, quantization, str(folder), began=time.time(), process=os.getpid())

    def change(**values: Any) -> None:
        nonlocal now
        now = replace(now, **values)
        if now.phases:
            with contextlib.suppress(OSError, FittingRoomError):  # the export matters more than what is told of it
                _write(run, now)

    def tell(phase: str) -> None:
        change(phases=(*now.phases, (phase, time.time())))

    if announced is not None:
        change(began=announced.began, phases=announced.phases)
    try:
        report = work(tell)
    except FittingRoomError as error:
        change(state="failed", ended=time.time(), error=error.to_dict())
        raise
    except KeyboardInterrupt:
        change(state="stopped", ended=time.time())
        raise
    except Exception as error:  # whatever it was, the export must not look alive or forgotten
        change(state="failed", ended=time.time(), error=_explained(error).to_dict())
        raise
    change(state="done", ended=time.time(), folder=str(report.folder))
    return report


def stop(run: RunFolder) -> None:
    """Have the export of a run end, as Ctrl-C does; what it was making goes. One that takes too long is killed."""
    asked, deadline = 0, time.monotonic() + _PATIENCE
    while locks.is_taken(_folder(run) / "lock"):
        found = _read(run)
        late, process = time.monotonic() > deadline, found.process if found is not None and found.running else 0
        if process and (late or process != asked):  # asked once alone: it tidies up
            asked = process
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL if late else signal.SIGINT)
        elif late:
            return
        time.sleep(_PAUSE)


def end_on_request() -> None:
    """Let this process end where `stop` asks it to, also where it was started with that switched off, as shells do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _taken(run: RunFolder, title: str | None) -> ExportError:
    return ExportError(
        "This run is being exported already.",
        where=str(run.path),
        found=title,
        next_step="Wait until that has ended, or stop it on the run's page.",
    )


def _explained(error: Exception) -> FittingRoomError:
    text = str(error).strip()[:300] or type(error).__name__
    if is_out_of_memory(error):
        return RunError(
            "The machine ran out of memory.",
            found=text,
            next_step="Close what else uses memory, or wait until runs have ended, and export again. Nothing was left.",
        )
    return ExportError(
        f"The export failed: {type(error).__name__}.",
        found=text,
        next_step="Export it on the command line, with --debug, to see where. Nothing was left.",
    )


def _folder(run: RunFolder) -> Path:
    return run.path / "export"


def _read(run: RunFolder) -> Attempt | None:
    try:
        values = json.loads((_folder(run) / _FILE).read_text("utf-8"))
        phases = tuple((str(name), float(at)) for name, at in values.pop("phases"))
        return Attempt(**values, phases=phases)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(run: RunFolder, attempt: Attempt) -> None:
    if not _folder(run).is_dir():  # the run was deleted meanwhile
        return
    write_text_atomically(_folder(run) / _FILE, json.dumps(asdict(attempt), indent=2) + "\n")
