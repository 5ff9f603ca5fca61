"""A file of training rows in one format -> a file in another, with a report of what did not survive.

Rows stream through: a file of any size is converted in little memory. What is wrong with the rows that are left out
is said in short; `dataset_tools.lint` says it in full.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example
from dataset_tools.formats import (
    KTO,
    WRITTEN,
    Alpaca,
    Detected,
    Format,
    Preference,
    PromptCompletion,
    detect_format,
    explain,
    format_named,
    to_example,
)
from dataset_tools.formats.base import Value, group_of, plain_messages
from dataset_tools.losses import Ledger, Loss
from dataset_tools.reading.reader import open_rows
from dataset_tools.reading.source import Problem, Reading, RowStream
from dataset_tools.sinks import TABLES, Write, open_sink

_SAMPLE = 2_000  # rows that the format is told by
_FLAT: tuple[Format, ...] = (PromptCompletion(), Alpaca(), Preference(texts=True), KTO(texts=True))


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes:
        source: The file that was read.
        target: The file that was written.
        rejects: The file with the rows that were left out, each with its line and the reason; None where none were.
        read_as: The format that was found in the source.
        written_as: The format of the target.
        mapped: How columns with other names than the usual were read.
        written: Rows written.
        rejected: Rows left out.
        losses: The fields that did not survive as they were, in the rows that were written.
    """

    source: Path
    target: Path
    rejects: Path | None
    read_as: str
    written_as: str
    mapped: tuple[str, ...]
    written: int
    rejected: int
    losses: tuple[Loss, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "source": str(self.source),
            "target": str(self.target),
            "rejects": None if self.rejects is None else str(self.rejects),
            "read_as": self.read_as,
            "written_as": self.written_as,
            "mapped": list(self.mapped),
            "written": self.written,
            "rejected": self.rejected,
            "losses": [loss.to_dict() for loss in self.losses],
        }


def convert(
    source: Path,
    target: Path,
    *,
    to: str,
    columns: Mapping[str, str] | None = None,
    reading: Reading | None = None,
) -> Conversion:
    """Convert a file of training rows.

    The container of the target is told by its name (see `dataset_tools.sinks`); tables hold only the flat formats
    prompt_completion, alpaca, preference and kto. Rows that cannot be read, are in another format than most, or cannot
    be held by the target go to ``TARGET.rejects.jsonl``; one from an earlier conversion is replaced or removed.

    Args:
        source: A file in any form that `dataset_tools.reading.open_rows` takes; it is never written to.
        target: The file to write. It is replaced in one step, once all rows are written.
        to: The name of a format that can be written (`dataset_tools.formats.WRITTEN`).
        columns: Which columns hold what, where they cannot be guessed (`dataset_tools.formats.format_for`).
        reading: Which sheet, or in which encoding, where the guess is wrong.

    Raises:
        UsageError: There is no such format, a table cannot hold it, the target is the source, or the source cannot be
            opened.
        DataError: The source holds no rows, none in a known format, or none that can be converted; then nothing is
            written.
        DiskFullError: No space is left. Nothing half-written stays behind.
    """
    form = _target_format(to, target)
    rejects = target.with_name(f"{target.name}.rejects.jsonl")
    if source.exists() and source.resolve() in (target.resolve(), rejects.resolve()):
        raise UsageError("the file would be written over itself", where=str(source), next_step="choose another name")
    stream = open_rows(source, reading)
    detected = _detect(stream, columns)
    run = _Run(detected, form, Ledger(detected.format, form))
    with _rejects_sink(rejects) as reject, open_sink(target) as write:
        run.convert(stream, write, reject)
        if not run.written:
            raise _nothing_converted(source, to, run)
    return Conversion(
        source=source,
        target=target,
        rejects=rejects if rejects.exists() else None,
        read_as=detected.format.name,
        written_as=form.name,
        mapped=tuple(detected.format.mapped()),
        written=run.written,
        rejected=run.rejected,
        losses=run.ledger.losses(),
    )


