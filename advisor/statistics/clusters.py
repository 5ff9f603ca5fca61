"""The paired interval for items that come in clusters: questions on one document, tickets of one user, near-duplicates.

Items of a cluster tend to be right or wrong together, so that they tell less than as many independent ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from advisor.statistics.bootstrap import DRAWS, FloatArray, Scores, checked_pair, mean_draws
from advisor.statistics.intervals import Interval


def cluster_interval(
    a: Scores, b: Scores, clusters: Sequence[Hashable], *, level: float = 0.95, seed: int = 0
) -> Interval:
    """The mean of ``a - b`` over the same items, with an interval that resamples clusters in place of items.

    The Bayesian bootstrap over clusters: a draw weighs every cluster, and its mean is the weighted sum of differences
    by the weighted number of items (clusters as the unit: Miller 2024, https://arxiv.org/abs/2411.00640). The two
    pseudo-items of ``paired_interval`` become pseudo-clusters of the mean size. With every item its own cluster this is
    ``paired_interval`` in distribution. Antisymmetric in the arms likewise. Wide, never short: simulated with graded
    scores in 15 to 40 clusters of 5 or 6 that share most of their luck it covers 99%, and ``paired_interval`` 73%.

    Args:
        a: one arm's scores in [0, 1].
        b: the other's, on the same items.
        clusters: the cluster of each item.
        level: of the interval.
        seed: of the draws.

    Raises:
        ValueError: the two are not scores in [0, 1] of the same items, there is not one cluster an item, or ``level``
            is not inside (0, 1).
    """
    first, second = checked_pair(a, b)
    if len(clusters) != first.size:
        raise ValueError(f"every item has a cluster: found {len(clusters)} for {first.size} items")
    if not 0 < level < 1:
        raise ValueError("the level of an interval is inside (0, 1)")
    numbers: dict[Hashable, int] = {}
    members = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    differences = first - second
    sums: FloatArray = np.bincount(members, weights=differences).astype(np.float64)
    sizes: FloatArray = np.bincount(members).astype(np.float64)
    half = DRAWS // 2
    draws = np.concatenate([_draws(sums, sizes, half, seed), -_draws(-sums, sizes, half, seed)])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(differences.mean()), float(low), float(high))


def _draws(sums: FloatArray, sizes: FloatArray, draws: int, seed: int) -> FloatArray:
    ends = float(sizes.mean()) * np.array([[1.0, 1.0], [-1.0, 1.0]])
    # Rounded, so that equal clusters are seen as equal whatever the order of their items.
    means = mean_draws(np.column_stack([np.round(sums, 12), sizes]), ends, draws=draws, seed=seed)
    ratios: FloatArray = means[:, 0] / means[:, 1]
    return ratios
