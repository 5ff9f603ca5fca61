"""The strengths of three or more arms from votes on pairs: Bradley-Terry. It decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from advisor.human.votes import Vote

FloatArray = npt.NDArray[np.float64]
RIDGE = 0.1
"""Of a prior that keeps the strength of an arm that always wins finite; a tenth of a vote or so. A judgement."""

_DRAWS = 500
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Strength:
    """An arm's strength in log odds, 0 for the average arm, with a 95% interval.

    One arm beats another with a probability of 1 / (1 + exp(other - one)). ``best`` is the share of draws in which the
    arm is the strongest.
    """

    arm: str
    strength: float
    low: float
    high: float
    best: float


def bradley_terry(wins: FloatArray, *, ridge: float = RIDGE) -> FloatArray:
    """The strengths that make the wins likeliest (Bradley & Terry 1952, https://doi.org/10.2307/2334029).

    A logistic regression without an intercept, by Newton's method, with a ridge of ``ridge / 2`` times the sum of
    squares. Draws are solved all at once.

    Args:
        wins: (..., arms, arms): how often the row's arm beat the column's; a tie is half a win for each.
        ridge: above 0.

    Returns:
        (..., arms), with a mean of 0.
    """
    arms = wins.shape[-1]
    played = wins + np.swapaxes(wins, -1, -2)
    strengths: FloatArray = np.zeros(wins.shape[:-1])
    for _ in range(_STEPS):
        expected = 1 / (1 + np.exp(strengths[..., None, :] - strengths[..., :, None]))
        gradient = (wins - played * expected).sum(axis=-1) - ridge * strengths
        weights = played * expected * (1 - expected)
        curvature = -weights + np.eye(arms) * (weights.sum(axis=-1)[..., None] + ridge)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        # A full step may overshoot where one arm hardly ever loses.
        strengths = strengths + np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    centred: FloatArray = strengths - strengths.mean(axis=-1, keepdims=True)
    return centred


def strengths_of(votes: Sequence[Vote], arms: Sequence[str], *, seed: int = 0) -> list[Strength]:
    """The arms' strengths, the strongest first, from votes that count.

    The intervals are those of a Bayesian bootstrap over items, so that votes on one item stay together (Rubin 1981,
    https://doi.org/10.1214/aos/1176345338; clusters as the unit: Miller 2024, https://arxiv.org/abs/2411.00640).
    """
    names = list(arms)
    table = _wins_by_item(votes, names)
    whole = bradley_terry(table.sum(axis=0))
    weights = np.random.default_rng(seed).standard_exponential((_DRAWS, max(1, len(table))))
    weights *= weights.shape[1] / weights.sum(axis=1, keepdims=True)
    draws = bradley_terry(np.einsum("di,iab->dab", weights, table) if len(table) else np.zeros((1, *whole.shape * 2)))
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    best = (draws == draws.max(axis=1, keepdims=True)).mean(axis=0)
    found = [
        Strength(name, float(whole[at]), float(low[at]), float(high[at]), float(best[at]))
        for at, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: -one.strength)


def _wins_by_item(votes: Sequence[Vote], arms: list[str]) -> FloatArray:
    """(items, arms, arms)."""
    items = {item: at for at, item in enumerate(dict.fromkeys(vote.item for vote in votes))}
    table: FloatArray = np.zeros((len(items), len(arms), len(arms)))
    for vote in votes:
        one, other = arms.index(vote.left), arms.index(vote.right)
        won = (1 + vote.value_for(vote.left)) / 2
        table[items[vote.item], one, other] += won
        table[items[vote.item], other, one] += 1 - won
    return table
