"""Attention over a prompt prefix that all rows of a batch share: held and read once, not once for each row.

Known as cascade or shared-prefix attention (Hydragen, arxiv.org/abs/2402.05099): a row's query attends to the shared
keys and to its own keys, under one softmax. Plugged into transformers through its attention interface, so any model
that honours the interface works unchanged. Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "shared_prefix"
# Scores held at once by the matrix form (float32): 64 MB.
_MAX_SCORES = 16_000_000
# How far scores may be off, as a share of what the prefix changes. Measured: rounding 0.03 to 0.12 (bfloat16, 135M
# parameters), a prefix that is not read 1.0.
_NEAR = 0.5
Prefix = list[tuple[torch.Tensor, torch.Tensor]]  # for each layer: keys and values, (1, heads, tokens, size)


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer with room for the answer, so that a step writes one position instead of copying all of them."""

    def __init__(self, parts: list[DynamicLayer], room: int) -> None:
        super().__init__()
        self.lazy_initialization(parts[0].keys, parts[0].values)
        width = max(part.keys.shape[2] for part in parts)
        self._buffers = [_align_right([part.keys for part in parts], width, room)]
        self._buffers.append(_align_right([part.values for part in parts], width, room))
        self._show(width)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write the new positions and return all of them."""
        used, new = self.keys.shape[2], key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, used : used + new] = states
        self._show(used + new)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only these rows of the batch."""
        used = self.keys.shape[2]
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self._show(used)

    def _show(self, used: int) -> None:
        self.keys, self.values = (buffer[:, :, :used] for buffer in self._buffers)


def _align_right(parts: list[torch.Tensor], width: int, room: int) -> torch.Tensor:
    """Stack states (rows, heads, tokens, size) of different length, so that all end at `width`, with room behind.

    The gaps are zeros, not what the memory held: a masked weight of 0 times a stray NaN would still be NaN.
    """
    rows, (_, heads, _, size) = sum(part.shape[0] for part in parts), parts[0].shape
    whole = parts[0].new_zeros(rows, heads, width + room, size)
    start = 0
    for part in parts:
        whole[start : start + part.shape[0], :, width - part.shape[2] : width] = part
        start += part.shape[0]
    return whole


def join_caches(caches: list[Cache], room: int) -> Cache:
    """The caches of several groups of rows -> one cache of all rows, with room for `room` more tokens."""
    return Cache(layers=[_RoomyLayer(list(layers), room) for layers in zip(*(c.layers for c in caches), strict=True)])


def is_honoured(model: Any) -> bool:
    """Whether a model, switched to this attention, really reads a shared prefix.

    Some architectures take the setting and never call the function, and would answer as if there were no prefix. The
    next-token scores with the prefix shared must be far nearer to those of the plain text than to those without it.
    """
    ids = torch.arange(1, 33, device=model.device)[None]  # any text does
    head, tail = ids[:, :24], ids[:, 24:]
    positions = torch.arange(24, 32, device=model.device)[None]
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(head, past_key_values=cache, logits_to_keep=1)
        prefix = [(layer.keys, layer.values) for layer in cache.layers]
        plain, alone = (model(text, logits_to_keep=1).logits[:, -1].float() for text in (ids, tail))
        try:
            again = model(tail, position_ids=positions, shared_prefix=prefix, logits_to_keep=1)
        except (TypeError, ValueError):  # it takes no further arguments
            return False
    return bool((again.logits[:, -1].float() - plain).norm() < _NEAR * (alone - plain).norm())


def shared_prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    shared_prefix: Prefix | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function, as transformers calls it; `shared_prefix` comes through the model's keyword arguments."""
    if shared_prefix is None:
        result: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return result
    prefix_key, prefix_value = shared_prefix[module.layer_idx]  # type: ignore[index]
    if query.shape[0] * query.shape[1] * query.shape[2] * (prefix_key.shape[2] + key.shape[2]) > _MAX_SCORES:
        return _by_fused_kernel(module, query, key, value, attention_mask, prefix_key, prefix_value, scaling=scaling)
    return _by_matrices(query, key, value, attention_mask, prefix_key, prefix_value, scaling=scaling), None


def _by_fused_kernel(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    prefix_key: torch.Tensor,
    prefix_value: torch.Tensor,
    *,
    scaling: float | None,
) -> tuple[torch.Tensor, None]:
    """Many long rows at once: the library's kernel, which keeps no scores, with the prefix laid out for this layer."""
    batch, _, length, _ = query.shape
    if mask is None:  # nothing is padded: a query sees all keys up to its own (all of them, where it reads one token)
        own = key.shape[2]
        mask = torch.ones(length, own, dtype=torch.bool, device=query.device).tril(own - length)[None, None]
    seen = torch.zeros((), dtype=mask.dtype, device=mask.device) if mask.is_floating_point() else mask.new_ones(())
    mask = torch.cat([seen.expand(*mask.shape[:3], prefix_key.shape[2]), mask], dim=-1)
    key = torch.cat([prefix_key.expand(batch, -1, -1, -1), key], dim=2)
    value = torch.cat([prefix_value.expand(batch, -1, -1, -1), value], dim=2)
    result: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, mask, scaling=scaling)
    return result


def _by_matrices(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    prefix_key: torch.Tensor,
    prefix_value: torch.Tensor,
    *,
    scaling: float | None,
) -> torch.Tensor:
    """All rows' queries meet the prefix as one matrix; the query heads of a group share their keys unrepeated."""
    batch, heads, length, size = query.shape
    groups, shared = key.shape[1], prefix_key.shape[2]
    query = query.reshape(batch, groups, -1, size) * (scaling or size**-0.5)
    own_scores = (query @ key.transpose(2, 3)).view(batch, heads, length, -1)
    if mask is None and length > 1:
        mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()[None, None]
    if mask is not None:
        own_scores = own_scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else own_scores + mask
    stacked = query.transpose(0, 1).reshape(groups, -1, size)
    prefix_scores = (stacked @ prefix_key[0].transpose(1, 2)).view(groups, batch, -1, shared).transpose(0, 1)
    scores = torch.cat([prefix_scores, own_scores.view(batch, groups, -1, own_scores.shape[-1])], dim=-1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    prefix_weights = weights[..., :shared].transpose(0, 1).reshape(groups, -1, shared)
    from_prefix = (prefix_weights @ prefix_value[0]).view(groups, batch, -1, size).transpose(0, 1)
    mixed = from_prefix + weights[..., shared:] @ value
    return mixed.reshape(batch, heads, length, size).transpose(1, 2)


AttentionInterface.register(NAME, shared_prefix_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
