"""The tuned model's score on held-out rows, beside that of the base's best prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from training.health.card import HealthFinding, grey
from training.health.intervals import mean_interval

_ID, _TITLE = "score", "Score beside the base's best prompt"


def judge_score(scores: Sequence[float] | None, base_best: Mapping[str, Any] | None) -> HealthFinding:
    """The light: green where the score's interval lies above the base's score, red below, amber where it cannot tell.

    The held-out rows may have chosen the checkpoint, so this is no test: a comparison on test rows decides.

    Args:
        scores: One score in 0..1 for each held-out row; None without a metric, empty without held-out rows.
        base_best: ``name``, ``score`` and ``interval`` (two ends, or None) of the best prompt of the base on held-out
            rows; None where it is not known.
    """
    if scores is None:
        return grey(_ID, _TITLE, "No metric was given to score answers with.")
    if not scores:
        return grey(_ID, _TITLE, "There are no held-out rows to score.")
    mine, (low, high) = fmean(scores), mean_interval(scores)
    figures = {"score": mine, "low": low, "high": high, "rows": float(len(scores))}
    value = f"{mine:.0%} ({low:.0%} to {high:.0%}) on {len(scores)} held-out rows"
    if base_best is None:
        reason = "What the base reaches with its best prompt is not known: compare first."
        return HealthFinding(_ID, "grey", _TITLE, value, reason, None, figures)
    theirs, name = float(base_best["score"]), str(base_best["name"])
    figures["base_best"] = theirs
    ends = base_best.get("interval")
    between = f" ({ends[0]:.0%} to {ends[1]:.0%})" if ends else ""
    beside = f"The base's best prompt, {name}, reaches {theirs:.0%}{between}."
    if low > theirs:
        return HealthFinding(_ID, "green", _TITLE, value, f"{beside} The tuned model is better.", None, figures)
    if high < theirs:
        reason = f"{beside} The tuned model is worse: use the prompt, or train on more rows."
        return HealthFinding(_ID, "red", _TITLE, value, reason, "data", figures)
    reason = f"{beside} So few rows cannot tell which is better; more rows help, to train on and to judge by."
    return HealthFinding(_ID, "amber", _TITLE, value, reason, "data", figures)
