"""Does something beside what is asked tell the label: the length of the prompt, a field with a number in it?

Only what stands in the prompt is looked at: columns that are not used cannot be learnt from. Words are left out, as
the first word of a question may well tell its kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit
from dataset_tools.checks.labels import Labels

MIN_ROWS = 100  # of fewer, half of which are used to judge, nothing can be said
FIELD_TOLD = 0.9  # of the wrong guesses without it that a field saves: our choice, as a field may be meant to tell much
LENGTH_TOLD = 0.5  # the same for the length, which is hardly ever meant to
_COMMON = 0.9  # of the prompts that have a field
_BINS = 20
_MOST_FIELDS = 10
_MOST_VALUES = 0.1  # of the rows; a field of more values is a number, or no field
_FIELD = re.compile(r"^[ \t]*([^\W\d_][\w .-]{0,30}?)[ \t]*[:=][ \t]*(\S{1,40})[ \t]*$", re.MULTILINE)
_NUMBER = re.compile(r"[^\d]{0,10}(\d{1,15})[^\d]{0,3}")
Value = float | str


def _shortcuts(labels: Labels) -> Iterator[Hit]:
    views = labels.setting.views
    if len(views) < MIN_ROWS or len(labels.classes) < 2:
        return
    answers = [labels.variants.get(view.completion, view.completion) for view in views]
    told = _told([float(len(_question(view))) for view in views], answers)
    if told >= LENGTH_TOLD:
        yield Hit(f"the length of the prompt alone tells the label of {_share(told)}")
    for name, values in _fields(views).items():
        told = _told(values, answers)
        if told >= FIELD_TOLD:
            yield Hit(f"the field {name[:40]!r} of the prompt alone tells the label of {_share(told)}; is it an id?")


def _identifiers(labels: Labels) -> Iterator[Hit]:
    """Prompts that are numbers one after the other: what cleanlab's Datalab calls an identifier column."""
    views = labels.setting.views
    if not MIN_ROWS <= len(views) == labels.setting.usable:
        return
    prompts = [_question(view).strip() for view in views]
    if all(prompt.isdecimal() and len(prompt) < 16 for prompt in prompts):
        numbers = sorted(map(int, prompts))
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            yield Hit(f"the prompts are the numbers from {numbers[0]} to {numbers[-1]}, each once")


def _share(told: float) -> str:
    return f"{100 * told:.0f}% of the rows that do not have the most frequent label"


def _question(view: ExampleView) -> str:
    return view.contents[-2] if len(view.contents) > 1 else ""


def _fields(views: Sequence[ExampleView]) -> dict[str, list[Value | None]]:
    """The values of the fields (``name: value`` on a line of its own) that nearly all prompts have."""
    found = [dict(_FIELD.findall(_question(view))) for view in views]
    counts = Counter(name for fields in found for name in fields)
    common = [name for name, count in counts.most_common(_MOST_FIELDS) if count >= _COMMON * len(views)]
    return {name: values for name in common if (values := _usable([fields.get(name) for fields in found])) is not None}


def _usable(values: Sequence[str | None]) -> list[Value | None] | None:
    """The values as numbers where nearly all are, as they are where few differ; else the field tells nothing."""
    numbers = [_NUMBER.fullmatch(value) if value else None for value in values]
    if sum(number is not None for number in numbers) >= _COMMON * len(values):
        return [float(number[1]) if number else None for number in numbers]
    return list(values) if len(set(values)) <= _MOST_VALUES * len(values) else None


def _told(values: Sequence[Value | None], answers: Sequence[str]) -> float:
    """The share of the wrong guesses that a value saves: learnt on every other row, judged on the rest.

    A guess without the value is the most frequent label. Numbers are put into twenty bins of as many rows each.
    """
    binned = _binned(values)
    most = Counter(answers[::2]).most_common(1)[0][0]
    best: Mapping[object, str] = _best(binned[::2], answers[::2])
    judged = list(zip(binned[1::2], answers[1::2], strict=True))
    wrong = sum(answer != most for _, answer in judged)
    still = sum(answer != best.get(value, most) for value, answer in judged)
    return 1 - still / wrong if wrong >= MIN_ROWS / 10 else 0.0


def _best(values: Sequence[object], answers: Sequence[str]) -> dict[object, str]:
    counts: dict[object, Counter[str]] = {}
    for value, answer in zip(values, answers, strict=True):
        counts.setdefault(value, Counter())[answer] += 1
    return {value: labels.most_common(1)[0][0] for value, labels in counts.items()}


def _binned(values: Sequence[Value | None]) -> list[object]:
    numbers = sorted(value for value in values if isinstance(value, float))
    if not numbers:
        return list(values)
    edges = sorted({numbers[len(numbers) * place // _BINS] for place in range(1, _BINS)})
    return [sum(value >= edge for edge in edges) if isinstance(value, float) else None for value in values]


_CHECKS: tuple[tuple[str, str, str, Callable[[Labels], Iterator[Hit]]], ...] = (
    (
        "label-shortcut",
        "something beside the question tells the label",
        "The model learns the shortcut and fails where it is missing (Geirhos et al. 2020, arxiv.org/abs/2004.07780).",
        _shortcuts,
    ),
    (
        "identifier-as-prompt",
        "the prompts are numbers one after the other",
        "An identifier tells nothing that holds for new rows (cleanlab Datalab, identifier columns).",
        _identifiers,
    ),
)
CHECKS: tuple[Check, ...] = tuple(
    DatasetCheck(id=name, severity="warning", family="labels", title=title, why=why, observer=Labels, run=run)
    for name, title, why, run in _CHECKS
)
