"""Instructions that the user need not write: made from what the pool's answers share, or proposed by the model."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from advisor.approaches.approach import Tools
from advisor.approaches.classifier import spellings
from advisor.approaches.tuning import Prompt
from advisor.task import Task
from dataset_tools.example import Example, Message
from dataset_tools.task_type import split_labels

# More labels than this are not listed: the list would be longer than most prompts. A judgement.
_MOST_LABELS = 100
# A key is named where so many of the answers have it.
_MOST_ANSWERS = 0.5
_PROPOSALS, _ROWS_SHOWN, _LEAST_SHOWN = 3, 6, 2
# Characters of a row that the model is shown, and of an instruction that is kept; tokens that it may take to write one.
_MOST_SHOWN, _LONGEST, _LONGEST_TOKENS = 300, 400, 100
_ONLY = "Give no explanation."
_DELIMITERS = (",", ";", "|", "\n")


def written_instruction(task: Task) -> str:
    """An instruction that says what the pool's answers have in common; empty for a kind of task without one."""
    writer = _WRITERS.get(task.kind)
    return writer([row.completion for row in task.pool]) if writer else ""


def _for_labels(answers: Sequence[str]) -> str:
    labels = list(spellings(answers).values())
    if len(labels) > _MOST_LABELS:
        return f"Answer with the label only. {_ONLY}"
    return f"Answer with exactly one of: {_listed(labels)}. {_ONLY}"


def _for_sets_of_labels(answers: Sequence[str]) -> str:
    delimiter = max(_DELIMITERS, key=lambda mark: sum(mark in answer.strip() for answer in answers))
    labels = list(spellings([label for answer in answers for label in split_labels(answer)]).values())
    between = "each on a line of its own" if delimiter == "\n" else f'separated by "{delimiter}"'
    if len(labels) > _MOST_LABELS:
        return f"Answer with the labels that apply only, {between}. {_ONLY}"
    return f"Answer with those of these labels that apply, {between}: {_listed(labels)}. {_ONLY}"


def _listed(labels: Sequence[str]) -> str:
    return ("; " if any("," in label for label in labels) else ", ").join(labels)


def _for_json(answers: Sequence[str]) -> str:
    """Names the keys that most answers have, with the types that their values have there."""
    values = [value for answer in answers if (value := _parsed(answer)) is not None]
    objects = [value for value in values if isinstance(value, dict)]
    if 2 * len(objects) < len(values):
        return "Answer with one JSON list and nothing else: no explanation, no Markdown."
    kinds: dict[str, Counter[str]] = {}
    for value in objects:
        for key, part in value.items():
            kinds.setdefault(key, Counter())[_kind(part)] += 1
    shared = {key: found for key, found in kinds.items() if found.total() >= _MOST_ANSWERS * len(objects)}
    named = ", ".join(f"{json.dumps(key, ensure_ascii=False)} ({_either(found)})" for key, found in shared.items())
    keys = f", with the keys {named}" if named else ""
    return f"Answer with one JSON object and nothing else{keys}. No explanation, no Markdown."


def _parsed(answer: str) -> Any:
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):  # also a number of more digits than Python converts, or very deep nesting
        return None


def _kind(value: object) -> str:
    # bool before number: to Python, True is an int.
    kinds = (("true or false", bool), ("number", int | float), ("text", str), ("list", list), ("object", dict))
    return next((name for name, types in kinds if isinstance(value, types)), "null")


def _either(found: Counter[str]) -> str:
    return " or ".join(kind for kind, _ in found.most_common())


_WRITERS: dict[str, Callable[[Sequence[str]], str]] = {
    "classification": _for_labels,
    "multi-label": _for_sets_of_labels,
    "json": _for_json,
    "short-answer": lambda _: "Answer in a few words only, with no explanation.",
    "numeric": lambda answers: (
        "" if any(len(answer.split()) > 3 for answer in answers) else f"Answer with the number only. {_ONLY}"
    ),
    "code": lambda answers: "" if any("```" in answer for answer in answers) else "Answer with the code only.",
}


def proposed_instructions(tools: Tools) -> tuple[list[str], int]:
    """Up to three instructions that the base model proposes, each from six other rows of the pool, greedily.

    Instruction induction as in APE (Zhou et al. 2022, arxiv.org/abs/2211.01910). Left out is what is empty, cut off, or
    long, and what quotes a test row.

    Returns:
        The instructions, and how many answers they took.
    """
    pool = tools.task.pool
    drawn = random.Random(0).sample(pool, min(len(pool), _PROPOSALS * _ROWS_SHOWN))
    parts = [drawn[start : start + _ROWS_SHOWN] for start in range(0, len(drawn), _ROWS_SHOWN)]
    prompts = [prompt for part in parts if (prompt := _asking(part, tools))]
    if tools.base is None or not prompts:
        return [], 0
    answers = tools.base.answer(prompts, max_new_tokens=_LONGEST_TOKENS)
    texts = [answer.text.strip().strip("\"'`").strip() for answer in answers if answer.stopped]
    kept = [text for text in texts if 0 < len(text) <= _LONGEST and not tools.task.guard.quotes_test(text)]
    return kept, len(answers)


def _asking(rows: Sequence[Example], tools: Tools) -> Prompt | None:
    """The prompt that asks for an instruction, with as many of the rows as fit; None where not even two do."""
    for count in range(len(rows), _LEAST_SHOWN - 1, -1):
        shown = "\n\n".join(
            f"Input: {tools.distinct(row)[:_MOST_SHOWN]}\nAnswer: {row.completion[:_MOST_SHOWN]}"
            for row in rows[:count]
        )
        prompt = (
            Message(
                "user",
                f"Here are inputs, each with the answer that is wanted.\n\n{shown}\n\n"
                "Write the instruction that somebody was given who wrote these answers: what to do with an input, and "
                "what form the answer has. Reply with the instruction only.",
            ),
        )
        if tools.tokens_of(prompt) + _LONGEST_TOKENS <= tools.context:
            return prompt
    return None
