"""How likely each arm is the best of those that were run, and what choosing it is expected to cost.

A description of what is known, not a test: a probability of .97 here is no licence to name a winner.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from advisor.statistics.bootstrap import FloatArray, Scores, checked_scores, mean_draws


def probability_best(scores_by_arm: Mapping[str, Scores], *, seed: int = 0) -> dict[str, float]:
    """For each arm, the share of bootstrap draws in which its mean is the highest. The values add up to 1.

    Raises:
        ValueError: there is no arm, or the arms were not scored on the same items.
    """
    names, draws = _joint_draws(scores_by_arm, seed=seed)
    leads = draws == draws.max(axis=1, keepdims=True)
    shares = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def expected_regret(scores_by_arm: Mapping[str, Scores], *, seed: int = 0) -> dict[str, float]:
    """For each arm, how far its mean is below the best arm's, averaged over the same draws as ``probability_best``.

    On the scale of the scores: .01 is one point.

    Raises:
        ValueError: there is no arm, or the arms were not scored on the same items.
    """
    names, draws = _joint_draws(scores_by_arm, seed=seed)
    regrets = (draws.max(axis=1, keepdims=True) - draws).mean(axis=0)
    return {name: float(regret) for name, regret in zip(names, regrets, strict=True)}


def _joint_draws(scores_by_arm: Mapping[str, Scores], *, seed: int) -> tuple[list[str], FloatArray]:
    """Draws of all arms' means under common weights, with one pseudo-item an arm on which only that arm is right.

    For two arms these are the pseudo-items at +1 and -1 of ``paired_interval``.
    """
    if not scores_by_arm:
        raise ValueError("there is no arm")
    names = sorted(scores_by_arm)  # the same numbers, whatever the order the arms come in
    columns = [checked_scores(scores_by_arm[name]) for name in names]
    if len({column.size for column in columns}) > 1:
        raise ValueError("all arms are scored on the same items")
    return names, mean_draws(np.column_stack(columns), np.eye(len(names)), seed=seed)
