"""QLoRA on the user's rows: bare, with the block of worked examples, or with what retrieval finds for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.few_shot import FewShotFixed
from advisor.approaches.retrieval import Retrieval
from advisor.approaches.tuning import Prompt, Tuned
from dataset_tools.errors import UsageError
from dataset_tools.example import Example


class FineTuned(Approach):
    """The base tuned on the pool, asked with the bare prompt."""

    name = "qlora"
    title = "Fine-tuned (QLoRA)"
    needs_training = True
    learns_rows = True

    def prepare(self, tools: Tools) -> None:
        """Train an adapter."""
        self.adapter = _train(tools, tools.task.pool, tools.task.validation)

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """The examples' own prompts."""
        return [example.prompt for example in examples]


class FineTunedFewShot(FewShotFixed):
    """The base tuned on prompts with the fixed block of worked examples, and asked the same way.

    A row of the block is trained on without itself among the examples, or it would only have to be copied.
    """

    name = "qlora-few-shot"
    title = "Fine-tuned with examples in the prompt"
    needs_training = True
    learns_rows = True

    def prepare(self, tools: Tools) -> None:
        """Choose the block of the usual size, put it into the rows, train an adapter."""
        self.set_up(tools)
        self.tuned = Tuned(self.settings()[0])
        rows, held_out = (_dressed(part, self.prompts) for part in (tools.task.pool, tools.task.validation))
        self.adapter = _train(tools, rows, held_out)


class FineTunedRetrieval(Retrieval):
    """The base tuned on prompts with the passages that retrieval really finds, good and bad (RAFT, 2403.10131)."""

    name = "qlora-rag"
    title = "Fine-tuned on retrieved passages (QLoRA + RAG)"
    needs_training = True
    learns_rows = True

    def prepare(self, tools: Tools) -> None:
        """Index the documents, put the passages into the rows, train an adapter."""
        self.set_up(tools)
        self.tuned = Tuned(self.setting(*tools.passages))
        rows, held_out = (_dressed(part, self.prompts) for part in (tools.task.pool, tools.task.validation))
        self.adapter = _train(tools, rows, held_out)


def _dressed(examples: Sequence[Example], prompts: Callable[[Sequence[Example]], list[Prompt]]) -> tuple[Example, ...]:
    """The rows with the prompts that they will be asked with."""
    if not examples:
        return ()
    return tuple(
        replace(example, messages=(*prompt, example.messages[-1]))
        for prompt, example in zip(prompts(examples), examples, strict=True)
    )


def _train(tools: Tools, rows: Sequence[Example], held_out: Sequence[Example]) -> Path:
    if tools.train is None:
        raise UsageError("This approach needs a way to train, and none was given.")
    return tools.train(rows, held_out)
