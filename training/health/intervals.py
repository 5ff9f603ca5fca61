"""Intervals for what the health card counts and measures; small samples are the rule here.

For comparing arms there is `advisor.statistics`, which training may not import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_DRAWS = 4000


def rate_interval(hits: int, total: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95% interval of a rate (Biometrika 26, 1934); (0, 1) of nothing."""
    from scipy.stats import binomtest

    if total == 0:
        return 0.0, 1.0
    ends = binomtest(hits, total).proportion_ci(0.95, method="exact")
    return float(ends.low), float(ends.high)


def rate_at_most(hits: int, total: int) -> float:
    """The upper end of the one-sided exact 95% interval: what 0 of 40 still allows is 7%."""
    from scipy.stats import binomtest

    if total == 0:
        return 1.0
    return float(binomtest(hits, total, alternative="less").proportion_ci(0.95, method="exact").high)


def mean_interval(scores: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of the mean of scores in 0..1; (0, 1) of nothing.

    Wilson's for scores of 0 and 1; else the Bayesian bootstrap with a pseudo-item at 0 and one at 1, as normal bars
    are too short for few items (Bowyer et al. 2025, https://arxiv.org/abs/2503.01747).
    """
    if not scores:
        return 0.0, 1.0
    if all(score in (0, 1) for score in scores):
        from scipy.stats import binomtest

        ends = binomtest(round(sum(scores)), len(scores)).proportion_ci(0.95, method="wilson")
        return float(ends.low), float(ends.high)
    import numpy as np

    values = np.array([*scores, 0.0, 1.0])
    draws = np.random.default_rng(0).dirichlet(np.ones(len(values)), _DRAWS) @ values
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def difference_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of mean(first) - mean(second), scores in 0..1 of different items.

    Agresti and Caffo's: one item at 0 and one at 1 are added on both sides (The American Statistician 54, 2000).
    Made for rates; for graded scores it is on the wide side.
    """
    centre, variance = 0.0, 0.0
    for sign, scores in ((1, first), (-1, second)):
        values = [*scores, 0.0, 1.0]
        mean = sum(values) / len(values)
        centre += sign * mean
        variance += sum((value - mean) ** 2 for value in values) / len(values) ** 2
    reach = 1.96 * math.sqrt(variance)
    return centre - reach, centre + reach


def mcnemar(lost: int, gained: int) -> float:
    """McNemar's exact two-sided p-value: can as many changes in one direction be chance? 1.0 where nothing changed."""
    from scipy.stats import binomtest

    return float(binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean of values and its standard error; the error of a single value is infinite.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("the mean of nothing")
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, math.inf
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
