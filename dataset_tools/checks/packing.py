"""What the lengths of the rows cost: padding in batches, room when rows are packed, and rows of far more tokens.

Reckoned from the draw of rows that the other token checks render too.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

from dataset_tools.checks.base import Check, DatasetCheck, Hit, Setting, hit_at
from dataset_tools.checks.token_facts import MIN_ROWS, TokenFacts

BATCH = 8  # rows: a common size; the share of padding grows slowly with it
FAR = 3.0  # times the middle half's width above it: "far out" (Tukey 1977, Exploratory Data Analysis, 2E)
TIMES = 2.0  # and longer than nineteen in twenty by this, so that a tight middle half calls nothing far
MOST = 0.02  # of the rows: if more are so long, it is how the rows are


def padding_share(sizes: Sequence[int], *, batch: int = BATCH) -> float:
    """The share of padding, 0 to 1, where rows in this order are padded to the longest of their batch."""
    groups = [sizes[start : start + batch] for start in range(0, len(sizes), batch)]
    total = sum(max(group) * len(group) for group in groups)
    return 1 - sum(sizes) / total if total else 0.0


def packed_rows(sizes: Sequence[int], limit: int) -> int:
    """How many sequences of ``limit`` tokens hold all rows, the longest first, each where it fits best.

    Best-fit decreasing, as TRL packs (its ``bfd``; Ding et al. 2024, arxiv.org/abs/2404.10830). Longer rows are cut.
    """
    rooms: list[int] = []
    count = 0
    for size in sorted((min(size, limit) for size in sizes), reverse=True):
        place = bisect_left(rooms, size)
        if place == len(rooms):
            count += 1
            room = limit
        else:
            room = rooms.pop(place)
        insort(rooms, room - size)
    return count


def _packing(setting: Setting) -> Iterator[Hit]:
    drawn = setting.share(TokenFacts).drawn
    if len(drawn) < MIN_ROWS:
        return
    sizes = [len(row.rendered.ids) for row in drawn]
    mixed = random.Random(0).sample(sizes, len(sizes))
    message = (
        f"in batches of {BATCH} {100 * padding_share(mixed):.0f}% of the tokens are padding in a random order, "
        f"{100 * padding_share(sorted(sizes)):.0f}% if rows of like length come together"
    )
    limit = setting.max_length or 0
    if limit:
        count = packed_rows(sizes, limit)
        full = sum(min(size, limit) for size in sizes) / (count * limit)
        message += f"; packed to {limit:,} tokens, {len(sizes):,} rows make {count:,} sequences, {full:.0%} full"
    yield Hit(f"{message} ({len(drawn):,} rows looked at)")


def _long_tokens(setting: Setting) -> Iterator[Hit]:
    drawn = setting.share(TokenFacts).drawn
    if len(drawn) < MIN_ROWS:
        return
    sizes = sorted(len(row.rendered.ids) for row in drawn)
    low, high, usual = (sizes[int(share * (len(sizes) - 1))] for share in (0.25, 0.75, 0.95))
    far = max(high + FAR * (high - low), TIMES * usual)
    found = [row for row in drawn if len(row.rendered.ids) > far]
    if len(found) <= MOST * len(drawn):
        for row in sorted(found, key=lambda row: row.example.record):
            share = sum(sizes) and len(row.rendered.ids) / sum(sizes)
            tokens = f"{len(row.rendered.ids):,} tokens, where 19 of 20 rows have {usual:,} or fewer"
            yield hit_at(row.example, f"{tokens}; {share:.1%} of all tokens ({len(drawn):,} rows looked at)")


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="padding-and-packing",
        severity="info",
        family="tokens",
        title="what the lengths of the rows cost",
        why="Padding is computed and thrown away; packing saves it, where the trainer keeps packed rows apart.",
        run=_packing,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="token-outlier",
        severity="info",
        family="tokens",
        title="a row of far more tokens than the others",
        why="The longest row sets the memory of its batch, and the loss of a batch goes by its tokens.",
        run=_long_tokens,
        needs=("tokenizer",),
    ),
)
