"""A path in, rows out: unpacks, decodes, tells the container by its content, and hands over to its reader."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from dataset_tools.errors import UsageError
from dataset_tools.reading import opening, workbook
from dataset_tools.reading.array_stream import stream_array
from dataset_tools.reading.concatenated import is_concatenated, read_concatenated
from dataset_tools.reading.encoding import (
    Decoded,
    decode,
    recode,
    recoded_problems,
    require_encoding,
    wide_encoding,
)
from dataset_tools.reading.json_array import read_json
from dataset_tools.reading.json_lines import MAX_LINE_BYTES, stream_json_lines
from dataset_tools.reading.json_values import JsonProblem, parse_value
from dataset_tools.reading.memory import without_garbage_collection
from dataset_tools.reading.object_stream import stream_objects
from dataset_tools.reading.opening import (
    UnreadableError,
    looks_utf_16_or_32,
    open_file,
    read_whole,
    require_text_bytes,
)
from dataset_tools.reading.packed import Unpacked, codec_of, unpack
from dataset_tools.reading.parquet import is_parquet, open_parquet
from dataset_tools.reading.source import Container, Note, Parsed, Place, Problem, Reading, Row, RowStream, Source
from dataset_tools.reading.table import MAX_CELL_CHARS, open_table, read_table, sniff_delimiter
from dataset_tools.reading.templated import is_templated, read_templated

_HEAD_LINES = 20
_HEAD_BYTES = 2**20
_SCAN = 2**22
HELD_BYTES = 8 * 2**20  # a smaller file is held whole, which is faster
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_ARRAY_START = re.compile(rb'\[\s*(?:[{\["\-0-9tfn\]]|\Z)')
_OBJECT_START = re.compile(rb'\{\s*["}]')


def read_source(path: Path) -> Source:
    """Read a file of rows into memory. What cannot be read becomes a problem, and reading goes on.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read.
        UnreadableError: The file is empty or binary (a `DataError`).
    """
    stream = open_rows(path)
    problems = list(stream.problems)
    with without_garbage_collection():
        rows = tuple(Row(*place) for place in stream.read(problems.append))
    last = max((problem.record or 0 for problem in problems), default=0)
    records = max(last, rows[-1].record if rows else 0)
    return Source(path, stream.container, stream.encoding, rows, tuple(problems), records, stream.columns)


def open_rows(path: Path, reading: Reading | None = None) -> RowStream:
    """Open a file of rows, whatever its name says it is.

    JSON lines, workbooks, and large tables, arrays and runs of objects are streamed, where these are text in UTF-8,
    UTF-16, UTF-32 or an encoding that is named. What else there is (rendered text, an encoding that has to be guessed)
    is held whole.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read; or it cannot be read as ``reading`` says.
        UnreadableError: The file is empty, binary or too large (a `DataError`).
    """
    with open_file(path) as file:
        head = file.read(_HEAD_BYTES)
    reading = reading or Reading()
    codec = codec_of(head)
    if codec is None:
        return replace(_open_plain(path, path, reading), reading=reading)
    unpacked = unpack(path, codec)
    return replace(_keeping(unpacked, _open_plain(unpacked.path, path, reading)), reading=reading)


def _keeping(unpacked: Unpacked, stream: RowStream) -> RowStream:
    """The rows of a temporary file, which lives as long as somebody can read from it."""

    def read(note: Note, _kept: Unpacked = unpacked) -> Iterator[Place]:
        return stream.read(note)

    return replace(stream, read=read)


def _open_plain(file_path: Path, path: Path, reading: Reading) -> RowStream:
    """The same for a file that is not packed; ``path`` is what the user named."""
    with file_path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        is_book = workbook.is_workbook(file)
        _require_sense(reading, path, is_book=is_book, is_binary=is_book or is_parquet(head))
        if is_parquet(head):
            return open_parquet(file_path, path)
        if is_book:
            table = workbook.open_workbook(file, path, reading.sheet)
            return RowStream(path, "xlsx", "binary", (), table.columns, table.read)
        is_large = file.seek(0, os.SEEK_END) > HELD_BYTES
        recoded = _recoded(file, head, path, reading) if is_large else None
        if recoded is not None:
            return recoded
        if reading.encoding is not None:
            decoded = decode(read_whole(file, path), path, encoding=reading.encoding)
            require_text_bytes(decoded.utf8[:_HEAD_BYTES], path)
            return _decoded(path, decoded)
        require_text_bytes(head, path)
        stream = _open_utf8(file, head, path, is_large=is_large)
        return stream or _decoded(path, decode(read_whole(file, path), path))


def _open_utf8(file: BinaryIO, head: bytes, path: Path, *, is_large: bool) -> RowStream | None:
    """The rows of a file in UTF-8, a few at a time; None where it is in another encoding, or has to be held."""
    is_joined = is_concatenated(head.removeprefix(codecs.BOM_UTF8))
    if not (is_joined and is_large):
        head = _with_first_line(file, head, path)
    text = head.removeprefix(codecs.BOM_UTF8)
    is_lines = not is_joined and not is_concatenated(text) and _has_json_lines(text)
    start = _utf8_start(file, head) if is_lines or is_large else None
    if start is None:
        return None
    file_path = Path(file.name)
    bom = (Problem("bom", "the file starts with a byte order mark; it was left out"),) if start else ()
    if is_lines:
        again = partial(file_path.open, "rb")
        stream = _streamed(path, again, start, encoding="utf-8", problems=bom, head=head)
        return replace(stream, file=file_path, start=start)
    return _large(path, partial(_text_file, file_path, start), bom, text.decode(errors="ignore"), is_joined=is_joined)


def _recoded(file: BinaryIO, head: bytes, path: Path, reading: Reading) -> RowStream | None:
    """The rows of a large text in an encoding that was named, or that its first bytes tell, a few at a time.

    None where it is in UTF-8 or another encoding, or has to be held.
    """
    asked = reading.encoding is not None
    if not asked and not looks_utf_16_or_32(head):
        return None
    encoding = require_encoding(reading.encoding) if reading.encoding is not None else wide_encoding(head)
    recoded = recode(file, encoding)
    if recoded is None:
        return None
    with recoded.path.open("rb") as text:
        head = text.read(_HEAD_BYTES)
        require_text_bytes(head, path)
        stream = _open_utf8(text, head, path, is_large=True)
    if stream is None:
        return None
    problems = (*recoded_problems(encoding, asked=asked), *stream.problems)
    stream = replace(stream, encoding=encoding, problems=problems, recoded=recoded.path)
    return _keeping(recoded, stream)


def _require_sense(reading: Reading, path: Path, *, is_book: bool, is_binary: bool) -> None:
    """Refuse a sheet where there are none, and an encoding where there is no text."""
    if reading.sheet is not None and not is_book:
        raise UsageError("only workbooks have sheets", where=str(path), next_step="leave the sheet out")
    if reading.encoding is not None and is_binary:
        raise UsageError("this file has no encoding of text", where=str(path), next_step="leave the encoding out")


def _decoded(path: Path, decoded: Decoded) -> RowStream:
    """The rows of a text that is in memory."""
    if not is_concatenated(decoded.utf8) and _has_json_lines(decoded.utf8[:_HEAD_BYTES]):
        recoded = decoded.utf8 if b"\n" in decoded.utf8 else decoded.utf8.replace(b"\r", b"\n")
        problems = tuple(decoded.problems)
        head = recoded[:_HEAD_BYTES]
        in_memory = partial(io.BytesIO, recoded)
        return _streamed(path, in_memory, 0, encoding=decoded.encoding, problems=problems, head=head)
    with without_garbage_collection():
        container, parsed = _parse(decoded.utf8)
    return _held(path, container, decoded.encoding, tuple(decoded.problems), parsed)


def _large(
    path: Path,
    opened: Callable[[], AbstractContextManager[TextIO]],
    problems: tuple[Problem, ...],
    head: str,
    *,
    is_joined: bool,
) -> RowStream | None:
    """The rows of a large array, table or run of objects, a few at a time; None for what has to be held to be told."""
    start = head.lstrip()
    if is_joined:
        return RowStream(path, "concatenated-json", "utf-8", problems, (), partial(stream_objects, opened))
    if _ARRAY_START.match(start.encode()):
        return RowStream(path, "json", "utf-8", problems, (), partial(stream_array, opened))
    if start.startswith(("{", "[")) or is_templated(head):
        return None
    delimiter = sniff_delimiter(head)
    table = open_table(partial(_lines, opened), delimiter)
    return RowStream(path, "tsv" if delimiter == "\t" else "csv", "utf-8", problems, table.columns, table.read)


@contextlib.contextmanager
def _text_file(path: Path, start: int) -> Iterator[TextIO]:
    with path.open("rb") as file:
        file.seek(start)
        with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
            yield text


def _lines(opened: Callable[[], AbstractContextManager[TextIO]]) -> Iterator[str]:
    """The lines of a text with their ends; one over the cap comes in pieces, so that it is never held whole."""
    with opened() as text:
        while line := text.readline(MAX_CELL_CHARS + 1):
            yield line


def _streamed(
    path: Path,
    again: Callable[[], Any],
    start: int,
    *,
    encoding: str,
    problems: tuple[Problem, ...],
    head: bytes,
) -> RowStream:
    if head[: head.find(b"\n")].endswith(b"\r"):
        problems = (*problems, Problem("crlf", "lines end with CR LF"))

    def read(note: Note) -> Iterator[Place]:
        with again() as file:
            file.seek(start)
            yield from stream_json_lines(file, note)

    return RowStream(path, "jsonl", encoding, problems, (), read)


def _held(path: Path, container: Container, encoding: str, problems: tuple[Problem, ...], parsed: Parsed) -> RowStream:
    def read(note: Note) -> Iterator[Place]:
        for problem in parsed.problems:
            note(problem)
        return ((row.line, row.record, row.value) for row in parsed.rows)

    return RowStream(path, container, encoding, problems, parsed.columns, read)


def _parse(data: bytes) -> tuple[Container, Parsed]:
    if is_concatenated(data):
        return "concatenated-json", read_concatenated(data.decode())
    if _is_one_json_text(data):
        return "json", read_json(data.decode())
    text = data.decode()
    if _OBJECT_START.match(data.lstrip()):
        parsed = read_concatenated(text)
        return "concatenated-json" if parsed.records > 1 else "json", parsed
    if is_templated(text):
        return "text", read_templated(text)
    delimiter = sniff_delimiter(text)
    return "tsv" if delimiter == "\t" else "csv", read_table(text, delimiter)


def _with_first_line(file: BinaryIO, head: bytes, path: Path) -> bytes:
    """The first bytes of a file, up to the end of its first line at least.

    Raises:
        UnreadableError: That line is over the cap, and the file too large to be read as anything but JSON lines.
    """
    if b"\n" in head or len(head) < _HEAD_BYTES:
        return head
    file.seek(len(head))
    chunks = [head]
    size = len(head)
    while size <= MAX_LINE_BYTES and (chunk := file.read(_HEAD_BYTES)):
        chunks.append(chunk)
        size += len(chunk)
        if b"\n" in chunk:
            break
    else:
        whole = file.seek(0, os.SEEK_END)
        if whole > opening.MAX_BYTES:
            raise UnreadableError(
                "line-too-long",
                "the file has no line ends",
                path=path,
                found=f"{whole:,} bytes, and no line end in the first {size:,}",
                next_step="check what wrote the file; JSON lines have one row a line",
            )
    return b"".join(chunks)


def _utf8_start(file: BinaryIO, head: bytes) -> int | None:
    """Where the text of a UTF-8 file begins (behind a byte order mark), or None where the file is not UTF-8."""
    if looks_utf_16_or_32(head):
        return None
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(start)
    pending = False
    try:
        while chunk := file.read(_SCAN):
            if pending or not chunk.isascii():
                decoder.decode(chunk)
                pending = decoder.getstate()[0] != b""
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return start


def _has_json_lines(head: bytes) -> bool:
    """Lines that are values of their own: the first one is, or most of the first ones start like an object."""
    start = head.lstrip()
    end = start.find(b"\n")
    first = start if end < 0 else start[:end]
    second = _NOT_BLANK.search(start, end) if end >= 0 else None
    if len(first) > MAX_LINE_BYTES or (end < 0 and len(head) >= _HEAD_BYTES):
        return False
    whole = _is_json(first)
    if start.startswith(b"["):
        return (whole and second is not None) or (second is not None and second.group() == b"[")
    if whole:
        return start.startswith(b"{")
    lines = [line for line in start.split(b"\n", _HEAD_LINES)[:_HEAD_LINES] if line.strip()]
    objects = sum(line.lstrip().startswith((b"{", b"[{")) for line in lines)
    return objects * 2 >= len(lines) and not _is_json(start)


def _is_one_json_text(data: bytes) -> bool:
    """An array, or an object over several lines."""
    start = data.lstrip()
    return _ARRAY_START.match(start) is not None or (start.startswith(b"{") and _is_json(start))


def _is_json(raw: bytes) -> bool:
    try:
        parse_value(raw)
    except JsonProblem as problem:
        return problem.check != "invalid-json"
    return True
