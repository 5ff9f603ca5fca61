"""Pairs and thumbs: ties, contradictions and lopsided files are found, and files of another kind are left alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.checks.preference import Judged
from dataset_tools.formats import to_example
from dataset_tools.formats.preference import Preference
from dataset_tools.lint import lint
from dataset_tools.report import Finding


def _found(write: Callable[..., Path], rows: list[dict[str, Any]]) -> dict[str, Finding]:
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    return {
        finding.check: finding
        for finding in lint(path, checks=["preference"]).findings
        if finding.lines or finding.hits
    }


def _pairs(count: int, *, better: int = 20, worse: int = 20) -> list[dict[str, Any]]:
    rng = random.Random(0)
    letters = "abcdefgh "
    return [
        {
            "prompt": f"question {n}",
            "chosen": "".join(rng.choices(letters, k=better + rng.randint(0, 3))) + ".",
            "rejected": "".join(rng.choices(letters, k=worse + rng.randint(0, 3))) + "!",
        }
        for n in range(count)
    ]


def _thumbs(up: int, down: int) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "completion": f"answer {n}", "label": n < up} for n in range(up + down)]


def test_good_pairs_have_no_finding(write: Callable[..., Path]) -> None:
    assert _found(write, _pairs(40)) == {}


@pytest.mark.parametrize("rejected", ["The same.", " The same.\n"])
def test_a_pair_of_equal_answers_is_a_warning(write: Callable[..., Path], rejected: str) -> None:
    tie = {"prompt": "a", "chosen": "The same.", "rejected": rejected}
    finding = _found(write, [*_pairs(12), tie])["preference-tie"]
    assert (finding.severity, finding.lines) == ("warning", [13])


def test_answers_that_differ_in_their_calls_are_no_tie(write: Callable[..., Path]) -> None:
    def answer(city: str) -> list[dict[str, Any]]:
        function = {"name": "weather", "arguments": json.dumps({"city": city})}
        return [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": function}]}]

    row = {"prompt": [{"role": "user", "content": "a"}], "chosen": answer("Ulm"), "rejected": answer("Bonn")}
    assert "preference-tie" not in _found(write, [*_pairs(12), row])
    assert "preference-tie" in _found(write, [*_pairs(12), {**row, "rejected": answer("Ulm")}])


@pytest.mark.parametrize("rejected", ["", " ", None])
def test_an_empty_worse_answer_is_an_error(write: Callable[..., Path], rejected: str | None) -> None:
    finding = _found(write, [*_pairs(12), {"prompt": "a", "chosen": "b", "rejected": rejected}])["empty-field"]
    assert (finding.severity, finding.lines) == ("error", [13])
    assert "rejected is empty" in finding.message


def test_a_pair_that_stands_elsewhere_the_other_way_round_is_an_error_on_both_sides(write: Callable[..., Path]) -> None:
    rows = _pairs(12)
    turned = {"prompt": rows[4]["prompt"].upper(), "chosen": rows[4]["rejected"], "rejected": rows[4]["chosen"]}
    finding = _found(write, [*rows, turned])["preference-contradiction"]
    assert (finding.severity, finding.lines) == ("error", [5, 13])
    assert finding.hits[0].message.startswith("line 13 ") and finding.hits[1].message.startswith("line 5 ")


@pytest.mark.parametrize(("better", "worse", "name"), [(60, 20, "better"), (20, 60, "worse")])
def test_a_length_that_tells_the_answers_apart_is_told(
    write: Callable[..., Path], better: int, worse: int, name: str
) -> None:
    finding = _found(write, _pairs(40, better=better, worse=worse))["preference-length-bias"]
    assert (finding.severity, finding.lines) == ("warning", [])
    assert f"the {name} answer is longer in 100% of the pairs" in finding.message


def test_few_pairs_tell_no_bias(write: Callable[..., Path]) -> None:
    assert "preference-length-bias" not in _found(write, _pairs(15, better=60))


@pytest.mark.parametrize(
    ("up", "down", "told"), [(20, 20, False), (32, 8, False), (33, 8, True), (4, 20, True), (40, 0, True)]
)
def test_thumbs_of_one_kind_are_told(write: Callable[..., Path], up: int, down: int, told: bool) -> None:
    found = _found(write, _thumbs(up, down))
    assert ("thumb-imbalance" in found) is told
    if told:
        assert f"{up:,} thumbs up and {down:,} down" in found["thumb-imbalance"].message


def test_a_file_that_is_seen_in_two_parts_has_the_same_numbers() -> None:
    rows = [*_pairs(30, better=60)]
    rows.append({"prompt": rows[4]["prompt"], "chosen": rows[4]["rejected"], "rejected": rows[4]["chosen"]})
    examples = [to_example(Preference(), row, line=place, record=place) for place, row in enumerate(rows, 1)]
    good = [example for example in examples if example is not None]
    setting = Setting(
        format=Preference(), read_again=lambda records: (example for example in good if example.record in records)
    )
    whole, first, second = Judged(setting), Judged(setting), Judged(setting)
    for example in good:
        whole.see(ExampleView.of(example))
        later = example.record > 20
        moved = replace(example, record=example.record - 20 * later)
        (second if later else first).see(ExampleView.of(moved))
    first.absorb(second.pack(), lines=20, records=20)
    assert first.pairs == len(rows) and (first.chars, first.longer) == (whole.chars, whole.longer)
    assert list(first.contradictions()) == list(whole.contradictions()) == [(5, 5, 31), (31, 31, 5)]


def test_other_files_have_no_such_finding(write: Callable[..., Path]) -> None:
    rows = [{"prompt": f"question {n}", "completion": "the same"} for n in range(40)]
    assert not {name for name in _found(write, rows) if name.startswith(("preference", "thumb"))}


def test_natural_pairs_have_no_length_bias(dev: Path, write: Callable[..., Path]) -> None:
    made = []
    for line in (dev / "pref_llmbar" / "pairs.jsonl").read_text().splitlines():
        row = json.loads(line)
        better, worse = ("a", "b") if str(row["winner"]) in ("a", "A", "1") else ("b", "a")
        made.append({"prompt": row["prompt"], "chosen": row[better], "rejected": row[worse]})
    assert not {name for name in _found(write, made) if name.startswith("preference")}
