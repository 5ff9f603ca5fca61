"""JSON lines: one value a line, read as a stream. A line that cannot be read loses no other."""

from __future__ import annotations

import io
import itertools
import sys
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from dataset_tools.reading.json_values import JsonProblem, duplicate_keys, parse_value
from dataset_tools.reading.source import Note, Parsed, Place, Problem, Row

MAX_LINE_BYTES = 32 * 2**20
_CHUNK = 2**20  # bytes read at once: larger ones do not fit the processor's cache, and are slower
_MAX_SPREAD = 200  # lines that one pretty-printed object may take
_TOO_LONG = b"\x00"  # stands for a line over the cap, whose bytes are not kept


def stream_json_lines(file: BinaryIO, note: Note) -> Iterator[Place]:
    """Read UTF-8 bytes line by line: the line, the record and the value of each row; what is wrong goes to ``note``.

    Only a line feed ends a line, so U+2028 in a string is safe. Blank lines at the end are no fault.
    """
    return LineReader(file, note).rows()


def read_json_lines(data: bytes) -> Parsed:
    """The same for bytes in memory; a carriage return ends a line where there is no line feed (old Macs)."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    problems: list[Problem] = []
    reader = LineReader(io.BytesIO(data), problems.append)
    rows = [Row(*place) for place in reader.rows()]
    return Parsed(rows, problems, reader.records)


def cut_at_lines(file: BinaryIO, start: int, parts: int) -> list[tuple[int, int]]:
    """Stretches of a file of about the same size, in bytes, each beginning with a line that starts an object."""
    size = file.seek(0, io.SEEK_END)
    bounds = [start]
    for number in range(1, parts):
        wanted = start + (size - start) * number // parts
        file.seek(wanted)
        found = file.read(_CHUNK).find(b"}\n{")
        if found >= 0 and wanted + found + 2 > bounds[-1]:
            bounds.append(wanted + found + 2)
    return list(itertools.pairwise([*bounds, size]))


def split_lines(file: BinaryIO, length: int | None = None) -> Iterator[bytes]:
    """The lines without their line feeds; a line over the cap comes as a stand-in, and its bytes are skipped.

    With ``length`` no more bytes are read.
    """
    carry, skipping = b"", False
    left = sys.maxsize if length is None else length
    while chunk := file.read(min(_CHUNK, left)):
        left -= len(chunk)
        lines = (carry + chunk).split(b"\n") if carry else chunk.split(b"\n")
        carry = lines.pop()
        if lines and (skipping or len(lines[0]) > MAX_LINE_BYTES):  # only a line of several chunks can be so long
            lines[0], skipping = _TOO_LONG, False
        yield from lines
        if skipping or len(carry) > MAX_LINE_BYTES:
            carry, skipping = b"", True
    if skipping:
        yield _TOO_LONG
    elif carry:
        yield carry


class LineReader:
    """Reads the rows of JSON lines, or of a stretch of ``length`` bytes of them; ``line`` and ``records`` count on."""

    def __init__(self, file: BinaryIO, note: Note, length: int | None = None) -> None:
        self._lines = split_lines(file, length)
        self._ahead: deque[bytes] = deque()  # lines looked at, and given back
        self._tell = note
        self.records = 0
        self.line = 0

    def rows(self) -> Iterator[Place]:
        """The line, the record and the value of each row."""
        loads, ahead = orjson.loads, self._ahead
        blanks: list[int] = []
        while True:
            raw = ahead.popleft() if ahead else next(self._lines, None)
            if raw is None:
                return
            self.line += 1
            if not raw or raw.isspace():
                blanks.append(self.line)
                continue
            if blanks:
                for line in blanks:
                    self._tell(Problem("blank-line", "a blank line", line))
                blanks.clear()
            self.records += 1
            try:
                value = loads(raw)
            except orjson.JSONDecodeError:
                self._broken(raw)
                continue
            twice = duplicate_keys(raw, value)
            if twice:
                named = ", ".join(repr(key[:40]) for key in twice[:3])
                self._note("duplicate-keys", f"the key {named} comes twice; the last one counts")
            yield self.line, self.records, value

    def _broken(self, raw: bytes) -> None:
        """Say what is wrong with a line, and step over the lines of an object that is spread over several."""
        if raw is _TOO_LONG:
            self._note("line-too-long", f"more than {MAX_LINE_BYTES:,} bytes in one line")
            return
        try:
            parse_value(raw)
        except JsonProblem as problem:
            lines = self._spread(raw)
            if lines == 1:
                self._note(problem.check, str(problem))
            else:
                self._note("invalid-json", f"one value is spread over {lines} lines")
                self.line += lines - 1

    def _spread(self, raw: bytes) -> int:
        """How many lines a pretty-printed object takes that starts with this broken line; those are taken."""
        if not raw.lstrip().startswith(b"{") or raw.rstrip().endswith(b"}"):
            return 1
        gathered, size = [raw], len(raw)
        while len(gathered) < _MAX_SPREAD and size < MAX_LINE_BYTES:
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None:
                break
            if line.startswith(b"{"):  # the next record: this one was cut off
                self._ahead.appendleft(line)
                break
            gathered.append(line)
            size += len(line)
            if line.rstrip(b", \r\t").endswith(b"}"):
                try:
                    parse_value(b"\n".join(gathered).rstrip(b", \r\t"))
                except JsonProblem:
                    continue
                return len(gathered)
        self._ahead.extendleft(reversed(gathered[1:]))
        return 1

    def _note(self, check: str, message: str) -> None:
        self._tell(Problem(check, message, self.line, self.records))
