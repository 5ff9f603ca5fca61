"""RAG: passages of the user's documents before the question, alone or after a block of worked examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

from advisor.approaches.approach import Tools, WithSettings
from advisor.approaches.few_shot import Demonstrations, with_demonstrations
from advisor.approaches.tuning import Prompt, Setting, can_tune
from advisor.retrieval import Passage, reranker
from dataset_tools.example import Example, Message
from dataset_tools.similarity import fold

_LEAD = "Use these passages from our documents to answer."
# How many passages, and of how many tokens, are worth a try, as tried: a judgement; finer steps change little.
_COUNTS, _SIZES = (5, 3, 10), (400, 200, 800)
# Words that say nothing of what they are about: a document need not hold them to be of use.
_EMPTY_WORDS = {"and", "are", "but", "for", "from", "has", "have", "his", "her", "its", "not", "that", "the", "their"}
_EMPTY_WORDS |= {"this", "was", "were", "will", "with", "you"}
_VERDICTS = {"yes", "no", "true", "false", "none", "null", "unknown", "maybe"}
# Words are compared by their beginning, so that "refunds" meets "refund".
_STEM = 5
# Runs of letters; those of scripts that put no space between words are compared by pairs of characters.
_WORD, _UNSPACED = re.compile(r"\w+"), re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uffff]")


def with_passages(example: Example, passages: Sequence[Passage]) -> Prompt:
    """The example's prompt with numbered passages before its last question, the best passage nearest to it."""
    if not passages:
        return example.prompt
    numbered = "\n\n".join(f"[{number}] {passage.whole}" for number, passage in enumerate(reversed(passages), 1))
    before, last = example.prompt[:-1], example.prompt[-1]
    return (*before, Message(last.role, f"{_LEAD}\n\n{numbered}\n\n{last.content}"))


def share_found(answers: Iterable[str], passages: Iterable[Passage]) -> float | None:
    """The share of the answers' content words that stand in a passage; None where the answers have none.

    Words under 3 characters, words that every text has, and bare verdicts ("yes", "false") are no content words: a
    document may settle a question without them. Words of another form count ("refund", "refunds").
    """
    wanted = {word for answer in answers for word in _stems(answer)}
    found = {word for passage in passages for word in _stems(passage.whole)}
    return len(wanted & found) / len(wanted) if wanted else None


def _stems(text: str) -> set[str]:
    words = set(_WORD.findall(fold(text).replace("_", " "))) - _EMPTY_WORDS - _VERDICTS
    unspaced = {word for word in words if _UNSPACED.search(word)}
    pairs = {word[at : at + 2] for word in unspaced for at in range(max(1, len(word) - 1))}
    return pairs | {word[:_STEM] for word in words - unspaced if len(word) > 2}


def nothing_shared(tools: Tools) -> str:
    """Why documents cannot help with these answers; empty where they might."""
    passages = tools.clean_passages(tools.passages[1])
    if not passages or share_found((row.completion for row in tools.task.pool), passages) != 0:
        return ""  # documents without a clean passage are refused, with the reason, when they are indexed
    return "the documents share nothing with the wanted answers: not one word of these stands in any passage"


class Retrieval(WithSettings):
    """Ask the base model with what the documents say: BM25 and dense retrieval, fused (and reranked, if one can)."""

    name = "rag"
    title = "RAG (retrieved passages)"
    needs_documents = True

    def why_not(self, tools: Tools) -> str:
        """Documents that have no word of the answers cannot help."""
        return nothing_shared(tools)

    def set_up(self, tools: Tools) -> None:
        """Index the documents."""
        self.tools = tools
        self.rerank = reranker()
        tools.index_of(tools.passages[1])

    def settings(self) -> list[Setting]:
        """The usual number and size of passages; then one of them changed at a time, as far as the context goes."""
        usual = self.tools.passages
        shapes = [usual]
        if can_tune(self.tools):
            pairs = zip(_COUNTS, _SIZES, strict=True)
            others = [shape for count, size in pairs for shape in ((count, usual[1]), (usual[0], size))]
            shapes += [shape for shape in others if shape != usual and self._has_room(*shape)]
        return [self.setting(*shape) for shape in shapes]

    def setting(self, count: int, tokens: int) -> Setting:
        """The setting with so many passages of at most so many tokens."""
        values = {"passages": count, "tokens": tokens}
        what = "1 passage" if count == 1 else f"{count} passages"
        return Setting(f"{what} of up to {tokens} tokens", values, partial(self._prompts, count, tokens))

    def _has_room(self, count: int, tokens: int) -> bool:
        """Whether so many passages fit before the longest prompt, and there are some of that size."""
        free = self.tools.room - self.tools.longest_prompt - self._tokens_besides()
        return count * tokens <= free and bool(self.tools.clean_passages(tokens))

    def _tokens_besides(self) -> int:
        """Tokens of what else stands before the question."""
        return 0

    def _prompts(self, count: int, tokens: int, examples: Sequence[Example]) -> list[Prompt]:
        asked = [self.tools.distinct(example) for example in examples]
        found = self.tools.index_of(tokens).search(asked, count=count, rerank=self.rerank)
        return [self._fitting(example, passages) for example, passages in zip(examples, found, strict=True)]

    def _fitting(self, example: Example, passages: list[Passage]) -> Prompt:
        """Passages are left out, the worst first, where the prompt would pass the context; never the question."""
        for count in range(len(passages), -1, -1):
            prompt = self._dressed(example, passages[:count])
            if self.tools.fits(prompt):
                return prompt
        return example.prompt

    def _dressed(self, example: Example, passages: Sequence[Passage]) -> Prompt:
        return with_passages(example, passages)


class RetrievalFewShot(Retrieval):
    """Retrieved passages for the facts, and the fixed block of worked examples, without passages, for the form."""

    name = "rag-few-shot"
    title = "RAG + few-shot (one fixed block)"

    def set_up(self, tools: Tools) -> None:
        """Index the documents, and choose the block."""
        super().set_up(tools)
        self.block = Demonstrations(tools).block(tools.demonstrations[0])

    def _tokens_besides(self) -> int:
        return sum(self.tools.tokens_of(row.messages) for row in self.block)

    def _dressed(self, example: Example, passages: Sequence[Passage]) -> Prompt:
        asked = Example((*with_passages(example, passages), example.messages[-1]))
        return with_demonstrations(asked, self.block)
