"""CSV and TSV, with a header or without. Cells may take several lines; a record's line is its first."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import Literal

from dataset_tools.reading.header import LOOKED_AT, Header, find_header
from dataset_tools.reading.source import Parsed, Problem, Row

MAX_CELL_CHARS = 32 * 2**20
_DELIMITERS = ",;\t|"
_SNIFFED_RECORDS = 50
_SEP_LINE = re.compile(r'"?sep=([^\r\n"])"?(?:[\r\n]|\Z)', re.IGNORECASE)
_FREE_LINES = 100_000
Record = tuple[int, list[str], str | None]  # the line where it starts, its cells, and what is wrong with it
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def sniff_delimiter(text: str) -> str:
    """The delimiter that Excel's ``sep=`` line names, or that cuts the header and most of the first records alike."""
    named = _SEP_LINE.match(text)
    if named:
        return named[1]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        records = [cells for _, cells, _ in _records(_head(text), delimiter)][:_SNIFFED_RECORDS]
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
    rows: list[Row] = []
    header, problems, records = _open(text, delimiter)
    columns = header.columns
    number = 0
    for line, cells, problem in records:
        blank = not cells or (len(cells) == 1 < len(columns) and not cells[0].strip())
        if blank and not problem:
            problems.append(Problem("blank-line", "a blank line", line))
            continue
        number += 1
        if problem:
            problems.append(Problem("invalid-csv", problem, line, number))
        elif len(columns) == 1:  # then nothing separates cells, and the delimiter is a plain character
            rows.append(Row(line, number, {columns[0]: delimiter.join(cells)}))
        elif len(cells) != len(columns):
            what = "the first row" if header.first_is_row else "the header"
            found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            message = f"{found}, but {what} has {len(columns)} columns"
            problems.append(Problem("column-count", message, line, number))
        else:
            named = zip(columns, cells, strict=True)
            rows.append(Row(line, number, {name: cell for name, cell in named if name}))
    return Parsed(rows, problems, number, columns)


def _open(text: str, delimiter: str) -> tuple[Header, list[Problem], Iterator[Record]]:
    """The header, what is wrong up to there, and the records that are rows."""
    records = _records(text, delimiter)
    if _SEP_LINE.match(text):
        next(records, None)
    before: list[Record] = []
    for first in records:
        if first[1]:
            break
        before.append(first)
    else:
        return Header((), False, ()), [], iter(before)
    later = list(itertools.islice(records, LOOKED_AT))
    header = find_header(first[1], [cells for _, cells, _ in later if cells], line=first[0])
    kept = [first] if header.first_is_row else []
    return header, list(header.problems), itertools.chain(before, kept, later, records)


def _records(text: str, delimiter: str) -> Iterator[Record]:
    """Cut the text into records."""
    csv.field_size_limit(MAX_CELL_CHARS)  # a setting of the whole process; the default is 128 KiB
    lines = list(io.StringIO(text, newline=""))  # ends lines at LF, CR LF and CR only
    plain = delimiter == "\t" and '"' in text and _are_quotes_plain(lines, delimiter)
    return _cut(lines, delimiter, csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)


def _are_quotes_plain(lines: list[str], delimiter: str) -> bool:
    """Whether quotes quote nothing, as is common in tab-separated text: then more records fit the first one."""

    def fitting(quoting: Quoting) -> int:
        widths = [len(cells) for _, cells, _ in _cut(lines, delimiter, quoting) if cells]
        return widths.count(widths[0]) if widths else 0

    return fitting(csv.QUOTE_NONE) > fitting(csv.QUOTE_MINIMAL)


def _cut(lines: list[str], delimiter: str, quoting: Quoting) -> Iterator[Record]:
    """Cut lines into records.

    A stray opening quote swallows the lines up to the next quote. Reading goes on at the line behind the stray one.
    Where that happens again and again over the same lines, each line is taken for a record.
    """
    strict = quoting == csv.QUOTE_MINIMAL
    at = swallowed = 0
    while at < len(lines):
        alone = swallowed > 4 * len(lines) + _FREE_LINES
        reader = csv.reader(
            map(lines.__getitem__, range(at, at + 1 if alone else len(lines))),  # islice would step through the rest
            delimiter=delimiter,
            quoting=quoting,
            strict=strict,
        )
        base, start = at, at
        try:
            for cells in reader:
                yield start + 1, cells, None
                start = base + reader.line_num
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


def _head(text: str) -> str:
    """The first 64 KiB or so, cut at a line end."""
    end = text.find("\n", 65_536)
    return text if end < 0 else text[: end + 1]
