"""Rows with a conversation: ``{"messages": [{"role": ..., "content": ...}, ...]}``, the chat form of OpenAI and TRL."""

from __future__ import annotations

from dataclasses import dataclass

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, ShapeError, Turn, Value

NAME = "messages"


@dataclass(frozen=True, slots=True)
class Messages:
    """A list of turns. Content given as a list of text parts is joined to one text."""

    name: str = NAME

    def matches(self, value: Value) -> bool:
        """Whether the row has a field ``messages``."""
        return "messages" in value

    def turns(self, value: Value) -> list[Turn]:
        """The turns as they stand in the list.

        Raises:
            ShapeError: ``messages`` is missing, no list, or empty, or one of its members is no object.
        """
        messages = value.get("messages", MISSING)
        if messages is MISSING:
            raise ShapeError("missing-field", "messages is missing")
        if not isinstance(messages, list):
            raise ShapeError("wrong-type", f"messages is {type_name(messages)}, not an array")
        if not messages:
            raise ShapeError("empty-field", "messages is empty")
        turns = []
        for index, message in enumerate(messages):
            if not isinstance(message, dict):
                raise ShapeError("wrong-type", f"messages[{index}] is {type_name(message)}, not an object")
            content = message.get("content", MISSING)
            if type(content) is list:
                content = _joined(content)
            turns.append(Turn(message.get("role", MISSING), content, "messages", index))
        return turns

    def from_example(self, example: Example) -> dict[str, object]:
        """All messages of the example."""
        return {"messages": [message.to_dict() for message in example.messages]}


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


def _joined(parts: list[object]) -> object:
    """The text of ``[{"type": "text", "text": ...}, ...]``; any other list is given back as it is."""
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            return parts
        texts.append(text)
    return "".join(texts) if texts else parts
