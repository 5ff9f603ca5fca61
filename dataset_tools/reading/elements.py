"""JSON values inside a long text, decoded one by one where they start. Where the next one starts is up to the caller.

The standard decoder counts the lines before each fault, and a text may hold a fault every few characters. It is
therefore given pieces of the text, so that the time stays in proportion to the length, whatever is in it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from dataset_tools.reading.json_values import JsonProblem, describe, duplicate_recorder, require_text
from dataset_tools.reading.source import Problem

_PIECE = 2**12  # characters, and twice as many with each piece until a fault; a value that needs more gets more
_MAX_PIECE = 2**20
_MARGIN = 16  # a fault this close to the end of a piece may come from the cut: the longest literal is -Infinity
_CONTEXT = 200  # characters around a fault that its description looks at
_BLANK = re.compile(r"[ \t\r\n]*")
_FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\\n]|\\.){0,100}")\s*:')


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value cannot be used, and the offset where it breaks."""

    check: str
    message: str
    line: int
    at: int
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One value: the line where it starts, the offset behind it (None where that is not known), and what is wrong."""

    value: object
    line: int
    end: int | None
    fault: Fault | None = None
    twice: tuple[str, ...] = ()

    def problems(self, record: int) -> list[Problem]:
        """What is to be said of the value, which is the record of this number."""
        if self.fault is not None:
            return [Problem(self.fault.check, self.fault.message, self.fault.line, record)]
        if self.twice:
            named = ", ".join(repr(key[:40]) for key in self.twice[:3])
            return [Problem("duplicate-keys", f"the key {named} comes twice; the last one counts", self.line, record)]
        return []


class Elements:
    """Decodes the values of a text at offsets that only grow."""

    def __init__(self, text: str) -> None:
        self.begin(text)
        self._not_json: list[str] = []
        hook, self._twice = duplicate_recorder()
        self._decoder = json.JSONDecoder(
            object_pairs_hook=hook, parse_constant=self._not_json.append, parse_float=self._finite
        )

    def begin(self, text: str) -> None:
        """Take another text: one decoder serves many, as it is freed by nothing but a search for cycles."""
        self._text = text
        self._base, self._piece, self._size = 0, "", _PIECE
        self._counted, self._line_start, self._line = 0, 0, 1

    def decode(self, at: int) -> Element:
        """The value that starts at an offset."""
        line = self.line(at)
        self._twice.clear()
        self._not_json.clear()
        try:
            value, end = self._raw(at)
        except json.JSONDecodeError as error:
            return Element(None, line, None, self._broken(error))
        except RecursionError:
            return Element(None, line, None, Fault("invalid-json", "nested too deep", line, at, deep=True))
        except ValueError:  # the interpreter's limit on the digits of a whole number
            return Element(None, line, None, Fault("invalid-json", "a number of thousands of digits", line, at))
        if self._not_json:
            message = f"{self._not_json[0][:40]} is not JSON"
            return Element(None, line, end, Fault("invalid-json", message, line, at))
        try:
            if self._text.find("\\u", at, end) >= 0:
                require_text(value)
        except JsonProblem as problem:
            return Element(None, line, end, Fault(problem.check, str(problem), line, at))
        return Element(value, line, end, twice=tuple(self._twice))

    def line(self, at: int) -> int:
        """The 1-based line of an offset, which is not before those that were asked for earlier."""
        self._line += self._text.count("\n", self._counted, at)
        start = self._text.rfind("\n", self._counted, at)
        self._line_start = start + 1 if start >= 0 else self._line_start
        self._counted = max(self._counted, at)
        return self._line

    def indent(self, at: int) -> str | None:
        """The blanks before an offset where nothing else precedes it on its line, else None."""
        self.line(at)
        before = self._text[self._line_start : min(at, self._line_start + _CONTEXT)]
        return before if not before.strip() and self._line_start + len(before) == at else None

    def first_key(self, at: int) -> re.Pattern[str] | None:
        """What the next object of the same kind starts like: with the first key of the one at an offset."""
        found = _FIRST_KEY.match(self._text, at)
        return re.compile(r"(?<=[\s,}\]])\{\s*" + re.escape(found[1]) + r"\s*:") if found else None

    def skip_blanks(self, at: int) -> int:
        """The offset of the next character that is no blank."""
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def _raw(self, at: int) -> tuple[object, int]:
        if not self._base <= at < self._base + max(1, len(self._piece) // 2) or not self._piece:
            self._cut(at, self._size)
            self._size = min(2 * self._size, _MAX_PIECE)
        while True:
            last = self._base + len(self._piece) >= len(self._text)
            try:
                value, end = self._decoder.raw_decode(self._piece, at - self._base)
                if last or end < len(self._piece):
                    return value, self._base + end
            except json.JSONDecodeError as error:
                by_the_cut = error.pos > len(self._piece) - _MARGIN or error.msg.startswith("Unterminated string")
                if last or not by_the_cut:
                    raise
            self._cut(at, 4 * max(len(self._piece), _PIECE))
            self._twice.clear()
            self._not_json.clear()

    def _cut(self, at: int, size: int) -> None:
        self._base, self._piece = at, self._text[at : at + size]

    def _broken(self, error: json.JSONDecodeError) -> Fault:
        """The fault in the words of `describe`, which is shown no more of the text than it looks at."""
        at = self._base + error.pos
        self._piece, self._size = "", _PIECE  # short, so that the next fault is cheap
        start = max(0, at - _CONTEXT)
        shown = json.JSONDecodeError(error.msg, self._text[start : at + _CONTEXT], at - start)
        line_start = max(self._text.rfind("\n", self._counted, at) + 1, self._line_start)
        shown.colno = at - line_start + 1
        line = self._line + self._text.count("\n", self._counted, at)
        return Fault("invalid-json", describe(shown), line, at)

    def _finite(self, digits: str) -> float:
        number = float(digits)
        if math.isinf(number):
            self._not_json.append(digits)
        return number
