"""The Bayesian bootstrap over test items that every interval in this package is made from.

It draws means, nothing more: what the draws say about one arm, a pair or all arms is in the modules next to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Scores = Sequence[float] | FloatArray
"""Per-item scores of one arm, each in [0, 1]."""

DRAWS = 4000
_TOLERANCE = 1e-9  # a library's 1.0000000000000002 is a 1


def checked_scores(scores: Scores) -> FloatArray:
    """The scores as a flat array.

    Raises:
        ValueError: there is no score, or one is not a number in [0, 1].
    """
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("scores are one flat, non-empty row of numbers")
    # Written so that a NaN, for which every comparison is false, is refused too.
    if not np.all((array >= -_TOLERANCE) & (array <= 1 + _TOLERANCE)):
        raise ValueError("every score lies in [0, 1]")
    return np.clip(array, 0.0, 1.0)


def checked_pair(a: Scores, b: Scores) -> tuple[FloatArray, FloatArray]:
    """Two arms' scores on the same items.

    Raises:
        ValueError: either is not a row of scores, or they differ in length.
    """
    first, second = checked_scores(a), checked_scores(b)
    if first.size != second.size:
        raise ValueError(f"paired scores are on the same items: found {first.size} and {second.size}")
    return first, second


def mean_draws(rows: FloatArray, pseudo_items: FloatArray, *, draws: int = DRAWS, seed: int = 0) -> FloatArray:
    """Posterior draws of the column means of ``rows``, by the Bayesian bootstrap.

    Each draw weighs the items with a flat Dirichlet (Rubin 1981, https://doi.org/10.1214/aos/1176345338). The
    pseudo-items count as items; they stand for the ends of the scale, so that identical outcomes do not give an
    interval of no width.

    Args:
        rows: (items, columns).
        pseudo_items: (pseudo-items, columns).
        draws: how many draws.
        seed: of the draws; the same call gives the same numbers, whatever the order of the rows.

    Returns:
        (draws, columns).
    """
    # Dirichlet weights of equal rows add up to a gamma with their count as shape: for pass/fail scores this is three
    # gammas a draw in place of n, from the same distribution.
    values, counts = np.unique(np.vstack([rows, pseudo_items]), axis=0, return_counts=True)
    weights = np.random.default_rng(seed).standard_gamma(counts, size=(draws, counts.size))
    means: FloatArray = (weights @ values) / weights.sum(axis=1, keepdims=True)
    return means
