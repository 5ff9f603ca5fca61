"""Fields and roles: what is misnamed is named, and what a fix mends has the fault no more, whatever the row holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks import CHECKS, Check, ExampleCheck, RowCheck, RowView, fields, roles
from dataset_tools.formats import Messages, PromptCompletion, to_example
from dataset_tools.formats.alpaca import Alpaca
from dataset_tools.formats.base import Format
from dataset_tools.formats.sharegpt import ShareGPT
from dataset_tools.lint import lint

Row = dict[str, Any]
_BY_ID: dict[str, Check] = {check.id: check for check in CHECKS}


def _struck(check: RowCheck, row: Row, form: Format) -> list[str]:
    """What lint would hear from a check about a row."""
    good = to_example(form, row) is not None
    view = RowView(row) if good else RowView.of(row, form)
    return list(check.run(view)) if check.on_good_rows or not good else []


def _mended(check: str, row: Row) -> Row | None:
    fix = _BY_ID[check].fix
    assert fix is not None and fix.row is not None
    made = fix.row(row)
    return None if made is None else dict(made)


def _chat(*turns: tuple[object, object]) -> Row:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def _shared(*turns: tuple[object, object]) -> Row:
    return {"conversations": [{"from": speaker, "value": value} for speaker, value in turns]}


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "form", "words"),
    [
        ({"Prompt": "a", "Completion": "b"}, PromptCompletion(), "'Prompt' stands where 'prompt' is expected"),
        ({"prompt ": "a", "completion": "b"}, PromptCompletion(), "'prompt ' stands where 'prompt'"),
        ({"prompt": "a", "compeltion": "b"}, PromptCompletion(), "'compeltion' stands where 'completion'"),
        ({"prompt": "a", "response": "b", "id": 1}, PromptCompletion(), "'response' stands where 'completion'"),
        ({"question": "a", "answer": "b"}, PromptCompletion(), "'question' stands where 'prompt'"),
        ({"Instruction": "a", "Input": "c", "Output": "b"}, Alpaca(), "'Output' stands where 'output'"),
        ({"conversation": []}, ShareGPT(), "'conversation' stands where 'conversations'"),
        ({"message": []}, Messages(), "'message' stands where 'messages'"),
        (
            {"messages": [{"Role": "user", "content": "a"}, {"role": "assistant", "text": "b"}]},
            Messages(),
            "'Role' stands where 'role' is expected in messages[0]",
        ),
    ],
)
def test_a_misnamed_key_is_named_with_the_one_that_is_meant(row: Row, form: Format, words: str) -> None:
    check = _BY_ID["misnamed-key"]
    assert isinstance(check, RowCheck)
    assert words in "; ".join(_struck(check, row, form))


@pytest.mark.parametrize(
    "row", [{"prompt": "a"}, {"prompt": "a", "id": 1, "source": "b"}, {"prompt": "a", "answer": "b", "label": "c"}, {}]
)
def test_a_key_that_is_not_there_or_not_sure_is_not_guessed(row: Row) -> None:
    check = _BY_ID["misnamed-key"]
    assert isinstance(check, RowCheck)
    assert _struck(check, row, PromptCompletion()) == []


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"Prompt": "a", "id": 1, "Completion": "b"}, {"prompt": "a", "id": 1, "completion": "b"}),
        ({"question": "a", "answer": "b"}, {"prompt": "a", "completion": "b"}),
        ({"prompt": "a", "reply": "b"}, {"prompt": "a", "completion": "b"}),
        ({"Instruction": "a", "Input": "", "Output": "b"}, {"instruction": "a", "input": "", "output": "b"}),
        ({"conversation": []}, {"conversations": []}),
        ({"messages": [{"Role": "user", "text": "a"}]}, {"messages": [{"role": "user", "content": "a"}]}),
        ({"conversations": [{"from": "human", "text": "a"}]}, {"conversations": [{"from": "human", "value": "a"}]}),
        ({"question": "a", "input": "c", "answer": "b"}, None),
        ({"prompt": "a", "completion": "b", "Prompt": "c"}, None),
    ],
)
def test_keys_are_renamed_in_their_place_or_left(row: Row, wanted: Row | None) -> None:
    mended = _mended("misnamed-key", row)
    assert mended == wanted
    assert wanted is None or list(mended or {}) == list(wanted)


def test_planted_keys_are_found_in_their_places(messy: Path) -> None:
    expected = json.loads((messy / "expected.json").read_text())
    for name in ("alpaca_banking.json", "sharegpt_coffee.jsonl", "trivia_broken.jsonl"):
        planted = [fault["where"] for fault in expected[name]["findings"] if fault["kind"] == "unexpected_key_names"]
        [finding] = [finding for finding in lint(messy / name).findings if finding.check == "misnamed-key"]
        by_record = "0-based" in expected[name]["unit"]
        assert (finding.records if by_record else finding.lines) == [place + by_record for place in planted]


# --- roles and values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "row", "wanted"),
    [
        ("unknown-role", _chat(("Human", "a"), ("bot", "b")), _chat(("user", "a"), ("assistant", "b"))),
        ("unknown-role", _shared(("customer", "a"), ("AI", "b")), _shared(("human", "a"), ("gpt", "b"))),
        ("unknown-role", _chat(("moderator", "a"), ("assistant", "b")), None),
        (
            "role-order",
            _chat(("user", "a"), ("user", "b"), ("assistant", "c")),
            _chat(("user", "a\n\nb"), ("assistant", "c")),
        ),
        (
            "role-order",
            _chat(("user", "a"), ("system", "s"), ("assistant", "b")),
            _chat(("system", "s"), ("user", "a"), ("assistant", "b")),
        ),
        (
            "role-order",
            _chat(("system", "s"), ("assistant", "x"), ("user", "a"), ("system", "t"), ("assistant", "b")),
            _chat(("system", "s\n\nt"), ("user", "a"), ("assistant", "b")),
        ),
        ("role-order", _shared(("gpt", "x"), ("human", "a"), ("gpt", "b")), _shared(("human", "a"), ("gpt", "b"))),
        ("role-order", _chat(("assistant", "b"), ("system", "s"), ("user", "a")), None),
        ("role-order", _chat(("user", "a"), ("user", None), ("assistant", "c")), None),
        (
            "ends-with-user",
            _chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "d")),
            _chat(("user", "a"), ("assistant", "b")),
        ),
        ("wrong-type", {"messages": json.dumps(_chat(("user", "a"))["messages"])}, _chat(("user", "a"))),
        ("wrong-type", {"prompt": "a", "completion": ["b"]}, {"prompt": "a", "completion": "b"}),
        ("wrong-type", {"prompt": 3, "completion": {"b": [1]}}, {"prompt": "3", "completion": '{"b": [1]}'}),
        ("wrong-type", {"prompt": "a", "completion": ["b", "c"]}, None),
        ("wrong-type", _chat(("user", 1), ("assistant", "b")), _chat(("user", "1"), ("assistant", "b"))),
        (
            "content-parts",
            _chat(("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), ("assistant", "c")),
            _chat(("user", "ab"), ("assistant", "c")),
        ),
        ("content-parts", _chat(("user", [{"type": "image", "url": "x"}]), ("assistant", "c")), None),
        ("chat-template-in-row", {"prompt": "a", "chat_template": "x"}, {"prompt": "a"}),
        ("two-formats-in-row", {"messages": [], "prompt": "a"}, {"messages": []}),
        (
            "weight-not-0-or-1",
            {"messages": [{"role": "user", "content": "a", "weight": 0.7}]},
            {"messages": [{"role": "user", "content": "a", "weight": 1}]},
        ),
    ],
)
def test_a_fix_does_what_it_says_or_nothing(check: str, row: Row, wanted: Row | None) -> None:
    before = copy.deepcopy(row)
    assert _mended(check, row) == wanted
    assert row == before


def test_a_system_message_beside_the_turns_takes_in_the_one_among_them() -> None:
    row = {**_chat(("user", "a"), ("system", "t"), ("assistant", "b")), "system": "s"}
    assert _mended("role-order", row) == {**_chat(("user", "a"), ("assistant", "b")), "system": "s\n\nt"}


ROLE = st.sampled_from(["system", "user", "user", "assistant", "assistant", "tool", "human", "Bot", "critic", None, 3])
CONTENT = st.sampled_from(
    ["a", "b c", "", " ", None, 1, 2.5, True, [], ["x"], [{"type": "text", "text": "a"}], [{"type": "image"}], {"k": 1}]
)
WEIGHT = st.sampled_from([0, 1, 0.5, 2, "1", None, True])
CHAT_TURN = st.fixed_dictionaries(
    {}, optional={"role": ROLE, "content": CONTENT, "weight": WEIGHT, "Role": ROLE, "text": CONTENT}
)
SPEAKER = st.sampled_from(["human", "gpt", "system", "customer", "function_call", "observation", "User", None])
SHARED_TURN = st.fixed_dictionaries({}, optional={"from": SPEAKER, "value": CONTENT, "weight": WEIGHT, "text": CONTENT})
TURNS = st.lists(CHAT_TURN | SHARED_TURN | st.sampled_from(["hi", None]), max_size=5)
GOOD_TURNS = st.lists(st.tuples(ROLE, st.sampled_from(["a", "b", ""])), max_size=6).map(lambda t: _chat(*t)["messages"])
LISTS = TURNS | GOOD_TURNS | st.sampled_from(["x", '[{"role": "user", "content": "a"}]', None, {}, "[[[["])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "messages": LISTS,
        "conversations": LISTS,
        "conversation": LISTS,
        **dict.fromkeys(
            ["prompt", "completion", "Prompt", "answer", "question", "instruction", "Output", "input"], CONTENT
        ),
        "system": st.sampled_from(["s", "", None, 3]),
        "chat_template": st.just("x"),
        "tools": st.sampled_from([None, [], "x"]),
    },
)
FORMS = st.sampled_from([Messages(), ShareGPT(), PromptCompletion(), Alpaca()])
# A key that is the usual one elsewhere need not be the one that this format lacks.
NOT_SURE = {"misnamed-key"}
MENDING = [
    check for check in (*fields.CHECKS, *roles.CHECKS) if isinstance(check, RowCheck) and check.fix and check.fix.row
]


@settings(max_examples=600, deadline=None)
@given(ROWS, FORMS)
def test_mending_is_pure_and_idempotent_and_takes_the_fault_away(row: Row, form: Format) -> None:
    before = copy.deepcopy(row)
    for check in MENDING:
        assert check.fix is not None and check.fix.row is not None
        struck = _struck(check, row, form)
        made = check.fix.row(row)
        assert row == before
        if made is None:
            continue
        again = check.fix.row(made)
        assert again is None or again == made
        if struck and check.id in ("content-parts", "chat-template-in-row", "two-formats-in-row", "weight-not-0-or-1"):
            assert _struck(check, dict(made), form) == []


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(ROLE, st.sampled_from(["a", "b c"])), min_size=1, max_size=7), st.booleans())
def test_turns_that_a_fix_has_ordered_are_in_order(turns: list[tuple[object, str]], shared: bool) -> None:
    row = _shared(*turns) if shared else _chat(*turns)
    form: Format = ShareGPT() if shared else Messages()
    for name in ("unknown-role", "role-order", "ends-with-user"):
        check = _BY_ID[name]
        assert isinstance(check, RowCheck)
        if _struck(check, row, form):
            made = _mended(name, row)
            if made is not None and not (name == "unknown-role" and _still_unknown(made)):
                assert _struck(check, made, form) == []


def _still_unknown(row: Row) -> bool:
    """Whether a role is left that stands for none."""
    names = {turn.get("role", turn.get("from")) for turns in row.values() for turn in turns}
    return bool(names & {"critic", None, 3})


def test_checks_that_drop_rows_say_so() -> None:
    for check in (*fields.CHECKS, *roles.CHECKS):
        if check.fix is not None:
            assert check.fix.drop != (check.fix.row is not None)
            assert not (check.fix.drop and check.fix.safe)
    assert isinstance(_BY_ID["null-like-answer"], ExampleCheck)


# --- in a file --------------------------------------------------------------------------------------------------------


def _lines(write: Callable[..., Path], rows: list[Row]) -> dict[str, tuple[str, list[int]]]:
    report = lint(write("".join(json.dumps(row) + "\n" for row in rows)), checks=["structure"])
    return {finding.check: (finding.severity, finding.lines) for finding in report.findings}


GOOD = [_chat(("user", f"question {n}"), ("assistant", f"answer {n}")) for n in range(12)]


def test_parts_weights_and_odd_keys_are_told_of_good_rows(write: Callable[..., Path]) -> None:
    parts = _chat(("user", [{"type": "text", "text": "a"}]), ("assistant", "b"))
    zero = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}
    early = _chat(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    early["messages"][1]["weight"] = 0
    half = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]}
    odd = {"messages": [{"role": "user", "content": "a", "mood": "sad"}, {"role": "assistant", "content": "b"}]}
    assert _lines(write, [*GOOD, parts, zero, early, half, odd]) == {
        "content-parts": ("warning", [13]),
        "weight-zero": ("warning", [14]),
        "weight-not-0-or-1": ("error", [16]),
        "unread-message-keys": ("info", [17]),
    }


def test_columns_that_are_not_used_are_told_once(write: Callable[..., Path]) -> None:
    rows = [{"prompt": f"question {n}", "completion": "a", "id": n, "source": "b", "group": n} for n in range(12)]
    report = lint(write("".join(json.dumps(row) + "\n" for row in rows)), checks=["columns"])
    [finding] = report.findings
    assert (finding.check, finding.severity, finding.count) == ("extra-columns", "info", 1)
    assert "'id', 'source'" in finding.message and "group" not in finding.message
