"""Rows in folds, so that each can serve as a test row once. What belongs together stays in one fold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from dataset_tools.example import Example
from dataset_tools.splitting import distinct_rows, kept_together, labels_of


def fold_rows(examples: Sequence[Example], count: int, *, seed: int = 0) -> list[tuple[Example, ...]]:
    """The rows in so many folds of about the same size, with about the same share of each label.

    Exact duplicates are dropped; rows of one group and near-duplicate prompts share a fold, as in `split`. The largest
    of them are placed first, each where least of its label is; of rows with several labels those with the rarest come
    first, each where least of its rarest label is, then of its next one. A fold may be empty where nearly all rows
    belong together.

    Args:
        examples: The rows.
        count: Folds, two at least.
        seed: The same seed gives the same folds.

    Raises:
        ValueError: fewer than two folds are asked for.
        DataError: fewer than 8 distinct rows.
    """
    if count < 2:
        raise ValueError("there are at least two folds")
    rows = distinct_rows(examples)
    labels_in = labels_of(rows)
    counts = Counter(label for row in rows for label in labels_in(row))
    several = any(len(labels_in(row)) > 1 for row in rows)
    units = kept_together(rows)
    random.Random(seed).shuffle(units)
    folds: list[list[Example]] = [[] for _ in range(count)]
    labels: list[Counter[str]] = [Counter() for _ in range(count)]

    def order(unit: list[Example]) -> tuple[int, int]:
        return -len(unit), min((counts[label] for label in labels_in(unit[0])), default=0) if several else 0

    for unit in sorted(units, key=order):  # stable: equals stay in their random order
        own = labels_in(unit[0])
        place = min(range(count), key=lambda at: ([labels[at][label] for label in own], len(folds[at]), at))
        folds[place] += unit
        labels[place].update(label for row in unit for label in labels_in(row))
    return [tuple(fold) for fold in folds]
