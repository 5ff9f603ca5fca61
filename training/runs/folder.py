"""A run's folder: what it was asked to do, how it stands, and what happened, in plain files.

    run.json         state, process, result or error; replaced in one step at each change
    recipe.yaml      how it trains
    train.jsonl      the rows (and validation.jsonl), as chat messages
    events.jsonl     one line for each thing that happened, appended as it happens
    checkpoints/     where it can be taken up again; each counts once its COMPLETE.json is there
    adapter/         the result: adapter_model.safetensors, adapter_config.json, recipe.yaml
    worker.log       what the libraries said; for finding out why a run died
    lock             held by the run's process for as long as it lives
    stop             exists once somebody has asked the run to stop; says "keep" or "discard"

The worker writes, everybody else reads and may ask it to stop. The index of runs (`training.runs.store`) is told of
each change of state; it can be made again from the folders.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.errors import RunError
from dataset_tools.example import Example
from dataset_tools.formats import Format, format_named, to_example
from dataset_tools.writing import append_jsonl_line, write_jsonl, write_text_atomically
from training.runs import index_of_runs

STATES = ("queued", "preparing", "running", "stopping", "done", "stopped", "failed", "interrupted")
ENDED = ("done", "stopped", "failed", "interrupted")
ONE_WRITER = threading.RLock()
"""Held by the thread of this process that writes to a run's folder. Who ends the process holds it to the end, so that
no other thread has the last word about the run's state."""


@dataclass(frozen=True)
class RunFolder:
    """One run on the disk."""

    path: Path

    @property
    def adapter(self) -> Path:
        """Where the adapter lies once the run is done."""
        return self.path / "adapter"

    def artefact(self, method: str) -> Path:
        """Where what a method of training makes lies once the run is done: an adapter, or a whole model."""
        return self.path / "model" if method == "full" else self.adapter

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def lock(self) -> Path:
        """The file whose lock the run's process holds."""
        return self.path / "lock"

    @property
    def stop_request(self) -> Path:
        """Exists once somebody has asked the run to stop."""
        return self.path / "stop"

    @property
    def asked_to_discard(self) -> bool:
        """Whether it was asked to stop and to throw away what it has learnt."""
        return self.stop_request.exists() and self.stop_request.read_text("utf-8").strip() == "discard"

    def status(self) -> dict[str, Any]:
        """What run.json says now.

        Raises:
            RunError: there is no run in this folder.
        """
        try:
            status: dict[str, Any] = json.loads((self.path / "run.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                "There is no run here that can be read.",
                where=str(self.path),
                found=str(error),
                next_step="`fitting-room runs` lists the runs of this machine.",
            ) from error
        return status

    def update(self, **changes: Any) -> None:
        """Change run.json in one step. A change of state is told to the events and to the index of runs as well."""
        with ONE_WRITER:
            self._update(changes)

    def _update(self, changes: Mapping[str, Any]) -> None:
        current = self.status() if (self.path / "run.json").exists() else {"run": self.path.name}
        now = {**current, **changes}
        at = round(time.time(), 3)
        moved = "state" in changes and changes["state"] != current.get("state")
        if moved:
            now["at"] = at
        write_text_atomically(self.path / "run.json", json.dumps(now, indent=2) + "\n")
        if moved:
            append_jsonl_line(self.path / "events.jsonl", {"time": at, "event": "state", "state": now["state"]})
            index_of_runs.tell(self.path, now, at=at)

    def discard(self) -> None:
        """Throw away what the run has learnt, and what it tells of it. Its process is gone, or is the one that asks."""
        for made in (self.checkpoints, self.adapter, self.path / "model"):
            shutil.rmtree(made, ignore_errors=True)
        state = self.status()["state"]
        self.update(state="stopped" if state == "done" else state, result=None)

    def log(self, event: str, **values: Any) -> None:
        """Append one event, stamped with the time in seconds since the epoch."""
        with ONE_WRITER:
            append_jsonl_line(self.path / "events.jsonl", {"time": round(time.time(), 3), "event": event, **values})

    def events(self, start: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events from byte `start` on, and where to go on reading. A line that is still being written waits."""
        file = self.path / "events.jsonl"
        if not file.exists():
            return [], start
        with file.open("rb") as stream:
            stream.seek(start)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]
        return list(_parsed(whole.split(b"\n"))), start + len(whole)

    def write_rows(self, name: str, examples: Sequence[Example]) -> None:
        """Keep the rows that a run trains on or checks itself with, in the form that holds what they say."""
        form = _form_for(examples)
        write_jsonl(self.path / f"{name}.jsonl", (form.from_example(example) for example in examples))

    def read_rows(self, name: str) -> list[Example]:
        """The rows kept under this name."""
        return list(self._rows(name))

    def _rows(self, name: str) -> Iterator[Example]:
        with (self.path / f"{name}.jsonl").open("r", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                row = json.loads(line)
                example = to_example(_form_of(row), row, line=number, record=number)
                if example is None:
                    raise RunError(
                        "A row of this run cannot be trained on.", where=f"{self.path / name}.jsonl:{number}"
                    )
                yield example


def _parsed(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The events of these lines; one that a crash has torn is passed over."""
    for line in lines:
        if line.strip():
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def _form_for(examples: Sequence[Example]) -> Format:
    """The format that keeps what these rows say: pairs, thumbs, or plain conversations."""
    if any(example.rejected for example in examples):
        return format_named("preference")
    if any(example.desirable is not None for example in examples):
        return format_named("kto")
    return format_named("messages")


def _form_of(row: Mapping[str, Any]) -> Format:
    return format_named("preference" if "chosen" in row else "kto" if "label" in row else "messages")
