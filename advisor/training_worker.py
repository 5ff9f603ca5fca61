"""The process that trains, knowing the task's metric: ``python -m advisor.training_worker FOLDER``.

The same as `training.runs.worker`, which knows no metrics. The metric chooses among a run's last checkpoints, is the
reward where the recipe asks for one, and stands on the health card beside the base's best prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from advisor.metrics.registry import metric_for, metric_named
from dataset_tools.example import Example
from dataset_tools.task_type import detect_task_type
from training.runs.folder import RunFolder
from training.runs.worker import Judges, main
from training.scoring import Scorer

WORKER = "advisor.training_worker"


def scorer_for(examples: Sequence[Example], *, metric: str | None = None) -> Scorer:
    """The metric of these examples' kind of task (or the one named), as a function of rows and answers.

    Raises:
        UsageError: there is no such metric.
    """
    kind = detect_task_type([example.completion for example in examples]).kind
    chosen = metric_named(metric) if metric else metric_for(kind)
    return lambda rows, answers: chosen.scores(answers, [row.completion for row in rows])


def judges_for(run: RunFolder) -> Judges:
    """What a run is judged by: its rows' metric (or the one run.json names), and the base's best prompt where known."""
    status = run.status()
    return Judges(scorer_for(run.read_rows("train"), metric=status.get("metric")), status.get("base_best"))


if __name__ == "__main__":
    sys.exit(main(judges_for))
