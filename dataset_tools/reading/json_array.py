"""A JSON array of rows, or one JSON value that is the only row, with the line where each row starts."""

from __future__ import annotations

import re

from dataset_tools.reading.elements import Element, Elements
from dataset_tools.reading.source import Parsed, Problem, Row

_NEXT_ELEMENT = re.compile(r"\}\s*(?:,\s*)?(?=\{)")  # behind it, reading can go on after a broken element
_MAX_MISSES = 10  # each look for a line that is not there goes through the rest of the text
_NOT_READ = "; the rest of the array was not read"


def read_json(text: str, *, like: re.Pattern[str] | None = None) -> Parsed:
    """Read one JSON text: the elements of its array, or its only value.

    ``like`` is what its elements start like (`Elements.first_key`); by default the first of them tells.
    """
    return _ArrayReader(text, like).read()


class _ArrayReader:
    def __init__(self, text: str, like: re.Pattern[str] | None) -> None:
        self._text = text
        self._elements = Elements(text)
        self._rows: list[Row] = []
        self._problems: list[Problem] = []
        self._records = 0
        self._like_first = like
        self._misses = 0

    def read(self) -> Parsed:
        at = self._elements.skip_blanks(0)
        if self._text[at : at + 1] != "[":
            end = self._element(at).end
            if end is not None:
                self._end(end)
        else:
            self._array(self._elements.skip_blanks(at + 1))
        return Parsed(self._rows, self._problems, self._records)

    def _array(self, at: int) -> None:
        self._like_first = self._like_first or self._elements.first_key(at)
        after_comma = False
        while True:
            char = self._text[at : at + 1]
            if char == "]":
                if after_comma:
                    self._note("a comma before the closing bracket of the array", at)
                return self._end(at + 1)
            if not char:
                return self._note("the array has no closing bracket: the file ends too early", at)
            element = self._element(at)
            if element.end is not None:
                at, after_comma = self._comma(element.end)
                continue
            found = self._resume(at, element)
            if found is None:
                if self._elements.skip_blanks(at) < len(self._text):
                    self._say_not_read()
                return None
            at, after_comma = found, False

    def _element(self, at: int) -> Element:
        self._records += 1
        element = self._elements.decode(at)
        self._problems += element.problems(self._records)
        if element.fault is None:
            self._rows.append(Row(element.line, self._records, element.value))
        return element

    def _comma(self, at: int) -> tuple[int, bool]:
        """Step over the comma behind an element; return where the next thing starts and whether there was a comma."""
        at = self._elements.skip_blanks(at)
        if self._text[at : at + 1] == ",":
            return self._elements.skip_blanks(at + 1), True
        if self._text[at : at + 1] not in ("]", ""):
            self._note("no comma between two elements", at)
        return at, False

    def _resume(self, start: int, element: Element) -> int | None:
        """The offset of the next element behind a broken one, and not of an object inside of it.

        It is on the next line indented like this one, or else starts with the key that the first element starts with.
        """
        if element.fault is None or element.fault.deep:
            return None
        broken = max(element.fault.at, start + 1)
        indent = self._elements.indent(start)
        if indent is not None and self._misses < _MAX_MISSES:
            found = self._text.find(f"\n{indent}{{", broken)
            if found >= 0:
                return found + 1 + len(indent)
            self._misses += 1
        if self._like_first is not None:
            alike = self._like_first.search(self._text, broken)
            if alike is not None:
                return alike.start()
            self._like_first = None  # there is none further on either, and looking for it takes time
        behind = _NEXT_ELEMENT.search(self._text, broken)
        return behind.end() if behind else None

    def _say_not_read(self) -> None:
        last = self._problems[-1]
        self._problems[-1] = Problem(last.check, last.message + _NOT_READ, last.line, last.record)

    def _end(self, at: int) -> None:
        at = self._elements.skip_blanks(at)
        if at < len(self._text):
            self._note("more text after the end of the JSON value", at)

    def _note(self, message: str, at: int) -> None:
        self._problems.append(Problem("invalid-json", message, self._elements.line(at)))
