"""The tools of a row as they stand in the file: what is declared, what is called, what is answered. It judges nothing.

Known are OpenAI's messages (with ``tool_calls``, or ``function_call`` in the old form) and ShareGPT's conversations
with LLaMA-Factory's ``function_call`` and ``observation``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataset_tools.checks.turns import CONVERSATIONS

Row = Mapping[str, Any]
_KEYS = ("tools", "functions", "available_tools")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it stands in the file: where, the function's name, its arguments, and its id (None where missing)."""

    at: str
    name: object
    arguments: object
    id: object = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn: its role in the words of examples, its calls, and which call it answers."""

    at: str
    role: str
    calls: tuple[Call, ...] = ()
    answers: object = None


@dataclass(frozen=True, slots=True)
class ToolRow:
    """The turns of a row and its declared tools, the functions alone. ``keys`` are those that declare tools."""

    turns: tuple[Turn, ...] = ()
    tools: tuple[Any, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def calls(self) -> Iterator[Call]:
        """All calls, in order."""
        return (call for turn in self.turns for call in turn.calls)

    @property
    def names(self) -> list[object]:
        """The names of the declared functions."""
        return [tool.get("name") for tool in self.tools if isinstance(tool, dict)]


@dataclass(slots=True)
class _Latest:
    """The row that was looked at last: many checks ask for the same one."""

    kept: tuple[Row, ToolRow] | None = field(default=None)

    def __call__(self, value: Row) -> ToolRow:
        """What the row has of tools."""
        kept = self.kept
        if kept is None or kept[0] is not value:
            self.kept = kept = (value, _read(value))
        return kept[1]


tool_row: Callable[[Row], ToolRow] = _Latest()


def _read(value: Row) -> ToolRow:
    inside = value.get("input")
    if isinstance(inside, dict) and isinstance(inside.get("messages"), list):  # OpenAI's preference rows
        value = {**inside, "tools": value.get("tools", inside.get("tools"))}
    keys = tuple(key for key in _KEYS if value.get(key))
    declared = tuple(tool for key in keys[:1] for tool in _declared(value[key]))
    name = next((name for name in CONVERSATIONS if isinstance(value.get(name), list)), "")
    turns: list[Any] = value[name] if name else []
    read = (_turn(turn, f"{name}[{place}]") for place, turn in enumerate(turns) if isinstance(turn, dict))
    return ToolRow(tuple(read), declared, keys)


def _declared(tools: object) -> list[Any]:
    if isinstance(tools, str):
        tools = parsed(tools)
    if not isinstance(tools, list):
        return []
    return [tool["function"] if isinstance(tool, dict) and "function" in tool else tool for tool in tools]


def parsed(text: str) -> Any:
    """The value of a JSON text; None where it is none, or nested too deep."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _turn(turn: Mapping[str, Any], at: str) -> Turn:
    if "from" in turn:
        speaker = turn["from"]
        if speaker == "function_call":
            return Turn(at, "assistant", tuple(_shared_calls(turn.get("value"), f"{at}.value")))
        roles = {"observation": "tool", "tool": "tool", "gpt": "assistant", "human": "user"}
        return Turn(at, roles.get(speaker, str(speaker)) if isinstance(speaker, str) else "")
    role = "tool" if turn.get("role") == "function" else str(turn.get("role"))
    answers = turn.get("tool_call_id")
    if turn.get("tool_calls") is None:
        old = turn.get("function_call")
        calls = [] if old is None else [_call(old, f"{at}.function_call")]
    else:
        given = turn["tool_calls"]
        listed = given if isinstance(given, list) else []
        calls = [_call(call, f"{at}.tool_calls[{place}]") for place, call in enumerate(listed)]
    return Turn(at, role, tuple(calls), answers)


def _shared_calls(value: object, at: str) -> Iterator[Call]:
    calls = parsed(value) if isinstance(value, str) else value
    for call in calls if isinstance(calls, list) else [calls]:
        yield _call(call, at)


def _call(call: object, at: str) -> Call:
    if not isinstance(call, dict):
        return Call(at, None, None)
    function = call.get("function", call)
    if not isinstance(function, dict):
        return Call(at, None, None, call.get("id"))
    return Call(at, function.get("name"), function.get("arguments"), call.get("id"))
