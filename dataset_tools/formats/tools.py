"""Tools and tool calls in the shapes that files have, to and from the one that examples have: JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dataset_tools.example import ToolCall
from dataset_tools.formats.base import ShapeError, Value, type_name


def json_text(value: object) -> str:
    """A JSON value as text, one spelling for each value, letters as they are.

    Raises:
        ShapeError: It holds a number that JSON does not have.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ShapeError("wrong-type", f"a value that is not JSON: {error}") from error


def read_tools(value: Value) -> str | None:
    """The declared tools of a row (its key ``tools``, or ``functions`` in OpenAI's old form), as JSON text.

    A tool that is only the function is wrapped as OpenAI does: ``{"type": "function", "function": {...}}``.

    Raises:
        ShapeError: They are neither a list of objects nor the JSON text of one.
    """
    key = "functions" if value.get("tools") is None else "tools"
    tools = value.get(key)
    if isinstance(tools, str):
        if not tools.strip():
            return None
        try:
            tools = json.loads(tools)
        except ValueError as error:
            raise ShapeError("wrong-type", f"{key} is text that is not JSON") from error
        except RecursionError as error:
            raise ShapeError("wrong-type", f"{key} is nested too deep") from error
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise ShapeError("wrong-type", f"{key} is {type_name(tools)}, not an array")
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise ShapeError("wrong-type", f"{key}[{place}] is {type_name(tool)}, not an object")
    return json_text([_wrapped(tool) for tool in tools]) if tools else None


def _wrapped(tool: dict[str, Any]) -> dict[str, Any]:
    if "function" in tool or "name" not in tool:
        return tool
    return {"type": "function", "function": {key: part for key, part in tool.items() if (key, part) != _TYPE}}


_TYPE = ("type", "function")


def bare_tools(tools: str) -> str:
    """Tools as ShareGPT files hold them: the functions alone, in one JSON text."""
    bare = []
    for tool in json.loads(tools):
        function = tool.get("function")
        plain = set(tool) == {"type", "function"} and tool["type"] == "function"
        bare.append(function if plain and isinstance(function, dict) and "name" in function else tool)
    return json_text(bare)


def read_calls(message: Mapping[str, object], at: str) -> tuple[ToolCall, ...]:
    """The calls in a message of a chat: ``tool_calls``, or ``function_call`` in OpenAI's old form.

    Raises:
        ShapeError: One has no name or no arguments, or they are of the wrong type.
    """
    if message.get("tool_calls") is None:
        old = message.get("function_call")
        return () if old is None else (read_call(old, f"{at}.function_call"),)
    calls = message["tool_calls"]
    if not isinstance(calls, list):
        raise ShapeError("wrong-type", f"{at}.tool_calls is {type_name(calls)}, not an array")
    return tuple([read_call(call, f"{at}.tool_calls[{place}]") for place, call in enumerate(calls)])


def read_call(call: object, at: str) -> ToolCall:
    """One call: ``{"id": ..., "function": {"name": ..., "arguments": ...}}``, or name and arguments alone.

    Arguments may be an object or its JSON text; whether the text is JSON is not checked here.

    Raises:
        ShapeError: It has no name or no arguments, or they are of the wrong type.
    """
    if not isinstance(call, dict):
        raise ShapeError("wrong-type", f"{at} is {type_name(call)}, not an object")
    function, inside = call, at
    if "function" in call:
        function, inside = call["function"], f"{at}.function"
        if not isinstance(function, dict):
            raise ShapeError("wrong-type", f"{inside} is {type_name(function)}, not an object")
    for key in ("name", "arguments"):
        if key not in function:
            raise ShapeError("missing-field", f"{inside}.{key} is missing")
    name, arguments, identity = function["name"], function["arguments"], call.get("id")
    if not isinstance(name, str):
        raise ShapeError("wrong-type", f"{inside}.name is {type_name(name)}, not a string")
    if not name or name.isspace():
        raise ShapeError("empty-field", f"{inside}.name is empty")
    if isinstance(arguments, dict):
        arguments = json_text(arguments)
    if not isinstance(arguments, str):
        raise ShapeError("wrong-type", f"{inside}.arguments is {type_name(arguments)}, not an object or its JSON text")
    if identity is not None and not isinstance(identity, str):
        raise ShapeError("wrong-type", f"{at}.id is {type_name(identity)}, not a string")
    return ToolCall(name, arguments, identity)
