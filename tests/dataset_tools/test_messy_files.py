"""Real and damaged files: every planted fault of this stage's kinds is found in its place, and nothing crashes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.messy import false_alarms, score
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError
from dataset_tools.formats import Messages, PromptCompletion
from dataset_tools.lint import lint
from dataset_tools.reading import read_source
from dataset_tools.reading.json_values import JsonProblem, parse_value

# Known misses: planted bytes that are one letter in UTF-8 by chance.
KNOWN_MISSES = {("xquad_latin1.jsonl", "non_utf8_bytes"): 1}


def test_planted_faults_are_found_in_their_places_and_harmless_kinds_are_no_errors(messy: Path) -> None:
    result = score(messy)
    assert result.planted > 300
    misses = Counter((name, kind) for name, kind, _ in result.missed)
    assert misses == KNOWN_MISSES
    assert result.called_errors == []


def test_clean_files_have_next_to_no_alarm(dev: Path) -> None:
    alarms = {name: (alarmed, rows, checks) for name, rows, alarmed, checks in false_alarms(dev)}
    assert len(alarms) == 12
    assert {name: found for name, found in alarms.items() if found[0] >= 0.01 * found[1]} == {}


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
