"""What a run's folder tells the index of runs: run.json and events.jsonl, read as they are. It writes nothing.

The state is what run.json says. How the run came there is told by the events ``{"event": "state", "state": ...}``; by
those that bear a state's name where a run was written before there were such. A line that a crash has torn is passed
over, and what the one file says and the other does not is made up for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.home import home
from training.runs.store_schema import LEGAL, LONGEST_NAME, RunRecord, Transition, storable

# What run.json holds besides the facts: what has a place of its own, and what is no business of a list of runs.
_NO_FACTS = frozenset(("run", "run_id", "state", "kind", "folder", "at", "created", "pid", "result", "error"))
# Where run.json keeps the time of its state, the likeliest first.
_TIMES = ("at", "ended", "started")


def known_folders() -> list[Path]:
    """The folders of runs and of comparisons in the home; one that was put elsewhere is not among them."""
    places = (home() / name for name in ("runs", "comparisons"))
    return sorted(file.parent.resolve() for place in places for file in place.glob("*/run.json"))


def facts_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """What the index keeps of a run.json beside the state: its plain values (model, rows, ...), not what is nested."""
    plain = (str, int, float, type(None))
    return {name: value for name, value in status.items() if isinstance(value, plain) and name not in _NO_FACTS}


def read_run(folder: Path) -> tuple[RunRecord, list[Transition]] | None:
    """The run in this folder and its history, in order; None where there is none that can be read."""
    try:
        status = json.loads((folder / "run.json").read_text("utf-8"))
        state, run_id, kind = str(status["state"]), str(status.get("run") or folder.name), str(status.get("kind", ""))
        created = _time(status.get("created")) or (folder / "run.json").stat().st_mtime
        place = folder.resolve()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if state not in LEGAL or len(run_id) > LONGEST_NAME or not all(map(storable, (run_id, kind or "-", str(place)))):
        return None
    told = _agreed(_told(folder / "events.jsonl"), status, created=created)
    before: list[str | None] = [None, *(after for after, _ in told)]
    history = [Transition(run_id, number, before[number - 1], *change) for number, change in enumerate(told, 1)]
    return RunRecord(run_id, state, kind or "training", place, told[0][1], told[-1][1], facts_of(status)), history


def _agreed(told: list[tuple[str, float]], status: Mapping[str, Any], *, created: float) -> list[tuple[str, float]]:
    """The history that a log tells, made to begin where runs begin and to end with the state of run.json."""
    state = str(status["state"])
    if not told or told[0][0] not in LEGAL[None]:  # written before its first event
        told = [(state if not told and state in LEGAL[None] else LEGAL[None][0], created), *told]
    if told[-1][0] == state:
        return told
    # The process is between writing the one file and the other, or died there.
    times = [time for time in map(_time, map(status.get, _TIMES)) if time is not None]
    log_is_ahead = len(told) > 1 and told[-2][0] == state and (_time(status.get("at")) or 0) <= told[-2][1]
    return told[:-1] if log_is_ahead else [*told, (state, times[0] if times else told[-1][1])]


def _told(log: Path) -> list[tuple[str, float]]:
    """The states that a log tells of and their times, each state once in a row."""
    changes: list[tuple[str, float]] = []
    named: list[tuple[str, float]] = []
    try:
        with log.open("rb") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                    name, at = str(event["event"]), _time(event["time"])
                    state = str(event["state"]) if name == "state" else name
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
                if state in LEGAL and at is not None:
                    (changes if name == "state" else named).append((state, at))
    except OSError:
        pass
    told: list[tuple[str, float]] = []
    for state, at in changes or named:
        if not told or told[-1][0] != state:
            told.append((state, at))
    return told


def _time(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
