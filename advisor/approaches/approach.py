"""What every approach is: a name, something to prepare from the task's pool, and a prompt for an example."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from advisor.answering.answer import Answer, Answerer
from advisor.approaches.tuning import Prompt, Setting, Tuned, choose
from advisor.retrieval import Document, Passage, PassageIndex
from advisor.retrieval.index import cut
from advisor.task import Task
from dataset_tools.errors import DocumentsError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render, render_prompts

Train = Callable[[Sequence[Example], Sequence[Example]], Path]
Try = Callable[[Sequence[Prompt], Sequence[Example]], tuple[float, ...]]


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
        removed_passages: How many passages quoted a test row and were left out; known once they were cut.
        instructions: Instructions that the user wants tried.
        base: The base model, to be asked for instructions.
        tuning_answers: Answers on validation rows that each arm may spend on choosing its setting; 0: none is tried.
        trial: Answers prompts with the base and scores them against their examples.
    """

    task: Task
    tokenizer: Any
    context: int
    documents: tuple[Document, ...] = ()
    passages: tuple[int, int] = (3, 200)
    demonstrations: tuple[int, int] = (6, 1500)
    train: Train | None = None
    removed_passages: int = 0
    instructions: tuple[str, ...] = ()
    base: Answerer | None = None
    tuning_answers: int = 0
    trial: Try | None = None
    _clean: dict[int, tuple[Passage, ...]] = field(default_factory=dict, init=False, repr=False)
    _indexes: dict[int, PassageIndex] = field(default_factory=dict, init=False, repr=False)

    def distinct(self, example: Example) -> str:
        """What the example asks, without the instruction that all rows share: similarity is judged by this."""
        return self.task.distinct(example)

    @property
    def index(self) -> PassageIndex:
        """The index of passages of the usual size."""
        return self.index_of(self.passages[1])

    def index_of(self, tokens: int) -> PassageIndex:
        """The index of the clean passages of at most so many tokens. Made once, shared by the arms.

        Raises:
            DocumentsError: no passage is clean.
        """
        if tokens not in self._indexes:
            clean = self.clean_passages(tokens)
            if not clean:
                raise DocumentsError(
                    "No passage is left to retrieve from.",
                    found=f"all {self.removed_passages} passages quote test rows with their answers",
                    expected="documents that explain, not the test set itself",
                    next_step="Give other documents with --docs.",
                )
            self._indexes[tokens] = PassageIndex(clean)
        return self._indexes[tokens]

    def clean_passages(self, tokens: int) -> tuple[Passage, ...]:
        """The documents cut into passages of at most so many tokens, without any that quotes a test row."""
        if tokens not in self._clean:
            cuts = [cut([document], self.tokenizer, tokens=tokens) for document in self.documents]
            clean = tuple(passage for passages in cuts for passage in self._without_quotes(passages))
            if tokens == self.passages[1]:
                self.removed_passages = sum(len(passages) for passages in cuts) - len(clean)
            self._clean[tokens] = clean
        return self._clean[tokens]

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

    def fits(self, prompt: Prompt) -> bool:
        """Whether the prompt leaves room for the longest answer in the model's context."""
        return self.tokens_of(prompt) <= self.room

    @property
    def room(self) -> int:
        """Tokens that a prompt may take, so that the longest answer still fits behind it."""
        return self.context - self.longest_answer

    @cached_property
    def longest_answer(self) -> int:
        """Tokens of the longest wanted answer in the pool, its end-of-turn token included."""
        return max(render(example, self.tokenizer).trained for example in self.task.pool)

    @cached_property
    def longest_prompt(self) -> int:
        """Tokens of the longest bare prompt of pool and validation rows."""
        rows = [*self.task.pool, *self.task.validation]
        declared = [row.tools for row in rows]
        return max(len(ids) for ids in render_prompts([row.prompt for row in rows], self.tokenizer, tools=declared))


class Approach(ABC):
    """One way to do the task.

    ``asks_model`` is False where no language model answers; ``learns_rows`` is True where what comes out depends on how
    near a question is to rows of the pool. ``adapter`` is set where it answers with a tuned model, ``tuned`` where it
    has settings to choose from.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs_documents: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False
    asks_model: ClassVar[bool] = True
    learns_rows: ClassVar[bool] = False

    def __init__(self) -> None:
        self.adapter: Path | None = None
        self.tuned: Tuned | None = None

    def why_not(self, tools: Tools) -> str:
        """Why this approach cannot do this task, in words for the user; empty where it can. To ask before preparing."""
        return ""

    def prepare(self, tools: Tools) -> None:  # noqa: B027 - nothing to prepare is the default
        """Build what the prompts need, from the task's pool alone."""

    @abstractmethod
    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The prompts for these examples, in their order."""

    def answers(self, examples: Sequence[Example]) -> list[Answer] | None:
        """The answers themselves, of an approach that needs no language model; None: ask the model the prompts."""
        return None


class WithSettings(Approach):
    """An approach that can be set up in several ways, and takes the one that the validation rows speak for."""

    tuned: Tuned

    def prepare(self, tools: Tools) -> None:
        """Build what all settings need, and choose one."""
        self.set_up(tools)
        self.tuned = choose(self.settings(), tools)

    @abstractmethod
    def set_up(self, tools: Tools) -> None:
        """Build what all settings need."""

    @abstractmethod
    def settings(self) -> list[Setting]:
        """The default first; more only where they can be compared, as some are dear to make."""

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The prompts of the setting that was chosen."""
        return self.tuned.setting.prompts(examples)
