"""Many JSON objects run together, one by one: no more of their text is held than a few objects take.

As with an array (`array_stream`), that goes well as long as they are sound. From the first fault on, the rest is read
as a whole (`concatenated`), and columns are counted from the object before where a line holds several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TextIO

from dataset_tools.reading.array_stream import ElementStream
from dataset_tools.reading.concatenated import RUN_TOGETHER, behind_gap, read_concatenated
from dataset_tools.reading.source import Note, Parsed, Place


def stream_objects(opened: Callable[[], AbstractContextManager[TextIO]], note: Note) -> Iterator[Place]:
    """Read the objects of a text: the line, the record and the value of each.

    Args:
        opened: Opens the text, whose first character but for blanks and commas begins an object.
        note: Takes what is wrong with the objects that are left out, and that there are several.
    """
    with opened() as file:
        rows = 0
        for rows, place in enumerate(_ObjectStream(file, note).read(), 1):
            if rows == 2:
                note(RUN_TOGETHER)
            yield place


class _ObjectStream(ElementStream):
    def read(self) -> Iterator[Place]:
        self._skip_gap()
        self._first = self._elements.first_key(self._at), self._elements.indent(self._at) or ""
        while self._text[self._at : self._at + 1] == "{":
            element = self._element()
            if element is None:
                break
            if element.fault is None:
                yield self._lines + element.line, self._records, element.value
            self._skip_gap()
            self._let_go()
        if self._at < len(self._text):
            yield from self._rest()

    def _skip_gap(self) -> None:
        self._at = behind_gap(self._text, self._at)
        while self._at >= len(self._text) and not self._ended:
            self._grow()
            self._at = behind_gap(self._text, self._at)

    def _rest(self) -> Iterator[Place]:
        """The last object again, and all behind it, read as a whole."""
        again = 1 if self._records else 0
        start = self._line_start(self._last) if again else 0
        lines = self._lines + self._text.count("\n", 0, start)
        parsed = read_concatenated(self._text[start:] + self._file.read(), first=self._first)
        problems = [problem for problem in parsed.problems if problem is not RUN_TOGETHER]
        return self._rest_of(Parsed(parsed.rows, problems, parsed.records), lines=lines, again=again)
