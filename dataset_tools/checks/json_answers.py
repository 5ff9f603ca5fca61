"""Checks of answers that are to be JSON: the rows where they are not, and objects that are not like the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from dataset_tools.checks.answers import Rare
from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.texts import row_fix

_MIN_ROWS = 10
_MOSTLY = 0.8  # of the answers are JSON: then the others are meant to be
_USUAL = 0.95
_MOST_SHAPES = 10_000
_PLACES = 1_000  # kept for each shape
_FENCE = re.compile(r"\s{0,8}```(?:json|JSON)?[ \t]{0,8}\r?\n(.+?)\r?\n?```\s{0,8}", re.DOTALL)
_TYPES = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
Shape = tuple[tuple[str, str], ...]


class JsonAnswers:
    """Which answers are JSON, which stand in a code fence, which are neither, and what keys and types objects have."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.valid = self.in_fence = self.rows = 0
        self.broken, self.fenced, self.bare = (Rare(1 - _MOSTLY) for _ in range(3))
        self.shapes: dict[Shape, list[tuple[int, int]]] = {}
        self.counts: Counter[Shape] = Counter()

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        start = answer[:1]
        if not start:  # a call of a tool
            return
        self.rows += 1
        if start != "{" and start != "[" and start != "`" and not start.isspace():
            self.broken.add(view, "is no JSON")
            return
        value = _parsed(answer)
        if isinstance(value, dict | list):
            self.valid += 1
            self.bare.add(view)
            if isinstance(value, dict) and len(self.shapes) < _MOST_SHAPES:
                self._see_shape(view, value)
        elif unfenced(answer) != answer:
            self.in_fence += 1
            self.fenced.add(view)
        else:
            self.broken.add(view, "is no valid JSON" if answer.lstrip()[:1] in ("{", "[") else "is no JSON")

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        sizes = (self.valid, self.in_fence, self.rows)
        return sizes, (self.broken, self.fenced, self.bare), self.shapes, self.counts

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        (valid, in_fence, rows), rares, shapes, counts = packed
        self.valid += valid
        self.in_fence += in_fence
        self.rows += rows
        for rare, other in zip((self.broken, self.fenced, self.bare), rares, strict=True):
            rare.absorb(other, lines=lines, records=records)
        for shape, its_places in shapes.items():
            if len(self.shapes) == _MOST_SHAPES:
                return
            self.counts[shape] += counts[shape]
            places = self.shapes.setdefault(shape, [])
            places += [(line + lines, record + records) for line, record in its_places[: _PLACES - len(places)]]

    def _see_shape(self, view: ExampleView, value: dict[str, Any]) -> None:
        shape = tuple(sorted((key, _TYPES.get(type(part), "null")) for key, part in value.items()))
        self.counts[shape] += 1
        places = self.shapes.setdefault(shape, [])
        if len(places) < _PLACES:
            places.append((view.line, view.record))

    @property
    def wanted(self) -> bool:
        """Whether the answers of the file are to be JSON, and nothing around it."""
        return self.rows >= _MIN_ROWS and self.valid >= _MOSTLY * self.rows

    @property
    def wanted_in_fence(self) -> bool:
        """Whether the answers of the file are to be JSON in a code fence."""
        return self.rows >= _MIN_ROWS and self.in_fence >= _MOSTLY * self.rows


def unfenced(answer: str) -> str:
    """The JSON inside a code fence that is all of the answer; any other answer as it is."""
    found = _FENCE.fullmatch(answer) if "```" in answer else None
    inside = found.group(1) if found else ""
    return inside if isinstance(_parsed(inside), dict | list) else answer


def fenced(answer: str) -> str:
    """The answer in a code fence, where it is JSON and has none; any other as it is."""
    return f"```json\n{answer.strip()}\n```" if isinstance(_parsed(answer), dict | list) else answer


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _broken(answers: JsonAnswers) -> Iterator[Hit]:
    if answers.wanted or answers.wanted_in_fence:
        yield from answers.broken.hits("the answer {}, where nearly all are", of=answers.rows)


def _fenced(answers: JsonAnswers) -> Iterator[Hit]:
    if answers.wanted:
        yield from answers.fenced.hits("the answer stands in a code fence, and the others do not", of=answers.rows)


def _bare(answers: JsonAnswers) -> Iterator[Hit]:
    if answers.wanted_in_fence:
        yield from answers.bare.hits("the answer has no code fence, and the others stand in one", of=answers.rows)


def _drift(answers: JsonAnswers) -> Iterator[Hit]:
    objects = answers.counts.total()
    if not answers.wanted or objects < _MIN_ROWS:
        return
    keys: Counter[str] = Counter()
    types: Counter[tuple[str, str]] = Counter()
    for shape, count in answers.counts.items():
        for key, kind in shape:
            keys[key] += count
            types[key, kind] += count
    found = []
    for shape in answers.counts:
        faults = [*_missing(dict(shape), keys, objects), *_other_types(dict(shape), types)]
        if faults:
            found += [Hit("; ".join(faults), line, record) for line, record in answers.shapes[shape]]
    yield from sorted(found, key=lambda hit: hit.record or 0)


def _missing(shape: dict[str, str], keys: Counter[str], objects: int) -> Iterator[str]:
    for key, count in keys.items():
        if key not in shape and count >= _USUAL * objects:
            yield f"the key {key!r} is missing, which {count} of {objects} answers have"


def _other_types(shape: dict[str, str], types: Counter[tuple[str, str]]) -> Iterator[str]:
    for key, kind in shape.items():
        kinds = Counter({other: count for (name, other), count in types.items() if name == key and other != "null"})
        if kind == "null" or kinds.total() < _MIN_ROWS:
            continue
        usual, count = kinds.most_common(1)[0]
        if kind != usual and count >= _USUAL * kinds.total():
            yield f"{key!r} is {kind}, and {usual} in {count} others"


def _check(
    id_: str, title: str, why: str, *, run: Callable[[Any], Iterator[Hit]], fix: Fix | None = None
) -> DatasetCheck:
    return DatasetCheck(
        id=id_, severity="warning", title=title, why=why, family="labels", observer=JsonAnswers, run=run, fix=fix
    )


CHECKS: tuple[Check, ...] = (
    _check(
        "answer-not-json",
        "the answer is not JSON, where the others are",
        "A program reads these answers; one broken object in the training data is enough to see more of them.",
        run=_broken,
        fix=Fix(what="drop the row", drop=True),
    ),
    _check(
        "json-in-code-fence",
        "JSON in a code fence, where the others have none",
        "The model learns to add the fence now and then, and a parser fails on it.",
        run=_fenced,
        fix=Fix(what="take the fence away", row=row_fix(unfenced, answers_only=True)),
    ),
    _check(
        "json-outside-code-fence",
        "JSON without a code fence, where the others have one",
        "The model learns to leave the fence out now and then, and what takes it off finds none.",
        run=_bare,
        fix=Fix(what="put it in a code fence", row=row_fix(fenced, answers_only=True)),
    ),
    _check(
        "json-drift",
        "an object that is not like the others",
        "A key that is missing now and then, or of another type, is learnt as being optional.",
        run=_drift,
    ),
)
