"""How rows lie together: groups of like ones, those unlike all others, test rows that none is like, their order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.vectors import DRAWN, Floats, Prompts, asked, parts_of
from dataset_tools.example import Example

MIN_ROWS = 100  # of fewer nothing can be called usual
GROUPS = 8
_ROUNDS = 8
_NAMED = 3  # words of a group
_NEIGHBOURS = 5
_ALIKE = 0.08  # the usual likeness to the neighbours, under which rows are all of their own kind
_FAR = 0.1  # of the usual likeness: far from all
_PARTS = 6  # words and pairs of words; a row of fewer is short, not odd
_MOST_FAR = 0.005  # of the rows: if more are far, it is how the rows are
_SHOWN = 10
_UNLIKE = 0.1  # a test row that no row is more like than that
_SORTED = 0.9  # Spearman's rank correlation of place and length, from which on rows are in order of length
_GROUPED = 0.25  # of the changes between neighbours that a shuffled file has, as for labels
_MIN_GROUPS = 5


def _groups(prompts: Prompts) -> Iterator[Hit]:
    rows = len(prompts.views)
    if rows < MIN_ROWS:
        return
    numbers = _clusters(prompts)
    vectors = prompts.vectors
    usual_weights = np.asarray(vectors.mean(axis=0)).ravel()
    told = []
    for number, size in sorted(enumerate(np.bincount(numbers)), key=lambda item: -item[1]):
        if size:
            above = np.asarray(vectors[numbers == number].mean(axis=0)).ravel() - usual_weights
            best = [int(column) for column in np.argsort(-above)[: 20 * _NAMED] if above[column] > 0]
            names = [name for column in best if len(name := prompts.words.names.get(column, "")) > 2][:_NAMED]
            told.append(f"{100 * size / rows:.0f}% ({', '.join(names) or 'no words'})")
    usual = float(np.median(_nearest(prompts.cosines, 1)))
    yield Hit(f"groups by their words: {'; '.join(told)}; half have another row that is {usual:.2f} alike or more, "
              f"where 1 has the same words ({prompts.of})")  # fmt: skip


def _clusters(prompts: Prompts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of each row's group: spherical k-means (Dhillon and Modha 2001, doi.org/10.1023/A:1007612920971).

    The first middles are rows far from each other, the row most like all the others first.
    """
    vectors, cosines = prompts.vectors, prompts.cosines
    chosen = [int(cosines.sum(axis=1).argmax())]
    while len(chosen) < GROUPS:
        chosen.append(int(cosines[chosen].max(axis=0).argmin()))
    middles = np.asarray(vectors[chosen].todense())
    numbers = np.zeros(len(cosines), dtype=np.int64)
    for _ in range(_ROUNDS):
        numbers = np.asarray(vectors @ middles.T).argmax(axis=1)
        for number in range(GROUPS):
            total = np.asarray(vectors[numbers == number].sum(axis=0)).ravel()
            middles[number] = total / max(float(np.linalg.norm(total)), 1e-9)
    return numbers


def _nearest(cosines: Floats, count: int) -> Floats:
    """How alike each row is to its nearest others, on average."""
    others = cosines.copy()
    np.fill_diagonal(others, 0)
    return np.asarray(np.sort(others, axis=1)[:, -count:].mean(axis=1), dtype=np.float64)


def _outliers(prompts: Prompts) -> Iterator[Hit]:
    rows = len(prompts.views)
    if rows < MIN_ROWS:
        return
    near = _nearest(prompts.cosines, _NEIGHBOURS)
    usual = float(np.median(near))
    told = np.diff(prompts.vectors.indptr) >= _PARTS
    far = np.flatnonzero((near < _FAR * usual) & told)
    if usual >= _ALIKE and 0 < len(far) <= max(1, _MOST_FAR * rows):
        for row in sorted(far.tolist(), key=lambda row: near[row])[:_SHOWN]:
            begins = prompts.own_part(prompts.views[row].contents)[:40]
            message = f"{near[row]:.2f} alike to the five nearest, where {usual:.2f} is usual; it begins {begins!r}"
            yield prompts.views[row].hit(f"{message} ({prompts.of})")


