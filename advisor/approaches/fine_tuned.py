"""QLoRA on the user's rows, alone or with what retrieval finds for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.retrieval import Retrieval
from dataset_tools.errors import UsageError
from dataset_tools.example import Example, Message


class FineTuned(Approach):
    """The base tuned on the pool, asked with the bare prompt."""

    name = "qlora"
    title = "Fine-tuned (QLoRA)"
    needs_training = True

    def prepare(self, tools: Tools) -> None:
        """Train an adapter."""
        self.adapter = _train(tools, tools.task.pool, tools.task.validation)

    def prompts(self, examples: Sequence[Example]) -> list[tuple[Message, ...]]:
        """The examples' own prompts."""
        return [example.prompt for example in examples]


class FineTunedRetrieval(Retrieval):
    """The base tuned on prompts with the passages that retrieval really finds, good and bad (RAFT, 2403.10131)."""

    name = "qlora-rag"
    title = "Fine-tuned on retrieved passages (QLoRA + RAG)"
    needs_training = True

    def prepare(self, tools: Tools) -> None:
        """Index the documents, put the passages into the rows, train an adapter."""
        super().prepare(tools)
        self.adapter = _train(tools, self._rows(tools.task.pool), self._rows(tools.task.validation))

    def _rows(self, examples: Sequence[Example]) -> tuple[Example, ...]:
        if not examples:
            return ()
        prompts = self.prompts(examples)
        return tuple(
            Example((*prompt, example.messages[-1]), line=example.line, record=example.record, group=example.group)
            for prompt, example in zip(prompts, examples, strict=True)
        )


def _train(tools: Tools, rows: Sequence[Example], held_out: Sequence[Example]) -> Path:
    if tools.train is None:
        raise UsageError("This approach needs a way to train, and none was given.")
    return tools.train(rows, held_out)
