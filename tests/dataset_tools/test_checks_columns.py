"""Checks of what all rows of a file have in common: one type a column, one chat template."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.checks.base import Setting
from dataset_tools.checks.columns import ColumnTypes
from dataset_tools.checks.mixed_templates import Templates
from dataset_tools.formats.text import Text
from dataset_tools.lint import lint
from dataset_tools.report import Finding

Rows = list[dict[str, Any]]


def _pairs(count: int = 12, **more: Any) -> Rows:
    return [{"prompt": f"question {n}", "completion": f"The answer to it is {n}.", **more} for n in range(count)]


def _found(write: Callable[..., Path], rows: Rows, **options: Any) -> dict[str, Finding]:
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    return {finding.check: finding for finding in lint(path, **options).findings}


@pytest.mark.parametrize(
    ("usual", "other", "named"),
    [
        (7, "seven", "a text in 1 row, and a number in 12 rows"),
        ("seven", 7, "a number in 1 row, and a text in 12 rows"),
        (7, True, "true or false in 1 row, and a number in 12 rows"),
        ([], {}, "an object in 1 row, and a list in 12 rows"),
        ("a", ["a"], "a list in 1 row, and a text in 12 rows"),
    ],
)
def test_a_key_with_another_type_is_told_in_its_row_wherever_it_stands(
    write: Callable[..., Path], usual: Any, other: Any, named: str
) -> None:
    most, odd = _pairs(id=usual), _pairs(1, id=other)
    for rows, place in (([*most, *odd], 13), ([*odd, *most], 1)):
        finding = _found(write, rows)["column-types"]
        assert (finding.severity, finding.family, finding.lines) == ("warning", "columns", [place])
        assert finding.hits[0].message == f"'id' is {named}"


@pytest.mark.parametrize(("one", "other"), [(7, None), (7, 7.5), (None, "a"), ([], [1]), ({}, {"a": 1})])
def test_null_beside_a_type_and_whole_numbers_beside_others_are_no_drift(
    write: Callable[..., Path], one: Any, other: Any
) -> None:
    rows = [*_pairs(id=one), *_pairs(3, id=other), *_pairs(3)]
    assert "column-types" not in _found(write, rows)


def test_rows_that_are_bad_for_another_reason_count_as_well(write: Callable[..., Path]) -> None:
    rows = [*_pairs(), {"prompt": "a", "completion": 3}, {"prompt": ["a"], "completion": ""}, {"x": 1}]
    found = _found(write, rows)
    assert found["column-types"].lines == [13, 14]
    assert found["column-types"].hits[0].message == "'completion' is a number in 1 row, and a text in 13 rows"
    assert "wrong-type" in found


def test_contents_of_messages_have_one_type_too(write: Callable[..., Path]) -> None:
    def chat(content: Any, **more: Any) -> dict[str, Any]:
        turns = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": content, **more}]
        return {"messages": turns}

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    plain = [chat(f"It is the number {n}.") for n in range(12)]
    called = chat(None, tool_calls=[call])
    parts = chat([{"type": "text", "text": "It is this."}])
    assert "column-types" not in _found(write, [*plain, called, {"messages": []}, {"messages": [{"role": "user"}]}])
    finding = _found(write, [*plain, called, parts])["column-types"]
    assert finding.lines == [14]
    assert finding.hits[0].message == "'messages[].content' is a list in 1 row, and a text in 14 rows"


def test_the_light_pass_leaves_columns_out_and_their_family_can_be_chosen(write: Callable[..., Path]) -> None:
    rows = [*_pairs(id=1), *_pairs(1, id="one")]
    assert _found(write, rows, checks=["structure"]) == {}
    assert set(_found(write, rows, checks=["columns"])) == {"column-types", "extra-columns"}


def test_clean_files_have_one_type_a_column_and_one_template(dev: Path) -> None:
    paths = sorted(dev.glob("*/train.jsonl"))
    assert paths
    for path in paths:
        found = {finding.check for finding in lint(path, checks=["column-types", "mixed-templates"]).findings}
        assert not found & {"column-types", "mixed-templates"}, path


def _seen(kind: Any, rows: Rows, setting: Setting) -> Any:
    observer = kind(setting)
    for number, row in enumerate(rows, 1):
        observer.see_row(2 * number, number, row)
    return observer


@pytest.mark.parametrize("at", [1, 1_500, 2_999])
def test_what_two_parts_saw_is_what_one_pass_sees(at: int) -> None:
    rows = [{"text": f"[INST] {n} [/INST] a", "id": n if n % 3 else "b"} for n in range(3_000)]
    rows += [{"text": "### Human: a ### Assistant: b"}, {"text": "Human: a\n\nAssistant: b", "id": True}]
    rows = rows[1_000:] + rows[:1_000]
    setting = Setting(format=Text())
    for kind, hits in ((ColumnTypes, ColumnTypes.drifts), (Templates, Templates.others)):
        whole, first, second = (_seen(kind, part, setting) for part in (rows, rows[:at], rows[at:]))
        first.absorb(second.pack(), lines=2 * at, records=at)
        assert list(hits(first)) == list(hits(whole)) != []


def test_more_shapes_than_can_be_told_apart_are_left_alone() -> None:
    rows: Rows = [{f"key {n}": 1, "id": "a"} for n in range(3_000)]
    rows += [{"key 0": "one", "id": "a"}, {"key 1": 2, "id": "a"}]
    one, other = (_seen(ColumnTypes, rows, Setting()) for _ in range(2))
    assert list(one.drifts()) == []
    one.absorb(other.pack(), lines=6_004, records=3_002)
    assert list(one.drifts()) == []


LLAMA = [{"text": f"<s>[INST] What is {n}? [/INST] It is the number {n}. </s>"} for n in range(12)]
ALPACA = {"text": "### Instruction:\nWhat is 12?\n\n### Response:\nIt is the number 12."}
CHATML = {"text": "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nThat one.<|im_end|>\n"}


def test_rows_in_another_template_than_most_are_errors_in_their_lines(write: Callable[..., Path]) -> None:
    finding = _found(write, [*LLAMA, ALPACA, LLAMA[0], CHATML])["mixed-templates"]
    assert (finding.severity, finding.lines) == ("error", [13, 15])
    assert finding.hits[0].message == "the template is alpaca, and llama2 in 13 rows"


def test_one_template_and_rows_of_another_format_have_no_mixture(write: Callable[..., Path]) -> None:
    assert "mixed-templates" not in _found(write, LLAMA)
    assert "mixed-templates" not in _found(write, [*LLAMA, {"text": "no template"}, {"text": 3}])
    assert "mixed-templates" not in _found(write, [*_pairs(note="[INST] a [/INST] b"), *_pairs(2, note=ALPACA["text"])])


def test_records_of_a_text_file_in_another_template_are_told_in_their_lines(messy: Path) -> None:
    planted = json.loads((messy / "expected.json").read_text())["inst_gsm8k.txt"]["findings"]
    first_lines = [fault["where"][0] for fault in planted if fault["kind"] == "other_template_in_file"]
    found = {finding.check: finding for finding in lint(messy / "inst_gsm8k.txt", checks=["mixed-templates"]).findings}
    assert first_lines and found["mixed-templates"].lines == first_lines
