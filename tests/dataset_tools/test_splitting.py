from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Split
from dataset_tools.similarity import NearDuplicates, distinctive_parts
from dataset_tools.splitting import split

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "jetty", "karst", "lilac"]


def _rows(count: int, *, labels: tuple[str, ...] = (), seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    prompts = [f"{n}: " + " ".join(rng.choices(WORDS, k=12)) for n in range(count)]
    answers = [labels[n % len(labels)] if labels else f"answer {n}: " + prompt for n, prompt in enumerate(prompts)]
    return [Example.of(*pair, record=n + 1) for n, pair in enumerate(zip(prompts, answers, strict=True))]


def _sizes(parts: Split) -> tuple[int, int, int]:
    return len(parts.train), len(parts.validation), len(parts.test)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(8, (5, 1, 2)), (30, (15, 5, 10)), (100, (72, 8, 20)), (1000, (720, 80, 200)), (2000, (1600, 100, 300))],
)
def test_default_sizes(count: int, sizes: tuple[int, int, int]) -> None:
    assert _sizes(split(_rows(count))) == sizes


@pytest.mark.parametrize(
    ("test", "validation", "sizes"), [(10, 5, (85, 5, 10)), (0.3, 0.1, (60, 10, 30)), (0, 0, (100, 0, 0))]
)
def test_asked_sizes_are_kept(test: float, validation: float, sizes: tuple[int, int, int]) -> None:
    assert _sizes(split(_rows(100), test=test, validation=validation)) == sizes


def test_the_seed_decides() -> None:
    rows = _rows(100)
    assert split(rows, seed=1) == split(rows, seed=1)
    assert split(rows, seed=1) != split(rows, seed=2)


def test_equal_rows_are_dropped_once_and_counted() -> None:
    rows = _rows(50)
    again = [Example.of(f" {row.question.upper()} ", row.completion) for row in rows[:5]]
    parts = split(rows + again)
    assert parts.dropped == 5
    assert {*parts.train, *parts.validation, *parts.test} == set(rows)


def test_near_duplicate_prompts_stay_on_one_side_though_all_share_an_instruction() -> None:
    rows = _rows(60)
    pairs = [Example.of(row.question + "s", f"other {row.completion}") for row in rows]
    told = [
        Example.of(f"Reply with one word only, please. Text: {row.question}", row.completion) for row in rows + pairs
    ]
    parts = split(told)
    for row, pair in zip(told[:60], told[60:], strict=True):
        assert any({row, pair} <= set(side) for side in (parts.train, parts.validation, parts.test))
    assert min(_sizes(parts)) > 0


def test_groups_stay_on_one_side() -> None:
    rows = [Example(row.messages, group=str(n // 5)) for n, row in enumerate(_rows(100))]
    parts = split(rows)
    sides = [{row.group for row in side} for side in (parts.train, parts.validation, parts.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert _sizes(parts) == (75, 5, 20)


def test_labels_keep_their_shares() -> None:
    rows = _rows(200, labels=("a", "a", "a", "b"))
    counts = Counter(row.completion for row in split(rows).test)
    assert counts == {"a": 30, "b": 10}


def test_every_label_is_left_for_training() -> None:
    rows = [*_rows(60, labels=("a", "b")), Example.of("the only one of its kind is this", "rare")]
    assert {row.completion for row in split(rows).train} == {"a", "b", "rare"}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(count: int) -> None:
    with pytest.raises(DataError, match="at least 8 distinct"):
        split(_rows(count))


def test_sizes_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        split(_rows(20), test=15, validation=5)


@pytest.mark.parametrize("size", [-1, 1.5])
def test_a_size_that_is_no_size_is_refused(size: float) -> None:
    with pytest.raises(UsageError, match="size of the test set"):
        split(_rows(20), test=size)


def test_rows_that_are_all_nearly_the_same_are_refused() -> None:
    base = "please tell me how to cancel the transfer that I made yesterday" * 3
    rows = [Example.of(base[:n] + "X" + base[n + 1 :], f"answer {n}") for n in range(0, 100, 4)]
    with pytest.raises(DataError, match="near-duplicates"):
        split(rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text("ab ", max_size=4), st.sampled_from("xyz")), min_size=8, max_size=40), st.integers())
def test_a_split_loses_and_repeats_no_distinct_row_and_always_leaves_some_to_train(
    pairs: list[tuple[str, str]], seed: int
) -> None:
    rows = [Example.of(prompt, completion, record=n) for n, (prompt, completion) in enumerate(pairs)]
    try:
        parts = split(rows, seed=seed)
    except DataError:
        return
    everything = [*parts.train, *parts.validation, *parts.test]
    assert len(everything) + parts.dropped == len(rows)
    assert len({row.record for row in everything}) == len(everything)
    assert parts.train and parts.test


@pytest.mark.parametrize("task", ["banking77", "e2e_nlg", "coffee_chat", "snips_json", "scitldr"])
def test_no_test_prompt_of_a_real_task_is_near_a_training_prompt(dev: Path, task: str) -> None:
    examples = load_examples(dev / task / "train.jsonl").examples
    parts = split(examples)
    own = dict(zip(examples, distinctive_parts([example.prompt_text for example in examples]), strict=True))
    index = NearDuplicates([own[row] for row in (*parts.train, *parts.validation)])
    assert [row.line for row in parts.test if index.find(own[row]) is not None] == []


def test_groups_can_be_told_by_a_function() -> None:
    rows = _rows(100)
    parts = split(rows, test=20, validation=10, group=lambda row: row.question.split()[1])
    sides = [{row.question.split()[1] for row in side} for side in (parts.train, parts.validation, parts.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_balance_can_be_asked_for_by_a_function_and_be_done_without() -> None:
    rows = _rows(200, labels=("a", "a", "a", "b"))
    by_word = split(rows, test=40, stratify=lambda row: row.question.split()[1])
    shares = Counter(row.question.split()[1] for row in rows)
    for word, count in Counter(row.question.split()[1] for row in by_word.test).items():
        assert abs(count - 40 * shares[word] / 200) < 1.001
    assert split(rows, seed=1) == split(rows, seed=1, stratify=True) != split(rows, seed=1, stratify=False)


def test_exact_sizes_are_exact_though_rows_move_together() -> None:
    rows = [Example(row.messages, group=f"g{n // 7}" if n < 70 else None) for n, row in enumerate(_rows(100))]
    parts = split(rows, test=32, validation=9, exact=True)
    assert _sizes(parts) == (59, 9, 32)


def test_exact_sizes_that_the_groups_do_not_allow_are_refused() -> None:
    rows = [Example(row.messages, group=str(n // 5)) for n, row in enumerate(_rows(100))]
    assert _sizes(split(rows, test=20, validation=10, exact=True)) == (70, 10, 20)
    with pytest.raises(DataError, match="3 rows too few"):
        split(rows, test=23, validation=10, exact=True)
