"""Which challengers may leave a comparison before all test rows are answered.

It saves work and never names a winner: an arm that is dropped here was behind beyond doubt, or cannot pay any more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.statistics.bootstrap import FloatArray, Scores
from advisor.statistics.sequential import E_VALUE_LIMIT

FEWEST_RACE_ROWS = 12
"""No arm is dropped on fewer rows. A judgement: the e-value could reach 100 on 9 straight losses."""

FUTILE_Z = 0.5
"""Half a standard error: a challenger not ahead by more than this at half of the rows is futile."""

# O'Brien and Fleming's limits for the second and third of four looks (two-sided 5%), in standard errors, after so many
# quarters of the planned rows; the first look is left to the e-value. On fewer rows a standard error says too little.
_LOOKS = ((2, 2.863), (3, 2.337))
_FEWEST_LOOK_ROWS = 20

# A difference has at least this variance, so that arms that agreed on all rows have a standard error.
_LEAST_VARIANCE = 1e-3

# Bets that the mean is below 0, and no others: under "equal or better" none of them gains on average.
_LOSING_BETS = np.linspace(-0.98, -0.02, 25)


@dataclass(frozen=True, slots=True)
class RaceDecision:
    """What to do with a challenger.

    Attributes:
        action: "drop", or "go on".
        why: "worse" or "futile" for a drop.
        rows: how many common rows it rests on.
        e_value: the highest so far of the e-values that the leader is better; 100 drops.
    """

    action: Literal["drop", "go on"]
    why: Literal["worse", "futile"] | None
    rows: int
    e_value: float


def race_decision(
    differences: Scores, *, finished: bool, planned: int | None = None, dearer: bool = False
) -> RaceDecision:
    """Whether a challenger stays in the race, from ``challenger - leader`` on the common rows seen so far.

    It is dropped as *worse* once the e-value against "as good as the leader, or better" reaches 100. The e-value is
    ``betting_log_e``'s with the bets below 0 only, so that whenever one looks, and however often, an arm that is equal
    or better is dropped with a probability of at most 1% against each leader it meets (Ville's inequality;
    Waudby-Smith & Ramdas, https://arxiv.org/abs/2010.09686). Where the leader was chosen on the same rows, as one of k,
    it is at most k%.

    It is dropped as *worse* too if, on the first half or three quarters of the planned rows, it is behind by O'Brien
    and Fleming's limit (1979; 2.86 and 2.34 standard errors): with few rows, or scores that differ a little on each,
    that sees more. Simulated on 50 to 200 rows, both rules together drop an equal arm in 1.1 to 1.9% of the races, and
    one that is 5 points better in less than .5%.

    It is dropped as *futile* if it is dearer than the leader and, on the first half of the planned rows, ahead by no
    more than half a standard error, or behind. (SCIENCE 2 has within
    half a standard error; an arm further behind is no better a bet.) Simulated with pass/fail scores that differ on 30%
    of 200 rows: 69% of the races of equal arms end so, and 8% of those of an arm 10 points better. With 50 rows it is
    34% of the latter, but the end would hardly ever have shown these gains: of those it would have shown, 2-4% are
    lost, with 50 rows as with 200.

    Args:
        differences: in [-1, 1], in the order they came in.
        finished: whether no row is left. Then nothing is saved by dropping, and the arm stays for the verdict.
        planned: test rows in all; None leaves out the rules that go by them.
        dearer: whether the challenger costs more than the leader.

    Raises:
        ValueError: a difference is not a number in [-1, 1], or ``planned`` is below 1.
    """
    if planned is not None and planned < 1:
        raise ValueError("at least one row is planned")
    path = worse_log_e(differences)
    # Before the fewest rows nothing counts, so the path is read from there on.
    highest = float(path[FEWEST_RACE_ROWS - 1 :].max(initial=0.0))
    e_value = math.exp(min(highest, 700.0))
    rows = int(path.size)
    if finished or rows < FEWEST_RACE_ROWS:
        return RaceDecision("go on", None, rows, e_value)
    values = np.asarray(differences, dtype=np.float64)
    if highest >= math.log(E_VALUE_LIMIT) or (planned and _behind_at_a_look(values, planned)):
        return RaceDecision("drop", "worse", rows, e_value)
    half = max(FEWEST_RACE_ROWS, planned // 2) if planned else 0
    if dearer and half and rows >= half and _z(values[:half]) <= FUTILE_Z:
        return RaceDecision("drop", "futile", rows, e_value)
    return RaceDecision("go on", None, rows, e_value)


def _behind_at_a_look(values: FloatArray, planned: int) -> bool:
    looks = [(planned * quarter // 4, limit) for quarter, limit in _LOOKS]
    return any(_FEWEST_LOOK_ROWS <= rows <= values.size and _z(values[:rows]) <= -limit for rows, limit in looks)


def worse_log_e(differences: Scores) -> FloatArray:
    """Natural log of the e-value against "the mean difference is 0 or above", after each item; (items,).

    Raises:
        ValueError: a difference is not a number in [-1, 1].
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not np.all(np.abs(values) <= 1):
        raise ValueError("differences are one flat row of numbers in [-1, 1]")
    paths = np.cumsum(np.log1p(np.outer(values, _LOSING_BETS)), axis=0)
    peak = paths.max(axis=1, keepdims=True)
    log_e: FloatArray = peak[:, 0] + np.log(np.exp(paths - peak).mean(axis=1))
    return log_e


def _z(values: FloatArray) -> float:
    """The mean difference in standard errors."""
    return float(values.mean() / math.sqrt(max(float(values.var()), _LEAST_VARIANCE) / values.size))
