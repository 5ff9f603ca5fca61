"""How likely each arm finds the wanted answers: the negative log likelihood of their tokens, in nats a token.

One forward pass a row over prompt and wanted answer. It is a figure beside the scores and decides nothing: held-out
likelihood and the quality of answers may go against each other (LIMA, https://arxiv.org/abs/2305.11206). Figures are
comparable between arms of one model, whose tokens are the same, and not between models.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from advisor.approaches import Prompt
from advisor.report.figures import duration
from advisor.statistics import Interval
from dataset_tools.example import Example

Nll = Callable[[Sequence[Prompt], Sequence[str]], list[tuple[float, int]]]
"""Prompts and wanted answers to the sums of their tokens' negative log likelihoods, in nats, and their counts."""

# Rows that are timed to know what the others take. One: the timing itself costs the arms that have no time for it.
_TIMED = 1


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Of each row nats a token; none of them, and why, where they were not measured."""

    values: tuple[float, ...] = ()
    skipped: str = ""


def likelihoods(
    prompts: Sequence[Prompt], examples: Sequence[Example], *, nll: Nll, seconds: float = float("inf")
) -> Likelihoods:
    """Nats a token of each example's wanted answer after its prompt.

    Args:
        prompts: What the arm asks, one an example.
        examples: With the wanted answers.
        nll: Measures them.
        seconds: The most that it may take: it is left out where the first rows show that it would take more.
    """
    if any(example.tools is not None for example in examples):
        return Likelihoods(skipped="rows declare tools")
    wanted = [example.completion for example in examples]
    began = time.perf_counter()
    found = nll(prompts[:_TIMED], wanted[:_TIMED])
    spent = time.perf_counter() - began
    lengths = [sum(len(message.content) for message in prompt) + 1 for prompt in prompts]
    whole = spent * sum(lengths) / sum(lengths[:_TIMED])
    if whole > seconds:
        return Likelihoods(skipped=f"it would take {duration(whole)} of the time budget")
    if len(prompts) > _TIMED:
        found = [*found, *nll(prompts[_TIMED:], wanted[_TIMED:])]
    return Likelihoods(tuple(round(total / max(1, count), 5) for total, count in found))


def joined_likelihoods(parts: Sequence[Likelihoods]) -> Likelihoods:
    """Those of several folds, one after another; none where a fold has none."""
    lacking = next((part for part in parts if not part.values), None)
    return lacking or Likelihoods(tuple(value for part in parts for value in part.values))


def shown(found: Likelihoods) -> dict[str, Any]:
    """What an arm's row of ``result.json`` has: ``nll_per_token`` with its 95% interval, or why there is none."""
    if not found.values:
        return {"nll_per_token": None, "nll_skipped": found.skipped or None}
    mean = mean_nats(found.values)
    interval = [round(mean.low, 4), round(mean.high, 4)]
    return {
        "nll_per_token": {"mean": round(mean.estimate, 4), "interval": interval, "n": len(found.values)},
        "nll_skipped": None,
    }


def mean_nats(values: Sequence[float]) -> Interval:
    """The mean of losses with its 95% interval by Student's t, at least 0; of one row alone from 0 to twice the loss.

    Losses have no upper end that `mean_interval` could put a pseudo-item at.
    """
    from scipy.stats import t

    mean, count = fmean(values), len(values)
    half = float(t.ppf(0.975, count - 1)) * stdev(values) / math.sqrt(count) if count > 1 else mean
    return Interval(mean, max(0.0, mean - half), mean + half)
