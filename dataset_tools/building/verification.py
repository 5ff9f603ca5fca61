"""Does a model, asked a question with and without its passage, give the answer that is claimed?"""

from __future__ import annotations

from collections.abc import Sequence

from dataset_tools.building.generate import Generate, ask
from dataset_tools.building.sections import Section
from dataset_tools.building.support import PassageWords
from dataset_tools.example import Message

_TASK = "Answer the question in a few words, from the passage alone."
_AGREE = 0.5  # share of one answer's content words in the other; a choice of ours, lenient because answers vary


def answered_otherwise(claims: Sequence[tuple[str, str, Section]], generate: Generate) -> list[tuple[str, bool]]:
    """For each question, answer and passage: how the model answers otherwise with the passage (empty where it
    agrees), and whether it gives the answer without the passage, too.

    Raises:
        ModelError: The model gave more or fewer answers than there were prompts.
    """
    opened = [
        (Message("user", f"{_TASK}\n\nPassage:\n{section.text}\n\nQuestion: {question}"),)
        for question, _, section in claims
    ]
    closed = [(Message("user", question),) for question, _, _ in claims]
    replies = ask(generate, [*opened, *closed])
    with_passage, without = replies[: len(claims)], replies[len(claims) :]
    return [
        ("" if agree(answer, opened_reply) else f"with the passage it says {opened_reply.strip()[:100]!r}",
         agree(answer, closed_reply))
        for (_, answer, _), opened_reply, closed_reply in zip(claims, with_passage, without, strict=True)
    ]  # fmt: skip


def agree(answer: str, other: str) -> bool:
    """Whether two answers say the same, by their words: half of one's are in the other, and no number differs."""
    one, two = PassageWords(other).support(answer), PassageWords(answer).support(other)
    return max(one.score if not one.numbers else 0.0, two.score if not two.numbers else 0.0) >= _AGREE
