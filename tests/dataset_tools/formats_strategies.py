"""Examples of every kind, and mutations of rows, for the property tests of formats and conversion."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from dataset_tools.example import Example, Message, ToolCall

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: not text.isspace()
)
NAME = st.sampled_from(["get_weather", "f", "search"])
ID = st.sampled_from(["call_1", "abc123XYZ", "x"])
ARGUMENTS = st.sampled_from(['{"city": "Köln"}', "{}", '{"a":1}', "not JSON", '{"n": 1.0, "b": [true, null]}', "[]"])
FUNCTION = st.fixed_dictionaries(
    {"name": NAME},
    optional={"description": TEXT, "parameters": st.sampled_from([{}, {"type": "object", "properties": {}}])},
)
TOOL = FUNCTION.map(lambda function: {"type": "function", "function": function})
TOOLS = st.lists(TOOL, min_size=1, max_size=2).map(lambda tools: json.dumps(tools, ensure_ascii=False))
CALLS = st.lists(st.builds(ToolCall, NAME, ARGUMENTS, st.none() | ID), min_size=1, max_size=2).map(tuple)


def plain(role: str) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.just(role), TEXT)


@st.composite
def plain_examples(draw: st.DrawFn, *, turns: int = 3) -> Example:
    """System or none, then user and assistant in turn: texts and nothing else."""
    messages = draw(st.lists(plain("system"), max_size=1))
    for _ in range(draw(st.integers(1, turns))):
        messages += [draw(plain("user")), draw(plain("assistant"))]
    return Example(tuple(messages))


@st.composite
def _answer(draw: st.DrawFn, *, rich: bool) -> list[Message]:
    """What the assistant says to one question: an answer, or calls, their results, and an answer or none."""
    weight = st.sampled_from([None, None, 0, 1, 0.5]) if rich else st.none()
    name = st.none() | NAME if rich else st.none()
    messages = []
    if rich and draw(st.booleans()):
        content = draw(st.just("") | TEXT)
        messages.append(Message("assistant", content, tool_calls=draw(CALLS), weight=draw(weight)))
        results = st.builds(Message, st.just("tool"), TEXT, name, st.just(()), st.none() | ID)
        found = draw(st.lists(results, max_size=2))
        if not found:
            return messages
        messages += found
    return [*messages, Message("assistant", draw(TEXT), draw(name), weight=draw(weight))]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Any example: tools, calls, names, weights, groups; a worse answer, a thumb, or neither."""
    name = st.none() | NAME
    messages = draw(st.lists(plain("system"), max_size=1))
    for _ in range(draw(st.integers(0, 1))):
        messages.append(Message("user", draw(TEXT), draw(name)))
        said = draw(_answer(rich=True))
        messages += said if not said[-1].tool_calls else [Message("assistant", draw(TEXT))]
    messages.append(Message("user", draw(TEXT), draw(name)))
    messages += draw(_answer(rich=draw(st.booleans())))
    rejected, desirable = (), None
    match draw(st.sampled_from(["plain", "pair", "judged"])):
        case "pair":
            rejected = tuple(draw(_answer(rich=False)))
        case "judged":
            desirable = draw(st.booleans())
    tools = draw(st.none() | TOOLS)
    return Example(tuple(messages), 0, 0, draw(st.none() | TEXT), tools, rejected, desirable)


_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_JUNK = st.sampled_from(
    [
        *(None, "", " ", "x", "{", "user", "assistant", "tool", "false", "abc123XYZ", 0, 1, 0.5, True),
        *([], {}, ["a"], [None], [["a", "b"]], [["a"]], {"role": "user"}, [{"role": "assistant", "content": "a"}]),
        *([{"type": "text", "text": "a"}], [{"type": "text", "text": " "}], [{"type": "image"}]),
        *([_CALL], [{"name": "f"}], {"name": "f", "arguments": {}}),
    ]
).map(copy.deepcopy)  # what is put into a row may be changed there
_KEYS = st.sampled_from(
    [
        *("role", "content", "name", "weight", "loss_weight", "tool_calls", "tool_call_id", "function_call", "from"),
        *("value", "tools", "functions", "system", "system_prompt", "history", "input", "id", "extra", "group", "type"),
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        found += _places(part, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn, row: dict[str, object]) -> dict[str, object]:
    """The row with up to two members replaced, added or taken away, anywhere in it."""
    row = copy.deepcopy(row)
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(_places(row)))
        inside: Any = row
        for key in path[:-1]:
            inside = inside[key]
        match draw(st.sampled_from(["replace", "add", "remove"])):
            case "replace" if path:
                inside[path[-1]] = draw(_JUNK)
            case "remove" if path:
                del inside[path[-1]]
            case "add":
                inside = inside[path[-1]] if path else row
                if isinstance(inside, dict):
                    inside[draw(_KEYS)] = draw(_JUNK)
                elif isinstance(inside, list):
                    inside.append(draw(_JUNK))
    return row
