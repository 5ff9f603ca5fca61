"""What Ctrl-C does: an end with one line and exit code 130, from the first moment of a command on.

It imports next to nothing, so that it is there before the commands are. What a command saves when it is stopped is the
business of `app.cli_options.run` and of the work itself.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing itself takes longer to import than all that is needed here
if TYPE_CHECKING:
    from threading import Timer
    from types import FrameType

EXIT_CODE = 130  # 128 + SIGINT, as shells have it
_MOMENT = 0.05  # seconds between two looks at whether an import is over
_DOCUMENT = """{
  "error": {
    "kind": "Stopped",
    "what": "Stopped.",
    "where": null,
    "found": null,
    "expected": null,
    "next_step": %s
  }
}"""
_PROCESS = os.getpid()
_delayed: list[Timer] = []


def end_at_once() -> None:
    """From now on, Ctrl-C ends the process at once: nothing was begun yet. Where it is ignored, it stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def let_work_end() -> None:
    """From now on, Ctrl-C is a `KeyboardInterrupt`, so that work can save what it has; see `interrupt`."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, interrupt)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise `KeyboardInterrupt`, but only once an import that is going on is over.

    Within one it may get lost, be turned into another error, or pass through C++ code of torch, which then aborts.
    """
    from threading import Timer  # long since loaded when there is work to interrupt

    if os.getpid() != _PROCESS:
        os._exit(EXIT_CODE)  # a fork that does a part of the work: its parent speaks
    while _delayed:
        _delayed.pop().cancel()
    if not _within_import(frame):
        raise KeyboardInterrupt
    _delayed.append(Timer(_MOMENT, os.kill, (_PROCESS, number)))
    _delayed[-1].start()


def document(next_step: str) -> str:
    """What ``--json`` prints for a command that was stopped; in the form of `FittingRoomError.to_dict`."""
    import json

    return _DOCUMENT % json.dumps(next_step)


def _end(number: int, frame: FrameType | None) -> None:
    """Say it and end, past everything. Nothing is imported here: what is wanted may be what was being imported."""
    try:
        os.write(2, b"\nStopped.\n" if os.isatty(2) else b"Stopped.\n")
        if "--json" in sys.argv:
            os.write(1, f"{_DOCUMENT % 'null'}\n".encode())
    except OSError:  # nobody reads any more
        pass
    os._exit(EXIT_CODE)


def _within_import(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None
