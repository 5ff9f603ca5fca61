"""Each written format's schema, its reader and its writer agree, row by row."""

from __future__ import annotations

import pytest
from formats_strategies import examples, mutated
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from dataset_tools.formats import FORMATS, WRITTEN, ShapeError, format_named, schema, schema_names, to_example
from dataset_tools.formats.base import Format, Value
from dataset_tools.formats.schemas import fault

# What a schema cannot say: that roles take turns, that a text is JSON, that two answers begin alike.
_UNSAID = ("role-order",)
_UNSAID_WORDS = ("not JSON", "no JSON text", "do not begin with the same one", "nested too deep")


def _readable(form: Format, value: Value) -> bool | None:
    """Whether each field of a row can be read; None where the reason is one that a schema cannot say."""
    try:
        turns = form.parts(value).turns
    except ShapeError as error:
        unsaid = error.check in _UNSAID or any(words in str(error) for words in _UNSAID_WORDS)
        return None if unsaid or _inside_text(str(error), value) else False
    if not all(turn.usable for turn in turns):
        return False
    return any(turn.role == "assistant" for turn in turns)


def _inside_text(message: str, value: Value) -> bool:
    """The fault is inside of a JSON text: tools, or a call in ShareGPT."""
    texts = isinstance(value.get("tools") or value.get("functions"), str)
    return ".value" in message or (texts and message.startswith(("tools", "functions")))


def test_every_format_has_a_schema_that_is_one() -> None:
    from jsonschema import Draft202012Validator

    assert schema_names() == tuple(sorted(form.name for form in FORMATS))
    for name in schema_names():
        Draft202012Validator.check_schema(schema(name))
        assert format_named(name).name == schema(name)["title"] == name
        assert schema(name)["description"].endswith(".")
    assert set(WRITTEN) == set(schema_names()) - {"text"}


def test_an_unknown_schema_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match=r"messages, mistral"):
        schema("../secrets")


def test_a_fault_names_the_path() -> None:
    bad = {"messages": [{"role": "bot", "content": "a"}, {"role": "assistant", "content": "b"}]}
    assert str(fault("messages", bad)).startswith("messages[0].role:")
    assert str(fault("prompt_completion", {"prompt": "a", "completion": 1})).startswith("completion")


@settings(deadline=None, max_examples=300)
@given(examples(), st.sampled_from(WRITTEN))
def test_a_written_row_is_read_back_and_meets_its_schema(example: Example, name: str) -> None:
    form = format_named(name)
    try:
        row = form.from_example(example)
    except ValueError:
        assume(False)
    back = to_example(form, row)
    assert back is not None
    assert fault(name, row) is None
    assert form.from_example(back) == row
    assert [(message.role, message.content) for message in back.messages] == [
        (message.role, message.content) for message in example.messages
    ]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_a_row_meets_its_schema_where_it_can_be_read(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(WRITTEN))
    form = format_named(name)
    try:
        row = form.from_example(data.draw(examples()))
    except ValueError:
        assume(False)
    row = data.draw(mutated(row))
    readable = _readable(form, row)
    if readable is not None:
        assert (fault(name, row) is None) == readable, (name, row, fault(name, row))
