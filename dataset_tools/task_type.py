"""What kind of answer is wanted? A guess from the completions that the user confirms; it looks at no prompt."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from dataset_tools.similarity import fold

TaskKind = Literal["classification", "json", "short-answer", "text"]

# Thresholds: the task table of the design (completions of a closed set, <= 60 characters; 95% JSON; <= 10 words).
MAX_LABEL_CHARS = 60
MAX_DISTINCT = 0.2
MAX_DISTINCT_SMALL = 0.4
MAX_UNSEEN = 0.1  # Good-Turing: the share of answers seen once estimates the chance that the next one is new
MIN_JSON = 0.95
MAX_SHORT_WORDS = 10
_NUMBER = re.compile(r"[-+]?[\d.,]*\d%?")
_SENTENCE = re.compile(r"[a-z]{2,}\W*[.!?]$|[.!?] +[A-Z]")


@dataclass(frozen=True, slots=True)
class TaskTypeGuess:
    """The kind of task, why it looks so (one sentence for the user), and the labels of a classification by count."""

    kind: TaskKind
    why: str
    labels: tuple[str, ...] = ()


def detect_task_type(completions: Sequence[str]) -> TaskTypeGuess:
    """Guess the kind of task from its wanted answers. No answers at all are taken for text."""
    answers = [completion.strip() for completion in completions]
    if not answers:
        return TaskTypeGuess("text", "there are no answers to look at")
    return _as_json(answers) or _as_classification(answers) or _as_short_answer(answers) or _as_text(answers)


def _as_json(answers: Sequence[str]) -> TaskTypeGuess | None:
    """95% parse as JSON objects or arrays, and the keys of the objects are mostly the same ones."""
    keys: Counter[str] = Counter()
    objects = arrays = 0
    for answer in answers:
        if answer[:1] not in ("{", "["):
            continue
        try:
            value = json.loads(answer)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            objects += 1
            keys.update(value.keys())
        else:
            arrays += 1
    if objects + arrays < MIN_JSON * len(answers):
        return None
    stable = sorted(key for key, count in keys.items() if count >= objects / 2)
    if objects >= arrays and sum(keys[key] for key in stable) < sum(keys.values()) / 2:
        return None
    share = _percent(objects + arrays, len(answers))
    what = f"objects with the keys {', '.join(stable[:5])}" if objects >= arrays else "arrays"
    return TaskTypeGuess("json", f"{share} of the answers are JSON {what}")


def _as_classification(answers: Sequence[str]) -> TaskTypeGuess | None:
    """Short answers out of a closed set: few distinct ones, and hardly any that occurs once."""
    if sum(len(answer) <= MAX_LABEL_CHARS for answer in answers) < MIN_JSON * len(answers):
        return None
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for answer in answers:
        counts[spelling.setdefault(fold(answer), answer)] += 1
    once = sum(1 for count in counts.values() if count == 1)
    distinct = len(counts) / len(answers)
    closed = distinct <= MAX_DISTINCT and once <= len(counts) / 2
    closed = closed or (distinct <= MAX_DISTINCT_SMALL and once <= MAX_UNSEEN * len(answers))
    numbers = sum(count for label, count in counts.items() if _NUMBER.fullmatch(label))
    if not closed or (len(counts) > 10 and numbers >= 0.9 * len(answers)) or _are_sentences(counts):
        return None
    labels = tuple(label for label, _ in counts.most_common())
    named = ", ".join(label[:30] for label in labels[:3])
    more = ", ..." if len(labels) > 3 else ""
    what = "label" if len(labels) == 1 else "labels"
    return TaskTypeGuess("classification", f"{len(answers)} answers use {len(labels)} {what} ({named}{more})", labels)


def _as_short_answer(answers: Sequence[str]) -> TaskTypeGuess | None:
    words = median(len(answer.split()) for answer in answers)
    if words > MAX_SHORT_WORDS or _are_sentences(Counter(answers)):
        return None
    return TaskTypeGuess("short-answer", f"half of the answers have {words:g} words or fewer, and most differ")


def _as_text(answers: Sequence[str]) -> TaskTypeGuess:
    words = median(len(answer.split()) for answer in answers)
    return TaskTypeGuess("text", f"the answers are running text of {words:g} words (median)")


def _are_sentences(counts: Counter[str]) -> bool:
    """Most of the distinct answers are sentences of several words: phrases of a style, not labels or facts."""
    sentences = sum(1 for answer in counts if len(answer.split()) > 3 and _SENTENCE.search(answer))
    return sentences > len(counts) / 2


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole}%"
