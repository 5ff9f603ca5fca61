"""Whether an adapter is any good, at once after training: is it alive, and do its answers end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts

# Below this largest change of any logit the adapter does nothing (bfloat16 noise is about 0.1 at logits of 10-20).
_ALIVE = 0.5


def check_health(
    model: Any, tokenizer: Any, examples: Sequence[Example], *, max_new_tokens: int
) -> dict[str, bool | float]:
    """Check a peft model on held-out rows.

    Args:
        model: The base with its trained adapter.
        tokenizer: The base's.
        examples: Held-out rows; a dozen are enough for a red light.
        max_new_tokens: Where an answer is cut off; well above the longest wanted answer.

    Returns:
        ``alive`` (the adapter changes the base's next-token scores), ``logit_change`` (the largest change seen) and
        ``stop_rate`` (share of answers that end by themselves).
    """
    import torch

    model.eval()
    tools = [example.tools for example in examples]
    rows = render_prompts((example.prompt for example in examples), tokenizer, tools=tools)
    with torch.inference_mode():
        ids, mask = _pad_left(rows, tokenizer, model.device)
        with_adapter = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits
        with model.disable_adapter():
            without = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits
        change = float((with_adapter - without).float().abs().max())
        output = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False)
    stops = {tokenizer.eos_token_id, *_as_list(model.generation_config.eos_token_id)}
    ended = [any(token in stops for token in row) for row in output[:, ids.shape[1] :].tolist()]
    return {
        "alive": change > _ALIVE,
        "logit_change": round(change, 3),
        "stop_rate": round(sum(ended) / len(ended), 3),
    }


def _as_list(value: int | list[int] | None) -> list[int]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _pad_left(rows: list[list[int]], tokenizer: Any, device: Any) -> tuple[Any, Any]:
    import torch

    width, pad = max(len(row) for row in rows), tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask
