"""Locks that the kernel drops when their holder dies: one for each run's process, one for the accelerator.

They are flocks of open files, so there is no stale lock to clean up, and no process number that could be another's by
now. A process that is started with a lock held inherits it through its open file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from training.home import home

# Somebody who only looks holds the lock for an instant; who wants it tries again for so many seconds.
_PATIENCE, _PAUSE = 1.0, 0.02


def take(file: Path, *, patience: float = _PATIENCE) -> int | None:
    """Take the lock of a file: an open file descriptor that holds it until it is closed everywhere, or None."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_PAUSE)
        else:
            return descriptor


def is_taken(file: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def accelerator(*, my_turn: Callable[[], bool], on_wait: Callable[[], None], pause: float = 0.5) -> Iterator[None]:
    """Hold this machine's one place for a training run; the others wait in their processes.

    Args:
        my_turn: Asked before each try; whoever answers no lets another go first.
        on_wait: Called each time that the place was not to be had; it may raise, to give up.
        pause: Seconds between two tries.
    """
    file = home() / "accelerator.lock"
    descriptor = take(file, patience=0) if my_turn() else None
    while descriptor is None:
        on_wait()
        time.sleep(pause)
        descriptor = take(file, patience=0) if my_turn() else None
    try:
        yield
    finally:
        os.close(descriptor)
