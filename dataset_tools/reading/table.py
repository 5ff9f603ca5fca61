"""CSV and TSV, with a header or without. Cells may take several lines; a record's line is its first."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dataset_tools.reading.header import LOOKED_AT, Header, find_header
from dataset_tools.reading.source import Note, Parsed, Place, Problem, Row

MAX_CELL_CHARS = 32 * 2**20
_DELIMITERS = ",;\t|"
_SNIFFED_RECORDS = 50
_SEP_LINE = re.compile(r'"?sep=([^\r\n"])"?(?:[\r\n]|\Z)', re.IGNORECASE)
_FREE_LINES = 100_000
_KEPT_LINES = 1_000  # lines that are done with, before they are forgotten together
Record = tuple[int, list[str], str | None]  # the line where it starts, its cells, and what is wrong with it
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def sniff_delimiter(text: str) -> str:
    """The delimiter that Excel's ``sep=`` line names, or that cuts the header and most of the first records alike."""
    named = _SEP_LINE.match(text)
    if named:
        return named[1]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        records = [cells for _, cells, _ in _head_records(text, delimiter)][:_SNIFFED_RECORDS]
        records = [cells for cells in records if cells]
        width = len(records[0]) if records else 0
        if width > 1:
            score = sum(len(cells) == width for cells in records) / len(records)
            if score > best_score:
                best, best_score = delimiter, score
    return best


def read_table(text: str, delimiter: str) -> Parsed:
    """Read a table by its header. Column names lose the blanks around them; unnamed columns are left out.

    Where the first record is a row like the others, it is read as one and the columns get names (`find_header`).
    """
    problems: list[Problem] = []
    table = open_table(lambda: io.StringIO(text, newline=""), delimiter)
    rows = [Row(*place) for place in table.read(problems.append)]
    last = max((problem.record or 0 for problem in problems), default=0)
    return Parsed(rows, problems, max(last, rows[-1].record if rows else 0), table.columns)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is read as often as asked, a few lines at a time; ``columns`` are those of its header."""

    columns: tuple[str, ...]
    read: Callable[[Note], Iterator[Place]]


def open_table(lines: Callable[[], Iterable[str]], delimiter: str) -> Table:
    """The same for lines that are given anew each time, with their ends (LF, CR LF or CR)."""
    csv.field_size_limit(MAX_CELL_CHARS)  # a setting of the whole process; the default is 128 KiB
    plain = delimiter == "\t" and _are_quotes_plain(lines, delimiter)
    quoting: Quoting = csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL
    columns = _open(_cut(lines(), delimiter, quoting), delimiter)[0].columns

    def read(note: Note) -> Iterator[Place]:
        header, records = _open(_cut(lines(), delimiter, quoting), delimiter)
        for problem in header.problems:
            note(problem)
        return _rows(header, records, delimiter, note)

    return Table(columns, read)


def _rows(header: Header, records: Iterator[Record], delimiter: str, note: Note) -> Iterator[Place]:
    columns = header.columns
    number = 0
    for line, cells, problem in records:
        blank = not cells or (len(cells) == 1 < len(columns) and not cells[0].strip())
        if blank and not problem:
            note(Problem("blank-line", "a blank line", line))
            continue
        number += 1
        if problem:
            note(Problem("invalid-csv", problem, line, number))
        elif len(columns) == 1:  # then nothing separates cells, and the delimiter is a plain character
            yield line, number, {columns[0]: delimiter.join(cells)}
        elif len(cells) != len(columns):
            what = "the first row" if header.first_is_row else "the header"
            found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            note(Problem("column-count", f"{found}, but {what} has {len(columns)} columns", line, number))
        else:
            named = zip(columns, cells, strict=True)
            yield line, number, {name: cell for name, cell in named if name}


def _open(records: Iterator[Record], delimiter: str) -> tuple[Header, Iterator[Record]]:
    """The header, and the records that are rows."""
    before: list[Record] = []
    for first in records:
        if first[0] == 1 and _SEP_LINE.match(delimiter.join(first[1])):
            continue
        if first[1]:
            break
        before.append(first)
    else:
        return Header((), False, ()), iter(before)
    later = list(itertools.islice(records, LOOKED_AT))
    header = find_header(first[1], [cells for _, cells, _ in later if cells], line=first[0])
    kept = [first] if header.first_is_row else []
    return header, itertools.chain(before, kept, later, records)


def _are_quotes_plain(lines: Callable[[], Iterable[str]], delimiter: str) -> bool:
    """Whether quotes quote nothing, as is common in tab-separated text: then more records fit the first one."""
    if not any('"' in line for line in lines()):
        return False

    def fitting(quoting: Quoting) -> int:
        widths: Counter[int] = Counter()
        first = 0
        for _, cells, _ in _cut(lines(), delimiter, quoting):
            first = first or len(cells)
            widths[len(cells)] += 1
        return widths[first] if first else 0

    return fitting(csv.QUOTE_NONE) > fitting(csv.QUOTE_MINIMAL)


class _Window:
    """Lines by their number from 0 on, read when they are asked for, and kept until they are forgotten."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._held: list[str] = []
        self._first = 0

    @property
    def seen(self) -> int:
        """How many lines were read so far."""
        return self._first + len(self._held)

    def has(self, at: int) -> bool:
        """Whether there is such a line."""
        while at >= self.seen:
            line = next(self._lines, None)
            if line is None:
                return False
            self._held.append(line)
        return True

    def __getitem__(self, at: int) -> str:
        return self._held[at - self._first]

    def since(self, at: int) -> Iterator[str]:
        """All lines from a number on."""
        while self.has(at):
            yield self._held[at - self._first]
            at += 1

    def forget(self, before: int) -> None:
        """Lines before a number are not asked for any more."""
        if before - self._first > _KEPT_LINES:
            del self._held[: before - self._first]
            self._first = before


def _cut(source: Iterable[str], delimiter: str, quoting: Quoting) -> Iterator[Record]:
    """Cut lines into records.

    A stray opening quote swallows the lines up to the next quote. Reading goes on at the line behind the stray one.
    Where that happens again and again over the same lines, each line is taken for a record.
    """
    lines = _Window(source)
    strict = quoting == csv.QUOTE_MINIMAL
    at = swallowed = 0
    while lines.has(at):
        alone = swallowed > 4 * lines.seen + _FREE_LINES
        reader = csv.reader(
            [lines[at]] if alone else lines.since(at), delimiter=delimiter, quoting=quoting, strict=strict
        )
        base, start = at, at
        try:
            for cells in reader:
                yield start + 1, cells, None
                start = base + reader.line_num
                lines.forget(start)
            at = start
        except csv.Error as error:
            at = start + 1
            swallowed += base + reader.line_num - at
            if base + reader.line_num == at and "expected after" in str(error):
                # Text behind a closing quote, on one line: other readers take it, so it is not lost here.
                yield at, next(csv.reader([lines[start]], delimiter=delimiter)), None
            else:
                stray = "end of data" in str(error) or "expected after" in str(error)
                yield at, [], "a quote opens a cell and does not close it" if stray else str(error)


def _head_records(text: str, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(MAX_CELL_CHARS)
    head = _head(text)
    plain = delimiter == "\t" and _are_quotes_plain(lambda: io.StringIO(head, newline=""), delimiter)
    return _cut(io.StringIO(head, newline=""), delimiter, csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)


def _head(text: str) -> str:
    """The first 64 KiB or so, cut at a line end."""
    end = text.find("\n", 65_536)
    return text if end < 0 else text[: end + 1]
