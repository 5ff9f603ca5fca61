from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading.json_array import read_json
from dataset_tools.reading.source import Row


def _rows(text: str) -> list[tuple[int, int]]:
    return [(row.line, row.record) for row in read_json(text).rows]


def test_each_element_has_the_line_where_it_starts() -> None:
    text = json.dumps([{"a": 1}, {"b": [2, 3]}, {}], indent=2)
    assert text.split("\n")[1].strip() == "{"
    assert _rows(text) == [(2, 1), (5, 2), (11, 3)]
    assert _rows('\n\n[{"a": 1}, {"b": 2},\n\n{"c": 3}]\n') == [(3, 1), (3, 2), (5, 3)]


@pytest.mark.parametrize(
    ("text", "rows", "line", "words"),
    [
        ('[{"a": 1},\n{"b": 2},\n]', 2, 3, "a comma before the closing bracket"),
        ('[{"a": 1}\n{"b": 2}]', 2, 2, "no comma between"),
        ('[{"a": 1},\n{"b": }, \n{"c": 3}]', 2, 2, "Expecting value at column 7"),
        ('[{"a": 1},\n{"b": NaN},\n{"c": 3}]', 2, 2, "NaN is not JSON"),
        ('[{"a": 1},\n{"b": 2', 1, 2, "ends too early"),
        ('[{"a": 1},\n{"b": 2}', 2, 2, "no closing bracket"),
        ('[{"a": 1}]\nand more', 1, 2, "more text after the end"),
        ('[{"a": 1, "a": 2}]', 1, 1, "comes twice"),
        ('[{"a": 1},\n{"b": "\\ud800"},\n{"c": 1}]', 2, 2, "half of a character"),
        ("[" * 100_000, 0, 1, "too deep"),
        ('[{"a":' * 50_000, 0, 1, "too deep"),
    ],
)
def test_a_broken_array_gives_what_can_be_read_and_says_where_it_breaks(
    text: str, rows: int, line: int, words: str
) -> None:
    parsed = read_json(text)
    assert len(parsed.rows) == rows
    assert [problem.line for problem in parsed.problems] == [line]
    assert words in parsed.problems[0].message


def test_reading_goes_on_behind_a_broken_element_and_not_inside_it() -> None:
    rows = [{"messages": [{"role": "user"}, {"role": "assistant"}]}] * 3
    text = json.dumps(rows, indent=2).replace('"user"', "user", 1)
    parsed = read_json(text)
    assert [(row.record, row.value) for row in parsed.rows] == [(2, rows[0]), (3, rows[0])]
    assert [problem.record for problem in parsed.problems] == [1]


def test_reading_goes_on_behind_a_broken_element_of_one_long_line() -> None:
    rows = [{"messages": [{"role": "user"}, {"role": "assistant"}]}] * 4
    parts = [json.dumps(row) for row in rows]
    for broken in (
        '{"messages": [{"role": user}, {"role": "assistant"}]}',
        '{"messages": [{"role": NaN}, {"role": 1}]}',
    ):
        parsed = read_json("[" + ", ".join([*parts[:2], broken, *parts[2:]]) + "]")
        assert [(row.record, row.value) for row in parsed.rows] == [(n, rows[0]) for n in (1, 2, 4, 5)]
        assert [problem.record for problem in parsed.problems] == [3]


def test_what_cannot_be_read_further_on_is_said() -> None:
    parsed = read_json("[1, 2, oops, 3, 4]")
    assert [row.value for row in parsed.rows] == [1, 2]
    assert "the rest of the array was not read" in parsed.problems[-1].message


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 5000, "[" + "1" * 5000 + "]"])
def test_a_number_that_no_machine_number_can_hold_is_no_value(number: str) -> None:
    parsed = read_json('[\n{"a": 1},\n{"a": ' + number + '},\n{"a": 2}\n]')
    assert [row.value for row in parsed.rows] == [{"a": 1}, {"a": 2}]
    assert [(problem.check, problem.line) for problem in parsed.problems] == [("invalid-json", 3)]


def test_the_column_of_a_fault_is_that_of_its_line_however_long() -> None:
    for before in (0, 10_000, 3_000_000):
        text = '[{"a": "' + "x" * before + '"}, {"a": oops}]'
        [problem] = read_json(text).problems
        assert f"at column {text.index('oops') + 1}" in problem.message


# Each of these took time in proportion to the square of its length in a reader that looks ahead without a bound.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "[\n" + "{\n" * 300_000,
        "[" + ",".join(f'{{"k{n}": oops}}' for n in range(60_000)),
        "[" + ",\n".join(" " * (n % 50) + f'{{"k{n}": oops}}' for n in range(40_000)),
        "[\n" + "\n".join(f'{n:017b}{{"a"'.replace("0", " ").replace("1", "\t") for n in range(40_000)),
        "[" + '{"a":NaN},' * 100_000,
        "[" + '{"a\\"},' * 150_000,
        "[" + '{"a" 1}' + " " * 500_000 + "}" + " " * 500_000,
        "[" + ('{"a":' + "1" * 5000 + "},") * 200,
    ],
)
def test_a_mebibyte_made_to_be_slow_is_read_in_time(text: str) -> None:
    assert read_json(text).problems


def test_one_value_is_one_row() -> None:
    assert read_json('{\n"a": 1\n}').rows == [Row(1, 1, {"a": 1})]


def test_an_empty_array_has_no_rows_and_no_problem() -> None:
    parsed = read_json("[ ]")
    assert (parsed.rows, parsed.problems, parsed.records) == ([], [], 0)


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.integers()), max_size=5), st.integers(0, 3)
)
def test_any_array_is_read_as_the_standard_parser_reads_it(values: list[object], indent: int) -> None:
    parsed = read_json(json.dumps(values, indent=indent or None, ensure_ascii=False))
    whole = [row.value for row in parsed.rows]
    assert whole == values and not parsed.problems


@given(st.text('[]{}",: \n1a', max_size=40))
def test_no_text_crashes_the_reader_or_is_read_otherwise(text: str) -> None:
    parsed = read_json(text)
    if not parsed.problems and parsed.rows and text.strip().startswith("["):
        assert [row.value for row in parsed.rows] == json.loads(text)
