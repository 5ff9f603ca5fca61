"""Telling the index of runs what happens to them, without ever holding a run up: the folders are the truth."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_tools.errors import RunError


def tell(folder: Path, status: Mapping[str, Any], *, at: float) -> None:
    """Record the state that a run.json says. An index that cannot be written loses nothing: it can be made again.

    Args:
        folder: The run's.
        status: Its run.json.
        at: The time of the event that tells of the same state.
    """
    from training.runs.store import RunStore
    from training.runs.store_folders import facts_of
    from training.runs.store_schema import IllegalTransition

    run, kind = str(status["run"]), str(status.get("kind", "training"))
    with contextlib.suppress(RunError), RunStore.open() as store:
        try:
            store.record(run, str(status["state"]), kind=kind, folder=folder, at=at, **facts_of(status))
        except IllegalTransition:  # the index has missed something
            store.rebuild([folder])


def forget(folder: Path, name: str) -> None:
    """Take a run out of the index."""
    from training.runs.store import RunStore

    with contextlib.suppress(RunError), RunStore.open() as store:
        found = store.get(name)
        if found and found.folder == folder.resolve():
            store.delete(name)
