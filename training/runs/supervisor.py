"""Start a training run as a detached process, watch it, stop it. The state lives in the run's folder, not here."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, RunError
from dataset_tools.example import Example
from training.home import home
from training.models import embedded
from training.recipe import Recipe
from training.runs.folder import ENDED, RunFolder
from training.runs.heartbeat import Heartbeat

Watcher = Callable[[dict[str, Any]], None]
# Seconds between two looks at a run's events, and without a sign of a new process before it counts as dead.
_POLL = 0.3


def runs_folder() -> Path:
    """Where training runs are kept."""
    return home() / "runs"


def start_training(
    recipe: Recipe, train: Sequence[Example], *, validation: Sequence[Example] = (), folder: Path | None = None
) -> RunFolder:
    """Write a run's folder and start its process, which outlives this one.

    Args:
        recipe: How to train.
        train: The rows to train on.
        validation: Held-out rows for the validation loss and the checks; none of them is trained on.
        folder: Where; a new folder under the home by default.

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
    if recipe.model != embedded.NAME and os.path.isdir(os.path.expanduser(recipe.model)):
        # The process works in the run's folder, where a path from here would lead nowhere.
        recipe = replace(recipe, model=str(Path(recipe.model).expanduser().resolve()))
    recipe.save(path / "recipe.yaml")
    run.write_rows("train", train)
    run.write_rows("validation", validation)
    run.update(state="queued", created=time.time(), rows=len(train), model=recipe.model)
    launch("training.runs.worker", path)
    return run


def launch(module: str, folder: Path) -> int:
    """Start ``python -m module folder`` in a session of its own; what it prints goes to worker.log. Its process id."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=folder,
        )
    (folder / "pid").write_text(str(process.pid), "ascii")
    # It is meant to outlive this object, and `is_alive` collects it; Popen would warn, and collect it by itself.
    process.returncode = 0
    return process.pid


def state_of(run: RunFolder) -> str:
    """The run's state; a run whose process is gone without having said so is marked "interrupted"."""
    state = str(run.status()["state"])
    if state not in ENDED and not is_alive(run.path):
        time.sleep(0.05)  # it may have said so between our two looks
        state = str(run.status()["state"])
        if state not in ENDED:
            run.update(state="interrupted", ended=time.time())
            return "interrupted"
    return state


def is_alive(folder: Path) -> bool:
    """Whether the process that `launch` started for this folder still runs (a zombie does not)."""
    try:
        pid = int((folder / "pid").read_text("ascii"))
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:  # not ours: another process started it
        pass
    except (OSError, ValueError):
        return False
    try:
        os.kill(pid, 0)
        return _is_worker(Path("/proc") / str(pid)) if Path("/proc").is_dir() else True
    except OSError:
        return False


def _is_worker(process: Path) -> bool:
    """Whether a process that exists is one of ours, and no later one that was given the same number."""
    command = (process / "cmdline").read_bytes()
    if command:
        return b"\0-m\0" in command
    # Empty for a zombie, and for a moment while a process is being started.
    return (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"


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
    if status["state"] in ("done", "stopped") and "result" in status:
        return {"run": status["run"], "state": status["state"], **status["result"]}
    error = status.get("error") or {}
    raise RunError(
        error.get("what") or "The training process died.",
        where=error.get("where") or str(run.path / "worker.log"),
        found=error.get("found") or _last_line(run.path / "worker.log"),
        expected=error.get("expected"),
        next_step=error.get("next_step") or "Look at worker.log; start the run again with a smaller recipe.",
    )


def stop(run: RunFolder, *, patience: float = 60.0) -> str:
    """Ask the run to stop after its current step and keep what it has learnt; kill it if it takes too long."""
    run.stop_request.touch()
    deadline = time.time() + patience
    while state_of(run) not in ENDED and time.time() < deadline:
        time.sleep(_POLL)
    if state_of(run) not in ENDED:
        os.killpg(int((run.path / "pid").read_text("ascii")), 9)
        time.sleep(_POLL)
    return state_of(run)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "no message"
