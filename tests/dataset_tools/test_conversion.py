"""From any format to any other: nothing is lost without a word, and what is held comes back byte for byte."""

from __future__ import annotations

import contextlib
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from formats_strategies import TEXT, examples, mutated, plain_examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataset_tools.conversion import Conversion, convert
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message, ToolCall
from dataset_tools.formats import WRITTEN, detect_format, format_named, to_example
from dataset_tools.losses import Ledger, Loss

Row = dict[str, Any]
FLAT = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(5)]
CHAT = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": f"b{n}"}]} for n in range(3)]


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def _canonical(row: object) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _leaves(value: object, path: str = "") -> list[tuple[str, str]]:
    """Each value that is neither list nor object, with its path, as canonical JSON; a JSON text is taken apart."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in _leaves(part, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part, f"{path}[]")]
    return [] if value is None or value == "" else [(path, _canonical(value))]


def _told(path: str, losses: tuple[Loss, ...]) -> bool:
    """Whether the report names the path, or what it stands in."""
    return any(path == loss.path or path.startswith((f"{loss.path}.", f"{loss.path}[")) for loss in losses)


# --- all pairs of formats ---------------------------------------------------------------------------------------------


LOST_AS = {"rejected": ("rejected", "non_preferred_output"), "desirable": ("label",)}


def _there(a: str, b: str, example: Example) -> tuple[Row, Row, tuple[Loss, ...], Example]:
    """A row of A, the same row in B, the report, and what is read back from B."""
    first, second = format_named(a), format_named(b)
    try:
        row = first.from_example(example)
        read = to_example(first, row)
        assert read is not None
        written = second.from_example(read)
    except ValueError:
        assume(False)
    ledger = Ledger(first, second)
    ledger.add(row, read, written, contents=first.sound(row))
    back = to_example(second, written)
    assert back is not None
    return row, written, ledger.losses(), back


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.sampled_from(WRITTEN), st.sampled_from(WRITTEN), examples())
def test_there_and_back_is_byte_equal_or_the_report_says_why_not(a: str, b: str, example: Example) -> None:
    row, _, losses, back = _there(a, b, example)
    for name in ("rejected", "desirable"):  # where lost, and told, the rest is compared as if they were not
        if getattr(back, name) in ((), None) and any(loss.path in LOST_AS[name] for loss in losses):
            back = replace(back, **{name: getattr(example, name)})
    again: Row = {}
    try:
        again = format_named(a).from_example(back)
    except ValueError:
        assert losses
        return
    if not losses:
        assert _canonical(again) == _canonical(row)
    survived = set(_leaves(again))
    assert [path for path, leaf in _leaves(row) if (path, leaf) not in survived and not _told(path, losses)] == []
    if a == b:
        assert losses == ()


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(WRITTEN), st.sampled_from(WRITTEN), plain_examples(), st.booleans())
def test_plain_rows_come_back_byte_for_byte_from_every_format(a: str, b: str, example: Example, judged: bool) -> None:
    if "preference" in (a, b):
        example = replace(example, rejected=(Message("assistant", "worse"),))
    if "kto" in (a, b):
        example = replace(example, desirable=True)
    _, _, losses, back = _there(a, b, example)
    assert {loss.path for loss in losses} <= {"rejected", "non_preferred_output", "label"}
    assert back.messages == example.messages


# What each can hold beside text, so that reports of loss are not simply long: A -> B -> A without a loss.
ASKED, ANSWERED = Message("user", "u"), Message("assistant", "a")
CALL = Message("assistant", "", tool_calls=(ToolCall("f", '{"x": "ö"}', "call_1"),))
WITH_CALL = Example((ASKED, CALL, Message("tool", "r", tool_call_id="call_1"), ANSWERED))
SHORT_ID = Example((ASKED, replace(CALL, tool_calls=(ToolCall("f", "{}", "abcdefghi"),))))
NO_ID = Example((ASKED, replace(CALL, tool_calls=(ToolCall("f", '{"x": "ö"}'),)), Message("tool", "r"), ANSWERED))
NAMED = Example((Message("user", "u", "ann"), Message("assistant", "a", "bob")))
NOT_TRAINED = Example((ASKED, ANSWERED, ASKED, Message("assistant", "a", weight=0)))
LONG = Example((Message("system", "s"), ASKED, ANSWERED, Message("user", "v"), Message("assistant", "b")))
PLAIN = Example((ASKED, ANSWERED))
PAIR = replace(PLAIN, rejected=(Message("assistant", "b"),))
TOOLS = '[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]'


@pytest.mark.parametrize(
    ("a", "others", "example"),
    [
        ("messages", "messages openai together fireworks", replace(WITH_CALL, tools=TOOLS)),
        ("messages", "mistral", replace(SHORT_ID, tools=TOOLS)),
        ("messages", "openai", NAMED),
        ("messages", "openai together fireworks mistral sharegpt", NOT_TRAINED),
        ("messages", "sharegpt alpaca prompt_completion", replace(PLAIN, group="g")),
        ("alpaca", "messages sharegpt openai together fireworks mistral", LONG),
        ("sharegpt", "messages", replace(NO_ID, tools=TOOLS, group="g")),
        ("preference", "openai together fireworks", replace(PAIR, tools=TOOLS)),
        ("openai", "preference together fireworks", replace(PAIR, tools=TOOLS)),
        ("kto", "kto", replace(WITH_CALL, tools=TOOLS, desirable=False, group="g")),
    ],
)
def test_what_a_format_holds_comes_back_whole(a: str, others: str, example: Example) -> None:
    for b in others.split():
        row, _, losses, back = _there(a, b, example)
        assert losses == (), b
        assert _canonical(format_named(a).from_example(back)) == _canonical(row)


@pytest.mark.parametrize(
    ("a", "b", "example", "lost"),
    [
        ("messages", "sharegpt", WITH_CALL, "not held: messages[].tool_calls[].id, messages[].tool_call_id"),
        ("messages", "mistral", WITH_CALL, "changed: messages[].tool_calls[].id, messages[].tool_call_id"),
        ("messages", "alpaca", replace(NAMED, tools=TOOLS), "not held: messages[].name, tools"),
        ("messages", "together", replace(NAMED, group="g"), "not held: messages[].name, group"),
        ("messages", "alpaca", NOT_TRAINED, "not held: messages[].weight"),
        ("preference", "messages", PAIR, "not held: rejected"),
        ("openai", "sharegpt", PAIR, "not held: non_preferred_output"),
        ("kto", "messages", replace(PLAIN, desirable=True), "not held: label"),
        ("messages", "openai", NO_ID, "added: messages[].tool_calls[].id, messages[].tool_call_id"),
    ],
)
def test_what_a_format_cannot_hold_is_named_by_its_place(a: str, b: str, example: Example, lost: str) -> None:
    _, _, losses, _ = _there(a, b, example)
    kind, _, paths = lost.partition(": ")
    assert {(loss.kind, loss.path) for loss in losses} == {(kind, path) for path in paths.split(", ")}


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_every_value_of_any_row_is_written_or_reported(data: st.DataObject) -> None:
    """Rows as files have them: with keys of no use, in other spellings, with values in odd places."""
    a, b = data.draw(st.sampled_from(WRITTEN)), data.draw(st.sampled_from(WRITTEN))
    first, second = format_named(a), format_named(b)
    try:
        row = data.draw(mutated(first.from_example(data.draw(examples()))))
        read = to_example(first, row)
        assume(read is not None)
        assert read is not None
        written = second.from_example(read)
    except ValueError:
        assume(False)
    ledger = Ledger(first, second)
    ledger.add(row, read, written, contents=first.sound(row))
    held = {leaf for _, leaf in _leaves(written)}
    back = to_example(second, written)
    assert back is not None
    with contextlib.suppress(ValueError):  # an id that is made anew the same is not lost
        held |= {leaf for _, leaf in _leaves(first.from_example(back))}
    names = (".role", ".from", ".type")  # told in other words by each format
    missing = [path for path, leaf in _leaves(row) if leaf not in held and not path.endswith(names)]
    assert [path for path in missing if not _told(path, ledger.losses())] == []


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_converted_row_by_row(tmp_path: Path) -> None:
    source = _write(tmp_path / "in.jsonl", FLAT)
    result = convert(source, tmp_path / "out.jsonl", to="messages")
    assert (result.read_as, result.written_as, result.written, result.rejected) == (
        "prompt_completion",
        "messages",
        5,
        0,
    )
    assert (result.losses, result.rejects, result.mapped) == ((), None, ())
    assert _lines(tmp_path / "out.jsonl")[4] == {
        "messages": [{"role": "user", "content": "question 4"}, {"role": "assistant", "content": "answer 4"}]
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_rows_that_are_left_out_keep_their_line_and_the_reason(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    rows = [
        *map(json.dumps, FLAT),
        '{"prompt": "a", ',
        '{"prompt": "a"}',
        json.dumps(CHAT[0]),
        "[1]",
        json.dumps(FLAT[0]),
    ]
    source.write_text("\n".join(rows) + "\n")
    result = convert(source, tmp_path / "out.jsonl", to="alpaca")
    assert (result.written, result.rejected) == (6, 4)
    assert result.rejects == tmp_path / "out.jsonl.rejects.jsonl"
    rejects = _lines(result.rejects)
    assert [reject["line"] for reject in rejects] == [6, 7, 8, 9]
    assert [reject["record"] for reject in rejects] == [6, 7, 8, 9]
    assert "the row ends too early" in rejects[0]["reason"] and "row" not in rejects[0]
    assert rejects[1]["reason"] == "completion is missing" and rejects[1]["row"] == {"prompt": "a"}
    assert rejects[2]["reason"] == "messages, where most rows are prompt_completion"
    assert rejects[3]["reason"] == "the row is no object"


def test_rejects_of_an_earlier_conversion_do_not_stay(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert convert(_write(tmp_path / "a.jsonl", [*FLAT, {"prompt": "a"}]), target, to="messages").rejected == 1
    assert convert(_write(tmp_path / "a.jsonl", FLAT), target, to="messages").rejected == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "out.jsonl"]


def test_the_report_counts_rows_and_shows_a_value(tmp_path: Path) -> None:
    rows: list[Row] = [{**row, "source": "web", "meta": {"id": n}} for n, row in enumerate(FLAT)] + [*FLAT]
    result = convert(_write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", to="messages")
    assert result.losses == (
        Loss("meta", "not read", 5, '{"id": 0}', 1),
        Loss("source", "not read", 5, "web", 1),
    )
    told = json.loads(json.dumps(result.to_dict()))
    assert told["losses"][1] == {"path": "source", "kind": "not read", "rows": 5, "sample": "web", "line": 1}
    assert (told["written"], told["rejects"]) == (10, None)


def test_columns_can_be_named(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("Review Text,Stars,Label\ngood,5,pos\nbad,1,neg\n")
    columns = {"prompt": "Review Text", "completion": "Stars"}
    result = convert(source, tmp_path / "out.jsonl", to="prompt_completion", columns=columns)
    assert _lines(tmp_path / "out.jsonl") == [
        {"prompt": "good", "completion": "5"},
        {"prompt": "bad", "completion": "1"},
    ]
    assert result.mapped == ("Review Text -> prompt", "Stars -> completion")
    assert [(loss.path, loss.rows) for loss in result.losses] == [("Label", 2)]


def test_a_thumb_down_is_never_taught(tmp_path: Path) -> None:
    rows = [{**row, "label": n % 2 == 0} for n, row in enumerate(FLAT)]
    result = convert(_write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl", to="messages")
    assert (result.read_as, result.written, result.rejected) == ("kto", 3, 2)


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.jsonl.zst", "out.json", "out.csv", "out.tsv", "out.parquet"])
def test_every_container_is_read_back_the_same(tmp_path: Path, name: str) -> None:
    rows = [
        *FLAT,
        {"prompt": 'a "quoted" question,\nover two lines', "completion": "=1+1"},
        {"prompt": "ö\tx", "completion": " b "},
    ]
    source = _write(tmp_path / "in.jsonl", rows)
    assert convert(source, tmp_path / name, to="prompt_completion").written == len(rows)
    back = convert(tmp_path / name, tmp_path / "back.jsonl", to="prompt_completion")
    assert (_lines(tmp_path / "back.jsonl"), back.losses) == (rows, ())


def test_a_json_array_and_an_empty_remainder_are_valid_json(tmp_path: Path) -> None:
    convert(_write(tmp_path / "in.jsonl", FLAT), tmp_path / "out.json", to="messages")
    assert len(json.loads((tmp_path / "out.json").read_text())) == 5


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=4), st.sampled_from(["alpaca", "kto", "preference"]))
def test_cells_of_a_table_survive_as_they_are(tmp_path: Path, texts: list[tuple[str, str]], to: str) -> None:
    form = format_named(to)
    extra: Row = (
        {"rejected": (Message("assistant", "-"),)}
        if to == "preference"
        else {"desirable": True if to == "kto" else None}
    )
    made = [replace(Example.of(*pair), **extra) for pair in texts]
    source = _write(tmp_path / "in.jsonl", [form.from_example(example) for example in made])
    convert(source, tmp_path / "out.csv", to=to)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows: list[Row] = list(csv.DictReader(file))
    detected = detect_format(rows)
    assert detected is not None and detected.format.name == to
    assert [to_example(detected.format, row) for row in rows] == made


def test_parquet_holds_conversations_with_tools(tmp_path: Path) -> None:
    from pyarrow import parquet

    form = format_named("messages")
    rich = form.from_example(replace(WITH_CALL, tools=TOOLS, group="g"))
    weighted = form.from_example(Example((Message("user", "u"), Message("assistant", "a", weight=0))))
    convert(_write(tmp_path / "in.jsonl", [rich, weighted, *CHAT]), tmp_path / "out.parquet", to="messages")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    read = [to_example(form, row) for row in rows]
    assert read == [to_example(form, row) for row in (rich, weighted, *CHAT)]


def test_a_row_that_a_table_cannot_hold_is_left_out(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"instruction": "a", "input": "", "output": "b"},
        {"instruction": "a", "output": "b", "history": [["x", "y"]]},
    ]
    result = convert(_write(tmp_path / "in.jsonl", rows), tmp_path / "out.csv", to="alpaca")
    assert (result.written, result.rejected) == (1, 1)
    assert result.rejects is not None and "history is no text" in _lines(result.rejects)[0]["reason"]


@pytest.mark.parametrize("to", ["messages", "sharegpt", "openai", "mistral"])
def test_a_table_does_not_take_conversations(tmp_path: Path, to: str) -> None:
    with pytest.raises(UsageError, match="a table cannot hold"):
        convert(_write(tmp_path / "in.jsonl", FLAT), tmp_path / "out.csv", to=to)


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="alpaca, fireworks, kto"):
        convert(_write(tmp_path / "in.jsonl", FLAT), tmp_path / "out.jsonl", to="text")


@pytest.mark.parametrize("name", ["in.jsonl", "./in.jsonl"])
def test_the_source_is_never_written_over(tmp_path: Path, name: str) -> None:
    source = _write(tmp_path / "in.jsonl", FLAT)
    with pytest.raises(UsageError, match="over itself"):
        convert(source, tmp_path / name, to="messages")
    assert _lines(source) == FLAT


@pytest.mark.parametrize(
    ("rows", "to", "words"),
    [
        ([{"a": 1}], "messages", "no row is in a known format"),
        (FLAT, "kto", "no row can be written as kto"),
        ([1, 2], "messages", "no row is in"),
    ],
)
def test_a_file_of_which_nothing_can_be_converted_leaves_the_target_alone(
    tmp_path: Path, rows: list[Any], to: str, words: str
) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    with pytest.raises(DataError, match=words):
        convert(_write(tmp_path / "in.jsonl", rows), target, to=to)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


# --- real and damaged files -------------------------------------------------------------------------------------------


def _clean(messy: Path, name: str) -> int:
    return int(json.loads((messy / "expected.json").read_text())[name]["clean_units"])


@pytest.mark.parametrize("to", WRITTEN)
@pytest.mark.parametrize("name", ["sharegpt_coffee.jsonl", "alpaca_banking.json", "openai_chat_e2e.jsonl"])
def test_good_rows_of_damaged_files_are_converted(messy: Path, tmp_path: Path, name: str, to: str) -> None:
    if to in ("preference", "kto", "prompt_completion"):
        return
    result = convert(messy / name, tmp_path / "out.jsonl", to=to)
    assert result.written >= _clean(messy, name)
    form = format_named(to)
    assert all(to_example(form, row) is not None for row in _lines(tmp_path / "out.jsonl"))


REAL = [
    ("FastChat/dummy_conversation.json", "sharegpt", 500),
    ("LLaMA-Factory/dpo_en_demo.json", "preference", 300),
    ("LLaMA-Factory/glaive_toolcall_en_demo.json", "sharegpt", 300),
    ("LLaMA-Factory/identity.json", "alpaca", 91),
    ("LLaMA-Factory/kto_en_demo.json", "kto", 300),
    ("LLaMA-Factory/v1_sft_demo.jsonl", "messages", 500),
    ("Taskmaster/reward_00.json", "prompt_completion", 500),
    ("anthropic-cookbook/json_mode_dataset.jsonl", "messages", 500),
    ("stanford_alpaca/seed_tasks.jsonl", "alpaca", 175),
]


@pytest.mark.parametrize(("name", "read_as", "rows"), REAL)
def test_published_files_are_told_by_content_and_kept_whole(
    messy: Path, tmp_path: Path, name: str, read_as: str, rows: int
) -> None:
    to = read_as if read_as in ("kto", "preference") else "messages"
    result: Conversion = convert(messy / "real" / name, tmp_path / "out.jsonl", to=to)
    assert (result.read_as, result.written, result.rejected) == (read_as, rows, 0)
    assert "not held" not in {loss.kind for loss in result.losses}


def test_tool_calls_of_a_published_file_come_back_the_same(messy: Path, tmp_path: Path) -> None:
    source = messy / "real" / "LLaMA-Factory" / "glaive_toolcall_en_demo.json"
    result = convert(source, tmp_path / "chat.jsonl", to="messages")
    assert result.losses == ()
    convert(tmp_path / "chat.jsonl", tmp_path / "back.json", to="sharegpt")
    rows, back = json.loads(source.read_text()), json.loads((tmp_path / "back.json").read_text())
    for row in rows:
        if row["tools"] == "[]":
            del row["tools"]
    assert back == rows


def test_awkward_text_survives_every_format(messy: Path, tmp_path: Path) -> None:
    source = messy / "naughty_strings.jsonl"
    for to in ("messages", "sharegpt", "alpaca", "openai"):
        convert(source, tmp_path / "there.jsonl", to=to)
        convert(tmp_path / "there.jsonl", tmp_path / "back.jsonl", to="prompt_completion")
        assert _lines_of_bytes(tmp_path / "back.jsonl") == _lines_of_bytes(source)


def _lines_of_bytes(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
