"""Checks of reasoning that is written into the answers, between marks like ``<think>`` and ``</think>``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, Setting

_MARKS = re.compile(r"<(/?)(think|thinking|reasoning|thought)>")
_MIXED = 0.05  # less is a slip; more is a mix that a model will follow by chance
MIN_ROWS = 20


class Reasoning:
    """How many answers have a reasoning, and how many have none."""

    def __init__(self, setting: Setting) -> None:
        self.rows = self.with_reasoning = 0

    def see(self, view: ExampleView) -> None:
        """Count the row."""
        self.rows += 1
        if _has_mark(view.contents[-1]):
            self.with_reasoning += 1

    def pack(self) -> tuple[int, int]:
        """The two numbers."""
        return self.rows, self.with_reasoning

    def absorb(self, packed: tuple[int, int], *, lines: int, records: int) -> None:
        """Add what was counted in another part of the file."""
        self.rows += packed[0]
        self.with_reasoning += packed[1]


def _has_mark(answer: str) -> bool:
    return "<" in answer and _MARKS.search(answer) is not None


def _unclosed(view: ExampleView) -> Iterable[str]:
    answer = view.contents[-1]
    if "<" not in answer:
        return ()
    opened: list[str] = []
    for mark in _MARKS.finditer(answer):
        closes, name = mark.groups()
        if not closes:
            opened.append(name)
        elif opened and opened[-1] == name:
            opened.pop()
        elif opened:
            return [f"<{opened[-1]}> is closed by </{name}>"]
    return [f"<{opened[-1]}> is not closed"] if opened else ()


def _nothing_behind(view: ExampleView) -> Iterable[str]:
    answer = view.contents[-1]
    marks = list(_MARKS.finditer(answer)) if "</" in answer else []
    if marks and marks[-1].group(1) and not answer[marks[-1].end() :].strip():
        return ["behind the reasoning stands no answer"]
    return ()


def _mixed(reasoning: Reasoning) -> Iterator[Hit]:
    rows, have = reasoning.rows, reasoning.with_reasoning
    if rows >= MIN_ROWS and min(have, rows - have) >= _MIXED * rows:
        yield Hit(f"{have:,} answers have a reasoning, {rows - have:,} have none")


CHECKS: tuple[Check, ...] = (
    ExampleCheck(
        id="reasoning-not-closed",
        severity="warning",
        family="text",
        title="a reasoning that is not closed",
        why="The model learns to reason on without end, and no answer is told from its thoughts.",
        run=_unclosed,
    ),
    ExampleCheck(
        id="reasoning-without-answer",
        severity="warning",
        family="text",
        title="a reasoning without an answer",
        why="Programs that hide the reasoning will show nothing.",
        run=_nothing_behind,
    ),
    DatasetCheck(
        id="reasoning-mixed",
        severity="warning",
        family="text",
        title="some answers have a reasoning and some have none",
        why="The model learns to reason by chance, if nothing in the prompt tells when it should.",
        observer=Reasoning,
        run=_mixed,
    ),
)
