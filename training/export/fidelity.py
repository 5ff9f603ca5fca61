"""How near two models come to each other on the same rows. Measures alone; what is near enough is `proof`'s to say.

Answers of two models drift apart after their first difference, so the share of equal answers falls with their length
and says little about how near the models are. The next token, given the same text before it, is the sharper measure;
both are taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataset_tools.example import Example, Message
from dataset_tools.rendering import Rendered, render
from training.export.engines import Engine
from training.export.report import Fidelity
from training.generation import Generated

# Tokens kept of each distribution; the others count as one. Bounds the memory, and the divergence from below.
_TOP = 64
_TINY = 1e-9
# Tokens of a prompt, before the answer, at which two models are compared as well.
_PROMPT_TOKENS = 256


@dataclass(frozen=True)
class Trace:
    """What a model finds likely at each token of one row: its top tokens, the likeliest first, and their odds."""

    ids: Any
    log_probs: Any


def render_answers(examples: Sequence[Example], answers: Sequence[Generated], tokenizer: Any) -> list[Rendered]:
    """The rows with these answers in place of the wanted ones, as a model sees them."""
    rows = []
    for example, answer in zip(examples, answers, strict=True):
        last = Message("assistant", answer.text)
        rows.append(render(replace(example, messages=(*example.prompt, last), desirable=None), tokenizer))
    return rows


def trace(engine: Engine, rows: Sequence[Rendered]) -> list[Trace]:
    """A model's view of the rows: of their answers and of the end of their prompts."""
    traces = []
    for row in rows:
        found = engine.log_probs(row.ids, _start(row))
        top = found.topk(min(_TOP, found.shape[-1]))
        traces.append(Trace(top.indices, top.values))
    return traces


def compare(
    reference: Sequence[Trace],
    engine: Engine,
    rows: Sequence[Rendered],
    *,
    answers: tuple[Sequence[Generated], Sequence[Generated]] | None = None,
    tokenizer: Any = None,
) -> Fidelity:
    """Hold a model against the trace of another.

    Args:
        reference: The other's trace of the same rows.
        engine: The model.
        rows: The rows, with the answers at which both are looked.
        answers: Both models' own greedy answers, the reference's first.
        tokenizer: For counting the answers' tokens.
    """
    same, divergence, seen = 0, 0.0, 0
    for kept, row in zip(reference, rows, strict=True):
        found = engine.log_probs(row.ids, _start(row))
        # In 16 bits two tokens may share the first place: then either of them is the same choice.
        agrees = found.gather(-1, kept.ids[:, :1])[:, 0] >= found.amax(-1)
        same += int(agrees[-row.trained :].sum())
        divergence += float(_divergence(kept, found).sum())
        seen += len(found)
    tokens = sum(row.trained for row in rows)
    measured = Fidelity(same / tokens, divergence / seen, tokens)
    if answers is None:
        return measured
    pairs = list(zip(*answers, strict=True))
    return replace(
        measured,
        same_answers=sum(first == second for first, second in pairs) / len(pairs),
        common_prefix=math.fsum(_common_prefix(first, second, tokenizer) for first, second in pairs) / len(pairs),
    )


def _start(row: Rendered) -> int:
    """Where a row is looked at from: some of the prompt, as an answer of a few tokens is no measure by itself."""
    return max(1, len(row.ids) - row.trained - _PROMPT_TOKENS)


def _divergence(kept: Trace, found: Any) -> Any:
    """Kullback-Leibler divergence at each token, the tokens outside the reference's top taken together.

    Taking tokens together can only lessen it (data processing inequality), by little, as the top holds nearly all.
    """
    mine, other = kept.log_probs, found.gather(-1, kept.ids)
    rest_mine = (1 - mine.exp().sum(-1)).clamp_min(_TINY)
    rest_other = (1 - other.exp().sum(-1)).clamp_min(_TINY)
    inside = (mine.exp() * (mine - other)).sum(-1)
    return inside + rest_mine * (rest_mine.log() - rest_other.log())


def _common_prefix(first: Generated, second: Generated, tokenizer: Any) -> float:
    if first == second:
        return 1.0
    one, two = (_tokens(answer, tokenizer) for answer in (first, second))
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))
    return sum(1 for _ in same) / max(len(one), len(two), 1)


def _tokens(answer: Generated, tokenizer: Any) -> list[int]:
    ids: list[int] = tokenizer(answer.text, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id] if answer.ended else ids
