"""Runs as the tests of their index tell them: what befell each, recorded and written into folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_tools.writing import append_jsonl_line, write_text_atomically
from training.runs.store import RunRecord, RunStore, Transition

# Whole lives of runs, each state with what it was recorded with.
PLAIN = ("queued", "preparing", "running", "done")
RESUMED = ("queued", "preparing", "running", "interrupted", "queued", "preparing", "running", "stopping", "stopped")
FACTS: Mapping[str, Any] = {"model": "embedded", "rows": 20, "title": "Très joli \U0001f600 \u2028 ' \" \\ %s :x {}"}

if TYPE_CHECKING:
    import pytest

Snapshot = tuple[list[RunRecord], dict[str, list[Transition]]]


def snapshot(store: RunStore) -> Snapshot:
    """All that an index says."""
    runs = store.runs()
    return runs, {run.run_id: store.transitions(run.run_id) for run in runs}


def write_step(folder: Path, state: str, at: float, **facts: Any) -> None:
    """What a run's process writes into its folder as it comes to a state: run.json first, then the event."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.json"
    before = json.loads(file.read_text("utf-8")) if file.exists() else {"run": folder.name, "created": at}
    write_text_atomically(file, json.dumps({**before, **facts, "state": state, "at": at}))
    append_jsonl_line(folder / "events.jsonl", {"time": at, "event": "state", "state": state})


def tell(store: RunStore, folder: Path, states: Sequence[str], *, start: float = 100.0, **facts: Any) -> None:
    """Live through these states: each goes into the folder and then into the index."""
    for number, state in enumerate(states):
        write_step(folder, state, start + number, **facts)
        store.record(folder.name, state, folder=folder, at=start + number, **facts)


def is_whole(store: RunStore) -> bool:
    """Each run's history leads from nothing to the state that it is in, step by step."""
    for run in store.runs():
        told = store.transitions(run.run_id)
        numbers = [step.number for step in told] == list(range(1, len(told) + 1))
        chain = [step.before for step in told] == [None, *(step.after for step in told)][: len(told)]
        if not (numbers and chain and (told[-1].after, told[-1].at) == (run.state, run.updated)):
            return False
    return True


def new_database(request: pytest.FixtureRequest, folder: Path, kind: str) -> str:
    """The URL of a new database: a file in this folder, or one on the server."""
    if kind == "sqlite":
        folder.mkdir(exist_ok=True)
        return f"sqlite:///{folder / 'runs.sqlite3'}"
    url: str = request.getfixturevalue("new_postgres")()
    return url
