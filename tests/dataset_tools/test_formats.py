from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.example import Example, Message
from dataset_tools.formats import FORMATS, Messages, PromptCompletion, detect_format, format_named, schema, schema_names
from dataset_tools.formats.base import to_example
from dataset_tools.formats.prompt_completion import find_columns
from dataset_tools.formats.schemas import fault

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
FLAT = {"prompt": "a", "completion": "b"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not text.isspace())


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["prompt", "completion"], ("prompt", "completion")),
        (["Question", "id", "Answer"], ("Question", "Answer")),
        (["Review Text", "Label"], ("Review Text", "Label")),
        (["INPUT", "OUTPUT"], ("INPUT", "OUTPUT")),
        (["user_input", "model_output"], ("user_input", "model_output")),
        (["prompt", "input", "completion"], ("prompt", "completion")),
        (["instruction", "input", "output"], None),
        (["text", "answer", "label"], None),
        (["text"], None),
        (["label", "answer"], None),
        ([], None),
    ],
)
def test_columns_are_mapped_where_exactly_one_fits_each_side(columns: list[str], found: tuple[str, str] | None) -> None:
    form = find_columns(columns)
    assert (form and (form.prompt, form.completion)) == found


def test_only_columns_with_other_names_are_told_as_mapped() -> None:
    assert PromptCompletion("question", "completion").mapped() == ["question -> prompt"]
    assert PromptCompletion().mapped() == []


@pytest.mark.parametrize(
    ("values", "name", "candidates"),
    [
        ([FLAT] * 3, "prompt_completion", ["prompt_completion"]),
        ([CHAT] * 3, "messages", ["messages"]),
        ([FLAT, CHAT, CHAT], "messages", ["messages", "prompt_completion"]),
        ([CHAT, FLAT, FLAT], "prompt_completion", ["messages", "prompt_completion"]),
        ([{"question": "a", "answer": "b"}] * 2, "prompt_completion", ["prompt_completion"]),
        ([{"prompt": "a"}], "prompt_completion", ["prompt_completion"]),
        ([{"messages": None}], "messages", ["messages"]),
    ],
)
def test_the_format_of_most_rows_is_the_format_of_the_file(
    values: list[dict[str, object]], name: str, candidates: list[str]
) -> None:
    detected = detect_format(values)
    assert detected is not None
    assert (detected.format.name, [form.name for form in detected.candidates]) == (name, candidates)


@pytest.mark.parametrize(
    "values", [[], [{}], [{"conversations": []}], [{"instruction": "a", "input": "", "output": "b"}]]
)
def test_no_format_is_guessed_where_none_fits(values: list[dict[str, object]]) -> None:
    assert detect_format(values) is None


def test_a_row_becomes_an_example_with_its_place_and_group() -> None:
    example = to_example(PromptCompletion("q", "a"), {"q": "x", "a": "y", "group": 7}, line=3, record=2)
    assert example == Example((Message("user", "x"), Message("assistant", "y")), line=3, record=2, group="7")


def test_content_in_text_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "c"}]}
    example = to_example(Messages(), row)
    assert example is not None and example.question == "ab"


def test_a_conversation_does_not_fit_in_a_flat_row() -> None:
    with pytest.raises(ValueError, match="no conversation"):
        PromptCompletion().from_example(
            Example((Message("system", "s"), Message("user", "u"), Message("assistant", "a")))
        )


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3), st.none() | TEXT)
def test_every_example_comes_back_from_its_row(turns: list[tuple[str, str]], system: str | None) -> None:
    messages = [Message("system", system)] if system else []
    for user, assistant in turns:
        messages += [Message("user", user), Message("assistant", assistant)]
    example = Example(tuple(messages))
    forms = FORMATS if len(messages) == 2 else (Messages(),)
    for form in forms:
        row = form.from_example(example)
        assert to_example(form, row) == example
        assert fault(form.name, row) is None


def test_every_format_has_a_schema_that_is_one() -> None:
    from jsonschema import Draft202012Validator

    assert schema_names() == tuple(sorted(form.name for form in FORMATS))
    for name in schema_names():
        Draft202012Validator.check_schema(schema(name))
        assert format_named(name).name == schema(name)["title"] == name


def test_an_unknown_schema_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="messages, prompt_completion"):
        schema("../secrets")


def test_a_fault_names_the_path() -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}
    assert str(fault("messages", {"messages": [*row["messages"], CHAT["messages"][1]]})).startswith("messages[1].role:")
    assert str(fault("prompt_completion", {"prompt": 1, "completion": "a"})).startswith("prompt: 1 is not of type")
