"""A path in, rows out: opens, decodes, tells the container by its content, and hands over to its reader."""

from __future__ import annotations

import re
from pathlib import Path

from dataset_tools.reading.encoding import decode
from dataset_tools.reading.json_array import read_json
from dataset_tools.reading.json_lines import read_json_lines
from dataset_tools.reading.json_values import JsonProblem, parse_value
from dataset_tools.reading.memory import without_garbage_collection
from dataset_tools.reading.opening import read_bytes
from dataset_tools.reading.source import Container, Parsed, Problem, Source
from dataset_tools.reading.table import read_table, sniff_delimiter

_HEAD_LINES = 20
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_ARRAY_START = re.compile(rb'\[\s*[{\["\-0-9tfn\]]')


def read_source(path: Path) -> Source:
    """Read a file of rows, whatever its name says it is. What cannot be read becomes a problem, and reading goes on.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read.
        UnreadableError: The file is empty or binary (a `DataError`).
    """
    decoded = decode(read_bytes(path), path)
    data = decoded.utf8
    with without_garbage_collection():
        container, parsed = _parse(data)
    problems = [*decoded.problems, *parsed.problems]
    if container == "jsonl" and data[: data.find(b"\n")].endswith(b"\r"):
        problems.append(Problem("crlf", "lines end with CR LF"))
    return Source(
        path=path,
        container=container,
        encoding=decoded.encoding,
        rows=tuple(parsed.rows),
        problems=tuple(problems),
        records=parsed.records,
        columns=parsed.columns,
    )


def _parse(data: bytes) -> tuple[Container, Parsed]:
    if _is_one_json_text(data):
        return "json", read_json(data.decode())
    if _has_json_lines(data):
        return "jsonl", read_json_lines(data)
    text = data.decode()
    delimiter = sniff_delimiter(text)
    return "tsv" if delimiter == "\t" else "csv", read_table(text, delimiter)


def _is_one_json_text(data: bytes) -> bool:
    """An array, or an object over several lines; not lines that are values of their own."""
    start = data.lstrip()
    is_array = _ARRAY_START.match(start) is not None
    if not is_array and not start.startswith(b"{"):
        return False
    end = start.find(b"\n")
    second = _NOT_BLANK.search(start, end) if end >= 0 else None
    if _is_json(start if end < 0 else start[:end]):
        return is_array and second is None
    if is_array:  # broken in its first line, or spread over several
        return second is None or second.group() != b"["
    return second is not None and _is_json(start)


def _has_json_lines(data: bytes) -> bool:
    """Most of the first lines start like a JSON object, or the first line is an array."""
    head = [line for line in data[: 2**20].split(b"\n", _HEAD_LINES)[:_HEAD_LINES] if line.strip()]
    objects = sum(line.lstrip().startswith((b"{", b"[{")) for line in head)
    return objects * 2 >= len(head) or (head[0].startswith((b"{", b"[")) and _is_json(head[0]))


def _is_json(raw: bytes) -> bool:
    try:
        parse_value(raw)
    except JsonProblem as problem:
        return problem.check != "invalid-json"
    return True
