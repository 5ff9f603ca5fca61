"""The learning rate of each step, as a share of the peak.

transformers' schedules begin with a step at rate 0, which on 40 steps throws away a fortieth of the run, and count the
last step so that nearly nothing is learnt in it; these never give 0.
"""

from __future__ import annotations

import math


def rate_share(step: int, *, steps: int, warmup: float, schedule: str) -> float:
    """The share of the peak rate in a step.

    Args:
        step: From 0 (the first) on.
        steps: Of the whole run.
        warmup: Share of the steps in which the rate rises: 1/n, 2/n, ... to the peak at the n-th step.
        schedule: "linear" or "cosine" down to just above zero in the last step, or "constant".
    """
    rising = math.ceil(steps * warmup)
    if step + 1 <= rising:
        return (step + 1) / rising
    done = (step + 1 - max(rising, 1)) / (steps + 1 - max(rising, 1))
    if schedule == "linear":
        return max(0.0, 1 - done)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return 1.0
