"""Does the training show at all: do the scores of the next token change, and has every adapter matrix moved?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts
from training.generation import evaluating
from training.health.card import HealthFinding, grey
from training.health.likelihood import NO_BASE, as_base, has_base

_ID, _TITLE = "alive", "Does the training show"
# Up to this largest change of any logit the answers are the base's (bfloat16 noise is about 0.1 at logits of 10-20).
ALIVE_ABOVE = 0.5
# Weights that start at one number, by the part of their name that peft gives them: any other number is training.
_STARTS = {"lora_B": 0.0, "lora_embedding_B": 0.0, "ia3_l": 1.0}


def logit_change(model: Any, tokenizer: Any, examples: Sequence[Example], *, base: Any = None) -> float | None:
    """The largest change of a next-token score after the examples' prompts, against the base; None without a base.

    NaN where a weight or a score is no finite number.
    """
    import torch

    if not all(_is_finite(weight) for weight in model.parameters()):
        return math.nan
    if not has_base(model, base):
        return None
    rows = render_prompts(
        [example.prompt for example in examples], tokenizer, tools=[example.tools for example in examples]
    )
    tuned = _last_scores(model, rows)
    with as_base(model, base) as untuned:
        before = _last_scores(untuned, rows)
    change = (tuned - before.to(tuned.device)).abs()
    return float(change.max()) if bool(torch.isfinite(change).all()) else math.nan


def _is_finite(weight: Any) -> bool:
    """Whether all numbers of a weight are finite; packed ones are integers, and always are."""
    import torch

    if not weight.is_floating_point() or not weight.numel():
        return True
    low, high = torch.aminmax(weight.detach())  # passes NaN on, and needs no memory of the weight's size
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _last_scores(model: Any, rows: Sequence[list[int]]) -> Any:
    """The scores of the token after each row, of shape (rows, vocabulary). One by one: no padding plays a part."""
    import torch

    with evaluating(model), torch.no_grad():
        outputs = [
            model(input_ids=torch.tensor([row], device=model.device), logits_to_keep=1).logits[0, -1] for row in rows
        ]
    return torch.stack(outputs).float()


def moved_matrices(model: Any) -> tuple[int, int] | None:
    """Of the adapter's matrices whose start is known (LoRA's B, IA3's vectors): (how many have left it, how many).

    None for adapters that start at random, and where there is no adapter. An adapter that continues an earlier one
    has left its start before, so all of its matrices count as moved.
    """
    moved, total = 0, 0
    for name, weight in model.named_parameters():
        start = next((value for part, value in _STARTS.items() if f".{part}." in name), None)
        if start is not None:
            total += 1
            moved += bool((weight.detach() != start).any())
    return (moved, total) if total else None


def judge_alive(change: float | None, moved: tuple[int, int] | None) -> HealthFinding:
    """The light for a change of scores and a count of moved matrices; None stands for what could not be measured.

    Args:
        change: Largest change of a logit; up to `ALIVE_ABOVE` it is red. NaN where a score is no number.
        moved: As `moved_matrices` gives it.
    """
    if change is None:
        return grey(_ID, _TITLE, NO_BASE)
    figures = {"logit_change": change}
    if moved:
        figures |= {"moved_matrices": moved[0], "matrices": moved[1]}
    if not math.isfinite(change):
        reason = "The model's scores are no numbers any more: the training has broken its weights."
        return HealthFinding(
            _ID, "red", _TITLE, "broken", reason + " Train with a lower learning rate.", "learning_rate", figures
        )
    value = f"scores change by up to {change:.1f}"
    if change <= ALIVE_ABOVE:
        why = "No matrix of the adapter has left its start. " if moved and moved[0] == 0 else ""
        reason = f"{why}The answers are the base's. Train longer, or with a higher learning rate."
        return HealthFinding(_ID, "red", _TITLE, value, reason, "learning_rate", figures)
    if moved and moved[0] < moved[1]:
        reason = (
            f"{moved[1] - moved[0]} of {moved[1]} adapter matrices are still at their start, so their layers got no "
            'gradient. Train in precision "fp32", where small steps are not rounded away.'
        )
        return HealthFinding(_ID, "amber", _TITLE, value, reason, "precision", figures)
    return HealthFinding(_ID, "green", _TITLE, value, "The answers are not the base's.", None, figures)
