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
_END: tuple[int | None, int | None, object] = (None, None, None)
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

    What is wrong with the file and not with one record goes to ``note``. Records pass by one at a time, but for those
    of a JSON text from its first fault on.
    """
    for problem in stream.problems:
        note(problem)
    return _of_lines(stream, note) if stream.container == "jsonl" else _of_others(stream, note)


@contextlib.contextmanager
def text_of(stream: RowStream) -> Iterator[BinaryIO]:
    """The text of a file as UTF-8 without a byte order mark, as the reader saw it."""
    if stream.recoded is not None:
        with stream.recoded.open("rb") as file:
            yield file
        return
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


def _of_others(stream: RowStream, note: Note) -> Iterator[Segment]:
    """The records of an array, a table or rendered text, as they are read.

    From the first fault in JSON on, its whole text is looked at: what was meant is told from what stands around it.
    """
    pending: list[Problem] = []
    texts = _Texts(stream)
    given = 0  # the record that was given last
    may_repair = stream.container in _JSON
    for line, record, value in itertools.chain(stream.read(pending.append), [_END]):
        ready = [problem for problem in pending if record is None or (problem.record or 0) <= record]
        unread = [problem for problem in ready if problem.record not in (None, record)]
        if may_repair and (unread or any(problem.check == "invalid-json" for problem in pending)):
            may_repair = False
            elements = _elements(stream)
            if elements is not None:
                _note_all(pending, note)
                yield from itertools.islice(elements, given, None)
                return
        pending[:] = [problem for problem in pending if record is not None and (problem.record or 0) > record]
        _note_all(ready, note)
        for place, problem in enumerate(unread, 1):
            raw = texts.between(problem.line or 1, unread[place].line if place < len(unread) else line)
            yield Segment(problem.line or 0, problem.record or 0, raw, problem=problem)
        if line is not None and record is not None:
            twice = any((problem.check, problem.record) == ("duplicate-keys", record) for problem in ready)
            yield Segment(line, record, None, value, twice=twice)
            given = record


def _note_all(problems: list[Problem], note: Note) -> None:
    for problem in problems:
        if problem.record is None:
            note(problem)


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


class _Texts:
    """The text of the records of a table that cannot be read, looked up in the order of the file."""

    def __init__(self, stream: RowStream) -> None:
        self._lines = _table_lines(stream) if stream.container in ("csv", "tsv") else iter(())
        self._next = 1

    def between(self, start: int, end: int | None) -> bytes | None:
        """The lines from one number up to another, which is not among them; up to the end of the file for None."""
        for _ in itertools.islice(self._lines, max(0, start - self._next)):
            pass
        taken = list(itertools.islice(self._lines, None if end is None else max(0, end - start)))
        self._next = start + len(taken)
        return "".join(taken).rstrip("\r\n").encode() if taken else None


def _table_lines(stream: RowStream) -> Iterator[str]:
    """The lines of a table with their ends; the file is opened when the first is asked for."""
    with text_of(stream) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        yield from text
