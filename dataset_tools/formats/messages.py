"""Rows with a conversation: ``{"messages": [{"role": ..., "content": ...}, ...]}``, the chat form of OpenAI and TRL."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dataset_tools.example import Example
from dataset_tools.formats.base import Format, Parts, Value, refuse_thumb_down, type_name
from dataset_tools.formats.chat import SYSTEM_KEYS, chat_message, chat_reads, list_turns, system_turn
from dataset_tools.formats.tools import read_tools

__all__ = ["NAME", "Messages", "type_name"]

NAME = "messages"
# Keys that change what a row says, or that a check of rows speaks about: with one of them, a row is not plain.
NOT_PLAIN = frozenset(
    {
        *SYSTEM_KEYS,
        "tools",
        "functions",
        "chat_template",
        "chat_template_kwargs",
        "prompt",
        "completion",
        "chosen",
        "rejected",
        "rejected_response",
        "preferred_output",
        "non_preferred_output",
        "label",
        "kto_tag",
    }
)
_isspace = str.isspace


@dataclass(frozen=True, slots=True)
class Messages(Format):
    """A list of turns in ``field``, with tools. Content given as a list of text parts is joined to one text."""

    field: str = "messages"
    name: ClassVar[str] = NAME

    def reads(self, value: Value) -> Collection[str]:
        """The paths that reading makes use of."""
        return chat_reads(self.field) | {*SYSTEM_KEYS, "tools", "functions", "group"}

    def matches(self, value: Value) -> bool:
        """Whether the row has the field; if it is not called ``messages``, its first turn must have a role."""
        if self.field == "messages" or self.field not in value:
            return self.field in value
        turns = value[self.field]
        return not isinstance(turns, list) or not turns or (isinstance(turns[0], dict) and "role" in turns[0])

    def parts(self, value: Value) -> Parts:
        """The turns as they stand in the list, a system message beside them first.

        Raises:
            ShapeError: The field is missing, no list, or empty, or one of its members is no object.
        """
        turns = list_turns(value, self.field)
        if len(value) == 1:
            return Parts(turns)
        return Parts([*system_turn(value), *turns], read_tools(value))

    def sound(self, value: Value) -> Sequence[str] | None:
        """The texts of a plain row."""
        if len(value) != 1 and not NOT_PLAIN.isdisjoint(value):
            return None
        messages = value.get(self.field)
        if type(messages) is not list:
            return None
        contents = []
        rest = iter(messages)
        try:  # written out by hand, as every row of a file comes through here; `str.isspace` refuses what is no text
            if len(messages) % 2:
                message = next(rest)
                content = message["content"]
                if message["role"] != "system" or len(message) != 2 or not content or _isspace(content):
                    return None
                contents.append(content)
            for message in rest:
                content = message["content"]
                if message["role"] != "user" or len(message) != 2 or not content or _isspace(content):
                    return None
                contents.append(content)
                message = next(rest)
                content = message["content"]
                if message["role"] != "assistant" or len(message) != 2 or not content or _isspace(content):
                    return None
                contents.append(content)
        except (KeyError, TypeError):
            return None
        return contents if len(contents) > 1 else None

    def from_example(self, example: Example) -> dict[str, object]:
        """All messages of the example and its tools.

        Raises:
            ValueError: The answer was marked as not wanted.
        """
        refuse_thumb_down(example)
        row: dict[str, object] = {self.field: [chat_message(message) for message in example.messages]}
        return with_extras(row, example)


def with_extras(row: dict[str, object], example: Example) -> dict[str, object]:
    """The row with the tools and the group of the example, where it has any."""
    if example.tools is not None:
        row["tools"] = json.loads(example.tools)
    if example.group is not None:
        row["group"] = example.group
    return row
