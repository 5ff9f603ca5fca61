"""Checks of a row's fields: there, text, and not empty. Roles and their order have their own file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dataset_tools.checks.base import Check, ExampleCheck, RowCheck, RowView
from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING
from dataset_tools.formats.messages import type_name

TEMPLATE_KEYS = frozenset({"chat_template", "chat_template_kwargs"})
NULL_LIKE = frozenset({"nan", "none", "null", "n/a", "na", "undefined", "nil", "#n/a", "<na>", "nat"})


def _missing_field(row: RowView) -> Iterator[str]:
    yield from row.shape_fault("missing-field")
    for turn in row.turns:
        if turn.content is MISSING:
            yield f"{turn.content_at} is missing"
        if turn.role is MISSING:
            yield f"{turn.role_at} is missing"


def _empty_field(row: RowView) -> Iterator[str]:
    yield from row.shape_fault("empty-field")
    for turn in row.turns:
        if turn.content is None:
            yield f"{turn.content_at} is null"
        elif isinstance(turn.content, str) and (not turn.content or turn.content.isspace()):
            yield f"{turn.content_at} is empty"


def _wrong_type(row: RowView) -> Iterator[str]:
    yield from row.shape_fault("wrong-type")
    for turn in row.turns:
        if turn.content is not None and turn.content is not MISSING and not isinstance(turn.content, str):
            yield f"{turn.content_at} is {type_name(turn.content)}, not a string"
        if turn.role is not MISSING and not isinstance(turn.role, str):
            yield f"{turn.role_at} is {type_name(turn.role)}, not a string"


def _template_in_row(row: RowView) -> Iterable[str]:
    found = TEMPLATE_KEYS & row.value.keys()
    return [f"the row carries {key}; the model's own template is used and this is ignored" for key in sorted(found)]


def _null_like(example: Example) -> Iterator[str]:
    answer = example.completion
    if len(answer) < 16 and answer.strip().casefold() in NULL_LIKE:
        yield f"the answer is {answer.strip()!r}"


def _weight(row: RowView) -> Iterable[str]:
    messages = row.value.get("messages")
    if not isinstance(messages, list):
        return ()
    return [
        f"messages[{index}] has weight 0, which is not honoured"
        for index, message in enumerate(messages)
        if isinstance(message, dict) and message.get("weight") == 0
    ]


def _two_formats(row: RowView) -> Iterable[str]:
    if "messages" in row.value and ("prompt" in row.value or "completion" in row.value):
        return ["the row has messages and also prompt or completion; only messages is read"]
    return ()


CHECKS: tuple[Check, ...] = (
    Check(
        id="not-an-object",
        severity="error",
        title="the row is not an object",
        why="A row needs named fields; an array, a number or a text has none.",
    ),
    Check(
        id="mixed-formats",
        severity="error",
        title="the row is in another format than most",
        why="A trainer takes one format for the whole file, often that of the first row (TRL does).",
    ),
    RowCheck(
        id="missing-field",
        severity="error",
        title="a field is missing",
        why="Without prompt or answer there is nothing to learn from the row.",
        run=_missing_field,
    ),
    RowCheck(
        id="empty-field",
        severity="error",
        title="a field is empty",
        why="An empty answer teaches the model to say nothing; an empty prompt to answer without being asked.",
        run=_empty_field,
    ),
    RowCheck(
        id="wrong-type",
        severity="error",
        title="a field is not text",
        why="Templates render numbers, lists and objects as Python prints them, or fail.",
        run=_wrong_type,
    ),
    RowCheck(
        id="chat-template-in-row",
        severity="error",
        title="the row brings its own chat template",
        why="Some trainers would run a template from the data, which differs from the one used for answering.",
        run=_template_in_row,
        on_good_rows=True,
    ),
    RowCheck(
        id="weight-ignored",
        severity="warning",
        title="weight 0 is not honoured",
        why="At OpenAI such a message is read but not trained on; here the last answer is always trained.",
        run=_weight,
        on_good_rows=True,
    ),
    RowCheck(
        id="two-formats-in-row",
        severity="warning",
        title="two formats in one row",
        why="Which of them is trained depends on the trainer.",
        run=_two_formats,
        on_good_rows=True,
    ),
    ExampleCheck(
        id="null-like-answer",
        severity="warning",
        title="the answer looks like a missing value",
        why="Spreadsheets and data frames write empty cells as such texts, and the model learns to say them.",
        run=_null_like,
    ),
)
