"""Comparisons as their folders tell of them, for the pages and the command line alike, and going on with one.

What a comparison does is `advisor.comparison`'s part.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from advisor.comparison import start_comparison
from advisor.lineup import ARM_TITLES, asked_for
from advisor.report.facts import headline
from advisor.request import ComparisonRequest
from app.run_reading import RunSummary, kept, last_events, model_title, state_to_tell, status_of
from dataset_tools.errors import UsageError
from training.models.loading import default_model
from training.runs.folder import ENDED, RunFolder

_STOPPED_SHORT = ("stopped", "interrupted", "failed")


def read_result(run: RunFolder) -> dict[str, Any] | None:
    """The result of a comparison, None where there is none (yet). To be read only: it is kept until it changes."""
    return kept(run.path / "result.json", _read_object)


def read_items(run: RunFolder) -> list[dict[str, Any]]:
    """The test rows of a comparison with all answers."""
    file = run.path / "items.jsonl"
    return [json.loads(line) for line in file.read_bytes().split(b"\n") if line] if file.is_file() else []


def request_of(folder: Path) -> dict[str, Any]:
    """What a comparison was asked for, as its request.json has it; empty where that cannot be read."""
    return _read_object(folder / "request.json") or {}


def _read_object(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def asked_arms(folder: Path) -> list[str]:
    """The arms that a comparison was asked for: all of them where it was not said."""
    asked = request_of(folder)
    named = tuple(asked.get("arms") or ()) or None
    known = [arm.name for arm in asked_for(named, endpoint=bool(asked.get("endpoint")))]
    return known or list(ARM_TITLES)


def can_go_on(run: RunFolder, state: str) -> bool:
    """Whether a comparison ended early, so that it can go on from what it has finished."""
    return state in _STOPPED_SHORT and bool(request_of(run.path))


def go_on(run: RunFolder, **changes: Any) -> RunFolder:
    """Start a comparison again in its folder, in a process of its own; finished approaches are taken as they are.

    Args:
        run: One that has ended.
        changes: What is judged otherwise than before: attributes of `ComparisonRequest` that change no answer.

    Raises:
        UsageError: its rows, its documents or its model are others by now, or its request cannot be read.
        RunError: it is at work.
    """
    asked = request_of(run.path)
    if not asked.get("data"):
        raise UsageError(
            "What this comparison was asked for cannot be read any more.",
            where=str(run.path / "request.json"),
            next_step="Start another comparison of the same rows.",
        )
    request = replace(ComparisonRequest.from_dict(asked), **changes)
    if request.fingerprint() != asked.get("fingerprint"):
        raise UsageError(
            "The rows, the documents, the model or Fitting Room itself changed since this comparison.",
            where=run.path.name,
            next_step="Start another comparison: its answers would not be about the same.",
        )
    return start_comparison(request, run.path)


def comparison_summary(run: RunFolder) -> RunSummary:
    """How a comparison stands, in the line of a list: its steps are its approaches, its rows the test rows."""
    state, status, asked = state_to_tell(run), status_of(run), request_of(run.path)
    plan, live = _read_object(run.path / "arms" / "plan.json") or {}, state not in ENDED
    result = None if live else read_result(run)
    began, ended = float(status.get("created") or 0), time.time() if live else status.get("ended")
    said = last_events(run, ("phase",)).get("phase", {}) if live else {}
    return RunSummary(
        run=run.path.name,
        folder=str(run.path),
        state=state,
        model=model_title(str(asked.get("model") or (result or {}).get("model") or default_model())),
        method="",
        objective="",
        rows=plan.get("test_rows") or (_test_rows(result) if result else None),
        step=len(finished_arms(run)),
        steps=len(plan["arms"]) if "arms" in plan else None,
        loss=None,
        validation_loss=None,
        created=began,
        seconds=max(0.0, ended - began) if began and ended else None,
        eta=None,
        tokens_per_second=None,
        phase=str(said.get("phase", "")),
        kind="comparison",
        verdict=headline(result).title if result and "verdict" in result else "",
    )


def _test_rows(result: Mapping[str, Any]) -> int | None:
    rows: int | None = result.get("task", {}).get("rows", {}).get("test")
    return rows


def finished_arms(run: RunFolder) -> list[str]:
    """The names of the approaches that are whole, those that left the race among them."""
    return [name for name in ARM_TITLES if (run.path / "arms" / f"{name}.json").exists()]
