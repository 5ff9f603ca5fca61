"""A result.json with every key that a page reads, written by hand; for tests of what shows it."""

from __future__ import annotations

from typing import Any


def arm(name: str, title: str, score: float, **more: Any) -> dict[str, Any]:
    """An arm that was run, on 40 rows."""
    return {
        "name": name,
        "title": title,
        "score": score,
        "interval": [max(0.0, score - 0.1), min(1.0, score + 0.1)],
        "n": 40,
        "tokens_per_request": 80.0,
        "seconds_per_request": 0.2,
        "setup_seconds": 1.0,
        "stop_rate": 1.0,
        "skipped": None,
        "dropped": None,
        **more,
    }


def older() -> dict[str, Any]:
    """A result as comparisons wrote them before they diagnosed, raced and counted costs."""
    return {
        "task": {
            "type": "classification",
            "why": "40 answers use 2 labels",
            "metric": "accuracy",
            "rows": {"train": 80, "validation": 10, "test": 40},
            "removed_as_leaks": 0,
        },
        "arms": [
            arm("zero-shot", "Zero-shot", 0.25),
            arm("few-shot", "Few-shot (nearest examples)", 0.75),
            {"name": "rag", "title": "RAG", "score": None, "interval": None, "skipped": "there are no documents"},
        ],
        "baseline": {"name": "always giving the commonest answer", "score": 0.5},
        "verdict": {
            "kind": "winner",
            "arm": "few-shot",
            "sentence": "Few-shot: it beats the only other approach.",
            "rows_needed": None,
            "next_step": "Use it.",
        },
        "pairs": [{"a": "few-shot", "b": "zero-shot", "difference": 0.5, "interval": [0.3, 0.7]}],
        "left_out": [],
    }


def whole(said: str = "text") -> dict[str, Any]:
    """A result with all keys; ``said`` stands wherever a text of a user or a model may."""
    result = older()
    zero, few, _ = result["arms"]
    zero["title"] = said
    zero["cost"] = {"dollars": 2e-6, "dollars_cached": 1e-6, "seconds": 0.2, "seconds_cached": 0.1}
    few["cost"] = {"dollars": 9e-6, "dollars_cached": 8e-6, "seconds": 0.4, "seconds_cached": 0.3}
    trials = [
        {"name": said, "values": {}, "score": 0.5, "rows": 6, "tokens": 90.0},
        {"name": "3 nearest", "values": {}, "score": 0.4, "rows": 6, "tokens": 60.0},
        {"name": said, "values": {}, "score": 0.7, "rows": 12, "tokens": 91.0},
    ]
    few["tuning"] = {"setting": said, "values": {}, "answers": 18, "trials": trials}
    few["near"] = {"score": 0.9, "interval": [0.7, 1.0], "n": 12}
    few["far"] = {"score": 0.6, "interval": [0.4, 0.8], "n": 28}
    few["confusion"] = {
        "labels": [said, "blue"],
        "counts": [[18, 2], [3, 12]],
        "others": [0, 0],
        "unknown": [0, 5],
        "left_out": 0,
    }
    dropped = {"rows": 13, "why": "worse", "leader": "few-shot", "sentence": f"surely worse after 13 rows: {said}"}
    result["arms"].insert(2, arm("qlora", "Fine-tuned (QLoRA)", 0.1, n=13, dropped=dropped))
    result["verdict"]["conditions"] = [{"name": "near_only", "sentence": said, "what_to_do": f"Look: {said}"}]
    result["verdict"]["probability_best"] = {"few-shot": 0.97, "zero-shot": 0.03}
    result["verdict"]["reasons"] = [said]
    result["plan"] = {
        "visible_gap": 0.22,
        "test_rows": 40,
        "tuning_answers": 24,
        "probe_rows": 12,
        "arms": [
            {"name": "zero-shot", "seconds": 8.0, "trains": False},
            {"name": "qlora", "seconds": 4.0, "trains": True},
        ],
    }
    gap = {"name": "behaviour", "title": "Behaviour", "size": 0.4, "interval": [0.2, 0.6], "rows": 12, "unit": "score"}
    unmeasured = {"name": "knowledge", "title": "Knowledge", "size": None, "interval": None, "rows": 0, "unit": "score"}
    result["gaps"] = [
        {**gap, "sentence": f"Behaviour: worked examples would score +40.0 points: {said}."},
        {**unmeasured, "sentence": f"Knowledge: not measured, as {said}."},
    ]
    result["confirmed"] = {"pick": "few-shot", "raw": 0.75, "estimate": 0.72, "interval": [0.6, 0.8], "agreement": 0.8}
    result["cost"] = {
        "prices": {"prompt": 0.1, "cached_prompt": 0.01, "answer": 0.3, "machine_hour": 1.6, "assumed": True},
        "assumed": True,
        "situation": {"requests_a_month": 50000, "answers_change": "weekly", "must_cite": False, "runs_on": "hosted"},
        "considerations": [said],
        "flips": [f"Above 12,000 requests a month: {said}"],
        "break_even": {"tuned": "qlora", "prompted": "few-shot", "requests": 120.0, "requests_cached": None},
        "front": ["zero-shot", "few-shot"],
    }
    result["learning_curve"] = curve(said)
    result["margin"] = 0.03
    return result


def curve(said: str) -> dict[str, Any]:
    """A learning curve with its fan."""
    middles = ((20, 0.4), (80, 0.6), (160, 0.66), (320, 0.7))
    return {
        "what": said,
        "sentence": f"Doubling likely adds 3 to 9 points. {said}",
        "points": [{"n": 20, "score": 0.4, "interval": [0.3, 0.5]}, {"n": 80, "score": 0.6, "interval": [0.5, 0.7]}],
        "fan": [
            {"n": n, "p5": middle - 0.1, "p25": middle - 0.05, "p50": middle, "p75": middle + 0.05, "p95": middle + 0.1}
            for n, middle in middles
        ],
    }
