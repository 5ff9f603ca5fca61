"""JSON objects run together: several on a line, or each over several lines, with blanks or commas between or nothing.

One object a line is JSON lines, and read elsewhere. Only objects are looked for between the others.
"""

from __future__ import annotations

import json
import re

from dataset_tools.reading.elements import Element, Elements
from dataset_tools.reading.source import Parsed, Problem, Row

_LOOKED_AT = (2**20, 2**25)  # bytes: more only where the first object is longer than that
_SURVEYED = 200  # objects whose layout tells that of the file
_BLANKS = re.compile(rb"[ \t\r\n]*")
_GAP = re.compile(r"[ \t\r\n,]*")
_OBJECT_ON_A_NEW_LINE = re.compile(r"^[ \t]*\{", re.MULTILINE)
_DEEP = 20_000  # what a value nested too deep costs, as characters read
_FREE = 1_000_000


def is_concatenated(data: bytes) -> bool:
    """Whether most objects at the start of a text share their lines with others or are spread over several.

    Args:
        data: UTF-8, all of it or its first MiB, which may end anywhere.
    """
    blanks = _BLANKS.match(data)
    start = blanks.end() if blanks else 0
    if data[start : start + 1] != b"{":
        return False
    for size in _LOOKED_AT:
        alone, joined = _survey(data[start : start + size].decode("utf-8", errors="replace"))
        if alone + joined > 1:
            return joined > alone
        if start + size >= len(data):
            break
    return False


RUN_TOGETHER = Problem("objects-run-together", "JSON objects run together: neither JSON lines nor one JSON value")


def read_concatenated(text: str, *, first: tuple[re.Pattern[str] | None, str] | None = None) -> Parsed:
    """Read all objects; one that is broken loses no other, and text that is no object is named.

    ``first`` is what the first object starts like (`Elements.first_key`) and the blanks before it, where this text is
    the rest of one.
    """
    return _Reader(text, first).read()


def split_objects(text: str) -> list[dict[str, object]]:
    """The objects that a line holds, between which are only blanks and commas; none if anything is wrong with one."""
    elements = Elements(text)
    objects: list[dict[str, object]] = []
    at = elements.skip_blanks(0)
    while at < len(text):
        element = elements.decode(at) if text[at] == "{" else None
        if element is None or element.end is None or element.twice or not isinstance(element.value, dict):
            return []
        objects.append(element.value)
        at = behind_gap(text, element.end)
    return objects


def _survey(text: str) -> tuple[int, int]:
    """How many of the first objects have a line for themselves, and how many do not."""
    decoder = json.JSONDecoder()
    alone = joined = at = 0
    for _ in range(_SURVEYED):
        if text[at : at + 1] != "{":
            at = _next_line_with_object(text, at)
        try:
            _, end = decoder.raw_decode(text, at) if 0 <= at < len(text) else (None, -1)
        except (ValueError, RecursionError):
            at = _next_line_with_object(text, at + 1)
            continue
        if end < 0:
            break
        line_end = text.find("\n", end)
        behind = text[end : line_end if line_end >= 0 else None]
        before = text[text.rfind("\n", 0, at) + 1 : at]
        if before.strip() or behind.strip() or "\n" in text[at:end]:
            joined += 1
        else:
            alone += 1
        at = behind_gap(text, end)
    return alone, joined


def _next_line_with_object(text: str, at: int) -> int:
    found = _OBJECT_ON_A_NEW_LINE.search(text, at) if at >= 0 else None
    return found.end() - 1 if found else -1


def behind_gap(text: str, at: int) -> int:
    """The offset behind the blanks and commas at an offset."""
    found = _GAP.match(text, at)
    return found.end() if found else at


class _Reader:
    def __init__(self, text: str, first: tuple[re.Pattern[str] | None, str] | None) -> None:
        self._text = text
        self._elements = Elements(text)
        self._rows: list[Row] = []
        self._problems: list[Problem] = []
        self._records = 0
        self._spent = 0  # characters of broken objects, which may be read again from an object inside of them
        start = behind_gap(text, 0)
        self._like_first, indent = first or (self._elements.first_key(start), self._elements.indent(start) or "")
        self._line_seen = (0, -1)  # a place, and the end of its line
        self._new_line: str | None = "\n" + indent + "{"

    def read(self) -> Parsed:
        at = behind_gap(self._text, 0)
        while 0 <= at < len(self._text):
            at = self._object(at) if self._text[at] == "{" else self._no_object(at)
        if len(self._rows) > 1:
            self._problems.insert(0, RUN_TOGETHER)
        return Parsed(self._rows, self._problems, self._records)

    def _object(self, at: int) -> int:
        self._records += 1
        element = self._elements.decode(at)
        self._problems += element.problems(self._records)
        if element.fault is None:
            self._rows.append(Row(element.line, self._records, element.value))
        return behind_gap(self._text, element.end) if element.end is not None else self._resume(at, element)

    def _no_object(self, at: int) -> int:
        """Name the text up to the next object; one that begins a line (a note, say) takes that line."""
        self._records += 1
        found = self._text.find("{", self._end_of_line(at) if self._elements.indent(at) is not None else at)
        shown = self._text[at : min(at + 40, found if found >= 0 else at + 40)].split("\n")[0].strip()
        message = f"text that is no object: {shown!r}"
        self._problems.append(Problem("invalid-json", message, self._elements.line(at), self._records))
        return found

    def _resume(self, start: int, element: Element) -> int:
        """The offset of the next object behind the start of a broken one, which may have swallowed it; -1 for none.

        It is the next on a line of its own or, further on in the same line, one with the first key of the first object.
        """
        if element.fault is None:
            return -1
        broken = max(element.fault.at, start + 1)
        self._spent += _DEEP if element.fault.deep else broken - start
        bounded = self._spent > 4 * len(self._text) + _FREE
        if bounded and element.fault.deep:
            return -1
        on_line = self._on_new_line(broken - 1 if bounded else start)
        line_end = self._end_of_line(broken)
        if on_line < 0:
            return self._alike(broken, len(self._text))
        alike = self._alike(broken, line_end) if line_end <= on_line else -1
        return alike if alike >= 0 else on_line

    def _alike(self, at: int, end: int) -> int:
        found = self._like_first.search(self._text, at, end) if self._like_first is not None else None
        if found is None and end == len(self._text):
            self._like_first = None  # there is none further on either, and looking for it takes time
        return found.start() if found else -1

    def _on_new_line(self, behind: int) -> int:
        found = self._text.find(self._new_line, behind) if self._new_line is not None else -1
        if found < 0 or self._new_line is None:
            self._new_line = None  # as above
            return -1
        return found + len(self._new_line) - 1

    def _end_of_line(self, at: int) -> int:
        place, end = self._line_seen
        if not place <= at <= end:
            found = self._text.find("\n", at)
            end = found if found >= 0 else len(self._text)
            self._line_seen = (at, end)
        return end
