"""Mending tool calls and declared tools in a row as it stands in the file.

All functions give a new row, or None where they have nothing to do; what they are given stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dataset_tools.checks.tool_rows import parsed, tool_row
from dataset_tools.checks.turns import map_turns
from dataset_tools.formats.tools import json_text

Row = Mapping[str, Any]
_EMPTY = {"type": "object", "properties": {}}


def decoded(arguments: str) -> str | None:
    """The JSON text of an object that stands inside of a JSON text; None where none does."""
    text = parsed(arguments) if arguments.lstrip().startswith('"') else None
    while isinstance(text, str):
        inner = parsed(text)
        if isinstance(inner, dict):
            return text
        text = inner
    return None


def with_arguments_once(value: Row) -> Row | None:
    """Arguments that are JSON text inside of JSON text are decoded."""
    return map_turns(value, lambda turns: [_turn(turn) for turn in turns])


def with_parameters(value: Row) -> Row | None:
    """Tools without parameters get an empty schema."""
    return _map_tools(value, _with_parameters)


def with_tools_once(value: Row) -> Row | None:
    """Only the tools that are read are kept."""
    keys = tool_row(value).keys
    return {key: part for key, part in value.items() if key not in keys[1:]} if len(keys) > 1 else None


def _with_parameters(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function", tool)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return tool
    if not function["name"].strip() or function.get("parameters") is not None:
        return tool
    made = {**function, "parameters": _EMPTY}
    return {**tool, "function": made} if "function" in tool else made


def _map_tools(value: Row, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Row | None:
    inside = value.get("input")
    if isinstance(inside, dict) and isinstance(inside.get("messages"), list):
        made = _map_tools(inside, change)
        if made is not None:
            return {**value, "input": made}
    for key in tool_row(value).keys[:1]:
        given = value.get(key)
        tools = parsed(given) if isinstance(given, str) else given
        if isinstance(tools, list):
            new = [change(tool) if isinstance(tool, dict) else tool for tool in tools]
            if new != tools:
                return {**value, key: json.dumps(new, ensure_ascii=False) if isinstance(given, str) else new}
    return None


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    if turn.get("from") == "function_call":
        value = turn.get("value")
        calls = parsed(value) if isinstance(value, str) else value
        new = [_call(call) for call in calls] if isinstance(calls, list) else _call(calls)
        if new == calls:
            return turn
        return {**turn, "value": json_text(new) if isinstance(value, str) else new}
    made = dict(turn)
    if isinstance(turn.get("tool_calls"), list):
        made["tool_calls"] = [_call(call) for call in turn["tool_calls"]]
    if isinstance(turn.get("function_call"), dict):
        made["function_call"] = _call(turn["function_call"])
    return turn if made == turn else made


def _call(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return {**call, "function": _call(call["function"])}
    once = decoded(call["arguments"]) if isinstance(call.get("arguments"), str) else None
    return call if once is None else {**call, "arguments": once}
