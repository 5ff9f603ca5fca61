"""Checks with the model's own tokenizer and chat template: what training will really see. It loads no tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dataset_tools.checks.base import Check, DatasetCheck, DatasetView, Hit, hit_at
from dataset_tools.errors import DataError
from dataset_tools.rendering import render


def _over_long(data: DatasetView) -> Iterator[Hit]:
    for row in data.long_rows:
        if row.answer_left:
            message = f"{row.tokens} tokens, more than {data.max_length}: the end of the answer is cut off"
            yield hit_at(row.example, message)


def _answer_truncated(data: DatasetView) -> Iterator[Hit]:
    for row in data.long_rows:
        if not row.answer_left:
            message = (
                f"the prompt alone has {row.prompt_tokens} tokens of {data.max_length}: nothing of the answer is left"
            )
            yield hit_at(row.example, message)


def _special_tokens(data: DatasetView) -> Iterator[Hit]:
    tokens = sorted(filter(None, data.tokenizer.all_special_tokens), key=len, reverse=True)
    if not tokens:
        return
    pattern = re.compile("|".join(map(re.escape, tokens)))
    for example in data.examples:
        found = next(filter(None, (pattern.search(message.content) for message in example.messages)), None)
        if found:
            yield hit_at(example, f"the text contains {found.group()!r}")


def _template_refuses(data: DatasetView) -> Iterator[Hit]:
    refused: dict[tuple[str, ...], str | None] = {}
    for example in data.examples:
        roles = tuple(message.role for message in example.messages)
        if roles not in refused:
            try:
                render(example, data.tokenizer)
                refused[roles] = None
            except DataError as error:
                refused[roles] = f"{error.what} {error.found or ''}".strip()
        reason = refused[roles]
        if reason:
            yield hit_at(example, reason)


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="template-refuses-row",
        severity="error",
        title="the model's chat template does not take the row",
        why="What cannot be rendered cannot be trained on.",
        run=_template_refuses,
        needs=("tokenizer",),
    ),
    DatasetCheck(
        id="over-long",
        severity="warning",
        title="longer than the model is trained on",
        why="What is over the limit is cut off, so the model learns to stop in the middle.",
        run=_over_long,
        needs=("tokenizer", "max_length"),
    ),
    DatasetCheck(
        id="answer-truncated",
        severity="error",
        title="the answer is cut away entirely",
        why="A row without a trained token teaches nothing; TRL drops such rows without a word.",
        run=_answer_truncated,
        needs=("tokenizer", "max_length"),
    ),
    DatasetCheck(
        id="special-tokens-in-text",
        severity="warning",
        title="a special token of the model in the text",
        why="The tokenizer takes it for a control mark: a turn ends in the middle of a sentence, or a new one begins.",
        run=_special_tokens,
        needs=("tokenizer",),
    ),
)
