"""What reading gives: rows with their places, and the problems met on the way. It reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Container = Literal["jsonl", "json", "csv", "tsv"]


@dataclass(frozen=True, slots=True)
class Row:
    """One record: any JSON value, or the cells of a table row by column.

    ``line`` is the 1-based physical line where it starts, ``record`` its 1-based number; a header is not counted,
    a record that could not be read is.
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


@dataclass(frozen=True, slots=True)
class Source:
    """A file as rows. ``records`` counts all records, those without a row included; ``columns`` is a table's header."""

    path: Path
    container: Container
    encoding: str
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    records: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader of one container gives to `read_source`."""

    rows: list[Row]
    problems: list[Problem]
    records: int
    columns: tuple[str, ...] = ()
