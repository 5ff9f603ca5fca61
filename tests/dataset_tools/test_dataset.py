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
