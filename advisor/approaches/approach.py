"""What every approach is: a name, something to prepare from the task's pool, and a prompt for an example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from advisor.retrieval import Document, Passage, PassageIndex
from advisor.retrieval.index import cut
from advisor.task import Task
from dataset_tools.errors import DocumentsError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render, render_prompts

Train = Callable[[Sequence[Example], Sequence[Example]], Path]


@dataclass
class Tools:
    """What approaches prepare themselves with.

    Attributes:
        task: Hands out the rows.
        tokenizer: The base model's.
        context: Tokens that a prompt and its answer may take.
        documents: The user's documents; none where there are none.
        passages: How many passages a prompt gets, and of how many tokens at most.
        demonstrations: How many worked examples a prompt gets, and how many tokens they may take together.
        train: Fine-tunes on rows with held-out rows beside, and gives the adapter's folder.
    """

    task: Task
    tokenizer: Any
    context: int
    documents: tuple[Document, ...] = ()
    passages: tuple[int, int] = (3, 200)
    demonstrations: tuple[int, int] = (6, 1500)
    train: Train | None = None
    removed_passages: int = 0

    def distinct(self, example: Example) -> str:
        """What the example asks, without the instruction that all rows share: similarity is judged by this."""
        return self.task.distinct(example)

    @cached_property
    def index(self) -> PassageIndex:
        """The passages of the documents, without any that quotes a test row. Made once, shared by the arms."""
        cuts = [cut([document], self.tokenizer, tokens=self.passages[1]) for document in self.documents]
        clean = [passage for passages in cuts for passage in self._without_quotes(passages)]
        total = sum(len(passages) for passages in cuts)
        self.removed_passages = total - len(clean)
        if not clean:
            raise DocumentsError(
                "No passage is left to retrieve from.",
                found=f"all {total} passages quote test rows with their answers",
                expected="documents that explain, not the test set itself",
                next_step="Give other documents with --docs.",
            )
        return PassageIndex(clean)

    def _without_quotes(self, passages: Sequence[Passage]) -> list[Passage]:
        """The passages of a document that hold no test row, nor half of one that goes on in the next passage."""
        quoting = {number for number, passage in enumerate(passages) if self.task.guard.quotes_test(passage.text)}
        for number, (one, two) in enumerate(pairwise(passages)):
            if not quoting & {number, number + 1} and self.task.guard.quotes_test(f"{one.text} {two.text}"):
                quoting |= {number, number + 1}
        return [passage for number, passage in enumerate(passages) if number not in quoting]

    def tokens_of(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt."""
        return len(render_prompts([messages], self.tokenizer)[0])

    @cached_property
    def longest_answer(self) -> int:
        """Tokens of the longest wanted answer in the pool, its end-of-turn token included."""
        return max(render(example, self.tokenizer).trained for example in self.task.pool)


class Approach(ABC):
    """One way to do the task. ``adapter`` is set where it answers with a tuned model."""

    name: ClassVar[str]
    title: ClassVar[str]
    needs_documents: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False

    def __init__(self) -> None:
        self.adapter: Path | None = None

    def prepare(self, tools: Tools) -> None:  # noqa: B027 - nothing to prepare is the default
        """Build what the prompts need, from the task's pool alone."""

    @abstractmethod
    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """The prompts for these examples, in their order."""
