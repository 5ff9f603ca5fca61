from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.reading import read_source

ROWS = [{"prompt": "a", "completion": "b"}, {"prompt": "c, d", "completion": "e"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("content", "container"),
    [
        (LINES, "jsonl"),
        (json.dumps(ROWS), "json"),
        (json.dumps(ROWS, indent=1), "json"),
        ("\n  " + json.dumps(ROWS), "json"),
        ('prompt,completion\na,b\n"c, d",e\n', "csv"),
        ("prompt;completion\na;b\nc, d;e\n", "csv"),
        ("prompt\tcompletion\na\tb\nc, d\te\n", "tsv"),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt", "rows"])
def test_the_content_decides_and_not_the_name(
    write: Callable[..., Path], content: str, container: str, name: str
) -> None:
    source = read_source(write(content, name))
    assert source.container == container
    assert [row.value for row in source.rows] == ROWS
    assert not source.problems


@pytest.mark.parametrize(
    ("content", "container"),
    [
        ('{"a": 1}', "jsonl"),
        ('{\n"a": 1\n}', "json"),
        ("[1, 2]\n[3, 4]\n", "jsonl"),
        ("[]", "json"),
        ('// note\n{"a": 1}\n{"b": 2}\n', "jsonl"),
        ('{"a": 1,}\n{"b": 2}\n', "jsonl"),
        ('{"a": 1,}', "jsonl"),
        ('[{"a": 1},\n{"b": 2\n', "json"),
        ("[INST] hello [/INST] hi\n", "csv"),
        ("just some words\nand more\n", "csv"),
    ],
)
def test_odd_files_are_read_as_what_they_look_like_most(
    write: Callable[..., Path], content: str, container: str
) -> None:
    assert read_source(write(content)).container == container


def test_windows_line_ends_are_told_and_do_no_harm(write: Callable[..., Path]) -> None:
    source = read_source(write(LINES.replace("\n", "\r\n")))
    assert [row.value for row in source.rows] == ROWS
    assert [problem.check for problem in source.problems] == ["crlf"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", errors="surrogatepass")))
def test_any_bytes_give_rows_or_a_plain_refusal(write: Callable[..., Path], content: bytes) -> None:
    try:
        source = read_source(write(content))
    except DataError:
        return
    assert len(source.rows) <= source.records
