"""A file cut into its records with the text each has in the file, so that what is not touched can be kept as it is."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from dataset_tools.reading import Problem, RowStream
from dataset_tools.reading.encoding import decode
from dataset_tools.reading.json_lines import split_lines
from dataset_tools.reading.opening import open_file, read_whole
from dataset_tools.reading.packed import codec_of, unpack
from dataset_tools.repairs import Repair, repair, repair_elements

_MAGIC = 16  # bytes that tell a packed file
_JSON = ("json", "concatenated-json")
Note = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class Segment:
    """One record of a file.

    ``raw`` is its text without the line end behind it, or None where the container has none. ``problem`` says why
    there is no ``value``, and ``repaired`` what the text may mean. ``twice`` marks a row in which a key comes twice.
    """

    line: int
    record: int
    raw: bytes | None
    value: object = None
    problem: Problem | None = None
    twice: bool = False
    element: Repair | None = None

    @property
    def repaired(self) -> Repair | None:
        """The rows that the text holds, and what it takes to read them; None where it is not certain."""
        if self.element is not None:
            return self.element
        return repair(self.raw.decode()) if self.raw is not None else None


def segments(stream: RowStream, note: Note) -> Iterator[Segment]:
    """All records in the order of the file, those that cannot be read included.

    What is wrong with the file and not with one record goes to ``note``. JSON lines pass by one at a time.
    """
    for problem in stream.problems:
        note(problem)
    return _of_lines(stream, note) if stream.container == "jsonl" else _of_whole(stream, note)


@contextlib.contextmanager
def text_of(stream: RowStream) -> Iterator[BinaryIO]:
    """The text of a file as UTF-8 without a byte order mark, as the reader saw it."""
    with open_file(stream.path) as packed:
        codec = codec_of(packed.read(_MAGIC))
    unpacked = unpack(stream.path, codec) if codec else None  # the temporary file lives as long as this object
    with (unpacked or stream).path.open("rb") as file:
        if stream.encoding == "utf-8" and not any(problem.check == "encoding" for problem in stream.problems):
            file.seek(len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0)
            yield file
        else:
            data = decode(read_whole(file, stream.path), stream.path, encoding=stream.reading.encoding).utf8
            yield io.BytesIO(data if b"\n" in data else data.replace(b"\r", b"\n"))


class _Lines:
    """The lines of a text, taken in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = split_lines(file)
        self._next = 1

    def between(self, start: int, end: int | None) -> list[bytes]:
        """The lines from one number up to another, which is not among them; up to the end of the file for None."""
        taken: list[bytes] = []
        while end is None or self._next < end:
            raw = next(self._lines, None)
            if raw is None:
                break
            if self._next >= start:
                taken.append(raw.removesuffix(b"\r"))
            self._next += 1
        return taken


def _of_lines(stream: RowStream, note: Note) -> Iterator[Segment]:
    with text_of(stream) as file:
        lines = _Lines(file)
        pending: list[Problem] = []
        for line, record, value in stream.read(pending.append):
            own = [problem for problem in pending if problem.record == record]
            yield from _unread([problem for problem in pending if problem.record != record], lines, line, note)
            pending.clear()
            raw = lines.between(line, line + 1)[0]
            yield Segment(line, record, raw, value, twice=any(problem.check == "duplicate-keys" for problem in own))
        yield from _unread(pending, lines, None, note)


def _unread(problems: list[Problem], lines: _Lines, end: int | None, note: Note) -> Iterator[Segment]:
    """The records without a row: each goes up to the line of the next problem, or of the next row."""
    for number, problem in enumerate(problems):
        if problem.record is None or problem.line is None:
            note(problem)
            continue
        following = problems[number + 1].line if number + 1 < len(problems) else end
        taken = lines.between(problem.line, following)
        while taken and not taken[-1].strip():
            taken.pop()
        raw = None if problem.check == "line-too-long" else b"\n".join(taken)
        yield Segment(problem.line, problem.record, raw, problem=problem)


def _of_whole(stream: RowStream, note: Note) -> Iterator[Segment]:
    problems: list[Problem] = []
    rows = list(stream.read(problems.append))
    records = {record for _, record, _ in rows}
    for problem in problems:
        if problem.record is None:
            note(problem)
    unread = [problem for problem in problems if problem.record is not None and problem.record not in records]
    if stream.container in _JSON and (unread or any(problem.check == "invalid-json" for problem in problems)):
        elements = _elements(stream)
        if elements is not None:
            yield from elements
            return
    twice = {problem.record for problem in problems if problem.check == "duplicate-keys"}
    found = [Segment(line, record, None, value, twice=record in twice) for line, record, value in rows]
    found += _with_text(unread, stream, {line for line, _, _ in rows})
    yield from sorted(found, key=lambda segment: segment.record)


def _elements(stream: RowStream) -> Iterator[Segment] | None:
    """The objects of a JSON text that the reader could not read as a whole, if it is certain where they are."""
    with text_of(stream) as file:
        found = repair_elements(file.read().decode())
    if found is None:
        return None
    return (_element(number, element.line, element.text, element.repair) for number, element in enumerate(found, 1))


def _element(record: int, line: int, text: str, how: Repair | None) -> Segment:
    if how is not None and not how.mends:
        return Segment(line, record, None, how.rows[0])
    if how is not None and how.mends == ("duplicate-key",):
        return Segment(line, record, text.encode(), how.rows[0], twice=True, element=how)
    problem = Problem("invalid-json", "the object is not JSON", line, record)
    return Segment(line, record, text.encode(errors="backslashreplace"), problem=problem, element=how)


def _with_text(unread: list[Problem], stream: RowStream, starts: set[int]) -> Iterator[Segment]:
    """Records of a table that cannot be read, with their lines."""
    if not unread:
        return
    lines: list[str] = []
    if stream.container in ("csv", "tsv"):
        with text_of(stream) as file:
            lines = list(io.StringIO(file.read().decode(), newline=""))
    bounds = sorted(starts | {problem.line for problem in unread if problem.line} | {len(lines) + 1})
    following = dict(itertools.pairwise(bounds))
    for problem in unread:
        line, record = problem.line or 0, problem.record or 0
        own = lines[line - 1 : following.get(line, line)] if lines else []
        raw = "".join(own).rstrip("\r\n").encode() if own else None
        yield Segment(line, record, raw, problem=problem)
