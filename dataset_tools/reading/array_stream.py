"""A large JSON array, element by element: no more of its text is held than a few elements take.

That goes well as long as the array is sound. From the first fault on, the rest is read as a whole (`json_array`), whose
search for the next sound element may look far ahead; what is found is the same, but columns are counted from the
element before where a line holds several.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TextIO

from dataset_tools.reading.elements import Element, Elements
from dataset_tools.reading.json_array import read_json
from dataset_tools.reading.source import Note, Parsed, Place, Problem

_CHUNK = 2**20  # characters read at once
_LIKE_NOTHING = re.compile(r"(?!)")
MAX_ELEMENT = 32 * 2**20  # characters; a longer element is left to the reader of the whole


def stream_array(opened: Callable[[], AbstractContextManager[TextIO]], note: Note) -> Iterator[Place]:
    """Read the elements of the array that a text is: the line, the record and the value of each.

    Args:
        opened: Opens the text, whose first character but for blanks is the bracket.
        note: Takes what is wrong with the elements that are left out.
    """
    with opened() as file:
        yield from _ArrayStream(file, note).read()


class ElementStream:
    """A text that is read as far as its elements are asked for, and let go behind them."""

    def __init__(self, file: TextIO, note: Note) -> None:
        self._file, self._note = file, note
        self._elements = Elements("")
        self._text, self._at, self._ended = "", 0, False
        self._lines = 0  # of the text that was let go
        self._records = 0
        self._last = 0  # where the last element starts
        self._grow()

    def _element(self) -> Element | None:
        """The element that starts here, told of where it has a fault; None where it has no end."""
        element = self._elements.decode(self._at)
        while (element.end is None or element.end >= len(self._text)) and self._may_grow():
            self._grow()
            element = self._elements.decode(self._at)
        if element.end is None:
            return None
        self._records += 1
        self._last = self._at
        for problem in element.problems(self._records):
            self._tell(problem, self._lines)
        self._at = element.end
        return element

    def _grow(self) -> None:
        more = self._file.read(max(_CHUNK, len(self._text)))
        self._ended = not more
        self._text += more
        self._elements.begin(self._text)

    def _may_grow(self) -> bool:
        return not self._ended and len(self._text) - self._at < MAX_ELEMENT

    def _let_go(self) -> None:
        """Forget the text before the last element, but for the character before it, where it is long enough."""
        if self._at <= _CHUNK:
            return
        start = max(0, self._line_start(self._last) - 1)
        self._lines += self._text.count("\n", 0, start)
        self._text = self._text[start:] + self._file.read(_CHUNK)
        self._at, self._last = self._at - start, self._last - start
        self._elements.begin(self._text)

    def _line_start(self, at: int) -> int:
        """Where the line of an element starts, if there are but blanks before it; else where the element does."""
        start = self._text.rfind("\n", 0, at) + 1
        return start if not self._text[start:at].strip() else at

    def _skip_blanks(self) -> None:
        self._at = self._elements.skip_blanks(self._at)
        while self._at >= len(self._text) and not self._ended:
            self._grow()
            self._at = self._elements.skip_blanks(self._at)

    def _rest_of(self, parsed: Parsed, *, lines: int, again: int) -> Iterator[Place]:
        """What was read as a whole from some line on, of which the first elements were told already."""
        records = self._records - again
        for problem in parsed.problems:
            if problem.record is None or problem.record > again:
                self._tell(problem, lines, records)
        for row in parsed.rows:
            if row.record > again:
                yield lines + row.line, records + row.record, row.value

    def _tell(self, problem: Problem, lines: int, records: int = 0) -> None:
        line = None if problem.line is None else problem.line + lines
        record = None if problem.record is None else problem.record + records
        self._note(replace(problem, line=line, record=record))


class _ArrayStream(ElementStream):
    def read(self) -> Iterator[Place]:
        self._at = self._elements.skip_blanks(0) + 1
        self._skip_blanks()
        like_first = self._elements.first_key(self._at) or _LIKE_NOTHING
        while (element := self._element()) is not None:
            if element.fault is None:
                yield self._lines + element.line, self._records, element.value
            self._skip_blanks()
            if self._text[self._at : self._at + 1] != ",":
                break
            self._at += 1
            self._skip_blanks()
            if self._text[self._at : self._at + 1] in ("]", ""):
                break
            self._let_go()
        if not self._is_over():
            yield from self._rest(like_first)

    def _is_over(self) -> bool:
        """Whether the array ends here as it should, with nothing behind it."""
        if self._text[self._at : self._at + 1] != "]" or not self._records:
            return False
        if self._text[self._last : self._at].rstrip().endswith(","):
            return False
        self._at += 1
        self._skip_blanks()
        return self._at >= len(self._text)

    def _rest(self, like_first: re.Pattern[str]) -> Iterator[Place]:
        """The last element again, and all behind it, read as a whole."""
        again = 1 if self._records else 0
        start = self._line_start(self._last if again else self._at)
        opening = "[\n" if start and self._text[start - 1] == "\n" else "["
        lines = self._lines + self._text.count("\n", 0, start) - opening.count("\n")
        parsed = read_json(opening + self._text[start:] + self._file.read(), like=like_first)
        yield from self._rest_of(parsed, lines=lines, again=again)
