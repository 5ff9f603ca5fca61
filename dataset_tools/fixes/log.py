"""The log of a fixed file and its rejects: how they are written, and how a fix is undone by them.

The log lies beside the fixed file as ``NAME.fixes.jsonl``: a header, then a line for each fix of each row with the text
before and the hashes of both. The first line of a record also says which lines of the fixed file stand for it. Dropped
rows lie in ``NAME.rejects.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from dataset_tools.errors import DataError, UsageError
from dataset_tools.fixes.form import Form, write_in_form
from dataset_tools.fixes.job import Outcome
from dataset_tools.fixes.order import in_first_order
from dataset_tools.writing import json_line, open_atomically

VERSION = 1
_HASHED_AT_ONCE = 2**20


def log_path(target: Path) -> Path:
    """Where the log of a fixed file lies."""
    return target.with_name(f"{target.name}.fixes.jsonl")


def rejects_path(target: Path) -> Path:
    """Where the rows that were dropped from a fixed file lie."""
    return target.with_name(f"{target.name}.rejects.jsonl")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASHED_AT_ONCE):
            digest.update(chunk)
    return digest.hexdigest()


class FixWriter:
    """Writes outcomes to a fixed file, its rejects and the entries of its log, and counts lines.

    Args:
        target: Takes the rows.
        rejects: Takes what was dropped.
        entries: Takes the log without its header.
        lines_alone: Whether a record that cannot be read had lines for itself, and can be put back by an undo.
    """

    def __init__(self, target: BinaryIO, rejects: BinaryIO, entries: BinaryIO, *, lines_alone: bool) -> None:
        self._target, self._rejects, self._entries = target, rejects, entries
        self._lines_alone = lines_alone
        self._hash = hashlib.sha256()
        self.rows = self.changed = self.rejected = 0

    @property
    def sha256(self) -> str:
        """The SHA-256 of all rows written so far, in hexadecimal."""
        return self._hash.hexdigest()

    def write(self, outcome: Outcome) -> None:
        """Write the rows of a record, and log what became of it where it was touched."""
        kept = outcome.kept
        place: dict[str, int] | None = {"line": self.rows + 1, "rows": len(kept)}
        for line in kept:
            self._target.write(line + b"\n")
            self._hash.update(line + b"\n")
        self.rows += len(kept)
        if not outcome.is_touched:
            return
        problem = outcome.segment.problem
        if (
            outcome.unread is not None
            and problem is not None
            and (not self._lines_alone or outcome.segment.raw is None)
        ):
            place = None
        self.changed += bool(kept)
        for entry in _entries(outcome):
            self._entries.write(json_line({**entry, "place": place}))
            place = None
        for reject in _rejects(outcome):
            self.rejected += 1
            self._rejects.write(json_line(reject))


@dataclass(frozen=True, slots=True)
class Undone:
    """A file whose fixes were taken back.

    Attributes:
        file: The file.
        restored: How many records were put back.
        complete: Whether those are all; a record that had no line of its own (in a table, say) is not put back.
        exact: Whether the file is the source again, byte for byte.
    """

    file: Path
    restored: int
    complete: bool
    exact: bool


def undo_into(target: Path, into: Path) -> Undone:
    """Write the file as it was before the fixes.

    Raises:
        UsageError: There is no log beside the file.
        DataError: The file was changed since, or the log is damaged.
    """
    entries = read_log(target)
    header = next(entries, {})
    if header.get("target_sha256") != file_hash(target):
        raise DataError(
            "the fixed file was changed since, so the fixes cannot be undone",
            where=str(target),
            expected="the file as the fixes left it",
            next_step="take the source file, or put the fixed file back as it was",
        )
    form = Form.from_dict(header.get("form") or {})
    with target.open("rb") as fixed, open_atomically(into) as file:
        lines = in_first_order(fixed) if header.get("shuffled") else iter(fixed)
        restored = _Restored(lines, entries)
        write_in_form(restored.records(), form, file)
    exact = file_hash(into) == header.get("source_sha256")
    return Undone(into, restored.count, restored.complete, exact)


class _Restored:
    """The records of a file before its fixes, from the lines after them and the entries of the log."""

    def __init__(self, lines: Iterator[bytes], entries: Iterator[Mapping[str, Any]]) -> None:
        self._lines, self._entries = lines, entries
        self.count, self.complete = 0, True

    def records(self) -> Iterator[bytes]:
        """The text of each record, without its line end."""
        number = 1
        for entry in self._entries:
            place = entry.get("place")
            self.complete = self.complete and (place is not None or entry.get("reject") != "unread")
            if place is None:
                continue
            while number < place["line"]:
                yield self._next()
                number += 1
            for _ in range(place["rows"]):
                self._next()
                number += 1
            yield entry["before"].encode()
            self.count += 1
        for line in self._lines:
            yield line.removesuffix(b"\n")

    def _next(self) -> bytes:
        return next(self._lines, b"").removesuffix(b"\n")


def read_log(target: Path) -> Iterator[dict[str, Any]]:
    """The header of a fixed file's log, then its entries.

    Raises:
        UsageError: There is no log beside the file.
        DataError: The log is damaged.
    """
    path = log_path(target)
    if not path.is_file():
        raise UsageError(
            "there is no log of fixes beside this file",
            where=str(target),
            expected=str(path),
            next_step="name the file that the fixes were written to",
        )
    return _parsed_log(path)


def _parsed_log(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or (number == 1 and entry.get("fixes_log") != VERSION):
                raise DataError("the log of fixes is damaged", where=f"{path}:{number}", next_step="take the source")
            yield entry


def _entries(outcome: Outcome) -> Iterator[Mapping[str, object]]:
    where = {"line": outcome.segment.line, "record": outcome.segment.record}
    if outcome.unread is not None:
        known = outcome.segment.raw is not None or outcome.segment.problem is None
        before = outcome.before if known else None
        yield {**where, "check": outcome.unread[0], **_change(before, ()), "reject": "unread"}
    for step in outcome.repaired:
        yield {**where, "check": step.id, **_change(step.before, step.after)}
    for piece in outcome.pieces:
        for step in piece.steps:
            yield {**where, "check": step.id, **_change(step.before, step.after)}
        if piece.dropped is not None:
            yield {**where, "check": piece.dropped[0], **_change(piece.line, ()), "reject": "dropped"}


def _change(before: bytes | None, after: tuple[bytes, ...]) -> dict[str, object]:
    return {
        "before_hash": None if before is None else _hash(before),
        "after_hash": [_hash(line) for line in after],
        "before": None if before is None else before.decode(),
    }


def _hash(line: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(line)


def _rejects(outcome: Outcome) -> Iterator[Mapping[str, object]]:
    where = {"line": outcome.segment.line, "record": outcome.segment.record}
    if outcome.unread is not None:
        check, reason = outcome.unread
        text = outcome.segment.raw.decode() if outcome.segment.raw is not None else None
        what = {"text": text} if outcome.segment.problem is not None else {"row": outcome.segment.value}
        yield {**where, "check": check, "reason": reason, **what}
    elif not outcome.pieces:
        reason = "the line holds no row"
        yield {**where, "check": outcome.repaired[0].id, "reason": reason, "text": outcome.before.decode()}
    for piece in outcome.pieces:
        if piece.dropped is not None:
            check, reason = piece.dropped
            yield {**where, "check": check, "reason": reason, "row": json.loads(piece.line)}
