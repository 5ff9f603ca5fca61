"""What every answerer gives back, and what it must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataset_tools.example import Message

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``stopped`` is True where the model ended by itself, False where it ran into the token limit."""

    text: str
    prompt_tokens: int
    answer_tokens: int
    stopped: bool

    @property
    def tokens(self) -> int:
        """Tokens of the whole request."""
        return self.prompt_tokens + self.answer_tokens


OnAnswer = Callable[[int, Answer], None]


class Answerer(Protocol):
    """Something that answers prompts, greedily, always the same way."""

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> list[Answer]:
        """Answer all prompts; the answers come in the prompts' order.

        Args:
            prompts: Messages, one list a prompt.
            max_new_tokens: The most tokens of an answer.
            progress: Told (answers done, prompts in all), often.
            tools: Those that each prompt declares, as JSON text.
            on_answer: Told (a prompt's place, its answer) once for each prompt, as soon as its answer is whole. What it
                raises ends the work.
        """
        ...
