"""What a format is: how rows of one shape become turns of a conversation, and back. Single shapes have their files."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from dataset_tools.example import ROLES, Example, Message, ToolCall

Value = Mapping[str, object]


class _Missing:
    """The type of `MISSING`, which stands for a field that a row does not have (``None`` is JSON's null)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


class Turn(NamedTuple):
    """One turn as the row has it, nothing checked: any value, or `MISSING`.

    ``field`` is the column that holds the content, or the list that holds the turn at ``place``, and ``keys`` are the
    names of role and content in it. A turn with ``calls`` may do without content, which is then an empty text. A named
    tuple and not a dataclass: millions are made, and it is made in half the time.
    """

    role: object
    content: object
    field: str
    place: int | None = None
    calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    call_id: str | None = None
    weight: float | None = None
    keys: tuple[str, str] = ("role", "content")

    @property
    def content_at(self) -> str:
        """The place of the content in the row: ``prompt``, ``messages[0].content``, ``conversations[0].value``."""
        return self.field if self.place is None else f"{self.field}[{self.place}].{self.keys[1]}"

    @property
    def role_at(self) -> str:
        """The place of the role in the row: ``messages[0].role``, ``conversations[0].from``."""
        return self.field if self.place is None else f"{self.field}[{self.place}].{self.keys[0]}"

    @property
    def usable(self) -> bool:
        """Whether role and content are what a message needs."""
        content = self.content
        if type(content) is not str or not isinstance(self.role, str) or self.role not in ROLES:
            return False
        return bool(self.calls) or not (not content or content.isspace())

    def message(self) -> Message:
        """The message of a usable turn."""
        return Message(str(self.role), str(self.content), self.name, self.calls, self.call_id, self.weight)


class Parts(NamedTuple):
    """All that a row says: its turns, unchecked, and what belongs to the row as a whole, checked."""

    turns: list[Turn]
    tools: str | None = None
    rejected: tuple[Message, ...] = ()
    desirable: bool | None = None


class ShapeError(ValueError):
    """The row has no turns to look at. ``check`` is the id of the check that reports it."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


class Format(ABC):
    """One family of row shapes. ``name`` is stable, and is also the name of its JSON Schema."""

    name: ClassVar[str]

    @abstractmethod
    def reads(self, value: Value) -> Collection[str]:
        """The paths of this row that reading makes use of, ``messages[].role`` for one; below the last, all is used."""

    @abstractmethod
    def matches(self, value: Value) -> bool:
        """Whether the row has the fields that tell this format from the others; they may hold anything."""

    @abstractmethod
    def parts(self, value: Value) -> Parts:
        """What a row that matches, or should, says.

        Raises:
            ShapeError: The field that holds the turns is missing, of the wrong type, or empty; or what belongs to
                the row as a whole (tools, a rejected answer, a thumb) cannot be used.
        """

    def turns(self, value: Value) -> list[Turn]:
        """The turns of a row that matches, or should; nothing about them is checked.

        Raises:
            ShapeError: As `parts` does.
        """
        return self.parts(value).turns

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a row that is wholly plain and good, else None: then `to_example` or the checks have a look.

        Plain: a system message or none, then user and assistant in turn, an answer last; all of them text that is not
        blank, and no key beside them that changes what is read or that a check of the row speaks about. It is run on
        every row of files of any size, so it makes no objects but the list.
        """
        return None

    @abstractmethod
    def from_example(self, example: Example) -> dict[str, object]:
        """The row that gives the example back, as far as the format can hold it.

        Raises:
            ValueError: This format cannot hold the example at all (a conversation in a prompt/completion row).
        """

    def mapped(self) -> list[str]:
        """How columns with other names than the usual were read (``question -> prompt``); else empty."""
        return []


def to_example(form: Format, value: Value, *, line: int = 0, record: int = 0) -> Example | None:
    """The example in a row, or None where a check of fields or roles has an error to report.

    A key ``group`` (a text or a number) names what the row belongs to.
    """
    try:
        parts = form.parts(value)
    except ShapeError:
        return None
    turns = parts.turns
    if not all(turn.usable for turn in turns) or conversation_faults([str(turn.role) for turn in turns]):
        return None
    messages = tuple([turn.message() for turn in turns])
    return Example(messages, line, record, group_of(value), parts.tools, parts.rejected, parts.desirable)


def group_of(value: Value) -> str | None:
    """What the row belongs to, by its key ``group``."""
    group = value.get("group")
    return str(group) if isinstance(group, str | int) and group != "" else None


def plain_messages(contents: Sequence[str]) -> tuple[Message, ...]:
    """The messages of what `Format.sound` gives: a system message first where their number is odd."""
    start = len(contents) % 2
    roles = ("system",)[:start] + ("user", "assistant") * (len(contents) // 2)
    return tuple([Message(role, content) for role, content in zip(roles, contents, strict=True)])


def conversation_faults(roles: Sequence[str]) -> list[str]:
    """What is wrong with the order of known roles; empty where a chat template can be expected to take them.

    A system message first or none; then user and assistant in turn; behind the assistant the results of its calls, if
    any, and behind these the assistant again; an answer last.
    """
    faults = list(_order_faults(roles))
    if "assistant" not in roles:
        faults.append("no message of the assistant")
    elif roles[-1] != "assistant":
        faults.append(f"the last message is the {roles[-1]}'s")
    return faults


def _order_faults(roles: Sequence[str]) -> Iterator[str]:
    if "system" in roles[1:]:
        yield f"a system message stands at place {roles.index('system', 1) + 1}; it can only be the first"
    first = next((role for role in roles if role != "system"), "user")
    if first != "user":
        yield f"the {first} speaks before the user"
    for place, (one, other) in enumerate(itertools.pairwise(roles), 1):
        if one == other and one not in ("system", "tool"):
            yield f"messages {place} and {place + 1} are both of the role {one}"
            return
        if other == "tool" and one not in ("assistant", "tool"):
            yield f"message {place + 1} is a tool's, and no message of the assistant stands before it"
            return
        if one == "tool" and other == "user":
            yield f"message {place + 1} is the user's, where the assistant should answer the tool"
            return


def explain(form: Format, value: Value) -> str | None:
    """Why `to_example` gives None for this row, in words; None where it does not."""
    try:
        turns = form.parts(value).turns
    except ShapeError as error:
        return str(error)
    bad = [_turn_fault(turn) for turn in turns if not turn.usable]
    return "; ".join(bad or conversation_faults([str(turn.role) for turn in turns])) or None


def _turn_fault(turn: Turn) -> str:
    if turn.role is MISSING or turn.content is MISSING:
        return f"{turn.role_at if turn.role is MISSING else turn.content_at} is missing"
    if not isinstance(turn.role, str):
        return f"{turn.role_at} is {type_name(turn.role)}, not a string"
    if turn.role not in ROLES:
        return f"{turn.role_at} is {turn.role[:40]!r}; known are {', '.join(ROLES)}"
    if turn.content is None or isinstance(turn.content, str):
        return f"{turn.content_at} is {'null' if turn.content is None else 'empty'}"
    return f"{turn.content_at} is {type_name(turn.content)}, not a string"


def type_name(value: object) -> str:
    """A JSON value's type, in words."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def refuse_thumb_down(example: Example) -> None:
    """Check that the answer is one to be learnt.

    Raises:
        ValueError: It was marked as not wanted, and a row without the mark would teach it.
    """
    if example.desirable is False:
        raise ValueError("the answer was marked as not wanted, and this format would teach it")
