"""Lists of turns, in the shape of OpenAI (``role`` and ``content``) or of ShareGPT (``from`` and ``value``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dataset_tools.example import Message, ToolCall
from dataset_tools.formats.base import MISSING, ShapeError, Turn, Value, type_name
from dataset_tools.formats.tools import json_text, read_call, read_calls

# What stands in ShareGPT files: FastChat's names, LLaMA-Factory's for tools, and OpenAI's.
FROM = {
    "human": "user",
    "gpt": "assistant",
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}
SYSTEM_KEYS = ("system", "system_prompt")
_CALL = ("tool_calls[].function.name", "tool_calls[].function.arguments", "tool_calls[].name", "tool_calls[].arguments")
_CHAT_KEYS = (
    *("role", "content", "name", "tool_call_id", "weight", "loss_weight"),
    *("tool_calls[].id", "tool_calls[].type", *_CALL, "function_call.name", "function_call.arguments"),
)
_FROM_KEYS = ("from", "value", "weight")


def chat_reads(field: str, *, shared: bool = False) -> set[str]:
    """The paths that are made use of in a list of turns in this field; ``shared``: in the shape of ShareGPT."""
    return {f"{field}[].{key}" for key in (_FROM_KEYS if shared else _CHAT_KEYS)}


def side_reads(value: Value, *fields: str) -> set[str]:
    """The same for fields that hold a text, a turn or a list of turns."""
    paths: set[str] = set()
    for field in fields:
        inside = value.get(field)
        if isinstance(inside, list):
            paths |= chat_reads(field, shared=is_shared(inside))
        elif isinstance(inside, dict):
            paths |= {path.replace("[]", "", 1) for path in chat_reads(field, shared="from" in inside)}
        else:
            paths.add(field)
    return paths


def list_turns(value: Value, field: str, *, shared: bool = False) -> list[Turn]:
    """The turns in a field that has to hold a list of them; ``shared``: in the shape of ShareGPT.

    Raises:
        ShapeError: It is missing, no list, or empty, or one of its members is no object.
    """
    turns = value.get(field, MISSING)
    if turns is MISSING:
        raise ShapeError("missing-field", f"{field} is missing")
    if not isinstance(turns, list):
        raise ShapeError("wrong-type", f"{field} is {type_name(turns)}, not an array")
    if not turns:
        raise ShapeError("empty-field", f"{field} is empty")
    return read_turns(turns, field, shared=shared)


def read_turns(turns: Sequence[object], field: str, *, shared: bool = False) -> list[Turn]:
    """The turns of a list; ``shared``: in the shape of ShareGPT.

    Raises:
        ShapeError: A member is no object, or has a name, a weight or a call of the wrong type.
    """
    read = []
    read_one = _share_turn if shared else _chat_turn
    for place, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise ShapeError("wrong-type", f"{field}[{place}] is {type_name(turn)}, not an object")
        read.append(read_one(turn, field, place))
    return read


def is_shared(turns: object) -> bool:
    """Whether a list of turns has the shape of ShareGPT, by its first one."""
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict) and "from" in turns[0]


def system_turn(value: Value, keys: Sequence[str] = SYSTEM_KEYS) -> list[Turn]:
    """The system message that stands beside the turns, in a column of its own; none where it is null or blank."""
    for key in keys:
        content = value.get(key)
        if content is not None and not (isinstance(content, str) and (not content or content.isspace())):
            return [Turn("system", content, key)]
    return []


def chat_message(message: Message, *, weight: bool = True) -> dict[str, object]:
    """The message as chat files hold it; the weight where there is one."""
    made: dict[str, object] = message.to_dict()
    if weight and message.weight is not None:
        made["weight"] = message.weight
    return made


def share_turn(message: Message) -> dict[str, object]:
    """The message as ShareGPT files hold it: calls of tools as the JSON text of name and arguments.

    Raises:
        ValueError: It has text beside its calls, for which there is no place.
    """
    if message.tool_calls and message.content:
        raise ValueError("a call of a tool holds no text beside it in ShareGPT")
    names = {"user": "human", "assistant": "function_call" if message.tool_calls else "gpt", "tool": "observation"}
    content = _calls_text(message.tool_calls) if message.tool_calls else message.content
    made: dict[str, object] = {"from": names.get(message.role, message.role), "value": content}
    return made if message.weight is None else {**made, "weight": message.weight}


def _chat_turn(message: Mapping[str, object], field: str, place: int) -> Turn:
    content = message.get("content", MISSING)
    role = message.get("role", MISSING)
    if len(message) == 2 and type(content) is str and type(role) is str and role != "function":  # most of them
        return Turn(role, content, field, place)
    if type(content) is list:
        content = _joined(content)
    at = f"{field}[{place}]"
    calls = read_calls(message, at)
    if calls and role != "assistant":
        raise ShapeError("wrong-type", f"{at} calls a tool, and is not the assistant's")
    if calls and (content is MISSING or content is None):
        content = ""
    if role == "function":  # OpenAI's old name
        role = "tool"
    name, call_id = _text(message, "name", at), _text(message, "tool_call_id", at)
    key = "weight" if message.get("weight") is not None else "loss_weight"
    return Turn(role, content, field, place, calls, name, call_id, _weight(message, key, at))


def _share_turn(turn: Mapping[str, object], field: str, place: int) -> Turn:
    keys = ("from", "value")
    speaker, content = turn.get("from", MISSING), turn.get("value", MISSING)
    role = FROM.get(speaker, speaker) if isinstance(speaker, str) else speaker
    if len(turn) == 2 and speaker != "function_call":
        return Turn(role, content, field, place, keys=keys)
    at = f"{field}[{place}]"
    weight = _weight(turn, "weight", at)
    if speaker != "function_call" or content is None or content is MISSING or content == "":
        return Turn(role, content, field, place, weight=weight, keys=keys)
    return Turn(role, "", field, place, _read_calls_text(content, f"{at}.value"), weight=weight, keys=keys)


def _calls_text(calls: Sequence[ToolCall]) -> str:
    made = []
    for call in calls:
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            arguments = call.arguments
        plain = isinstance(arguments, dict)
        made.append({"name": call.name, "arguments": arguments if plain else call.arguments})
    return json_text(made[0] if len(made) == 1 else made)


def _read_calls_text(content: object, at: str) -> tuple[ToolCall, ...]:
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ShapeError("wrong-type", f"{at} is no JSON text of a function call") from error
    if content == []:
        raise ShapeError("empty-field", f"{at} has no function call")
    calls = content if isinstance(content, list) else [content]
    return tuple([read_call(call, at) for call in calls])


def _text(message: Mapping[str, object], key: str, at: str) -> str | None:
    text = message.get(key)
    if text is None or isinstance(text, str):
        return text
    raise ShapeError("wrong-type", f"{at}.{key} is {type_name(text)}, not a string")


def _weight(message: Mapping[str, object], key: str, at: str) -> float | None:
    weight = message.get(key)
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ShapeError("wrong-type", f"{at}.{key} is {type_name(weight)}, not a number")
    return int(weight) if weight in (0, 1) else weight  # Parquet gives 1.0


def _joined(parts: list[object]) -> object:
    """The text of ``[{"type": "text", "text": ...}, ...]``; any other list is given back as it is.

    LLaMA-Factory has the text under ``value``.
    """
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text":
            return parts
        text = part["text"] if "text" in part else part.get("value")
        if not isinstance(text, str):
            return parts
        texts.append(text)
    return "".join(texts) if texts else parts
