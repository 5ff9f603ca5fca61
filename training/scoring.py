"""What a score is to training: a function that is handed in. The metrics themselves live in advisor, above this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataset_tools.example import Example

Scorer = Callable[[Sequence[Example], Sequence[str]], Sequence[float]]
"""``scorer(examples, answers)`` -> one score in 0..1 for each row's answer, 1 the best, in the rows' order.

The two arguments have the same length. The reward of GRPO, the choice of the best checkpoint, the health card's score
and an export's proof all use the one function of the task, so that their numbers can be laid side by side.
"""
