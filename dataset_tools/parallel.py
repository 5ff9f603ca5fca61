"""The same work on several parts at once, each in a process of its own. What the work is, is not known here."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_MOST = 8


def processes() -> int:
    """How many processes make sense: one a core, and one where a process cannot be forked safely.

    A fork takes along only the thread that forks. From the main thread that is safe for work that computes and prints
    nothing; the threads of a server are never forked.
    """
    if not hasattr(os, "fork") or threading.current_thread() is not threading.main_thread():
        return 1
    return min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def run_parts(work: Callable[[int], T], parts: Sequence[int]) -> list[T]:
    """Run ``work`` on each part, the first in this process and the others in forks of it; the results in order.

    A fork shares all memory at no cost until it is written to, so nothing has to be handed over, which starting a new
    interpreter would need; what the work returns or raises is sent back.
    """
    forks = [_fork(work, part) for part in parts[1:]]
    try:
        results = [work(parts[0])]
    finally:
        answers = [_join(*fork) for fork in forks]
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        results.append(answer)
    return results


def _fork(work: Callable[[int], Any], part: int) -> tuple[Any, Any]:
    """A forked process at work, and the end of the pipe that its answer comes from."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, work, part), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, where there are other threads
        process.start()
    sender.close()
    return process, receiver


def _answer(sender: Any, work: Callable[[int], Any], part: int) -> None:
    try:
        answer: Any = work(part)
    except Exception as error:  # it is raised again in the process that asked
        answer = error
    sender.send(answer)


def _join(process: Any, receiver: Any) -> Any:
    """The answer of a fork, or an error where it died without one."""
    try:
        with receiver:
            return receiver.recv()
    except EOFError:
        return MemoryError("a process that checked a part of the file was killed")
    finally:
        process.join()
