"""Wins, ties and win rates of two arms, with intervals and the rule that says when to stop. No wording, no store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.human.votes import Vote
from advisor.statistics import Interval, mid_p_mcnemar, split_decision
from advisor.statistics.sequential import END_LEVEL

Z95 = 1.959964
_Z80 = 0.841621
SMALLEST_EDGE = 0.05
"""No more votes are ever asked for than show a true win rate of 55% (783 decisive ones): less hardly matters."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was said of two arms. ``win_rate`` is that of ``a`` on decisive votes, None where there are none.

    Attributes:
        a: one arm.
        b: the other.
        wins: votes for ``a``.
        losses: votes for ``b``.
        ties: votes for neither, both good.
        both_bad: votes for neither, both bad.
        win_rate: of decisive votes, with its 95% interval.
        design_effect: how many votes tell as much as one would if no two were on one item; 1 where none are.
    """

    a: str
    b: str
    wins: int
    losses: int
    ties: int
    both_bad: int
    win_rate: Interval | None
    design_effect: float

    @property
    def judged(self) -> int:
        """All votes."""
        return self.wins + self.losses + self.ties + self.both_bad

    @property
    def decisive(self) -> int:
        """Votes that prefer an arm."""
        return self.wins + self.losses


def tally(votes: Sequence[Vote], a: str, b: str) -> Tally:
    """Count the votes that are about these two arms; give it votes that count (`advisor.human.votes.counted`)."""
    between = [vote for vote in votes if {vote.left, vote.right} == {a, b}]
    values = [vote.value_for(a) for vote in between]
    by_item: dict[int, list[int]] = {}
    for vote, value in zip(between, values, strict=True):
        if value:
            by_item.setdefault(vote.item, []).append(value)
    clusters = [(sum(value > 0 for value in given), len(given)) for given in by_item.values()]
    rate, effect = win_rate(clusters) if clusters else (None, 1.0)
    bad = sum(vote.kind == "both_bad" for vote in between)
    return Tally(a, b, values.count(1), values.count(-1), values.count(0) - bad, bad, rate, effect)


def win_rate(clusters: Sequence[tuple[int, int]], *, level_z: float = Z95) -> tuple[Interval, float]:
    """The share of wins over items, with Wilson's interval, and its design effect.

    With one vote an item this is Wilson's interval (Wilson 1927; Bowyer et al. 2025, https://arxiv.org/abs/2503.01747).
    Votes of several raters on one item are alike, so they count as fewer: n is divided by the design effect, the
    variance between items over that of as many single votes, 1 at least (Rao & Scott 1992,
    https://doi.org/10.2307/2532311). Where all votes agree it cannot be seen, and items are counted in place of votes.

    Args:
        clusters: (wins, votes) of each item, votes at least 1.
        level_z: standard errors of the interval.

    Raises:
        ValueError: there is no item.
    """
    if not clusters:
        raise ValueError("there is no vote")
    wins, sizes = (np.array(column, dtype=np.float64) for column in zip(*clusters, strict=True))
    total, items = float(sizes.sum()), len(clusters)
    share = float(wins.sum()) / total
    effect = 1.0
    if total > items:
        effect = total / items
        if 0 < share < 1 and items > 1:
            between = items / (items - 1) * float(((wins - share * sizes) ** 2).sum()) / total**2
            effect = min(effect * float((sizes**2).mean() / sizes.mean() ** 2), between * total / (share * (1 - share)))
            effect = max(1.0, effect)
    low, high = wilson(share, total / effect, level_z=level_z)
    return Interval(share, low, high), effect


def wilson(share: float, n: float, *, level_z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share; ``n`` may be a fraction, as an effective number of votes is."""
    square = level_z**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = level_z * math.sqrt(share * (1 - share) / n + square / (4 * n**2)) / (1 + square / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def decision(votes: Sequence[Vote], a: str, b: str, *, planned: int) -> Literal[-1, 0, 1]:
    """What the split rule says: 1 for ``a``, -1 for ``b``, 0 for neither yet (`advisor.statistics.split_decision`).

    The unit is the item, in the order of first votes. The e-value, looked at always, rests on the first vote of each
    item alone: the guarantee of an e-value does not cover means that change as more raters come. The test at the end
    is made once, on the means of all votes of each item among the first ``planned`` votes. Simulated with four raters
    on 30 items, equal arms are told apart in 4.3 to 4.5% of 3000 runs each, whether raters think alike or not.
    """
    between = [vote for vote in votes if {vote.left, vote.right} == {a, b}]
    first = [values[0] for values in _by_item(between, a)]
    now = split_decision(first, finished=False)
    if now or len(between) < planned:
        return now
    means = [sum(values) / len(values) for values in _by_item(between[:planned], a)]
    return _at_the_end(means)


def votes_to_go(found: Tally) -> int:
    """About how many more votes would show the present win rate with 80% power; 0 where there are enough.

    Decisive votes: ((1.96 * .5 + .84 * sqrt(p(1-p))) / (p - .5))^2, which is 194 for p = .6 and 783 for .55. The
    rate is taken with one win and one loss added, and with an edge of five points at least; ties and the design effect
    are taken to go on as they are.
    """
    p = (found.wins + 1) / (found.decisive + 2)
    edge = max(abs(p - 0.5), SMALLEST_EDGE)
    p = 0.5 + edge
    needed = ((Z95 * 0.5 + _Z80 * math.sqrt(p * (1 - p))) / edge) ** 2 * found.design_effect
    share = (found.decisive + 1) / (found.judged + 1)
    return max(0, math.ceil(needed / share) - found.judged)


def _at_the_end(means: Sequence[float]) -> Literal[-1, 0, 1]:
    """The fixed-size test of the split rule, without its e-value, which was looked at before."""
    if not any(means):
        return 0
    if set(means) <= {-1, 0, 1} or len(set(means)) == 1:  # a t-test needs two values that differ
        p = mid_p_mcnemar(sum(mean > 0 for mean in means), sum(mean < 0 for mean in means))
    else:
        from scipy.stats import ttest_1samp

        p = float(ttest_1samp(means, 0.0).pvalue)
    if p > END_LEVEL:
        return 0
    return 1 if sum(means) > 0 else -1


def _by_item(votes: Sequence[Vote], a: str) -> list[list[int]]:
    by_item: dict[int, list[int]] = {}
    for vote in votes:
        by_item.setdefault(vote.item, []).append(vote.value_for(a))
    return list(by_item.values())
