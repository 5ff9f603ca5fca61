"""How many test rows a difference needs to show, and how small a difference a number of rows can show."""

from __future__ import annotations

import math

import numpy as np

from advisor.statistics.bootstrap import Scores

_POWER_FACTOR = 7.85
"""(1.96 + .84)^2: a two-sided 5% test with 80% power (Miller 2024, https://arxiv.org/abs/2411.00640)."""

PASS_FAIL_SD = math.sqrt(0.3)
"""A usual SD of paired pass/fail differences: two arms that disagree on 30% of the items."""


def rows_needed(differences: Scores, *, margin: float) -> int:
    """The number of test rows, in all, that would probably settle a pair of arms.

    n = 7.85 * s^2 / d^2, rounded up, with d the larger of the mean difference seen and ``margin``, and s the SD of the
    per-item differences with the two pseudo-items of ``paired_interval`` among them: s^2 + 2/n. So arms that agreed on
    every item so far still need sqrt(2 * 7.85) / d rows; where s is large the pseudo-items hardly count.

    Args:
        differences: per-item differences of two arms, in [-1, 1].
        margin: the smallest difference that matters, on the scale of the scores.

    Raises:
        ValueError: there is no difference, or ``margin`` is not above 0.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError("differences are one flat, non-empty row of numbers")
    if margin <= 0:
        raise ValueError("the margin is above 0")
    gap = max(abs(float(values.mean())), margin)
    variance = float(values.var(ddof=1)) if values.size > 1 else 0.0
    # n^2 = k * (variance * n + 2), solved for n.
    k = _POWER_FACTOR / gap**2
    return math.ceil((k * variance + math.sqrt((k * variance) ** 2 + 8 * k)) / 2)


def smallest_visible_gap(n: int, *, sd: float = PASS_FAIL_SD) -> float:
    """The smallest true difference that ``n`` test rows show in four runs of five: the inverse of ``rows_needed``.

    Args:
        n: test rows.
        sd: of the per-item differences; about .55 for pass/fail scores, about .26 for graded ones.

    Returns:
        A difference on the scale of the scores, at most 1.

    Raises:
        ValueError: ``n`` is below 1 or ``sd`` below 0.
    """
    if n < 1 or sd < 0:
        raise ValueError("n is at least 1 and sd at least 0")
    return min(1.0, math.sqrt(_POWER_FACTOR * (sd**2 + 2 / n) / n))
