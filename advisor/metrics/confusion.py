"""Which label was answered where which was wanted: counts for a table, no score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from advisor.metrics.base import check_items
from advisor.metrics.classification import normal_label


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label was answered for each wanted one.

    Attributes:
        labels: the labels that are wanted most often, the most frequent first, in their first spelling.
        counts: ``counts[wanted][answered]``, rows and columns in the order of ``labels``.
        others: for each label, how often the answer was one of the labels that ``labels`` leaves out.
        unknown: for each label, how often the answer was no label at all: nothing that is wanted anywhere.
        left_out: items whose wanted label is not among ``labels``; they are counted nowhere else.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    others: tuple[int, ...]
    unknown: tuple[int, ...]
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """The parts by name, for ``result.json``."""
        return asdict(self)


def confusion(answers: Sequence[str], wanted: Sequence[str], *, most: int = 20) -> Confusion:
    """Count the answers by wanted label. Labels are compared as ``accuracy`` compares them.

    Args:
        answers: One an item.
        wanted: One label an item.
        most: Most labels to keep, the ones that are wanted most often; of two that are wanted as often the one that
            comes first.

    Raises:
        ValueError: there is no item, the two differ in length, or ``most`` is below 1.
    """
    check_items(answers, wanted)
    if most < 1:
        raise ValueError(f"at least one label is kept: found {most}")
    truth = [normal_label(want) for want in wanted]
    spelling: dict[str, str] = {}
    for label, want in zip(truth, wanted, strict=True):
        spelling.setdefault(label, want.strip())
    common = Counter(truth).most_common(most)
    kept = [label for label, _ in common]
    pairs = Counter(zip(truth, (normal_label(answer) for answer in answers), strict=True))
    counts = tuple(tuple(pairs[want, answer] for answer in kept) for want in kept)
    others, unknown = Counter[str](), Counter[str]()
    for (want, answer), count in pairs.items():
        if answer not in spelling:
            unknown[want] += count
        elif answer not in kept:
            others[want] += count
    return Confusion(
        labels=tuple(spelling[label] for label in kept),
        counts=counts,
        others=tuple(others[label] for label in kept),
        unknown=tuple(unknown[label] for label in kept),
        left_out=len(truth) - sum(count for _, count in common),
    )
