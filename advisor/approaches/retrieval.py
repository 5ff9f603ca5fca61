"""RAG: passages of the user's documents before the question, alone or after a block of worked examples."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.few_shot import FewShotFixed, with_demonstrations
from advisor.retrieval import Passage
from dataset_tools.example import Example, Message

_LEAD = "Use these passages from our documents to answer."


def with_passages(example: Example, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """The example's prompt with numbered passages before its last question, the best passage nearest to it."""
    if not passages:
        return example.prompt
    numbered = "\n\n".join(f"[{number}] {passage.whole}" for number, passage in enumerate(reversed(passages), 1))
    before, last = example.prompt[:-1], example.prompt[-1]
    return (*before, Message(last.role, f"{_LEAD}\n\n{numbered}\n\n{last.content}"))


class Retrieval(Approach):
    """Ask the base model with what the documents say (BM25 and dense retrieval, fused)."""

    name = "rag"
    title = "RAG (retrieved passages)"
    needs_documents = True

    def prepare(self, tools: Tools) -> None:
        """Index the documents."""
        self.tools = tools
        self.index = tools.index

    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """Prompts with the passages found for each example."""
        found = self.index.search([self.tools.distinct(example) for example in examples], count=self.tools.passages[0])
        return [self._fitting(example, passages) for example, passages in zip(examples, found, strict=True)]

    def _fitting(self, example: Example, passages: list[Passage]) -> tuple[Message, ...]:
        """Passages are left out, the worst first, where the prompt would pass the context; never the question."""
        room = self.tools.context - self.tools.longest_answer
        for count in range(len(passages), -1, -1):
            prompt = self._dressed(example, passages[:count])
            if self.tools.tokens_of(prompt) <= room:
                return prompt
        return example.prompt

    def _dressed(self, example: Example, passages: Sequence[Passage]) -> tuple[Message, ...]:
        return with_passages(example, passages)


class RetrievalFewShot(Retrieval):
    """Retrieved passages for the facts, and the fixed block of worked examples, without passages, for the form."""

    name = "rag-few-shot"
    title = "RAG + few-shot (one fixed block)"

    def prepare(self, tools: Tools) -> None:
        """Index the documents, and choose the block."""
        super().prepare(tools)
        fixed = FewShotFixed()
        fixed.prepare(tools)
        self.block = fixed.block

    def _dressed(self, example: Example, passages: Sequence[Passage]) -> tuple[Message, ...]:
        asked = Example((*with_passages(example, passages), example.messages[-1]))
        return with_demonstrations(asked, self.block)
