"""Test rows that resemble a row of the pool, and those that do not: where does a gain come from?

Tuned models and nearest examples do well on rows like those they have seen, and may gain nothing on new kinds of rows
(SCIENCE 8). It takes vectors and scores; it embeds nothing and does not look for leaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from advisor.statistics import Interval, Scores, mean_interval, paired_interval
from advisor.statistics.bootstrap import checked_pair, checked_scores
from advisor.verdict import DEFAULT_MARGIN, FEWEST_ROWS

Vectors = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

NEAR_ABOVE = 0.8
"""Cosine from which a test row counts as near. A judgement, for `advisor.retrieval.embed` on the rows' questions
without what all share; another embedder has another scale."""

# Rows of the pool that are compared at once: bounds the memory.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Parts:
    """A mean score, or a difference, on near rows and on far rows, with 95% intervals; None where there are no rows."""

    near: Interval | None
    far: Interval | None


@dataclass(frozen=True, slots=True)
class NearFarGain:
    """What an arm gains on another, on near rows and on far rows.

    Attributes:
        parts: the paired differences.
        near_rows: how many test rows are near.
        far_rows: how many are far.
        on_far: whether there is a gain on far rows: "yes" (the interval is above 0), "no" (it is below the margin), or
            "unclear", which it always is on fewer than six rows.
        near_only: whether the gain lies on the near rows: sure there, not on the far rows, and either surely below the
            margin on these or surely smaller than on the near ones.
    """

    parts: Parts
    near_rows: int
    far_rows: int
    on_far: Literal["yes", "no", "unclear"]
    near_only: bool

    def sentence(self, arm: str, other: str) -> str:
        """The gain of ``arm`` over ``other`` on both parts, in plain English; the two are titles."""
        if self.parts.near is None or self.parts.far is None:
            kind = "far from" if self.parts.near is None else "near to"
            rows = _rows(self.far_rows + self.near_rows)
            return f"All {rows} are {kind} the examples, so the gain cannot be told apart by distance."
        shown = (
            f"{_points(self.parts.near)} points on the {_rows(self.near_rows)} that resemble an example, "
            f"{_points(self.parts.far)} on the {self.far_rows} that do not"
        )
        if self.near_only:
            return f"{arm} gains on {other} only where a test row resembles an example: {shown}."
        ending = {"yes": "it gains on new kinds of rows too", "no": "no gain shows on new kinds of rows"}
        unclear = "whether it gains on new kinds of rows is not clear yet"
        return f"{arm} against {other}: {shown}; {ending.get(self.on_far, unclear)}."


def near_rows(test: Vectors, pool: Vectors, *, threshold: float = NEAR_ABOVE) -> BoolArray:
    """Which test rows have a row of the pool at a cosine of ``threshold`` or more; (test rows,).

    Args:
        test: vectors of the test rows, (test rows, dimensions); any length.
        pool: vectors of the pool's rows, (pool rows, dimensions). With no row in it every test row is far.
        threshold: a cosine.

    Raises:
        ValueError: the vectors are not two tables of the same width, or the threshold is outside [-1, 1].
    """
    if test.ndim != 2 or pool.ndim != 2 or (len(pool) and test.shape[1] != pool.shape[1]):
        raise ValueError("test and pool are tables of vectors of the same width")
    if not -1 <= threshold <= 1:
        raise ValueError("a cosine is in [-1, 1]")
    closest = np.full(len(test), -np.inf)
    units = _unit(test)
    for start in range(0, len(pool), _BLOCK):
        closest = np.maximum(closest, (units @ _unit(pool[start : start + _BLOCK]).T).max(axis=1))
    near: BoolArray = closest >= threshold - 1e-6  # a twin's cosine may come out as .9999999
    return near


def scores_by_part(scores_by_arm: Mapping[str, Scores], near: Sequence[bool] | BoolArray) -> dict[str, Parts]:
    """Each arm's mean score on the near and on the far rows.

    Raises:
        ValueError: an arm's scores are not in [0, 1], or not one a test row.
    """
    mask, found = np.asarray(near, dtype=bool), {}
    for name, scores in scores_by_arm.items():
        values = checked_scores(scores)
        _check_rows(values.size, mask)
        found[name] = Parts(*(mean_interval(values[part]) if part.any() else None for part in (mask, ~mask)))
    return found


def gain_by_part(
    arm: Scores, other: Scores, near: Sequence[bool] | BoolArray, *, margin: float = DEFAULT_MARGIN
) -> NearFarGain:
    """What ``arm`` gains on ``other`` (the best arm that is not prepared from such rows), near and far.

    Args:
        arm: scores in [0, 1].
        other: scores on the same rows.
        near: which rows are near.
        margin: the smallest gain that matters.

    Raises:
        ValueError: the two are not scores in [0, 1] of these rows.
    """
    mask = np.asarray(near, dtype=bool)
    first, second = checked_pair(arm, other)
    _check_rows(first.size, mask)
    parts = Parts(*(paired_interval(first[part], second[part]) if part.any() else None for part in (mask, ~mask)))
    near_count, far_count = int(mask.sum()), int((~mask).sum())
    on_far: Literal["yes", "no", "unclear"] = "unclear"
    near_only = False
    if parts.far is not None and far_count >= FEWEST_ROWS:
        if parts.far.low > 0:
            on_far = "yes"
        elif parts.far.high < margin:
            on_far = "no"
        if parts.near is not None and near_count >= FEWEST_ROWS and parts.near.low > 0 and on_far != "yes":
            near_only = on_far == "no" or parts.near.low > parts.far.high
    return NearFarGain(parts, near_count, far_count, on_far, near_only)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = vectors / np.where(lengths > 0, lengths, 1.0)
    return units


def _check_rows(scores: int, mask: BoolArray) -> None:
    if mask.ndim != 1 or mask.size != scores:
        raise ValueError(f"every test row is near or far: found {mask.size} for {scores} scores")


def _points(interval: Interval) -> str:
    return f"{100 * interval.estimate:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _rows(count: int) -> str:
    return f"{count} test row" + ("s" if count != 1 else "")
