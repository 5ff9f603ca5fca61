"""The process of a run: started detached, holding its folder's lock for as long as it lives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dataset_tools.errors import RunError
from training.runs import locks
from training.runs.folder import ENDED, RunFolder
from training.runs.warm import environment_of_runs, leave, start_warm

_GOING = 60.0  # seconds that a process may take to end, with its libraries' own goodbyes


def launch(module: str, folder: Path, *, lock: int | None = None) -> int:
    """Start ``python -m module folder`` in a session of its own; what it prints goes to worker.log. Its process id.

    Args:
        module: What to run.
        folder: The run's folder; its lock goes to the process, and is free again when the process ends in any way.
        lock: The folder's lock, where the caller holds it.

    Raises:
        RunError: a process is at work there.
    """
    if lock is None:
        with held(RunFolder(folder)) as taken:
            return launch(module, folder, lock=taken)
    with (folder / "worker.log").open("ab") as log:
        pid = start_warm(module, folder, log=log.fileno(), lock=lock) or _start(module, folder, log=log, lock=lock)
    (folder / "pid").write_text(str(pid), "ascii")
    return pid


def _start(module: str, folder: Path, *, log: IO[bytes], lock: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=environment_of_runs(),
        cwd=folder,
        pass_fds=(lock,),
    )
    leave(process)
    return process.pid


def is_alive(folder: Path) -> bool:
    """Whether the process of this folder's run still lives: it holds the folder's lock for as long as it does."""
    return locks.is_taken(folder / "lock")


@contextlib.contextmanager
def held(run: RunFolder) -> Iterator[int]:
    """The lock of a run's folder, to be handed to its process.

    Raises:
        RunError: a process is at work there.
    """
    if not run.path.is_dir():
        run.status()
    # A process that has said how it ended needs a moment more to go.
    ended = (run.path / "run.json").exists() and run.status()["state"] in ENDED
    lock = locks.take(run.lock, patience=_GOING) if ended else locks.take(run.lock)
    if lock is None:
        raise RunError(
            "This run is at work already.",
            where=str(run.path),
            next_step="Wait until it has ended, or stop it first: `fitting-room runs stop`.",
        )
    try:
        yield lock
    finally:
        os.close(lock)
