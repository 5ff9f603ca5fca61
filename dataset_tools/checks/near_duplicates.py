"""Rows that are nearly the same as an earlier one. Rows that are quite the same are told by `duplicates`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from dataset_tools.checks.base import Check, DatasetCheck, Hit
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.near_rows import MAX_PAIRS, Compared, NearRows, Pair

NEAR = 0.9  # Jaccard similarity; 9 of 13,000 natural rows have such a neighbour, and nearly all of those are copies


def _near_duplicates(rows: NearRows) -> Iterator[Hit]:
    done = rows.compared
    near = [pair for pair in done.pairs if pair.similarity >= NEAR]
    sizes = _cluster_sizes(near)
    for later, kept in sorted(_dropped(near).items()):
        best = max(kept, key=lambda pair: pair.similarity)
        yield Hit(_message(best, done, sizes[later]), done.lines[later], later)
    if done.left_out:
        yield Hit(
            f"at least {done.left_out:,} more rows may be like an earlier one; {MAX_PAIRS:,} pairs were compared",
            severity="info",
        )


def _similar_rows(rows: NearRows) -> Iterator[Hit]:
    done = rows.compared
    told = _dropped([pair for pair in done.pairs if pair.similarity >= NEAR])
    sizes = _cluster_sizes(done.pairs)
    best: dict[int, Pair] = {}
    for pair in done.pairs:
        if pair.similarity < NEAR and pair.later not in told and pair.earlier not in told:
            best[pair.later] = max(best.get(pair.later, pair), pair, key=lambda found: found.similarity)
    for later, pair in sorted(best.items()):
        yield Hit(_message(pair, done, sizes[later]), done.lines[later], later)


def _message(pair: Pair, done: Compared, size: int) -> str:
    answer = "" if pair.same_answer else ", with another answer"
    cluster = f"; {size} rows in its cluster" if size > 2 else ""
    return f"nearly the same as line {done.lines[pair.earlier]} ({int(100 * pair.similarity)}%){answer}{cluster}"


def _dropped(pairs: Sequence[Pair]) -> dict[int, list[Pair]]:
    """The rows that are near one that is kept, with those pairs. A row is kept when all it is near to are dropped."""
    of_row: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_row[pair.later].append(pair)
    dropped: dict[int, list[Pair]] = {}
    for later in sorted(of_row):
        kept = [pair for pair in of_row[later] if pair.earlier not in dropped]
        if kept:
            dropped[later] = kept
    return dropped


def _cluster_sizes(pairs: Sequence[Pair]) -> dict[int, int]:
    """For each row how many rows are linked to it by a chain of pairs, itself counted."""
    root: dict[int, int] = {}

    def find(row: int) -> int:
        while root.setdefault(row, row) != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for pair in pairs:
        one, other = find(pair.earlier), find(pair.later)
        root[max(one, other)] = min(one, other)
    sizes: dict[int, int] = defaultdict(int)
    for row in list(root):
        sizes[find(row)] += 1
    return {row: sizes[find(row)] for row in root}


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="near-duplicate",
        severity="warning",
        family="duplicates",
        title="nearly the same row again",
        why="Models repeat near-copies word for word, and these leak between splits (Lee et al. 2022, "
        "arxiv.org/abs/2107.06499).",
        observer=NearRows,
        run=_near_duplicates,
        fix=Fix(what="keep the first row of those that are nearly the same", drop=True),
    ),
    DatasetCheck(
        id="similar-row",
        severity="info",
        family="duplicates",
        title="a row much like another",
        why="Natural where rows are short or made from a template; many of them make the data smaller than it looks.",
        observer=NearRows,
        run=_similar_rows,
    ),
)
