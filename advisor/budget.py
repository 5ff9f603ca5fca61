"""How a time budget sizes a comparison: how many test rows are answered, and how long each tuned arm may train."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

DEFAULT_CPU_MINUTES = 10.0
# Answering time of an arm as a multiple of zero-shot's: guesses to begin with, which `Budget.learn` scales to what arms
# really take. One run of the support desk gave 1.2, 5.7, 5.4, 6.3 and 1.5 from few-shot-fixed to qlora.
_WEIGHTS = {"zero-shot": 1.0, "instruction": 1.1, "classifier": 0.01, "few-shot-fixed": 1.3, "few-shot": 3.0}
_WEIGHTS |= {"corpus": 2.0, "rag": 3.5, "rag-few-shot": 4.5, "qlora": 0.8, "qlora-few-shot": 1.3, "qlora-rag": 3.0}
_BASELINES = 2  # what needs no model at all is scored as well
_ELSEWHERE = 1.0  # an endpoint's answer: its time is not this machine's, and not known beforehand
# Of the training time; rows with examples or passages are several times as long.
_TRAINING_SHARES = {"qlora": 0.4, "qlora-few-shot": 0.6, "qlora-rag": 0.6}
# Share of the budget for answering, where an arm is trained too; and fewer rows than this say nothing.
_ANSWERING_SHARE, _FEWEST_ROWS = 0.3, 20
# Shares of the budget for choosing settings and for the diagnosis, both on validation rows; what fewer answers than
# these buy is chance. Without a budget: the most that is spent.
_TUNING_SHARE, _FEWEST_TRIED, _MOST_TRIED = 0.1, 24, 160
_DIAGNOSIS_SHARE, _FEWEST_PROBED, _MOST_PROBED = 0.06, 8, 60
# Share of the budget for the likelihoods of wanted answers, which decide nothing: no arm takes more than half of what
# is left of it, nor more than a tenth of all that is left. With a budget, on this many test rows or fewer.
_LIKELIHOOD_SHARE, _OF_THEIRS, _OF_ALL = 0.05, 0.5, 0.1
MOST_LIKELIHOODS = 100
_SAMPLING_SHARE, _TRIES, _MOST_SAMPLED = 0.03, 8, 20
_TUNED_ARMS = ("instruction", "few-shot-fixed", "few-shot", "rag", "rag-few-shot")
# The diagnosis answers each row bare, with examples, and with passages of two kinds.
_PROBE_ARMS = ("zero-shot", "few-shot-fixed", "rag-few-shot", "rag-few-shot")
# Start of a training process, its probe, its checks, and loading what it made.
_TRAINING_OVERHEAD = 40.0
# Under this, a training run learns nothing; rows with passages take several times as long each.
_SHORTEST_TRAINING = {"qlora": 20.0, "qlora-few-shot": 120.0, "qlora-rag": 60.0}


@dataclass
class Budget:
    """A time budget that began when the comparison did. Without minutes nothing is limited.

    Attributes:
        minutes: For everything.
        began: When it did, in seconds since the epoch.
        seconds_per_row: Zero-shot's, as probed, and then as arms really took.
        seconds_per_score: That scoring an answer takes: a judge's time, next to nothing with every other metric.
        likelihoods_took: Seconds that likelihoods of wanted answers took so far.
    """

    minutes: float | None
    began: float = field(default_factory=time.time)
    seconds_per_row: float = 0.0
    seconds_per_score: float = 0.0
    likelihoods_took: float = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return float("inf") if self.minutes is None else self.minutes * 60 - (time.time() - self.began)

    def affordable_rows(self, arms: Sequence[str], *, seconds_per_row: float) -> int | None:
        """How many test rows all arms can answer; None where nothing limits them.

        Args:
            arms: The arms' names.
            seconds_per_row: Zero-shot's, as probed.
        """
        self.seconds_per_row = seconds_per_row
        if self.minutes is None:
            return None
        share = _ANSWERING_SHARE if any(arm in _TRAINING_SHARES for arm in arms) else 0.9
        each = self._row(arms) + _BASELINES * self.seconds_per_score
        return max(_FEWEST_ROWS, int(share * self.minutes * 60 / each))

    def tuning_answers(self, arms: Sequence[str]) -> int:
        """How many answers on validation rows each arm with settings may spend on choosing one; 0: none is chosen."""
        tuned = [arm for arm in arms if arm.partition("@")[0] in _TUNED_ARMS]
        return self._answers(_TUNING_SHARE, tuned, fewest=_FEWEST_TRIED, most=_MOST_TRIED)

    def probed_rows(self, *, documents: bool) -> int:
        """How many validation rows the diagnosis may look at; 0: too few to say anything."""
        probes = _PROBE_ARMS if documents else _PROBE_ARMS[:2]
        return self._answers(_DIAGNOSIS_SHARE, probes, fewest=_FEWEST_PROBED, most=_MOST_PROBED)

    def sampled_rows(self) -> int:
        """On how many validation rows the diagnosis may draw eight answers each; 0: too few to say anything."""
        tries = ("few-shot-fixed",) * _TRIES
        return self._answers(_SAMPLING_SHARE, tries, fewest=_FEWEST_PROBED, most=_MOST_SAMPLED)

    def _answers(self, share: float, arms: Sequence[str], *, fewest: int, most: int) -> int:
        """How many answers of each of these arms this share of the budget buys: at most so many, 0 where too few."""
        if not arms:
            return 0
        each = self._row(arms)
        if self.minutes is None or not each:
            return most
        bought = min(most, int(share * self.minutes * 60 / each))
        return bought if bought >= fewest else 0

    def likelihood_seconds(self, *, folds: int = 1) -> float:
        """How long an arm may measure likelihoods, in one of so many folds; 0 where nothing is left."""
        if self.minutes is None:
            return float("inf")
        theirs = _LIKELIHOOD_SHARE * self.minutes * 60 - self.likelihoods_took
        return max(0.0, min(_OF_THEIRS * theirs, _OF_ALL * self.left)) / folds

    def forecast(self, arm: str, rows: int) -> float:
        """Seconds that an arm takes to answer so many rows: a guess, before it has answered any."""
        return self._row([arm]) * rows

    def _row(self, arms: Sequence[str]) -> float:
        """Seconds in which each of these arms answers a row, scores included."""
        return self.seconds_per_row * sum(_weight(arm) for arm in arms) + self.seconds_per_score * len(arms)

    def learn(self, arm: str, seconds_per_row: float) -> None:
        """Take what an arm really took for a row as the measure of what the others will take."""
        if "@" not in arm and _WEIGHTS[arm] >= 0.5:  # what needs no language model tells nothing of one
            self.seconds_per_row = seconds_per_row / _WEIGHTS[arm]

    def training_seconds(self, arm: str, still_to_come: Sequence[str], *, rows: int) -> float | None:
        """How long this arm may train, when these tuned arms (itself among them) are still to come.

        None where nothing limits it; 0 where too little is left for it to learn anything.
        """
        if self.minutes is None:
            return None
        to_come = [name for name in still_to_come if self._share(name, still_to_come, rows) >= _SHORTEST_TRAINING[name]]
        if arm not in to_come:
            to_come = [arm]  # the others cannot be trained either way, so this one may take it all
        seconds = self._share(arm, to_come, rows)
        return seconds if seconds >= _SHORTEST_TRAINING[arm] else 0.0

    def _share(self, arm: str, still_to_come: Sequence[str], rows: int) -> float:
        """This arm's part of the seconds that are left once all these arms have started and answered."""
        reserved = sum(_TRAINING_OVERHEAD + self.forecast(name, rows) for name in still_to_come)
        part = _TRAINING_SHARES[arm] / sum(_TRAINING_SHARES[name] for name in still_to_come)
        return (self.left - reserved) * part


def _weight(arm: str) -> float:
    """Answering time of an arm as a multiple of zero-shot's."""
    return _ELSEWHERE if "@" in arm else _WEIGHTS[arm]
