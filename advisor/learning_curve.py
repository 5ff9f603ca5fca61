"""Would more of the same help? A curve through scores at a few sizes, with how sure one can be of it.

For training rows, demonstrations in a prompt, or the share of the documents that is indexed; for a score (higher is
better) or a loss (lower is better). It trains and answers nothing. It assumes that more never hurts: where a curve
bends down, as few-shot prompts may, it says "little", not "harm".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from advisor.statistics import Interval
from advisor.statistics.bootstrap import FloatArray

Outlook = Literal["adds", "little", "cannot_tell"]

RUN_SD = 0.01
"""How much two trainings on as many rows differ, as an SD on the scale of the scores. A judgement: one point."""

SMALL = 0.01
"""A gain below this is called small: one point, or .01 nats per token. A judgement."""

# "Adds X to Y" is said where X rounds to something, and where the test set has told more than was assumed beforehand:
# the spread of the gain is half of what the prior alone would give, or less. Both judgements.
_LEAST_SHOWN = 0.005
_NARROWED = 0.5

# The priors. c ~ N(.5, .25): SCIENCE 7. r, the share of the present error that more rows can remove in the end, has
# Jeffreys' prior Beta(1/2, 1/2), at points of equal probability: curves that are flat and curves that fall to nothing
# are likely both. Priors with more weight on half say too much of curves that are flat.
_EXPONENT_MEAN, _EXPONENT_SD = 0.5, 0.25
_EXPONENTS = np.linspace(0.05, 1.5, 20)
_SHARES = np.sin(np.pi * (np.arange(20) + 0.5) / 40) ** 2
_LEVELS = 25


class Fan(NamedTuple):
    """What the score (or loss) at some size may be: quantiles, on the scale of the values."""

    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True, slots=True)
class Point:
    """One size, and what was measured there.

    Attributes:
        n: the size: rows, demonstrations, or a share of the documents; above 0.
        values: one an item: scores in [0, 1], or losses in nats per token. All points on the same items in the same
            order, so that the comparison of sizes is paired. A size may occur twice (two seeds).
    """

    n: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return float(np.mean(self.values))


@dataclass(frozen=True, slots=True)
class Curve:
    """A weighted set of curves ``error(n) = a + b n^-c`` that fit the points: made by `fit`.

    Attributes:
        points: what it was fitted to.
        n: the largest size measured.
        higher_is_better: whether the values are scores; else they are losses.
        bound: the best value that is possible.
        narrowed: the spread of the gain of doubling, as a share of its spread before the points were seen, but for the
            level of the curve. 1 means that the test set tells nothing about the slope.
    """

    points: tuple[Point, ...]
    n: float
    higher_is_better: bool
    bound: float
    narrowed: float
    # Of every curve: what separates it from the bound at size n, the share of that which more can remove, its exponent.
    _levels: FloatArray = field(repr=False, compare=False)
    _shares: FloatArray = field(repr=False, compare=False)
    _exponents: FloatArray = field(repr=False, compare=False)
    _weights: FloatArray = field(repr=False, compare=False)

    def fan(self, n: float) -> Fan:
        """What the value at size ``n`` may be: 5, 25, 50, 75 and 95%.

        It is the curve's own value, without the noise of one training or of a test set. Within what is possible: a
        score is at least 0, and nothing is better than ``bound``.

        Raises:
            ValueError: ``n`` is not above 0.
        """
        if n <= 0:
            raise ValueError("a size is above 0")
        values = self._values(n)
        found = _quantiles(values, self._weights, (0.05, 0.25, 0.5, 0.75, 0.95))
        return Fan(*(float(value) for value in found))

    def gain(self, n: float) -> Interval:
        """How much better ``n`` is than the largest size measured, with the ends of the 90% range.

        Better is positive, for a loss too. The estimate is the mean.

        Raises:
            ValueError: ``n`` is not above 0.
        """
        if n <= 0:
            raise ValueError("a size is above 0")
        gains = self._levels * self._shares * (1 - (n / self.n) ** -self._exponents)
        low, high = _quantiles(gains, self._weights, (0.05, 0.95))
        return Interval(float(gains @ self._weights), float(low), float(high))

    @property
    def gain_of_doubling(self) -> Interval:
        """``gain`` of twice the largest size measured."""
        return self.gain(2 * self.n)

    def _values(self, n: float) -> FloatArray:
        away = self._levels * (1 - self._shares + self._shares * (n / self.n) ** -self._exponents)
        return np.clip(self.bound - away, 0.0, None) if self.higher_is_better else self.bound + away


def fit(
    points: Sequence[Point],
    *,
    noise_ceiling: float | None = None,
    higher_is_better: bool = True,
    run_sd: float = RUN_SD,
) -> Curve:
    """Fit ``error(n) = a + b n^-c`` to what was measured, with a prior on its shape (Viering & Loog 2021,
    https://arxiv.org/abs/2103.10948, for the form and where it fails).

    The posterior is summed over a grid; nothing is drawn. The curve is written by its distance from the best value
    possible: E (1 - r + r (n / N)^-c) with N the largest size measured and E the distance there. So the prior is on
    numbers without a scale (c, and r: the share of E that more can remove), and scores and losses are treated alike; E
    has a flat prior. Points on the same items have a joint covariance, and each has the noise of its own training.

    Simulated with curves of three sizes, each twice the last: the error of the predicted gain of doubling (root mean
    square) is 1.2, 1.1, .9 and .7 points with 50, 100, 200 and 500 test items, where true gains have an SD of 1.2. So
    below about 200 items a curve tells little beyond the prior. The 90% range of the gain covers 94-98% there; of
    curves that all fall to nearly nothing, which the prior holds for rarer, 80-88%.

    Args:
        points: at least two different sizes, all on the same items.
        noise_ceiling: the best value possible: 1 for scores and 0 for losses unless known (conflicting duplicates).
        higher_is_better: scores; False for losses.
        run_sd: the SD of one training, on the scale of the values.

    Raises:
        ValueError: there are fewer than two sizes, a size is not above 0, the points are not on the same items, a value
            is no finite number, a score is outside [0, 1], or ``run_sd`` is below 0.
    """
    _check(points, higher_is_better=higher_is_better, run_sd=run_sd)
    sizes = np.array([point.n for point in points], dtype=np.float64)
    table = np.array([point.values for point in points], dtype=np.float64)
    bound = noise_ceiling if noise_ceiling is not None else float(higher_is_better)
    means = table.mean(axis=1)
    away = np.maximum(bound - means if higher_is_better else means - bound, 0.0)
    noise = _covariance(table, run_sd)
    largest = float(sizes.max())
    shares, exponents = (grid.ravel() for grid in np.meshgrid(_SHARES, _EXPONENTS, indexing="ij"))
    shape = 1 - shares[:, None] + shares[:, None] * (sizes / largest) ** -exponents[:, None]
    prior = -0.5 * ((exponents - _EXPONENT_MEAN) / _EXPONENT_SD) ** 2
    levels = _level_grid(away[sizes == largest], noise.diagonal()[sizes == largest])
    # The log likelihood of E * shape is quadratic in E, so the points are looked at once for all levels.
    scaled = np.linalg.solve(noise, np.column_stack([away, shape.T])).T
    linear, square = scaled[1:] @ away, np.einsum("ij,ij->i", scaled[1:], shape)
    log_weights = prior[:, None] + linear[:, None] * levels - 0.5 * square[:, None] * levels**2
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    prior_weights = np.exp(prior - prior.max())
    falls = shares * (1 - 2.0**-exponents)
    gains = falls[:, None] * levels
    spread_before = _sd(falls, prior_weights / prior_weights.sum()) * float(weights.sum(axis=0) @ levels)
    return Curve(
        points=tuple(points),
        n=largest,
        higher_is_better=higher_is_better,
        bound=bound,
        narrowed=_sd(gains.ravel(), weights.ravel()) / spread_before,
        _levels=np.broadcast_to(levels, gains.shape).ravel(),
        _shares=np.repeat(shares, levels.size),
        _exponents=np.repeat(exponents, levels.size),
        _weights=weights.ravel(),
    )


def outlook(curve: Curve) -> Outlook:
    """Which of the three things can be said of doubling.

    "little": the 90% range of the gain lies below one point (.01 nats per token). "adds": its lower end is half of that
    at least, and the points have narrowed it. "cannot_tell": else.
    """
    gain = curve.gain_of_doubling
    if gain.high < SMALL:
        return "little"
    return "adds" if gain.low >= _LEAST_SHOWN and curve.narrowed <= _NARROWED else "cannot_tell"


def sentence(curve: Curve, *, what: str = "training rows") -> str:
    """What doubling would add, in one of three sentences.

    Args:
        curve: the fit.
        what: what there would be more of, in the plural: "demonstrations", "documents".
    """
    gain, kind = curve.gain_of_doubling, outlook(curve)
    if curve.higher_is_better:
        low, high = f"{100 * gain.low:.1f}", f"{100 * gain.high:.1f}"
        if kind == "little":
            return f"Doubling the {what} likely adds under 1 point."
        if kind == "adds":
            return f"Doubling the {what} likely adds {low} to {high} points."
        return f"Cannot tell with this test set what doubling the {what} adds: {low} to {high} points are possible."
    low, high = f"{gain.low:.3f}", f"{gain.high:.3f}"
    if kind == "little":
        return f"Doubling the {what} likely lowers the loss by under {SMALL} nats per token."
    if kind == "adds":
        return f"Doubling the {what} likely lowers the loss by {low} to {high} nats per token."
    return (
        f"Cannot tell with this test set by how much doubling the {what} lowers the loss: "
        f"{low} to {high} nats per token are possible."
    )


def _covariance(table: FloatArray, run_sd: float) -> FloatArray:
    """Of the points' means: the items they share, the training of each, and a pseudo-item against a variance of 0."""
    points, items = table.shape
    shared = np.cov(table).reshape(points, points) / items if items > 1 else np.zeros((points, points))
    scale = max(float(np.abs(table).max()), 1e-6)
    noise: FloatArray = shared + np.eye(points) * (run_sd**2 + (scale / items) ** 2)
    return noise


def _level_grid(away: FloatArray, variances: FloatArray) -> FloatArray:
    """What the distance from the bound at the largest size may be: five standard errors to either side, above 0."""
    middle, error = float(away.mean()), float(np.sqrt(variances.max()))
    lowest = max(middle - 5 * error, error / 50)
    return np.linspace(lowest, middle + 5 * error, _LEVELS)


def _quantiles(values: FloatArray, weights: FloatArray, levels: Sequence[float]) -> FloatArray:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    found: FloatArray = np.interp(levels, (reached - weights[order] / 2) / reached[-1], values[order])
    return found


def _sd(values: FloatArray, weights: FloatArray) -> float:
    mean = float(values @ weights)
    return float(np.sqrt(max(float((values - mean) ** 2 @ weights), 0.0)))


def _check(points: Sequence[Point], *, higher_is_better: bool, run_sd: float) -> None:
    if len({point.n for point in points}) < 2:
        raise ValueError("a curve needs at least two different sizes")
    if any(not 0 < point.n < float("inf") for point in points):
        raise ValueError("a size is above 0")
    if len({len(point.values) for point in points}) > 1 or not points[0].values:
        raise ValueError("all points are on the same items")
    table = np.array([point.values for point in points], dtype=np.float64)
    if not np.isfinite(table).all() or (higher_is_better and not ((table >= 0) & (table <= 1)).all()):
        raise ValueError("every value is a finite number, and every score is in [0, 1]")
    if run_sd < 0:
        raise ValueError("an SD is at least 0")