@dataclass
class _Run:
    """One conversion at work."""

    detected: Detected
    form: Format
    ledger: Ledger
    written: int = 0
    rejected: int = 0
    first_reason: str = ""
    _lost: dict[int, Problem] = field(default_factory=dict)  # what was said about records that may have no row

    def convert(self, stream: RowStream, write: Write, reject: Write) -> None:
        """All rows of a stream, in their order."""
        for line, record, value in stream.read(self._note):
            self._lost.pop(record, None)
            if self._lost and next(iter(self._lost)) < record:
                self._reject_lost(reject, before=record)
            reason = self._row(value, write, line=line, record=record)
            if reason is not None:
                self._reject(reject, {"line": line, "record": record, "reason": reason, "row": _json(value)})
        self._reject_lost(reject, before=None)

    def _row(self, value: object, write: Write, *, line: int, record: int) -> str | None:
        """Convert one row, or say why not."""
        if not isinstance(value, dict):
            return "the row is no object"
        form = self.detected.format
        contents = form.sound(value)
        if contents is not None:
            example = Example(plain_messages(contents), line, record, group_of(value))
        else:
            read = self._example(value, line=line, record=record)
            if isinstance(read, str):
                return read
            example = read
        try:
            row = self.form.from_example(example)
            write(row)
        except ValueError as error:
            return str(error)
        self.written += 1
        self.ledger.add(value, example, row, contents=contents)
        return None

    def _example(self, value: Value, *, line: int, record: int) -> Example | str:
        form, candidates = self.detected.format, self.detected.candidates
        if len(candidates) > 1 and not form.matches(value):
            other = next((candidate.name for candidate in candidates if candidate.matches(value)), None)
            if other is not None:
                return f"{other}, where most rows are {form.name}"
        example = to_example(form, value, line=line, record=record)
        return example if example is not None else explain(form, value) or "the row cannot be read"

    def _note(self, problem: Problem) -> None:
        if problem.record is not None:
            self._lost.setdefault(problem.record, problem)

    def _reject_lost(self, reject: Write, *, before: int | None) -> None:
        """Records that gave no row: their lines could not be read."""
        for record in sorted(record for record in self._lost if before is None or record < before):
            problem = self._lost.pop(record)
            self._reject(reject, {"line": problem.line, "record": record, "reason": problem.message})

    def _reject(self, reject: Write, what: dict[str, object]) -> None:
        self.rejected += 1
        self.first_reason = self.first_reason or f"line {what['line']}: {what['reason']}"
        reject(what)


def _target_format(to: str, target: Path) -> Format:
    if to not in WRITTEN:
        raise UsageError("there is no such format to write", found=repr(to), expected=", ".join(WRITTEN))
    if target.suffix.lower() not in TABLES:
        return format_named(to)
    flat = next((form for form in _FLAT if form.name == to), None)
    if flat is None:
        raise UsageError(
            f"a table cannot hold {to}",
            where=str(target),
            expected=f"one of {', '.join(form.name for form in _FLAT)}, whose rows are flat",
            next_step="name the target .jsonl, .json or .parquet",
        )
    return flat


def _detect(stream: RowStream, columns: Mapping[str, str] | None) -> Detected:
    values = _spread(value for _, _, value in stream.read(lambda problem: None))
    detected = detect_format(values, columns)
    if detected is None:
        fields = stream.columns or tuple(dict.fromkeys(key for value in values[:50] for key in value))
        raise DataError(
            "no row is in a known format",
            where=str(stream.path),
            found=f"the fields {', '.join(repr(name[:40]) for name in fields[:8])}"
            if fields
            else "no rows with fields",
            expected="prompt and completion, messages, conversations, instruction and output, or chosen and rejected",
            next_step="say which columns hold the prompt and the answer",
        )
    return detected


def _spread(values: Iterator[object]) -> list[dict[str, Any]]:
    """Up to 2,000 rows from all over the file, at equal distances."""
    kept: list[dict[str, Any]] = []
    distance, place = 1, 0
    for value in values:
        if not isinstance(value, dict):
            continue
        if place % distance == 0:
            kept.append(value)
            if len(kept) > _SAMPLE:
                kept, distance = kept[::2], distance * 2
        place += 1
    return kept


@contextlib.contextmanager
def _rejects_sink(path: Path) -> Iterator[Write]:
    """A sink that makes no file where nothing is written to it, and then removes an old one."""
    with contextlib.ExitStack() as stack:
        sink: list[Write] = []

        def reject(row: dict[str, object]) -> None:
            if not sink:
                sink.append(stack.enter_context(open_sink(path)))
            sink[0](row)

        yield reject
        if not sink:
            path.unlink(missing_ok=True)


def _json(value: object) -> object:
    """The value with what Parquet has beyond JSON (dates, bytes) as text."""
    return json.loads(json.dumps(value, default=str))


def _nothing_converted(source: Path, to: str, run: _Run) -> DataError:
    return DataError(
        f"no row can be written as {to}",
        where=str(source),
        found=f"{run.rejected} rows left out; {run.first_reason}",
        expected=f"rows that {to} can hold",
        next_step="choose another format, or mend the rows",
    )
