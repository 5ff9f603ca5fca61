"""Start a training run as a detached process, watch it, stop it. The state lives in the run's folder, not here."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, RunError
from dataset_tools.example import Example
from dataset_tools.writing import write_text_atomically
from training.home import home
from training.models import embedded
from training.recipe import Recipe
from training.runs import checkpoints, index_of_runs
from training.runs.folder import ENDED, RunFolder
from training.runs.heartbeat import Heartbeat
from training.runs.inputs import inputs_of
from training.runs.process import held, is_alive, launch

Watcher = Callable[[dict[str, Any]], None]
WORKER = "training.runs.worker"
_POLL = 0.3  # seconds between two looks at a run's events


def runs_folder() -> Path:
    """Where training runs are kept."""
    return home() / "runs"


def start_training(
    recipe: Recipe,
    train: Sequence[Example],
    *,
    validation: Sequence[Example] = (),
    folder: Path | None = None,
    quick: bool = False,
    worker: str = WORKER,
    **facts: Any,
) -> RunFolder:
    """Write a run's folder and start its process, which outlives this one.

    Args:
        recipe: How to train.
        train: The rows to train on.
        validation: Held-out rows for the validation loss and the checks; none of them is trained on.
        folder: Where; a new folder under the home by default.
        quick: Leave out what a comparison with a time budget has no time for: the dry run, the samples, and the
            checks that answer many prompts.
        worker: The module that is the run's process.
        facts: More about the run for its run.json, in JSON's types.

    Raises:
        DataError: there is no row to train on.
        RunError: the folder holds a run already.
    """
    if not train:
        raise DataError("There is no row to train on.", expected="at least one example in the training part")
    path = (folder or runs_folder() / f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}").resolve()
    if (path / "run.json").exists():
        raise RunError(
            "This folder holds a run already.",
            where=str(path),
            next_step="Choose another folder with --out, or leave it out.",
        )
    path.mkdir(parents=True, exist_ok=True)
    run = RunFolder(path)
    recipe = replace(recipe, model=_absolute(recipe.model))
    if recipe.start_from:
        recipe = replace(recipe, start_from=_absolute(recipe.start_from))
    with held(run) as lock:
        recipe.save(path / "recipe.yaml")
        run.write_rows("train", train)
        run.write_rows("validation", validation)
        named = {"model": recipe.model, "method": recipe.method, "quick": quick, "worker": worker}
        run.update(state="queued", created=time.time(), rows=len(train), **named, **facts)
        launch(worker, path, lock=lock)
    return run


def resume(run: RunFolder, *, force: bool = False) -> RunFolder:
    """Start the process of a run that has ended early anew; it goes on from its newest whole checkpoint.

    Args:
        run: One that was interrupted or stopped, or failed.
        force: Go on even though its rows or its recipe were changed since the checkpoint.

    Raises:
        RunError: it is at work, or done, or what it learns from was changed.
    """
    with held(run) as lock:
        status = run.status()
        if status["state"] == "done":
            raise RunError(
                "This run is done; there is nothing to go on with.",
                where=str(run.path),
                next_step="Train further from its adapter with start_from in a new run's recipe.",
            )
        if not force:
            _refuse_changed_inputs(run)
        run.stop_request.unlink(missing_ok=True)
        run.update(state="queued", error=None, ended=None, resumed=time.time())
        launch(str(status.get("worker", WORKER)), run.path, lock=lock)
    return run


def _refuse_changed_inputs(run: RunFolder) -> None:
    """A checkpoint belongs to the rows and the recipe that it was taken with."""
    for _, folder in sorted(checkpoints.all_of(run.checkpoints).items(), reverse=True):
        try:
            before = json.loads((folder / checkpoints.MANIFEST).read_text("utf-8"))["inputs"]
        except (OSError, ValueError, KeyError):
            continue
        changed = checkpoints.differences(before, inputs_of(run))
        if changed:
            raise RunError(
                "What this run learns from was changed since its last checkpoint.",
                where=str(run.path),
                found="; ".join(changed[:5]),
                expected="the rows and the recipe as they were",
                next_step="Put them back, start a new run, or go on anyway with --force.",
            )
        return


def delete(run: RunFolder) -> None:
    """Remove a run's folder with all that it made.

    Raises:
        RunError: its process is at work.
    """
    name = str(run.status()["run"])  # which refuses what is no run's folder
    with held(run):
        shutil.rmtree(run.path)
    index_of_runs.forget(run.path, name)


def _absolute(path: str) -> str:
    """A folder that exists by its full path; the run's process works elsewhere. Other names stay as they are."""
    found = path != embedded.NAME and os.path.isdir(os.path.expanduser(path))
    return str(Path(path).expanduser().resolve()) if found else path


