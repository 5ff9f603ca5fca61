"""Checks of how prompt and answer join: a blank in front of the answer, and the prompt written once more before it.

Both are left over from plain completion, where prompt and answer were joined as they are. A chat template joins them
here, so that whether a prompt ends in a separator is told by `answers` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dataset_tools.checks.answers import MIN_ROWS, Rare
from dataset_tools.checks.base import Check, DatasetCheck, ExampleCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.texts import Row, map_answers, map_texts, row_fix

MIN_PROMPT = 24  # characters; a shorter prompt may well begin its answer ("Paris" - "Paris is ...")
_ALL = 1.0
_CONVENTION = 0.9  # of the answers: then it is how the file was made


class Spacing:
    """The places of the answers that begin with one blank, up to the point where that is clearly the convention."""

    def __init__(self, setting: Setting) -> None:
        self.rows = 0
        self.spaced = 0
        self.places = Rare(_ALL)

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        if not answer:  # a call of a tool
            return
        self.rows += 1
        if answer[0] == " " and answer[1:2].strip():
            self.spaced += 1
            self.places.add(view)

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self.rows, self.spaced, self.places

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        rows, spaced, places = packed
        self.rows += rows
        self.spaced += spaced
        self.places.absorb(places, lines=lines, records=records)


def without_leading_space(answer: str) -> str:
    """The answer without the one blank that it begins with; blanks of a list or of a program stay."""
    return answer[1:] if answer[:1] == " " and answer[1:2].strip() else answer


def without_prompt(value: Row) -> Row | None:
    """The row whose answer does not begin with a whole text of the prompt; None where it does not."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    map_texts(value, note)

    def change(answer: str) -> str:
        while fits := [text for text in texts if _begins(answer, text)]:
            answer = answer[max(map(len, fits)) :].lstrip()
        return answer

    mapped = map_answers(value, change)
    return None if mapped is value else mapped


def _begins(answer: str, prompt: str) -> bool:
    return len(answer) > len(prompt) >= MIN_PROMPT and answer.startswith(prompt) and bool(answer[len(prompt) :].strip())


def _prompt_again(view: ExampleView) -> Iterable[str]:
    if len(view.contents) > 1 and _begins(view.contents[-1], view.contents[-2]):
        return [
            f"the answer begins with the whole prompt, and goes on {view.completion[len(view.contents[-2]) :][:30]!r}"
        ]
    return ()


def _leading_space(spacing: Spacing) -> Iterator[Hit]:
    if spacing.rows < MIN_ROWS or not spacing.spaced:
        return
    usual = spacing.spaced >= _CONVENTION * spacing.rows
    message = f"the answer begins with a blank, as {spacing.spaced:,} of {spacing.rows:,} do"
    for hit in spacing.places.hits(message, of=spacing.rows):
        yield Hit(hit.message, hit.line, hit.record, "info" if usual else None)


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="leading-space",
        severity="warning",
        family="text",
        title="the answer begins with a blank",
        why="Plain completion asked for it (OpenAI's data preparation tool); after a chat template it is one more "
        "token to learn, and where only some rows have it, one more to guess.",
        observer=Spacing,
        run=_leading_space,
        fix=Fix(what="take the blank away", row=row_fix(without_leading_space, answers_only=True)),
    ),
    ExampleCheck(
        id="prompt-in-answer",
        severity="warning",
        family="text",
        title="the answer begins with the prompt",
        why="Prompt and answer were joined in one column: the model learns to say the prompt again before it answers.",
        run=_prompt_again,
        fix=Fix(what="take the prompt off the answer", row=without_prompt),
    ),
)
