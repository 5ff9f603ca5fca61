"""Mending the turns of a row as it stands in the file: their roles and their order. Texts are only joined.

All functions give a new row, or None where they have nothing to do or cannot help; what they are given stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from dataset_tools.example import ROLES
from dataset_tools.formats.base import conversation_faults
from dataset_tools.formats.chat import FROM, SYSTEM_KEYS

Row = Mapping[str, Any]
Turns = list[dict[str, Any]]

CONVERSATIONS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
_SIDES = (
    *("prompt", "completion", "chosen", "rejected"),
    *("preferred_output", "non_preferred_output", "rejected_response"),
)
ALIASES = {
    "human": "user",
    "customer": "user",
    "client": "user",
    "prompter": "user",
    "questioner": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
    "chatbot": "assistant",
    "agent": "assistant",
    "developer": "system",
    "function": "tool",
    "ipython": "tool",
    "observation": "tool",
}
_SHARED_NAMES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
_CALLS = ("tool_calls", "function_call")
_JOINT = "\n\n"


def meant_role(name: str) -> str | None:
    """The role that an unknown name stands for, if it is a usual one."""
    plain = name.strip().casefold()
    return plain if plain in ROLES else ALIASES.get(plain)


def map_turns(value: Row, change: Callable[[Turns], Turns | None]) -> Row | None:
    """The row with each of its lists of turns changed."""
    changed: dict[str, Any] = {}
    for field in (*CONVERSATIONS, *_SIDES):
        turns = value.get(field)
        if _are_turns(turns):
            new = change(turns)
            if new is not None and new != turns:
                changed[field] = new
    inside = value.get("input")
    if isinstance(inside, dict):
        new_inside = map_turns(inside, change)
        if new_inside is not None:
            changed["input"] = new_inside
    return {**value, **changed} if changed else None


def each_turn(value: Row) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The turns of a row's lists of objects, with their places (``messages[0]``), those of the answers last."""
    for field in (*CONVERSATIONS, *_SIDES):
        turns = value.get(field)
        if _are_turns(turns):
            yield from ((f"{field}[{place}]", turn) for place, turn in enumerate(turns))


def with_known_roles(value: Row) -> Row | None:
    """Roles by their usual other names, or in other letters, are mapped."""
    return map_turns(value, lambda turns: [_with_known_role(turn) for turn in turns])


def without_last_questions(value: Row) -> Row | None:
    """What stands behind the last answer is taken off."""
    field = _conversation(value)
    turns = value[field] if field else []
    last = max((place for place, turn in enumerate(turns) if _role(turn) == "assistant"), default=None)
    if field is None or last is None or last == len(turns) - 1:
        return None
    return {**value, field: turns[: last + 1]}


def with_turns_in_order(value: Row) -> Row | None:
    """One system message at the start, nothing between it and the first question, turns of one role joined."""
    field = _conversation(value)
    if field is None or not all(_role(turn) for turn in value[field]):
        return None
    turns: Turns = value[field]
    systems = [turn for turn in turns if _role(turn) == "system"]
    talk = [turn for turn in turns if _role(turn) != "system"]
    first = next((place for place, turn in enumerate(talk) if _role(turn) == "user"), len(talk))
    beside = _system_beside(value)
    system = _joined(([{"role": "system", "content": beside}] if beside else []) + systems) if systems else None
    if systems and system is None:
        return None
    merged = _merged(talk[first:])
    if not merged or all(_role(turn) != "assistant" for turn in merged):
        return None
    made = [*([system] if system and not beside else []), *merged]
    row = {**value, field: made}
    if beside and system:
        key = next(key for key in SYSTEM_KEYS if value.get(key) == beside)
        row[key] = system.get("content", system.get("value"))
    roles = [str(_role(turn)) for turn in made]
    unsolved = [fault for fault in conversation_faults(roles) if not fault.startswith("the last message")]
    return None if unsolved or row == value else row


def _conversation(value: Row) -> str | None:
    """The field with the whole conversation, where the row has one that is a list of objects."""
    return next((field for field in CONVERSATIONS if _are_turns(value.get(field))), None)


def _are_turns(value: object) -> TypeGuard[Turns]:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)


def _role(turn: Mapping[str, Any]) -> str | None:
    """The known role of a turn, in either shape."""
    if "role" in turn:
        role = turn["role"]
        return role if isinstance(role, str) and role in ROLES else None
    speaker = turn.get("from")
    return FROM.get(speaker) if isinstance(speaker, str) else None


def _with_known_role(turn: dict[str, Any]) -> dict[str, Any]:
    for key, known, names in (("role", ROLES, None), ("from", FROM, _SHARED_NAMES)):
        name = turn.get(key)
        if isinstance(name, str) and name not in known:
            meant = meant_role(name)
            return {**turn, key: names[meant] if names else meant} if meant else turn
    return turn


def _system_beside(value: Row) -> str | None:
    texts = [value[key] for key in SYSTEM_KEYS if isinstance(value.get(key), str) and value[key].strip()]
    return texts[0] if texts else None


def _merged(turns: Sequence[dict[str, Any]]) -> Turns | None:
    """The turns with neighbours of one role joined; None where two cannot be."""
    made: Turns = []
    for turn in turns:
        role = _role(turn)
        if made and role in ("user", "assistant") and _role(made[-1]) == role:
            joined = _joined([made[-1], turn])
            if joined is None:
                return None
            made[-1] = joined
        else:
            made.append(turn)
    return made


def _joined(turns: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """One turn with the texts of all; None where one has no text, calls a tool, or is weighted otherwise."""
    if len(turns) == 1:
        return turns[0]
    last = turns[-1]
    key = "content" if "content" in last else "value"
    given = [turn.get("content", turn.get("value")) for turn in turns]
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given) or any(turn.get("weight") != last.get("weight") for turn in turns):
        return None
    if any(turn.get(call) for turn in turns for call in _CALLS) or any(turn.get("from") == _CALLS[1] for turn in turns):
        return None
    return {**last, key: _JOINT.join(text for text in texts if text.strip())}
