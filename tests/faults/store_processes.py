"""The other processes of the tests of the index's faults: ``python -m tests.faults.store_processes NAME ...``.

Each prints lines that the test reads, and each can be killed at any point.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.training.store_stories import PLAIN
from training.runs.store import IllegalTransition, RunStore, StoreError


def crash() -> None:
    """Do one thing in a child that dies at its n-th statement: jobs come in as lines of JSON, how each ended goes out.

    A statement is what SQLAlchemy sends, each COMMIT, and what follows it: the moment when the connection is closed.
    """
    RunStore.open(f"sqlite:///{sys.argv[2]}").runs()  # loads the libraries: each child shall only do its own work
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _die_at(job["n"])
            _THINGS[job["thing"]](job["url"], Path(job["runs"]))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _die_at(n: int) -> None:
    from sqlalchemy import Engine, Pool, event

    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == n:
            os.kill(os.getpid(), signal.SIGKILL)

    for target, name in ((Engine, "before_cursor_execute"), (Engine, "commit"), (Pool, "close")):
        event.listen(target, name, count)


_THINGS: dict[str, Callable[[str, Path], object]] = {
    "open": lambda url, runs: RunStore.open(url),
    "begin": lambda url, runs: RunStore.open(url).record("new", "queued", folder=runs / "new", at=1.0, rows=3),
    "move": lambda url, runs: RunStore.open(url).record("b", "running", folder=runs / "b", at=2.0, rows=4),
    "delete": lambda url, runs: RunStore.open(url).delete("a"),
    "rebuild": lambda url, runs: RunStore.open(url).rebuild(),
}


def write() -> None:
    """URL, folder, prefix, number: that many runs of this process's own, from the first state to the last."""
    url, folder, prefix, number = sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])
    print("ready", flush=True)
    sys.stdin.readline()
    for count in range(number):
        with RunStore.open(url) as store:
            for at, state in enumerate(PLAIN, 1):
                store.record(f"{prefix}-{count}", state, folder=folder / f"{prefix}-{count}", at=at)
                print(f"{prefix}-{count} {state}", flush=True)


def contend() -> None:
    """URL, folder, number: move so many runs on, as another process does at the same time; which of them were ours."""
    url, folder, number = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    print("ready", flush=True)
    sys.stdin.readline()
    store = RunStore.open(url)
    for count in range(number):
        try:
            store.record(f"run-{count}", "queued", folder=folder / f"run-{count}", at=float(os.getpid()))
        except IllegalTransition:
            continue
        print(f"run-{count}", flush=True)


def open_it() -> None:
    """URL: open it at the same time as others, and count its runs."""
    print("ready", flush=True)
    sys.stdin.readline()
    print(len(RunStore.open(sys.argv[2]).runs()), flush=True)


def fill() -> None:
    """URL, folder, limit in bytes: write runs until no file may grow further; what was written, and the error."""
    url, folder, limit = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    import sqlalchemy.dialects.sqlite  # before the limit: nothing but the database is to meet it

    assert sqlalchemy.dialects.sqlite
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    store = None
    try:
        store = RunStore.open(url)
        for count in range(10_000):
            store.record(f"new-{count}", "queued", folder=folder / f"new-{count}", at=1.0, padding="x" * 500)
            print(f"new-{count}", flush=True)
    except StoreError as error:
        print(json.dumps(error.to_dict()))
        if store:
            print(len(store.runs()))  # it can still be read


def attempt() -> None:
    """URL, folder: read and write what may not be written; what came of each, as JSON."""
    url, folder = sys.argv[2], Path(sys.argv[3])
    came: dict[str, Any] = {}
    for name, do in _ATTEMPTS.items():
        try:
            came[name] = do(url, folder)
        except StoreError as error:
            came[name] = error.to_dict()
    print(json.dumps(came))


_ATTEMPTS: dict[str, Callable[[str, Path], object]] = {
    "read": lambda url, folder: [run.run_id for run in RunStore.open(url).runs()],
    "record": lambda url, folder: RunStore.open(url).record("z", "queued", folder=folder / "z", at=1.0).run_id,
    "delete": lambda url, folder: RunStore.open(url).delete("a"),
    "rebuild": lambda url, folder: [str(left) for left in RunStore.open(url).rebuild()],
}


def main(names: Sequence[str]) -> None:
    """Be the process of this name."""
    processes = {"crash": crash, "write": write, "contend": contend, "open": open_it, "fill": fill, "attempt": attempt}
    processes[names[0]]()


if __name__ == "__main__":
    main(sys.argv[1:])
