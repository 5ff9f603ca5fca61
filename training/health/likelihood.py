"""How likely a model finds given tokens: one forward pass a batch, nothing is generated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset_tools.rendering import Rendered
from training.generation import evaluating

# Tokens of a batch, padding included: bounds the scores over the whole vocabulary.
_CPU_BATCH_TOKENS, _GPU_BATCH_TOKENS = 2_048, 4_096


@dataclass(frozen=True, slots=True)
class TokenScores:
    """The tokens of a row that carry loss, in order.

    ``nll`` are their negative log likelihoods in nats, each given all tokens before it; ``greedy`` says whether the
    token is the one that greedy decoding would have chosen there.
    """

    nll: tuple[float, ...]
    greedy: tuple[bool, ...]

    @property
    def mean(self) -> float:
        """Nats per token.

        Raises:
            ZeroDivisionError: no token of the row carries loss.
        """
        return sum(self.nll) / len(self.nll)


def token_scores(model: Any, rows: Sequence[Rendered], *, pad: int) -> list[TokenScores]:
    """Score the tokens of rows that carry loss (a row's very first token never can); the rows' order is kept."""
    import torch

    budget = _CPU_BATCH_TOKENS if model.device.type == "cpu" else _GPU_BATCH_TOKENS
    scored: list[TokenScores | None] = [None] * len(rows)
    with evaluating(model), torch.no_grad():
        for batch in _batches(rows, budget):
            width = len(rows[batch[0]].ids)
            ids = torch.tensor([_padded(rows[index].ids, width, pad) for index in batch], device=model.device)
            mask = torch.tensor([_padded([1] * len(rows[index].ids), width, 0) for index in batch], device=model.device)
            logits = model(input_ids=ids, attention_mask=mask).logits[:, -width:]  # virtual tokens stand before
            for place, index in enumerate(batch):
                scored[index] = _score(logits[place], ids[place], rows[index])
    return [scores for scores in scored if scores is not None]


def _score(logits: Any, ids: Any, row: Rendered) -> TokenScores:
    import torch

    at = torch.tensor([index for index, on in enumerate(row.mask) if on and index], device=ids.device, dtype=torch.long)
    chosen, before = ids[at], logits[at - 1].float()
    losses = torch.nn.functional.cross_entropy(before, chosen, reduction="none")
    return TokenScores(tuple(losses.tolist()), tuple((before.argmax(-1) == chosen).tolist()))


def _batches(rows: Sequence[Rendered], budget: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index].ids)):
        if not batches or (len(batches[-1]) + 1) * len(rows[batches[-1][0]].ids) > budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def _padded(values: list[int], width: int, fill: int) -> list[int]:
    return values + [fill] * (width - len(values))


@contextmanager
def as_base(model: Any, base: Any = None) -> Iterator[Any]:
    """The model before its training: `base` where one is given, else the model with its adapter switched off."""
    if base is not None:
        yield base
    else:
        with model.disable_adapter():
            yield model


def has_base(model: Any, base: Any = None) -> bool:
    """Whether there is a model of before the training to compare with."""
    return base is not None or hasattr(model, "disable_adapter")


NO_BASE = "All weights were trained, and the base was not given to compare with."
