"""Checks of a row's fields: there, under the right name, text, and not empty. Roles have their own file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dataset_tools.checks import message_keys, values
from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, RowCheck, RowView, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.keys import misnamed_keys, with_usual_keys
from dataset_tools.checks.turns import each_turn
from dataset_tools.formats.base import MISSING, type_name

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
        if turn.calls:
            continue
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
    found = values.TEMPLATE_KEYS & row.value.keys()
    return [f"the row carries {key}; the model's own template is used and this is ignored" for key in sorted(found)]


def _null_like(row: ExampleView) -> Iterable[str]:
    answer = row.contents[-1]
    if len(answer) < 16 and answer.strip().casefold() in NULL_LIKE:
        return [f"the answer is {answer.strip()!r}"]
    return ()


def _content_parts(row: RowView) -> Iterator[str]:
    for at, turn in each_turn(row.value):
        for key in ("content", "value"):
            if values.joined_parts(turn.get(key)) is not None:
                yield f"{at}.{key} is a list of parts, which are joined to one text"


def _weight_zero(row: RowView) -> Iterable[str]:
    turns = list(each_turn(row.value))
    if turns and turns[-1][1].get("weight") == 0:
        return [f"{turns[-1][0]}, the answer, has weight 0: nothing of the row is trained"]
    return ()


def _odd_weight(row: RowView) -> Iterator[str]:
    for at, turn in each_turn(row.value):
        for key in ("weight", "loss_weight"):
            if values.is_odd_weight(turn.get(key)):
                yield f"{at}.{key} is {turn[key]}, neither 0 nor 1"


def _two_formats(row: RowView) -> Iterable[str]:
    if "messages" in row.value and values.SINGLE_KEYS & row.value.keys():
        return ["the row has messages and also prompt or completion; only messages is read"]
    return ()


def _extra_columns(setting: Setting) -> Iterator[Hit]:
    if setting.format is None or not setting.fields:
        return
    blank: Mapping[str, Any] = dict.fromkeys(setting.fields)
    read = {path.partition("[")[0].partition(".")[0] for path in setting.format.reads(blank)}
    extra = [name for name in setting.fields if name not in read and name not in values.TEMPLATE_KEYS]
    if extra:
        named = ", ".join(repr(name[:40]) for name in extra[:6]) + (", ..." if len(extra) > 6 else "")
        yield Hit(f"not used: {named}")


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
        id="misnamed-key",
        severity="error",
        title="a key under another name",
        why="Trainers look for the exact key: a row with another one is refused, or silently empty.",
        run=misnamed_keys,
        fix=Fix(what="name the keys as usual", row=with_usual_keys),
    ),
    RowCheck(
        id="missing-field",
        severity="error",
        title="a field is missing",
        why="Without prompt or answer there is nothing to learn from the row.",
        run=_missing_field,
    ),
    RowCheck(
        id="wrong-type",
        severity="error",
        title="a field is not text",
        why="Templates render numbers, lists and objects as Python prints them, or fail.",
        run=_wrong_type,
        fix=Fix(
            what="write numbers, lists of one text and objects as text; read a conversation given as text",
            row=values.with_texts,
        ),
    ),
    RowCheck(
        id="template-broken",
        severity="error",
        title="the chat template in the text is broken",
        why="Marks that do not pair (a nested [INST], a missing end) do not tell the question from the answer.",
        run=lambda row: row.shape_fault("template-broken"),
        fix=Fix(what="drop the row", drop=True),
    ),
    RowCheck(
        id="empty-field",
        severity="error",
        title="a field is empty",
        why="An empty answer teaches the model to say nothing; an empty prompt to answer without being asked.",
        run=_empty_field,
        fix=Fix(what="drop the row", drop=True),
    ),
    RowCheck(
        id="chat-template-in-row",
        severity="error",
        title="the row brings its own chat template",
        why="Some trainers would run a template from the data, which differs from the one used for answering.",
        run=_template_in_row,
        on_good_rows=True,
        fix=Fix(what="leave the template out", row=values.without_template),
    ),
    RowCheck(
        id="weight-not-0-or-1",
        severity="error",
        title="a weight that is neither 0 nor 1",
        why="OpenAI's and Mistral's fine-tuning know only these two and refuse others.",
        run=_odd_weight,
        on_good_rows=True,
        fix=Fix(what="round the weight to 0 or 1", row=values.with_plain_weights),
    ),
    RowCheck(
        id="weight-zero",
        severity="warning",
        title="the answer has weight 0",
        why="Such a message is read and not trained on, so the row costs time and teaches nothing.",
        run=_weight_zero,
        on_good_rows=True,
        fix=Fix(what="drop the row", drop=True),
    ),
    RowCheck(
        id="content-parts",
        severity="warning",
        title="a content in parts",
        why="Services take it, but many chat templates print the list as it stands, or fail on it.",
        run=_content_parts,
        on_good_rows=True,
        fix=Fix(what="join the parts to one text", safe=True, row=values.with_flat_contents),
    ),
    *message_keys.CHECKS,
    RowCheck(
        id="two-formats-in-row",
        severity="warning",
        title="two formats in one row",
        why="Which of them is trained depends on the trainer.",
        run=_two_formats,
        on_good_rows=True,
        fix=Fix(what="keep the messages", row=values.without_single_turn),
    ),
    ExampleCheck(
        id="null-like-answer",
        severity="warning",
        family="text",
        title="the answer looks like a missing value",
        why="Spreadsheets and data frames write empty cells as such texts, and the model learns to say them.",
        run=_null_like,
        fix=Fix(what="drop the row", drop=True),
    ),
    DatasetCheck(
        id="extra-columns",
        severity="info",
        family="columns",
        title="columns that are not used",
        why="They are neither shown to the model nor trained on; some services refuse files with such columns.",
        run=_extra_columns,
    ),
)
