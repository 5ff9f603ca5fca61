"""Tool calls: each fault is found by its own check, mended rows have it no more, and no schema can hurt."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks import RowCheck, RowView
from dataset_tools.checks.tool_schemas import argument_faults, schema_fault
from dataset_tools.checks.tools import CHECKS
from dataset_tools.lint import lint

WEATHER = {
    "name": "weather",
    "description": "The weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
    },
}
TOOLS = [{"type": "function", "function": WEATHER}]
GOOD = '{"city": "Ulm"}'
Row = dict[str, Any]


def _call(arguments: object = GOOD, *, name: str = "weather", id: str | None = "a") -> Row:
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return call if id is None else {"id": id, **call}


def _result(id: str | None = "a") -> Row:
    return {"role": "tool", "content": "sun"} if id is None else {"role": "tool", "content": "sun", "tool_call_id": id}


def _row(*calls: Row, results: tuple[Row, ...] = (), tools: object = TOOLS, **extra: object) -> Row:
    asked = {"role": "user", "content": "What is the weather in Ulm?"}
    answer = [{"role": "assistant", "content": "It is sunny."}] if results else []
    called = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    row = {"messages": [asked, called, *results, *answer], "tools": tools, **extra}
    return {key: part for key, part in row.items() if part is not None}


def _shared(value: object, *, result: bool = True) -> Row:
    turns = [{"from": "human", "value": "What is the weather?"}, {"from": "function_call", "value": value}]
    behind = [{"from": "observation", "value": "sun"}, {"from": "gpt", "value": "It is sunny."}]
    return {"conversations": [*turns, *(behind if result else [])], "tools": json.dumps([WEATHER])}


def _struck(row: Row) -> dict[str, list[str]]:
    found = {check.id: list(check.run(RowView(row))) for check in CHECKS if isinstance(check, RowCheck)}
    return {name: messages for name, messages in found.items() if messages}


@pytest.mark.parametrize(
    "row",
    [
        _row(_call(), results=(_result(),)),
        _row(_call()),
        _row(_call({"city": "Ulm"}), results=(_result(),)),
        _row(_call(id="a"), _call(id="b"), results=(_result("b"), _result("a"))),
        _row(_call(id=None)),
        _shared(json.dumps({"name": "weather", "arguments": {"city": "Ulm"}})),
        _shared({"name": "weather", "arguments": GOOD}, result=False),
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"prompt": "a", "completion": "b"},
    ],
)
def test_good_calls_strike_no_check(row: Row) -> None:
    assert _struck(row) == {}


@pytest.mark.parametrize(
    ("row", "check", "words"),
    [
        (_row(_call('{"city": ')), "tool-arguments", "messages[1].tool_calls[0] are not JSON: Expecting value"),
        (_row(_call("")), "tool-arguments", "not JSON"),
        (_row(_call('["Ulm"]')), "tool-arguments", "an array, not an object"),
        (_row(_call('"Ulm"')), "tool-arguments", "a string, not an object"),
        (_row(_call(json.dumps(GOOD))), "tool-arguments-encoded-twice", "JSON text inside of JSON text"),
        (_row(_call('{"city": 3}')), "tool-arguments-schema", "arguments.city: 3 is not of type 'string'"),
        (_row(_call('{"days": 2}')), "tool-arguments-schema", "'city' is a required property"),
        (_row(_call('{"city": "Ulm", "days": 0}')), "tool-arguments-schema", "arguments.days: 0 is less than"),
        (_shared({"name": "weather", "arguments": {}}), "tool-arguments-schema", "conversations[1].value, weather"),
        (_row(_call(name="wether")), "tool-unknown", "calls 'wether'; declared are weather"),
        (_row(_call(), tools=None), "tools-undeclared", "calls weather, and declares no tools"),
        (_row(_call(), _call()), "tool-call-id", "tool_calls[1] has the id 'a' of an earlier call"),
        (
            _row(_call(), results=(_result("b"),)),
            "tool-call-id",
            "messages[2] answers 'b', which no call before it has",
        ),
        (_row(_call(), results=(_result(None),)), "tool-call-without-id", "messages[2].tool_call_id is missing"),
        (_row(_call(), _call(id="b"), results=(_result(),)), "tool-result", "a call of messages[1] is not answered"),
        (_row(_call(), results=(_result(), _result())), "tool-result", "messages[3] is a tool's, and answers no call"),
        (_row(_call(), tools=[*TOOLS, *TOOLS]), "tool-declaration", "'weather' is declared 2 times"),
        (_row(_call(), tools=[*TOOLS, {"name": " "}]), "tool-declaration", "tools[1] has no name"),
        (
            _row(_call(), tools=[{**WEATHER, "parameters": {"type": "objekt"}}]),
            "tool-declaration",
            "no JSON Schema: type: 'objekt' is not valid",
        ),
        (_row(_call(), tools=[{**WEATHER, "description": ""}]), "tool-without-description", "'weather' has no desc"),
        (
            _row(_call(), tools=[{"name": "weather", "description": "d"}]),
            "tool-without-parameters",
            "'weather' has no parameters",
        ),
        (_row(_call(), available_tools=TOOLS), "tools-declared-twice", "in tools and in available_tools"),
    ],
)
def test_each_fault_is_found_by_its_own_check(row: Row, check: str, words: str) -> None:
    found = _struck(row)
    assert set(found) == {check}
    assert words in " ".join(found[check])


def test_calls_without_a_result_are_found_in_the_middle_of_a_conversation() -> None:
    row = _row(_call())
    row["messages"] += [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": "It is sunny."}]
    assert set(_struck(row)) == {"tool-result"}


def test_the_old_form_of_calls_is_known() -> None:
    row = {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{"}},
        ],
        "functions": [WEATHER],
    }
    assert set(_struck(row)) == {"tool-arguments"}


def test_faults_are_told_in_their_lines_and_calls_without_name_or_arguments_by_the_fields(
    write: Callable[..., Path],
) -> None:
    nameless = _row({"id": "a", "type": "function", "function": {"arguments": GOOD}})
    rows = [_row(_call()), _row(_call(name="wether")), nameless, _row(_call('{"city": 1}')), _row(_call())]
    report = lint(write("".join(json.dumps(row) + "\n" for row in rows)), checks=["structure", "tools"])
    lines = {finding.check: finding.lines for finding in report.findings if finding.severity == "error"}
    assert lines == {"tool-unknown": [2], "missing-field": [3], "tool-arguments-schema": [4]}
    assert report.usable == 2


ARGUMENTS = st.sampled_from(
    [GOOD, json.dumps(GOOD), json.dumps(json.dumps(GOOD)), "", "{", "3", '"x"', '"{"', {"city": "Ulm"}, None, 3, []]
)
CALLS = st.builds(lambda arguments: _call(arguments), ARGUMENTS) | st.sampled_from([{}, {"function": 3}, None, "x"])
TOOL_LISTS = st.sampled_from(
    [None, [], TOOLS, [WEATHER], json.dumps([WEATHER]), [{"name": "a"}], [{"function": {"name": "a"}}], "x", 3, [3]]
)
ROWS = st.builds(
    lambda calls, tools, others, shared: {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"from": "function_call", "value": shared},
        ],
        "tools": tools,
        "available_tools": others,
    },
    st.lists(CALLS, max_size=3) | st.sampled_from(["x", {}, None]),
    TOOL_LISTS,
    TOOL_LISTS,
    ARGUMENTS | st.builds(lambda arguments: json.dumps({"name": "weather", "arguments": arguments}), ARGUMENTS),
)


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_a_mended_row_has_the_fault_no_more_and_mending_is_pure_and_idempotent(row: Row) -> None:
    before = copy.deepcopy(row)
    for check in CHECKS:
        assert isinstance(check, RowCheck)
        struck = list(check.run(RowView(row)))
        if check.fix is None or check.fix.row is None or not struck:
            continue
        mended = check.fix.row(row)
        assert row == before
        if mended is not None:
            assert list(check.run(RowView(mended))) == []
            assert check.fix.row(mended) in (None, mended)


def test_arguments_are_decoded_as_often_as_they_were_encoded() -> None:
    [check] = [check for check in CHECKS if check.id == "tool-arguments-encoded-twice"]
    assert check.fix is not None and check.fix.row is not None and check.fix.safe
    mended = check.fix.row(_row(_call(json.dumps(json.dumps(GOOD)))))
    assert mended == _row(_call(GOOD))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://localhost:9/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"properties": {"city": {"pattern": "^(a+)+$"}}},
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        {"$schema": "http://json-schema.org/draft-07/schema#", "patternProperties": {"(": {}}},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
        {
            "$ref": "#/$defs/0",
            "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)} | {"40": {}},
        },
    ],
)
def test_no_schema_reaches_the_net_loops_or_runs_a_pattern(schema: Row) -> None:
    schema_fault(schema)
    assert argument_faults({"city": "a" * 40 + "!", "a" * 40 + "!": 1}, schema) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "[]", '"{}"', "name", "[[[["]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "function", "arguments", "parameters", "id", "role"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_value_can_stand_where_tools_do(value: object) -> None:
    _struck({"messages": value, "tools": value, "functions": value})
    _struck({"messages": [{"role": "assistant", "tool_calls": value, "function_call": value}], "tools": [value]})
