"""The whole corpus in the context: no search, so nothing is missed, where all documents fit before the question.

Chan et al. 2024 (arxiv.org/abs/2412.15605). What makes it affordable is that all prompts begin with the same documents,
so that their keys and values are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from advisor.approaches.approach import Approach, Tools
from advisor.approaches.retrieval import nothing_shared
from advisor.approaches.tuning import Prompt
from advisor.retrieval import Passage
from dataset_tools.errors import UsageError
from dataset_tools.example import Example

_LEAD = "Use these documents of ours to answer."


def whole_text(passages: Sequence[Passage]) -> str:
    """The passages as one text, in their order, each document under its title."""
    documents = (list(group) for _, group in groupby(passages, key=lambda passage: passage.title))
    texts = ["\n\n".join([first.whole, *(passage.text for passage in rest)]) for first, *rest in documents]
    return "\n\n".join([_LEAD, *texts])


def with_text_first(prompt: Prompt, text: str) -> Prompt:
    """The prompt with a text before everything else: in the system message, or else in the first user message."""
    leading = 0 if prompt[0].role == "system" else _first_user(prompt)
    message = prompt[leading]
    dressed = replace(message, content=f"{text}\n\n{message.content}")
    return (*prompt[:leading], dressed, *prompt[leading + 1 :])


def _first_user(prompt: Prompt) -> int:
    return next((place for place, message in enumerate(prompt) if message.role == "user"), 0)


class Corpus(Approach):
    """Show the base model every clean passage of the documents, the same for all rows and first in the prompt."""

    name = "corpus"
    title = "Whole corpus in the context"
    needs_documents = True

    def why_not(self, tools: Tools) -> str:
        """The documents must fit beside the longest prompt and the longest answer, and have to do with the answers."""
        passages = tools.clean_passages(tools.passages[1])
        there = len(tools.tokenizer(whole_text(passages), add_special_tokens=False, verbose=False)["input_ids"])
        free = tools.room - tools.longest_prompt
        if there > free:
            return (
                f"the documents have {there:,} tokens, and {max(0, free):,} fit into the context of {tools.context:,} "
                "beside the longest prompt and answer"
            )
        return nothing_shared(tools)

    def prepare(self, tools: Tools) -> None:
        """Put the clean passages together.

        Raises:
            UsageError: they do not fit, or cannot help.
            DocumentsError: no passage is clean.
        """
        reason = self.why_not(tools)
        if reason:
            raise UsageError("The whole corpus cannot be shown.", found=reason, next_step="Take rag instead.")
        self.tools = tools
        self.text = whole_text(tools.index.passages)

    def prompts(self, examples: Sequence[Example]) -> list[Prompt]:
        """Prompts that all begin with the documents; a question too long for that is asked alone."""
        dressed = [with_text_first(example.prompt, self.text) for example in examples]
        return [
            prompt if self.tools.fits(prompt) else example.prompt
            for prompt, example in zip(dressed, examples, strict=True)
        ]
