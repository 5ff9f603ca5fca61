"""What a metric is: one score an item, and a few figures over all items that help to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset_tools.example import Message

Prompt = Sequence[Message]
"""The messages that an answer answers."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How answers are scored for one kind of task.

    Attributes:
        name: its stable name, as kept in reports: ``"accuracy"``. ``metric_named`` gives the same metric for it again.
        title: its name for people.
        score: ``(answer, wanted)`` to a score in [0, 1], 1 the best. Every comparison is made on these.
        details: ``(answers, wanted)`` over all items, same length and not empty, to secondary figures by name. They
            explain a result and never decide one. A ratio may be above 1. Raises ValueError for other lengths.
        schema: the JSON Schema that the details check answers against, where the user gave one.
        many: ``(answers, wanted)`` to all scores in order, where that is more than ``score`` one by one: faster, or
            with the row in its errors.
        judged: ``(answers, wanted, prompts)`` to all scores in order, where a model gives them. Each costs that model
            two answers, so that it is asked for no more than the comparison needs.
    """

    name: str
    title: str
    score: Callable[[str, str], float]
    details: Callable[[Sequence[str], Sequence[str]], dict[str, float]]
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    many: Callable[[Sequence[str], Sequence[str]], tuple[float, ...]] | None = None
    judged: Callable[[Sequence[str], Sequence[str], Sequence[Prompt] | None], tuple[float, ...]] | None = None

    def scores(
        self, answers: Sequence[str], wanted: Sequence[str], prompts: Sequence[Prompt] | None = None
    ) -> tuple[float, ...]:
        """The score of each item, in order.

        Args:
            answers: One an item.
            wanted: The wanted ones.
            prompts: What was asked: a judge reads it, and no other metric.

        Raises:
            ValueError: there is no item, or the two differ in length.
            UsageError: the metric is the user's own or runs code, and cannot score an item.
            ModelError: the metric is a judge that cannot be asked.
        """
        check_items(answers, wanted)
        if self.judged is not None:
            return self.judged(answers, wanted, prompts)
        if self.many is not None:
            return self.many(answers, wanted)
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
