"""The task that arms compete on: its rows, its metric, and the guard that keeps test rows out of everything else.

`Task` is the only object that hands rows out. What may become a demonstration, a document, a training row or a
setting comes from `pool`, `validation` and `clean_passages`; `test` goes to the answering of the arms and nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from advisor.metrics import Metric, metric_for, metric_named
from dataset_tools.errors import DataError, LeakError
from dataset_tools.example import Example
from dataset_tools.folding import fold_rows
from dataset_tools.similarity import NearDuplicates, common_affixes, normalise, strip_affixes
from dataset_tools.splitting import split
from dataset_tools.task_type import detect_task_type

# A shorter question may stand in a document by chance.
_QUOTED = 20


class LeakGuard:
    """Knows every test row, and tells whether something is one of them or nearly one.

    Prompts are compared without case and punctuation, and without the instruction that all rows share, or each row
    would look like every other.
    """

    def __init__(self, test: Sequence[Example], others: Sequence[Example] = ()) -> None:
        self._affixes = common_affixes([normalise(example.prompt_text) for example in (*test, *others)])
        self._tests = NearDuplicates([self._plain(example) for example in test])
        self._quotes = [(self._plain(example), normalise(example.completion)) for example in test]

    def _plain(self, example: Example) -> str:
        return strip_affixes(normalise(example.prompt_text), self._affixes)

    def is_leak(self, example: Example) -> bool:
        """Whether the example's prompt is a test row's prompt, or a near-duplicate of one."""
        return self._tests.find(self._plain(example)) is not None

    def clean(self, examples: Iterable[Example]) -> tuple[Example, ...]:
        """The examples that are no leak."""
        return tuple(example for example in examples if not self.is_leak(example))

    def quotes_test(self, text: str) -> bool:
        """Whether a document holds a test row itself: its question and its answer, word for word."""
        plain = normalise(text)
        return any(len(asked) >= _QUOTED and asked in plain and wanted in plain for asked, wanted in self._quotes)

    def require_clean(self, examples: Iterable[Example], use: str) -> None:
        """Refuse rows of which one is a test row.

        Raises:
            LeakError: names the row and the use it was about to be put to.
        """
        for example in examples:
            if self.is_leak(example):
                raise LeakError(
                    f"A test row was about to be used for {use}.",
                    where=f"record {example.record}",
                    found=example.question[:120],
                    expected="only rows that Task.pool hands out",
                )


@dataclass(frozen=True)
class Task:
    """What is asked of every arm. Made by `make_task`.

    Attributes:
        kind: classification, json, short-answer or text.
        why: how the kind was found.
        metric: scores one answer against one wanted answer.
        pool: rows that demonstrations, training and indexes may use.
        validation: rows for the choice of settings and the checks of a training run.
        test: rows that are answered by every arm, in this order.
        guard: knows all test rows, also those that a limit left out.
        removed_as_leaks: rows taken out of pool and validation because they are test rows or nearly.
    """

    kind: str
    why: str
    metric: Metric
    pool: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    guard: LeakGuard
    removed_as_leaks: int = 0
    left_out_tests: int = 0

    def __post_init__(self) -> None:
        self.guard.require_clean((*self.pool, *self.validation), "the pool")

    def distinct(self, example: Example) -> str:
        """What the example asks, without the instruction that all rows share: similarity is judged by this."""
        return strip_affixes(example.question, self._affixes)

    @cached_property
    def _affixes(self) -> tuple[str, str]:
        return common_affixes([example.question for example in self.pool])

    def limited(self, rows: int) -> Task:
        """The same task with at most this many test rows; the guard goes on knowing all of them."""
        if rows >= len(self.test):
            return self
        return replace(self, test=self.test[:rows], left_out_tests=self.left_out_tests + len(self.test) - rows)


def make_task(
    examples: Sequence[Example],
    test: Sequence[Example] | None = None,
    *,
    kind: str | None = None,
    metric: str | Metric | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """Examples (and the user's own test rows, if there are any) -> a task without leaks.

    Args:
        examples: The user's rows.
        test: Their own test rows; without them the examples are split.
        kind: Overrides the detected kind of task.
        metric: Overrides the kind's metric, by name or as it is.
        limit: Most test rows to answer, drawn at random.
        seed: For the split and the draw.

    Raises:
        DataError: too few rows are left to compare anything.
    """
    if test is None:
        parts = split(examples, seed=seed)
        pool, validation, tests = parts.train, parts.validation, parts.test
    else:
        tests = tuple(dict.fromkeys(test))
        pool, validation = _hold_out(examples, seed)
    guard = LeakGuard(tests, examples)
    clean_pool, clean_validation = guard.clean(pool), guard.clean(validation)
    if not clean_pool:
        raise DataError(
            "No row is left to learn from.",
            found=f"all {len(pool)} training rows are test rows, or nearly",
            expected="training rows that the test file does not hold",
            next_step="Leave --test out to have the data split without leaks, or bring other test rows.",
        )
    guess = detect_task_type([example.completion for example in (*clean_pool, *clean_validation)])
    chosen = _chosen_metric(metric, kind or guess.kind)
    shuffled = list(tests)
    random.Random(seed).shuffle(shuffled)
    task = Task(
        kind=kind or guess.kind,
        why="chosen by you" if kind else guess.why,
        metric=chosen,
        pool=clean_pool,
        validation=clean_validation,
        test=tuple(shuffled),
        guard=guard,
        removed_as_leaks=len(pool) + len(validation) - len(clean_pool) - len(clean_validation),
    )
    return task if limit is None else task.limited(limit)


def make_folds(
    examples: Sequence[Example],
    count: int,
    *,
    kind: str | None = None,
    metric: str | Metric | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> tuple[Task, ...]:
    """The same task once for each fold: its test rows are the fold, everything else is learnt from the others.

    So every row is a test row once, and none is ever a test row and learnt from at the same time. The arguments are
    those of `make_task`.

    Raises:
        DataError: too few rows are left to compare anything.
    """
    parts = [fold for fold in fold_rows(examples, count, seed=seed) if fold]
    guess = detect_task_type([example.completion for example in examples])
    chosen = _chosen_metric(metric, kind or guess.kind)
    tasks = []
    for place, fold in enumerate(parts):
        others = [example for other in parts[:place] + parts[place + 1 :] for example in other]
        made = make_task(
            others, fold, kind=kind or guess.kind, metric=chosen, limit=_share(limit, place, len(parts)), seed=seed
        )
        tasks.append(replace(made, why="chosen by you" if kind else guess.why))
    return tuple(tasks)


def _share(limit: int | None, place: int, parts: int) -> int | None:
    """A fold's part of the test rows, of which each has one at least; together no more than the limit above that."""
    return None if limit is None else max(1, limit * (place + 1) // parts - limit * place // parts)


def own_metric(task: Task) -> Metric:
    """The task's metric; of one whose metric is a judge the one of its kind, for what a judge is too dear for."""
    return task.metric if task.metric.judged is None else metric_for(task.kind)


def _chosen_metric(metric: str | Metric | None, kind: str) -> Metric:
    if isinstance(metric, Metric):
        return metric
    return metric_named(metric) if metric else metric_for(kind)


def _hold_out(examples: Sequence[Example], seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Pool and validation out of training rows, where the test rows come from elsewhere."""
    if len(examples) < 24:  # too few to spare any
        return tuple(dict.fromkeys(examples)), ()
    parts = split(examples, test=min(100, max(8, len(examples) // 10)), validation=1, seed=seed)
    return (*parts.train, *parts.validation), parts.test
