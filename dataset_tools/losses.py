"""What a conversion did not keep, field by field: counted row by row, by reading back what was written.

For each row three things are compared: the source row, the row that the source format would make of what was read from
it, and the row that it would make of what can be read back from the target. What stands in the first and is not made
use of was not read; what differs between the second and the third could not be held. A value that is only moved, or
stands under another name, is no loss.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dataset_tools.example import Example
from dataset_tools.formats.base import Format, Value, to_example
from dataset_tools.formats.chat import chat_message

Kind = Literal["not read", "not held", "changed", "added"]
_SAMPLE_CHARS = 200
_KINDS: tuple[Kind, ...] = ("not held", "not read", "changed", "added")
_EMPTY: tuple[object, ...] = (None, "", [], {}, "[]")  # the last: no tools, as ShareGPT files say it
_WORSE = ("rejected", "non_preferred_output", "rejected_response")
Difference = tuple[Kind, str, object]


@dataclass(frozen=True, slots=True)
class Loss:
    """A field that did not survive as it was.

    Attributes:
        path: Where it stood in the source row (``messages[].weight``).
        kind: "not read" (the source format has no use for it), "not held" (the target format has no place for it),
            "changed" (it is there in another form: two texts joined, an id made anew) or "added" (the target format
            asks for something that the source did not have).
        rows: In how many rows.
        sample: Its value in the first of them, cut to 200 characters.
        line: The line of that row.
    """

    path: str
    kind: Kind
    rows: int
    sample: object
    line: int

    def to_dict(self) -> dict[str, object]:
        """The same as JSON."""
        return {"path": self.path, "kind": self.kind, "rows": self.rows, "sample": self.sample, "line": self.line}


@dataclass
class Ledger:
    """Counts the losses of one conversion."""

    source: Format
    target: Format
    _found: dict[tuple[Kind, str], list[Any]] = field(default_factory=dict)
    _plain: dict[int, tuple[tuple[Kind, str], ...]] = field(default_factory=dict)  # by the number of messages

    def add(self, value: Value, example: Example, row: dict[str, object], *, contents: Sequence[str] | None) -> None:
        """Compare a source row with what was read from it and written for it.

        Args:
            value: The source row.
            example: What was read from it.
            row: What was written for it.
            contents: Its texts if it is plain. Whether the target holds a plain row depends on how many they are, so
                it is found out once for each number.
        """
        seen: dict[tuple[Kind, str], object] = {}  # a field counts once a row
        again = _written(self.source, example)
        if value != again:
            reads = {path for path in self.source.reads(value) if path != "group" or example.group is not None}
            for kind, path, what in _unread(value, again, reads):
                seen.setdefault((kind, path), what)
        if contents is None or example.group is not None or self._plain.get(len(contents)) != ():
            held = tuple(_unheld(self.source, value, example, to_example(self.target, row)))
            for kind, path, what in held:
                seen.setdefault((kind, path), what)
            if contents is not None and example.group is None:
                self._plain[len(contents)] = tuple((kind, path) for kind, path, _ in held)
        for key, what in seen.items():
            self._found.setdefault(key, [0, _short(what), example.line])[0] += 1

    def losses(self) -> tuple[Loss, ...]:
        """All losses, the worst kind first, then by the number of rows."""
        made = [Loss(path, kind, *counted) for (kind, path), counted in self._found.items()]
        return tuple(sorted(made, key=lambda loss: (_KINDS.index(loss.kind), -loss.rows, loss.path)))


def _written(form: Format, example: Example) -> dict[str, object]:
    """The row that the format makes of an example; where it makes none, a row that holds all there is."""
    try:
        return form.from_example(example)
    except ValueError:
        return _whole(example)


def _whole(example: Example) -> dict[str, object]:
    row: dict[str, object] = {"messages": [chat_message(message) for message in example.messages]}
    if example.tools is not None:
        row["tools"] = example.tools
    if example.rejected:
        row["rejected"] = [chat_message(message) for message in example.rejected]
    if example.desirable is not None:
        row["label"] = example.desirable
    if example.group is not None:
        row["group"] = example.group
    return row


def _unread(value: Value, again: dict[str, object], reads: Collection[str]) -> Iterator[Difference]:
    """The fields of a row that reading has no use for, and those whose values are not found again in any place.

    A role that could be read is one of four, under whichever name.
    """
    inner = _prefixes(frozenset(reads))
    read = []
    for path, part, is_read in _walk(value, "", frozenset(reads), inner):
        if not is_read:
            yield "not read", path, part
        elif not path.endswith((".from", ".role")):
            read.append((path, part))
    moved = Counter(_leaves(again, ""))
    gone: list[tuple[str, object, tuple[type, object]]] = []
    for path, part in read:
        for leaf in _leaves(part, path):
            if moved[leaf]:
                moved[leaf] -= 1
            else:
                gone.append((path, part, leaf[1:]))
    elsewhere = Counter(leaf[1:] for leaf in moved.elements())
    for path, part, what in gone:
        if elsewhere[what]:
            elsewhere[what] -= 1
        else:
            yield "changed", path, part


def _unheld(source: Format, value: Value, example: Example, back: Example | None) -> Iterator[Difference]:
    """What the target did not hold, in the terms of the source format."""
    if back is None:
        yield "not held", "(the whole row)", None
        return
    if example.rejected and not back.rejected:
        field = next((name for name in _WORSE if name in value), "rejected")
        yield "not held", field, value.get(field)
        back = replace(back, rejected=example.rejected)
    if example.desirable is not None and back.desirable is None:
        field = "label" if "label" in value else "kto_tag"
        yield "not held", field, value.get(field)
        back = replace(back, desirable=example.desirable)
    try:
        yield from _differences(source.from_example(example), source.from_example(back), "")
    except ValueError:  # the source format reads more than it writes
        for kind, path, what in _differences(_whole(example), _whole(back), ""):
            yield kind, _place_of(path, what, value), what


def _place_of(path: str, what: object, value: Value) -> str:
    """Where a value stands in the source row, found by its key and itself."""
    key = path.rpartition(".")[2]
    return next((at for at, leaf in _fields(value, "") if at.rpartition(".")[2] == key and leaf == what), path)


def _fields(value: object, path: str) -> Iterator[tuple[str, object]]:
    parts: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        parts = ((f"{path}.{key}" if path else str(key), part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((f"{path}[]", part) for part in value)
    for at, part in parts:
        yield at, part
        yield from _fields(part, at)


def _differences(before: object, after: object, path: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, part in before.items():
            at = f"{path}.{key}" if path else str(key)
            if key not in after:
                yield "not held", at, part
            else:
                yield from _differences(part, after[key], at)
        for key, part in after.items():
            if key not in before:
                yield "added", f"{path}.{key}" if path else str(key), part
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from _differences(one, other, f"{path}[]")
    elif before != after or type(before) is not type(after):
        yield "changed", path, before


def _walk(value: object, path: str, reads: frozenset[str], inner: frozenset[str]) -> Iterator[tuple[str, object, bool]]:
    """The outermost fields that are read as a whole, or not at all, and which of the two."""
    if path in inner and isinstance(value, dict):
        for key, part in value.items():
            yield from _walk(part, f"{path}.{key}" if path else str(key), reads, inner)
    elif path in inner and isinstance(value, list):
        for part in value:
            yield from _walk(part, f"{path}[]", reads, inner)
    elif value not in _EMPTY:
        yield path, value, path in reads


@functools.lru_cache(maxsize=64)
def _prefixes(reads: frozenset[str]) -> frozenset[str]:
    """All paths that lead to one that is read."""
    found = {""}
    for path in reads:
        for place, letter in enumerate(path):
            if letter == "." or path.startswith("[]", place):
                found.add(path[:place])
    return frozenset(found)


def _leaves(value: object, path: str) -> Iterator[tuple[str, type, object]]:
    """The values that are neither lists nor objects: place, type (1 and true are equal in Python) and value."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, f"{path}[]")
    elif value not in _EMPTY:
        yield path, type(value), value


def _short(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= _SAMPLE_CHARS else f"{value[:_SAMPLE_CHARS]}..."
    if isinstance(value, dict | list):
        return _short(json.dumps(value, ensure_ascii=False, default=str))
    return value if value is None or isinstance(value, bool | int | float) else _short(str(value))
