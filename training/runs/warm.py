"""A process that holds the training libraries and forks each run's process: a run then starts without loading them.

Loading takes longer (6 s on 2 quiet cores, 18 s on busy ones) than many a small run trains. A program that is likely to
start runs calls `prepare` beforehand; `training.runs.process.launch` uses what is ready, and starts a run in the plain
way otherwise. The process ends with the program that prepared it, the runs that it has forked do not. It exists on
Linux without an accelerator alone: CUDA does not bear a fork, macOS neither.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from training.quiet import SETTINGS

LIBRARIES = (
    "bitsandbytes",
    "datasets",
    "peft",
    "trl.trainer.sft_trainer",
    "transformers.models.llama.modeling_llama",
    "training.runs.session",
)
"""What a run loads before it begins."""
# Libraries read these when they are loaded: a run with others needs a process of its own.
_READ_ON_LOADING = ("OMP_", "GOMP_", "MKL_", "OPENBLAS_", "HF_", "TRANSFORMERS_", "PYTORCH", "PYTHON", "LD_")
_OF_NO_MATTER = ("HF_HUB_DISABLE_TELEMETRY",)  # gradio writes it its own way
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_SIZE = struct.Struct("!q")
_ROOT = Path(__file__).resolve().parents[2]
_IDLE = 900.0  # seconds without a run to start, after which its memory is given back


class _Warm:
    """The process of this program that waits for runs to start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None
        self._loaded = False
        self._loaded_with: Mapping[str, str] = {}

    def begin(self, environment: Mapping[str, str], start: Callable[[socket.socket, Mapping[str, str]], None]) -> None:
        """Begin to load, unless that was done with the same settings of the libraries."""
        with self._lock:
            if self._lives() and self._loaded_with == _read_on_loading(environment):
                return
            self.end()
            self._ours, theirs = socket.socketpair()
            with theirs:
                start(theirs, environment)
            self._loaded_with = _read_on_loading(environment)

    def start(self, command: Mapping[str, Any], files: tuple[int, int]) -> int | None:
        """The process id of a run; None where no process is ready to fork it."""
        with self._lock:
            if self._ours is None or self._loaded_with != _read_on_loading(command["environment"]):
                return None
            try:
                return self._ask(self._ours, command, files)
            except OSError:  # it was killed
                self.end()
                return None

    def is_ready(self) -> bool:
        """Whether the libraries are loaded."""
        with self._lock:
            return self._lives() and self._ours is not None and self._has_loaded(self._ours)

    def _lives(self) -> bool:
        """Whether the process is there; it says a word when it has loaded, and nothing but its end is read after it."""
        if self._ours is None:
            return False
        try:
            gone = self._ours.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return True
        except OSError:
            gone = True
        if gone:
            self.end()
        return not gone

    def _has_loaded(self, ours: socket.socket) -> bool:
        if not self._loaded and select.select([ours], [], [], 0)[0]:
            self._loaded = bool(_received(ours, _SIZE.size))
        return self._loaded

    def _ask(self, ours: socket.socket, command: Mapping[str, Any], files: tuple[int, int]) -> int | None:
        if not self._has_loaded(ours):
            return None
        body = json.dumps(command).encode()
        socket.send_fds(ours, [_SIZE.pack(len(body))], files)
        ours.sendall(body)
        return int(_SIZE.unpack(_received(ours, _SIZE.size))[0])

    def forget(self) -> None:
        """In a fork of the program: neither the process is its own nor the lock, which was held."""
        self._lock = threading.Lock()
        self.end()

    def end(self) -> None:
        """Let the process go; the runs that it has forked go on."""
        if self._ours is not None:
            self._ours.close()
        self._ours, self._loaded = None, False


_WARM = _Warm()
atexit.register(_WARM.end)


def prepare() -> None:
    """Load the training libraries in a process that waits for runs, if this machine suits; returns at once."""
    if suits():
        _WARM.begin(environment_of_runs(), _start_process)


def prepare_by_fork() -> None:
    """As `prepare`, in a program that has loaded the libraries itself and has no thread yet: a fork of it waits."""
    if suits():
        _WARM.begin(environment_of_runs(), _fork_process)


def _start_process(connection: socket.socket, environment: Mapping[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "training.runs.warm", str(connection.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the program in the terminal
        env=dict(environment),
        cwd=_ROOT,  # which comes first where Python looks for modules: never the folder of somebody's data
        pass_fds=(connection.fileno(),),
    )
    leave(process)


def _fork_process(connection: socket.socket, environment: Mapping[str, str]) -> None:
    del environment  # is this program's
    if os.fork() == 0:
        os.setsid()
        _WARM.forget()  # also so that the connection ends when the program does
        with contextlib.suppress(ConnectionError):
            _serve(connection)
        os._exit(0)


def is_ready() -> bool:
    """Whether the process that `prepare` has made can start runs by now."""
    return _WARM.is_ready()


def start_warm(module: str, folder: Path, *, log: int, lock: int) -> int | None:
    """Start ``python -m module folder`` by a fork of the process that `prepare` has made.

    Args:
        module: What to run.
        folder: Its only argument, and its working folder.
        log: An open file for what it prints.
        lock: An open file that it shall hold.

    Returns:
        Its process id; None where it must be started in the plain way.
    """
    command = {"module": module, "folder": str(folder), "environment": environment_of_runs()}
    return _WARM.start(command, (log, lock))


def environment_of_runs() -> dict[str, str]:
    """The environment of this program, with which the process of a run finds this code."""
    places = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # an empty one would be the working folder
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def leave(process: subprocess.Popen[bytes]) -> None:
    """Let a process outlive the object that stands for it, and collect it when it ends."""
    process.returncode = 0  # Popen would warn where it is still at work when the object goes
    threading.Thread(target=_collect, args=(process.pid,), daemon=True).start()


def _collect(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def suits() -> bool:
    """Whether this machine bears the fork of a process with the libraries loaded."""
    return sys.platform == "linux" and not any(os.path.exists(device) for device in _ACCELERATORS)


def _read_on_loading(environment: Mapping[str, str]) -> dict[str, str]:
    settings = {**SETTINGS, **environment}  # it is quiet whether or not the program was by the time that it asked
    read = {name: value for name, value in settings.items() if name.startswith(_READ_ON_LOADING)}
    return {name: value for name, value in read.items() if name not in _OF_NO_MATTER}


def _received(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes.

    Raises:
        ConnectionError: the other side is gone.
    """
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionError("the other side is gone")
        received += part
    return received


def _serve(connection: socket.socket) -> None:
    """Load the libraries, then fork a run for each command, until the other side is gone; a run does not return."""
    from training.quiet import quiet_libraries

    quiet_libraries()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # the collector would touch, and so copy, what is shared with the children
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects the children
    connection.sendall(_SIZE.pack(0))
    while select.select([connection], [], [], _IDLE)[0]:
        head, files, _, _ = socket.recv_fds(connection, _SIZE.size, 2)
        if not head:
            return
        command = json.loads(_received(connection, _SIZE.unpack(head)[0]))
        child = os.fork()
        if child == 0:
            connection.close()
            _become(command, log=files[0], lock=files[1])
        for file in files:
            os.close(file)
        connection.sendall(_SIZE.pack(child))


def _become(command: Mapping[str, Any], *, log: int, lock: int) -> None:
    """Run the command's module as this process's program, and end with it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.set_inheritable(lock, True)  # a run that starts itself anew keeps it
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    sys.argv, sys.path[0] = [command["module"], command["folder"]], command["folder"]
    runpy.run_module(command["module"], run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as ours, contextlib.suppress(ConnectionError):
        _serve(ours)
