"""Folds for cross-fitting, and the wider interval that its scores need.

With few examples every row serves as a test row: what an arm prepares (demonstrations, an index, a tuned model) is made
from the other folds. It does not run arms.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from advisor.statistics.intervals import Interval


def folds(n: int, k: int, *, seed: int = 0, groups: Sequence[Hashable] | None = None) -> npt.NDArray[np.int64]:
    """The fold of each item, from 0 to k - 1, drawn at random; (n,).

    Fold sizes differ by one at most. With groups (document, user, near-duplicates) all items of a group share a fold:
    the largest groups are placed first, each into the fold that holds least.

    Args:
        n: items.
        k: folds.
        seed: of the draw.
        groups: the group of each item.

    Raises:
        ValueError: there are fewer than two folds, fewer items or groups than folds, or not one group an item.
    """
    if groups is not None and len(groups) != n:
        raise ValueError(f"every item has a group: found {len(groups)} groups for {n} items")
    members: dict[Hashable, list[int]] = {}
    for item, group in enumerate(groups if groups is not None else range(n)):
        members.setdefault(group, []).append(item)
    if not 2 <= k <= len(members):
        raise ValueError(f"there are at least two folds, and no more than items or groups: found {k} of {len(members)}")
    drawn = list(members.values())
    order = np.random.default_rng(seed).permutation(len(drawn))
    sizes = [0] * k
    fold_of = np.empty(n, dtype=np.int64)
    for place in sorted(order, key=lambda place: -len(drawn[place])):  # stable: equals stay in their random order
        fold = min(range(k), key=lambda fold: (sizes[fold], fold))
        fold_of[drawn[place]] = fold
        sizes[fold] += len(drawn[place])
    return fold_of


def widening(k: int, *, test_to_train: float | None = None) -> float:
    """How much wider an interval is where a trained arm's rows were scored in k folds: 1.5 at 5 folds.

    The models of two folds share most of their training rows, so their scores are not independent. Nadeau and Bengio
    (2003, https://doi.org/10.1023/A:1024068626366) take 1/k + n_test/n_train in place of 1/k for the variance.

    Args:
        k: folds, or repeated splits.
        test_to_train: test rows per training row of a fold; 1 / (k - 1) of cross-fitting if None.

    Raises:
        ValueError: there are fewer than two folds, or the ratio is not above 0.
    """
    if k < 2:
        raise ValueError("there are at least two folds")
    ratio = 1 / (k - 1) if test_to_train is None else test_to_train
    if not 0 < ratio < math.inf:
        raise ValueError("there are test rows and training rows")
    return math.sqrt((1 / k + ratio) / (1 / k))


def widened(interval: Interval, k: int, *, bounds: tuple[float, float] = (-1.0, 1.0)) -> Interval:
    """The interval of rows that were scored by k-fold cross-fitting, ``widening(k)`` times as wide to either side.

    For arms that are prepared from rows. One that is not (zero-shot) answers alike in every fold and needs none; a pair
    needs it if either arm does.

    Args:
        interval: as if the rows had been scored by one model.
        k: folds.
        bounds: what the estimate can be: differences by default; (0, 1) for a mean score.

    Raises:
        ValueError: there are fewer than two folds.
    """
    return stretched(interval, widening(k), bounds=bounds)


def stretched(interval: Interval, factor: float, *, bounds: tuple[float, float] = (-1.0, 1.0)) -> Interval:
    """The interval so many times as wide to either side of its estimate, within what is possible."""
    if factor == 1:
        return interval
    low = interval.estimate - factor * (interval.estimate - interval.low)
    high = interval.estimate + factor * (interval.high - interval.estimate)
    return Interval(interval.estimate, max(low, bounds[0]), min(high, bounds[1]))
