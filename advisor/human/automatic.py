"""The automatic part of an evaluation: two models answer held-out rows, and the task's metric compares the answers.

Its scores come before people's votes and do not replace them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advisor.human.contestants import Contestant, Telling, answers_of
from advisor.metrics import Metric
from advisor.statistics import Interval, mean_interval, paired_interval
from dataset_tools.example import Example

SHOWN = 5
"""So many wins and as many losses are shown, the largest first."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row on which the two differ, with both answers and scores."""

    record: int
    prompt: str
    wanted: str
    answer: str
    against: str
    score: float
    against_score: float


@dataclass(frozen=True)
class Evaluation:
    """Two models on the same rows.

    Attributes:
        title: the one.
        against: the other.
        metric: what scored them.
        rows: how many.
        score: the one's mean score with its 95% interval.
        against_score: the other's.
        difference: the paired difference with its interval.
        wins: rows on which the one scores higher.
        losses: rows on which it scores lower.
        ties: rows on which both score the same.
        best: its largest wins.
        worst: its largest losses.
        sentence: all this in a sentence.
    """

    title: str
    against: str
    metric: str
    rows: int
    score: Interval
    against_score: Interval
    difference: Interval
    wins: int
    losses: int
    ties: int
    best: tuple[Shown, ...]
    worst: tuple[Shown, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``; intervals as [estimate, low, high]."""
        return asdict(self)


def evaluate(
    one: Contestant,
    other: Contestant,
    *,
    rows: Sequence[Example],
    metric: Metric,
    folder: Path,
    tell: Telling | None = None,
) -> Evaluation:
    """Let both models answer the rows with their own prompts, and compare the answers by the metric.

    Args:
        one: the model that is evaluated.
        other: what it is held against.
        rows: rows that neither was trained on.
        metric: gives scores in [0, 1].
        folder: where answers are kept; made where missing.
        tell: told (the model's title, rows answered, rows in all), often.

    Raises:
        ModelError: a model cannot be loaded.
        UsageError: the metric cannot score an answer.
    """
    answers = [answers_of(contestant, rows, folder, tell=tell) for contestant in (other, one)]
    return compare_answers(rows, answers[1], answers[0], metric=metric, titles=(one.title, other.title))


def compare_answers(
    rows: Sequence[Example], answers: Sequence[str], against: Sequence[str], *, metric: Metric, titles: tuple[str, str]
) -> Evaluation:
    """Two models' answers to the same rows, scored and compared.

    Raises:
        ValueError: there is no row, or not one answer of each a row.
        UsageError: the metric cannot score an answer.
    """
    wanted = [row.completion for row in rows]
    own, others = metric.scores(list(answers), wanted), metric.scores(list(against), wanted)
    shown = [
        Shown(row.record, row.question, row.completion, mine, theirs, round(score, 4), round(other, 4))
        for row, mine, theirs, score, other in zip(rows, answers, against, own, others, strict=True)
    ]
    wins = sorted((row for row in shown if row.score > row.against_score), key=_gain, reverse=True)
    losses = sorted((row for row in shown if row.score < row.against_score), key=_gain)
    difference, ties = paired_interval(own, others), len(shown) - len(wins) - len(losses)
    return Evaluation(
        title=titles[0],
        against=titles[1],
        metric=metric.name,
        rows=len(shown),
        score=mean_interval(own),
        against_score=mean_interval(others),
        difference=difference,
        wins=len(wins),
        losses=len(losses),
        ties=ties,
        best=tuple(wins[:SHOWN]),
        worst=tuple(losses[:SHOWN]),
        sentence=_sentence(titles, difference, counts=(len(wins), len(losses), ties)),
    )


def _gain(row: Shown) -> float:
    return row.score - row.against_score


def _sentence(titles: tuple[str, str], difference: Interval, *, counts: tuple[int, int, int]) -> str:
    mean, low, high = (100 * value for value in difference)
    told = "better than" if low > 0 else "worse than" if high < 0 else "not shown to differ from"
    wins, losses, ties = counts
    return (
        f"{titles[0]} is {told} {titles[1]}: {mean:+.1f} points ({low:+.1f} to {high:+.1f}); better on {wins} rows, "
        f"worse on {losses}, the same on {ties}."
    )
