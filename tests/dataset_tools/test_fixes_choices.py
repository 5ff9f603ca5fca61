"""Fixes that have to choose: types of a column, rows over the limit, keys of messages, labels that contradict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks.column_fixes import as_type
from dataset_tools.errors import DataError, UsageError
from dataset_tools.fixes import KINDS, FixResult, Needs, apply_fixes, plan_fixes, undo
from dataset_tools.fixes.log import rejects_path
from dataset_tools.formats import Messages
from dataset_tools.formats.base import to_example
from dataset_tools.lint import lint
from dataset_tools.rendering import render

Row = dict[str, Any]
Write = Callable[..., Path]
LIMIT = 200


def _file(write: Write, rows: list[Row]) -> Path:
    return write("".join(json.dumps(row) + "\n" for row in rows))


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _reasons(result: FixResult) -> list[tuple[str, Row]]:
    return [(row["check"], row["row"]) for row in _rows(rejects_path(result.target))] if result.rejects else []


def _pairs(count: int = 12, **more: Any) -> list[Row]:
    return [{"prompt": f"question {n}", "completion": f"The answer to it is {n}.", **more} for n in range(count)]


def _chat(*texts: str, **more: Any) -> Row:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text, **more} for n, text in enumerate(texts)]}


def _tokens(messages: list[Row], tokenizer: Any) -> int:
    example = to_example(Messages(), {"messages": messages})
    assert example is not None
    return len(render(example, tokenizer).ids)


def _found(path: Path, **options: Any) -> dict[str, int]:
    return {finding.check: finding.count for finding in lint(path, **options).findings}


# --- one type a column ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usual", "odd", "made"),
    [
        ("seven", 7, "7"),
        ("a", 0.5, "0.5"),
        ("a", True, "true"),
        ("a", ["b"], '["b"]'),
        (7, "12", 12),
        (0.5, "-1e-07", -1e-07),
        (True, "false", False),
        ([], '[1,  {"a": "b"}]', [1, {"a": "b"}]),
        ({}, '{"a": null}', {"a": None}),
    ],
)
def test_a_value_is_written_in_the_usual_type_where_it_stays_the_same(
    write: Write, usual: Any, odd: Any, made: Any
) -> None:
    path = _file(write, [*_pairs(id=usual), *_pairs(1, id=odd), *_pairs(2)])
    [fix] = [fix for fix in plan_fixes(path).fixes if fix.check == "column-types"]
    assert (fix.id, fix.safe, fix.count) == ("column-types:convert", False, 1)
    assert json.loads(fix.samples[0].before)["id"] == odd
    result = apply_fixes(path, fixes=["column-types:convert"])
    assert _rows(result.target)[12]["id"] == made
    assert "column-types" not in _found(result.target)
    assert undo(result.target).exact


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        (7, "012"),
        (7, "1.50"),
        (7, "twelve"),
        (7, "99999999999999999999"),
        (7, True),
        (True, "True"),
        ({}, '{"a": 1, "a": 2}'),
        ([], "x"),
        ([], {}),
        ("a", 1e300),
    ],
)
def test_what_would_be_another_value_is_left_or_dropped_as_it_is_confirmed(write: Write, usual: Any, odd: Any) -> None:
    path = _file(write, [*_pairs(id=usual), *_pairs(1, id=odd)])
    left = apply_fixes(path, fixes=["column-types:convert", "blank-line"])
    assert (left.counts, left.left) == ({}, {"column-types": 1})
    dropped = apply_fixes(path, fixes=["column-types"])
    assert _reasons(dropped) == [("column-types:drop", _pairs(1, id=odd)[0])]
    assert "column-types" not in _found(dropped.target)
    assert dropped.left == {}


def test_every_row_is_written_in_the_usual_type_however_many_there_are(write: Write) -> None:
    rows = [{"prompt": f"q {n}", "completion": f"a {n}", "id": n if n < 1500 else str(n)} for n in range(4000)]
    result = apply_fixes(_file(write, rows), fixes=["column-types"])
    assert result.counts == {"column-types:convert": 1500}
    assert [row["id"] for row in _rows(result.target)] == [str(n) for n in range(4000)]


def test_rows_that_are_bad_for_another_reason_are_written_in_the_usual_type_too(write: Write) -> None:
    path = _file(write, [*_pairs(id="a"), {"prompt": "p", "completion": "", "id": 7}])
    assert _rows(apply_fixes(path, fixes=["column-types"]).target)[12]["id"] == "7"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.sampled_from(["a text", "a number", "true or false", "a list", "an object"]))
def test_a_value_in_another_type_is_the_same_when_it_is_read_back(value: Any, wanted: str) -> None:
    made = as_type(value, wanted)
    if made is not None:
        assert type(made) is not type(value)
        assert (json.loads(made) if isinstance(made, str) else made) == (
            json.loads(value) if isinstance(value, str) else value
        )
        assert as_type(made, wanted) is None


# --- longer than the limit --------------------------------------------------------------------------------------------


def test_a_conversation_loses_as_few_of_its_first_turns_as_make_it_fit(write: Write, tokenizer: Any) -> None:
    rule = {"role": "system", "content": "rule"}
    talk = _chat("a" * 60, "b", "c" * 20, "d", "e" * 20, "f", "g" * 20, "h" * 150)["messages"]
    short = [_chat(f"q{n}", f"answer {n}") for n in range(12)]
    path = _file(write, [*short, {"messages": [rule, *talk]}])
    needs = Needs(tokenizer, _tokens([rule, *talk[2:]], tokenizer) - 1)
    [fix] = [fix for fix in plan_fixes(path, needs=needs).fixes if fix.check in ("over-long", "answer-truncated")]
    assert (fix.id, fix.safe, fix.count) == ("over-long:shorten", False, 1)
    result = apply_fixes(path, fixes=["over-long:shorten"], needs=needs)
    assert _rows(result.target)[-1]["messages"] == [rule, *talk[4:]]
    assert "over-long" not in _found(result.target, tokenizer=tokenizer, max_length=needs.max_length)
    assert undo(result.target).exact


def test_a_row_that_no_cut_makes_fit_is_left_or_dropped_as_it_is_confirmed(write: Write, tokenizer: Any) -> None:
    rows = [*_pairs(), {"prompt": "x" * 20, "completion": "y" * 400}, {"prompt": "x" * 400, "completion": "y"}]
    path, needs = _file(write, rows), Needs(tokenizer, LIMIT)
    only = apply_fixes(path, fixes=["over-long:shorten", "answer-truncated:shorten"], needs=needs)
    assert (only.rows, only.left) == (14, {"over-long": 1, "answer-truncated": 1})
    both = apply_fixes(path, fixes=["over-long", "answer-truncated"], needs=needs)
    assert _reasons(both) == [("over-long:drop", rows[12]), ("answer-truncated:drop", rows[13])]
    assert undo(both.target).exact


def test_a_call_of_a_tool_is_never_parted_from_its_result(write: Write, tokenizer: Any) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "a" * 200},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_call_id": "a"},
        {"role": "assistant", "content": "It rains."},
        {"role": "user", "content": "Thanks."},
        {"role": "assistant", "content": "You are welcome."},
    ]
    path = _file(write, [*[_chat(f"q{n}", f"answer {n}") for n in range(12)], {"messages": turns}])
    result = apply_fixes(path, fixes=["over-long", "answer-truncated"], needs=Needs(tokenizer, LIMIT))
    assert _rows(result.target)[-1]["messages"] == turns[4:]


# --- keys of messages -------------------------------------------------------------------------------------------------


def test_keys_of_messages_that_are_not_read_are_taken_out_when_asked(write: Write) -> None:
    odd = _chat("a", "b", mood="sad", id=3)
    path = _file(write, [*[_chat(f"q{n}", f"answer {n}") for n in range(12)], odd])
    assert apply_fixes(path).changed == 0
    result = apply_fixes(path, fixes=["unread-message-keys"])
    assert _rows(result.target)[-1] == _chat("a", "b", id=3)
    assert "unread-message-keys" not in _found(result.target)
    assert undo(result.target).exact


def test_a_text_beside_a_content_is_told_and_taken_out_when_asked(write: Write) -> None:
    both = _chat("a", "b", text="c")
    path = _file(write, [*[_chat(f"q{n}", f"answer {n}") for n in range(12)], both])
    found = {finding.check: finding for finding in lint(path).findings}
    assert found["text-beside-content"].hits[0].message.startswith("messages[0].text is another text than its content")
    assert "unread-message-keys" not in found
    result = apply_fixes(path, fixes=["text-beside-content"])
    assert _rows(result.target)[-1] == _chat("a", "b")
    assert "text-beside-content" not in _found(result.target)


def test_nothing_is_taken_out_of_a_turn_that_lacks_what_is_read(write: Write) -> None:
    lost = {"messages": [{"role": "user", "says": "a"}, {"role": "assistant", "content": "b"}]}
    path = _file(write, [*[_chat(f"q{n}", f"answer {n}") for n in range(12)], lost])
    assert _rows(apply_fixes(path, fixes=["unread-message-keys", "text-beside-content"]).target)[-1] == lost


# --- one prompt, several labels ---------------------------------------------------------------------------------------


def _labels(*others: tuple[str, str]) -> list[Row]:
    rows = [{"prompt": f"question {n}", "completion": ("yes", "no")[n % 2]} for n in range(20)]
    return [*rows, *({"prompt": prompt, "completion": label} for prompt, label in others)]


def test_the_label_that_most_rows_of_a_prompt_have_is_kept(write: Write) -> None:
    rows = _labels(("Question 3", "yes"), ("question 3", "no"))
    result = apply_fixes(_file(write, rows), fixes=["conflicting-answers"])
    assert _reasons(result) == [("conflicting-answers", rows[20])]
    assert "another answer than at line 4" in _rows(rejects_path(result.target))[0]["reason"]
    assert "conflicting-answers" not in _found(result.target)
    assert undo(result.target).exact


def test_a_tie_between_labels_is_left_to_the_user(write: Write) -> None:
    path = _file(write, _labels(("question 3", "yes"), ("question 4", "no"), ("question 4", "no")))
    result = apply_fixes(path, fixes=["conflicting-answers"])
    assert [row["prompt"] for _, row in _reasons(result)] == ["question 4"]
    assert result.left == {"conflicting-answers": 2}
    assert _found(result.target)["conflicting-answers"] == 2


def test_several_answers_in_open_text_are_no_fault_that_is_fixed(write: Write) -> None:
    rows = [*_pairs(), *_pairs(1), {"prompt": "question 0", "completion": "Quite another long answer this is."}]
    path = _file(write, rows)
    [finding] = [finding for finding in lint(path).findings if finding.check == "conflicting-answers"]
    assert finding.fix is None
    assert apply_fixes(path, fixes=["conflicting-answers", "blank-line"]).counts == {}


def test_a_label_that_is_only_spelt_otherwise_is_mended_and_its_row_kept(write: Write) -> None:
    rows = [*_labels(("question 3", "No"), ("question 3", "no")), *_labels()]
    rows[3]["completion"], rows[20]["completion"] = "no", " NO."
    result = apply_fixes(_file(write, rows), fixes=["conflicting-answers", "label-variant"])
    assert result.counts == {"label-variant": 1}
    assert result.rows == len(rows)


# --- together ---------------------------------------------------------------------------------------------------------

ODD: list[Row] = [
    {"prompt": "p", "completion": "yes", "id": 1},
    {"prompt": "p", "completion": "no", "id": "1"},
    {"prompt": "p", "completion": "no", "id": "x"},
    {"prompt": "q", "completion": "yes", "id": [1], "n": 1},
    {"prompt": "q", "completion": "YES", "id": None, "n": "1"},
    {"prompt": "q", "completion": "no", "id": 0.5, "n": "one"},
    {"prompt": "x" * 120, "completion": "yes", "n": 2},
    {"prompt": "p", "completion": "y" * 120, "id": 2, "n": True},
    _chat("a", "b", text="c", mood=1),
    _chat("a" * 90, "b", "c", "d", id=1),
    _chat("a", "b" * 150),
    {**_chat("a" * 90, "b" * 90, "c", "d"), "id": 7},
]
IDS = st.sets(st.sampled_from(sorted(KINDS)), max_size=12) | st.just(set(KINDS))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*ODD, *_labels()[:4]]), min_size=1, max_size=30), IDS, st.booleans())
def test_what_has_to_choose_is_idempotent_and_undone_to_the_byte(
    tokenizer: Any, rows: list[Row], ids: set[str], drop_bad: bool
) -> None:
    needs = Needs(tokenizer, 130)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        try:
            once = apply_fixes(path, Path(folder) / "once.jsonl", fixes=ids, drop_bad=drop_bad, needs=needs)
        except (DataError, UsageError):
            return
        twice = apply_fixes(once.target, Path(folder) / "twice.jsonl", fixes=ids, drop_bad=drop_bad, needs=needs)
        assert (twice.counts, twice.target.read_bytes()) == ({}, once.target.read_bytes())
        assert undo(once.target, into=Path(folder) / "back.jsonl").exact
