"""One JSON value, strictly: what is wrong with it, where, and in words that help. Rows and files are not known here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

Pairs = list[tuple[str, Any]]
_KEY = re.compile(rb'"\s*:')
_OBJECTS = {dict}


class JsonProblem(ValueError):
    """The text is not a JSON value. ``check`` is the id of the check that reports it."""

    def __init__(self, message: str, *, check: str = "invalid-json") -> None:
        super().__init__(message)
        self.check = check


def parse_value(raw: bytes) -> object:
    """The value of a UTF-8 text that is one JSON value.

    Raises:
        JsonProblem: It is none (NaN and infinities are not JSON), nests too deep, or holds half a character.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    text = raw.decode("utf-8", errors="replace")
    try:
        value = json.JSONDecoder(parse_constant=_refuse_constant).decode(text)
    except json.JSONDecodeError as error:
        raise JsonProblem(describe(error)) from error
    except JsonProblem:
        raise
    except ValueError as error:  # the interpreter's limit on the digits of a whole number
        raise JsonProblem("a number of thousands of digits") from error
    except RecursionError as error:
        raise JsonProblem("nested too deep") from error
    require_text(value)
    raise JsonProblem("nested too deep, or a number that no machine number can hold")


def require_text(value: object) -> None:
    """Check that all strings of a value are whole characters.

    Raises:
        JsonProblem: One holds a lone surrogate (half a character), which no tokenizer takes.
    """
    try:
        orjson.dumps(value)
    except TypeError as error:
        if "surrogate" in str(error) or "UTF-8" in str(error):
            raise JsonProblem("half of a character (a lone \\uD800-\\uDFFF escape)", check="lone-surrogate") from error


def duplicate_keys(raw: bytes, value: object) -> list[str]:
    """The keys that an object of the text holds twice, of which only the last counts.

    A text with as many colons (then: as many behind a quote) as its value has keys has none, which spares nearly
    every row the second, slower parse.
    """
    if type(value) is not dict:
        return []
    colons = raw.count(b":")
    if colons == _count_near_keys(value):  # every colon belongs to a key near the top, so there are no others
        return []
    try:
        keys = _count_keys(value)
    except RecursionError:  # nested a thousand levels deep: no row, so not worth a slower way
        return []
    if colons == keys:
        return []
    spaced = b" :" in raw or b"\t:" in raw or b"\r:" in raw or b"\n:" in raw
    if (raw.count(b'":') if not spaced else len(_KEY.findall(raw))) == keys:
        return []
    hook, twice = duplicate_recorder()
    json.loads(raw, object_pairs_hook=hook)
    return twice


def duplicate_recorder() -> tuple[Callable[[Pairs], dict[str, Any]], list[str]]:
    """A hook for `json.JSONDecoder` that makes objects, and the list in which it notes keys that come twice."""
    twice: list[str] = []

    def to_object(pairs: Pairs) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return made

    return to_object, twice


def describe(error: json.JSONDecodeError) -> str:
    """The error with its column and, where the reason can be seen, the reason."""
    reason = _reason(error)
    return f"{error.msg.removesuffix(' at')} at column {error.colno}" + (f": {reason}" if reason else "")


def _reason(error: json.JSONDecodeError) -> str | None:
    line = error.doc.split("\n")[error.lineno - 1].strip() if error.doc else ""
    before, rest = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if line.startswith(("//", "#", "/*")):
        return "a comment"
    if error.msg == "Extra data":
        return "a comma after the row" if rest.startswith(",") else "more than one value on the line"
    if before.endswith(",") and rest.startswith(("}", "]")):
        return "a comma before the closing bracket"
    if rest.startswith("'"):
        return "single quotes, as Python prints them; JSON has double ones"
    if rest.startswith(("\u201c", "\u201d", "\u2018", "\u2019")):
        return "curly quotes; JSON has straight ones"
    if not rest or error.msg.startswith("Unterminated string"):
        return "the row ends too early"
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise JsonProblem(f"{name} is not JSON")


def _count_near_keys(value: dict[str, Any]) -> int:
    """The keys of an object and of the objects in its lists, by C loops alone: every row comes through here."""
    count = len(value)
    for part in value.values():
        if type(part) is list and set(map(type, part)) == _OBJECTS:
            count += sum(map(len, part))
    return count


def _count_keys(value: dict[str, Any] | list[Any]) -> int:
    """The keys of all objects in a value."""
    count = 0
    parts: Any = value
    if type(value) is dict:
        count = len(value)
        parts = value.values()
    for part in parts:
        if type(part) is dict or type(part) is list:
            count += _count_keys(part)
    return count
