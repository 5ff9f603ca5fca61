"""A file opened for more than one pass: its rows, the format that most have, and what the checks may ask for."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_tools.checks.base import Setting
from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.formats import Detected, detect_format
from dataset_tools.formats.base import Format, to_example
from dataset_tools.lint import HEAD_ROWS
from dataset_tools.reading import Problem, Reading, RowStream, UnreadableError, open_rows

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Needs:
    """What checks need beyond the rows: the model's tokenizer and limit, and rows that must not be in the file."""

    tokenizer: Any = None
    max_length: int | None = None
    test_rows: Sequence[Example] | None = None

    def setting(self, form: Format | None, fields: Sequence[str] = ()) -> Setting:
        """A new setting for one pass of checks."""
        made = Setting(self.tokenizer, max_length=self.max_length, test_rows=self.test_rows, fields=tuple(fields))
        made.format = form
        return made


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that can be read again and again. ``detected`` is None where no row is in a known format.

    ``columns`` is what the user said of the columns; then the format is never told anew.
    """

    stream: RowStream
    detected: Detected | None
    needs: Needs = field(default_factory=Needs)
    columns: Mapping[str, str] | None = None

    @property
    def format(self) -> Format | None:
        """The format that most rows have."""
        return self.detected.format if self.detected else None

    def as_format(self, detected: Detected) -> Opened:
        """The same file, its rows taken for another format."""
        return replace(self, detected=detected)

    def is_foreign(self, value: Row) -> bool:
        """Whether a row is in another format than most."""
        return self.detected is not None and _foreign_format(self.detected, value) is not None

    def example(self, value: object, *, line: int = 0, record: int = 0) -> Example | None:
        """The example in a row, or None where it has none."""
        if self.format is None or not isinstance(value, dict) or self.is_foreign(value):
            return None
        return to_example(self.format, value, line=line, record=record)

    def examples(self, note: Callable[[Problem], None] = lambda problem: None) -> Iterator[tuple[Example, Row]]:
        """All examples of the file with the rows that they stand in; problems go to ``note``."""
        for line, record, value in self.stream.read(note):
            example = self.example(value, line=line, record=record)
            if example is not None and isinstance(value, dict):
                yield example, value


def open_with_format(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    needs: Needs | None = None,
    reading: Reading | None = None,
) -> Opened:
    """Open a file and tell its format, as lint does.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read; ``columns`` makes no format, or it cannot be
            read as ``reading`` says.
        DataError: The file is empty, binary or too large.
    """
    try:
        stream = open_rows(path, reading)
    except UnreadableError as error:
        raise DataError(
            error.what, where=error.where, found=error.found, expected=error.expected, next_step=error.next_step
        ) from error
    found = told_format(lambda: (value for _, _, value in stream.read(lambda problem: None)), columns=columns)
    return Opened(stream, found, needs or Needs(), columns)


def told_format(values: Callable[[], Iterable[object]], *, columns: Mapping[str, str] | None = None) -> Detected | None:
    """The format of most rows, which the first ones alone do not tell; None where no row is in a known one.

    Args:
        values: Gives all rows, as often as it is asked.
        columns: Which columns hold what; then nothing is guessed.
    """
    head = [value for value in itertools.islice(values(), HEAD_ROWS) if isinstance(value, dict)]
    detected = detect_format(head, dict(columns) if columns else None)
    if detected is None or len(detected.candidates) < 2:
        return detected
    usable = 0
    others: Counter[str] = Counter()
    for value in values():
        other = _foreign_format(detected, value) if isinstance(value, dict) else None
        if other is not None:
            others[other.name] += 1
        elif isinstance(value, dict):
            usable += to_example(detected.format, value) is not None
    most = max(others, key=others.__getitem__, default=None)
    if most is None or others[most] <= usable:
        return detected
    return Detected(next(form for form in detected.candidates if form.name == most), detected.candidates)


def _foreign_format(detected: Detected, value: Row) -> Format | None:
    """The format of a row that is not in the one of most."""
    if detected.format.matches(value):
        return None
    return next((form for form in detected.candidates if form.matches(value)), None)
