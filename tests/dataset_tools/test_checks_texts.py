"""Changing the texts of rows: in every format, and nothing beside them."""

from __future__ import annotations

import pytest
from check_cases import row_fix
from formats_strategies import plain_examples
from hypothesis import given, settings

from dataset_tools.checks.texts import is_rendered, map_answers, map_texts, until_stable
from dataset_tools.example import Example
from dataset_tools.formats import WRITTEN, format_named, to_example


@settings(max_examples=60, deadline=None)
@given(plain_examples())
def test_texts_are_changed_in_every_format_and_nothing_else(example: Example) -> None:
    for form in map(format_named, WRITTEN):
        try:
            row = form.from_example(example)
        except ValueError:
            continue
        before = to_example(form, row)
        changed = to_example(form, map_texts(row, lambda text: f"{text}!"))
        answered = to_example(form, map_answers(row, lambda text: f"{text}?"))
        assert before is not None and changed is not None and answered is not None
        assert [(m.role, m.content) for m in changed.messages] == [(m.role, f"{m.content}!") for m in before.messages]
        assert (answered.prompt, answered.completion) == (before.prompt, f"{before.completion}?")


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ({"Review Text": "a", "Label ": "b", "id": "a"}, {"Review Text": "A", "Label ": "B", "id": "a"}),
        ({"instruction": "a", "input": "b", "output": "c"}, {"instruction": "A", "input": "B", "output": "C"}),
        ({"instruction": "a", "response": "b", "source": "a"}, {"instruction": "A", "response": "B", "source": "a"}),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": "A", "chosen": "B", "rejected": "C"}),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "url": "a"}]}]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "image", "url": "a"}]}]},
        ),
        (
            {"history": [["a", "b"]], "messages": "a", "prompt": None},
            {"history": [["A", "B"]], "messages": "a", "prompt": None},
        ),
        (
            {"conversations": [{"from": "human", "value": "a"}, 3]},
            {"conversations": [{"from": "human", "value": "A"}, 3]},
        ),
    ],
)
def test_texts_are_told_from_what_is_beside_them(row: dict[str, object], changed: dict[str, object]) -> None:
    assert map_texts(row, str.upper) == changed
    assert map_texts(row, str) is row


def test_a_text_is_not_left_blank() -> None:
    assert row_fix("zero-width")({"prompt": "\u200b", "completion": "a"}) is None


def test_a_change_that_does_not_come_to_rest_is_not_made() -> None:
    assert until_stable(lambda text: text + "x")("a") == "a"
    assert until_stable(lambda text: text.replace("ab", ""))("aaabbb") == ""


def test_a_row_that_is_one_rendered_text_is_told() -> None:
    assert is_rendered({"text": "<s>[INST] a [/INST] b </s>"})
    assert not is_rendered({"text": "a", "label": "b"})
    assert not is_rendered({"text": "[INST] a [/INST]", "label": "b"})
