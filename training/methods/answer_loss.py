"""The loss of the trained tokens alone: no logits for the prompt or the padding, and never all of them at once.

trl's fused head does this on a GPU. Without one (trl 1.16) it scores every position, and in float32: on 2 cores that is
a third of a training step of a 135M model. Here the positions that carry no label are left out before the
projection, and the gradient with respect to the hidden states is computed in the forward pass, chunk by chunk, as Liger
does it (arxiv.org/abs/2410.10989), so that no logits are kept for the backward pass.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from training.methods.rows import IGNORED

# Logits held at once, in float32: 64 MB.
_CHUNK_LOGITS = 2**24
# What some architectures do to their logits after the projection; those go by trl's head, which knows them all.
_UNUSUAL = (
    *("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling"),
    "output_router_logits",
)


def has_plain_head(model: Any) -> bool:
    """Whether a causal language model's logits are its last hidden states times its head, and nothing else."""
    config = model.config.get_text_config()
    return all(getattr(config, name, None) in (None, False, 1.0) for name in _UNUSUAL)


def add_answer_loss(model: Any) -> None:
    """Let ``model(..., labels=labels, answer_loss=True)`` give ``{"loss": sum}`` over the labelled tokens.

    ``labels`` has the shape of the input (rows, tokens) and is not shifted. Without ``answer_loss`` the model's forward
    is what it was. To be called on the causal language model itself, below any adapter.
    """
    before = model.forward

    @functools.wraps(type(model).forward)  # generate() looks at the signature
    def forward(self: Any, *args: Any, answer_loss: bool = False, labels: Any = None, **options: Any) -> Any:
        if not answer_loss:
            return before(*args, **options) if labels is None else before(*args, labels=labels, **options)
        options["use_cache"] = False
        states = self.base_model(*args, **options).last_hidden_state[:, :-1]
        targets = labels[:, 1:]
        trained = targets != IGNORED
        head = self.get_output_embeddings()
        return {"loss": linear_cross_entropy(states[trained], head.weight, head.bias, targets[trained])}

    model.forward = types.MethodType(forward, model)


def linear_cross_entropy(states: Any, weight: Any, bias: Any, targets: Any) -> Any:
    """The summed cross-entropy of ``states @ weight.T + bias`` against the targets, in float32.

    Args:
        states: Hidden states (tokens, width).
        weight: The head (vocabulary, width).
        bias: Of the head (vocabulary), or None. It is taken as frozen.
        targets: The wanted token of each state.
    """
    import torch

    return _function().apply(states, weight, bias, targets, torch.is_grad_enabled())


@functools.cache
def _function() -> Any:
    import torch
    from torch.nn.functional import linear

    class LinearCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, states: Any, weight: Any, bias: Any, targets: Any, learning: bool) -> Any:
            device = states.device.type
            dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
            states_grad = torch.empty_like(states) if learning and ctx.needs_input_grad[0] else None
            weight_grad = torch.zeros_like(weight, dtype=torch.float32) if learning and weight.requires_grad else None
            head, loss = weight.to(dtype), states.new_zeros((), dtype=torch.float32)
            bias = None if bias is None else bias.to(dtype)
            size = max(16, _CHUNK_LOGITS // len(weight))
            with torch.autocast(device, enabled=False):
                for start in range(0, len(states), size):
                    part, wanted = states[start : start + size].to(dtype), targets[start : start + size, None]
                    logits = linear(part, head, bias).float()
                    norm = logits.logsumexp(-1, keepdim=True)
                    loss += (norm - logits.gather(1, wanted)).sum()
                    if states_grad is None and weight_grad is None:
                        continue
                    slope = logits.sub_(norm).exp_()  # softmax, less 1 at the wanted token
                    slope.scatter_add_(1, wanted, slope.new_full((), -1.0).expand(len(part), 1))
                    slope = slope.to(dtype)
                    if states_grad is not None:
                        states_grad[start : start + size] = slope @ head
                    if weight_grad is not None:
                        weight_grad += (slope.T @ part).float()
            ctx.save_for_backward(states_grad, None if weight_grad is None else weight_grad.to(weight.dtype))
            return loss

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            states_grad, weight_grad = ctx.saved_tensors
            scale = gradients[0]
            return (
                None if states_grad is None else states_grad * scale.to(states_grad.dtype),
                None if weight_grad is None else weight_grad * scale.to(weight_grad.dtype),
                *(None, None, None),
            )

    return LinearCrossEntropy
