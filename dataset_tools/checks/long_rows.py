"""Rows that are far longer than the others, found without any model. What a model cuts off is told by `tokens`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting

MIN_ROWS = 30  # of fewer rows none can be called far longer
LONG = 4_000  # characters, about 1,000 tokens: trl's default of the length that is trained; what is shorter fits
TIMES = 4  # longer than nineteen of twenty rows
RARE = 0.02
_SIZES = 512
_STEPS = 16  # a step of sizes is a sixteenth of a doubling


class RowSizes:
    """How long rows are, in steps of 3 to 6 percent, and the places of the long ones; these are forgotten if common."""

    def __init__(self, setting: Setting) -> None:
        self._counts = [0] * _SIZES
        self._setting = setting
        self._records, self._chars = array("Q"), array("Q")
        self.rows = 0
        self.common = False

    def see(self, view: ExampleView) -> None:
        """Note the row."""
        chars = 0
        for content in view.contents:
            chars += len(content)
        self.rows += 1
        self._counts[_step(chars)] += 1
        if chars > LONG and not self.common:
            self._records.append(view.record)
            self._chars.append(chars)
            if len(self._records) > 1_000 and len(self._records) > 0.1 * self.rows:
                self.common = True
                self._records, self._chars = array("Q"), array("Q")

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self.rows, self.common, self._counts, self._records, self._chars

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose records were counted from its start."""
        rows, common, counts, numbers, chars = packed
        self.rows += rows
        self._counts = [one + other for one, other in zip(self._counts, counts, strict=True)]
        self.common = self.common or common
        self._records.extend(array("Q", [record + records for record in numbers]))
        self._chars.extend(chars)

    def far_longer(self) -> dict[int, int]:
        """The characters of each row that is far longer, by its record."""
        usual = self.usual()
        found = {
            record: chars for record, chars in zip(self._records, self._chars, strict=True) if chars > TIMES * usual
        }
        rare = self.rows >= MIN_ROWS and not self.common and len(found) <= max(RARE * self.rows, 3)
        return found if rare else {}

    def lines(self, records: set[int]) -> dict[int, int]:
        """The lines of some rows, by their records."""
        return {row.record: row.line for row in self._setting.read_again(records)} if records else {}

    def usual(self) -> int:
        """The characters of the longest of nineteen in twenty rows, rounded up to the next step."""
        left = 0.95 * self.rows
        for step, count in enumerate(self._counts):
            left -= count
            if left <= 0:
                bits, part = divmod(step, _STEPS)
                return ((_STEPS + part + 1) << bits) // _STEPS
        return 0


def _step(chars: int) -> int:
    """The number of the step: whole doublings, and sixteenths of the next by its straight line."""
    bits = max(chars, 1).bit_length() - 1
    return min(_SIZES - 1, _STEPS * bits + ((chars << 4 >> bits) & 15 if chars else 0))


def _long_rows(lengths: RowSizes) -> Iterator[Hit]:
    found, usual = lengths.far_longer(), lengths.usual()
    for record, line in lengths.lines(set(found)).items():
        yield Hit(f"{found[record]:,} characters, where 19 of 20 rows have {usual:,} or fewer", line, record)


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="long-row",
        severity="warning",
        family="text",
        title="a row far longer than the others",
        why="What is over the model's limit is cut off, the answer first; one such row sets the memory of a batch.",
        observer=RowSizes,
        run=_long_rows,
    ),
)
