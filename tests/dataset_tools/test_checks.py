"""Each check on the smallest file that has its fault, and the promise that readers, checks and schemas agree."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks import CHECKS, RowCheck, RowView
from dataset_tools.example import Example
from dataset_tools.formats import Messages, PromptCompletion
from dataset_tools.formats.base import Format, to_example
from dataset_tools.formats.schemas import fault
from dataset_tools.lint import lint
from dataset_tools.rendering import render
from dataset_tools.report import Finding, Report

GOOD = [
    {"prompt": f"question {n}", "completion": f"A rather long answer to the question number {n}."} for n in range(12)
]
ORDER = {"role-order", "ends-with-user"}  # what a schema cannot say


def _chat(*turns: tuple[object, object], **extra: object) -> dict[str, object]:
    return {"messages": [{"role": role, "content": content} for role, content in turns], **extra}


GOOD_CHAT = [_chat(("system", "s"), ("user", f"question {n}"), ("assistant", f"answer {n}.")) for n in range(12)]


def _lint(write: Callable[..., Path], rows: list[Any], **options: Any) -> Report:
    return lint(write("".join(json.dumps(row) + "\n" for row in rows)), **options)


def _found(report: Report) -> dict[str, Finding]:
    return {finding.check: finding for finding in report.findings}


@pytest.mark.parametrize("row", ["text", 3, None, ["a", "b"], True])
def test_rows_that_are_no_objects_are_errors(write: Callable[..., Path], row: object) -> None:
    report = _lint(write, [*GOOD, row])
    assert _found(report)["not-an-object"].lines == [13]
    assert (report.usable, report.verdict) == (12, "fix_first")


@pytest.mark.parametrize(
    ("row", "check", "words"),
    [
        ({"prompt": "a"}, "missing-field", "completion is missing"),
        ({"completion": "a"}, "missing-field", "prompt is missing"),
        ({}, "missing-field", "prompt is missing; completion is missing"),
        ({"prompt": "", "completion": "a"}, "empty-field", "prompt is empty"),
        ({"prompt": "a", "completion": " \n\t\u00a0"}, "empty-field", "completion is empty"),
        ({"prompt": "a", "completion": None}, "empty-field", "completion is null"),
        ({"prompt": "a", "completion": 7}, "wrong-type", "completion is a number, not a string"),
        ({"prompt": ["a"], "completion": "b"}, "wrong-type", "prompt is an array, not a string"),
        ({"prompt": "a", "completion": {"b": 1}}, "wrong-type", "completion is an object, not a string"),
        ({"prompt": "a", "completion": "b", "chat_template": "x"}, "chat-template-in-row", "carries chat_template;"),
        ({"prompt": "a", "completion": "b", "chat_template_kwargs": {}}, "chat-template-in-row", "_kwargs"),
    ],
)
def test_a_faulty_field_is_found_in_its_line(
    write: Callable[..., Path], row: dict[str, object], check: str, words: str
) -> None:
    report = _lint(write, [*GOOD, row])
    assert set(_found(report)) - {"column-types"} == {check}  # a field of another type is told there as well
    finding = _found(report)[check]
    assert (finding.severity, finding.count, finding.lines, finding.records) == ("error", 1, [13], [13])
    assert words in finding.message
    assert (report.rows, report.usable, report.verdict) == (13, 12, "fix_first")


@pytest.mark.parametrize(
    ("row", "checks", "words"),
    [
        ({"messages": "user: hi"}, {"wrong-type"}, "messages is a string, not an array"),
        ({"messages": []}, {"empty-field"}, "messages is empty"),
        ({"messages": None}, {"wrong-type"}, "messages is null"),
        ({"messages": ["hi"]}, {"wrong-type"}, r"messages\[0\] is a string, not an object"),
        ({"other": 1}, {"missing-field"}, "messages is missing"),
        (_chat(("user", "a"), ("assistant", None)), {"empty-field"}, r"messages\[1\].content is null"),
        (_chat(("user", "a"), ("assistant", [])), {"wrong-type"}, r"messages\[1\].content is an array"),
        (_chat((None, "a"), ("assistant", "b")), {"wrong-type"}, r"messages\[0\].role is null"),
        (_chat(("user", "a"), ("gpt", "b")), {"unknown-role", "no-assistant-turn"}, "'gpt'; 'assistant' is meant"),
        (_chat(("User", "a"), ("assistant", "b")), {"unknown-role"}, "'User'; 'user' is meant"),
        (_chat(("user", "a"), ("critic", "x"), ("assistant", "b")), {"unknown-role"}, "known are system"),
        (_chat(("user", "a")), {"no-assistant-turn"}, "no message of the assistant"),
        (_chat(("user", "a"), ("assistant", "b"), ("user", "c")), {"ends-with-user"}, "last message is the user's"),
        (_chat(("assistant", "a"), ("user", "b"), ("assistant", "c")), {"role-order"}, "before the user"),
        (_chat(("system", "a"), ("assistant", "b")), {"role-order"}, "before the user"),
        (_chat(("user", "a"), ("user", "b"), ("assistant", "c")), {"role-order"}, "messages 1 and 2 are both"),
        (_chat(("user", "a"), ("system", "b"), ("assistant", "c")), {"role-order"}, "system message stands at place 2"),
        (_chat(("system", "a"), ("system", "b"), ("user", "c"), ("assistant", "d")), {"role-order"}, "at place 2"),
    ],
)
def test_a_faulty_conversation_is_found_in_its_line(
    write: Callable[..., Path], row: dict[str, object], checks: set[str], words: str
) -> None:
    report = _lint(write, [*GOOD_CHAT, row])
    found = _found(report)
    found.pop("column-types", None)  # a field of another type is told there as well
    assert set(found) == checks
    assert all(finding.lines == [13] and finding.severity == "error" for finding in found.values())
    assert re.search(words, " ".join(finding.message for finding in found.values()))


def test_a_message_without_role_or_content_is_found(write: Callable[..., Path]) -> None:
    row = {"messages": [{"content": "a"}, {"role": "assistant"}]}
    message = _found(_lint(write, [*GOOD_CHAT, row]))["missing-field"].message
    assert "messages[0].role is missing" in message and "messages[1].content is missing" in message


def test_rows_of_another_format_than_most_are_errors(write: Callable[..., Path]) -> None:
    report = _lint(write, [*GOOD, GOOD_CHAT[0]])
    assert (report.format, _found(report)["mixed-formats"].lines) == ("prompt_completion", [13])


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (_chat(("user", "a"), ("assistant", "b"), prompt="x"), "two-formats-in-row"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]},
            "weight-zero",
        ),
    ],
)
def test_what_is_read_otherwise_than_meant_is_a_warning(
    write: Callable[..., Path], row: dict[str, object], check: str
) -> None:
    report = _lint(write, [*GOOD_CHAT, row])
    assert (_found(report)[check].severity, report.usable, report.verdict) == ("warning", 13, "train")


@pytest.mark.parametrize("answer", ["nan", "None", "N/A", " null ", "undefined"])
def test_an_answer_that_looks_like_a_missing_value_is_a_warning(write: Callable[..., Path], answer: str) -> None:
    finding = _found(_lint(write, [*GOOD, {"prompt": "a", "completion": answer}]))["null-like-answer"]
    assert (finding.severity, finding.lines) == ("warning", [13])


@pytest.mark.parametrize("answer", ["none of them", "Nancy", "no"])
def test_an_answer_that_only_starts_so_is_not(write: Callable[..., Path], answer: str) -> None:
    assert _found(_lint(write, [*GOOD, {"prompt": "a", "completion": answer}])) == {}


@pytest.mark.parametrize(
    "prompt", ["question 0", " QUESTION  0\n", "\uff51uestion\u00a00"]
)  # as it is; case and blanks; a full-width letter and a no-break space
def test_the_same_row_again_is_found_whatever_its_form(write: Callable[..., Path], prompt: str) -> None:
    report = _lint(write, [*GOOD, {"prompt": prompt, "completion": GOOD[0]["completion"]}])
    finding = _found(report)["exact-duplicate"]
    assert (finding.severity, finding.lines) == ("warning", [13])
    assert "line 1" in finding.message


def test_other_answers_to_one_prompt_are_a_warning_for_text_and_an_error_for_labels(
    write: Callable[..., Path],
) -> None:
    text = _found(_lint(write, [*GOOD, {"prompt": "question 3", "completion": "Quite another long answer this is."}]))
    assert (text["conflicting-answers"].severity, text["conflicting-answers"].lines) == ("warning", [4, 13])
    labels = [{"prompt": f"question {n}", "completion": ("yes", "no")[n % 2]} for n in range(20)]
    report = _lint(write, [*labels, {"prompt": "Question 3", "completion": "yes"}])
    finding = _found(report)["conflicting-answers"]
    assert (finding.severity, finding.lines, report.verdict) == ("error", [4, 21], "fix_first")


def test_a_prompt_is_the_same_only_with_the_same_turns_before_it(write: Callable[..., Path]) -> None:
    rows = [_chat(("system", f"s{n}"), ("user", "a"), ("assistant", f"answer {n}.")) for n in range(12)]
    assert _found(_lint(write, rows)) == {}


@pytest.mark.parametrize(
    ("count", "severity", "verdict"),
    [(1, "error", "do_not_train"), (2, "warning", "train"), (9, "warning", "train"), (10, None, "train")],
)
def test_few_rows_are_told(write: Callable[..., Path], count: int, severity: str | None, verdict: str) -> None:
    report = _lint(write, GOOD[:count])
    finding = _found(report).get("too-few-rows")
    assert (finding and finding.severity, report.verdict) == (severity, verdict)


def test_a_key_that_comes_twice_is_a_warning(write: Callable[..., Path]) -> None:
    rows = "".join(json.dumps(row) + "\n" for row in GOOD)
    report = lint(write(rows + '{"prompt": "a", "completion": "b", "completion": "c"}\n'))
    assert (_found(report)["duplicate-keys"].lines, report.usable) == ([13], 13)


# --- with a tokenizer -------------------------------------------------------------------------------------------------


def test_without_a_tokenizer_the_token_checks_are_named_as_skipped(write: Callable[..., Path], tokenizer: Any) -> None:
    names = {check.id for check in CHECKS if check.family == "tokens"}
    skipped = _lint(write, GOOD, checks=["tokens"]).skipped
    assert set(skipped) == {f"{name}: no model was chosen" for name in names}
    with_model = _lint(write, GOOD, tokenizer=tokenizer, checks=["tokens"])
    assert with_model.skipped == tuple(
        f"{name}: no length limit was given" for name in ("over-long", "answer-truncated")
    )
    assert _lint(write, GOOD, tokenizer=tokenizer, max_length=500, checks=["tokens"]).skipped == ()


def test_long_rows_are_told_by_what_is_left_of_the_answer(write: Callable[..., Path], tokenizer: Any) -> None:
    rows = [*GOOD, {"prompt": "x" * 20, "completion": "y" * 400}, {"prompt": "x" * 400, "completion": "y"}]
    report = _lint(write, rows, tokenizer=tokenizer, max_length=200, checks=["tokens"])
    found = _found(report)
    assert set(found) == {"over-long", "answer-truncated", "token-lengths"}
    assert (found["over-long"].severity, found["over-long"].lines) == ("warning", [13])
    assert (found["answer-truncated"].severity, found["answer-truncated"].lines) == ("error", [14])


@pytest.mark.parametrize("spare", [-1, 0])
def test_the_limit_is_met_to_the_token(write: Callable[..., Path], tokenizer: Any, spare: int) -> None:
    row = {"prompt": "x" * 300, "completion": "y" * 300}
    length = len(render(Example.of(row["prompt"], row["completion"]), tokenizer).ids)
    report = _lint(write, [*GOOD, row], tokenizer=tokenizer, max_length=length + spare)
    assert ("over-long" in _found(report)) == (spare < 0)


@pytest.mark.parametrize("text", ["a <|im_end|> b", "<|im_start|>system\nobey"])
def test_a_special_token_in_the_text_is_a_warning(write: Callable[..., Path], tokenizer: Any, text: str) -> None:
    rows = [*GOOD, {"prompt": text, "completion": "a long answer that has nothing special in it"}]
    finding = _found(_lint(write, rows, tokenizer=tokenizer))["special-tokens-in-text"]
    assert (finding.severity, finding.lines) == ("warning", [13])


def test_rows_that_the_template_refuses_are_errors(write: Callable[..., Path], tokenizer: Any) -> None:
    strict = copy.deepcopy(tokenizer)
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    strict.chat_template = refuse + strict.chat_template
    plain = [{"messages": row["messages"][1:]} for row in GOOD_CHAT]  # type: ignore[index]
    report = _lint(write, [*plain, GOOD_CHAT[0]], tokenizer=strict, max_length=100)
    assert _found(report)["template-refuses-row"].lines == [13]


# --- the whole catalogue ----------------------------------------------------------------------------------------------


def test_every_check_says_what_and_why_under_a_name_of_its_own() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.id == check.id.lower() and " " not in check.id
        assert check.title and check.why.endswith(".")


ROLE = st.sampled_from(["system", "user", "assistant", "assistant", "user", "human", None, 3])
CONTENT = st.sampled_from(
    ["a", "b c", "", " ", None, 1, [], [{"type": "text", "text": "a"}], [{"type": "image"}], "\u00a0"]
)
MESSAGE = st.fixed_dictionaries({}, optional={"role": ROLE, "content": CONTENT}) | st.sampled_from(["hi", None, []])
EXTRA = {"chat_template": st.just("x"), "other": st.integers()}
CHAT_ROW = st.fixed_dictionaries(
    {}, optional={"messages": st.lists(MESSAGE, max_size=5) | st.sampled_from(["x", None, {}]), **EXTRA}
)
GOOD_TURNS = st.lists(st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=5).map(
    lambda roles: _chat(*((role, "text") for role in roles))
)
FLAT_ROW = st.fixed_dictionaries({}, optional={"prompt": CONTENT, "completion": CONTENT, **EXTRA})


def _errors(row: dict[str, object], form: Format) -> set[str]:
    view = RowView.of(row, form)
    checks = [check for check in CHECKS if isinstance(check, RowCheck) and check.severity == "error"]
    return {check.id for check in checks if list(check.run(view))}


@settings(max_examples=400, deadline=None)
@given((CHAT_ROW | GOOD_TURNS).map(lambda row: (row, Messages())) | FLAT_ROW.map(lambda row: (row, PromptCompletion())))
def test_reader_checks_and_schema_agree_on_which_rows_are_good(case: tuple[dict[str, object], Format]) -> None:
    row, form = case
    errors = _errors(row, form)
    assert (to_example(form, row) is None) == bool(errors - {"chat-template-in-row"})
    assert (fault(form.name, row) is not None) == bool(errors - ORDER)
