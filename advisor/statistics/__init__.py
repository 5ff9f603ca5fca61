"""Small pure functions from per-item scores to intervals, probabilities and row counts.

Seeded and deterministic; scores and differences are on the scale of the scores, where 1.0 is 100 points. No wording and
no advice: that is ``advisor.verdict``.
"""

from __future__ import annotations

from advisor.statistics.best_arm import expected_regret, probability_best
from advisor.statistics.bootstrap import Scores
from advisor.statistics.intervals import Interval, mean_interval, paired_interval
from advisor.statistics.power import rows_needed, smallest_visible_gap
from advisor.statistics.sequential import betting_log_e, mid_p_mcnemar, split_decision, win_loss_log_e

__all__ = [
    "Interval",
    "Scores",
    "betting_log_e",
    "expected_regret",
    "mean_interval",
    "mid_p_mcnemar",
    "paired_interval",
    "probability_best",
    "rows_needed",
    "smallest_visible_gap",
    "split_decision",
    "win_loss_log_e",
]
