"""What a run's events say over its steps: curves, samples, notes. Pure functions; they draw nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]
Points = list[tuple[float, float]]
_STATES = {"queued": "waiting for its turn", "running": "training", "stopping": "stopping"}
_ENDED = ("done", "stopped", "failed", "interrupted")


@dataclass(frozen=True)
class Phase:
    """A thing that a run did or does: its name, and for how many seconds; None for what goes on."""

    name: str
    seconds: float | None


@dataclass(frozen=True)
class Samples:
    """Fixed held-out prompts with their wanted answers, and what the model answered at each of some steps."""

    rows: Sequence[tuple[str, str]]
    answers: Mapping[int, Sequence[str]]


def curve(events: Iterable[Event], kind: str, field: str) -> Points:
    """The values of a field over the steps.

    A run that was taken up again goes back to its last checkpoint: the steps after that count as they were done anew.
    What is no number (a loss that was NaN is None) is left out.
    """
    points: Points = []
    for event in events:
        if event["event"] != kind or event.get(field) is None:
            continue
        step = int(event["step"])
        while points and points[-1][0] >= step:
            points.pop()
        points.append((step, float(event[field])))
    return points


def thinned(points: Points, most: int) -> Points:
    """At most about so many of the points, evenly taken, the last one always among them."""
    stride = -(-len(points) // most) if points else 1
    kept = points[::stride]
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def last(events: Sequence[Event], kind: str) -> Event | None:
    """The last event of a kind."""
    return next((event for event in reversed(events) if event["event"] == kind), None)


def phases(events: Iterable[Event]) -> list[Phase]:
    """What a run did since it was last queued, in order."""
    marks: list[tuple[str, float]] = []
    before = 0.0
    for event in events:
        name = _begins(event)
        if name is not None and not (marks and marks[-1][0] == name):
            # Nobody knows when an interrupted run ended; it was alive when it told its last.
            at = before if event.get("state") == "interrupted" else event["time"]
            marks = [(name, at)] if event.get("state") == "queued" else [*marks, (name, at)]
        before = event["time"]
    ends: list[float | None] = [*(at for _, at in marks[1:]), *([None] if marks else [])]
    return [
        Phase(name, None if end is None else max(0.0, end - at))
        for (name, at), end in zip(marks, ends, strict=True)
        if name
    ]


def _begins(event: Event) -> str | None:
    """What begins with this event: the name of a phase, nothing ("") where it is the end; None where all goes on."""
    kind = event["event"]
    if kind == "phase":
        return str(event["phase"])
    state = event["state"] if kind == "state" else kind  # a run that is older than its states ends with such an event
    return "" if state in _ENDED else {"training": "training", **_STATES}.get(state)


def notes(events: Iterable[Event]) -> list[str]:
    """What a run changed by itself, or had to say."""
    return [str(event["text"]) for event in events if event["event"] in ("adjusted", "remark")]


def samples(events: Iterable[Event]) -> Samples | None:
    """The sample prompts of a run and their answers over the steps; None where it has none."""
    rows: list[tuple[str, str]] = []
    answers: dict[int, Sequence[str]] = {}
    for event in events:
        if event["event"] == "sample_prompts":
            rows = [(str(row["prompt"]), str(row["wanted"])) for row in event["rows"]]
            answers = {}
        elif event["event"] == "samples":
            answers = {step: told for step, told in answers.items() if step < event["step"]}
            answers[int(event["step"])] = [str(answer) for answer in event["answers"]]
    return Samples(rows, answers) if rows and answers else None
