"""Real and damaged files: every planted fault of this stage's kinds is found in its place, and nothing crashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError
from dataset_tools.formats import Messages, PromptCompletion
from dataset_tools.lint import lint
from dataset_tools.reading import read_source
from dataset_tools.reading.json_values import JsonProblem, parse_value

INVALID = {"invalid-json"}
# What a planted fault is reported as; the kinds that are not here belong to checks that do not exist yet.
REPORTED_AS = {
    "trailing_comma_after_object": INVALID,
    "trailing_comma_in_object": INVALID,
    "nan_literal": INVALID,
    "truncated": INVALID,
    "pretty_printed_object": INVALID,
    "smart_quotes": INVALID,
    "python_repr_single_quotes": INVALID,
    "raw_control_character": INVALID,
    "comment_line": INVALID,
    "two_objects_on_one_line": INVALID,
    "bad_escape": INVALID,
    "duplicate_key": {"duplicate-keys"},
    "unexpected_key_names": {"missing-field"},
    "scalar_instead_of_object": {"not-an-object"},
    "array_instead_of_object": {"not-an-object"},
    "lone_surrogate_escape": {"lone-surrogate"},
    "blank_line": {"blank-line"},
    "exact_duplicate_row": {"exact-duplicate"},
    "same_input_conflicting_output": {"conflicting-answers"},
    "too_few_columns": {"column-count"},
    "too_many_columns": {"column-count"},
    "empty_text": {"empty-field"},
    "empty_label": {"empty-field"},
    "empty_prompt": {"empty-field"},
    "empty_conversation": {"empty-field"},
    "null_content": {"empty-field"},
    "tool_call_without_content": {"missing-field"},
    "messages_is_string": {"wrong-type"},
    "unknown_role": {"unknown-role"},
    "no_assistant_message": {"no-assistant-turn"},
    "wrong_role_order": {"role-order"},
    "last_turn_not_assistant": {"ends-with-user"},
    "two_formats_in_one_row": {"two-formats-in-row"},
    "assistant_weight_zero": {"weight-ignored"},
    "bom": {"bom"},
    "crlf": {"crlf"},
    "encoding_not_utf8": {"encoding"},
    "non_utf8_bytes": {"encoding"},
}
COVERED = [
    "trivia_broken.jsonl", "openai_chat_e2e.jsonl", "reviews_excel.csv", "snips_bom_crlf.jsonl", "xquad_latin1.jsonl",
    "trivia_unicode.jsonl", "leak_train.jsonl", "leak_test.jsonl", "scitldr_lengths.jsonl", "naughty_strings.jsonl",
    "pii_banking.jsonl", "sentiment_imbalanced.jsonl",
]  # fmt: skip
VALID_UTF8_BY_CHANCE = ("xquad_latin1.jsonl", 126)  # its planted bytes C2 B2 are one letter in UTF-8


def _planted(messy: Path, name: str) -> Iterator[tuple[str, int | str]]:
    expected = json.loads((messy / "expected.json").read_text())[name]
    by_record = "0-based" in expected["unit"]
    for fault in expected["findings"]:
        place = fault["where"][0] if isinstance(fault["where"], list) else fault["where"]
        if fault["kind"] in REPORTED_AS and (name, place) != VALID_UTF8_BY_CHANCE:
            yield fault["kind"], place + 1 if by_record and isinstance(place, int) else place


@pytest.mark.parametrize("name", COVERED)
def test_planted_faults_are_found_in_their_places(messy: Path, name: str) -> None:
    findings = {finding.check: finding for finding in lint(messy / name).findings}
    record_at = {row.line: row.record for row in read_source(messy / name).rows}
    by_record = name.endswith(".csv")
    missed = []
    for kind, place in _planted(messy, name):
        hits = [hit for check in REPORTED_AS[kind] & set(findings) for hit in findings[check].hits]
        places: set[int | str | None] = {hit.record if by_record else hit.line for hit in hits}
        if kind == "exact_duplicate_row":  # either of two equal rows may be marked; the report names the other
            others = [int(hit.message.rsplit(" ", 1)[1]) for hit in hits]
            places |= {record_at[line] if by_record else line for line in others}
        if not hits or (place != "file" and place not in places):
            missed.append((kind, place))
    assert missed == []


@pytest.mark.parametrize(
    ("name", "rows"), [("trivia_broken.jsonl", 160), ("openai_chat_e2e.jsonl", 200), ("reviews_excel.csv", 300)]
)
def test_rows_without_a_planted_fault_are_all_kept(messy: Path, name: str, rows: int) -> None:
    expected = json.loads((messy / "expected.json").read_text())[name]
    assert rows == expected["clean_units"] <= len(load_examples(messy / name).examples)


@pytest.mark.parametrize("name", ["naughty_strings.jsonl", "trivia_unicode.jsonl"])
def test_awkward_text_survives_reading_and_conversion_unchanged(messy: Path, name: str) -> None:
    examples = load_examples(messy / name).examples
    lines = (messy / name).read_bytes().split(b"\n")
    assert [PromptCompletion().from_example(example) for example in examples] == [
        json.loads(lines[example.line - 1]) for example in examples
    ]


def test_rows_that_are_legal_elsewhere_are_no_errors(messy: Path) -> None:
    legal = {"content_is_part_list", "assistant_weight_zero", "two_formats_in_one_row"}
    planted = json.loads((messy / "expected.json").read_text())["openai_chat_e2e.jsonl"]["findings"]
    lines = {fault["where"] for fault in planted if fault["kind"] in legal}
    errors = {
        line
        for finding in lint(messy / "openai_chat_e2e.jsonl").findings
        if finding.severity == "error"
        for line in finding.lines
    }
    assert lines and not lines & errors


def test_quoted_line_ends_in_a_table_survive(messy: Path) -> None:
    expected = json.loads((messy / "expected.json").read_text())["reviews_excel.csv"]["findings"]
    records = [fault["where"] + 1 for fault in expected if fault["kind"] == "ok_quoted_newline_and_quotes"]
    by_record = {example.record: example for example in load_examples(messy / "reviews_excel.csv").examples}
    assert records
    for record in records:
        assert "\n" in by_record[record].question and '"' in by_record[record].question


def test_every_file_is_linted_without_a_crash(messy: Path) -> None:
    for path in sorted(path for path in messy.rglob("*") if path.is_file()):
        report = lint(path)
        assert report.verdict in ("train", "fix_first", "do_not_train")
        assert json.dumps(report.to_dict())
        assert report.findings or report.usable == report.rows, path


def test_files_in_formats_of_later_stages_say_that_they_are_not_known(messy: Path) -> None:
    for name in ("alpaca_banking.json", "sharegpt_coffee.jsonl", "kjv_pairs_noheader.tsv", "inst_gsm8k.txt"):
        assert "unknown-format" in {finding.check for finding in lint(messy / name).findings}
    for name in ("tldr_columns.parquet", "coffee_messages.parquet"):
        assert [finding.check for finding in lint(messy / name).findings] == ["binary-file"]


def test_the_json_test_suite_is_taken_and_refused_as_it_says(messy: Path) -> None:
    folder = messy / "corpora" / "JSONTestSuite" / "test_parsing"
    wrong = []
    for path in sorted(folder.iterdir()):
        try:
            parse_value(path.read_bytes())
            accepted = True
        except JsonProblem:
            accepted = False
        if (path.name[0] == "y" and not accepted) or (path.name[0] == "n" and accepted):
            wrong.append(path.name)
    assert wrong == []


def test_the_csv_spectrum_is_read_as_it_says(messy: Path) -> None:
    folder = messy / "corpora" / "csv-spectrum"
    changed = {"location_coordinates", "newlines_crlf"}  # their JSON does not tell what stands in this copy
    tables = [path for path in sorted(folder.rglob("*.csv")) if path.stem not in changed]
    assert tables
    for path in tables:
        [wanted] = folder.rglob(f"{path.stem}.json")
        rows = json.loads(wanted.read_text())
        try:
            read = [row.value for row in read_source(path).rows]
        except DataError:
            read = []
        assert read == (rows if isinstance(rows, list) else [rows]), path.name


@pytest.mark.parametrize(
    "task",
    [
        "banking77", "coffee_chat", "e2e_nlg", "gsm8k", "kjv_style", "pubmedqa_rag", "scitldr", "sentiment",
        "snips_json", "tldr_commands", "trivia_open", "xquad_rag",
    ],
)  # fmt: skip
def test_clean_data_has_no_error(dev: Path, task: str) -> None:
    report = lint(dev / task / "train.jsonl")
    assert [finding.check for finding in report.findings if finding.severity == "error"] == []
    assert (report.verdict, report.usable) == ("train", report.rows)


def test_a_real_conversation_comes_back_from_its_example(dev: Path) -> None:
    path = dev / "coffee_chat" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    assert [Messages().from_example(example) for example in load_examples(path).examples] == rows
