"""Greedy answers from a model that is at hand (during training, right after it, from an export): plain and right.

For comparing arms there is `advisor.answering`, which shares prefixes and keeps its batches full. Here the library's
own loop runs, as it serves every architecture and every kind of adapter; nothing of the model is changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts

# Tokens of a batch, prompts and answers together: bounds the cache of keys and values and the padding.
_CPU_BATCH_TOKENS, _GPU_BATCH_TOKENS = 8_192, 32_768


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer: its text, how many tokens it took (the stop token counts), and whether it ended by itself."""

    text: str
    tokens: int
    ended: bool


def generate(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    *,
    max_new_tokens: int,
    batch_size: int = 8,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Generated]:
    """Answer the examples' prompts greedily; the answers come in the examples' order.

    The prompts are rendered as in training, sorted by length, batched within a budget of tokens and padded on the
    left. No random number is drawn and the model's mode is put back, so a training run can answer between two steps.
    Sampling settings and penalties of the model's own generation settings do not apply.

    Args:
        model: A causal language model, with or without a peft adapter.
        tokenizer: Its tokenizer, with a chat template.
        examples: Their prompts and declared tools are used; their answers are not looked at.
        max_new_tokens: Where an answer is cut off.
        batch_size: Rows answered at once, at most.
        on_progress: Told (rows done, rows in all) after each batch.

    Raises:
        DataError: the template refuses a prompt.
    """
    import torch

    rows = render_prompts(
        [example.prompt for example in examples], tokenizer, tools=[example.tools for example in examples]
    )
    stops, pad = stop_tokens(model, tokenizer), padding_token(tokenizer)
    answers: list[Generated | None] = [None] * len(rows)
    budget = _CPU_BATCH_TOKENS if model.device.type == "cpu" else _GPU_BATCH_TOKENS
    done = 0
    with evaluating(model), _contiguous_head(model), torch.no_grad(), warnings.catch_warnings():
        # peft says so at every step of prompt tuning; without padding the positions it ignores are the usual ones.
        warnings.filterwarnings("ignore", message="Position ids are not supported")
        for batch in _batches(rows, max_new_tokens, rows_at_once=batch_size, budget=budget, pads=may_pad(model)):
            outputs = _answer_batch(
                model, [rows[index] for index in batch], pad=pad, stops=stops, max_new_tokens=max_new_tokens
            )
            for index, tokens in zip(batch, outputs, strict=True):
                answers[index] = _to_answer(tokens, stops, tokenizer)
            done += len(batch)
            if on_progress:
                on_progress(done, len(rows))
    return [answer for answer in answers if answer is not None]


def stop_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer: the tokenizer's end-of-turn token and those of the model's generation settings."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*several, tokenizer.eos_token_id] if token is not None}


def padding_token(tokenizer: Any) -> int:
    """The token to pad with; 0 where the tokenizer has none (padding is masked, so any will do)."""
    return int(tokenizer.pad_token_id) if tokenizer.pad_token_id is not None else 0


def may_pad(model: Any) -> bool:
    """Whether padding on the left leaves the answers as they are.

    Not with virtual tokens (prompt and prefix tuning): peft puts them before the padding and takes no positions, so
    the distance between them and the prompt would grow with the padding.
    """
    config = getattr(model, "active_peft_config", None)
    return not getattr(config, "is_prompt_learning", False)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode (no dropout) for a while; the mode of before is put back."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


@contextmanager
def _contiguous_head(model: Any) -> Iterator[None]:
    """Hand the output layer its input in one piece of memory.

    After a prompt is read only its last position goes there, a slice with gaps. With a frozen weight torch (2.13) then
    multiplies batch by batch and copies the whole weight for each row: on a CPU longer than reading the prompts takes.
    """
    head = model.get_output_embeddings()
    if head is None:
        yield
        return
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(), *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def _batches(
    rows: list[list[int]], max_new_tokens: int, *, rows_at_once: int, budget: int, pads: bool
) -> list[list[int]]:
    """Row numbers, longest first, cut at `rows_at_once` rows or where rows x (longest + new tokens) pass the budget.

    Without padding only rows of one length come together.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index])):
        longest = len(rows[batches[-1][0]]) if batches else 0
        full = not batches or len(batches[-1]) >= rows_at_once
        full = full or (len(batches[-1]) + 1) * (longest + max_new_tokens) > budget
        if full or (not pads and len(rows[index]) != longest):
            batches.append([])
        batches[-1].append(index)
    return batches


def _answer_batch(
    model: Any, rows: list[list[int]], *, pad: int, stops: set[int], max_new_tokens: int
) -> list[list[int]]:
    """Greedy answers to rows of prompt tokens, longest first; each up to its stop token, which is kept."""
    import torch

    width = len(rows[0])
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,  # the model's own settings may hold one, and the next
        no_repeat_ngram_size=0,
        use_cache=True,  # gradient checkpointing switches it off in the model's settings
        eos_token_id=sorted(stops),
        pad_token_id=pad,
    )
    return [_until_stop(row, stops) for row in output[:, width:].tolist()]


def _until_stop(tokens: list[int], stops: set[int]) -> list[int]:
    return tokens[: next((at + 1 for at, token in enumerate(tokens) if token in stops), len(tokens))]


def _to_answer(tokens: list[int], stops: set[int], tokenizer: Any) -> Generated:
    ended = bool(tokens) and tokens[-1] in stops
    text = tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
    return Generated(text.strip(), len(tokens), ended)