def _coverage(prompts: Prompts) -> Iterator[Hit]:
    tests = list(prompts.setting.test_rows or ())[:DRAWN]
    if len(prompts.views) < MIN_ROWS or not tests:
        return
    asks = [parts_of(prompts.own_part([turn.content for turn in test.messages])) for test in tests]
    near = np.asarray((prompts.words.vectors(asks) @ prompts.vectors.T).max(axis=1).todense()).ravel()
    unlike = np.flatnonzero(near < _UNLIKE).tolist()
    message = f"half of {len(tests):,} test rows have a row that is {float(np.median(near)):.2f} alike or more"
    if unlike:
        named = ", ".join(_place(tests[row], row) for row in unlike[:_SHOWN])
        message += f"; {len(unlike)} have none that is {_UNLIKE} alike (test {named}{'...' * (len(unlike) > _SHOWN)})"
    yield Hit(f"{message}; 1 has the same words ({prompts.of})")


def _place(test: Example, row: int) -> str:
    return f"line {test.line}" if test.line else f"row {row + 1}"


def _order(prompts: Prompts) -> Iterator[Hit]:
    views = sorted(prompts.setting.views, key=lambda view: view.record)
    if len(views) < MIN_ROWS:
        return
    sizes = np.array([len(asked(view.contents)) + len(view.completion) for view in views], dtype=np.float64)
    ranks = _ranks(sizes)
    if ranks.std() and len(set(sizes.tolist())) >= _MIN_GROUPS:
        going = float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1])
        if abs(going) >= _SORTED:
            yield Hit(
                f"rows get {'longer' if going > 0 else 'shorter'} from first to last (rank correlation {going:.2f})"
            )
    yield from _grouped(views)


def _grouped(views: list[ExampleView]) -> Iterator[Hit]:
    """Whether the rows of a group stand together, in a file with few groups."""
    groups = [view.group for view in views if view.group is not None]
    counts = np.unique(groups, return_counts=True)[1] if len(groups) == len(views) else np.array([])
    if not 2 <= len(counts) <= len(views) / (2 * _MIN_GROUPS):
        return
    expected = len(views) * (1 - float(((counts / len(views)) ** 2).sum()))
    changes = sum(one != other for one, other in itertools.pairwise(groups))
    if expected >= _MIN_GROUPS and changes < _GROUPED * expected:
        yield Hit(f"the group changes {changes} times from row to row; {expected:.0f} times in a shuffled file")


def _ranks(values: Floats) -> Floats:
    """The rank of each value; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="row-groups",
        severity="info",
        family="duplicates",
        title="what the rows are about, and how alike they are",
        why="What has few rows is learnt little, and many rows alike teach little more than one "
        f"(by the words of {DRAWN:,} rows drawn).",
        observer=Prompts,
        run=_groups,
    ),
    DatasetCheck(
        id="outlier",
        severity="info",
        family="duplicates",
        title="a row unlike all others",
        why="It may have come in by mistake; if not, one row of its kind teaches little (cleanlab Datalab, outliers).",
        observer=Prompts,
        run=_outliers,
    ),
    DatasetCheck(
        id="test-coverage",
        severity="info",
        family="duplicates",
        title="how near the test rows are to the rows",
        why="What is asked of rows unlike all that were trained on measures something else than the rest.",
        observer=Prompts,
        run=_coverage,
        needs=("test_rows",),
    ),
    DatasetCheck(
        id="sorted-rows",
        severity="info",
        family="duplicates",
        title="the rows are in some order",
        why="A split that does not shuffle has one kind on each side (cleanlab Datalab); training here shuffles.",
        observer=Prompts,
        run=_order,
        fix=Fix(what="shuffle the rows", shuffle=True),
    ),
)
