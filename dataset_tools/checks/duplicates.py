"""Checks that compare rows with each other. Near-duplicates are found where splits are made, not here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dataset_tools.checks.base import Check, DatasetCheck, DatasetView, Hit, Severity, hit_at


def _exact_duplicate(data: DatasetView) -> Iterator[Hit]:
    first: dict[tuple[int, int], int] = {}
    for index, key in enumerate(data.keys):
        original = first.setdefault(key, index)
        if original != index:
            yield hit_at(data.examples[index], f"the same as the row at line {data.examples[original].line}")


def _conflicting_answers(data: DatasetView) -> Iterator[Hit]:
    first: dict[int, dict[int, int]] = defaultdict(dict)  # prompt -> answer -> its first row
    for index, (prompt, completion) in enumerate(data.keys):
        first[prompt].setdefault(completion, index)
    if len(first) == sum(map(len, first.values())):
        return
    severity: Severity = "error" if data.task.kind == "classification" else "warning"
    for example, (prompt, completion) in zip(data.examples, data.keys, strict=True):
        rival = next((index for answer, index in first[prompt].items() if answer != completion), None)
        if rival is not None:
            message = f"another answer than at line {data.examples[rival].line}, to the same prompt"
            yield hit_at(example, message, severity=severity)


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="exact-duplicate",
        severity="warning",
        title="the same row again",
        why="Repeated rows are learnt by heart (Lee et al. 2022, arxiv.org/abs/2107.06499) and leak between splits.",
        run=_exact_duplicate,
    ),
    DatasetCheck(
        id="conflicting-answers",
        severity="warning",
        title="one prompt with different answers",
        why="For labels one is wrong (Northcutt et al. 2021, arxiv.org/abs/2103.14749); for open text it may be meant.",
        run=_conflicting_answers,
    ),
)
