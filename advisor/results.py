"""From arms' scores to the verdict and the plain data that scripts rely on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from advisor.approaches import APPROACHES, ARM_TITLES
from advisor.arms import ArmResult, skipped
from advisor.task import Task
from advisor.verdict import ArmScores, BaselineScores, Verdict, decide
from dataset_tools.errors import DataError


def baseline_scores(task: Task) -> BaselineScores:
    """The better of two things that need no model: always the commonest answer, or the question copied."""
    wanted = [example.completion for example in task.test]
    commonest = Counter(example.completion for example in task.pool).most_common(1)[0][0]
    always = BaselineScores("always giving the commonest answer", task.metric.scores([commonest] * len(wanted), wanted))
    copied = task.metric.scores([task.distinct(example) for example in task.test], wanted)
    return BaselineScores("copying the question", copied) if sum(copied) > sum(always.scores) else always


def judge(task: Task, results: Sequence[ArmResult]) -> Verdict:
    """The verdict on these arms; it says so where fine-tuning was cut short before it had seen all rows once.

    Raises:
        DataError: no arm was run.
    """
    if not results:
        raise DataError("No approach could be run, so there is nothing to compare.")
    order = {approach.name: rank for rank, approach in enumerate(APPROACHES)}
    arms = [ArmScores(result.name, result.title, result.scores, order[result.name]) for result in results]
    verdict = decide(arms, baseline=baseline_scores(task))
    cut_short = [result for result in results if result.training and result.training["passes"] < 1]
    if not cut_short:
        return verdict
    seen = " and ".join(f"{100 * (r.training or {})['passes']:.0f}% ({r.title})" for r in cut_short)
    condition = f" But in the time budget, training saw only part of the rows: {seen}. More minutes may change this."
    return replace(verdict, sentence=verdict.sentence + condition)


def to_result(
    task: Task, results: Sequence[ArmResult], reasons: dict[str, str], verdict: Verdict, *, about: dict[str, Any]
) -> dict[str, Any]:
    """The content of ``result.json``."""
    wanted = [example.completion for example in task.test]
    rows = {result.name: result.to_dict(wanted, task.metric) for result in results}
    rows |= {name: skipped(name, ARM_TITLES[name], reason) for name, reason in reasons.items()}
    baseline = baseline_scores(task)
    return {
        "task": {
            "type": task.kind,
            "why": task.why,
            "metric": task.metric.name,
            "rows": {"train": len(task.pool), "validation": len(task.validation), "test": len(task.test)},
            "removed_as_leaks": task.removed_as_leaks,
        },
        "arms": [rows[name] for name in ARM_TITLES if name in rows],
        "baseline": {"name": baseline.name, "score": round(sum(baseline.scores) / len(baseline.scores), 4)},
        "verdict": {
            "kind": verdict.kind,
            "arm": verdict.arm,
            "sentence": verdict.sentence,
            "rows_needed": verdict.rows_needed,
            "next_step": verdict.next_step,
            "reasons": list(verdict.reasons),
            "best": verdict.best,
            "probability_best": {name: round(value, 4) for name, value in verdict.probability_best.items()},
            "expected_regret": round(verdict.expected_regret, 4),
        },
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "difference": round(pair.difference, 4),
                "interval": [round(value, 4) for value in pair.interval],
            }
            for pair in verdict.pairs
        ],
        **about,
    }


def items(task: Task, results: Sequence[ArmResult]) -> Iterator[dict[str, Any]]:
    """The lines of ``items.jsonl``: each test row with every arm's answer and score."""
    for index, example in enumerate(task.test):
        yield {
            "index": index,
            "record": example.record,
            "prompt": example.question if len(example.prompt) == 1 else [m.to_dict() for m in example.prompt],
            "wanted": example.completion,
            "arms": {
                result.name: {
                    "answer": result.answers[index].text,
                    "score": round(result.scores[index], 4),
                    "prompt_tokens": result.answers[index].prompt_tokens,
                    "answer_tokens": result.answers[index].answer_tokens,
                    "stopped": result.answers[index].stopped,
                }
                for result in results
            },
        }
