"""Checks of tool calls: their arguments, their answers, and the tools that a row declares."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from dataset_tools.checks.base import Check, RowCheck, RowView
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.tool_fixes import decoded, with_arguments_once, with_parameters, with_tools_once
from dataset_tools.checks.tool_rows import Call, parsed, tool_row
from dataset_tools.checks.tool_schemas import argument_faults, schema_fault
from dataset_tools.formats.base import type_name

_TEMPLATES = "Chat templates print what stands there, so the model learns to make calls that cannot be run."


def _arguments(row: RowView) -> Iterator[str]:
    for call in tool_row(row.value).calls:
        if not isinstance(call.arguments, str) or decoded(call.arguments) is not None:
            continue
        try:
            value = json.loads(call.arguments)
        except json.JSONDecodeError as error:
            yield f"the arguments of {call.at} are not JSON: {error.msg} at character {error.pos + 1}"
        except (ValueError, RecursionError):
            yield f"the arguments of {call.at} cannot be read as JSON"
        else:
            if not isinstance(value, dict):
                yield f"the arguments of {call.at} are {type_name(value)}, not an object"


def _encoded_twice(row: RowView) -> Iterator[str]:
    for call in tool_row(row.value).calls:
        if isinstance(call.arguments, str) and decoded(call.arguments) is not None:
            yield f"the arguments of {call.at} are JSON text inside of JSON text"


def _schema(row: RowView) -> Iterator[str]:
    talk = tool_row(row.value)
    schemas = {tool.get("name"): tool.get("parameters") for tool in talk.tools if _is_named(tool)}
    for call in talk.calls:
        schema = schemas.get(call.name) if isinstance(call.name, str) else None
        arguments = _value(call)
        if schema is not None and isinstance(arguments, dict):
            yield from (f"{call.at}, {call.name}: {fault}" for fault in argument_faults(arguments, schema))


def _unknown_tool(row: RowView) -> Iterator[str]:
    talk = tool_row(row.value)
    names = [name for name in talk.names if isinstance(name, str)]
    for call in talk.calls:
        if talk.tools and isinstance(call.name, str) and call.name not in names:
            yield f"{call.at} calls {call.name[:40]!r}; declared are {', '.join(name[:40] for name in names[:6])}"


def _undeclared(row: RowView) -> Iterator[str]:
    talk = tool_row(row.value)
    called = sorted({call.name for call in talk.calls if isinstance(call.name, str)})
    if called and not talk.keys:
        yield f"the row calls {', '.join(name[:40] for name in called[:6])}, and declares no tools"


def _ids(row: RowView) -> Iterator[str]:
    seen: set[str] = set()
    for turn in tool_row(row.value).turns:
        for call in turn.calls:
            if isinstance(call.id, str):
                if call.id in seen:
                    yield f"{call.at} has the id {call.id[:40]!r} of an earlier call"
                seen.add(call.id)
        if turn.role == "tool" and isinstance(turn.answers, str) and turn.answers not in seen:
            yield f"{turn.at} answers {turn.answers[:40]!r}, which no call before it has"


def _without_id(row: RowView) -> Iterator[str]:
    turns = tool_row(row.value).turns
    if not any(turn.role == "tool" for turn in turns):
        return
    for turn in turns:
        if turn.at.startswith("conversations"):  # ShareGPT has no ids
            continue
        yield from (f"{call.at}.id is missing" for call in turn.calls if call.id is None)
        if turn.role == "tool" and turn.answers is None:
            yield f"{turn.at}.tool_call_id is missing"


def _results(row: RowView) -> Iterator[str]:
    turns = tool_row(row.value).turns
    calls_at, open_calls = "", 0
    for place, turn in enumerate(turns):
        if turn.role == "tool":
            open_calls -= 1
            if open_calls == -1:
                yield f"{turn.at} is a tool's, and answers no call"
            continue
        yield from _unanswered(calls_at, open_calls)
        calls_at, open_calls = turn.at, len(turn.calls)
        if place == len(turns) - 1:
            return  # the calls are the wanted answer
    yield from _unanswered(calls_at, open_calls)


def _unanswered(at: str, number: int) -> Iterator[str]:
    if number > 0:
        yield f"{'a call' if number == 1 else f'{number} calls'} of {at} is not answered by a message of the tool"


def _declaration(row: RowView) -> Iterator[str]:
    for tool in tool_row(row.value).tools:
        if _is_named(tool) and not tool.get("description"):
            yield f"the tool {tool['name'][:40]!r} has no description"


def _parameters(row: RowView) -> Iterator[str]:
    for tool in tool_row(row.value).tools:
        if _is_named(tool) and tool.get("parameters") is None:
            yield f"the tool {tool['name'][:40]!r} has no parameters"


def _bad_tools(row: RowView) -> Iterator[str]:
    talk = tool_row(row.value)
    for place, tool in enumerate(talk.tools):
        if not _is_named(tool):
            yield f"{talk.keys[0]}[{place}] has no name"
        elif tool.get("parameters") is not None:
            fault = schema_fault(tool["parameters"])
            if fault:
                yield f"the parameters of {tool['name'][:40]!r} are no JSON Schema: {fault}"
    counts = Counter(name for name in talk.names if isinstance(name, str))
    yield from (f"the tool {name[:40]!r} is declared {count} times" for name, count in counts.items() if count > 1)


def _two_lists(row: RowView) -> Iterator[str]:
    keys = tool_row(row.value).keys
    if len(keys) > 1:
        yield f"tools are declared in {' and in '.join(keys)}; only {keys[0]} is read"


def _is_named(tool: object) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("name"), str) and bool(tool["name"].strip())


def _value(call: Call) -> object:
    if not isinstance(call.arguments, str):
        return call.arguments
    return parsed(decoded(call.arguments) or call.arguments)


CHECKS: tuple[Check, ...] = (
    RowCheck(
        id="tool-arguments",
        severity="error",
        family="tools",
        title="the arguments of a tool call are no JSON object",
        why=_TEMPLATES,
        run=_arguments,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-arguments-encoded-twice",
        severity="error",
        family="tools",
        title="the arguments of a tool call are JSON in JSON",
        why="The model learns to escape its calls, and what takes them finds a text in place of an object.",
        run=_encoded_twice,
        on_good_rows=True,
        fix=Fix(what="decode the arguments once", safe=True, row=with_arguments_once),
    ),
    RowCheck(
        id="tool-arguments-schema",
        severity="error",
        family="tools",
        title="the arguments of a tool call do not fit the declared tool",
        why="The model learns calls that the tool refuses (JSON Schema, json-schema.org).",
        run=_schema,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-unknown",
        severity="error",
        family="tools",
        title="a tool is called that the row does not declare",
        why="The model learns to make up tools.",
        run=_unknown_tool,
        on_good_rows=True,
    ),
    RowCheck(
        id="tools-undeclared",
        severity="warning",
        family="tools",
        title="tools are called, and none is declared",
        why="The model cannot know from the row which tools there are, and learns to call from memory.",
        run=_undeclared,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-call-id",
        severity="error",
        family="tools",
        title="ids of tool calls that do not match",
        why="Services refuse the row, and templates that print ids teach wrong ones.",
        run=_ids,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-call-without-id",
        severity="warning",
        family="tools",
        title="a tool call or its answer without id",
        why="OpenAI and Mistral ask for one; which answer belongs to which call is told by it.",
        run=_without_id,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-result",
        severity="error",
        family="tools",
        title="tool calls and their results do not match",
        why="A call without a result, or a result without a call, is refused by services and many chat templates.",
        run=_results,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-declaration",
        severity="error",
        family="tools",
        title="a tool is not declared as it should be",
        why="A tool without a name, declared twice, or with parameters that are no JSON Schema cannot be called.",
        run=_bad_tools,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-without-description",
        severity="warning",
        family="tools",
        title="a tool without a description",
        why="The description is what the model chooses the tool by.",
        run=_declaration,
        on_good_rows=True,
    ),
    RowCheck(
        id="tool-without-parameters",
        severity="warning",
        family="tools",
        title="a tool without parameters",
        why="Many templates and services ask for a schema, be it an empty one.",
        run=_parameters,
        on_good_rows=True,
        fix=Fix(what="declare that it takes no parameters", row=with_parameters),
    ),
    RowCheck(
        id="tools-declared-twice",
        severity="warning",
        family="tools",
        title="tools in two places of a row",
        why="Which of them is read depends on the trainer.",
        run=_two_lists,
        on_good_rows=True,
        fix=Fix(what="keep the list that is read", row=with_tools_once),
    ),
)