def state_of(run: RunFolder) -> str:
    """The run's state; a run whose process is gone without having said so is marked "interrupted"."""
    state = str(run.status()["state"])
    if state not in ENDED and not is_alive(run.path):
        state = str(run.status()["state"])  # it may have said so between our two looks
        if state not in ENDED:
            run.update(state="interrupted", ended=time.time())
            return "interrupted"
    return state


def waiting_before(run: RunFolder) -> list[RunFolder]:
    """The runs that were queued before this one and wait with it for the machine's one place."""
    mine = run.status().get("created", 0.0)
    waiting = []
    for file in {*runs_folder().glob("*/run.json"), *run.path.parent.glob("*/run.json")}:
        with contextlib.suppress(RunError):
            other = RunFolder(file.parent)
            status = other.status()
            first = status.get("created", 0.0) < mine and status["state"] == "queued"
            if first and "worker" in status and is_alive(other.path):
                waiting.append(other)
    return waiting


def watch(run: RunFolder, on_event: Watcher | None = None) -> dict[str, Any]:
    """Wait until the run has ended, telling `on_event` of each event; what ``train --json`` says about it.

    While the run is silent, `on_event` gets ``waiting`` events, so that its user sees that it goes on.
    Whoever leaves early (Ctrl-C, an error of `on_event`) takes the run along: it is asked to stop and to save first.

    Raises:
        RunError: the run failed or its process died.
    """
    position, state, tell = 0, "queued", on_event or (lambda event: None)
    try:
        with Heartbeat(lambda silence: tell({"event": "waiting", "seconds": round(silence, 1)})) as heart:
            while state not in ENDED:
                state = state_of(run)
                events, position = run.events(position)
                for event in events:
                    heart.heard()
                    tell(event)
                if state not in ENDED:
                    time.sleep(_POLL)
    finally:
        if state not in ENDED:
            stop(run)
    return outcome(run)


def outcome(run: RunFolder) -> dict[str, Any]:
    """The result of a run that has ended.

    Raises:
        RunError: it failed or was interrupted.
    """
    status = run.status()
    if status["state"] in ("done", "stopped") and status.get("result"):
        return {"run": status["run"], "state": status["state"], **status["result"]}
    if status["state"] == "stopped":
        raise RunError(
            "The run was stopped before it had learnt anything.",
            where=str(run.path),
            next_step=f"`fitting-room runs resume {run.path.name}` starts it again.",
        )
    error = status.get("error") or {}
    raise RunError(
        error.get("what") or "The training process died.",
        where=error.get("where") or str(run.path / "worker.log"),
        found=error.get("found") or _last_line(run.path / "worker.log"),
        expected=error.get("expected"),
        next_step=error.get("next_step")
        or f"Look at worker.log; `fitting-room runs resume {run.path.name}` goes on from the last checkpoint.",
    )


def stop(run: RunFolder, *, patience: float = 60.0, keep: bool = True) -> str:
    """Ask the run to stop; kill it if it takes too long. The state it ended in.

    Args:
        run: One that is queued or at work; nothing happens to another.
        patience: Seconds of silence after which it is killed; while it tells what it does, it is waited for.
        keep: Keep what it has learnt: an adapter as it is now, and a checkpoint to go on from. Else throw it away.
    """
    if state_of(run) in ENDED:
        return state_of(run)
    write_text_atomically(run.stop_request, "keep" if keep else "discard")
    position, heard = 0, time.monotonic()
    while state_of(run) not in ENDED and time.monotonic() - heard < patience:
        time.sleep(_POLL)
        news, position = run.events(position)
        heard = time.monotonic() if news else heard
    if state_of(run) not in ENDED:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int((run.path / "pid").read_text("ascii")), signal.SIGKILL)
        time.sleep(_POLL)
    if not keep and state_of(run) in ENDED:
        run.discard()
    return state_of(run)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "no message"
