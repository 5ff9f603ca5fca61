"""Fixes of a file of rows: shown first, then written to another file with a log, and undone by it.

What is written is always JSON lines in UTF-8 that hold nothing but objects: a record that cannot be read, or is no
object, goes to the rejects with its text. Rows that can be read and that nothing mends stay, unless they are asked
to be dropped. The source is never written to.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dataset_tools.errors import DataError, UsageError
from dataset_tools.fixes.catalogue import chosen_ids
from dataset_tools.fixes.form import form_of
from dataset_tools.fixes.job import FixJob
from dataset_tools.fixes.log import (
    VERSION,
    FixWriter,
    Undone,
    file_hash,
    log_path,
    read_log,
    rejects_path,
    undo_into,
)
from dataset_tools.fixes.opened import Needs, Opened, open_with_format
from dataset_tools.fixes.order import copy_shuffled
from dataset_tools.fixes.tally import PlannedFix, Tally, Unread
from dataset_tools.reading import Reading
from dataset_tools.writing import json_line, open_atomically

_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".xlsx", ".parquet", ".gz", ".zst")
_LOG_IN_MEMORY = 8 * 2**20
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FixPlan:
    """What fixes would do to a file.

    ``records`` counts all records, ``rows`` those that would be written, ``unread`` those that cannot be read even
    then, and ``left`` those where a check would still strike, by check.
    """

    file: str
    container: str
    encoding: str
    records: int
    rows: int
    fixes: tuple[PlannedFix, ...]
    left: dict[str, int]
    unread: int
    unread_shown: tuple[Unread, ...]

    @property
    def to_confirm(self) -> tuple[str, ...]:
        """The ids of the fixes that are not safe, and need to be named to be applied."""
        return tuple(fix.id for fix in self.fixes if not fix.safe)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        fixes = [{**asdict(fix), "scope": fix.scope} for fix in self.fixes]
        return {**asdict(self), "fixes": fixes, "to_confirm": list(self.to_confirm)}


@dataclass(frozen=True, slots=True)
class FixResult:
    """What fixes did. ``counts`` are the records that each touched; ``left`` those where a check still strikes.

    ``rejects`` is None where nothing was dropped.
    """

    source: Path
    target: Path
    log: Path
    rejects: Path | None
    rows: int
    changed: int
    dropped: int
    counts: dict[str, int]
    left: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        paths = {"source": str(self.source), "target": str(self.target), "log": str(self.log)}
        return {**asdict(self), **paths, "rejects": None if self.rejects is None else str(self.rejects)}


def plan_fixes(
    path: Path | str,
    *,
    only: Collection[str] | None = None,
    safe_only: bool = False,
    columns: Mapping[str, str] | None = None,
    needs: Needs | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> FixPlan:
    """Say which fixes there are for a file, and what each would do if all of them were made. Nothing is written.

    Args:
        path: A file in any form that lint takes.
        only: Ids of fixes, or of checks (for all fixes of theirs); all by default.
        safe_only: Leave out those that have to be confirmed.
        columns: Which columns hold what, where the guess is wrong.
        needs: The tokenizer and the limits, for checks that ask for them.
        reading: Which sheet, or in which encoding, where the guess is wrong.
        progress: Called with the number of records seen, now and then.

    Raises:
        UsageError: There is no such file or fix.
        DataError: The file is empty, binary or too large.
    """
    opened = open_with_format(Path(path), columns=columns, needs=needs, reading=reading)
    tally = Tally(opened.stream)
    job = FixJob(opened, chosen_ids(only, safe_only=safe_only), progress=progress)
    for outcome in job.outcomes(tally.note):
        tally.add(outcome)
    if job.shuffled_for is not None:
        tally.shuffle(*job.shuffled_for)
    return FixPlan(
        file=str(path),
        container=opened.stream.container,
        encoding=opened.stream.encoding,
        records=tally.records,
        rows=tally.rows,
        fixes=tally.planned(),
        left=dict(tally.left),
        unread=tally.unread,
        unread_shown=tuple(tally.unread_shown),
    )


def apply_fixes(
    path: Path | str,
    target: Path | str | None = None,
    *,
    fixes: Collection[str] | None = None,
    drop_bad: bool = False,
    columns: Mapping[str, str] | None = None,
    needs: Needs | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> FixResult:
    """Write a file with its faults mended; beside it the log of all changes, and the rows that were dropped.

    Args:
        path: A file in any form that lint takes; it is not touched.
        target: The file to write, or a folder to write ``NAME.fixed.jsonl`` in; by default beside the source.
        fixes: Ids of fixes, or of checks; by default all that are safe.
        drop_bad: Also drop the rows that still have an error.
        columns: Which columns hold what, where the guess is wrong.
        needs: The tokenizer and the limits, for checks that ask for them.
        reading: Which sheet, or in which encoding, where the guess is wrong.
        progress: Called with the number of records seen, now and then.

    Raises:
        UsageError: There is no such file or fix; the target is the source; or a guess about the whole file (its
            encoding) has to be confirmed by naming the fix.
        DataError: The file is empty, binary or too large, or no row would be left.
        DiskFullError: No space is left; then nothing is written.
    """
    path = Path(path)
    chosen = chosen_ids(fixes, safe_only=fixes is None)
    opened = open_with_format(path, columns=columns, needs=needs, reading=reading)
    job = FixJob(opened, chosen, drop_bad=drop_bad, progress=progress)
    return write_fixed(opened, job, target, chosen=chosen)


def write_fixed(opened: Opened, job: FixJob, target: Path | str | None, *, chosen: Collection[str]) -> FixResult:
    """Write what becomes of an opened file's records, with the log and the rejects beside it.

    Args:
        opened: The file.
        job: What becomes of its records.
        target: The file to write, or a folder, or None: as for `apply_fixes`.
        chosen: The names of the fixes that were agreed to, for the log.

    Raises:
        UsageError: As `apply_fixes` does.
        DataError: No row would be left.
        DiskFullError: No space is left; then nothing is written.
    """
    path = opened.stream.path
    target = _target_for(path, target)
    tally = Tally(opened.stream, consent=frozenset(chosen))
    with contextlib.ExitStack() as stack:
        rows = stack.enter_context(open_atomically(target))
        log = stack.enter_context(open_atomically(log_path(target)))
        rejects = stack.enter_context(tempfile.SpooledTemporaryFile(_LOG_IN_MEMORY))
        entries = stack.enter_context(tempfile.SpooledTemporaryFile(_LOG_IN_MEMORY))
        outcomes = job.outcomes(tally.note)
        ordered = stack.enter_context(tempfile.TemporaryFile()) if job.shuffled_for else rows
        writer = FixWriter(ordered, rejects, entries, lines_alone=opened.stream.container == "jsonl")  # type: ignore[arg-type]
        for outcome in outcomes:
            tally.add(outcome)
            writer.write(outcome)
        _require_rows(writer, path)
        digest = writer.sha256
        if job.shuffled_for is not None:
            tally.shuffle(*job.shuffled_for)
            digest = copy_shuffled(ordered, rows)
        header = _header(opened, target, chosen, tally)
        log.write(json_line({**header, "target_sha256": digest, "shuffled": job.shuffled_for is not None}))
        _copy(entries, log)  # type: ignore[arg-type]
        if writer.rejected:
            _copy(rejects, stack.enter_context(open_atomically(rejects_path(target))))  # type: ignore[arg-type]
    if not writer.rejected:
        rejects_path(target).unlink(missing_ok=True)
    return FixResult(
        source=path,
        target=target,
        log=log_path(target),
        rejects=rejects_path(target) if writer.rejected else None,
        rows=writer.rows,
        changed=writer.changed,
        dropped=writer.rejected,
        counts=tally.counts(),
        left=dict(tally.left),
    )


def undo(target: Path | str, *, into: Path | str | None = None) -> Undone:
    """Take all fixes of a file back: every row that was touched as it was, in the order and form that the file had.

    JSON lines come back byte for byte, with their encoding, line ends and blank lines; where they cannot (see
    `dataset_tools.fixes.form`), and of a table or an array, the rows come back as JSON lines. Without ``into`` the file
    is overwritten, and its log and rejects go, unless a record of the rejects had no line of its own to be put back to.

    Raises:
        UsageError: There is no log beside the file.
        DataError: The file was changed since the fixes, or the log is damaged.
    """
    target = Path(target)
    undone = undo_into(target, Path(into) if into is not None else target)
    if into is None:
        log_path(target).unlink()
        if undone.complete:
            rejects_path(target).unlink(missing_ok=True)
    return undone


def fixed_path(path: Path) -> Path:
    """The name that a fixed file gets where none was given."""
    name = path.name
    while (suffix := Path(name).suffix.lower()) in _SUFFIXES:
        name = name[: -len(suffix)]
    return path.with_name(f"{name}.fixed.jsonl")


def _target_for(path: Path, target: Path | str | None) -> Path:
    """The file to write, which must not be the source or lie in its way.

    Raises:
        UsageError: The target, its log or its rejects are the source.
    """
    wanted = fixed_path(path) if target is None else Path(target)
    if wanted.is_dir():
        wanted = wanted / fixed_path(path).name
    for written in (wanted, log_path(wanted), rejects_path(wanted)):
        if written.resolve() == path.resolve() or (written.exists() and written.samefile(path)):
            raise UsageError(
                "the fixed file would overwrite the source",
                where=str(written),
                expected="another file",
                next_step="name another target; the source is never changed",
            )
    return wanted


def _require_rows(writer: FixWriter, path: Path) -> None:
    if not writer.rows:
        raise DataError(
            "no row would be left",
            where=str(path),
            found=f"{writer.rejected} records, all of them to be dropped",
            expected="at least one row that can be read",
            next_step=f"fitting-room lint {path}",
        )


def _header(opened: Opened, target: Path, chosen: Collection[str], tally: Tally) -> dict[str, object]:
    form = form_of(opened.stream)
    return {
        "fixes_log": VERSION,
        "source": opened.stream.path.name,
        "source_sha256": file_hash(opened.stream.path),
        "target": target.name,
        "container": opened.stream.container,
        "encoding": opened.stream.encoding,
        "form": None if form is None else form.to_dict(),
        "fixes": sorted(chosen),
        "counts": tally.counts(),
    }


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target)


def iterate_log(target: Path | str) -> Iterator[dict[str, Any]]:
    """The entries of a fixed file's log, for showing what was done: line, check, before, and the hashes.

    Raises:
        UsageError: There is no log beside the file.
        DataError: The log is damaged.
    """
    entries = read_log(Path(target))
    next(entries, None)
    return entries
