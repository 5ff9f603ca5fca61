"""How far raters agree, with each other and with themselves. It weighs no vote by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from advisor.human.tallies import wilson
from advisor.human.votes import Vote, counted
from advisor.statistics import Interval

USABLE_ALPHA = 0.667
"""Krippendorff's own bound for tentative conclusions (Content Analysis, 2004, p. 241)."""

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Between raters: Krippendorff's alpha, None where no item has two raters or all said the same of all items.

    With themselves: the share of repeats (sides swapped) on which a rater said the same again, None without repeats.

    Attributes:
        alpha: with a 95% interval.
        shared: items (and pairs of arms) with two raters or more.
        raters: how many voted.
        consistency: with Wilson's interval.
        repeats: how many it rests on.
        by_rater: of each rater, (the same again, repeats).
    """

    alpha: Interval | None
    shared: int
    raters: int
    consistency: Interval | None
    repeats: int
    by_rater: dict[str, tuple[int, int]]


def agreement_of(votes: Sequence[Vote], *, seed: int = 0) -> Agreement:
    """Agreement between raters on counted votes, and of each rater with themselves on the repeats.

    Two votes agree where they prefer the same arm, or neither: a tie and both bad are one answer to "which is better".
    """
    valid = counted(votes)
    units: dict[Hashable, list[str]] = {}
    for vote in valid:
        units.setdefault(_about(vote), []).append(vote.winner or "")
    first = {(vote.rater, _about(vote)): vote.winner for vote in valid}
    by_rater: dict[str, tuple[int, int]] = {}
    for vote in votes:
        if vote.repeat and vote.judged and (vote.rater, _about(vote)) in first:
            same, seen = by_rater.get(vote.rater, (0, 0))
            by_rater[vote.rater] = same + (first[vote.rater, _about(vote)] == vote.winner), seen + 1
    agreed, repeats = (sum(column) for column in zip(*by_rater.values(), strict=True)) if by_rater else (0, 0)
    share = agreed / repeats if repeats else 0.0
    return Agreement(
        alpha=krippendorff_alpha(list(units.values()), seed=seed),
        shared=sum(len(values) > 1 for values in units.values()),
        raters=len({vote.rater for vote in valid}),
        consistency=Interval(share, *wilson(share, repeats)) if repeats else None,
        repeats=repeats,
        by_rater=by_rater,
    )


def krippendorff_alpha(units: Sequence[Sequence[str]], *, seed: int = 0) -> Interval | None:
    """Krippendorff's alpha of nominal values: 1 for full agreement, 0 for that of chance; with a 95% interval.

    1 - D_o / D_e from the coincidence matrix (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43). Any number of raters, values may be missing. The interval resamples
    units (percentile bootstrap).

    Args:
        units: the values that each unit was given, one a rater.
        seed: of the draws.

    Returns:
        None where it is not defined: no unit has two values, or only one value is ever given.
    """
    values = sorted({value for unit in units if len(unit) > 1 for value in unit})
    table = np.array([_coincidences(unit, values) for unit in units if len(unit) > 1])
    if not len(table) or len(values) < 2:
        return None
    picked = np.random.default_rng(seed).multinomial(len(table), np.full(len(table), 1 / len(table)), size=_DRAWS)
    draws = _alpha(np.einsum("du,ucv->dcv", picked, table))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Interval(float(_alpha(table.sum(axis=0)[None])[0]), float(low), float(high))


def _coincidences(unit: Sequence[str], values: Sequence[str]) -> list[list[float]]:
    """The unit's part of the coincidence matrix: ordered pairs of values, each unit weighing as its values."""
    counts, size = Counter(unit), len(unit)
    return [[counts[one] * (counts[other] - (one == other)) / (size - 1) for other in values] for one in values]


def _alpha(matrices: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(draws, values, values) -> (draws,); NaN where a draw has one value alone."""
    margins = matrices.sum(axis=2)
    total = margins.sum(axis=1)
    same = np.trace(matrices, axis1=1, axis2=2)
    expected = total**2 - (margins**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha = 1 - (total - same) * (total - 1) / expected
    found: npt.NDArray[np.float64] = np.where(expected > 0, alpha, np.nan)
    return found


def _about(vote: Vote) -> Hashable:
    return vote.item, *sorted((vote.left, vote.right))
