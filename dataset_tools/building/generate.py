"""How building asks a model: one plain callable. Which model answers, and how it samples, is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataset_tools.errors import ModelError
from dataset_tools.example import Message

Generate = Callable[[Sequence[Sequence[Message]]], list[str]]
"""Prompts to answers, one for each prompt, in their order."""


def ask(generate: Generate, prompts: Sequence[Sequence[Message]]) -> list[str]:
    """The answers to the prompts; nothing is asked where there is no prompt.

    Raises:
        ModelError: The model gave more or fewer answers than there are prompts.
    """
    if not prompts:
        return []
    answers = generate(prompts)
    if len(answers) != len(prompts):
        raise ModelError(
            "the model did not answer each prompt once",
            found=f"{len(answers)} answers",
            expected=f"{len(prompts)}, in the order of the prompts",
            next_step="check what wraps the model",
        )
    return answers
