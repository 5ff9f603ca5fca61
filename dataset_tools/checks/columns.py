"""Checks of the columns of a file as its rows have them: one key, one type. The values are not looked at."""

from __future__ import annotations

import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.column_fixes import TYPES, as_types
from dataset_tools.checks.fix import Fix, RowFix
from dataset_tools.formats.base import Value

_MOST_SHAPES = 2_000
_PLACES = 1_000  # kept for each shape, where not all are wanted
_NULL = type(None)
_CONTENTS = "messages[].content"


@dataclass(slots=True)
class _Rows:
    """How many rows have a shape, and the places of the first of them."""

    count: int = 0
    lines: array[int] = field(default_factory=lambda: array("Q"))
    records: array[int] = field(default_factory=lambda: array("Q"))


class ColumnTypes:
    """The shapes of all rows, good or bad: their keys with the types of the values. No more than 2,000 are told apart.

    A shape is the keys in their order, then the types in the same order; behind these the types of the contents of its
    messages, where these are not all text.
    """

    def __init__(self, setting: Setting) -> None:
        self._shapes: dict[tuple[Any, ...], _Rows] = {}
        self._places = sys.maxsize if setting.every_place else _PLACES

    def see(self, view: ExampleView) -> None:
        """Nothing: the row was seen before."""

    def see_row(self, line: int, record: int, value: Value) -> None:
        """Note the row."""
        shape: tuple[Any, ...] = (*value, *map(type, value.values()))
        messages = value.get("messages")
        if type(messages) is list:
            try:
                for message in messages:
                    if type(message["content"]) is not str:
                        shape = (*shape, _content_types(messages))
                        break
            except (KeyError, TypeError):
                shape = (*shape, _content_types(messages))
        rows = self._shapes.get(shape)
        if rows is None:
            rows = self._new(shape)
        rows.count += 1
        if rows.count <= self._places:
            rows.lines.append(line)
            rows.records.append(record)

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self._shapes

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        for shape, others in packed.items():
            rows = self._shapes.get(shape) or self._new(shape)
            room = max(0, self._places - rows.count)
            rows.count += others.count
            rows.lines.extend(array("Q", [line + lines for line in others.lines[:room]]))
            rows.records.extend(array("Q", [record + records for record in others.records[:room]]))

    def drifts(self) -> Iterator[Hit]:
        """A hit at each row where a key has a rarer type than elsewhere; null beside another type is none."""
        mixed = self._mixed()
        if not mixed:
            return
        hits = []
        for shape, rows in self._shapes.items():
            faults = list(_faults(_types_of(shape), mixed))
            if faults:
                message = "; ".join(faults)
                hits += [Hit(message, *place) for place in zip(rows.lines, rows.records, strict=True)]
        yield from sorted(hits, key=lambda hit: hit.record or 0)

    def usual_types(self) -> dict[str, str]:
        """The type that most rows have, of each key that has several."""
        return {path: counts[0][0] for path, counts in self._mixed().items()}

    def _mixed(self) -> dict[str, list[tuple[str, int]]]:
        """The types of each path that has several, and how many rows have them, the most frequent first."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for shape, rows in self._shapes.items():
            for path, types in _types_of(shape).items():
                for name in types:
                    counts[path][name] += rows.count
        return {path: names.most_common() for path, names in counts.items() if len(names) > 1}

    def _new(self, shape: tuple[Any, ...]) -> _Rows:
        """A place for the rows of a shape; one that nobody reads where there are too many shapes."""
        rows = _Rows()
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[shape] = rows
        return rows


def _content_types(messages: Iterable[Any]) -> frozenset[type]:
    return frozenset(type(message.get("content")) for message in messages if isinstance(message, dict))


def _types_of(shape: tuple[Any, ...]) -> dict[str, list[str]]:
    """The types, in words and without null, of each key of a shape, and of the contents of its messages."""
    size = len(shape) // 2
    keys, types = shape[:size], shape[size : 2 * size]
    named = {key: _names([kind]) for key, kind in zip(keys, types, strict=True)}
    if "messages" in named:
        named[_CONTENTS] = _names(shape[-1] if len(shape) % 2 else [str])
    return named


def _names(types: Iterable[type]) -> list[str]:
    return sorted({TYPES.get(kind, kind.__name__) for kind in types if kind is not _NULL})


def _faults(types: Mapping[str, Sequence[str]], mixed: Mapping[str, Sequence[tuple[str, int]]]) -> Iterator[str]:
    """What a shape has in rarer types, by path."""
    for path, counts in mixed.items():
        usual, most = counts[0]
        for name, count in counts[1:]:
            if name in types.get(path, ()):
                yield f"{path!r} is {name} in {_rows(count)}, and {usual} in {_rows(most)}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _as_usual(setting: Setting) -> RowFix:
    """Contents of messages have fixes of their own (`fields`)."""
    usual = setting.share(ColumnTypes).usual_types()
    return as_types({path: name for path, name in usual.items() if path != _CONTENTS})


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="column-types",
        severity="warning",
        family="columns",
        title="a key with another type than in most rows",
        why="TRL and the datasets library load rows into an Arrow table, which has one type a column or fails.",
        observer=ColumnTypes,
        run=ColumnTypes.drifts,
        fix=Fix(
            what="write the value in the type that most rows have, where it stays the same",
            name="convert",
            start=_as_usual,
            otherwise=Fix(what="drop the row with the rarer type", name="drop", drop=True),
        ),
    ),
)
