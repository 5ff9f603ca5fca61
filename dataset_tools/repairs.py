"""From the text of a broken JSON line to the objects it holds, where only one reading is left. It opens no file.

A small parser in one pass that forgives what programs and people do to JSON, and notes each thing it forgave: Python's
and JavaScript's literals, commas too many, comments, curly quotes. It never guesses where a text ends: a row that was
cut off, or a quote inside of quotes, is left alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_CHARS = 4 * 2**20  # a longer text is no row that a person could look at
MAX_DEPTH = 100  # deeper nesting is no training row; it would also exhaust Python's stack
NOT_A_NUMBER = frozenset({"NaN", "nan", "Infinity", "inf"})
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_PYTHON_LITERALS: dict[str, Any] = {"True": True, "False": False, "None": None}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_BLANKS = re.compile(r"[ \t\r\n]*")
_CLOSERS = {'"': '"', "'": "'", "\u201c": '\u201c\u201d"', "\u201d": '\u201c\u201d"'}
_CLOSERS |= {"\u2018": "\u2018\u2019'", "\u2019": "\u2018\u2019'"}
_PLAIN = {quote: re.compile(f"[^{closers}\\\\\x00-\x1f]*") for quote, closers in _CLOSERS.items()}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = {"u": re.compile(r"[0-9A-Fa-f]{4}"), "x": re.compile(r"[0-9A-Fa-f]{2}"), "U": re.compile(r"[0-9A-Fa-f]{8}")}
_SURROGATE = re.compile("[\ud800-\udfff]")


class Mend(NamedTuple):
    """One kind of repair: what it does, and whether it changes no meaning and loses nothing."""

    what: str
    safe: bool


MENDS: dict[str, Mend] = {
    "trailing-comma": Mend("leave out the comma before a closing bracket", True),
    "comma-after-row": Mend("leave out the comma behind the row", True),
    "several-rows": Mend("put the rows that share a line on lines of their own", True),
    "several-lines": Mend("put the row that is spread over lines on one line", True),
    "comment": Mend("leave out the comment", True),
    "single-quotes": Mend("write double quotes for single ones", True),
    "python-literal": Mend("write true, false and null for Python's True, False and None", True),
    "control-character": Mend("escape the control characters in strings", True),
    "odd-blank": Mend("leave out marks and blanks between the values that JSON does not know", True),
    "bare-key": Mend("put quotes around the keys", False),
    "curly-quotes": Mend("write straight quotes for the curly ones around strings", False),
    "bad-escape": Mend("take an escape that JSON does not know by its letters", False),
    "nan": Mend("write null for NaN and infinities", False),
    "lone-surrogate": Mend("put U+FFFD in the place of half a character", False),
    "duplicate-key": Mend("keep the last of equal keys", False),
}


@dataclass(frozen=True, slots=True)
class Repair:
    """The objects of a text (none where it is only a comment), and the `MENDS` that it took to read them."""

    rows: tuple[dict[str, Any], ...]
    mends: tuple[str, ...]

    @property
    def unsafe(self) -> tuple[str, ...]:
        """The mends that a person should confirm."""
        return tuple(mend for mend in self.mends if not MENDS[mend].safe)

    @property
    def safe(self) -> bool:
        """Whether nothing has to be confirmed."""
        return not self.unsafe


@dataclass(frozen=True, slots=True)
class Element:
    """One object of a longer text: the 1-based line where it starts, its own text, and how it is read, if it can be."""

    line: int
    text: str
    repair: Repair | None


def repair(text: str) -> Repair | None:
    """The objects that a line, or several joined by line ends, holds; None where that is not certain.

    A text that is an array, a number or a string holds no object, and is not repaired. Time grows with the length of
    the text alone.
    """
    if len(text) > MAX_CHARS:
        return None
    parser = _Parser(text)
    try:
        rows = parser.rows()
    except _UnclearError:
        return None
    if "\n" in text.strip():
        parser.mend("several-lines")
    mends = parser.kinds()
    if not mends or not (rows or mends == ("comment",)):
        return None
    return Repair(tuple(rows), mends)


def repair_elements(text: str) -> list[Element] | None:
    """The objects in a JSON array with faults, or in objects run together; None where it is not certain where they are.

    One that is broken beyond repair ends before the next line that starts as its own did.
    """
    if len(text) > MAX_CHARS:
        return None
    parser = _Parser(text)
    try:
        return parser.elements()
    except _UnclearError:
        return None


def repaired_rows(text: str) -> list[Mapping[str, Any]]:
    """The objects that a broken text holds, unsafe repairs included; none where `repair` cannot help."""
    found = repair(text)
    return list(found.rows) if found else []


class _UnclearError(ValueError):
    """There is no reading of the text, or more than one."""


class _Parser:
    """Reads from one offset on; what it had to forgive is in `kinds`."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._spent = 0
        self._mends: dict[str, None] = {}

    def mend(self, kind: str) -> None:
        """Note what was forgiven."""
        self._mends[kind] = None

    def kinds(self) -> tuple[str, ...]:
        """What was forgiven, in the order of `MENDS`.

        An escape that only Python prints is certain in a text that Python printed, and else is not.
        """
        found = set(self._mends)
        if "python-escape" in found:
            found.discard("python-escape")
            found |= set() if found & {"single-quotes", "python-literal"} else {"bad-escape"}
        return tuple(kind for kind in MENDS if kind in found)

    def rows(self) -> list[dict[str, Any]]:
        """All objects of the text, with or without commas between them."""
        rows: list[dict[str, Any]] = []
        self._blanks()
        while self._at < len(self._text):
            if self._peek() != "{":
                raise _UnclearError
            rows.append(self._object(0))
            self._blanks()
            if self._peek() == ",":
                self._at += 1
                self.mend("comma-after-row")
                self._blanks()
        if len(rows) > 1:
            self.mend("several-rows")
        return rows

    def elements(self) -> list[Element]:
        """The objects in an array, or one after another, each with its own text; what is between them is forgiven."""
        found: list[Element] = []
        line, counted = 1, 0
        self._blanks()
        closing = "]" if self._peek() == "[" else ""
        self._at += len(closing)
        self._blanks()
        while self._peek() not in (closing, ""):
            self._mends.clear()
            start = self._at
            rows = self._element(start)
            line, counted = line + self._text.count("\n", counted, start), start
            own = self._text[start : self._at].rstrip(", \t\r\n")
            found.append(Element(line, own, Repair(rows, self.kinds()) if rows else None))
            self._blanks()
            if self._peek() == ",":
                self._at += 1
                self._blanks()
        self._at += len(self._peek())
        self._blanks()
        if self._at < len(self._text):
            raise _UnclearError
        return found

    def _element(self, start: int) -> tuple[dict[str, Any], ...]:
        """The object at an offset; none where it is unclear, and then reading goes on at the next line like its own."""
        if self._peek() != "{":
            raise _UnclearError
        try:
            return (self._object(0),)
        except _UnclearError:
            indent = self._text[self._text.rfind("\n", 0, start) + 1 : start]
            found = -1 if indent.strip() else self._text.find(f"\n{indent}{{", start)
            self._spent += self._at - start  # the text may be read again from there on
            if found < 0 or self._spent > len(self._text):
                raise
            self._at = found + 1 + len(indent)
            return ()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise _UnclearError
        self._at += 1

    def _blanks(self) -> None:
        """Step over blanks and comments."""
        text = self._text
        while True:
            blanks = _BLANKS.match(text, self._at)
            self._at = blanks.end() if blanks else self._at
            char = self._peek()
            if char == "#" or text.startswith("//", self._at):
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
                self.mend("comment")
            elif text.startswith("/*", self._at):
                end = text.find("*/", self._at + 2)
                if end < 0:
                    raise _UnclearError
                self._at = end + 2
                self.mend("comment")
            elif char == "\ufeff" or char.isspace():
                self._at += 1
                self.mend("odd-blank")
            else:
                return

    def _value(self, depth: int) -> Any:
        char = self._peek()
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._array(depth)
        if char in _CLOSERS:
            return self._string()
        number = _NUMBER.match(self._text, self._at)
        return self._number(number) if number else self._word()

    def _object(self, depth: int) -> dict[str, Any]:
        if depth >= MAX_DEPTH:
            raise _UnclearError
        made: dict[str, Any] = {}
        self._at += 1
        self._blanks()
        while self._peek() != "}":
            key = self._key()
            self._blanks()
            self._expect(":")
            self._blanks()
            if key in made:
                self.mend("duplicate-key")
            made[key] = self._value(depth + 1)
            self._comma("}")
        self._at += 1
        return made

    def _array(self, depth: int) -> list[Any]:
        if depth >= MAX_DEPTH:
            raise _UnclearError
        made: list[Any] = []
        self._at += 1
        self._blanks()
        while self._peek() != "]":
            made.append(self._value(depth + 1))
            self._comma("]")
        self._at += 1
        return made

    def _comma(self, closing: str) -> None:
        """Step to the next member, or to the closing bracket."""
        self._blanks()
        if self._peek() == closing:
            return
        self._expect(",")
        self._blanks()
        if self._peek() == closing:
            self.mend("trailing-comma")

    def _key(self) -> str:
        if self._peek() in _CLOSERS:
            return self._string()
        word = _WORD.match(self._text, self._at)
        if word is None:
            raise _UnclearError
        if word.group() == "u" and self._text[word.end() : word.end() + 1] in ("'", '"'):
            return str(self._word())
        self._at = word.end()
        self.mend("bare-key")
        return word.group()

    def _number(self, found: re.Match[str]) -> int | float | None:
        self._at = found.end()
        if self._peek().isalnum() or self._peek() in ("_", "."):
            raise _UnclearError
        if not found.group(1) and not found.group(2):
            try:
                return int(found.group())
            except ValueError as error:  # Python refuses to read thousands of digits
                raise _UnclearError from error
        number = float(found.group())
        if math.isfinite(number):
            return number
        self.mend("nan")
        return None

    def _word(self) -> Any:
        """A literal of JSON, Python or JavaScript, or a string with Python 2's prefix ``u``."""
        negative = self._peek() == "-"
        found = _WORD.match(self._text, self._at + negative)
        if found is None:
            raise _UnclearError
        word, self._at = found.group(), found.end()
        if word in NOT_A_NUMBER:
            self.mend("nan")
            return None
        if negative:
            raise _UnclearError
        if word in _LITERALS:
            return _LITERALS[word]
        if word in _PYTHON_LITERALS:
            self.mend("python-literal")
            return _PYTHON_LITERALS[word]
        if word == "u" and self._peek() in ("'", '"'):
            self.mend("python-literal")
            return self._string()
        raise _UnclearError

    def _string(self) -> str:
        quote = self._peek()
        closers, plain = _CLOSERS[quote], _PLAIN[quote]
        if quote == "'":
            self.mend("single-quotes")
        elif quote != '"':
            self.mend("curly-quotes")
        parts: list[str] = []
        self._at += 1
        while True:
            found = plain.match(self._text, self._at)
            if found is not None:
                parts.append(found.group())
                self._at = found.end()
            char = self._peek()
            if not char:
                raise _UnclearError
            self._at += 1
            if char in closers:
                return self._whole("".join(parts))
            if char == "\\":
                parts.append(self._escape())
            else:
                self.mend("control-character")
                parts.append(char)

    def _escape(self) -> str:
        """What stands behind a backslash: JSON's escapes, those that Python prints, else the backslash itself."""
        char = self._peek()
        if not char:
            raise _UnclearError
        if char in _ESCAPES:
            self._at += 1
            return _ESCAPES[char]
        digits = _HEX[char].match(self._text, self._at + 1) if char in _HEX else None
        if digits is not None and int(digits.group(), 16) <= 0x10FFFF:
            self._at = digits.end()
            if char != "u":
                self.mend("python-escape")
            return chr(int(digits.group(), 16))
        if char == "'":
            self._at += 1
            self.mend("python-escape")
            return "'"
        self.mend("bad-escape")
        return "\\"

    def _whole(self, text: str) -> str:
        """The text with the halves of characters joined; one without its other half becomes U+FFFD."""
        if not _SURROGATE.search(text):
            return text
        text = text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="surrogatepass")
        if _SURROGATE.search(text):
            self.mend("lone-surrogate")
            text = _SURROGATE.sub("\ufffd", text)
        return text
