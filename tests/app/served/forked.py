"""The app's server in a process of its own that loads nothing: a fork of one that holds all libraries.

To load them takes longer than what most tests of the served app do, and runs that the app starts would load their own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS = 300
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.app.served.libraries"])


def start(home: Path, *, port: int = 0, **environment: str) -> tuple[BaseProcess, str]:
    """Start the server of a home, with further environment variables; its process and its address."""
    ours, theirs = _forks.Pipe()
    settings = {**os.environ, "FITTING_ROOM_HOME": str(home), **environment}
    process = _forks.Process(target=_serve, args=(settings, port, theirs))
    process.start()
    theirs.close()
    with ours:
        assert ours.poll(_START_SECONDS), "the server did not start"
        address: str = ours.recv()
    assert address.startswith("http://127.0.0.1:")
    return process, address.rstrip("/")


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[str]:
    """Serve the app as `start` does, until the end of the block; gives its address."""
    process, address = start(home, **environment)
    try:
        yield address
    finally:
        process.terminate()
        process.join()
        process.close()


def _serve(settings: Mapping[str, str], port: int, connection: Connection) -> None:
    from app.server import serve
    from training.runs import warm

    os.environ.clear()
    os.environ.update(settings)
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    warm.prepare_by_fork()
    serve(port=port, ready=connection.send)
