"""Doubtful labels, odd rows, groups, order: told where planted, silent where words tell nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check_cases import hits

from dataset_tools import Example, lint
from dataset_tools.checks.base import Hit
from dataset_tools.checks.label_noise import left_out_scores
from dataset_tools.checks.vectors import DRAWN, Words, parts_of
from dataset_tools.fixes import apply_fixes

_RNG = random.Random(0)
_WORDS = ["".join(_RNG.choices("etaoinshrdlu", k=_RNG.randint(4, 8))) for _ in range(2_000)]
TOPICS = {name: [f"{name}{word}" for word in _WORDS[:40]] for name in ("ab", "cd", "ef")}
Rows = list[list[str]]


def _topical(rng: random.Random, topic: str, words: int = 12) -> str:
    """A text of which two in three words are of its topic."""
    return " ".join(rng.choice(TOPICS[topic]) if rng.random() < 0.67 else rng.choice(_WORDS) for _ in range(words))


def _labelled(count: int, *, flipped: int = 0) -> tuple[Rows, list[int]]:
    """Rows whose topic is their label, and the lines of those that were given another label."""
    rng = random.Random(1)
    topics = [rng.choice(list(TOPICS)) for _ in range(count)]
    wrong = sorted(rng.sample(range(count), flipped))
    rows = [[_topical(rng, topic), topic] for topic in topics]
    for place in wrong:
        rows[place][1] = rng.choice([other for other in TOPICS if other != topics[place]])
    return rows, [place + 1 for place in wrong]


# --- labels in doubt --------------------------------------------------------------------------------------------------


def test_labels_that_were_flipped_are_the_first_in_doubt() -> None:
    rows, wrong = _labelled(600, flipped=6)
    found = hits("label-noise", rows)
    assert sorted(hit.line or 0 for hit in found) == wrong
    assert all("rows like it have" in hit.message and "all 600 rows" in hit.message for hit in found)
    assert f"(doubt 1 of {len(found)}," in found[0].message


def test_sound_labels_are_not_in_doubt() -> None:
    assert hits("label-noise", _labelled(600)[0]) == []


def test_no_label_is_in_doubt_where_the_words_do_not_tell_it() -> None:
    rng = random.Random(2)
    rows = [[" ".join(rng.choices(_WORDS, k=12)), rng.choice(("ab", "cd"))] for _ in range(300)]
    assert hits("label-noise", rows) == []
    assert hits("label-noise", [[prompt, f"{prompt} {prompt}."] for prompt, _ in rows]) == []  # no labels


def test_few_doubts_are_told_however_many_there_are() -> None:
    rows, _ = _labelled(1_000, flipped=80)
    assert 1 <= len(hits("label-noise", rows)) <= 10


def test_the_closed_form_is_what_leaving_each_row_out_gives() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 4))
    cosines, given = points @ points.T, np.eye(2)[rng.integers(0, 2, 12)]
    centred = given - given.mean(axis=0)
    for row in range(12):
        others = np.arange(12) != row
        weights = np.linalg.solve(cosines[np.ix_(others, others)] + np.eye(11), centred[others])
        wanted = cosines[row, others] @ weights + given.mean(axis=0)
        assert np.allclose(left_out_scores(cosines, given)[row], wanted)


def test_clean_rows_are_hardly_in_doubt(dev: Path) -> None:
    for task, most in (("banking77", 12), ("sentiment", 10), ("pubmedqa_rag", 0), ("kjv_style", 0)):
        report = lint(dev / task / "train.jsonl", checks=["label-noise", "outlier", "sorted-rows"])
        assert sum(finding.count for finding in report.findings) <= most
        assert {finding.severity for finding in report.findings} <= {"info"}


# --- how rows lie together --------------------------------------------------------------------------------------------


def test_vectors_are_of_length_one_and_know_no_other_words() -> None:
    texts = ["a lender asks", "a letter comes", "", "the employer asks a lender"]
    parts = [parts_of(text) for text in texts]
    words = Words.of(parts)
    lengths = np.asarray(words.vectors(parts).power(2).sum(axis=1)).ravel()
    assert np.allclose(lengths, [1, 1, 0, 1])
    assert words.vectors([parts_of("something else")]).nnz == 0


def test_the_groups_are_told_with_their_shares_and_words() -> None:
    rng = random.Random(3)
    rows = [[_topical(rng, "ab" if number % 4 else "cd"), _topical(rng, "ef", 20)] for number in range(200)]
    [hit] = hits("row-groups", rows)
    assert (hit.line, "all 200 rows" in hit.message) == (None, True)
    shares = [int(part.split("%")[0].split()[-1]) for part in hit.message.split("; ")[:-1]]
    assert sum(shares) in range(96, 105)
    assert "(ab" in hit.message and "(cd" in hit.message
    assert hits("row-groups", rows[:99]) == []


def test_a_row_unlike_all_others_is_told_and_rows_that_all_differ_are_not() -> None:
    rng = random.Random(4)
    rows = [[_topical(rng, "ab", 7), "A sentence, as the answer is one."] for _ in range(200)]
    rows[70][0] = "zwei drei vier fuenf sechs sieben acht neun zehn elf"
    [hit] = hits("outlier", rows)
    assert (hit.line, "it begins 'zwei drei" in hit.message) == (71, True)
    apart = [[" ".join(rng.choices(_WORDS, k=10)), "A sentence."] for _ in range(200)]
    assert hits("outlier", apart) == []


def _lint(write: Callable[..., Path], rows: list[dict[str, Any]], check: str, **options: Any) -> list[Hit]:
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    return [hit for finding in lint(path, checks=[check], **options).findings if finding.check == check
            for hit in finding.hits]  # fmt: skip


def _pairs(count: int, topic: str = "ab", seed: int = 5) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [{"prompt": _topical(rng, topic), "completion": _topical(rng, "ef", 30)} for _ in range(count)]


def test_test_rows_that_no_row_is_like_are_told(write: Callable[..., Path]) -> None:
    tests = [Example.of(row["prompt"], "x", line=place) for place, row in enumerate(_pairs(20, seed=6), 1)]
    [hit] = _lint(write, _pairs(200), "test-coverage", test_rows=tests)
    assert "half of 20 test rows" in hit.message and "have none" not in hit.message
    tests[4] = Example.of("zwei drei vier", "x", line=5)
    [hit] = _lint(write, _pairs(200), "test-coverage", test_rows=tests)
    assert "1 have none that is 0.1 alike (test line 5)" in hit.message


def test_only_a_draw_of_many_rows_is_compared(write: Callable[..., Path]) -> None:
    [hit] = _lint(write, _pairs(DRAWN + 300), "row-groups")
    assert f"{DRAWN:,} rows drawn of {DRAWN + 300:,}" in hit.message


# --- order ------------------------------------------------------------------------------------------------------------


def test_rows_in_order_of_length_are_told_and_shuffled_when_asked(write: Callable[..., Path]) -> None:
    rows = sorted(_pairs(200), key=lambda row: len(row["prompt"]) + len(row["completion"]))
    [hit] = _lint(write, rows, "sorted-rows")
    assert "rows get longer from first to last" in hit.message
    assert "shorter" in _lint(write, rows[::-1], "sorted-rows")[0].message
    done = apply_fixes(write("".join(json.dumps(row) + "\n" for row in rows)), fixes=["sorted-rows"])
    assert (done.rows, done.dropped) == (200, 0)
    assert lint(done.target, checks=["sorted-rows"]).findings == ()


def test_rows_whose_groups_stand_together_are_told(write: Callable[..., Path]) -> None:
    rows = [{**row, "group": f"g{place // 40}"} for place, row in enumerate(_pairs(200))]
    [hit] = _lint(write, rows, "sorted-rows")
    assert "the group changes 4 times from row to row" in hit.message
    random.Random(0).shuffle(rows)
    assert _lint(write, rows, "sorted-rows") == []


@pytest.mark.parametrize("count", [1, 2, 30, 120])
def test_files_of_equal_rows_and_of_few_are_no_trouble(write: Callable[..., Path], count: int) -> None:
    rows = [{"prompt": "?", "completion": "yes"}] * count
    for check in ("label-noise", "row-groups", "outlier", "sorted-rows"):
        assert len(_lint(write, rows, check)) <= 1
