"""Distillation: a larger model's answers become the training rows of a smaller one.

The teacher answers each row's prompt, by its own or with some of the user's rows as demonstrations. Where the rows have
wanted answers, only the teacher's answers that score well against them are kept (rejection sampling, as in STaR,
arxiv.org/abs/2203.14465, without its hints): a teacher's mistake must not become the student's lesson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.answering.answer import Answer, Answerer, Progress
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message
from training.scoring import Scorer


@dataclass(frozen=True)
class Distilled:
    """What a teacher's answers came to: the new rows, and how many were left out for which reason."""

    examples: tuple[Example, ...]
    asked: int
    left_out: dict[str, int]


def distill(
    examples: Sequence[Example],
    teacher: Answerer,
    *,
    max_new_tokens: int,
    demonstrations: Sequence[Example] = (),
    scorer: Scorer | None = None,
    at_least: float = 0.5,
    progress: Progress | None = None,
) -> Distilled:
    """Rows whose answers are the teacher's.

    Args:
        examples: Rows with the prompts to answer.
        teacher: Who answers.
        max_new_tokens: Where an answer is cut off; one that is cut off is left out.
        demonstrations: Rows shown to the teacher before each prompt; the student does not see them. None of them is
            answered.
        scorer: The task's metric, to leave out answers that are far from the wanted ones.
        at_least: The lowest score that is kept, from 0 to 1.
        progress: Told of the prompts that are answered.

    Raises:
        UsageError: ``at_least`` is no score.
        DataError: no answer is left.
    """
    if not 0 <= at_least <= 1:
        raise UsageError("The lowest score to keep is no score.", found=f"{at_least:g}", expected="0 to 1")
    shown = [message for example in demonstrations for message in example.messages if message.role != "system"]
    asked = [example for example in examples if example not in demonstrations]
    prompts = [_with_demonstrations(example.prompt, shown) for example in asked]
    tools = [example.tools for example in asked]
    answers = teacher.answer(prompts, max_new_tokens=max_new_tokens, tools=tools, progress=progress)
    scores = list(scorer(asked, [answer.text for answer in answers])) if scorer else [1.0] * len(asked)
    kept, left_out = [], dict[str, int]()
    for example, answer, score in zip(asked, answers, scores, strict=True):
        reason = _unfit(answer, score, at_least=at_least)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            kept.append(_answered(example, answer.text))
    if not kept:
        raise DataError(
            "None of the teacher's answers can be learnt from.",
            found=", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "no prompt",
            next_step="Show the teacher some rows (--demonstrations), take a stronger one, or lower --at-least.",
        )
    return Distilled(tuple(kept), len(asked), left_out)


def _with_demonstrations(prompt: tuple[Message, ...], shown: Sequence[Message]) -> tuple[Message, ...]:
    """The prompt after the demonstrations; a system message stays first."""
    system = tuple(message for message in prompt[:1] if message.role == "system")
    return (*system, *shown, *prompt[len(system) :])


def _unfit(answer: Answer, score: float, *, at_least: float) -> str | None:
    if not answer.text.strip():
        return "empty"
    if not answer.stopped:
        return "cut off before the end"
    return f"scored below {at_least:g}" if score < at_least else None


def _answered(example: Example, text: str) -> Example:
    """The row with another answer, and without what was said about its own."""
    messages = (*example.messages[:-1], Message("assistant", text))
    return replace(example, messages=messages, rejected=(), desirable=None)
