"""Several datasets mixed into one by weight: who sees how many rows of each, exactly and the same each time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_tools.errors import UsageError
from dataset_tools.example import Example


@dataclass(frozen=True)
class Share:
    """What a mixture holds of one dataset.

    ``available`` rows it has, and ``taken`` are in the mixture, where each is ``repeated`` times or once less.
    """

    available: int
    taken: int

    @property
    def repeated(self) -> int:
        """How often the most frequent of its rows is in the mixture."""
        return -(-self.taken // self.available) if self.available else 0


def mix(
    datasets: Sequence[tuple[Sequence[Example], float]], *, rows: int | None = None, seed: int = 0
) -> list[Example]:
    """Mix datasets, shuffled together.

    A weight is the dataset's share of the mixture: weights of 3 and 1 give three quarters and one quarter, whatever the
    datasets' sizes. Which rows are taken is drawn; a dataset that is too small for its share is repeated, every row
    equally often but for one. `shares` says the counts beforehand.

    Args:
        datasets: Pairs of examples and weight; weights are 0 or above, and not all 0.
        rows: Of the mixture; by default as many as the datasets with a weight above 0 hold together.
        seed: Of the draw and the order; the same inputs give the same mixture.

    Raises:
        UsageError: a weight or the number of rows cannot be, or an empty dataset has a weight.
    """
    draw = random.Random(f"mix/{seed}")
    mixed: list[Example] = []
    for (examples, _), share in zip(datasets, shares(datasets, rows=rows), strict=True):
        whole, rest = divmod(share.taken, len(examples)) if examples else (0, 0)
        mixed += [*examples] * whole + draw.sample(list(examples), rest)
    draw.shuffle(mixed)
    return mixed


def shares(datasets: Sequence[tuple[Sequence[Example], float]], *, rows: int | None = None) -> list[Share]:
    """How many rows `mix` takes of each dataset: exact counts that add up to ``rows``.

    Shares with a fraction are rounded by the largest remainder (Hamilton's method), earlier datasets first in a tie.

    Raises:
        UsageError: as `mix` does.
    """
    weights = [float(weight) for _, weight in datasets]
    total = sum(weights)
    if not 0 < total < float("inf") or min(weights) < 0:
        raise UsageError(
            "These weights make no mixture.",
            found=", ".join(f"{weight:g}" for weight in weights) or "no dataset",
            expected="a weight of 0 or above for each dataset, one of them above 0",
        )
    empty = [number for number, (examples, weight) in enumerate(datasets, 1) if weight > 0 and not examples]
    if empty:
        raise UsageError("A dataset of the mixture is empty.", found=f"dataset {empty[0]}", expected="at least one row")
    wanted = sum(len(examples) for examples, weight in datasets if weight > 0) if rows is None else rows
    if wanted < 1:
        raise UsageError("A mixture has at least one row.", found=str(wanted), expected="1 or more")
    exact = [wanted * weight / total for weight in weights]
    counts = [int(count) for count in exact]
    by_remainder = sorted(range(len(counts)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: wanted - sum(counts)]:
        counts[index] += 1
    return [Share(len(examples), count) for (examples, _), count in zip(datasets, counts, strict=True)]
