"""How many planted faults lint finds, each of the right kind at the right place, and how many false alarms it gives.

    python benchmarks/messy.py FOLDER      # a folder with messy/ (expected.json) and dev/*/train.jsonl

A fault counts as found where one of the checks that stand for its kind strikes at its line (or record, or, for a fault
of the whole file, anywhere). Of two equal or conflicting rows either may be named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, whose files hide packages

from dataset_tools import Report, lint, load_examples, read_source

INVALID = {"invalid-json"}
EMPTY = {"empty-field"}
TEMPLATE = {"template-broken"}
REPORTED_AS: dict[str, set[str]] = {
    "also_in_test": {"leak-exact"},
    "also_in_train": {"leak-exact"},
    "array_instead_of_object": {"not-an-object"},
    "assistant_weight_zero": {"weight-zero"},
    "bad_escape": INVALID,
    "bidi_override": {"bidi-control"},
    "blank_line": {"blank-line"},
    "bom": {"bom"},
    "comment_line": INVALID,
    "completion_copies_prompt": {"answer-copies-prompt"},
    "completion_in_code_fence": {"json-in-code-fence"},
    "completion_not_valid_json": {"answer-not-json"},
    "content_is_part_list": {"content-parts"},
    "crlf": {"crlf"},
    "duplicate_key": {"duplicate-keys"},
    "empty_content": EMPTY,
    "empty_conversation": EMPTY,
    "empty_label": EMPTY,
    "empty_output": EMPTY,
    "empty_prompt": EMPTY,
    "empty_text": EMPTY,
    "encoding_not_utf8": {"encoding"},
    "exact_duplicate_row": {"exact-duplicate"},
    "header_trailing_space": {"header-blanks"},
    "label_imbalance_95_5": {"label-imbalance"},
    "label_variant": {"label-variant"},
    "label_variant_rare": {"label-variant"},
    "last_turn_not_assistant": {"ends-with-user", "no-assistant-turn"},
    "lone_surrogate_escape": {"lone-surrogate"},
    "longer_than_context": {"over-long", "answer-truncated", "long-row"},
    "messages_is_string": {"wrong-type"},
    "missing_eos": TEMPLATE,
    "missing_inst_end": TEMPLATE,
    "missing_output_key": {"missing-field"},
    "missing_role": {"missing-field"},
    "mojibake": {"mojibake"},
    "nan_literal": INVALID,
    "near_duplicate_of_test": {"leak-near"},
    "near_duplicate_of_train": {"leak-near"},
    "nested_inst": TEMPLATE,
    "no_assistant_message": {"no-assistant-turn"},
    "no_header": {"no-header"},
    "non_string_output": {"wrong-type", "empty-field"},
    "non_utf8_bytes": {"encoding"},
    "nul_character": {"control-character"},
    "null_content": EMPTY,
    "null_output": EMPTY,
    "other_template_in_file": {"mixed-templates", "mixed-formats", "template-marks", "template-broken"},
    "output_equals_input": {"answer-copies-prompt"},
    "pii_card_number": {"card-number"},
    "pii_email": {"email-address"},
    "pii_iban": {"iban"},
    "pii_ip_address": {"ip-address"},
    "pii_phone": {"phone-number"},
    "pii_ssn": {"ssn"},
    "placeholder_input": {"placeholder"},
    "pretty_printed_object": INVALID,
    "python_repr_single_quotes": INVALID,
    "raw_control_character": INVALID,
    "replacement_character": {"replacement-character"},
    "same_input_conflicting_output": {"conflicting-answers"},
    "scalar_instead_of_object": {"not-an-object"},
    "secret_like_string": {"secret"},
    "smart_quotes": INVALID,
    "starts_with_assistant": {"role-order"},
    "suspiciously_short_completion": {"short-answer"},
    "system_not_first": {"role-order"},
    "too_few_columns": {"column-count"},
    "too_many_columns": {"column-count"},
    "tool_call_without_content": {"missing-field", "tools-undeclared", "tool-unknown", "tool-call-without-id"},
    "trailing_comma_after_object": INVALID,
    "trailing_comma_in_object": INVALID,
    "truncated": INVALID,
    "two_formats_in_one_row": {"two-formats-in-row"},
    "two_objects_on_one_line": INVALID,
    "two_user_turns_in_a_row": {"role-order"},
    "unexpected_key_names": {"misnamed-key"},
    "unknown_role": {"unknown-role"},
    "wrong_role_order": {"role-order"},
    "zero_width_character": {"zero-width"},
}
PAIRED = {"exact-duplicate", "conflicting-answers"}
NATURAL = {"near-duplicate", "conflicting-answers", "label-variant", "exact-duplicate"}  # left out of false alarms
OTHER_HALF = {"leak_train.jsonl": "leak_test.jsonl", "leak_test.jsonl": "leak_train.jsonl"}


@dataclass
class Score:
    """What was found of what was planted, and what was missed, as (file, kind, place)."""

    planted: int = 0
    found: int = 0
    missed: list[tuple[str, str, Any]] = field(default_factory=list)
    called_errors: list[tuple[str, str, Any]] = field(default_factory=list)  # harmless kinds that are called errors


def report_on(path: Path, **options: Any) -> Report:
    """The lint report of a messy file; the leaky ones against their other half."""
    other = OTHER_HALF.get(path.name)
    rows = load_examples(path.with_name(other)).examples if other else None
    return lint(path, test_rows=rows, **options)


def score(messy: Path, **options: Any) -> Score:
    """Lint all messy files and look for each planted fault."""
    result = Score()
    for name, expected in json.loads((messy / "expected.json").read_text("utf-8")).items():
        report = report_on(messy / name, **options)
        by_record = "0-based" in expected["unit"]
        for fault in expected["findings"]:
            places = places_of(fault["where"], by_record=by_record)
            if fault["kind"].startswith("ok_"):
                if any(set(places) & places_in(report, finding.check, by_record) for finding in errors_of(report)):
                    result.called_errors.append((name, fault["kind"], fault["where"]))
                continue
            result.planted += 1
            if is_found(report, messy / name, fault["kind"], places, by_record=by_record):
                result.found += 1
            else:
                result.missed.append((name, fault["kind"], fault["where"]))
    return result


def places_of(where: Any, *, by_record: bool) -> list[Any]:
    """The lines (or 1-based records) that a fault may be told at."""
    if where == "file":
        return ["file"]
    first, last = where if isinstance(where, list) else (where, where)
    return [first + 1] if by_record else list(range(first, last + 1))


def is_found(report: Report, path: Path, kind: str, places: list[Any], *, by_record: bool) -> bool:
    """Whether one of the checks that stand for the kind strikes at one of the places."""
    checks = REPORTED_AS[kind] & {finding.check for finding in report.findings}
    if places == ["file"]:
        return bool(checks)
    struck: set[int] = set()
    for check in checks:
        struck |= places_in(report, check, by_record)
        if check in PAIRED:
            struck |= others_named(report, path, check, by_record=by_record)
    return bool(set(places) & struck)


def errors_of(report: Report) -> list[Any]:
    """The findings that are errors."""
    return [finding for finding in report.findings if finding.severity == "error"]


def places_in(report: Report, check: str, by_record: bool) -> set[int]:
    """Where a check struck."""
    hits = [hit for finding in report.findings if finding.check == check for hit in finding.hits]
    return {place for hit in hits if (place := hit.record if by_record else hit.line) is not None}


def others_named(report: Report, path: Path, check: str, *, by_record: bool) -> set[int]:
    """The other rows that the messages of a check name by their lines."""
    hits = [hit for finding in report.findings if finding.check == check for hit in finding.hits]
    lines = {int(word.strip(",")) for hit in hits for word in hit.message.split() if word.strip(",").isdigit()}
    if not by_record:
        return lines
    return {row.record for row in read_source(path).rows if row.line in lines}


def false_alarms(dev: Path, **options: Any) -> Iterator[tuple[str, int, int, dict[str, int]]]:
    """For each clean file: its rows, those with an error or a warning, and the alarms by check."""
    for path in sorted(dev.glob("*/train.jsonl")):
        report = lint(path, **options)
        alarms = [
            finding
            for finding in report.findings
            if finding.severity != "info" and finding.check not in NATURAL and finding.hits[0].record is not None
        ]
        rows = {hit.record for finding in alarms for hit in finding.hits}
        yield path.parent.name, report.rows, len(rows), {finding.check: finding.count for finding in alarms}


def main() -> None:
    """Print the score, what was missed, and the false alarms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    result = score(folder / "messy")
    print(f"{result.found} of {result.planted} planted faults found ({result.found / result.planted:.1%})")
    for name, kind, where in result.missed:
        print(f"  missed: {name} {kind} at {where}")
    for name, kind, where in result.called_errors:
        print(f"  harmless, but called an error: {name} {kind} at {where}")
    for name, rows, alarmed, checks in false_alarms(folder / "dev"):
        print(f"  clean {name}: {alarmed} of {rows} rows with an alarm ({alarmed / rows:.1%}) {checks or ''}")


if __name__ == "__main__":
    main()
