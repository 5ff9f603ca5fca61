"""What was forgotten: how much less likely the model finds general texts than its base does.

Low figures do not prove that nothing was lost: the texts measure language and general knowledge, not skills such as
following long instructions. No general benchmark is run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dataset_tools.rendering import Rendered
from training.generation import padding_token
from training.health.card import HealthFinding, Light, grey
from training.health.intervals import mean_and_error
from training.health.likelihood import NO_BASE, as_base, has_base, token_scores
from training.health.texts import general_texts

_ID, _TITLE = "forgetting", "Is general language kept"
# Nats per token. Judgement, on the scale of peft's own benchmark, which takes the same difference after training on
# 20,000 rows: LoRA of rank 32 .050, full .030, rsLoRA of rank 64 .111, IA3 at a high rate .314.
GREEN_BELOW, RED_ABOVE = 0.05, 0.15
# Tokens of a text, at most: what a tokenizer does not know it cuts into very many.
_LONGEST = 96


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The mean negative log likelihood per token on general texts: before, after, and the change with its error.

    A text's own mean counts once, whatever its length; the error is the change's standard error over texts.
    """

    before: float
    after: float
    change: float
    error: float
    texts: int


def measure_forgetting(
    model: Any, tokenizer: Any, *, base: Any = None, texts: Sequence[str] | None = None
) -> Forgetting | None:
    """Read the shipped texts (or others) with the tuned model and with its base; None without a base."""
    if not has_base(model, base):
        return None
    ids = tokenizer(list(texts if texts is not None else general_texts()))["input_ids"]
    rows = [Rendered(row[:_LONGEST], [0] + [1] * (len(row[:_LONGEST]) - 1)) for row in ids]
    pad = padding_token(tokenizer)
    after = [row.mean for row in token_scores(model, rows, pad=pad)]
    with as_base(model, base) as untuned:
        before = [row.mean for row in token_scores(untuned, rows, pad=pad)]
    change, error = mean_and_error([new - old for new, old in zip(after, before, strict=True)])
    return Forgetting(fmean(before), fmean(after), change, error, len(rows))


def judge_forgetting(seen: Forgetting | None) -> HealthFinding:
    """The light: by the change, `GREEN_BELOW` and `RED_ABOVE`."""
    if seen is None:
        return grey(_ID, _TITLE, NO_BASE)
    figures = {"before": seen.before, "after": seen.after, "change": seen.change, "error": seen.error}
    if not math.isfinite(seen.change):
        reason = "The model finds general texts impossible. Train with a lower learning rate."
        return HealthFinding(_ID, "red", _TITLE, "no number", reason, "learning_rate", figures)
    value = f"{seen.change:+.3f} nats per token (± {seen.error:.3f}) on {seen.texts} texts"
    if seen.change < GREEN_BELOW:
        reason = "General texts are about as likely as to the base." if seen.change > -GREEN_BELOW else ""
        reason = reason or "General texts are even likelier than to the base."
        return HealthFinding(_ID, "green", _TITLE, value, reason, None, figures)
    light: Light = "red" if seen.change > RED_ABOVE else "amber"
    reason = (
        f"The base finds each token of general texts {math.exp(seen.change) - 1:.0%} likelier. Train with a lower "
        "learning rate or fewer epochs, or mix in general rows."
    )
    return HealthFinding(_ID, light, _TITLE, value, reason, "learning_rate", figures)
