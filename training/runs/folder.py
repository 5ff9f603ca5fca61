"""A run's folder: what it was asked to do, how it stands, and what happened, in plain files.

    run.json         state, process, result or error; replaced in one step at each change
    recipe.yaml      how it trains
    train.jsonl      the rows (and validation.jsonl), as chat messages
    events.jsonl     one line for each thing that happened, appended as it happens
    adapter/         the result: adapter_model.safetensors, adapter_config.json, recipe.yaml
    worker.log       what the libraries said; for finding out why a run died

The worker writes, everybody else reads and may ask it to stop.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.errors import RunError
from dataset_tools.example import Example
from dataset_tools.formats import format_named, to_example
from dataset_tools.writing import append_jsonl_line, write_jsonl, write_text_atomically

STATES = ("queued", "preparing", "running", "stopping", "done", "stopped", "failed", "interrupted")
_FORM = format_named("messages")
ENDED = ("done", "stopped", "failed", "interrupted")


@dataclass(frozen=True)
class RunFolder:
    """One run on the disk."""

    path: Path

    @property
    def adapter(self) -> Path:
        """Where the adapter lies once the run is done."""
        return self.path / "adapter"

    @property
    def stop_request(self) -> Path:
        """Exists once somebody has asked the run to stop."""
        return self.path / "stop"

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
        """Change run.json in one step."""
        current = self.status() if (self.path / "run.json").exists() else {"run": self.path.name}
        write_text_atomically(self.path / "run.json", json.dumps({**current, **changes}, indent=2) + "\n")

    def log(self, event: str, **values: Any) -> None:
        """Append one event, stamped with the time in seconds since the epoch."""
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
        return [json.loads(line) for line in whole.split(b"\n") if line.strip()], start + len(whole)

    def write_rows(self, name: str, examples: Sequence[Example]) -> None:
        """Keep the rows that a run trains on or checks itself with."""
        write_jsonl(self.path / f"{name}.jsonl", (_FORM.from_example(example) for example in examples))

    def read_rows(self, name: str) -> list[Example]:
        """The rows kept under this name."""
        return list(self._rows(name))

    def _rows(self, name: str) -> Iterator[Example]:
        with (self.path / f"{name}.jsonl").open("r", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                example = to_example(_FORM, json.loads(line), line=number, record=number)
                if example is None:
                    raise RunError(
                        "A row of this run cannot be trained on.", where=f"{self.path / name}.jsonl:{number}"
                    )
                yield example
