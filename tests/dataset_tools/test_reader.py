from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.reading import Problem, open_rows, read_source

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
        ("sep=;\r\nprompt;completion\r\na;b\r\nc, d;e\r\n", "csv"),
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
        ("[INST] hello [/INST] hi\n", "text"),
        ("### Human: hello\n### Assistant: hi\n", "text"),
        ('{"a": 1}{"b": 2}', "concatenated-json"),
        ('{"a": 1} {"b": 2}\n{"c": 3}\n{"d": 4}\n{"e": 5}\n', "jsonl"),
        ('{"a": 1},\n{"b": 2},\n{"c": 3}', "concatenated-json"),
        ('{\n"a": 1\n}\n{\n"b": 2\n}\n', "concatenated-json"),
        ('{\n"a": oops\n}\n{\n"b": 2\n}\n', "concatenated-json"),
        ('{\n"a": 1,\n"b": oops\n}\n', "json"),
        ("[", "json"),
        ("[ \n", "json"),
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


def test_objects_run_together_are_read_with_their_lines(write: Callable[..., Path]) -> None:
    source = read_source(write("\n".join(json.dumps(row, indent=2) for row in ROWS)))
    assert [(row.line, row.record, row.value) for row in source.rows] == [(1, 1, ROWS[0]), (5, 2, ROWS[1])]
    assert [problem.check for problem in source.problems] == ["objects-run-together"]


@pytest.mark.parametrize("size", [2**20 - 40, 2**20, 3 * 2**20])
def test_a_first_line_longer_than_what_is_looked_at_first_is_read(write: Callable[..., Path], size: int) -> None:
    rows = [{"prompt": "x" * size, "completion": "y"}, *ROWS]
    source = read_source(write("".join(json.dumps(row) + "\n" for row in rows)))
    assert source.container == "jsonl" and source.problems == ()
    assert [row.value for row in source.rows] == rows
    assert read_source(write(json.dumps(rows))).container == "json"


def test_a_letter_cut_by_what_is_looked_at_first_is_read(write: Callable[..., Path]) -> None:
    for offset in range(4):
        rows = [{"prompt": "x" * (2**20 - 40 + offset) + "🙂" * 20}, *ROWS]
        source = read_source(write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)))
        assert [row.value for row in source.rows] == rows and source.encoding == "utf-8"


def test_rows_are_read_again_and_by_two_readers_at_once(write: Callable[..., Path]) -> None:
    for content in (LINES, json.dumps(ROWS), "prompt,completion\na,b\nc,d\n", LINES.encode("utf-16")):
        stream = open_rows(write(content))
        told: list[Problem] = []
        assert all(one == other for one, other in zip(stream.read(told.append), stream.read(told.append), strict=True))
        assert len(list(stream.read(told.append))) == 2 and told == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", errors="surrogatepass")))
def test_any_bytes_give_rows_or_a_plain_refusal(write: Callable[..., Path], content: bytes) -> None:
    try:
        source = read_source(write(content))
    except DataError:
        return
    assert len(source.rows) <= source.records
