"""Thirteen words in a row of what the test rows ask, anywhere in a row: contamination of a benchmark.

The measure of Brown et al. 2020 (arxiv.org/abs/2005.14165, appendix C): two texts overlap where they share 13 words in
a row, case and punctuation left out, and stretches that come in more than ten rows are taken for set phrases. The
answers of the test rows are left out, as JSON and set replies have long stretches in common. Rows whose prompt is that
of a test row are told by `leaks`.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.leaked_rows import Leaks
from dataset_tools.example import Example

WORDS = 13  # in a row
SET_PHRASE = 10  # rows that have a stretch, and no more: above that it is an instruction, a licence, a proverb
_MANY = 0.05  # of the rows: then it is how such texts are written (forms, verses), and told as an info
_MOST_OF_ROW = 50  # stretches kept of one row
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A row with stretches of the test set: where it stands, and the stretches by their hashes, the first ones only."""

    line: int
    record: int
    stretches: array[int]


class Passages:
    """Looks up each row's stretches among those of the test rows. It keeps the rows that have one."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.found: list[Found] = []
        self._own = setting.share(Leaks).own_part
        self._numbers: dict[str, int] = {}
        self.tests: dict[int, int] = {}  # a stretch -> the place of a test row that has it
        self._index(setting.test_rows or ())

    def see(self, view: ExampleView) -> None:
        """Note the row where it has a stretch."""
        kept = array("q")
        for text in view.contents:
            kept.extend(stretch for stretch in self._stretches(text) if stretch in self.tests)
        if kept:
            self.found.append(Found(view.line, view.record, array("q", dict.fromkeys(kept[:_MOST_OF_ROW]))))

    def pack(self) -> list[Found]:
        """What it found."""
        return self.found

    def absorb(self, packed: list[Found], *, lines: int, records: int) -> None:
        """Take what was found in a later part of the file, whose lines and records were counted from its start."""
        self.found += [replace(row, line=row.line + lines, record=row.record + records) for row in packed]

    def _index(self, rows: Sequence[Example]) -> None:
        counts: Counter[int] = Counter()
        for place, row in enumerate(rows):
            texts = [message.content for message in row.messages if message.role == "user"]
            for text in texts:
                for word in _words(self._own(text)):
                    self._numbers.setdefault(word, len(self._numbers))
            stretches = {stretch for text in texts for stretch in self._stretches(text)}
            counts.update(stretches)
            for stretch in stretches:
                self.tests.setdefault(stretch, place)
        for stretch, count in counts.items():
            if count > SET_PHRASE:
                del self.tests[stretch]

    def _stretches(self, text: str) -> Iterator[int]:
        """The hashes of all 13 words in a row; a word that no test row has breaks the row."""
        if len(text) < 2 * WORDS - 1:
            return
        numbers = [self._numbers.get(word, -1) for word in _words(self._own(text))]
        start = 0
        for place, number in enumerate(numbers):
            if number < 0:
                start = place + 1
            elif place - start >= WORDS - 1:
                yield hash(tuple(numbers[place - WORDS + 1 : place + 1]))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _passages(passages: Passages) -> Iterator[Hit]:
    counts = Counter(stretch for row in passages.found for stretch in row.stretches)
    told = {leak.record for leak in passages.setting.share(Leaks).found}
    tests = passages.setting.test_rows or ()
    hits = []
    for row in passages.found:
        rare = next((stretch for stretch in row.stretches if counts[stretch] <= SET_PHRASE), None)
        if rare is not None and row.record not in told:
            test = tests[passages.tests[rare]]
            place = f"line {test.line} of the test rows" if test.line else "a test row"
            hits.append(Hit(f"{WORDS} words in a row or more that stand in {place}", row.line, row.record))
    of_the_task = len(hits) > _MANY * passages.setting.usable
    yield from (replace(hit, severity="info") for hit in hits) if of_the_task else hits


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="leak-passage",
        severity="warning",
        family="leaks",
        title="words of the test set in a row",
        why="A model that has read a benchmark's text answers from memory (Brown et al. 2020, appendix C).",
        observer=Passages,
        run=_passages,
        needs=("test_rows",),
        fix=Fix(what="drop the row; it stays in the test set", drop=True),
    ),
)
