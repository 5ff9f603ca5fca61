"""Checks for answers that say nothing new: the prompt once more, or the same words over and over."""

from __future__ import annotations

from collections.abc import Iterable

from dataset_tools.checks.base import Check, ExampleCheck, ExampleView
from dataset_tools.checks.fix import Fix
from dataset_tools.similarity import fold

_MIN_COPY = 24  # characters; shorter answers are names and labels that stand in their prompt by right
_PROBE = 16
_MIN_LOOP = 60  # characters that a loop covers
_MIN_TURNS = 4  # times that it says the same
_MIN_SHARE = (
    0.3  # of the answer: Gopher's limits for repeated lines and n-grams are 0.1 to 0.3 (arXiv 2112.11446, A1.1)
)


def _copies(view: ExampleView) -> Iterable[str]:
    answer, prompt = view.contents[-1], view.contents[-2]
    size = len(answer)
    if size < _MIN_COPY or 2 * size < len(prompt) or answer[size // 2 : size // 2 + _PROBE].strip() not in prompt:
        return ()
    said, asked = fold(answer), fold(prompt)
    if said == asked:
        return ["the answer is the prompt, word for word"]
    return (
        [f"the answer stands word for word in the prompt, and is {_share(said, asked)} of it"] if said in asked else ()
    )


def _share(part: str, whole: str) -> str:
    return f"{100 * len(part) // len(whole)}%"


def _loop(view: ExampleView) -> Iterable[str]:
    answer = view.contents[-1]
    size = len(answer)
    if size < _MIN_LOOP:
        return ()
    for start in (size - _PROBE, size // 3, 2 * size // 3):  # a loop over a third of the answer has one of them
        probe = answer[start : start + _PROBE]
        if answer.find(probe) < start and answer.count(probe) >= _MIN_TURNS - 1:
            found = _unit(answer, probe, start)
            if found:
                unit, covered = found
                return [f"{unit[:60]!r} comes {covered // len(unit)} times in a row"]
    return ()


def _unit(answer: str, probe: str, start: int) -> tuple[str, int] | None:
    """What is said over and over around a place, and how many characters that covers."""
    before = answer.rfind(probe, 0, start + _PROBE - 1)
    after = answer.find(probe, start + 1)
    for one, other in ((before, start), (start, after)):
        if one < 0 or other < 0:
            continue
        period = other - one
        low, high = one, one
        while low > 0 and answer[low - 1] == answer[low - 1 + period]:
            low -= 1
        while high + period < len(answer) and answer[high] == answer[high + period]:
            high += 1
        covered = high - low + period
        unit = answer[low : low + period]
        enough = covered >= max(_MIN_LOOP, _MIN_TURNS * period, _MIN_SHARE * len(answer))
        if enough and any(char.isalpha() for char in unit):
            return unit, covered
    return None


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="answer-copies-prompt",
        severity="warning",
        title="the answer repeats the prompt",
        why="The model learns to say again what it was told; only a task of small corrections wants that.",
        family="text",
        run=_copies,
        fix=Fix(what="drop the row", drop=True),
    ),
    ExampleCheck(
        id="repetition-loop",
        severity="warning",
        title="the same words over and over",
        why="Generated text that fell into a loop teaches the loop (Rae et al. 2021, arxiv.org/abs/2112.11446, A1.1).",
        family="text",
        run=_loop,
        fix=Fix(what="drop the row", drop=True),
    ),
)
