from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading import json_lines
from dataset_tools.reading.json_lines import read_json_lines
from dataset_tools.reading.json_values import JsonProblem, duplicate_keys, parse_value

GOOD = b'{"prompt": "a", "completion": "b"}'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab:"\\', max_size=3), inner),
    max_leaves=8,
)


def _problems(data: bytes) -> list[tuple[str, int | None]]:
    return [(problem.check, problem.line) for problem in read_json_lines(data).problems]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a": 1},', "column 9: a comma after the row"),
        (b'{"a": 1,}', "a comma before the closing bracket"),
        (b"{'a': 1}", "single quotes"),
        ("{“a”: 1}".encode(), "curly quotes"),
        (b'{"a": 1} {"b": 2}', "column 10: more than one value"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": "tru', "ends too early"),
        (b'{"a": 1', "ends too early"),
        (b"// a note", "a comment"),
        (b"# a note", "a comment"),
        (b'{"a": "\\x41"}', "escape"),
        (b'{"a": "tab\there"}', "control character"),
        (b'{"a": \xff}', "Expecting value"),
        (b"[" * 100_000, "too deep"),
        (b'{"a":' * 5_000, "too deep"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_reason_and_loses_no_other(line: bytes, words: str) -> None:
    parsed = read_json_lines(b"\n".join([GOOD, line, GOOD]))
    assert [(row.line, row.record) for row in parsed.rows] == [(1, 1), (3, 3)]
    [problem] = parsed.problems
    assert (problem.check, problem.line, problem.record) == ("invalid-json", 2, 2)
    assert words in problem.message
    assert parsed.records == 3


def test_half_a_character_is_told_apart_from_bad_syntax() -> None:
    assert _problems(GOOD + b'\n{"prompt": "\\ud83d", "completion": "b"}') == [("lone-surrogate", 2)]
    assert _problems(b'{"prompt": "\\ud83d\\ude00"}') == []


def test_an_object_over_several_lines_is_one_problem_and_one_record() -> None:
    pretty = json.dumps({"prompt": "a", "completion": {"b": 1}}, indent=2).encode()
    parsed = read_json_lines(b"\n".join([GOOD, pretty, GOOD]))
    assert [(problem.line, problem.record) for problem in parsed.problems] == [(2, 2)]
    assert "spread over 6 lines" in parsed.problems[0].message
    assert [(row.line, row.record) for row in parsed.rows] == [(1, 1), (8, 3)]


def test_a_cut_off_object_does_not_swallow_the_next_one() -> None:
    parsed = read_json_lines(b'{"prompt": "a", "compl\n' + GOOD)
    assert [row.line for row in parsed.rows] == [2]


def test_blank_lines_count_as_lines_and_not_as_records() -> None:
    parsed = read_json_lines(GOOD + b"\n\n  \r\n" + GOOD + b"\n\n\n")
    assert [(row.line, row.record) for row in parsed.rows] == [(1, 1), (4, 2)]
    assert [(problem.check, problem.line) for problem in parsed.problems] == [("blank-line", 2), ("blank-line", 3)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_ends_a_line(end: bytes) -> None:
    assert [row.line for row in read_json_lines(end.join([GOOD] * 3)).rows] == [1, 2, 3]


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_no_other_character_ends_a_line(char: str) -> None:
    line = json.dumps({"prompt": f"a{char}b"}, ensure_ascii=char < " ").encode()
    parsed = read_json_lines(line + b"\n" + GOOD)
    assert [row.value for row in parsed.rows] == [{"prompt": f"a{char}b"}, json.loads(GOOD)]


def test_a_line_over_the_limit_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 40)
    monkeypatch.setattr(json_lines, "_CHUNK", 16)
    assert _problems(GOOD + b"\n" + b'{"prompt": "' + b"x" * 40 + b'"}\n' + GOOD) == [("line-too-long", 2)]


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a" : 1, "\\u0061": 2}', ["a"]),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', ["b"]),
        (b'{"m": [{"r": 1}, {"r": 1, "r": 2}]}', ["r"]),
        (b'{"a": "x: \\"b\\": y", "b": {"a": 1}}', []),
    ],
)
def test_keys_that_come_twice_are_found(line: bytes, keys: list[str]) -> None:
    assert duplicate_keys(line, parse_value(line)) == keys


@given(VALUES, st.booleans())
def test_any_json_value_is_read_as_it_was_written(value: object, ascii_only: bool) -> None:
    line = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_value(line) == value
    assert duplicate_keys(line, value) == []


@given(st.binary(max_size=30) | st.text('{}[]",:\\u0dn1e.- \n', max_size=30).map(str.encode))
def test_nothing_is_accepted_that_the_standard_parser_refuses(raw: bytes) -> None:
    try:
        value = parse_value(raw)
    except JsonProblem:
        return
    assert json.loads(raw) == value


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    parsed = read_json_lines(data)
    assert len(parsed.rows) <= parsed.records
