"""What a metric is: one score an item, and a few figures over all items that help to read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """How answers are scored for one kind of task.

    Attributes:
        name: its stable name, as kept in reports: ``"accuracy"``.
        title: its name for people.
        score: ``(answer, wanted)`` to a score in [0, 1], 1 the best. Every comparison is made on these.
        details: ``(answers, wanted)`` over all items, same length and not empty, to secondary figures by name. They
            explain a result and never decide one. A ratio may be above 1. Raises ValueError for other lengths.
    """

    name: str
    title: str
    score: Callable[[str, str], float]
    details: Callable[[Sequence[str], Sequence[str]], dict[str, float]]

    def scores(self, answers: Sequence[str], wanted: Sequence[str]) -> tuple[float, ...]:
        """The score of each item, in order.

        Raises:
            ValueError: there is no item, or the two differ in length.
        """
        check_items(answers, wanted)
        return tuple(self.score(answer, want) for answer, want in zip(answers, wanted, strict=True))


def check_items(answers: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse answers that do not belong, one to one, to the wanted answers.

    Raises:
        ValueError: there is no item, or the two differ in length.
    """
    if not answers or len(answers) != len(wanted):
        raise ValueError(f"one answer for each wanted answer: found {len(answers)} and {len(wanted)}")


def share(hits: int, total: int) -> float:
    """``hits`` of ``total``, or 0.0 of nothing."""
    return hits / total if total else 0.0


def f1(matched: int, found: int, wanted: int) -> float:
    """The harmonic mean of precision and recall, from counts: 2 * matched / (found + wanted). 0.0 of nothing."""
    return share(2 * matched, found + wanted)
