"""From arms' scores to the verdict, all that it rests on, and the plain data that scripts rely on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from advisor.approaches import ZeroShot
from advisor.arms import ArmResult, skipped
from advisor.cost import ArmCost, break_even, considerations, flips, monthly_dollars, pareto
from advisor.dropouts import with_dropouts
from advisor.gates import gates, under_conditions
from advisor.lineup import ARM_TITLES, ARMS
from advisor.metrics import confusion
from advisor.near_far import gain_by_part, scores_by_part
from advisor.report.facts import trainings
from advisor.request import ComparisonRequest
from advisor.statistics import Interval, confirmed_score, widening
from advisor.task import Task
from advisor.verdict import DEFAULT_MARGIN, ArmScores, BaselineScores, Verdict, decide
from dataset_tools.errors import DataError

# Fewer rows than this cannot be split once more to see what a choice is worth.
_ROWS_TO_CONFIRM = 10
_LIGHTS = ("grey", "green", "amber", "red")


def baseline_scores(task: Task) -> BaselineScores:
    """The better of two things that need no model: always the commonest answer, or the question copied."""
    wanted = [example.completion for example in task.test]
    commonest = Counter(example.completion for example in task.pool).most_common(1)[0][0]
    asked = [example.prompt for example in task.test]
    constant = task.metric.scores([commonest] * len(wanted), wanted, asked)
    always = BaselineScores("always giving the commonest answer", constant)
    copied = task.metric.scores([task.distinct(example) for example in task.test], wanted, asked)
    return BaselineScores("copying the question", copied) if sum(copied) > sum(always.scores) else always


def wider(arm: str, folds: int) -> float:
    """How much wider an arm's intervals are where the rows were answered in folds: what is the same in all is not."""
    return widening(folds) if folds > 1 and ARMS[arm].approach is not ZeroShot else 1.0


def judge(task: Task, results: Sequence[ArmResult], *, margin: float = DEFAULT_MARGIN, folds: int = 1) -> Verdict:
    """The verdict on the arms that have answered all rows, told with those that have not.

    It says so where fine-tuning was cut short.

    Raises:
        DataError: no arm was run.
    """
    whole = [result for result in results if result.dropped is None]
    if not whole:
        raise DataError("No approach could be run, so there is nothing to compare.")
    arms = [
        ArmScores(result.name, result.title, result.scores, ARMS[result.name].rank, wider(result.name, folds))
        for result in whole
    ]
    verdict = decide(arms, baseline=baseline_scores(task), margin=margin)
    verdict = with_dropouts(verdict, results, margin=margin)
    passes = {
        result.title: min(each["passes"] for each in trainings(result.training))
        for result in results
        if result.training
    }
    cut_short = {title: least for title, least in passes.items() if least < 1}
    if not cut_short:
        return verdict
    seen = " and ".join(f"{100 * least:.0f}% ({title})" for title, least in cut_short.items())
    condition = f" But in the time budget, training saw only part of the rows: {seen}. More minutes may change this."
    return replace(verdict, sentence=verdict.sentence + condition)


