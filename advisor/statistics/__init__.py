"""Small pure functions from per-item scores to intervals, probabilities and row counts.

Seeded and deterministic; scores and differences are on the scale of the scores, where 1.0 is 100 points. No wording and
no advice: that is ``advisor.verdict``.
"""

from __future__ import annotations

from advisor.statistics.best_arm import expected_regret, probability_best
from advisor.statistics.bootstrap import Scores
from advisor.statistics.clusters import cluster_interval
from advisor.statistics.confirmation import Confirmed, confirmed_score
from advisor.statistics.cross_fitting import folds, stretched, widened, widening
from advisor.statistics.intervals import Interval, mean_interval, paired_interval
from advisor.statistics.power import rows_needed, smallest_visible_gap
from advisor.statistics.racing import FEWEST_RACE_ROWS, RaceDecision, race_decision
from advisor.statistics.sequential import betting_log_e, mid_p_mcnemar, split_decision, win_loss_log_e

__all__ = [
    "FEWEST_RACE_ROWS",
    "Confirmed",
    "Interval",
    "RaceDecision",
    "Scores",
    "betting_log_e",
    "cluster_interval",
    "confirmed_score",
    "expected_regret",
    "folds",
    "mean_interval",
    "mid_p_mcnemar",
    "paired_interval",
    "probability_best",
    "race_decision",
    "rows_needed",
    "smallest_visible_gap",
    "split_decision",
    "stretched",
    "widened",
    "widening",
    "win_loss_log_e",
]
