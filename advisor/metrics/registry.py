"""Which metrics there are, and which one a kind of task is scored by."""

from __future__ import annotations

from advisor.metrics.base import Metric
from advisor.metrics.classification import ACCURACY
from advisor.metrics.json_fields import JSON_FIELD_F1
from advisor.metrics.short_answer import TOKEN_F1
from advisor.metrics.text import ROUGE_L
from dataset_tools.errors import UsageError

_BY_TASK = {"classification": ACCURACY, "json": JSON_FIELD_F1, "short-answer": TOKEN_F1, "text": ROUGE_L}
_BY_NAME = {metric.name: metric for metric in _BY_TASK.values()}


def metric_for(task_kind: str) -> Metric:
    """The metric that decides for a kind of task.

    Raises:
        UsageError: there is no such kind; the message lists those there are.
    """
    return _looked_up(_BY_TASK, task_kind, what="kind of task")


def metric_named(name: str) -> Metric:
    """The metric of this name.

    Raises:
        UsageError: there is no such metric; the message lists those there are.
    """
    return _looked_up(_BY_NAME, name, what="metric")


def metric_names() -> tuple[str, ...]:
    """The names that ``metric_named`` knows."""
    return tuple(_BY_NAME)


def _looked_up(table: dict[str, Metric], key: str, *, what: str) -> Metric:
    if key in table:
        return table[key]
    names = ", ".join(table)
    raise UsageError(
        f"There is no such {what}.", found=repr(key), expected=f"one of {names}", next_step="Take one of these."
    )
