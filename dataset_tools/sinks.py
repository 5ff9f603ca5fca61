"""Rows -> a file, one by one, in the container that its name asks for; it appears under its name only when whole.

Not what the rows say: that is up to the caller. `dataset_tools.writing` writes what is already in memory.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import gzip
import io
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dataset_tools.writing import json_line, open_atomically

Write = Callable[[dict[str, object]], object]
TABLES = (".csv", ".tsv")
_BATCH = 2_000  # rows of a Parquet row group, which is held in memory
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def open_sink(path: Path) -> Iterator[Write]:
    """A function that takes row after row; the file stands under its name once the block ends without an error.

    The container is told by the name: ``.csv``, ``.tsv``, ``.parquet``, ``.json`` (an array), else JSON lines, packed
    where the name ends with ``.gz`` or ``.zst``. Tables and Parquet are written in a second pass over a temporary file,
    because their columns are known only then. Cells of a table are written as they are: a text that a spreadsheet
    would take for a formula is not escaped, as it would then be another text.

    The function raises ValueError for a row that the container cannot hold; the rows behind it can still be written.

    Raises:
        DiskFullError: No space is left. Nothing half-written stays behind.
    """
    suffix = path.suffix.lower()
    writers = {".csv": _table, ".tsv": _table, ".parquet": _parquet, ".json": _json_array}
    with open_atomically(path) as file, writers.get(suffix, _json_lines)(file, path) as write:
        yield write


@contextlib.contextmanager
def _json_lines(file: BinaryIO, path: Path) -> Iterator[Write]:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.GzipFile(
            fileobj=file, mode="wb", compresslevel=6, mtime=0
        ) as packed:  # no time: the same bytes again
            yield lambda row: packed.write(json_line(row))
    elif suffix == ".zst":
        import pyarrow

        with (
            open(os.dup(file.fileno()), "wb") as twin,  # pyarrow closes what it writes to
            pyarrow.CompressedOutputStream(pyarrow.PythonFile(twin, mode="w"), "zstd") as packed,
        ):
            yield lambda row: packed.write(json_line(row))
    else:
        yield lambda row: file.write(json_line(row))


@contextlib.contextmanager
def _json_array(file: BinaryIO, path: Path) -> Iterator[Write]:
    between = itertools.chain([b"[\n"], itertools.repeat(b",\n"))
    yield lambda row: file.write(next(between) + json_line(row)[:-1])
    file.write(b"\n]\n" if next(between) == b",\n" else b"[]\n")


@contextlib.contextmanager
def _table(file: BinaryIO, path: Path) -> Iterator[Write]:
    columns: dict[str, None] = {}  # in the order of their first use
    with _spool(path) as (keep, rows):

        def write(row: dict[str, object]) -> None:
            for column, cell in row.items():
                if isinstance(cell, list | dict):
                    raise ValueError(f"{column} is no text, and a cell of a table holds nothing else")
            keep(row)
            columns.update(dict.fromkeys(row))

        yield write
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        # CR LF as RFC 4180 has it; with LF alone, Python before 3.13 leaves a lone CR in a cell without quotes.
        writer = csv.writer(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", lineterminator="\r\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(row.get(column)) for column in columns])
        text.detach()


def _cell(value: object) -> object:
    return ("true" if value else "false") if isinstance(value, bool) else value


@contextlib.contextmanager
def _parquet(file: BinaryIO, path: Path) -> Iterator[Write]:
    """Lists of messages become lists of structs with the keys that some message has; tools become their JSON text."""
    shape: dict[str, Any] = {}
    with _spool(path) as (keep, rows):

        def write(row: dict[str, object]) -> None:
            row = _with_tools_as_text(row)
            keep(row)
            _widen(shape, row)

        yield write
        import pyarrow
        from pyarrow import parquet

        schema = pyarrow.schema([(name, _arrow_type(inside)) for name, inside in shape.items()])
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while batch := list(itertools.islice(rows, _BATCH)):
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _with_tools_as_text(row: dict[str, object]) -> dict[str, object]:
    """Schemas of tools have keys of their own in each row, for which there is no one type."""
    made = dict(row)
    for key, value in row.items():
        if key == "tools" and isinstance(value, list):
            made[key] = json.dumps(value, ensure_ascii=False)
        elif key == "input" and isinstance(value, dict):
            made[key] = _with_tools_as_text(value)
    return made


def _widen(shape: dict[str, Any], row: dict[str, Any]) -> None:
    """Add what a row has to the shape of all rows: a key's type, the shape of an object, or of a list's members."""
    for key, value in row.items():
        shape[key] = _wider(shape.get(key), value)


def _wider(shape: Any, value: object) -> Any:
    if value is None:
        return shape
    if isinstance(value, dict):
        inside = shape if isinstance(shape, dict) else {}
        _widen(inside, value)
        return inside
    if isinstance(value, list):
        members = shape[0] if isinstance(shape, list) else None
        for member in value:
            members = _wider(members, member)
        return [members]
    return float if {shape, type(value)} == {int, float} else type(value)


def _arrow_type(shape: Any) -> Any:
    import pyarrow

    if isinstance(shape, dict):
        return pyarrow.struct([(key, _arrow_type(inside)) for key, inside in shape.items()])
    if isinstance(shape, list):
        return pyarrow.list_(_arrow_type(shape[0]))
    return {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()}.get(shape, pyarrow.string())


@contextlib.contextmanager
def _spool(path: Path) -> Iterator[tuple[Write, Iterator[dict[str, Any]]]]:
    """A function that puts rows into a temporary file beside the target, and the same rows out of it."""
    with tempfile.TemporaryFile(dir=path.parent) as spool:

        def keep(row: dict[str, object]) -> None:
            line = json_line(row)
            if b"\\ud" in line and not _is_text(row):
                raise ValueError("half of a character, which only JSON can hold")
            spool.write(line)

        def rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
            spool.seek(0)
            for line in lines:
                yield json.loads(line)

        yield keep, rows(spool)


def _is_text(row: object) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
