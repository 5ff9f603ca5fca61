"""A lenient reading of answers: what would they score if their form were right? For diagnosis alone, not for a verdict.

An answer is read in the ways of its kind of task, and the best of these and of the metric's own score counts: lenient
is never below strict. It may read too much into an answer ("this is not spam" holds one label, and that is spam).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from advisor.approaches.classifier import spellings
from advisor.metrics import Metric
from advisor.metrics.code_tests import program_of
from advisor.metrics.json_fields import unwrapped
from advisor.metrics.short_answer import normal_tokens, short_answer_details
from dataset_tools.task_type import split_labels

Read = Callable[[str, str], list[str]]
"""``(answer, wanted)`` to the texts that the answer may have meant."""

# A metric for one kind of answer, whatever the task was taken for.
_KINDS = {
    "accuracy": "classification",
    "sample-f1": "multi-label",
    "json-field-f1": "json",
    "json-exact": "json",
    "numeric": "numeric",
}
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uffff"  # scripts that put no space between words
_BEFORE, _AFTER = rf"(?<![^\W{_UNSPACED}])", rf"(?![^\W{_UNSPACED}])"
# What any sentence may hold by chance: a label so short is looked for with its case, an answer so short at the ends
# only. Judgements.
_SHORT_LABEL, _SHORT_ANSWER = 2, 3
_ANSWER_IS = re.compile(r"\b(?:answer|result|total)\b(?:\s+is)?\s*[:=]?", re.IGNORECASE)
_WITH_DIGIT = re.compile(r"\S*\d[^\s,;:]*")
_OPENING = re.compile(r"[^\n]{0,200}:[ \t]*\n+")
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?```", re.DOTALL)


class LenientReader:
    """Reads answers leniently, by the kind of task and the metric.

    Args:
        metric: Scores what was read.
        kind: The task's kind.
        known: Wanted answers that labels are taken from; none of a test row.
    """

    def __init__(self, metric: Metric, *, kind: str, known: Sequence[str]) -> None:
        self.metric = metric
        self._read = _way(metric, kind, known)

    @property
    def can_read(self) -> bool:
        """Whether there is a lenient reading: code-tests takes code out of fences itself, and has none."""
        return self._read is not None

    def scores(self, answers: Sequence[str], wanted: Sequence[str], *, strict: Sequence[float]) -> tuple[float, ...]:
        """The lenient score of each answer, at least its strict one.

        Raises:
            UsageError: as `Metric.scores` does.
        """
        return tuple(self._score(*item) for item in zip(answers, wanted, strict, strict=True))

    def _score(self, answer: str, wanted: str, strict: float) -> float:
        if self._read is None or strict >= 1:
            return strict
        texts = [text for text in self._read(answer, wanted) if text != answer]
        return max([strict, *(self.metric.score(text, wanted) for text in texts)])


def _way(metric: Metric, kind: str, known: Sequence[str]) -> Read | None:
    name = metric.name.partition(":")[0]
    if name == "code-tests":
        return None
    kind = _KINDS.get(name, kind)
    if name in ("exact-match", "token-f1") and kind in ("text", "code"):
        kind = "short-answer"
    if kind == "classification":
        return partial(_one_label, _Labels(known))
    if kind == "multi-label":
        return partial(_all_labels, _Labels([label for answer in known for label in split_labels(answer)]))
    ways: dict[str, Read] = {"json": _json, "numeric": _numbers, "short-answer": _contained, "code": _code}
    return ways.get(kind, _without_opening)


class _Labels:
    """Finds known labels in a text, as whole words; of labels that stand in each other the longest."""

    def __init__(self, known: Sequence[str]) -> None:
        self._labels = {label if len(label) > _SHORT_LABEL else written for label, written in spellings(known).items()}
        longest_first = sorted(filter(None, self._labels), key=lambda label: (-len(label), label))
        either = "|".join(self._one(label) for label in longest_first) or r"(?!)"
        self._pattern = re.compile(f"{_BEFORE}(?:{either}){_AFTER}")

    def found(self, text: str) -> list[str]:
        """The different labels in the text, in order."""
        hits = (hit[0] for hit in self._pattern.finditer(" ".join(text.split())))
        return list(dict.fromkeys(hit if hit in self._labels else hit.casefold() for hit in hits))

    @staticmethod
    def _one(label: str) -> str:
        return f"(?i:{re.escape(label)})" if len(label) > _SHORT_LABEL else re.escape(label)


def _one_label(labels: _Labels, answer: str, wanted: str) -> list[str]:
    """The label that the answer holds, where it holds no other."""
    found = labels.found(answer)
    return found if len(found) == 1 else []


def _all_labels(labels: _Labels, answer: str, wanted: str) -> list[str]:
    found = labels.found(answer)
    return ["\n".join(found)] if found else []


def _json(answer: str, wanted: str) -> list[str]:
    """The JSON in a fence or in prose."""
    inner = unwrapped(answer)
    return [inner] if inner is not None else []


def _numbers(answer: str, wanted: str) -> list[str]:
    """The first line, the first number, and what is said to be the answer; the metric itself takes the last number."""
    lines = [line for line in answer.splitlines() if line.strip()]
    first = _WITH_DIGIT.findall(answer)[:1]
    said = [_WITH_DIGIT.findall(answer[hit.end() :])[:1] for hit in _ANSWER_IS.finditer(answer)]
    return [*lines[:1], *first, *(word for words in said[-1:] for word in words)]


def _contained(answer: str, wanted: str) -> list[str]:
    """The wanted answer itself, where the answer holds its words in a row."""
    found, want = normal_tokens(answer), normal_tokens(wanted)
    if not want or short_answer_details([answer], [wanted])["containment"] < 1:
        return []
    by_chance = len(want) == 1 and len(want[0]) <= _SHORT_ANSWER
    return [wanted] if not by_chance or want[0] in (found[0], found[-1]) else []


def _code(answer: str, wanted: str) -> list[str]:
    """The code in a fence."""
    return [program_of(answer)]


def _without_opening(answer: str, wanted: str) -> list[str]:
    """The text without a first line that announces it ("Here is the summary:"), and what stands in a fence."""
    opening = _OPENING.match(answer)
    return [*([answer[opening.end() :]] if opening else []), *_FENCED.findall(answer)]
