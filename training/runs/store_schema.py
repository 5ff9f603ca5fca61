"""What the index of runs holds: its rows, its tables, and which state may follow which. It opens no database."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dataset_tools.errors import RunError

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

# The states that may follow each state; a run that the index does not know yet is None. "done" is final: to go on
# from a finished run is a new run. A run that ended otherwise may be resumed, and then waits its turn like any other.
# "running" goes back to "preparing" where the worker starts over with a smaller micro-batch.
LEGAL: Mapping[str | None, tuple[str, ...]] = MappingProxyType(
    {
        None: ("queued", "preparing"),
        "queued": ("preparing", "stopping", "stopped", "failed", "interrupted"),
        "preparing": ("running", "stopping", "done", "stopped", "failed", "interrupted"),
        "running": ("preparing", "stopping", "done", "stopped", "failed", "interrupted"),
        "stopping": ("done", "stopped", "failed", "interrupted"),
        "done": (),
        "stopped": ("queued",),
        "failed": ("queued",),
        "interrupted": ("queued",),
    }
)
# Two tables are ours even in a database that holds others.
RUNS, TRANSITIONS = "fitting_room_runs", "fitting_room_transitions"
LONGEST_NAME = 255  # of a run; more than the name of a file can be


@dataclass(frozen=True)
class RunRecord:
    """A run as the index knows it.

    ``created`` and ``updated`` are the times of its first and last transition, in seconds since the epoch; ``facts``
    is what was recorded beside the states (model, rows, ...), the last value of each.
    """

    run_id: str
    state: str
    kind: str
    folder: Path
    created: float
    updated: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Transition:
    """One change of a run's state: the ``number``-th of this run, counted from 1, from ``before`` to ``after``.

    ``at`` is in seconds since the epoch, by the clock of the process that made it: it may go backwards, ``number``
    does not. The first transition comes from None.
    """

    run_id: str
    number: int
    before: str | None
    after: str
    at: float


class StoreError(RunError):
    """The index of runs cannot be used. The runs go on without it, and it can be rebuilt from their folders."""


class IllegalTransition(RunError):
    """A run was to go from one state to another that may not follow it: ``before`` and ``after``."""

    def __init__(self, run_id: str, *, before: str | None, after: str) -> None:
        self.run_id, self.before, self.after = run_id, before, after
        allowed = ", ".join(LEGAL.get(before, ())) or "nothing: this state is final"
        super().__init__(
            f"The run {run_id} is {before} and cannot become {after}."
            if before
            else f"The run {run_id} is new and cannot begin as {after}.",
            found=f"{before or 'new'} -> {after}",
            expected=f"{before or 'new'} -> {allowed}",
            next_step="Look at the run again: another window or process may have moved it on.",
        )


def storable(text: str) -> bool:
    """Whether both databases can hold a text: not empty, no NUL, no lone surrogate (as in names that are not UTF-8)."""
    return bool(text) and "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


@dataclass(frozen=True)
class Tables:
    """The two tables, for statements to be made of."""

    metadata: MetaData
    runs: Table
    transitions: Table


@functools.cache
def tables() -> Tables:
    """The tables as SQLAlchemy describes them. New facts need no new column: they are kept as JSON."""
    from sqlalchemy import Column, Double, Integer, MetaData, String, Table, Text

    metadata = MetaData()
    runs = Table(
        RUNS,
        metadata,
        Column("run_id", String(LONGEST_NAME), primary_key=True),
        Column("state", String(16), nullable=False),
        Column("kind", Text, nullable=False),
        Column("folder", Text, nullable=False),
        Column("created", Double, nullable=False),
        Column("updated", Double, nullable=False),
        # Text and not JSON: PostgreSQL's type takes no NaN, which the loss of a failed run may be.
        Column("facts", Text, nullable=False),
    )
    transitions = Table(
        TRANSITIONS,
        metadata,
        Column("run_id", String(LONGEST_NAME), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("before", String(16)),
        Column("after", String(16), nullable=False),
        Column("at", Double, nullable=False),
    )
    return Tables(metadata, runs, transitions)
