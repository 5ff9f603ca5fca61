"""Which metrics there are, and which one a kind of task is scored by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from advisor.metrics.base import Metric
from advisor.metrics.classification import ACCURACY
from advisor.metrics.code_tests import CODE_TESTS, require_allowed
from advisor.metrics.json_fields import JSON_EXACT, JSON_FIELD_F1, with_schema
from advisor.metrics.multi_label import SAMPLE_F1
from advisor.metrics.numeric import NUMERIC, numeric_within
from advisor.metrics.own import is_own, own_metric
from advisor.metrics.short_answer import EXACT_MATCH, TOKEN_F1
from advisor.metrics.text import BLEU, CHRF, ROUGE_L
from dataset_tools.errors import UsageError
from dataset_tools.task_type import TaskKind

# Of the metrics that run nothing, chrF goes along best with what people think of generated code (Evtikhiev et al. 2022,
# https://arxiv.org/abs/2208.03133). Whether the code works only code-tests tells, where the wanted answers are tests.
_BY_TASK: Mapping[TaskKind, Metric] = {
    "classification": ACCURACY,
    "multi-label": SAMPLE_F1,
    "json": JSON_FIELD_F1,
    "numeric": NUMERIC,
    "short-answer": TOKEN_F1,
    "code": CHRF,
    "text": ROUGE_L,
}
_METRICS = (
    *(ACCURACY, SAMPLE_F1, JSON_FIELD_F1, JSON_EXACT, NUMERIC, EXACT_MATCH, TOKEN_F1, ROUGE_L, BLEU, CHRF),
    CODE_TESTS,
)
_BY_NAME = {metric.name: metric for metric in _METRICS}
JUDGE = "judge"
"""The metric that is a model's opinion: `advisor.judging` makes it, as it takes a model."""
_WITH_OPTION: Mapping[str, Callable[[str], Metric]] = {
    NUMERIC.name: numeric_within,
    JSON_FIELD_F1.name: partial(with_schema, JSON_FIELD_F1),
    JSON_EXACT.name: partial(with_schema, JSON_EXACT),
}


def metric_for(task_kind: str) -> Metric:
    """The metric that decides for a kind of task.

    Raises:
        UsageError: there is no such kind; the message lists those there are.
    """
    for kind, metric in _BY_TASK.items():
        if kind == task_kind:
            return metric
    raise _unknown(task_kind, what="kind of task", expected=f"one of {', '.join(_BY_TASK)}")


def metric_named(name: str) -> Metric:
    """The metric of this name.

    Args:
        name: One of ``metric_names()``; ``numeric:TOLERANCE``, a share of the wanted number; ``json-field-f1:FILE`` or
            ``json-exact:FILE`` with a JSON Schema; or a Python file of the user's own, ``metric.py`` with the function
            ``score`` or ``metric.py:function``. The metric's ``name`` has the full path of the file.

    Raises:
        UsageError: there is no such metric, and the message lists those there are; its option or its file cannot be
            used; it runs code, which is off; or it is a judge, which takes a model (`advisor.judging`).
    """
    if name == JUDGE:
        raise UsageError(
            "A judge is a model: name one.",
            found="the metric judge without a model",
            expected="compare with --metric judge --judge MODEL, or --judge http://localhost:11434/v1#MODEL",
            next_step="Name the judge with --judge, or take another metric.",
        )
    if name == CODE_TESTS.name:
        require_allowed()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if is_own(name):
        return own_metric(name)
    plain, mark, option = name.partition(":")
    if mark and plain in _WITH_OPTION:
        return _WITH_OPTION[plain](option)
    expected = f"one of {', '.join(_BY_NAME)}, or a Python file with score(answer, wanted)"
    raise _unknown(name, what="metric", expected=expected)


def metric_names() -> tuple[str, ...]:
    """The names that ``metric_named`` knows; code-tests is one of them also while running code is off.

    ``judge`` is not among them: it takes a model beside its name.
    """
    return tuple(_BY_NAME)


def _unknown(key: str, *, what: str, expected: str) -> UsageError:
    return UsageError(f"There is no such {what}.", found=repr(key), expected=expected, next_step="Take one of these.")
