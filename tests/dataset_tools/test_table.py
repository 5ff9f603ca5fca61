from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading import read_source
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
        ("sep=;\na,b;c\nd,e;f\n", ";"),
        ("SEP=|\r\na|b\n", "|"),
        ('"sep=\t"\na,b\tc\n', "\t"),
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


def test_blanks_around_the_names_of_columns_are_told() -> None:
    [problem] = read_table(" Review Text,Label \na,b\n", ",").problems
    assert (problem.check, problem.line) == ("header-blanks", 1)
    assert "' Review Text', 'Label '" in problem.message


def test_the_line_in_which_excel_names_the_delimiter_is_no_row() -> None:
    parsed = read_table("sep=;\r\nprompt;completion\r\na;b\r\n", ";")
    assert parsed.columns == ("prompt", "completion") and parsed.problems == []
    assert [(row.line, row.record) for row in parsed.rows] == [(3, 1)]
    assert _values("separate,words\na,b\n") == [{"separate": "a", "words": "b"}]


def test_a_line_of_blanks_is_a_blank_line() -> None:
    parsed = read_table("p,c\n  \na,b\n", ",")
    assert [(problem.check, problem.line) for problem in parsed.problems] == [("blank-line", 2)]
    assert len(parsed.rows) == 1


QUESTIONS = [f"What is the capital of country number {n}, please?" for n in range(6)]
ANSWERS = [f"It is town {n}." for n in range(6)]


@pytest.mark.parametrize(
    ("pairs", "columns"),
    [
        (list(zip(QUESTIONS, ANSWERS, strict=True)), ("input", "output")),
        (list(zip(QUESTIONS, ["good", "bad", "good", "bad", "good", "bad"], strict=True)), ("input", "output")),
        (list(zip(["ham", "spam"] * 3, QUESTIONS, strict=True)), ("output", "input")),
        (list(zip(map(str, range(6)), QUESTIONS, ANSWERS, strict=True)), ("column_1", "column_2", "column_3")),
        (list(zip(["i-a1", "i-b2", "i-c3"], QUESTIONS, ANSWERS, strict=False)), ("column_1", "column_2", "column_3")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_a_first_record_like_the_others_is_a_row(
    pairs: list[tuple[str, ...]], columns: tuple[str, ...], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(pairs)
    parsed = read_table(file.getvalue(), delimiter)
    assert parsed.columns == columns
    assert [row.value for row in parsed.rows] == [dict(zip(columns, pair, strict=True)) for pair in pairs]
    assert [(row.line, row.record) for row in parsed.rows] == [(n, n) for n in range(1, len(pairs) + 1)]
    assert [problem.check for problem in parsed.problems] == ["no-header"]


@pytest.mark.parametrize(
    "header",
    [
        ("prompt", "completion"),
        ("Customer message", "Our reply to it"),
        ("The question as the customer wrote it down", "answer"),
        ("Timestamp", "What would you like to know about us, in your words?"),
        ("What did you like about it?", "And what should we do better next time?"),
        ("question 1", "answer 1"),
        ("0", "1"),
        ("a", "b"),
        ("", "text"),
    ],
)
def test_a_first_record_that_differs_from_the_others_is_the_header(header: tuple[str, str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([header, *zip(ANSWERS, ANSWERS[::-1], strict=True)])
    parsed = read_table(file.getvalue(), ",")
    assert parsed.columns == header
    assert len(parsed.rows) == len(ANSWERS)


def test_a_header_that_stands_in_the_file_again_is_still_one() -> None:
    assert (
        read_table(
            "say something nice to me.,label\nDo be quiet now.,x\nsay something nice to me.,label\n", ","
        ).columns[1]
        == "label"
    )


def test_the_planted_faults_of_a_table_without_header_are_found_in_their_places(messy: Path) -> None:
    planted = json.loads((messy / "expected.json").read_text())["kjv_pairs_noheader.tsv"]
    source = read_source(messy / "kjv_pairs_noheader.tsv")
    checks = {"too_few_columns": "column-count", "too_many_columns": "column-count", "blank_line": "blank-line"}
    wanted = {(checks[fault["kind"]], fault["where"]) for fault in planted["findings"] if fault["kind"] in checks}
    assert {(problem.check, problem.line) for problem in source.problems} == wanted | {("no-header", 1)}
    assert source.columns == ("input", "output") and source.rows[0].line == 1
    assert len(source.rows) == planted["units_total"] - len(wanted)


# Each of these took time in proportion to the square of its length in a reader that starts again at every stray quote.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ['x",y,"c\n' * 110_000, 'a,"b\n' * 150_000, '"a\n"b\n' * 120_000, "a,b\n" * 200_000 + '"', '"\n' * 400_001]
)  # fmt: skip
def test_a_mebibyte_made_to_be_slow_is_read_in_time(text: str) -> None:
    assert read_table("p,c,d\n" + text, ",").records > 0


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
