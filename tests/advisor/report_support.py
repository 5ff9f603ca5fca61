"""What tests of reports share: made-up arms, their result, and a result with every part that may be missing."""

from __future__ import annotations

import copy
from typing import Any

from advisor.answering import Answer
from advisor.approaches import ARM_TITLES
from advisor.arms import ArmResult
from advisor.results import judge, to_result
from advisor.task import Task


def arm(task: Task, name: str, right: int, **values: Any) -> ArmResult:
    """An arm that gives the wanted answer to the first rows and nonsense to the others."""
    scores = tuple(float(index < right) for index in range(len(task.test)))
    answers = tuple(
        Answer(row.completion if score else "no idea", 100 + index, 5, bool(score))
        for index, (row, score) in enumerate(zip(task.test, scores, strict=True))
    )
    return ArmResult(name, ARM_TITLES[name], answers, scores, 20.0, 3.0, **values)


def result_of(task: Task, *results: ArmResult, reasons: dict[str, str] | None = None, **about: Any) -> dict[str, Any]:
    filled = {"model": "embedded", "left_out": [], "budget_minutes": None, **about}
    return to_result(task, results, reasons or {}, judge(task, results), about=filled)


def with_everything(result: dict[str, Any]) -> dict[str, Any]:
    """The result of zero-shot, few-shot and qlora with the parts that older results lack; made-up figures."""
    full = copy.deepcopy(result)
    for dollars, each in enumerate(full["arms"], 1):
        each |= {
            "cost_rank": dollars,
            "dropped": None,
            "tuning": None,
            "shared_prefix_tokens": 40.0,
            "near": {"score": 0.75, "interval": [0.6, 0.85], "n": 24},
            "far": {"score": 0.5, "interval": [0.3, 0.7], "n": 16},
            "confusion": None,
            "cost": {
                **{"dollars": 3e-5 * dollars, "dollars_cached": 2e-5 * dollars, "monthly_dollars": 2.0},
                **{"seconds": 0.7, "seconds_cached": 0.5},
            },
        }
    zero, few, tuned = full["arms"]
    zero["dropped"] = {
        **{"rows": 32, "why": "worse", "leader": "few-shot"},
        "sentence": "surely worse than few-shot.",
    }
    trial = {"values": {}, "score": 0.5, "rows": 12, "tokens": 90.0}
    few["tuning"] = {
        **{"setting": "the 6 nearest examples", "values": {"count": 6}, "answers": 24},
        "trials": [{"name": "4 nearest", **trial}, {"name": "the 6 nearest examples", **trial}],
    }
    tuned["confusion"] = {
        **{"labels": ["PRINT", "DOORS"], "counts": [[9, 1], [0, 8]], "others": [0, 1], "unknown": [0, 1]},
        "left_out": 0,
    }
    full["verdict"]["conditions"] = [
        {
            **{"name": "refusals", "sentence": "It answers 3 of 8 harmful requests."},
            "what_to_do": "Serve it with a filter in front.",
        }
    ]
    gap = {"interval": (0.02, 0.2), "rows": 24}
    full["gaps"] = [
        {"name": "format", "title": "Format", "size": 0.12, "sentence": "Format: read leniently, +12.0 points.", **gap},
        {"name": "noise", "title": "Noise", "size": None, "sentence": "Noise: no conflicts.", **gap, "interval": None},
        {"name": "nll", "title": "Loss", "size": 2.5, "sentence": "Demonstrations lower the loss.", **gap},
    ]
    return full | {
        "plan": {"visible_gap": 0.21, "test_rows": 40, "tuning_answers": 24, "probe_rows": 12, "arms": []},
        "confirmed": {
            **{"pick": "qlora", "raw": 0.75, "estimate": 0.68, "interval": [0.55, 0.79], "agreement": 0.8},
        },
        "cost": {
            "prices": {"prompt": 0.1, "cached_prompt": 0.01, "answer": 0.3, "machine_hour": 1.6, "assumed": True},
            "assumed": True,
            "situation": {
                **{"requests_a_month": 10000, "answers_change": "yearly", "must_cite": False, "runs_on": "hosted"},
            },
            "considerations": ["Against it: it must be trained again."],
            "flips": ["Above 12,000 requests a month it is cheaper."],
            "break_even": {"tuned": "qlora", "prompted": "few-shot", "requests": 15234.0, "requests_cached": None},
            "front": ["zero-shot", "few-shot"],
        },
        "learning_curve": {
            "points": [
                {"n": 20, "score": 0.5, "interval": [0.35, 0.65]},
                {"n": 40, "score": 0.6, "interval": [0.45, 0.73]},
            ],
            "fan": [
                {"n": 40, "p5": 0.5, "p25": 0.57, "p50": 0.6, "p75": 0.63, "p95": 0.7},
                {"n": 80, "p5": 0.5, "p25": 0.6, "p50": 0.66, "p75": 0.7, "p95": 0.79},
            ],
            "sentence": "Doubling the training rows likely adds 1.2 to 7.9 points.",
            "what": "training rows",
        },
        "command": "fitting-room compare again",
    }
