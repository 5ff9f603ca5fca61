"""The process that trains: ``python -m training.runs.worker FOLDER``. It owns its run's folder and reports there.

Started by `training.runs.supervisor`; nothing else writes to the folder but a request to stop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset_tools.errors import DiskFullError, FittingRoomError, RunError
from training.recipe import Recipe
from training.runs import checkpoints, locks
from training.runs.callbacks import StopRequested
from training.runs.folder import ONE_WRITER, RunFolder
from training.runs.supervisor import waiting_before
from training.scoring import Scorer

# What the system's "no space left" and "file too large" look like by the time that libraries have passed them on.
_NO_SPACE = ("no space left", "os error 28", "file too large", "os error 27", "pytorchstreamwriter failed")
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator")


@dataclass(frozen=True)
class Judges:
    """What a run is judged by, besides its loss: the task's metric, and the base's best prompt in a comparison."""

    scorer: Scorer | None = None
    base_best: Mapping[str, Any] | None = None


def main(judges_for: Callable[[RunFolder], Judges] | None = None) -> int:
    """Run the training of the folder that the command line names; 0 where it ended well.

    Args:
        judges_for: Gives what the run is judged by; called once its turn has come.
    """
    from training.quiet import quiet_libraries

    quiet_libraries()
    run = RunFolder(Path(sys.argv[1]))
    try:
        with _ended_on_request(run) as under_way, locks.accelerator(**_queue(run)):
            run.update(state="preparing", pid=os.getpid(), started=time.time())
            _keep_reports_of_others(run)
            _work(run, judges_for, under_way)
    except FittingRoomError as error:
        _fail(run, error)
        return error.exit_code
    except Exception as error:  # the edge of the process: whatever it was, the run must not look alive
        traceback.print_exc()
        if is_out_of_memory(error):
            _again_with_less(run)
        _fail(run, explain(error))
        return 1
    return 0


def _keep_reports_of_others(run: RunFolder) -> None:
    """Have tensorboard and wandb write into the run's folder, unless the user has named another one.

    By themselves they write beside the checkpoints, which go once the run is done, or into the working folder.
    """
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(run.path / "tensorboard"))
    os.environ.setdefault("WANDB_DIR", str(run.path))


def _work(run: RunFolder, judges_for: Callable[[RunFolder], Judges] | None, under_way: threading.Event) -> None:
    from training.runs.session import train

    judges = judges_for(run) if judges_for else Judges()
    try:
        result = train(run, scorer=judges.scorer, base_best=judges.base_best, under_way=under_way)
    except StopRequested:  # before the first step
        _end_stopped(run)
        return
    if run.asked_to_discard:
        _end_stopped(run)
    elif run.stop_request.exists():
        run.log("stopped", **result)
        run.update(state="stopped", ended=time.time(), result=result)
    else:
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        run.log("done", **result)
        run.update(state="done", ended=time.time(), result=result)


def _queue(run: RunFolder) -> dict[str, Any]:
    """How this run waits for the machine's one place: behind those that were queued before it."""
    told: set[str] = set()

    def on_wait() -> None:
        if not told:
            told.add("waiting")
            run.log("phase", phase="waiting for another run to end")

    return {"my_turn": lambda: not waiting_before(run), "on_wait": on_wait}


@contextlib.contextmanager
def _ended_on_request(run: RunFolder) -> Iterator[threading.Event]:
    """Until the event is set, a request to stop ends the process: nothing is learnt yet that could be lost.

    Loading a model and waiting for a turn cannot be interrupted otherwise.
    """
    under_way, left = threading.Event(), threading.Event()

    def look() -> None:
        while not under_way.is_set() and not left.wait(0.3):
            if not run.stop_request.exists():
                continue
            with ONE_WRITER:
                if not under_way.is_set():
                    _end_stopped(run)
                    os._exit(0)

    thread = threading.Thread(target=look, name="stop requests", daemon=True)
    thread.start()
    try:
        yield under_way
    finally:
        left.set()
        thread.join()


def _end_stopped(run: RunFolder) -> None:
    """The run's end where there is no result: it was stopped before the first step, or shall be thrown away."""
    if run.asked_to_discard:
        run.discard()
    for half_done in run.path.glob(".dry-run-*"):
        shutil.rmtree(half_done, ignore_errors=True)
    run.log("stopped", kept=False)
    run.update(state="stopped", ended=time.time())


def _again_with_less(run: RunFolder) -> None:
    """Go on in a fresh process with half the rows at once and the same batch, if there is anything to halve.

    The process is replaced, which frees all of the memory, whatever still holds on to it; it keeps the run's lock.
    """
    recipe = Recipe.load(run.path / "recipe.yaml")
    smaller = smaller_micro_batch(recipe)
    if smaller is None:
        return
    replace(recipe, micro_batch_size=smaller).save(run.path / "recipe.yaml")
    text = (
        f"Out of memory: {smaller} rows at once from now on instead of {recipe.micro_batch_size}; "
        f"a step still sees {recipe.batch_size}."
    )
    run.log("adjusted", knob="micro_batch_size", before=recipe.micro_batch_size, now=smaller, text=text)
    module = sys.modules["__main__"].__spec__
    assert module is not None
    os.execv(sys.executable, [sys.executable, "-m", module.name, str(run.path)])


def smaller_micro_batch(recipe: Recipe) -> int | None:
    """The largest divisor of the batch that is at most half of the micro-batch; None where there is none.

    KTO compares rows of one micro-batch with each other, and needs two of them.
    """
    half, smallest = recipe.micro_batch_size // 2, 2 if recipe.objective == "kto" else 1
    return next((size for size in range(half, smallest - 1, -1) if recipe.batch_size % size == 0), None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library's error says that memory ran out, of the machine or of the accelerator."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


def explain(error: Exception) -> FittingRoomError:
    """An error of a library -> one that says what to do."""
    text = str(error).strip()[:300] or type(error).__name__
    if is_out_of_memory(error):
        return RunError(
            "The machine ran out of memory.",
            found=text,
            next_step="Train with a smaller micro_batch_size or max_length in the recipe, or a smaller base model.",
        )
    if getattr(error, "errno", None) in (27, 28, 122) or any(words in text.lower() for words in _NO_SPACE):
        return DiskFullError(
            "The disk is full.",
            found=text,
            next_step="Free some space, then `fitting-room runs resume` goes on from the last checkpoint.",
        )
    return RunError(f"Training failed: {type(error).__name__}.", found=text, next_step="worker.log tells more.")


def _fail(run: RunFolder, error: FittingRoomError) -> None:
    """Write the failure down. A checkpoint that is not whole goes first: on a full disk it may be in the way."""
    for folder in checkpoints.all_of(run.checkpoints).values():
        if not (folder / checkpoints.MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
    for rest in (*run.path.glob("*.part"), *run.path.glob(".dry-run-*")):
        shutil.rmtree(rest, ignore_errors=True)
    with contextlib.suppress(DiskFullError):  # the state matters more than the log
        run.log("failed", error=error.to_dict())
    run.update(state="failed", ended=time.time(), error=error.to_dict())


if __name__ == "__main__":
    sys.exit(main())
