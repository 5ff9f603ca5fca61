from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.errors import UsageError
from dataset_tools.lint import lint

GOOD = [
    {"prompt": f"question {n}", "completion": f"A rather long answer to the question number {n}."} for n in range(12)
]


def _lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_clean_file_has_no_findings(write: Callable[..., Path]) -> None:
    path = write(_lines(GOOD))
    report = lint(path)
    assert (report.file, report.format, report.rows, report.usable) == (str(path), "prompt_completion", 12, 12)
    assert (report.verdict, report.findings) == ("train", ())
    assert lint(str(path)) == report


def test_the_report_has_its_promised_form(write: Callable[..., Path]) -> None:
    report = lint(write(_lines(GOOD) + "\n{bad\n" + _lines([{"prompt": "x", "completion": ""}]))).to_dict()
    assert {"file", "format", "rows", "verdict", "findings", "skipped"} <= set(report)
    for finding in report["findings"]:
        assert {"check", "severity", "message", "count", "lines", "records"} <= set(finding)
    places = {finding["check"]: (finding["lines"], finding["records"]) for finding in report["findings"]}
    assert places == {"invalid-json": ([14], [13]), "empty-field": ([15], [14]), "blank-line": ([13], [])}
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("content", "check"), [(b"", "empty-file"), (b" \n", "empty-file"), (b"PAR1\x00\x01", "binary-file")]
)
def test_a_file_without_rows_gives_a_report_that_says_so(
    write: Callable[..., Path], content: bytes, check: str
) -> None:
    report = lint(write(content))
    assert [(finding.check, finding.severity) for finding in report.findings] == [(check, "error")]
    assert (report.rows, report.verdict) == (0, "do_not_train")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(UsageError):
            lint(path)


@pytest.mark.parametrize(("bad", "verdict"), [(1, "fix_first"), (12, "fix_first"), (13, "do_not_train")])
def test_more_bad_rows_than_good_ones_are_not_to_be_trained_on(
    write: Callable[..., Path], bad: int, verdict: str
) -> None:
    assert lint(write(_lines(GOOD) + "{bad\n" * bad)).verdict == verdict


def test_all_hits_are_counted_and_the_first_hundred_placed(write: Callable[..., Path]) -> None:
    finding = lint(write(_lines(GOOD) + "{bad\n" * 150)).findings[0]
    assert (finding.check, finding.count) == ("invalid-json", 150)
    assert finding.lines == list(range(13, 113))


def test_errors_come_first_and_the_most_frequent_before_the_others(write: Callable[..., Path]) -> None:
    content = "\n" + _lines(GOOD) + _lines([GOOD[0]]) * 3 + "{bad\n" + _lines([{"prompt": "x", "completion": ""}]) * 2
    order = [(finding.severity, finding.check) for finding in lint(write(content)).findings]
    assert order == [
        ("error", "empty-field"),
        ("error", "invalid-json"),
        ("warning", "exact-duplicate"),
        ("info", "blank-line"),
    ]


def test_mapped_columns_are_told_and_the_records_of_a_table_leave_out_the_header(write: Callable[..., Path]) -> None:
    rows = "".join(f'"question {n},\nplease","The answer to it is {n}, as everybody knows."\n' for n in range(12))
    report = lint(write("Question,Answer\n" + rows + "lonely,\n"))
    places = {finding.check: (finding.lines, finding.records) for finding in report.findings}
    assert places == {"mapped-columns": ([], []), "empty-field": ([26], [13])}
    assert "mapped columns: Question -> prompt, Answer -> completion" in report.findings[-1].message


@pytest.mark.parametrize(
    "content", ["id,name\n1,x\n2,y\n", "one line\nand another\n", '{"conversations": []}\n' * 3, '{"a": 1}\n[2]\n']
)
def test_a_file_in_no_known_format_says_what_was_found_and_expected(write: Callable[..., Path], content: str) -> None:
    report = lint(write(content))
    finding = next(finding for finding in report.findings if finding.check == "unknown-format")
    assert "fields found" in finding.message and "prompt" in finding.why
    assert (report.format, report.verdict) == ("unknown", "do_not_train")


def test_an_empty_array_is_not_to_be_trained_on(write: Callable[..., Path]) -> None:
    report = lint(write("[]"))
    assert [finding.check for finding in report.findings] == ["too-few-rows"]
    assert report.verdict == "do_not_train"


def test_the_collector_of_garbage_is_left_as_it_was(write: Callable[..., Path]) -> None:
    path = write(_lines(GOOD))
    assert gc.isenabled()
    lint(path)
    assert gc.isenabled()
