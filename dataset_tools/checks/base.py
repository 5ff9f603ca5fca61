"""What a check is: an id, a family, a severity, a reason, and a small function over a row, an example or them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from dataset_tools.checks.fix import Fix
from dataset_tools.example import Example
from dataset_tools.formats.base import Format, ShapeError, Turn, Value, plain_messages
from dataset_tools.task_type import TaskTypeGuess, detect_task_type

Severity = Literal["error", "warning", "info"]
Family = Literal[
    "structure", "columns", "duplicates", "tokens", "text", "labels", "privacy", "tools", "leaks", "preference"
]
FAMILIES: tuple[Family, ...] = (
    "structure",
    "columns",
    "duplicates",
    "tokens",
    "text",
    "labels",
    "privacy",
    "tools",
    "leaks",
    "preference",
)
Need = Literal["tokenizer", "max_length", "test_rows"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a check strikes; without a line it is the whole file. ``severity`` overrides the check's own.

    The check's fix has nothing to do with a row that is not ``fixable``, like one of two answers of which none is known
    to be the wrong one.
    """

    message: str
    line: int | None = None
    record: int | None = None
    severity: Severity | None = None
    fixable: bool = True


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


class ExampleView:
    """A good row as the example checks see it: its texts at once, the example itself only where a check asks.

    ``contents`` are the texts of its messages in order (a system message, if any, first; the wanted answer last).
    """

    __slots__ = ("_example", "_text", "contents", "group", "line", "record")

    def __init__(
        self,
        contents: Sequence[str],
        *,
        line: int,
        record: int,
        group: str | None = None,
        example: Example | None = None,
    ) -> None:
        self.contents, self.line, self.record, self.group = contents, line, record, group
        self._example = example
        self._text: str | None = None

    @classmethod
    def of(cls, example: Example) -> ExampleView:
        """Look at an example."""
        contents = [message.content for message in example.messages]
        return cls(contents, line=example.line, record=example.record, group=example.group, example=example)

    @property
    def completion(self) -> str:
        """The wanted answer."""
        return self.contents[-1]

    @property
    def text(self) -> str:
        """All texts of the row, with a NUL between two messages."""
        if self._text is None:
            self._text = "\x00".join(self.contents)
        return self._text

    @property
    def example(self) -> Example:
        """The example."""
        if self._example is None:
            self._example = plain_example(self.contents, line=self.line, record=self.record, group=self.group)
        return self._example

    def move(self, *, lines: int, records: int) -> None:
        """Set the place of a row whose lines and records were counted from the start of a part of the file."""
        self.line += lines
        self.record += records
        if self._example is not None:
            self._example = replace(self._example, line=self.line, record=self.record)

    def hit(self, message: str, *, severity: Severity | None = None) -> Hit:
        """A hit at the row's place."""
        return Hit(message, self.line, self.record, severity)


def plain_example(contents: Sequence[str], *, line: int, record: int, group: str | None = None) -> Example:
    """The example of texts whose roles are plain (see `plain_messages`)."""
    return Example(plain_messages(contents), line=line, record=record, group=group)


@dataclass
class Setting:
    """What the checks of a whole file may look at beside the rows that pass by.

    ``views`` holds up to 5,000 rows drawn at random from all, and is complete once they have passed.
    ``read_again`` gives the examples of some records in a second pass, in their order. ``test_rows`` are the rows
    that must not be among these; ``fields`` are the header of a table, or the keys of the first row. A check may keep
    some of the places that it finds, but all of them where ``every_place`` is wanted, as it is by a fix.
    """

    tokenizer: Any = None
    max_length: int | None = None
    test_rows: Sequence[Example] | None = None
    format: Format | None = None
    fields: tuple[str, ...] = ()
    every_place: bool = False
    views: list[ExampleView] = field(default_factory=list)
    rows: int = 0
    usable: int = 0
    read_again: Callable[[set[int]], Iterator[Example]] = lambda records: iter(())
    _shared: dict[type, Any] = field(default_factory=dict)

    def share(self, kind: type[T]) -> T:
        """The one object of a class that several checks use together; it is made with the setting."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)  # type: ignore[call-arg]
        made: T = self._shared[kind]
        return made

    @cached_property
    def task(self) -> TaskTypeGuess:
        """The kind of task, guessed once from the sample; ask only when the rows have passed."""
        return detect_task_type([view.completion for view in self.views])

    @cached_property
    def sample(self) -> list[Example]:
        """The examples of the rows that were drawn; ask only when the rows have passed."""
        return [view.example for view in self.views]


class Observer(Protocol):
    """What sees each good row once, for the checks of the whole file; several checks can share one.

    It keeps numbers and hashes, never rows: a file may have millions. One that also has `Mergeable`'s methods lets
    large files be looked at in several processes.
    """

    def __init__(self, setting: Setting) -> None:
        """Begin."""

    def see(self, view: ExampleView, /) -> None:
        """Look at a row."""


@runtime_checkable
class RowObserver(Protocol):
    """An observer that also sees each row that is an object as it stands in the file, whether it is good or not.

    All rows of files of any size come through here before they are looked at in any other way: a microsecond a row is
    much.
    """

    def see_row(self, line: int, record: int, value: Value, /) -> None:
        """Look at a row of the file."""


@runtime_checkable
class Mergeable(Protocol):
    """An observer that can be told what another one saw, in another process, of a later part of the file."""

    def pack(self) -> Any:
        """What it saw, to be pickled."""

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what another one saw; its lines come ``lines`` later, and its records ``records``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule. What reading reports (a broken line, a byte order mark) needs no more than this.

    Attributes:
        id: Stable name, for reports and programs.
        severity: An error keeps the row from training, a warning does not, an info is only told.
        title: What was found, in a few words.
        why: Why it matters, in one sentence, with its source where there is one.
        family: What it belongs to; whole families can be chosen.
        fix: How it can be put right by a program, where it can.
    """

    id: str
    severity: Severity
    title: str
    why: str
    family: Family = "structure"
    fix: Fix | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCheck(Check):
    """A check of a row as it stands in the file, run on the rows that are not plain or do not convert.

    With ``on_good_rows`` it is also run on rows that convert, and may look at no more than ``value``; the format's
    ``sound`` must not call a row plain that such a check has something to say about.
    """

    run: Callable[[RowView], Iterable[str]]
    on_good_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleCheck(Check):
    """A check of each good row on its own. It must be quick on a row without a fault: look for a mark first.

    ``start`` gives the function for a setting, for checks that need a tokenizer or a limit; without what it ``needs``
    the check is skipped, and the report says so.
    """

    run: Callable[[ExampleView], Iterable[str]] = lambda view: ()
    start: Callable[[Setting], Callable[[ExampleView], Iterable[str]]] | None = None
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck(Check):
    """A check of the whole file, run once all rows have passed.

    ``run`` gets the observer of the class that is named, or the setting where none is. Without what it ``needs`` the
    check is skipped, and the report says so.
    """

    run: Callable[[Any], Iterable[Hit]]
    observer: type[Observer] | None = None
    needs: tuple[Need, ...] = ()


def hit_at(example: Example, message: str, *, severity: Severity | None = None) -> Hit:
    """A hit at the example's place in the file."""
    return Hit(message, example.line, example.record, severity)
