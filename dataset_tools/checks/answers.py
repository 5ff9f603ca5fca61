"""Checks of what is odd among the answers of a file, whatever it holds: too short, cut off, in another form."""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Iterator
from typing import Any

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.scan import CURLY, Scan
from dataset_tools.similarity import common_affixes

MIN_ROWS = 30  # of fewer rows nothing can be called usual
_SHORT = 24  # characters; up to here an answer may be suspiciously short
_LONG = 40  # from here on it may be cut off
_SIZES = 2048
_SHORT_BY = 5  # times shorter than nine tenths of the answers
_ALIKE = 4  # times: answers of which a half is longer than that are of many kinds, and may be short as well
_RARE = 0.05
_VERY_RARE = 0.01
_NOTES = 1_000
_SHOWN = 30
_CLOSED = frozenset(".!?:;)]}>\"'`*\u2026\u201d\u2019\u00bb\u3002\uff01\uff1f\u0964")
_OPEN_WORD = re.compile(r"[(\[{]\Z|\b(?:the|a|an|and|or|because|which|of|than|my|your|our|their|its)\Z")
_FIELD = re.compile(r"(?<![\w{}$\\%^_'\"`])\{\{? ?[a-z][a-z\d]{2,20}(?:_[a-z\d]{1,20}){0,3} ?\}\}?(?![\w}])")
_CODE = re.compile(r"```|[;=]|\bf\"|\breturn\b")
_SEPARATOR = re.compile(r"(?:(?<![#=>|*-])[#=>|*-]{2,}+|[\u2192>|])\s*+\Z")


class Rare:
    """The places of rows with a mark that is told only where it is rare; it forgets them where it is common."""

    def __init__(self, most: float = _RARE) -> None:
        self._most = most
        self._lines, self._records = array("Q"), array("Q")
        self._notes: list[str] = []
        self.common = False

    def add(self, view: ExampleView, note: str = "") -> None:
        """Note a row, and what is to be said of it (of the first thousand)."""
        if not self.common:
            self._add(view.line, view.record, note=note)

    def absorb(self, other: Rare, *, lines: int, records: int) -> None:
        """Take the places of a later part of the file, whose lines and records were counted from its start.

        They are taken one by one, as if they were seen here. Only a part that forgot its places makes a difference:
        the mark is then common in the whole, where one pass may find it frequent in that part alone, and rare.
        """
        if self.common or other.common:
            self._forget()
            return
        notes = itertools.chain(other._notes, itertools.repeat(""))
        for line, record, note in zip(other._lines, other._records, notes, strict=False):
            if not self.common:
                self._add(line + lines, record + records, note=note)

    def _add(self, line: int, record: int, *, note: str) -> None:
        self._lines.append(line)
        self._records.append(record)
        if len(self._notes) < _NOTES:
            self._notes.append(note)
        if len(self._lines) > 1_000 and len(self._lines) > 4 * self._most * record:
            self._forget()

    def _forget(self) -> None:
        self.common = True
        self._lines, self._records, self._notes = array("Q"), array("Q"), []

    def hits(self, message: str, *, of: int) -> Iterator[Hit]:
        """A hit at each place (``{}`` in the message is its note), where there are few among so many rows."""
        if self.common or of < MIN_ROWS or len(self._lines) > self._most * of:
            return
        for index, (line, record) in enumerate(zip(self._lines, self._records, strict=True)):
            note = self._notes[index] if index < _NOTES else "..."
            yield Hit(message.format(note), line, record)


