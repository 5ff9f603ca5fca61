"""Examples as JSON objects and back, whole. For the project's own files; what users read and write is in formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataset_tools.example import ROLES, Example, Message, ToolCall


def example_to_dict(example: Example) -> dict[str, object]:
    """All of an example but its place in a source; what is not there is left out."""
    optional = {
        "group": example.group,
        "tools": example.tools,
        "rejected": [_message_to_dict(message) for message in example.rejected] or None,
        "desirable": example.desirable,
    }
    kept = {name: value for name, value in optional.items() if value is not None}
    return {"messages": [_message_to_dict(message) for message in example.messages], **kept}


def example_from_dict(value: object) -> Example:
    """The example that `example_to_dict` wrote.

    Raises:
        ValueError: The value is no such object.
    """
    fields = as_object(value)
    desirable = fields.get("desirable")
    if desirable is not None and not isinstance(desirable, bool):
        raise ValueError("desirable is neither true nor false")
    return Example(
        tuple(_message_from_dict(item) for item in as_list(fields.get("messages"))),
        group=optional_text(fields, "group"),
        tools=optional_text(fields, "tools"),
        rejected=tuple(_message_from_dict(item) for item in as_list(fields.get("rejected", []))),
        desirable=desirable,
    )


def as_object(value: object) -> Mapping[str, object]:
    """The value, which must be a JSON object.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, dict):
        raise ValueError(f"not an object: {str(value)[:50]!r}")
    return value


def as_list(value: object) -> Sequence[object]:
    """The value, which must be a JSON array.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, list):
        raise ValueError(f"not an array: {str(value)[:50]!r}")
    return value


def text_in(fields: Mapping[str, object], name: str) -> str:
    """The text of a field that must be there.

    Raises:
        ValueError: It is missing or no text.
    """
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def optional_text(fields: Mapping[str, object], name: str) -> str | None:
    """The text of a field, or None where it is missing or null.

    Raises:
        ValueError: It is there and no text.
    """
    return None if fields.get(name) is None else text_in(fields, name)


def _message_to_dict(message: Message) -> dict[str, object]:
    weight = {} if message.weight is None else {"weight": message.weight}
    return {**message.to_dict(), **weight}


def _message_from_dict(value: object) -> Message:
    fields = as_object(value)
    weight = fields.get("weight")
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float)):
        raise ValueError("weight is not a number")
    role = text_in(fields, "role")
    if role not in ROLES:
        raise ValueError(f"there is no role {role[:50]!r}")
    return Message(
        role,
        text_in(fields, "content"),
        name=optional_text(fields, "name"),
        tool_calls=tuple(_call_from_dict(item) for item in as_list(fields.get("tool_calls", []))),
        tool_call_id=optional_text(fields, "tool_call_id"),
        weight=weight,
    )


def _call_from_dict(value: object) -> ToolCall:
    fields = as_object(value)
    function = as_object(fields.get("function"))
    return ToolCall(text_in(function, "name"), text_in(function, "arguments"), id=optional_text(fields, "id"))
