"""A JSON array of rows, or one JSON value that is the only row, with the line where each row starts."""

from __future__ import annotations

import json
import re

from dataset_tools.reading.json_values import JsonProblem, describe, duplicate_recorder, require_text, strict_decoder
from dataset_tools.reading.source import Parsed, Problem, Row

_BLANK = re.compile(r"[ \t\r\n]*")
_NEXT_ELEMENT = re.compile(r"\}\s*(?=,\s*\{|\{)")  # behind it, reading can go on after a broken element


def read_json(text: str) -> Parsed:
    """Read one JSON text: the elements of its array, or its only value."""
    return _ArrayReader(text).read()


class _ArrayReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._rows: list[Row] = []
        self._problems: list[Problem] = []
        self._records = 0
        self._counted = (0, 1)  # an offset and its line: lines are counted on from here
        hook, self._twice = duplicate_recorder()
        self._decoder = strict_decoder(hook)

    def read(self) -> Parsed:
        at = self._skip_blanks(0)
        if self._text[at : at + 1] != "[":
            end = self._element(at)
            if end is not None:
                self._end(end)
            return self._parsed()
        after_comma = False
        position: int | None = self._skip_blanks(at + 1)
        while position is not None:
            char = self._text[position : position + 1]
            if char == "]":
                if after_comma:
                    self._note("a comma before the closing bracket of the array", position)
                self._end(position + 1)
                break
            if not char:
                self._note("the array has no closing bracket: the file ends too early", position)
                break
            after = self._element(position)
            if after is None:
                break
            position, after_comma = self._comma(after)
        return self._parsed()

    def _parsed(self) -> Parsed:
        return Parsed(self._rows, self._problems, self._records)

    def _element(self, at: int) -> int | None:
        """Read the element at an offset; return the offset behind it, or None where reading cannot go on."""
        self._records += 1
        line = self._line(at)
        self._twice.clear()
        try:
            value, end = self._decoder.raw_decode(self._text, at)
            if "\\u" in self._text[at:end]:
                require_text(value)
        except json.JSONDecodeError as error:
            line_error = json.JSONDecodeError(error.msg, self._text, error.pos)
            self._problems.append(Problem("invalid-json", describe(line_error), line_error.lineno, self._records))
            return self._resume(at, error.pos)
        except JsonProblem as problem:
            self._problems.append(Problem(problem.check, str(problem), line, self._records))
            return self._resume(at, at)
        except RecursionError:
            self._problems.append(
                Problem("invalid-json", "nested too deep; the rest was not read", line, self._records)
            )
            return None
        self._rows.append(Row(line, self._records, value))
        if self._twice:
            named = ", ".join(repr(key[:40]) for key in self._twice[:3])
            message = f"the key {named} comes twice; the last one counts"
            self._problems.append(Problem("duplicate-keys", message, line, self._records))
        return end

    def _comma(self, at: int) -> tuple[int, bool]:
        """Step over the comma behind an element; return where the next thing starts and whether there was a comma."""
        at = self._skip_blanks(at)
        if self._text[at : at + 1] == ",":
            return self._skip_blanks(at + 1), True
        if self._text[at : at + 1] not in ("]", ""):
            self._note("no comma between two elements", at)
        return at, False

    def _resume(self, start: int, broken: int) -> int | None:
        """The offset behind a broken element: before the next line indented like its own, so not inside of it."""
        indent = self._text[self._text.rfind("\n", 0, start) + 1 : start]
        if not indent.strip():
            found = self._text.find(f"\n{indent}{{", broken)
            if found < 0:
                return None
            comma = self._text.rfind(",", broken, found)
            return comma if comma >= 0 else found
        behind = _NEXT_ELEMENT.search(self._text, broken)
        return behind.end() if behind else None

    def _end(self, at: int) -> None:
        at = self._skip_blanks(at)
        if at < len(self._text):
            self._note("more text after the end of the JSON value", at)

    def _note(self, message: str, at: int) -> None:
        self._problems.append(Problem("invalid-json", message, self._line(at)))

    def _skip_blanks(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def _line(self, at: int) -> int:
        offset, line = self._counted
        if at < offset:
            offset, line = 0, 1
        line += self._text.count("\n", offset, at)
        self._counted = (at, line)
        return line
