"""Parquet and Arrow files (Feather 2, the cache of Hugging Face datasets), row by row as plain Python values."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dataset_tools.reading.opening import UnreadableError
from dataset_tools.reading.source import Note, Place, Problem, RowStream

_PARQUET, _ARROW_FILE, _ARROW_STREAM = b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff"
_BATCH = 256  # rows that are held at a time
_BATCH_BYTES = 16 * 2**20  # a batch of more is cut, so that long rows do not become thousands of long objects
_INDEX = re.compile(r"__index_level_\d+__")  # how pandas keeps its index (its "pandas metadata", developer guide)
_BUFFER = 2**20


def is_parquet(head: bytes) -> bool:
    """Whether a file that starts like this is Parquet or Arrow."""
    return head.startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM))


def open_parquet(file_path: Path, path: Path) -> RowStream:
    """Open a file of columns, whose rows are read in batches. A row's line is its record.

    The index of pandas is left out. Dates become ISO 8601, decimals text, NaN nothing (pandas' missing numbers), and
    bytes text; where they are none, that is told and the value left out.

    Args:
        file_path: The file.
        path: What the user named, which may be an archive with this file.

    Raises:
        UnreadableError: The file is broken, or has no rows.
    """
    try:
        with _opened(file_path) as (names, batches):
            rows = any(batch.num_rows for batch in batches)
    except _broken() as error:
        raise _refusal(path, "binary-file", f"a {_kind(file_path)} file that is broken: {_words(error)}") from error
    columns = tuple(name for name in names if not _INDEX.fullmatch(name))
    if not columns or not rows:
        raise _refusal(path, "empty-file", f"{len(columns)} columns and no row")
    problems = tuple(
        Problem("duplicate-keys", f"two columns are named {name!r}; the last counts")
        for name in sorted(set(columns))
        if columns.count(name) > 1
    )
    return RowStream(path, "parquet", "binary", problems, columns, partial(_rows, file_path, columns))


def to_plain(value: object) -> object:
    """A value as JSON knows it: dates become ISO 8601, bytes text, NaN nothing, anything else what it prints as.

    Raises:
        UnicodeDecodeError: It holds bytes that are no UTF-8.
    """
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, dict):
        return {str(key): to_plain(part) for key, part in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(part, tuple) for part in value):  # a map
            return {str(to_plain(key)): to_plain(part) for key, part in value}
        return [to_plain(part) for part in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _rows(file_path: Path, columns: tuple[str, ...], note: Note) -> Iterator[Place]:
    """The rows; where the file is broken further on, that is told and reading ends."""
    number = 0
    with _opened(file_path) as (_, batches):
        while True:
            try:
                batch = next(batches, None)
            except _broken() as error:
                message = f"the file is broken behind row {number}: {_words(error)}"
                note(Problem("binary-file", message, number + 1, number + 1))
                return
            if batch is None:
                return
            for row, faults in _values(batch):
                number += 1
                for fault in faults:
                    note(Problem("unreadable-value", fault, number, number))
                yield number, number, {name: row[name] for name in columns}


@contextmanager
def _opened(file_path: Path) -> Iterator[tuple[list[str], Iterator[Any]]]:
    """The names of the columns, and the rows in record batches."""
    import pyarrow
    import pyarrow.parquet

    with pyarrow.OSFile(str(file_path)) as source:
        magic = source.read(8)
        source.seek(0)
        if magic.startswith(_PARQUET):
            # Without these two, whole columns of a row group, which may be all of the file, are read at once.
            table = pyarrow.parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
            batches = table.iter_batches(batch_size=_BATCH, use_threads=False)
            yield table.schema_arrow.names, map(_checked, batches)
        elif magic.startswith(_ARROW_STREAM):
            stream = pyarrow.ipc.open_stream(source)
            yield stream.schema.names, map(_checked, stream)
        else:
            file = pyarrow.ipc.open_file(source)
            yield file.schema.names, (_checked(file.get_batch(number)) for number in range(file.num_record_batches))


def _checked(batch: Any) -> Any:
    """The same batch, whose offsets point into its buffers: pyarrow reads whatever a damaged file says otherwise.

    Whether a column of strings is UTF-8 is left to the reading of each value.
    """
    import pyarrow

    for column in batch.columns:
        if pyarrow.types.is_string(column.type):
            column = column.view(pyarrow.binary())
        elif pyarrow.types.is_large_string(column.type):
            column = column.view(pyarrow.large_binary())
        column.validate(full=True)
    return batch


def _values(batch: Any) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The rows of a record batch, each with what is wrong with its values."""
    step = max(1, batch.num_rows * _BATCH_BYTES // max(1, batch.nbytes))
    step = min(step, _BATCH)
    odd = [name for name, kind in zip(batch.schema.names, batch.schema.types, strict=True) if not _is_plain(kind)]
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        try:
            rows = part.to_pylist()
        except (ValueError, OverflowError, KeyError):  # one bad value; the others are kept
            yield from (_one_by_one(part, place) for place in range(part.num_rows))
            continue
        for row in rows:
            faults: list[str] = []
            for name in odd:
                row[name] = _named(name, row[name], faults)
            yield row, faults


def _one_by_one(batch: Any, place: int) -> tuple[dict[str, Any], list[str]]:
    row: dict[str, Any] = {}
    faults: list[str] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = _named(name, column[place].as_py(), faults)
        except (ValueError, OverflowError, KeyError) as error:
            row[name] = None
            faults.append(f"a value in {name!r} cannot be read and was left out: {_words(error)}")
    return row, faults


def _named(name: str, value: object, faults: list[str]) -> object:
    try:
        return to_plain(value)
    except UnicodeDecodeError:
        faults.append(f"bytes in {name!r} that are no text; they were left out")
        return None


def _is_plain(kind: Any) -> bool:
    """Whether the values of an Arrow type are JSON values as they come."""
    from pyarrow import types

    if types.is_struct(kind):
        return all(_is_plain(kind.field(place).type) for place in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
    )


def _broken() -> tuple[type[Exception], ...]:
    """What pyarrow raises for a damaged file. Our own errors and those of the disk are none of these."""
    import pyarrow

    return (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError)


def _kind(file_path: Path) -> str:
    with file_path.open("rb") as file:
        return "Parquet" if file.read(4) == _PARQUET else "Arrow"


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _refusal(path: Path, check: str, found: str) -> UnreadableError:
    what = "the file is empty" if check == "empty-file" else "the file cannot be read"
    return UnreadableError(check, what, path=path, found=found, next_step="check what wrote it, and write it again")
