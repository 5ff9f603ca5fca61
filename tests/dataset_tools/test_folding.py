"""Folds hold each distinct row once, keep together what belongs together, and share the labels out evenly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.folding import fold_rows
from dataset_tools.splitting import split

THINGS = ["kettle", "printer", "gate", "inbox", "lift", "oven", "badge", "scanner", "fridge", "toner"]


def rows(count: int, labels: int = 3) -> list[Example]:
    return [
        Example.of(f"{THINGS[n % 10]} number {n * n}: why is row {n * 7919} late?", f"queue {n % labels}")
        for n in range(count)
    ]


@given(count=st.integers(10, 60), folds=st.integers(2, 6), seed=st.integers(0, 9))
def test_each_row_is_in_one_fold_and_the_same_seed_gives_the_same_folds(count: int, folds: int, seed: int) -> None:
    examples = rows(count)
    found = fold_rows(examples, folds, seed=seed)
    assert len(found) == folds
    assert Counter(row for fold in found for row in fold) == Counter(examples)
    assert found == fold_rows(examples, folds, seed=seed)
    assert max(map(len, found)) - min(map(len, found)) <= 3  # one for each label


def test_labels_are_shared_out_and_duplicates_dropped() -> None:
    found = fold_rows([*rows(60), *rows(60)], 5)
    assert sum(map(len, found)) == 60
    for fold in found:
        assert all(3 <= count <= 5 for count in Counter(row.completion for row in fold).values())


def test_rows_of_one_group_share_a_fold() -> None:
    examples = [replace(row, group=f"document {place % 12}") for place, row in enumerate(rows(60))]
    found = fold_rows(examples, 5)
    homes = {row.group: number for number, fold in enumerate(found) for row in fold}
    assert all(homes[row.group] == number for number, fold in enumerate(found) for row in fold)
    assert len(homes) == 12


def test_what_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ValueError, match="two folds"):
        fold_rows(rows(20), 1)
    with pytest.raises(DataError, match="too few rows"):
        fold_rows(rows(7), 5)


SHARES = {"billing": 0.5, "delivery": 0.4, "refund": 0.3, "login": 0.2, "privacy": 0.1, "recall": 0.06, "theft": 0.04}


def labelled(count: int, seed: int) -> list[Example]:
    """Rows with sets of labels, of which some are rare."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        chosen = [label for label, share in SHARES.items() if draw.random() < share] or ["billing"]
        question = f"{THINGS[number % 10]} number {number * number}: why is row {number * 7919} late?"
        made.append(Example.of(question, ", ".join(chosen), record=number))
    return made


def labels_in(rows: Iterable[Example]) -> Counter[str]:
    return Counter(label for row in rows for label in row.completion.split(", "))


@pytest.mark.parametrize("seed", range(4))
def test_each_label_of_sets_of_labels_is_shared_out_over_the_folds(seed: int) -> None:
    examples = labelled(150, seed)
    found = fold_rows(examples, 5, seed=seed)
    assert max(map(len, found)) - min(map(len, found)) <= 3
    for label in SHARES:
        counts = [labels_in(fold)[label] for fold in found]
        assert max(counts) - min(counts) <= 2, label


@pytest.mark.parametrize("seed", range(4))
def test_the_rare_ones_of_sets_of_labels_have_their_share_of_the_test_rows(seed: int) -> None:
    examples = labelled(150, seed)
    test = split(examples, seed=seed).test
    whole, drawn = labels_in(examples), labels_in(test)
    for label in ("login", "privacy", "recall", "theft"):
        assert abs(drawn[label] - whole[label] * len(test) / len(examples)) < 2, label
