"""A growing dataset on disk: rows that are added, corrected, sorted out, undone and at last exported.

All of it stands in ``draft.jsonl``, a log that only grows (see `event_log`), so each step is saved when it is made.
It does not lint: hand `Draft.examples` to the checks.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.building.draft_export import Exported, ExportForm, export_rows
from dataset_tools.building.draft_rows import (
    STATUSES,
    DraftRow,
    NewRow,
    Origin,
    Status,
    adding,
    apply_change,
    clean_tags,
    editing,
    known,
    matching,
)
from dataset_tools.building.event_log import Change, Event, EventLog
from dataset_tools.building.similar_rows import Embed, SimilarRow, most_similar
from dataset_tools.errors import UsageError
from dataset_tools.example import Example

FILE = "draft.jsonl"
_WORDS = {"add": "added", "edit": "edited", "status": "set the status of", "tag": "tagged", "delete": "deleted"}

Ids = str | Iterable[str]


@dataclass(frozen=True, slots=True)
class DraftSummary:
    """What is in a draft.

    ``statuses``, ``sources``, ``tags`` and ``reasons`` count rows; a row with two tags or reasons counts for both.
    ``reasons`` are those of pending and rejected rows, without their details. ``damaged`` counts the lines and
    changes of the log that could not be read; ``undoable`` is how often `Draft.undo` can be called.
    """

    rows: int
    statuses: Mapping[Status, int]
    sources: Mapping[str, int]
    tags: Mapping[str, int]
    reasons: Mapping[str, int]
    preferences: int
    undoable: int
    damaged: int


class Draft:
    """The draft in a folder, which is made with the first row. Several objects and processes may use one folder.

    Each method reads what the others wrote first. Ids that are not there (any more) are a `UsageError`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = EventLog(folder / FILE)
        self._lock = threading.RLock()
        self._rows: dict[str, DraftRow] = {}
        self._applied: list[str] = []  # ids of the events that made `_rows`
        self._bad_changes = 0

    def add(self, row: NewRow | Example) -> str:
        """Add one row (a bare example is accepted, made by hand) and return its id."""
        return self.add_all([row])[0]

    def add_all(self, rows: Iterable[NewRow | Example]) -> list[str]:
        """Add rows in one step, which one undo takes back; their ids in order."""
        new = [row if isinstance(row, NewRow) else NewRow(example=row) for row in rows]
        made = [_with_id(row) for row in new]
        self._write([adding(row) for row in made])
        return [row.id for row in made]

    def edit(self, row_id: str, example: Example) -> None:
        """Give a row another example. Nothing is written where it is the same."""
        row = self.row(row_id)
        if example != row.example:
            self._write([editing(row, example)])

    def set_status(self, ids: Ids, status: Status, *, reason: str | None = None) -> int:
        """Accept, reject or put back rows in one step; a reason replaces the old one. How many were changed."""
        known("status", status, STATUSES)
        rows = [row for row in self._named(ids) if (row.status, row.reason) != (status, reason)]
        self._write([{"do": "status", "row": row.id, "status": status, "reason": reason} for row in rows])
        return len(rows)

    def tag(self, ids: Ids, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> int:
        """Add and take off tags in one step. How many rows were changed."""
        plus, minus = clean_tags(add), clean_tags(remove)
        rows = [row for row in self._named(ids) if set(row.tags) != {*row.tags, *plus} - {*minus}]
        self._write([{"do": "tag", "row": row.id, "add": list(plus), "remove": list(minus)} for row in rows])
        return len(rows)

    def delete(self, ids: Ids) -> int:
        """Take rows out of the draft in one step; the log keeps them for an undo. How many there were."""
        rows = self._named(ids)
        self._write([{"do": "delete", "row": row.id} for row in rows])
        return len(rows)

    def undo(self) -> str | None:
        """Take back the last step that still stands, whoever made it; what it was, or None where none is left."""
        with self._lock:
            self._refresh()
            standing = self._log.standing()
            if not standing:
                return None
            self._log.append(undoes=standing[-1].id)
            return _description(standing[-1])

    def row(self, row_id: str) -> DraftRow:
        """The row of that id."""
        return self._named(row_id)[0]

    def rows(
        self,
        status: Status | None = None,
        tag: str | None = None,
        *,
        search: str = "",
        source: Origin | None = None,
        reason: str | None = None,
    ) -> list[DraftRow]:
        """The rows that fit all that is asked, in the order they were added.

        ``search`` and ``reason`` are words that must all occur (in the messages and tags, or in the reason), in any
        case.
        """
        rows = self._current().values()
        return matching(rows, status=status, tag=tag, search=search, source=source, reason=reason)

    def examples(self, status: Status = "accepted") -> tuple[Example, ...]:
        """The examples of the rows with that status, for the checks."""
        return tuple(row.example for row in self.rows(status))

    def find_similar(self, like: DraftRow | str, count: int = 10, *, embed: Embed | None = None) -> list[SimilarRow]:
        """The rows most like a row of this draft, or like a text, most similar first; the row itself is left out.

        Without ``embed`` rows are compared by their words, less what rows of one task share.
        """
        text = like if isinstance(like, str) else like.text
        others = [row for row in self.rows() if isinstance(like, str) or row.id != like.id]
        return most_similar(text, others, count=count, embed=embed)

    def export(self, path: Path, form: ExportForm = "messages") -> Exported:
        """Write the accepted rows as clean JSON lines to ``path``, preference pairs to a file of their own beside it.

        Raises:
            UsageError: ``path`` is the draft's own file, or there is no such form.
        """
        if path.resolve() == self._log.path.resolve():
            raise UsageError("the draft itself is not written over", where=str(path), next_step="choose another name")
        return export_rows(self.rows("accepted"), path, form=form)

    def summary(self) -> DraftSummary:
        """What is in the draft, counted."""
        with self._lock:
            rows = list(self._current().values())
            reasons = (row.reason for row in rows if row.reason and row.status != "accepted")
            statuses = Counter(row.status for row in rows)
            return DraftSummary(
                rows=len(rows),
                statuses={status: statuses[status] for status in STATUSES},
                sources=Counter(row.source for row in rows),
                tags=Counter(tag for row in rows for tag in row.tags),
                reasons=Counter(kind for reason in reasons for kind in reason_kinds(reason)),
                preferences=sum(bool(row.example.rejected) for row in rows),
                undoable=len(self._log.standing()),
                damaged=self._log.damaged + self._bad_changes,
            )

    def _named(self, ids: Ids) -> list[DraftRow]:
        wanted = list(dict.fromkeys([ids] if isinstance(ids, str) else ids))
        rows = self._current()
        missing = [row_id for row_id in wanted if row_id not in rows]
        if missing:
            raise UsageError(
                "there is no such row in this draft",
                where=str(self._log.path),
                found=", ".join(repr(row_id) for row_id in missing[:3]),
                next_step="look at the rows again: it may have been deleted or undone",
            )
        return [rows[row_id] for row_id in wanted]

    def _write(self, changes: Sequence[Change]) -> None:
        if changes:
            self._log.append(changes)

    def _current(self) -> dict[str, DraftRow]:
        with self._lock:
            self._refresh()
            return dict(self._rows)

    def _refresh(self) -> None:
        """Apply what is new; start over where an earlier step is undone."""
        self._log.refresh()
        standing = self._log.standing()
        if self._applied != [event.id for event in standing[: len(self._applied)]]:
            self._rows, self._applied, self._bad_changes = {}, [], 0
        for event in standing[len(self._applied) :]:
            self._applied.append(event.id)
            for change in event.changes:
                self._apply(change)

    def _apply(self, change: Change) -> None:
        try:
            apply_change(self._rows, change)
        except ValueError:
            self._bad_changes += 1


def reason_kinds(reason: str) -> list[str]:
    """The checks that a reason names, without their details: ``unsupported: 1 of 4 words; yes-no: ...``."""
    return list(dict.fromkeys(part.split(":")[0].strip() for part in reason.split("; ")))


def _with_id(row: NewRow) -> DraftRow:
    fields = {name: getattr(row, name) for name in NewRow.__dataclass_fields__}
    return DraftRow(id=uuid.uuid4().hex[:16], **fields)


def _description(event: Event) -> str:
    """What a step did, in words: ``added 3 rows``."""
    counts = Counter(str(change.get("do")) for change in event.changes)
    return ", ".join(f"{_WORDS.get(do, do)} {count} row{'s' * (count != 1)}" for do, count in counts.items())
