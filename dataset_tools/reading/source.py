"""What reading gives: rows with their places, and the problems met on the way. It reads nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Container = Literal["jsonl", "json", "concatenated-json", "csv", "tsv", "xlsx", "parquet", "text"]
Place = tuple[int, int, object]  # line, record, value


@dataclass(frozen=True, slots=True)
class Row:
    """One record: any JSON value, or the cells of a table row by column.

    ``line`` is the 1-based physical line where it starts (Excel's row; for Parquet its record), ``record`` its 1-based
    number; a header is not counted, a record that could not be read is.
    """

    line: int
    record: int
    value: object


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the bytes or the syntax. ``check`` is the id of the check that reports it."""

    check: str
    message: str
    line: int | None = None
    record: int | None = None


Note = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the user says of how a file is to be read, where that is guessed wrong or cannot be guessed.

    ``sheet`` is the name of a sheet in a workbook, ``encoding`` what the text is written in, as Python names it.
    """

    sheet: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class RowStream:
    """A file of rows that is read as often as asked, in bounded memory where its container allows it.

    ``problems`` are those of the file as a whole (its encoding); ``columns`` is a table's header. ``read`` gives
    ``(line, record, value)`` for each row that can be read, and hands what is wrong with the others to its argument.
    ``file`` is the file of plain JSON lines that can be read in parts (`LineReader`), from the byte ``start`` on.
    ``recoded`` is the text of a large file in another encoding, in UTF-8, which lives as long as ``read`` does.
    """

    path: Path
    container: Container
    encoding: str
    problems: tuple[Problem, ...]
    columns: tuple[str, ...]
    read: Callable[[Note], Iterator[Place]]
    file: Path | None = None
    start: int = 0
    reading: Reading = Reading()
    recoded: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file as rows, all in memory. ``records`` counts all records, those without a row included."""

    path: Path
    container: Container
    encoding: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    records: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the reader of a container that is read as a whole gives."""

    rows: list[Row]
    problems: list[Problem]
    records: int
    columns: tuple[str, ...] = ()
