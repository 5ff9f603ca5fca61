"""What a format is: how rows of one shape become turns of a conversation, and back. Single shapes have their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from dataset_tools.example import Example, Message

Value = Mapping[str, object]


class _Missing:
    """The type of `MISSING`, which stands for a field that a row does not have (``None`` is JSON's null)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


class Turn(NamedTuple):
    """One turn as the row has it, nothing checked: any value, or `MISSING`.

    ``field`` is the column that holds the content, or the list that holds the turn at ``place``. A named tuple and
    not a dataclass: millions are made, and it is made in half the time.
    """

    role: object
    content: object
    field: str
    place: int | None = None

    @property
    def content_at(self) -> str:
        """The place of the content in the row: ``prompt``, ``messages[0].content``."""
        return self.field if self.place is None else f"{self.field}[{self.place}].content"

    @property
    def role_at(self) -> str:
        """The place of the role in the row: ``messages[0].role``."""
        return f"{self.field}[{self.place}].role"


class ShapeError(ValueError):
    """The row has no turns to look at. ``check`` is the id of the check that reports it."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class Format(Protocol):
    """One family of row shapes."""

    @property
    def name(self) -> str:
        """The stable name, which is also the name of its JSON Schema."""

    def matches(self, value: Value) -> bool:
        """Whether the row has the fields that tell this format from the others; they may hold anything."""

    def turns(self, value: Value) -> list[Turn]:
        """The turns of a row that matches, or should.

        Raises:
            ShapeError: The field that holds the turns is missing, of the wrong type, or empty.
        """

    def from_example(self, example: Example) -> dict[str, object]:
        """The row that gives the example back.

        Raises:
            ValueError: This format cannot hold the example (a conversation in a prompt/completion row).
        """


def to_example(form: Format, value: Value, *, line: int = 0, record: int = 0) -> Example | None:
    """The example in a row, or None where a check of fields or roles has an error to report.

    A key ``group`` (a text or a number) names what the row belongs to.
    """
    try:
        turns = form.turns(value)
    except ShapeError:
        return None
    messages = _messages(turns)
    if messages is None:
        return None
    group = value.get("group")
    named = str(group) if isinstance(group, str | int) and group != "" else None
    return Example(messages, line=line, record=record, group=named)


def _messages(turns: Sequence[Turn]) -> tuple[Message, ...] | None:
    """The turns as messages: a system message first or none, then user and assistant in turn, an answer last."""
    messages: list[Message] = []
    wanted = "user"
    for turn in turns:
        role, content = turn.role, turn.content
        if type(content) is not str or not content or content.isspace():
            return None
        if role == "system" and not messages:
            messages.append(Message("system", content))
        elif role == wanted:
            messages.append(Message(wanted, content))
            wanted = "user" if wanted == "assistant" else "assistant"
        else:
            return None
    return tuple(messages) if wanted == "user" and len(messages) > 1 else None
