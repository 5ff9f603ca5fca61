"""How long a step takes here: a forward and backward pass on typical rows, timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dataset_tools.rendering import Rendered


def probe_seconds_per_token(model: Any, rows: Sequence[Rendered], *, pad: int, count: int) -> float:
    """Time a forward and backward pass on `count` typical rows; the second of two, as the first warms up.

    The state of torch's random numbers and the gradients are afterwards as they were.
    """
    import torch

    middle = sorted(rows, key=lambda row: len(row.ids))[len(rows) // 2 :][:count]
    width = max(len(row.ids) for row in middle)
    ids = torch.tensor([row.ids + [pad] * (width - len(row.ids)) for row in middle], device=model.device)
    model.train()
    state = torch.get_rng_state()
    for _ in range(2):
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        if ids.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    return seconds / ids.numel()
