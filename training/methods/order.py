"""The order in which rows are trained on: a pure function of (seed, epoch), with rows of like length side by side.

transformers' own length-grouped sampler draws from torch's global generator, so what a resumed run sees depends on all
that was drawn before. Here an epoch's order follows from its number alone; accelerate calls `set_epoch` with it
(DataLoaderShard.set_epoch, also through the batches that a resumed epoch skips).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

# Batches whose rows are sorted together. In 16, rows of evenly spread lengths are padded by about 3%.
_WINDOW = 16


def epoch_order(lengths: Sequence[int], *, batch: int, seed: int, epoch: int) -> list[int]:
    """Each row once, such that rows of one batch have similar lengths and batches come in random order.

    Rows are shuffled, then sorted by length within windows of at most 16 batches and at most half of the rows, so that
    a batch's company changes from epoch to epoch. An incomplete batch comes last and is drawn at random: neither the
    longest rows nor the shortest are in it more often than others.

    Args:
        lengths: Tokens of each row.
        batch: Rows of one optimiser step; within it rows run from long to short, so its parts are alike too.
        seed: The run's.
        epoch: From 0 on.
    """
    draw = random.Random(f"{seed}/{epoch}")  # a text seeds the same on every platform and Python
    rows = list(range(len(lengths)))
    draw.shuffle(rows)
    whole = len(rows) - len(rows) % batch
    window = batch * min(_WINDOW, max(1, whole // batch // 2))
    grouped: list[int] = []
    for start in range(0, whole, window):
        grouped += sorted(rows[start : min(start + window, whole)], key=lambda row: -lengths[row])
    batches = [grouped[start : start + batch] for start in range(0, whole, batch)]
    draw.shuffle(batches)
    return [*(row for part in batches for row in part), *sorted(rows[whole:], key=lambda row: -lengths[row])]


class EpochOrder:
    """A sampler for torch's DataLoader over `epoch_order`; it needs no torch itself."""

    def __init__(self, lengths: Sequence[int], *, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration gives; it does not advance by itself."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.lengths, batch=self.batch, seed=self.seed, epoch=self.epoch))

    def __len__(self) -> int:
        return len(self.lengths)


class RepeatedOrder:
    """`EpochOrder` of prompts for GRPO: each prompt for each of its answers, each group of prompts as often as needed.

    The last group is filled up with prompts from the epoch's beginning, where TRL's own sampler drops it: with few rows
    none might be left.
    """

    def __init__(self, order: EpochOrder, *, answers: int, prompts: int, times: int) -> None:
        self.order, self.answers, self.prompts, self.times = order, answers, prompts, times

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order the next iteration gives."""
        self.order.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        rows = list(self.order)
        for start in range(0, len(rows), self.prompts):
            group = [rows[index % len(rows)] for index in range(start, start + self.prompts)]
            for _ in range(self.times):
                yield from (row for row in group for _ in range(self.answers))

    def __len__(self) -> int:
        groups = -(-len(self.order) // self.prompts)
        return groups * self.prompts * self.answers * self.times


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Rows from long to short: for evaluations, where the order means nothing and padding costs."""
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])
