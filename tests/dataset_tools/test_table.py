from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading.table import read_table, sniff_delimiter


def _values(text: str, delimiter: str = ",") -> list[object]:
    return [row.value for row in read_table(text, delimiter).rows]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("prompt,completion\na;b,c;d\n", ","),
        ("prompt;completion\na,b;c\nd,e;f\n", ";"),
        ("prompt\tcompletion\na, b, c\td\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('"a;b","c"\n"x;y","z"\n', ","),
        ("only\none, two\nthree\n", ","),
    ],
)
def test_the_delimiter_is_the_one_that_fits_the_header(text: str, delimiter: str) -> None:
    assert sniff_delimiter(text) == delimiter


def test_quoted_cells_may_hold_line_ends_quotes_and_delimiters_and_lines_stay_right() -> None:
    text = 'prompt,completion\r\n"a\r\nb","say ""hi"", please"\r\n\r\nc,d\r\n'
    parsed = read_table(text, ",")
    assert [(row.line, row.record) for row in parsed.rows] == [(2, 1), (5, 2)]
    assert [row.value for row in parsed.rows] == [
        {"prompt": "a\r\nb", "completion": 'say "hi", please'},
        {"prompt": "c", "completion": "d"},
    ]
    assert [(problem.check, problem.line) for problem in parsed.problems] == [("blank-line", 4)]


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    assert _values("p,c\na\u2028b,c\x85\n") == [{"p": "a\u2028b", "c": "c\x85"}]


def test_rows_with_too_few_or_too_many_cells_are_told_and_counted() -> None:
    parsed = read_table("p,c\na\nb,c\nd,e,f\n", ",")
    assert [(row.line, row.record) for row in parsed.rows] == [(3, 2)]
    assert [(problem.check, problem.line, problem.record) for problem in parsed.problems] == [
        ("column-count", 2, 1),
        ("column-count", 4, 3),
    ]


@pytest.mark.parametrize("rest", ["", 'x,"y"\n', 'x,"y" z\n'])
def test_a_stray_quote_loses_only_its_own_row(rest: str) -> None:
    parsed = read_table('p,c\na,b\nc,"d\ne,f\ng,h\n' + rest, ",")
    assert ("invalid-csv", 3) in [(problem.check, problem.line) for problem in parsed.problems]
    assert [row.line for row in parsed.rows if row.line < 6] == [2, 4, 5]


def test_text_behind_a_closing_quote_is_kept() -> None:
    assert _values('p,c\n"a"b,c\n') == [{"p": "ab", "c": "c"}]


def test_quotes_are_plain_characters_in_tab_separated_text_that_does_not_close_them() -> None:
    assert _values('p\tc\n"So he said\tb\nc\td "x" e\n', "\t") == [
        {"p": '"So he said', "c": "b"},
        {"p": "c", "c": 'd "x" e'},
    ]
    assert _values('p\tc\n"a\tb"\t"c"\n', "\t") == [{"p": "a\tb", "c": "c"}]


def test_headers_lose_their_blanks_and_unnamed_columns_are_left_out() -> None:
    parsed = read_table(",Review Text,Label \n0,a,b\n", ",")
    assert parsed.columns == ("", "Review Text", "Label")
    assert parsed.rows[0].value == {"Review Text": "a", "Label": "b"}


def test_two_columns_of_one_name_are_told() -> None:
    assert [problem.check for problem in read_table("a,a\n1,2\n", ",").problems] == ["duplicate-keys"]


def test_one_column_is_read_whole_lines_at_a_time() -> None:
    assert _values("text\nHello, you\n") == [{"text": "Hello, you"}]


def test_a_cell_over_the_default_limit_of_the_library_is_read() -> None:
    assert _values("p,c\n" + "x" * 200_000 + ",y\n") == [{"p": "x" * 200_000, "c": "y"}]


CELLS = st.text(st.sampled_from("ab ,;\"'\t\n\u2028é"), min_size=1, max_size=6)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_what_the_standard_writer_writes_is_read_back(pairs: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("p", "c"), *pairs])
    parsed = read_table(file.getvalue(), ",")
    assert [row.value for row in parsed.rows] == [{"p": prompt, "c": completion} for prompt, completion in pairs]
    assert not parsed.problems


@given(st.text('ab,"\n\r', max_size=40), st.sampled_from(",;\t"))
def test_no_text_crashes_the_reader(text: str, delimiter: str) -> None:
    parsed = read_table(text, delimiter)
    assert len(parsed.rows) <= parsed.records
