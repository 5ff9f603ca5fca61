"""A log of changes that only grows: nothing is lost, anything can be undone. What a change means is the caller's.

One event is one line of JSON, written in one go with ``O_APPEND``, so that writers in several processes lose nothing
and a change of many rows is there whole or not at all. An undo is an event too: it names the event that it takes back.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dataset_tools.building.stored import as_list, as_object, optional_text, text_in
from dataset_tools.writing import append_jsonl_line

Change = dict[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log: changes that belong together, or the id of the event that is undone."""

    id: str
    changes: tuple[Change, ...] = ()
    undoes: str | None = None


class EventLog:
    """The events of a file, read again only where it grew. The file need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.damaged = 0
        self._read = 0
        self._file: tuple[int, int] | None = None

    def append(self, changes: Sequence[Change] = (), *, undoes: str | None = None) -> None:
        """Write one event.

        Raises:
            DiskFullError: No space is left.
        """
        what = {"changes": list(changes)} if undoes is None else {"undo": undoes}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        append_jsonl_line(self.path, {"id": uuid.uuid4().hex, "at": now, **what})

    def refresh(self) -> None:
        """Read what was written since, by whomever. A line that is none is counted in ``damaged`` and passed over.

        The end of a line that is still being written, or that a crash cut off, is waited for.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self._file or status.st_size < self._read:
                    self._forget()
                self._file = status.st_dev, status.st_ino
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            self._forget()
            return
        *lines, rest = data.split(b"\n")
        if rest and _event(rest) is not None:  # whole but for its line end: no beginning of an object is an object
            lines.append(rest)
            rest = b""
        self._read += len(data) - len(rest)
        for line in lines:
            if line.strip():
                event = _event(line)
                self.damaged += event is None
                self.events += [event] if event else []

    def standing(self) -> list[Event]:
        """The events with changes that no other undoes, in the order they were written."""
        undone = {event.undoes for event in self.events}
        return [event for event in self.events if event.undoes is None and event.id not in undone]

    def _forget(self) -> None:
        self.events, self.damaged, self._read, self._file = [], 0, 0, None


def _event(line: bytes) -> Event | None:
    """The event in a line, or None where there is none."""
    try:
        fields = as_object(json.loads(line))
        changes = tuple(dict(as_object(change)) for change in as_list(fields.get("changes", [])))
        event = Event(text_in(fields, "id"), changes, optional_text(fields, "undo"))
    except (ValueError, RecursionError):
        return None
    return event if event.changes or event.undoes else None
