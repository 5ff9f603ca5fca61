from __future__ import annotations

import gc
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import files_in_parts
import pytest

from dataset_tools.errors import UsageError
from dataset_tools.lint import lint
from dataset_tools.parallel import run_parts

GOOD = [
    {"prompt": f"question {n}", "completion": f"A rather long answer to the question number {n}."} for n in range(12)
]


def _lines(rows: list[Any]) -> str:
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


def test_all_hits_are_counted_and_the_first_hundred_and_as_many_of_the_rest_placed(write: Callable[..., Path]) -> None:
    finding = lint(write(_lines(GOOD) + "{bad\n" * 1500)).findings[0]
    assert (finding.check, finding.count) == ("invalid-json", 1500)
    assert finding.lines[:100] == list(range(13, 113))
    drawn = finding.lines[100:]
    assert len(drawn) == 100 and drawn == sorted(drawn) and drawn[0] >= 113 and 1000 < drawn[-1] <= 1512


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Lint a file in three parts, however small it is; fails where it was looked at in one."""
    linting = importlib.import_module("dataset_tools.lint")

    def linted(path: Path, **options: Any) -> dict[str, Any]:
        parts: list[int] = []

        def counted(work: Any, numbers: Any) -> Any:
            parts.append(len(numbers))
            return run_parts(work, numbers)

        with monkeypatch.context() as patch:
            patch.setattr(linting, "PARALLEL_BYTES", 1)
            patch.setattr(linting, "processes", lambda: 3)
            patch.setattr(linting, "run_parts", counted)
            report = lint(path, **options).to_dict()
        assert parts == [3]
        return report

    return linted


@pytest.mark.parametrize("checks", [("structure",), ("structure", "exact-duplicate")])
def test_a_large_file_is_looked_at_in_parts_with_the_same_report(
    write: Callable[..., Path], in_parts: Callable[..., dict[str, Any]], checks: tuple[str, ...]
) -> None:
    rows = [{"messages": [{"role": "user", "content": f"{n} a {n}"}, {"role": "assistant", "content": f"b {n % 50}"}]}
            for n in range(400)]  # fmt: skip
    text = _lines(rows)
    broken = text[:4000] + "{bad\n\n" + _lines([rows[3], {"messages": []}]) + text[4000:].replace(' 39"', ' 39"x"', 3)
    path = write(text + broken + _lines([rows[7]]) + '{"messages": [\n')
    one = lint(path, checks=checks).to_dict()
    assert in_parts(path, checks=checks) == one and one["findings"]


@pytest.mark.parametrize("made", [files_in_parts.chats, files_in_parts.labels, files_in_parts.objects,
                                  files_in_parts.pairs, files_in_parts.templates, files_in_parts.many])  # fmt: skip
def test_all_checks_find_the_same_in_parts_as_in_one_pass(
    write: Callable[..., Path], in_parts: Callable[..., dict[str, Any]], made: Callable[[], tuple[str, set[str]]]
) -> None:
    content, expected = made()
    path = write(content)
    one = lint(path).to_dict()
    found = {finding["check"] for finding in one["findings"]}
    assert expected <= found, expected - found
    assert in_parts(path) == one


def test_more_rows_than_are_drawn_give_the_same_faults_and_labels_in_parts(
    write: Callable[..., Path], in_parts: Callable[..., dict[str, Any]]
) -> None:
    path = write(files_in_parts.labels(6_000)[0])
    assert in_parts(path, checks=["structure"]) == lint(path, checks=["structure"]).to_dict()
    one = lint(path, checks=["labels"]).to_dict()
    assert {"label-variant", "label-imbalance", "rare-label"} <= {finding["check"] for finding in one["findings"]}
    assert in_parts(path, checks=["labels"]) == one


def test_an_error_in_a_part_is_raised_here() -> None:
    def work(part: int) -> int:
        if part == 1:
            raise ValueError("part 1")
        return part

    assert run_parts(work, [0, 2, 3]) == [0, 2, 3]
    with pytest.raises(ValueError, match="part 1"):
        run_parts(work, [0, 1])
    with pytest.raises(MemoryError, match="killed"):
        run_parts(lambda part: os._exit(9) if part else 0, [0, 1])


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
    "content", ["id,name\n1,x\n2,y\n", "one line\nand another\n", '{"talk": []}\n' * 3, '{"a": 1}\n[2]\n']
)
def test_a_file_in_no_known_format_says_what_was_found_and_expected(write: Callable[..., Path], content: str) -> None:
    report = lint(write(content))
    finding = next(finding for finding in report.findings if finding.check == "unknown-format")
    assert "fields found" in finding.message and "prompt" in finding.why
    assert (report.format, report.verdict) == ("unknown", "do_not_train")


def test_a_column_that_no_row_has_is_wrong_use_and_the_others_are_named(write: Callable[..., Path]) -> None:
    path = write("Frage,Antwort\n" + "".join(f"wie {n}?,so {n}\n" for n in range(20)), "t.csv")
    with pytest.raises(UsageError, match="'Frage', 'Antwort'"):
        lint(path, columns={"prompt": "Nope", "completion": "Antwort"})
    assert lint(path, columns={"prompt": "Frage", "completion": "Antwort"}).usable == 20


def test_an_empty_array_is_not_to_be_trained_on(write: Callable[..., Path]) -> None:
    report = lint(write("[]"))
    assert [finding.check for finding in report.findings] == ["too-few-rows"]
    assert report.verdict == "do_not_train"


def test_the_collector_of_garbage_is_left_as_it_was(write: Callable[..., Path]) -> None:
    path = write(_lines(GOOD))
    assert gc.isenabled()
    lint(path)
    assert gc.isenabled()
