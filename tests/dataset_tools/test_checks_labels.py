"""Checks of labels and of answers in JSON: what is one label, what is two, and what a file of either must not have."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from check_cases import hits, lines, row_fix
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.checks import json_answers
from dataset_tools.checks.answers import Answers
from dataset_tools.checks.base import DatasetCheck, ExampleView, Setting
from dataset_tools.checks.json_answers import JsonAnswers, unfenced
from dataset_tools.checks.labels import Labels, label_mapper, variants
from dataset_tools.lint import lint

LABELS = ("positive", "negative", "neutral")
SENTENCES = [["q", f"A whole sentence about the matter of case number {n}, as it was told."] for n in range(60)]


def _rows(counts: dict[str, int]) -> list[list[str]]:
    answers = [label for label, count in counts.items() for _ in range(count)]
    random.Random(0).shuffle(answers)
    return [[f"question {n}", answer] for n, answer in enumerate(answers)]


def _objects(count: int) -> list[list[str]]:
    return [["q", json.dumps({"intent": f"i{n % 3}", "count": n, "slots": {}})] for n in range(count)]


# --- spellings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variant", ["Positive", "POSITIVE", "positive ", " positive.", '"positive"', "Positive!", "\uff50ositive"]
)
def test_another_spelling_of_a_label_is_an_error_in_its_line(variant: str) -> None:
    rows = [*_rows(dict.fromkeys(LABELS, 20)), ["q", variant]]
    [hit] = hits("label-variant", rows)
    assert (hit.line, hit.severity) == (61, None)
    assert "stands for 'positive', which has 20 rows" in hit.message


@pytest.mark.parametrize(
    ("label", "variant"),
    [
        ("positive", "pos"),
        ("negative", "NEG"),
        ("top_up_failed", "top_up_faile"),
        ("top_up_failed", "top_up_failde"),
        ("neutral", "neutrl"),
    ],
)
def test_a_label_cut_short_or_with_a_slip_is_a_warning(label: str, variant: str) -> None:
    rows = [*_rows({"positive": 20, "negative": 20, "neutral": 20, "top_up_failed": 20}), ["q", variant]]
    [hit] = hits("label-variant", rows)
    assert (hit.line, hit.severity) == (81, "warning") and f"stands for {label!r}" in hit.message


def test_blanks_and_underscores_make_no_other_label() -> None:
    meant = variants({"extra_charge": 9, "Extra charge": 1, "extra-charge": 2})
    assert meant == {"Extra charge": "extra_charge", "extra-charge": "extra_charge"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("possible", "impossible"),
        ("class 1", "class 2"),
        ("stage ii", "stage iii"),
        ("type a", "type b"),
        ("internal", "external"),
        ("C", "C++"),
        ("A+", "A-"),
        ("cat", "car"),
        ("typical", "atypical"),
        ("yes", "no"),
        ("lost_or_stolen_card", "lost_or_stolen_phone"),
    ],
)
def test_labels_that_differ_on_purpose_are_two(one: str, other: str) -> None:
    assert variants({one: 30, other: 3}) == {} == variants({one: 3, other: 30})


def test_two_spellings_that_are_as_frequent_are_one_label_only_if_case_alone_differs() -> None:
    assert variants({"received": 10, "receiver": 10}) == {}
    assert variants({"yes": 10, "Yes": 10}) == {"yes": "Yes"}


def test_names_and_sentences_have_no_variants() -> None:
    assert hits("label-variant", [["q", f"answer {n}"] for n in range(60)]) == []
    assert hits("label-variant", [*SENTENCES, ["q", SENTENCES[0][1].upper()]]) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["yes", "Yes", "YES.", "no", "No ", "maybe", "mayb", "n o", "pos", "positive", "Po"])))
def test_the_fix_leaves_one_spelling_of_each_label(answers: list[str]) -> None:
    rows = [{"prompt": f"q{n}", "completion": answer} for n, answer in enumerate(answers * 6)]
    setting = _seen([[row["prompt"], row["completion"]] for row in rows])
    fix = label_mapper(setting)
    fixed = [fix(row) or row for row in rows]
    assert all(fix(row) is None for row in fixed)
    assert [row["prompt"] for row in fixed] == [row["prompt"] for row in rows]
    if setting.task.kind == "classification" and len(rows) >= 20:
        counts = Counter(str(row["completion"]) for row in fixed)
        assert variants(counts) == {}


def _seen(rows: Sequence[Sequence[str]]) -> Setting:
    setting = Setting()
    labels = setting.share(Labels)
    for number, contents in enumerate(rows, 1):
        view = ExampleView(contents, line=number, record=number)
        setting.views.append(view)
        labels.see(view)
    setting.rows = setting.usable = len(rows)
    return setting


# --- how often --------------------------------------------------------------------------------------------------------


def test_one_label_with_nearly_all_rows_is_told_of_the_file() -> None:
    [hit] = hits("label-imbalance", _rows({"positive": 95, "negative": 5}))
    assert hit.line is None and "95% of 100 rows are 'positive', 5.0% 'negative'" in hit.message
    assert hits("label-imbalance", _rows({"positive": 90, "negative": 10})) == []


def test_labels_with_hardly_any_row_are_named() -> None:
    [hit] = hits("rare-label", _rows({"a": 40, "b": 40, "c": 4, "d": 1}))
    assert "2 of 4 labels have fewer than 5 rows: 'd' (1), 'c' (4)" in hit.message
    assert hits("rare-label", _rows({"a": 40, "b": 5})) == []


def test_the_same_answer_to_everything_is_an_error() -> None:
    [hit] = hits("one-answer", [[f"q {n}", "yes"] for n in range(30)])
    assert (hit.severity, hit.message) == ("error", "all 30 rows have the same answer")
    [hit] = hits("one-answer", [*SENTENCES, *[["q", f"{SENTENCES[0][1]} No."] for _ in range(60)]])
    assert hit.severity is None and "50% of the answers" in hit.message
    assert hits("one-answer", _rows({"yes": 60, "no": 40})) == hits("one-answer", SENTENCES) == []


def test_rows_sorted_by_their_label_are_told_of() -> None:
    rows = _rows({"a": 40, "b": 40})
    assert hits("sorted-by-label", rows) == []
    [hit] = hits("sorted-by-label", sorted(rows, key=lambda row: row[1]))
    assert hit.message.startswith("the label changes 1 times from row to row; 40 times")


def test_a_file_without_labels_costs_no_memory() -> None:
    observer = Labels(Setting())
    for number in range(5_000):
        contents = ["q", f"A whole sentence about the matter of case number {number}, as it was told. " * 3]
        observer.see(ExampleView(contents, line=number, record=number))
    assert observer.given_up and list(observer.places()) == []


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('{"intent": "a', "is no valid JSON"),
        (' {"a": 1}}', "is no valid JSON"),
        ("I do not know.", "is no JSON"),
        ("7", "is no JSON"),
        ("```json\n{]\n```", "is no JSON"),
    ],
)
def test_an_answer_that_is_not_json_is_found_where_the_others_are(answer: str, words: str) -> None:
    [hit] = hits("answer-not-json", [*_objects(40), ["q", answer]])
    assert (hit.line, hit.message) == (41, f"the answer {words}, where nearly all are")


@pytest.mark.parametrize("check", ["answer-not-json", "json-in-code-fence", "json-drift"])
def test_answers_need_not_be_json_where_most_are_not(check: str) -> None:
    assert hits(check, [*SENTENCES, ["q", '{"a": 1}'], ["q", '{"a"'], ["q", '```json\n{"a": 1}\n```']]) == []
    assert hits(check, _objects(40)) == []


@pytest.mark.parametrize("answer", ['```json\n{"a": [1]}\n```', '```\n{"a": [1]}\n```', ' ```json\r\n{"a": [1]}```\n'])
def test_a_code_fence_around_json_is_found_and_taken_away(answer: str) -> None:
    assert lines("json-in-code-fence", [*_objects(40), ["q", answer]]) == [41]
    fix = row_fix("json-in-code-fence")
    fixed = fix({"prompt": answer, "completion": answer})
    assert fixed == {"prompt": answer, "completion": '{"a": [1]}'}
    assert fix(fixed) is None


@given(st.text('`json{}[]"a:1\n ', max_size=30))
def test_taking_a_fence_away_twice_is_taking_it_away_once(text: str) -> None:
    assert unfenced(unfenced(text)) == unfenced(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"intent": None}, ""),
        ({"count": "7"}, "'count' is a text, and a number in 40 others"),
        ({"slots": []}, "'slots' is a list, and an object in 40 others"),
    ],
)
def test_a_value_of_another_type_is_found(change: dict[str, object], words: str) -> None:
    odd = json.dumps({"intent": "i0", "count": 1, "slots": {}, **change})
    assert [hit.message for hit in hits("json-drift", [*_objects(40), ["q", odd]])] == ([words] if words else [])


def test_a_key_that_is_missing_is_found_and_one_that_comes_and_goes_is_not() -> None:
    rows = _objects(40)
    rows[4] = ["q", '{"intent": "i0", "count": 3}']
    rows[5] = ["q", '{"intent": "i0", "count": 3, "slots": {}, "more": 1}']
    [hit] = hits("json-drift", rows)
    assert (hit.line, hit.message) == (5, "the key 'slots' is missing, which 39 of 40 answers have")


# --- real files -------------------------------------------------------------------------------------------------------

PLANTED = {
    "label_variant": "label-variant",
    "label_variant_rare": "label-variant",
    "completion_not_valid_json": "answer-not-json",
    "completion_in_code_fence": "json-in-code-fence",
    "label_imbalance_95_5": "label-imbalance",
}


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("alpaca_banking.json", 4),
        ("reviews_excel.csv", 8),
        ("snips_bom_crlf.jsonl", 6),
        ("sentiment_imbalanced.jsonl", 1),
    ],
)
def test_planted_faults_are_found_in_their_places_and_nowhere_else(messy: Path, name: str, faults: int) -> None:
    expected = json.loads((messy / "expected.json").read_text())[name]
    by_record = "0-based" in expected["unit"]
    planted = {(PLANTED[f["kind"]], f["where"]) for f in expected["findings"] if f["kind"] in PLANTED}
    found = set()
    for finding in lint(messy / name, checks=sorted(set(PLANTED.values()))).findings:
        if finding.check in PLANTED.values():
            places = [place - 1 for place in finding.records] if by_record else finding.lines
            found |= {(finding.check, place) for place in places or ["file"]}
    assert len(planted) == faults and found == planted


def test_rows_are_named_by_their_own_lines(write: Callable[..., Path]) -> None:
    rows = [{"prompt": p, "completion": c} for p, c in _rows({"yes": 30, "no": 30, "No": 2})]
    report = lint(write("\n".join(json.dumps(row) for row in rows) + "\n"), checks=["label-variant"])
    [finding] = [finding for finding in report.findings if finding.check == "label-variant"]
    assert finding.lines == [number for number, row in enumerate(rows, 1) if row["completion"] == "No"]
    assert report.verdict == "fix_first"


# --- seen in two parts ------------------------------------------------------------------------------------------------


def _observed(kind: Callable[[Setting], Any], rows: Sequence[Sequence[str]]) -> Any:
    observer = kind(Setting())
    for number, contents in enumerate(rows, 1):
        observer.see(ExampleView(contents, line=2 * number, record=number))
    return observer


def _in_two_parts(kind: Callable[[Setting], Any], rows: Sequence[Sequence[str]], *, at: int) -> Any:
    first, second = _observed(kind, rows[:at]), _observed(kind, rows[at:])
    first.absorb(second.pack(), lines=2 * at, records=at)
    return first


def _facts(labels: Labels) -> tuple[object, ...]:
    return labels.given_up, labels.all_equal, labels.changes(), list(labels.places())


@pytest.mark.parametrize("at", [0, 1, 30, 65, 66])
@pytest.mark.parametrize("odd", ["Positive", "", "positive", "x" * 200])
def test_labels_in_two_parts_are_those_of_one_pass(at: int, odd: str) -> None:
    for counts in ({"positive": 65}, {"positive": 40, "negative": 25}):
        for rows in ([*_rows(counts), ["q", odd]], [["q", odd], *_rows(counts)]):
            assert _facts(_in_two_parts(Labels, rows, at=at)) == _facts(_observed(Labels, rows))


@pytest.mark.parametrize("at", [10, 990, 1_500, 2_400])
def test_answers_that_are_no_labels_are_given_up_in_parts_too(at: int) -> None:
    rows = [["q", f"answer {n}"] for n in range(2_500)]
    assert _facts(_in_two_parts(Labels, rows, at=at)) == _facts(_observed(Labels, rows)) == (True, False, 0, [])


def test_a_part_that_is_given_up_gives_up_the_whole() -> None:
    rows = _rows({"positive": 1_500, "negative": 1_500})
    for mixed in ([*rows, *([f"q {n}", f"a {n}"] for n in range(1_100))], [*rows, *(["q", "x" * 200] for _ in rows)]):
        assert _in_two_parts(Labels, mixed, at=3_000).given_up


@pytest.mark.parametrize("at", [1, 700, 2_000, 2_999])
def test_marks_of_answers_in_two_parts_are_those_of_one_pass(at: int) -> None:
    sound = f"{SENTENCES[0][1]} And so on."
    rows = [["q", "No." if n % 40 == 7 else f"{sound[:-1]} of the" if n % 50 < 2 else sound] for n in range(3_000)]
    whole, parts = _observed(Answers, rows), _in_two_parts(Answers, rows, at=at)
    for one, other in zip(whole.pack()[2], parts.pack()[2], strict=True):
        assert list(one.hits("{}", of=3_000)) == list(other.hits("{}", of=3_000))
    assert whole.pack()[:2] == parts.pack()[:2]
    assert sum(len(list(rare.hits("{}", of=3_000))) for rare in parts.pack()[2]) == 75 + 120


@pytest.mark.parametrize("at", [500, 1_500])
def test_a_mark_that_is_common_is_forgotten_whatever_part_it_is_common_in(at: int) -> None:
    rows = [["q", "The sentence goes on until it is cut off in the"] for _ in range(1_700)]
    for whole in (_observed(Answers, rows), _in_two_parts(Answers, rows, at=at)):
        assert whole.cut.common and list(whole.cut.hits("{}", of=10**6)) == []


@pytest.mark.parametrize("at", [1, 400, 1_300])
def test_json_answers_in_two_parts_are_those_of_one_pass(at: int) -> None:
    rows = [*_objects(1_299), ["q", '{"intent": 3}'], ["q", "no"], ["q", "```json\n{}\n```"], *_objects(9)]
    whole, parts = _observed(JsonAnswers, rows), _in_two_parts(JsonAnswers, rows, at=at)
    assert (whole.valid, whole.rows, whole.shapes, whole.counts) == (
        parts.valid, parts.rows, parts.shapes, parts.counts)  # fmt: skip
    for check in json_answers.CHECKS:
        assert isinstance(check, DatasetCheck)
        found = list(check.run(whole))
        assert list(check.run(parts)) == found
        assert bool(found) == (check.id != "json-outside-code-fence")  # here most have none
