"""Which attention a training step computes with, on a CPU: torch's fused one is slow backwards on short rows.

Measured on one core with the embedded model in bfloat16, 8 rows at once (processor seconds of a whole step, fused
against plain): 64 tokens 2.65 and 2.33, 128 tokens 5.45 and 4.36, 256 tokens 10.5 and 9.4. In float32, and on longer
rows, the fused one is as fast or faster and needs less memory. Both compute the same attention.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

# The longest rows, in tokens, for which the plain attention was measured to be faster.
_SHORT = 256


@contextlib.contextmanager
def attention_for(model: Any, tokens: int) -> Iterator[None]:
    """Within, rows of this many tokens are attended to in the way that trains fastest; afterwards as before."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    if before == "sdpa" and tokens <= _SHORT and _is_bfloat16_on_cpu(model):
        config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before


def _is_bfloat16_on_cpu(model: Any) -> bool:
    import torch

    return bool(model.device.type == "cpu" and model.get_input_embeddings().weight.dtype == torch.bfloat16)
