"""Waiting for the accelerator: an export that loads models onto one does so alone, as training runs do."""

from __future__ import annotations

import contextlib

from training.export.job import Tell
from training.models.loading import machine
from training.runs import locks

WAITING = "waiting for a training run to end"


def own_turn(tell: Tell, *, shared: bool | None = None) -> contextlib.AbstractContextManager[None]:
    """Hold the machine's one place for models, which training runs hold too; on a CPU nothing is waited for.

    An export is short beside a training, and asks for far less memory; on a CPU it would wait hours for what it
    could have beside the training.

    Args:
        tell: Told once, where there is somebody to wait for. It may raise, to give up.
        shared: Whether there is something that only one may use; by default, whether there is an accelerator.
    """
    if not (machine().has_accelerator if shared is None else shared):
        return contextlib.nullcontext()
    told: set[str] = set()

    def on_wait() -> None:
        if not told:
            told.add(WAITING)
            tell(WAITING)

    return locks.accelerator(my_turn=lambda: True, on_wait=on_wait)
