"""CSV and TSV with a header. Quoted cells may run over several lines; a record's line is the one where it starts."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import Literal

from dataset_tools.reading.source import Parsed, Problem, Row

MAX_CELL_CHARS = 32 * 2**20
_DELIMITERS = ",;\t|"
_SNIFFED_RECORDS = 50
_OPENING = re.compile(r'(?:^|\t)"', re.MULTILINE)
_CLOSING = re.compile(r'"(?:\t|\r?$)', re.MULTILINE)
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def sniff_delimiter(text: str) -> str:
    """The delimiter that cuts the header into several cells and most of the first records into as many."""
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
    """Read a table by its header. Column names lose the blanks around them; unnamed columns are left out."""
    rows: list[Row] = []
    problems: list[Problem] = []
    columns: list[str] = []
    records = 0
    for line, cells, problem in _records(text, delimiter):
        if not columns and cells:
            columns = [name.strip() for name in cells]
            twice = sorted({name for name in columns if name and columns.count(name) > 1})
            if twice:
                problems.append(Problem("duplicate-keys", f"two columns are named {twice[0]!r}; the last counts", line))
            continue
        if not cells and not problem:
            problems.append(Problem("blank-line", "a blank line", line))
            continue
        records += 1
        if problem:
            problems.append(Problem("invalid-csv", problem, line, records))
        elif len(columns) == 1:  # then nothing separates cells, and the delimiter is a plain character
            rows.append(Row(line, records, {columns[0]: delimiter.join(cells)}))
        elif len(cells) != len(columns):
            message = f"{len(cells)} cells, but the header has {len(columns)} columns"
            problems.append(Problem("column-count", message, line, records))
        else:
            named = zip(columns, cells, strict=True)
            rows.append(Row(line, records, {name: cell for name, cell in named if name}))
    return Parsed(rows, problems, records, tuple(columns))


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str | None]]:
    """The line where each record starts, its cells, and what is wrong with it.

    A stray opening quote swallows the lines up to the next quote. Reading goes on at the line behind the stray one.
    """
    csv.field_size_limit(MAX_CELL_CHARS)  # a setting of the whole process; the default is 128 KiB
    lines = list(io.StringIO(text, newline=""))  # ends lines at LF, CR LF and CR only
    quoting = _quoting(text, delimiter)
    strict = quoting == csv.QUOTE_MINIMAL
    at = 0
    while at < len(lines):
        reader = csv.reader(itertools.islice(lines, at, None), delimiter=delimiter, quoting=quoting, strict=strict)
        base, start = at, at
        try:
            for cells in reader:
                yield start + 1, cells, None
                start = base + reader.line_num
            at = len(lines)
        except csv.Error as error:
            at = start + 1
            if base + reader.line_num == at and "expected after" in str(error):
                # Text behind a closing quote, on one line: other readers take it, so it is not lost here.
                yield at, next(csv.reader([lines[start]], delimiter=delimiter)), None
            else:
                stray = "end of data" in str(error) or "expected after" in str(error)
                yield at, [], "a quote opens a cell and does not close it" if stray else str(error)


def _quoting(text: str, delimiter: str) -> Quoting:
    """Whether quotes quote: in tab-separated text they often are plain characters, and then few cells close them."""
    if delimiter == "\t" and len(_OPENING.findall(text)) != len(_CLOSING.findall(text)):
        return csv.QUOTE_NONE
    return csv.QUOTE_MINIMAL


def _head(text: str) -> str:
    """The first 64 KiB or so, cut at a line end."""
    end = text.find("\n", 65_536)
    return text if end < 0 else text[: end + 1]
