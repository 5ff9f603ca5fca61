"""How a time budget sizes a comparison: how many test rows are answered, and how long each tuned arm may train."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

DEFAULT_CPU_MINUTES = 10.0
# Answering time of an arm as a multiple of zero-shot's: guesses to begin with, which `Budget.learn` scales to what arms
# really take. One run of the support desk gave 1.2, 5.7, 5.4, 6.3 and 1.5 from few-shot-fixed to qlora.
_WEIGHTS = {"zero-shot": 1.0, "few-shot-fixed": 1.3, "few-shot": 3.0, "rag": 3.5, "rag-few-shot": 4.5}
_WEIGHTS |= {"qlora": 0.8, "qlora-rag": 3.0}
# Of the training time; rows with passages are several times as long.
_TRAINING_SHARES = {"qlora": 0.4, "qlora-rag": 0.6}
# Share of the budget for answering, where an arm is trained too; and fewer rows than this say nothing.
_ANSWERING_SHARE, _FEWEST_ROWS = 0.4, 20
# Start of a training process, its probe, its checks, and loading what it made.
_TRAINING_OVERHEAD = 40.0
# Under this, a training run learns nothing; rows with passages take several times as long each.
_SHORTEST_TRAINING = {"qlora": 20.0, "qlora-rag": 60.0}


@dataclass
class Budget:
    """A time budget that began when the comparison did. Without minutes nothing is limited."""

    minutes: float | None
    began: float = field(default_factory=time.time)
    seconds_per_row: float = 0.0

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
        each = seconds_per_row * sum(_WEIGHTS.get(arm, 1.0) for arm in arms)
        return max(_FEWEST_ROWS, int(share * self.minutes * 60 / each))

    def learn(self, arm: str, seconds_per_row: float) -> None:
        """Take what an arm really took for a row as the measure of what the others will take."""
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
        reserved = sum(_TRAINING_OVERHEAD + _WEIGHTS[name] * self.seconds_per_row * rows for name in still_to_come)
        part = _TRAINING_SHARES[arm] / sum(_TRAINING_SHARES[name] for name in still_to_come)
        return (self.left - reserved) * part
