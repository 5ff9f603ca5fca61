"""Leaks: rows of the test set are found whatever their form, and rows that only share the task are not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.checks import leaked_passages
from dataset_tools.checks.base import ExampleView, Hit, Setting
from dataset_tools.checks.leaked_rows import Leaks
from dataset_tools.checks.leaks import CHECKS
from dataset_tools.example import Example, Message
from dataset_tools.lint import examine, lint

INSTRUCTION = "Tag the message of the customer with the code of what it asks for. Give the code alone."


def _text(rng: random.Random, words: int) -> str:
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(words))


def _leaks(rows: list[Example], test: list[Example]) -> dict[str, list[Hit]]:
    leaks = Leaks(Setting(test_rows=test, read_again=lambda records: (row for row in rows if row.record in records)))
    for row in rows:
        leaks.see(ExampleView.of(row))
    found = {check.id: list(check.run(leaks)) for check in CHECKS}
    return {name: hits for name, hits in found.items() if hits}


def _rows(count: int, *, seed: int, words: int = 20, prefix: str = "") -> list[Example]:
    rng = random.Random(seed)
    pairs = [(prefix + _text(rng, words), _text(rng, 3)) for _ in range(count)]
    return [Example.of(*pair, line=place, record=place) for place, pair in enumerate(pairs, 1)]


def _like(row: Example, prompt: str, *, answer: str | None = None) -> Example:
    return Example.of(prompt, answer or row.completion, line=99, record=99)


TEST = _rows(40, seed=1, prefix=f"{INSTRUCTION}\n\nMessage: ")
TRAIN = _rows(80, seed=2, prefix=f"{INSTRUCTION}\n\nMessage: ")


def test_rows_that_share_the_instruction_alone_are_no_leaks() -> None:
    assert _leaks(TRAIN, TEST) == {}


def test_a_small_test_set_does_not_make_the_instruction_a_leak() -> None:
    assert _leaks(TRAIN, TEST[:3]) == {}


def test_a_prompt_of_the_test_is_an_error_with_its_line() -> None:
    [hit] = _leaks([*TRAIN, _like(TEST[7], TEST[7].question)], TEST)["leak-exact"]
    assert (hit.line, hit.record, hit.severity) == (99, 99, "error")
    assert hit.message == "the prompt of line 8 of the test rows"


def test_another_answer_to_it_is_an_error_too_and_said() -> None:
    [hit] = _leaks([_like(TEST[7], TEST[7].question, answer="none of them")], TEST)["leak-exact"]
    assert (hit.severity, hit.message) == ("error", "the prompt of line 8 of the test rows, with another answer")


@pytest.mark.parametrize(
    "change",
    [str.lower, str.upper, lambda text: text.replace(" ", "  "), lambda text: f" {text}\n", lambda text: text + "?!"],
)
def test_a_prompt_in_another_form_is_found_as_near(change: Callable[[str], str]) -> None:
    found = _leaks([*TRAIN, _like(TEST[7], change(TEST[7].question))], TEST)
    assert set(found) == {"leak-near"}
    [hit] = found["leak-near"]
    assert (hit.line, hit.severity) == (99, "error")
    assert "line 8 of the test rows but for case, blanks or punctuation" in hit.message


def test_a_prompt_with_a_word_more_is_found_and_its_answer_tells_how_bad_it_is() -> None:
    prompt = f"{TEST[7].question} please"
    [same] = _leaks([*TRAIN, _like(TEST[7], prompt)], TEST)["leak-near"]
    [other] = _leaks([*TRAIN, _like(TEST[7], prompt, answer="none of them")], TEST)["leak-near"]
    assert (same.severity, other.severity) == ("error", "warning")
    assert "nearly the prompt of line 8" in same.message and "with another answer" in other.message


def test_a_short_prompt_must_be_the_same() -> None:
    test = [Example.of("2 + 2 * 3 =", "8", line=1)]
    assert _leaks([Example.of("2 + 2 * 4 =", "10")], test) == {}
    assert set(_leaks([Example.of("2 + 2 * 3  =", "8")], test)) == {"leak-near"}
    assert set(_leaks([Example.of("2 + 2 * 3 =", "8")], test)) == {"leak-exact"}


def test_where_all_prompts_are_one_instruction_the_answers_are_compared() -> None:
    rng = random.Random(3)
    texts = [_text(rng, 40) for _ in range(30)]
    test = [Example.of("Write a short text.", text, line=place) for place, text in enumerate(texts[:10], 1)]
    rows = [Example.of("Write a short text.", text, line=place, record=place) for place, text in enumerate(texts, 1)]
    assert _leaks(rows[10:], test) == {}
    assert [hit.line for hit in _leaks(rows[8:], test)["leak-exact"]] == [9, 10]


def test_a_group_on_both_sides_is_an_error() -> None:
    rows = [Example.of(f"{_text(random.Random(n), 20)}", "a", line=n, record=n) for n in range(1, 5)]
    grouped = [Example(row.messages, row.line, row.record, group=f"document {row.line % 2}") for row in rows]
    [hit, _] = _leaks(grouped, [Example.of("q", "a", line=3), Example(TEST[0].messages, 9, 9, "document 1")])[
        "leak-group"
    ]
    assert (hit.line, hit.message) == (1, "the group 'document 1' is also that of line 9 of the test rows")


def test_a_conversation_that_goes_on_is_found() -> None:
    rng = random.Random(4)
    turns = [_text(rng, 12) for _ in range(4)]
    messages = [Message(role, text) for role, text in zip(("user", "assistant") * 2, turns, strict=True)]
    system = Message("system", "Be kind.")
    row = Example((system, *messages), line=5, record=5)
    test = [Example((Message("system", "Be rude."), *messages[:2]), line=2)]
    assert [hit.line for hit in _leaks([row], test)["leak-conversation"]] == [5]
    other = Example((*messages[:1], Message("assistant", "no"), *messages[2:]), line=6, record=6)
    assert _leaks([other], test) == {}


def test_of_many_near_test_rows_the_nearest_is_named() -> None:
    rng = random.Random(5)
    words = _text(rng, 40).split(" ")
    near = [" ".join([*words[:-count], "x" * count]) for count in (3, 1, 2)]
    test = [Example.of(text, "a", line=place) for place, text in enumerate(near, 1)]
    [hit] = _leaks([Example.of(" ".join(words), "a")], test)["leak-near"]
    assert "line 2 of" in hit.message


def test_leaks_that_are_found_in_two_parts_of_a_file_are_the_same() -> None:
    rows = [*TRAIN, _like(TEST[7], TEST[7].question), _like(TEST[8], f"{TEST[8].question} please")]
    rows = [Example(row.messages, place, place) for place, row in enumerate(rows, 1)]
    setting = Setting(test_rows=TEST, read_again=lambda records: (row for row in rows if row.record in records))
    whole, first, second = Leaks(setting), Leaks(setting), Leaks(setting)
    for row in rows:
        whole.see(ExampleView.of(row))
        later = row.record > 81
        (second if later else first).see(ExampleView.of(Example(row.messages, record=row.record - 81 * later)))
    first.absorb(second.pack(), lines=81, records=81)
    assert first.found == whole.found and len(first.found) == 2
    assert first.lines == whole.lines == {81: 81, 82: 82}


def test_the_check_is_skipped_and_named_where_no_test_rows_are_given(write: Callable[..., Path]) -> None:
    path = write("".join(json.dumps({"prompt": f"question {n}", "completion": "a"}) + "\n" for n in range(12)))
    skipped = lint(path, checks=["leaks"]).skipped
    assert skipped == tuple(f"{check.id}: no test file was given" for check in (*CHECKS, *leaked_passages.CHECKS))


@pytest.mark.parametrize(("name", "other"), [("leak_train", "leak_test"), ("leak_test", "leak_train")])
def test_planted_leaks_are_found_in_exactly_their_lines(messy: Path, name: str, other: str) -> None:
    planted: dict[str, set[int]] = {"leak-exact": set(), "leak-near": set()}
    for fault in json.loads((messy / "expected.json").read_text())[f"{name}.jsonl"]["findings"]:
        if fault["kind"].startswith(("also_in", "near_duplicate_of")):
            planted["leak-exact" if fault["kind"].startswith("also") else "leak-near"].add(fault["where"])
    report = lint(messy / f"{name}.jsonl", test_rows=examine(messy / f"{other}.jsonl")[1], checks=["leaks"])
    found = {finding.check: finding for finding in report.findings if finding.family == "leaks"}
    assert {check: set(finding.lines) for check, finding in found.items()} == planted
    assert all(finding.severity == "error" for finding in found.values())


@pytest.mark.parametrize("task", ["banking77", "coffee_chat", "gsm8k", "pubmedqa_rag", "snips_json", "xquad_rag"])
def test_clean_data_has_no_leak_that_is_an_error(dev: Path, task: str) -> None:
    test = examine(dev / task / "test.jsonl")[1]
    report = lint(dev / task / "train.jsonl", test_rows=test, checks=["leaks"])
    leaks = [finding for finding in report.findings if finding.family == "leaks"]
    assert [finding for finding in leaks if finding.severity == "error"] == []
    assert sum(finding.count for finding in leaks) <= 0.005 * report.rows
