"""Which rows have more tokens than the limit? Rendered with the model's own template; most rows need no tokenizing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import prompt_text, render

_END_OF_TURN = 64  # bytes: more than any template writes behind an answer


@dataclass(frozen=True, slots=True)
class LongRow:
    """A row over the limit: its tokens, those of its prompt, and the tokens of its answer that are left when cut."""

    example: Example
    tokens: int
    prompt_tokens: int
    answer_left: int


def find_long_rows(examples: Sequence[Example], tokenizer: Any, *, max_length: int) -> list[LongRow]:
    """The rows of more than ``max_length`` tokens; rows that the template refuses are left out.

    A row of fewer bytes needs no look, because a token stands for at least one byte. That holds for byte-level BPE
    and for SentencePiece with byte fallback, the two kinds in use.
    """
    found = []
    overheads: dict[tuple[str, ...], int | None] = {}
    for example in examples:
        roles = tuple(message.role for message in example.messages)
        if roles not in overheads:
            overheads[roles] = _template_bytes(example, tokenizer)
        overhead = overheads[roles]
        if overhead is None or _content_bytes(example) + overhead <= max_length:
            continue
        try:
            rendered = render(example, tokenizer)
        except DataError:
            continue
        tokens = len(rendered.ids)
        if tokens > max_length:
            left = rendered.truncated(max_length).trained
            found.append(LongRow(example, tokens, tokens - rendered.trained, left))
    return found


def _template_bytes(example: Example, tokenizer: Any) -> int | None:
    """What the template adds to rows with these roles, in bytes at most; None where it refuses them."""
    try:
        text = prompt_text(example.prompt, tokenizer)
    except DataError:
        return None
    contents = sum(len(message.content.encode()) for message in example.prompt)
    return max(0, len(text.encode()) - contents) + _END_OF_TURN


def _content_bytes(example: Example) -> int:
    return sum(len(message.content.encode()) for message in example.messages)
