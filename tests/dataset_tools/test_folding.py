"""Folds hold each distinct row once, keep together what belongs together, and share the labels out evenly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.folding import fold_rows

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
