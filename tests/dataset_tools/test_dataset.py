from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example

GOOD = '{"prompt": "a", "completion": "b"}\n'


def test_good_rows_are_given_in_order_and_bad_ones_left_out_with_a_report(write: Callable[..., Path]) -> None:
    path = write(GOOD + "{bad\n" + '{"prompt": "c", "completion": ""}\n\n' + '{"prompt": "d", "completion": "e"}\n')
    dataset = load_examples(path)
    assert dataset.examples == (Example.of("a", "b", line=1, record=1), Example.of("d", "e", line=5, record=4))
    assert (dataset.path, dataset.format) == (path, "prompt_completion")
    assert {finding.check for finding in dataset.report.findings} >= {"invalid-json", "empty-field"}


def test_rows_that_bring_a_template_are_left_out(write: Callable[..., Path]) -> None:
    row = {"prompt": "x", "completion": "y", "chat_template": "{{ messages }}"}
    assert len(load_examples(write(GOOD + json.dumps(row))).examples) == 1


def test_contradicting_and_repeated_rows_stay(write: Callable[..., Path]) -> None:
    assert len(load_examples(write(GOOD * 2 + '{"prompt": "a", "completion": "c"}\n')).examples) == 3


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "the file is empty"),
        (b"PAR1\x00", "Parquet"),
        (b"{bad\n", "invalid JSON"),
        (b'{"prompt": "a", "completion": ""}\n', "completion is empty"),
        (b"id,name\n1,x\n", "the format is not known"),
    ],
)
def test_a_file_without_a_usable_row_is_refused_with_the_reason_and_the_next_step(
    write: Callable[..., Path], content: bytes, found: str
) -> None:
    path = write(content)
    with pytest.raises(DataError) as caught:
        load_examples(path)
    error = caught.value
    assert error.where == str(path) and error.next_step == f"fitting-room lint {path}"
    assert error.found is not None and found in error.found


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_examples(tmp_path / "none.jsonl")


def test_rows_in_named_columns_are_the_same_as_under_the_usual_names(tmp_path: Path) -> None:
    usual, named = tmp_path / "usual.jsonl", tmp_path / "named.jsonl"
    pairs = [(f"What is {number}?", f"It is {number}.") for number in range(5)] + [(None, "x"), ("y", 3)]
    usual.write_text("".join(json.dumps({"prompt": one, "completion": two}) + "\n" for one, two in pairs))
    named.write_text("".join(json.dumps({"shelf": two, "memo": one, "note": "n"}) + "\n" for one, two in pairs))
    read = load_examples(named, columns={"prompt": "memo", "completion": "shelf"})
    expected = load_examples(usual)
    assert [(row.prompt, row.completion, row.record) for row in read.examples] == [
        (row.prompt, row.completion, row.record) for row in expected.examples
    ]
    assert (read.report.rows, read.report.usable) == (expected.report.rows, expected.report.usable) == (7, 5)
    assert load_examples(usual, columns={}) == expected


def test_a_column_that_is_not_there_is_named_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"memo": "a", "shelf": "b"}\n')
    with pytest.raises(UsageError, match=r"(?s)no such column.*rows\.jsonl.*'memos'.*'memo', 'shelf'"):
        load_examples(file, columns={"prompt": "memos", "completion": "shelf"})
    with pytest.raises(DataError, match=r"(?s)no usable row.*a prompt in the column 'memo'"):
        file.write_text('{"memo": 1, "shelf": "b"}\n' * 3)
        load_examples(file, columns={"prompt": "memo", "completion": "shelf"})


def test_thumbs_down_are_given_to_those_who_ask_for_them(write: Callable[..., Path]) -> None:
    path = write("".join(json.dumps({"prompt": "a", "completion": "b", "label": up}) + "\n" for up in (True, False)))
    assert [example.desirable for example in load_examples(path).examples] == [True]
    assert [example.desirable for example in load_examples(path, thumbs_down=True).examples] == [True, False]
