"""The process of a run, with one fault injected: ``FAULT`` says which, and it happens once in each run's folder.

die-at-step:N        SIGKILL itself once step N is told of
die-in-save:NAME     SIGKILL itself in a save, as soon as the file is written (at its second save)
no-space:NAME        the disk is full when this file is written in a checkpoint (at its second save)
no-memory:ROWS       computing more rows than this at once runs out of memory
slow-step:SECONDS    each step takes at least so long
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
KIND, _, VALUE = os.environ["FAULT"].partition(":")


def once() -> bool:
    """Whether the fault has not happened in this folder yet."""
    mark = FOLDER / "fault-happened"
    if mark.exists():
        return False
    mark.touch()
    return True


def die() -> None:
    """As a power cut, the kernel's memory killer, or a user's kill -9 end a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(number: int) -> None:
    from training.runs.folder import RunFolder

    log = RunFolder.log

    def logged(self: Any, event: str, **values: Any) -> None:
        log(self, event, **values)
        if event == "step" and values["step"] == number and once():
            die()

    RunFolder.log = logged  # type: ignore[method-assign]


def at_second_save(name: str, act: Callable[[Path], None]) -> None:
    """Look at the checkpoint's folder whenever the trainer has written a part of it."""
    import transformers

    def watched(method: str) -> None:
        original = getattr(transformers.Trainer, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            place = FOLDER / "checkpoints"
            saves = sorted(place.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
            if len(saves) > 1 and (saves[-1] / name).exists() and not (saves[-1] / "COMPLETE.json").exists():
                act(saves[-1] / name)
            return result

        setattr(transformers.Trainer, method, call)

    for method in ("save_model", "_save_optimizer_and_scheduler", "_save_rng_state", "_save_checkpoint"):
        watched(method)


def die_in_save(name: str) -> None:
    at_second_save(name, lambda path: die() if once() else None)


def no_space(name: str) -> None:
    def act(path: Path) -> None:
        if once():
            path.write_bytes(path.read_bytes()[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    at_second_save(name, act)


def no_memory(rows: int) -> None:
    import torch
    from transformers import Trainer

    step = Trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if len(inputs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return step(self, model, inputs, *args, **kwargs)

    Trainer.training_step = training_step  # type: ignore[method-assign]


def slow_step(seconds: float) -> None:
    from transformers import Trainer

    step = Trainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return step(self, *args, **kwargs)

    Trainer.training_step = training_step  # type: ignore[method-assign]


if __name__ == "__main__":
    from training.runs.worker import main

    {
        "die-at-step": lambda: die_at_step(int(VALUE)),
        "die-in-save": lambda: die_in_save(VALUE),
        "no-space": lambda: no_space(VALUE),
        "no-memory": lambda: no_memory(int(VALUE)),
        "slow-step": lambda: slow_step(float(VALUE)),
    }[KIND]()
    sys.exit(main())