def judged(
    task: Task,
    results: Sequence[ArmResult],
    reasons: Mapping[str, str],
    *,
    near: Any,
    request: ComparisonRequest,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of ``result.json``: the verdict with its conditions, costs, near and far rows, and a confirmation.

    Args:
        task: With all test rows; of several folds the first, with the test rows of all.
        results: The arms that were run.
        reasons: Of each arm that was not, why.
        near: Which test rows resemble one that was learnt from; (test rows,).
        request: How it is to be judged.
        about: What else is known of the comparison, taken over as it is.

    Raises:
        DataError: no arm was run.
    """
    verdict = judge(task, results, margin=request.margin, folds=about["folds"])
    result = to_result(task, results, reasons, verdict, about=about)
    rows = {row["name"]: row for row in result["arms"] if not row["skipped"]}
    _add_parts(rows, results, near)
    conditions = _conditions(verdict, rows, results, near, margin=request.margin)
    verdict = under_conditions(verdict, conditions)
    result["verdict"]["sentence"], result["verdict"]["next_step"] = verdict.sentence, verdict.next_step
    result["verdict"]["conditions"] = [asdict(condition) for condition in conditions]
    return {
        **result,
        "margin": request.margin,
        "near_far": {"near": int(near.sum()), "far": int((~near).sum())},
        "confirmed": _confirmed(results),
        "cost": _cost(verdict, rows, results, request),
        "command": request.command(),
    }


def _add_parts(rows: Mapping[str, dict[str, Any]], results: Sequence[ArmResult], near: Any) -> None:
    """Each arm's score on rows near to an example and far from all, of the rows that it answered."""
    for result in results:
        parts = scores_by_part({result.name: result.scores}, near[: len(result.scores)])[result.name]
        counts = (int(near[: len(result.scores)].sum()), int((~near[: len(result.scores)]).sum()))
        for name, part, count in (("near", parts.near, counts[0]), ("far", parts.far, counts[1])):
            rows[result.name][name] = {**_shown(part), "n": count} if part else None


def _shown(interval: Interval) -> dict[str, Any]:
    return {"score": round(interval.estimate, 4), "interval": [round(interval.low, 4), round(interval.high, 4)]}


def _conditions(
    verdict: Verdict, rows: Mapping[str, dict[str, Any]], results: Sequence[ArmResult], near: Any, *, margin: float
) -> tuple[Any, ...]:
    """The gates that the advised arm fails. A tuned arm is held against the same prompt untuned."""
    if verdict.arm is None:
        return ()
    arm = ARMS[verdict.arm]
    whole = {result.name: result for result in results if result.dropped is None}
    mine = whole[verdict.arm]
    untuned = {"qlora": "zero-shot", "qlora-few-shot": "few-shot-fixed", "qlora-rag": "rag"}.get(verdict.arm)
    others = [result for name, result in whole.items() if not ARMS[name].approach.learns_rows and name != verdict.arm]
    gain, beside = None, "the best prompt"
    if arm.approach.learns_rows and others:
        rival = max(others, key=lambda result: sum(result.scores))
        gain, beside = gain_by_part(mine.scores, rival.scores, near, margin=margin), rival.title
    return gates(
        rows[verdict.arm],
        rows.get(untuned or ""),
        health=_worst_health(mine.training),
        near_far=gain,
        compared_with=beside,
    )


def _worst_health(training: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The health card with the worst light of the folds' trainings; the first of equal ones."""
    cards = [card for each in trainings(training) if (card := each.get("health"))]
    return max(cards, key=lambda card: _LIGHTS.index(card.get("light", _LIGHTS[0])), default=None)


def _confirmed(results: Sequence[ArmResult]) -> dict[str, Any] | None:
    """What choosing the best arm so is worth on rows that had no part in the choice."""
    whole = {result.name: result.scores for result in results if result.dropped is None}
    if len(whole) < 2 or len(next(iter(whole.values()))) < _ROWS_TO_CONFIRM:
        return None
    found = confirmed_score(whole, {name: ARMS[name].rank for name in whole})
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(found).items()}
    return {**rounded, "interval": [round(end, 4) for end in found.interval]}


def _cost(
    verdict: Verdict, rows: Mapping[str, dict[str, Any]], results: Sequence[ArmResult], request: ComparisonRequest
) -> dict[str, Any]:
    """What each arm costs in the user's situation, and what that says for and against."""
    situation, prices = request.situation, request.prices
    costs = {result.name: _arm_cost(result) for result in results}
    for name, cost in costs.items():
        each = cost.request(prices, runs_on=situation.runs_on)
        monthly = monthly_dollars(cost, situation, prices)
        rows[name]["cost"] = {**asdict(each), "monthly_dollars": monthly}
    scores = {name: float(rows[name]["score"]) for name in costs}
    by_price = {
        name: costs[name].request(prices, runs_on=situation.runs_on).dollars_cached
        if situation.runs_on != "here"
        else costs[name].seconds
        for name in costs
    }
    return {
        "prices": asdict(prices),
        "assumed": prices.assumed,
        "situation": asdict(situation),
        "considerations": list(considerations(verdict, costs, situation=situation, prices=prices)),
        "flips": list(flips(verdict, costs, situation=situation, prices=prices)),
        "break_even": _break_even(costs, scores, request),
        "front": list(pareto(by_price, scores)),
    }


def _arm_cost(result: ArmResult) -> ArmCost:
    approach = ARMS[result.name].approach
    return ArmCost(
        result.name,
        result.title,
        prompt_tokens=result.prompt_tokens,
        shared_prefix_tokens=min(float(result.shared_prefix_tokens), result.prompt_tokens),
        answer_tokens=result.answer_tokens,
        seconds=result.seconds / len(result.scores),
        setup_seconds=result.setup_seconds,
        trains=approach.needs_training,
        cites=approach.needs_documents,
    )


def _break_even(
    costs: Mapping[str, ArmCost], scores: Mapping[str, float], request: ComparisonRequest
) -> dict[str, Any] | None:
    """After how many requests the best tuned arm has paid for its training, against the best arm that only prompts."""
    tuned = [name for name, cost in costs.items() if cost.trains]
    prompted = [name for name, cost in costs.items() if not cost.trains and cost.prompt_tokens]
    if not tuned or not prompted:
        return None
    own, other = (max(names, key=lambda name: scores[name]) for names in (tuned, prompted))
    where = request.situation.runs_on
    without, with_caching = (
        break_even(costs[own], costs[other], request.prices, caching=caching, runs_on=where)
        for caching in (False, True)
    )
    return {"tuned": own, "prompted": other, "requests": without, "requests_cached": with_caching}


def to_result(
    task: Task,
    results: Sequence[ArmResult],
    reasons: Mapping[str, str],
    verdict: Verdict,
    *,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``result.json`` says of the scores alone."""
    wanted = [example.completion for example in task.test]
    rows: dict[str, dict[str, Any]] = {}
    for result in results:
        row = result.to_dict(wanted, task.metric, wider=wider(result.name, about.get("folds", 1)))
        rows[result.name] = {**row, "cost_rank": ARMS[result.name].rank}
        if task.kind == "classification":
            answers = [answer.text for answer in result.answers]
            rows[result.name]["confusion"] = confusion(answers, wanted[: len(answers)]).to_dict()
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
    """The lines of ``items.jsonl``: each test row with every arm's answer and score, as far as it went."""
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
                if index < len(result.scores)
            },
        }
