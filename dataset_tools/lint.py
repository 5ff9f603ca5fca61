"""Run the checks over a file once, and say whether to train on it. The checks themselves are in `checks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.checks import CHECKS, Check, DatasetCheck, DatasetView, ExampleCheck, Hit, RowCheck, RowView
from dataset_tools.checks.file import MIN_TRAINABLE
from dataset_tools.example import Example
from dataset_tools.formats import Detected, detect_format, to_example
from dataset_tools.formats.base import Format, Value
from dataset_tools.formats.schemas import fault
from dataset_tools.reading import Row, Source, UnreadableError, read_source
from dataset_tools.reading.memory import without_garbage_collection
from dataset_tools.report import Collector, Finding, Report, Verdict

UNKNOWN = "unknown"
_BY_ID: dict[str, Check] = {check.id: check for check in CHECKS}
_ROW_CHECKS = [check for check in CHECKS if isinstance(check, RowCheck)]
_ANY_ROW_CHECKS = [check for check in _ROW_CHECKS if check.on_good_rows]
_EXAMPLE_CHECKS = [check for check in CHECKS if isinstance(check, ExampleCheck)]
_DATASET_CHECKS = [check for check in CHECKS if isinstance(check, DatasetCheck)]
_NEEDS = {"tokenizer": "no model was chosen", "max_length": "no length limit was given"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A report, and the examples of the rows without an error of their own."""

    report: Report
    examples: tuple[Example, ...]


def lint(path: Path | str, *, tokenizer: Any = None, max_length: int | None = None) -> Report:
    """Check a file of training rows.

    Args:
        path: A file in any form that `read_source` takes. An empty or binary file gives a report that says so.
        tokenizer: The tokenizer of the model to be trained; without one the token checks are skipped.
        max_length: The tokens that training will keep of a row.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read.
    """
    return examine(path, tokenizer=tokenizer, max_length=max_length).report


def examine(path: Path | str, *, tokenizer: Any = None, max_length: int | None = None) -> Examined:
    """The same, with the examples that can be used."""
    with without_garbage_collection():
        return _examine(Path(path), tokenizer, max_length=max_length)


def _examine(path: Path, tokenizer: Any, *, max_length: int | None) -> Examined:
    collector = Collector()
    try:
        source = read_source(path)
    except UnreadableError as error:
        collector.add(_BY_ID[error.check], [Hit(error.found or error.what)])
        return Examined(_report(path, collector), ())
    for problem in source.problems:
        collector.add(_BY_ID[problem.check], [Hit(problem.message, problem.line, problem.record)])
    detected = detect_format([row.value for row in source.rows if isinstance(row.value, dict)])
    examples = _convert(source, detected, collector)
    data = DatasetView(source, detected.format if detected else None, examples, tokenizer, max_length)
    skipped = _run_dataset_checks(data, collector)
    return Examined(_report(path, collector, data=data, skipped=skipped), tuple(examples))


def _convert(source: Source, detected: Detected | None, collector: Collector) -> list[Example]:
    """The examples of the good rows; every other row has an error in the collector."""
    examples = []
    for row in source.rows:
        if not isinstance(row.value, dict):
            collector.add(_BY_ID["not-an-object"], [Hit("the row is no object", row.line, row.record)])
        elif detected is not None:
            example = _convert_row(row, row.value, detected, collector)
            if example is not None:
                examples.append(example)
    for check in _EXAMPLE_CHECKS:
        run = check.run
        for example in examples:
            for message in run(example):
                collector.add(check, [Hit(message, example.line, example.record)])
    return examples


def _convert_row(row: Row, value: Value, detected: Detected, collector: Collector) -> Example | None:
    form = detected.format
    if len(detected.candidates) > 1 and not form.matches(value):
        other = next((candidate for candidate in detected.candidates if candidate.matches(value)), None)
        if other is not None:
            message = f"{other.name}, where most rows are {form.name}"
            collector.add(_BY_ID["mixed-formats"], [Hit(message, row.line, row.record)])
            return None
    example = to_example(form, value, line=row.line, record=row.record)
    if example is None:
        errors = _run_row_checks(_ROW_CHECKS, RowView.of(value, form), row, collector)
        if not errors:
            message = fault(form.name, value) or "the row cannot be converted"
            collector.add(_BY_ID["wrong-type"], [Hit(message, row.line, row.record)])
        return None
    return None if _run_row_checks(_ANY_ROW_CHECKS, RowView(value), row, collector) else example


def _run_row_checks(checks: Sequence[RowCheck], view: RowView, row: Row, collector: Collector) -> int:
    """Run row checks on one row, one hit a check at most, and return how many errors they found."""
    errors = 0
    for check in checks:
        messages = list(check.run(view))
        if messages:
            errors += collector.add(check, [Hit("; ".join(messages), row.line, row.record)])
    return errors


def _run_dataset_checks(data: DatasetView, collector: Collector) -> list[str]:
    """Run what can be run and return why the others were not."""
    skipped = []
    for check in _DATASET_CHECKS:
        missing = next((need for need in check.needs if getattr(data, need) is None), None)
        if missing is None:
            collector.add(check, check.run(data))
        else:
            skipped.append(f"{check.id}: {_NEEDS[missing]}")
    return skipped


def _report(
    path: Path, collector: Collector, *, data: DatasetView | None = None, skipped: Sequence[str] = ()
) -> Report:
    rows = data.source.records if data else 0
    usable = len(data.examples) if data else 0
    findings = collector.findings()
    form: Format | None = data.format if data else None
    return Report(
        file=str(path),
        format=form.name if form else UNKNOWN,
        rows=rows,
        usable=usable,
        verdict=_verdict(rows, usable, collector, findings),
        findings=findings,
        skipped=tuple(skipped),
    )


def _verdict(rows: int, usable: int, collector: Collector, findings: Sequence[Finding]) -> Verdict:
    if usable < MIN_TRAINABLE or 2 * len(collector.error_records) > rows:
        return "do_not_train"
    return "fix_first" if any(finding.severity == "error" for finding in findings) else "train"
