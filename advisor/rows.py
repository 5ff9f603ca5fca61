"""A comparison's files, read: the task (once for each fold), the documents, and what had to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.lineup import asked_for
from advisor.metrics import Metric
from advisor.request import ComparisonRequest
from advisor.retrieval import Document, load_documents
from advisor.task import Task, make_folds, make_task
from dataset_tools.dataset import load_examples
from dataset_tools.example import Example

# With so few rows a test part says little, and each row serves as a test row in a fold (SCIENCE 2).
_FOLDS, _FEWEST_TO_FOLD, _FEW_ROWS = 5, 20, 300


@dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
        tasks: The task, once for each fold.
        documents: The user's.
        rows: How many rows could be used, test rows among them.
        left_out: What could not, in words.
    """

    tasks: tuple[Task, ...]
    documents: tuple[Document, ...]
    rows: int
    left_out: tuple[str, ...]


def read_rows(request: ComparisonRequest, *, metric: Metric | None = None) -> Read:
    """Read the files of a request.

    Args:
        request: Names them.
        metric: In place of the one that the request names.

    Raises:
        UsageError: a file cannot be read.
        DataError: a file has no usable row, or too few rows are left to compare anything.
        DocumentsError: the documents cannot be read.
    """
    left_out: list[str] = []
    examples = _load(request.data, request, left_out)
    test = _load(request.test, request, left_out) if request.test else None
    documents = load_documents(request.documents) if request.documents else ()
    how: dict[str, Any] = {"kind": request.task_type, "metric": metric or request.metric, "seed": request.seed}
    count = _fold_count(examples, request)
    if count > 1:
        tasks = make_folds(examples, count, limit=request.limit, **how)
        return Read(tasks, tuple(documents), len(examples), tuple(left_out))
    task = make_task(examples, test, limit=request.limit, **how)
    if task.removed_as_leaks:
        left_out.append(f"{task.removed_as_leaks} training rows that are test rows, or nearly")
    return Read((task,), tuple(documents), len(examples) + len(test or ()), tuple(left_out))


def _load(path: Path, request: ComparisonRequest, left_out: list[str]) -> tuple[Example, ...]:
    """The usable rows of a file; those that are not are said to be left out."""
    dataset = load_examples(path, columns=request.columns)
    unusable = dataset.report.rows - len(dataset.examples)
    if unusable:
        left_out.append(
            f"{unusable} of {dataset.report.rows} rows of {path.name} with errors; fitting-room lint names them"
        )
    return dataset.examples


def _fold_count(examples: Sequence[Example], request: ComparisonRequest) -> int:
    """How many folds: those asked for; else 5 where rows are few and nothing is trained five times over."""
    if request.folds:
        return request.folds
    arms = asked_for(request.arms, endpoint=request.endpoint is not None)
    trains = any(arm.approach.needs_training for arm in arms)
    few = _FEWEST_TO_FOLD <= len(examples) <= _FEW_ROWS
    return _FOLDS if few and request.test is None and not trains else 1