class Answers:
    """What the answers of a file look like: their sizes, how they end, and the places of those that are not usual."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rows = self.long = self.dotted = self.undotted = self.padded = 0
        self.sizes = [0] * (_SIZES + 1)
        self.short = [Rare() for _ in range(_SHORT + 1)]  # by size
        self.cut, self.open, self.unclosed, self.fields = Rare(), Rare(_VERY_RARE), Rare(), Rare()
        self._scan = setting.share(Scan)

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        size = len(answer)
        if not size:  # a call of a tool
            return
        self.rows += 1
        self.sizes[size if size < _SIZES else _SIZES] += 1
        last = answer[-1]
        flags = self._scan.look(view)
        if size >= _LONG:
            self.long += 1
            if "```" in self._scan.marks and answer.count("```") % 2:
                self.unclosed.add(view)
            elif last not in _CLOSED:
                self._see_open(view, answer)
        elif last == ".":
            self.dotted += 1
        else:
            self.undotted += 1
        if size <= _SHORT:
            self.short[size].add(view, answer)
        if last.isspace() or answer[0].isspace():
            self.padded += 1
        if flags & CURLY:
            self._see_fields(view)

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        counts = (self.rows, self.long, self.dotted, self.undotted, self.padded)
        return counts, self.sizes, self._rares()

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        counts, sizes, rares = packed
        rows, long, dotted, undotted, padded = counts
        self.rows += rows
        self.long += long
        self.dotted += dotted
        self.undotted += undotted
        self.padded += padded
        self.sizes = [one + other for one, other in zip(self.sizes, sizes, strict=True)]
        for rare, other in zip(self._rares(), rares, strict=True):
            rare.absorb(other, lines=lines, records=records)

    def _rares(self) -> list[Rare]:
        return [*self.short, self.cut, self.open, self.unclosed, self.fields]

    def size_at(self, share: float) -> int:
        """The size that this share of the answers does not exceed (2,048 for all beyond)."""
        seen = 0
        for size, count in enumerate(self.sizes):
            seen += count
            if seen >= share * self.rows:
                return size
        return 0

    def _see_open(self, view: ExampleView, answer: str) -> None:
        end = answer[-_LONG:].rstrip()
        if _OPEN_WORD.search(end):
            self.cut.add(view, end[-_SHOWN:])
        elif end[-1:].isalpha() or end[-1:] in ",-\u2013":
            self.open.add(view, end[-_SHOWN:])

    def _see_fields(self, view: ExampleView) -> None:
        for content in view.contents:
            found = _FIELD.search(content)
            if found and not _CODE.search(content):
                self.fields.add(view, found.group())
                return


def _short(answers: Answers) -> Iterator[Hit]:
    usual = answers.size_at(0.1)
    if usual < _SHORT or answers.rows < MIN_ROWS or _ALIKE * usual < answers.size_at(0.5):
        return
    limit = min(usual // _SHORT_BY, _SHORT + 1)
    if sum(answers.sizes[:limit]) <= _RARE * answers.rows:
        message = f"the answer is {{!r}}, where nine in ten have {usual} characters or more"
        found = [hit for rare in answers.short[:limit] for hit in rare.hits(message, of=answers.rows)]
        yield from sorted(found, key=lambda hit: hit.record or 0)


def _cut_off(answers: Answers) -> Iterator[Hit]:
    yield from answers.cut.hits("the answer ends {!r}", of=answers.long)
    yield from answers.unclosed.hits("the answer does not close a code fence", of=answers.long)
    yield from answers.open.hits("the answer ends {!r}, where nearly all end with a stop", of=answers.long)


def _unfilled_fields(answers: Answers) -> Iterator[Hit]:
    yield from answers.fields.hits("the text has the field {}", of=answers.rows)


def _mixed_form(answers: Answers) -> Iterator[Hit]:
    short = answers.dotted + answers.undotted
    fewer = min(answers.dotted, answers.undotted)
    if short >= MIN_ROWS and _VERY_RARE * short < fewer and answers.setting.task.kind in ("short-answer", "numeric"):
        with_, without = answers.dotted, answers.undotted
        yield Hit(f"{with_} short answers end with a full stop and {without} do not")
    if 0 < answers.padded < answers.rows and answers.rows >= MIN_ROWS:
        yield Hit(f"{answers.padded} of {answers.rows} answers begin or end with a blank, the others do not")


def _affixes(answers: Answers) -> Iterator[Hit]:
    views = answers.setting.views
    if len(views) < MIN_ROWS or answers.setting.task.kind in ("classification", "json"):
        return
    prefix, suffix = common_affixes([view.completion for view in views])
    if len(prefix.strip()) > 3 and prefix.lstrip()[0] not in "{[<`":
        yield Hit(f"nine in ten answers begin {prefix[:60]!r}: words that are always the same need no model")
    if len(suffix.strip()) > 3:
        yield Hit(
            f"nine in ten answers end {suffix[-60:]!r}: a stop mark of its own is not needed with a chat template"
        )
    _, ending = common_affixes([view.contents[-2] for view in views])
    separator = _SEPARATOR.search(ending)
    if separator:
        yield Hit(f"nine in ten prompts end with the separator {separator.group()!r}; a chat template has its own")


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="short-answer",
        severity="warning",
        title="a far shorter answer than the others",
        why="Where nearly all answers are sentences, a single word is mostly an answer that went missing.",
        family="text",
        observer=Answers,
        run=_short,
    ),
    DatasetCheck(
        id="cut-off-answer",
        severity="warning",
        title="the answer breaks off",
        why="The model learns to stop in the middle of a sentence, or never to close what it opens.",
        family="text",
        observer=Answers,
        run=_cut_off,
    ),
    DatasetCheck(
        id="unfilled-field",
        severity="warning",
        title="a field that was not filled in",
        why="A template was written out before its fields had values, and the model learns to write their names.",
        family="text",
        observer=Answers,
        run=_unfilled_fields,
        fix=Fix(what="drop the row", drop=True),
    ),
    DatasetCheck(
        id="mixed-form",
        severity="info",
        title="answers of the same kind in two forms",
        why="Which form a new answer gets is left to chance, and a comparison by letter counts one as wrong.",
        family="text",
        observer=Answers,
        run=_mixed_form,
    ),
    DatasetCheck(
        id="common-affix",
        severity="info",
        title="beginnings or endings that all rows share",
        why="Separators and stop marks belong to plain completion (OpenAI's data preparation tool asked for them).",
        family="text",
        observer=Answers,
        run=_affixes,
    ),
)
