"""Rows with one prompt and one completion, under these names or under others that mean the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dataset_tools.example import Example
from dataset_tools.formats.base import MISSING, Turn, Value

NAME = "prompt_completion"
PROMPT_NAMES = ("prompt", "instruction", "input", "question", "text")
COMPLETION_NAMES = ("completion", "response", "output", "answer", "label")


@dataclass(frozen=True, slots=True)
class PromptCompletion:
    """``{"prompt": ..., "completion": ...}``, or the two columns that stand for them."""

    prompt: str = "prompt"
    completion: str = "completion"
    name: str = NAME

    def matches(self, value: Value) -> bool:
        """Whether the row has one of the two columns, and is no conversation."""
        return (self.prompt in value or self.completion in value) and "messages" not in value

    def turns(self, value: Value) -> list[Turn]:
        """A user turn and an assistant turn."""
        return [
            Turn("user", value.get(self.prompt, MISSING), self.prompt),
            Turn("assistant", value.get(self.completion, MISSING), self.completion),
        ]

    def from_example(self, example: Example) -> dict[str, object]:
        """The two columns of a one-turn example without a system message."""
        if [message.role for message in example.messages] != ["user", "assistant"]:
            raise ValueError("a prompt/completion row holds one question and one answer, no conversation")
        return {self.prompt: example.question, self.completion: example.completion}

    def mapped(self) -> list[str]:
        """How columns with other names were read, for the report; empty for the plain names."""
        pairs = ((self.prompt, "prompt"), (self.completion, "completion"))
        return [f"{column} -> {meaning}" for column, meaning in pairs if column != meaning]


def find_columns(columns: Iterable[str]) -> PromptCompletion | None:
    """The format for rows with these columns: exactly one must stand for the prompt and one for the completion."""
    names = list(columns)
    prompt, completion = _only(names, PROMPT_NAMES), _only(names, COMPLETION_NAMES)
    return PromptCompletion(prompt, completion) if prompt is not None and completion is not None else None


def usual_columns(values: Iterable[Value]) -> list[str]:
    """The columns that at least half of the rows have, in the order of their first use."""
    counts: Counter[str] = Counter()
    rows = 0
    for value in values:
        counts.update(value.keys())
        rows += 1
    return [column for column, count in counts.items() if 2 * count >= rows]


def _only(columns: list[str], meanings: tuple[str, ...]) -> str | None:
    """The plain name if there, else the one column named like it, else the one that ends so (Review Text)."""
    if meanings[0] in columns:
        return meanings[0]
    words = {column: [word.casefold() for word in re.findall(r"[^\W_]+", column)] for column in columns}
    for found in (
        [column for column in columns if len(words[column]) == 1 and words[column][0] in meanings],
        [column for column in columns if words[column] and words[column][-1] in meanings],
    ):
        if found:
            return found[0] if len(found) == 1 else None
    return None
