"""What a check is: an id, a severity, a reason, and a small function over a row, an example or the whole dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import xxhash

from dataset_tools.checks.lengths import LongRow, find_long_rows
from dataset_tools.example import Example
from dataset_tools.formats.base import Format, ShapeError, Turn, Value
from dataset_tools.reading import Source
from dataset_tools.similarity import fold
from dataset_tools.task_type import TaskTypeGuess, detect_task_type

_ASCII_BLANKS = bytes(code for code in range(128) if chr(code).isspace())
Severity = Literal["error", "warning", "info"]
Need = Literal["tokenizer", "max_length"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a check strikes; without a line it is the whole file. ``severity`` overrides the check's own."""

    message: str
    line: int | None = None
    record: int | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class RowView:
    """A row as the row checks see it: its turns, or the reason why it has none."""

    value: Value
    turns: Sequence[Turn] = ()
    shape: ShapeError | None = None

    @classmethod
    def of(cls, value: Value, form: Format) -> RowView:
        """Look at a row through its format."""
        try:
            return cls(value, form.turns(value))
        except ShapeError as error:
            return cls(value, (), error)

    def shape_fault(self, check: str) -> list[str]:
        """What this check has to say about a row that has no turns."""
        return [str(self.shape)] if self.shape is not None and self.shape.check == check else []


@dataclass(frozen=True)
class DatasetView:
    """Everything the dataset checks may look at. ``examples`` are the rows without an error."""

    source: Source
    format: Format | None
    examples: Sequence[Example]
    tokenizer: Any = None
    max_length: int | None = None

    @cached_property
    def task(self) -> TaskTypeGuess:
        """The kind of task, guessed once."""
        return detect_task_type([example.completion for example in self.examples])

    @cached_property
    def long_rows(self) -> list[LongRow]:
        """The rows of more tokens than ``max_length``, rendered once."""
        return find_long_rows(self.examples, self.tokenizer, max_length=self.max_length or 0)

    @cached_property
    def keys(self) -> list[tuple[int, int]]:
        """For each example a key of its prompt and one of its completion, equal where the folded texts are.

        Folding is slow, so only the prompts that are equal without their blanks are folded.
        """
        loose = [_loose_key(example) for example in self.examples]
        counts = Counter(loose)
        return [
            (_hash(_turns_text(example)), _hash(fold(example.completion))) if counts[key] > 1 else (key, 0)
            for key, example in zip(loose, self.examples, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule. What reading reports (a broken line, a byte order mark) needs no more than this.

    Attributes:
        id: Stable name, for reports and programs.
        severity: An error keeps the row from training, a warning does not, an info is only told.
        title: What was found, in a few words.
        why: Why it matters, in one sentence, with its source where there is one.
    """

    id: str
    severity: Severity
    title: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck(Check):
    """A check of a row as it stands in the file, run on the rows that do not convert.

    With ``on_good_rows`` it is run on all rows, and may look at no more than ``value``.
    """

    run: Callable[[RowView], Iterable[str]]
    on_good_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleCheck(Check):
    """A check of each example on its own."""

    run: Callable[[Example], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck(Check):
    """A check that must see all rows, or that needs a tokenizer or a length limit; without these it is skipped."""

    run: Callable[[DatasetView], Iterable[Hit]]
    needs: tuple[Need, ...] = ()


def hit_at(example: Example, message: str, *, severity: Severity | None = None) -> Hit:
    """A hit at the example's place in the file."""
    return Hit(message, example.line, example.record, severity)


def _turns_text(example: Example) -> str:
    return "\x00".join(fold(message.content) for message in example.prompt)


def _loose_key(example: Example) -> int:
    """The same for prompts that are the same when folded, and for few others."""
    text = "\x00".join(message.content for message in example.prompt)
    raw = text.encode() if text.isascii() else fold(text).encode("utf-8", errors="surrogatepass")
    return xxhash.xxh3_128_intdigest(raw.lower().translate(None, _ASCII_BLANKS))


def _hash(text: str) -> int:
    return xxhash.xxh3_128_intdigest(text.encode("utf-8", errors="surrogatepass"))
