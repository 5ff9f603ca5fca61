"""Single rows of a file by their number, usable or not, and what its columns are called. Nothing is judged here."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dataset_tools import DataError, Example
from dataset_tools.fixes.opened import Opened, open_with_format
from dataset_tools.fixes.segments import Segment, segments
from dataset_tools.formats import PromptCompletion, explain
from dataset_tools.lint import HEAD_ROWS
from dataset_tools.reading import Reading
from dataset_tools.reading.workbook import sheet_names
from dataset_tools.task_type import TaskTypeGuess, detect_task_type

Columns = tuple[tuple[str, str], ...]  # what a column stands for, and its name; empty where it is guessed
_BLOCK = 200  # rows kept beside the one that was asked for, as the next one is asked for most
_TASK_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row: the example in it, or why there is none, and its text as it stands in the file."""

    line: int
    record: int
    text: str
    example: Example | None = None
    reason: str = ""


def as_columns(columns: dict[str, str] | None) -> Columns:
    """Columns in the form that the functions here take."""
    return tuple((columns or {}).items())


@lru_cache(maxsize=4)
def open_file(path: Path, columns: Columns = (), reading: Reading | None = None) -> Opened:
    """A file with its format. A project's files never change, so the last few are kept.

    Raises:
        DataError: it is empty, binary or too large.
        UsageError: it cannot be read as ``reading`` says.
    """
    return open_with_format(path, columns=dict(columns) or None, reading=reading)


@lru_cache(maxsize=4)
def sheets_of(path: Path) -> tuple[str, ...]:
    """The sheets of a workbook, that which is read when none is named first; none of any other file."""
    return sheet_names(path)


def guessed_encoding(path: Path) -> str | None:
    """What a text is read as though nothing in it says so for certain; None where its encoding is known.

    Where only some lines are no UTF-8, that is ``utf-8``, and those lines are guessed.
    """
    try:
        stream = open_file(path).stream
    except DataError:
        return None
    is_told = stream.encoding.startswith(("utf-16", "utf-32"))  # by its mark, or by every other byte
    return stream.encoding if any(each.check == "encoding" for each in stream.problems) and not is_told else None


def row_at(path: Path, record: int, *, columns: Columns = (), reading: Reading | None = None) -> FileRow | None:
    """The row of this number, from 1 on; None where the file has none."""
    return _block(path, columns, reading, (record - 1) // _BLOCK).get(record)


def first_usable(path: Path, *, columns: Columns = (), reading: Reading | None = None) -> int:
    """The number of the first row that can be used, of the first 200; 1 where none of these can."""
    rows = _block(path, columns, reading, 0).values()
    return next((row.record for row in rows if row.example is not None), 1)


def fields_of(path: Path, *, columns: Columns = (), reading: Reading | None = None) -> tuple[str, ...]:
    """The columns of a table, or the keys of its first rows; none where the file cannot be read."""
    try:
        stream = open_file(path, columns, reading).stream
    except DataError:
        return ()
    if stream.columns:
        return tuple(dict.fromkeys(name for name in stream.columns if name))
    head = itertools.islice(stream.read(lambda problem: None), HEAD_ROWS)
    return tuple(dict.fromkeys(key for _, _, value in head if isinstance(value, dict) for key in value))


def read_as(path: Path, *, columns: Columns = (), reading: Reading | None = None) -> dict[str, str]:
    """The columns that stand for prompt, completion and system, where the rows have such columns; else empty."""
    try:
        form = open_file(path, columns, reading).format
    except DataError:
        return {}
    if not isinstance(form, PromptCompletion):
        return {}
    system = {"system": form.system} if form.system else {}
    return {"prompt": form.prompt, "completion": form.completion, **system}


def guess_task(path: Path, *, columns: Columns = (), reading: Reading | None = None) -> TaskTypeGuess | None:
    """The kind of task, from the first 5,000 usable rows; None where there are none."""
    examples = itertools.islice(open_file(path, columns, reading).examples(), _TASK_ROWS)
    answers = [example.completion for example, _ in examples]
    return detect_task_type(answers) if answers else None


@lru_cache(maxsize=8)
def _block(path: Path, columns: Columns, reading: Reading | None, number: int) -> dict[int, FileRow]:
    """Some 200 rows by their numbers. The file is read up to them."""
    opened = open_file(path, columns, reading)
    first, last = number * _BLOCK + 1, (number + 1) * _BLOCK
    rows: dict[int, FileRow] = {}
    for segment in segments(opened.stream, lambda problem: None):
        if segment.record > last:
            break
        if segment.record >= first:
            rows[segment.record] = _row(opened, segment)
    return rows


def _row(opened: Opened, segment: Segment) -> FileRow:
    if segment.raw is not None:
        text = segment.raw.decode("utf-8", "replace")
    else:
        text = json.dumps(segment.value, ensure_ascii=False, default=str) if segment.problem is None else ""
    if segment.problem is not None:
        return FileRow(segment.line, segment.record, text, reason=segment.problem.message)
    example = opened.example(segment.value, line=segment.line, record=segment.record)
    reason = "" if example is not None else _why_not(opened, segment.value)
    return FileRow(segment.line, segment.record, text, example, reason)


def _why_not(opened: Opened, value: object) -> str:
    if not isinstance(value, dict):
        return "the row is no object"
    if opened.format is None:
        return "the row is in no format that is known"
    if opened.is_foreign(value):
        return f"the row is in another format than most, which are {opened.format.name.replace('_', ' ')}"
    return explain(opened.format, value) or "the row has an error"
