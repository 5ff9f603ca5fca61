"""A comparison from request to verdict: every arm on the same rows, then one advice from the scores.

It owns a folder like any run (`training.runs.folder`): request.json, events.jsonl, one file in arms/ for each arm that
is whole, and at the end items.jsonl, report.md and result.json. Asked again for the same thing in the same folder, it
takes finished arms as they are and goes on with the rest.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from advisor.course import Course, OnEvent, StoppedError
from advisor.judging import has_new_votes
from advisor.models import LocalModels
from advisor.request import ComparisonRequest, endpoint_answerer, judge_answerer, require_model
from dataset_tools.errors import FittingRoomError, RunError, UsageError
from dataset_tools.writing import write_text_atomically
from training.home import home
from training.models import embedded
from training.models.loading import default_model
from training.runs.folder import ENDED, RunFolder
from training.runs.process import held, is_alive, launch

PREPARING = "preparing the embedded model, once; about 40 s"


def comparisons_folder() -> Path:
    """Where comparisons are kept."""
    return home() / "comparisons"


def folder_for(request: ComparisonRequest, folder: Path | None = None) -> RunFolder:
    """The folder of this request: the one given, or one named after its data and its fingerprint.

    Raises:
        UsageError: the folder holds something else, or is no folder.
    """
    path = folder or comparisons_folder() / f"{request.data.resolve().parent.name}-{request.fingerprint()}"
    asked = path / "request.json"
    if path.exists() and not path.is_dir():
        raise UsageError("This is a file, not a folder.", where=str(path), next_step="Choose a folder with --out.")
    if asked.exists() and _fingerprint_in(asked) != request.fingerprint() and not _failed_at_once(path):
        raise UsageError(
            "This folder holds another comparison.",
            where=str(path),
            next_step="Choose another folder with --out, or leave it out.",
        )
    if not asked.exists() and path.is_dir() and any(path.iterdir()):
        raise UsageError("This folder holds other files.", where=str(path), next_step="Choose an empty one with --out.")
    return RunFolder(path)


def _fingerprint_in(file: Path) -> str | None:
    """The fingerprint that a request.json holds; None where it is none of ours."""
    try:
        kept = json.loads(file.read_text("utf-8"))
    except ValueError:
        return None
    return kept.get("fingerprint") if isinstance(kept, dict) else None


def _failed_at_once(folder: Path) -> bool:
    """Whether it holds a comparison that failed with nothing finished, so that another may take its place."""
    try:
        state = RunFolder(folder).status()["state"]
    except RunError:
        return False
    return state == "failed" and not any((folder / "arms").glob("*"))


def start_comparison(request: ComparisonRequest, folder: Path | None = None) -> RunFolder:
    """Run the comparison in a process of its own, which outlives this one; its folder, to watch."""
    run = _open(request, folder)
    launch("advisor.worker", run.path)
    return run


def run_comparison(
    request: ComparisonRequest, *, folder: Path | None = None, on_event: OnEvent | None = None
) -> dict[str, Any]:
    """Run the comparison in this process; the content of its result.json.

    What can be refused before a file is read or a model loaded is refused first, and leaves nothing behind.

    Raises:
        UsageError: the model or the folder is none that can be used.
        FittingRoomError: the data, the documents, the model or the run has errors; or it is running already.
        StoppedError: somebody asked it to stop.
    """
    run = folder_for(request, folder)
    finished = _finished(run)
    if finished is None or not request.asked_again(finished) or has_new_votes(run.path, finished):
        name = request.model or default_model()
        if on_event and name != embedded.NAME and not os.path.isdir(name):
            on_event({"event": "phase", "phase": f"looking for the model {name}"})
        require_model(name)
        if request.judge and judge_answerer(request.judge) is None:
            require_model(request.judge)
        opened = _open(request, folder)
        with held(opened):  # so that everybody sees that it is at work
            return carry_out(request, opened, on_event=on_event)
    if on_event:
        on_event({"event": "phase", "phase": f"this was finished before; remove {run.path} to run it again"})
    return finished


def _finished(run: RunFolder) -> dict[str, Any] | None:
    """The result of a comparison that is whole, arms and all; None where something is still to be done."""
    try:
        result: dict[str, Any] = json.loads((run.path / "result.json").read_text("utf-8"))
        names = [arm["name"] for arm in result["arms"] if not arm["skipped"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if all((run.path / "arms" / f"{name}.json").exists() for name in names) else None


def carry_out(request: ComparisonRequest, run: RunFolder, *, on_event: OnEvent | None = None) -> dict[str, Any]:
    """Run the comparison in a folder that was opened for it: the worker's part of `start_comparison`.

    It heeds a request to stop that was made since. Raises as `run_comparison` does.
    """
    try:
        result = _course(request, run, on_event).run()
    except StoppedError:
        run.update(state="stopped", ended=time.time())
        raise
    except FittingRoomError as error:
        run.log("failed", error=error.to_dict())
        run.update(state="failed", ended=time.time(), error=error.to_dict())
        raise
    except KeyboardInterrupt:
        run.update(state="interrupted", ended=time.time())
        raise
    run.update(state="done", ended=time.time())
    return result


def _course(request: ComparisonRequest, run: RunFolder, on_event: OnEvent | None) -> Course:
    """The comparison with this machine's models."""
    name = request.model or default_model()
    models = LocalModels(
        name,
        run.path,
        endpoint=endpoint_answerer(request.endpoint, request.endpoint_model),
        judge=judge_answerer(request.judge) or request.judge,
    )
    unprepared = name == embedded.NAME and not embedded.is_prepared()
    return Course(request, run, models, on_event, loading=PREPARING if unprepared else "loading the model")


def _open(request: ComparisonRequest, folder: Path | None) -> RunFolder:
    run = folder_for(request, folder)
    if is_alive(run.path) and run.status()["state"] not in ENDED:
        raise RunError(
            "This comparison is running already.",
            where=str(run.path),
            next_step="Wait for it, or stop it first; its progress is in events.jsonl.",
        )
    (run.path / "arms").mkdir(parents=True, exist_ok=True)
    asked = {"fingerprint": request.fingerprint(), **request.to_dict()}
    write_text_atomically(run.path / "request.json", json.dumps(asked, indent=2) + "\n")
    run.stop_request.unlink(missing_ok=True)
    run.update(state="preparing", created=time.time(), data=str(request.data), error=None, kind="comparison")
    return run
