"""Checks of answers that are to be Python: in a fence or not, and what does not parse. Other code is not read.

Fences are counted in all rows; whether Python parses is asked of a draw, as parsing takes its time.
"""

from __future__ import annotations

import ast
import random
import re
import warnings
from collections.abc import Iterator
from typing import Any

from dataset_tools.checks.answers import MIN_ROWS, Rare
from dataset_tools.checks.base import Check, DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.fix import Fix
from dataset_tools.checks.texts import row_fix
from dataset_tools.task_type import is_python, python_tree

DRAWN = 500  # rows: half a second of parsing
MAX_CHARS = 50_000  # of an answer; a longer one is not parsed
_FEW = 0.2  # of the answers: fewer are the odd ones
_MOSTLY = 0.8
_FENCE = re.compile(r"```[\w+#-]{0,20}[ \t]{0,8}\r?\n(.+?)\r?\n?```", re.DOTALL)
_MARK = "```"


class Fences:
    """How many answers stand in a code fence as a whole, and where those do that are in the minority."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.rows = self.fenced_rows = 0
        self.fenced, self.bare = Rare(_FEW), Rare(_FEW)

    def see(self, view: ExampleView) -> None:
        """Note a row."""
        answer = view.contents[-1]
        if not answer:  # a call of a tool
            return
        self.rows += 1
        if answer.startswith(_MARK) and answer.endswith(_MARK):
            self.fenced_rows += 1
            self.fenced.add(view)
        else:
            self.bare.add(view)

    def pack(self) -> Any:
        """What it saw, to be taken in by another one."""
        return self.rows, self.fenced_rows, self.fenced, self.bare

    def absorb(self, packed: Any, *, lines: int, records: int) -> None:
        """Take what was seen in a later part of the file, whose lines and records were counted from its start."""
        rows, fenced_rows, fenced, bare = packed
        self.rows += rows
        self.fenced_rows += fenced_rows
        self.fenced.absorb(fenced, lines=lines, records=records)
        self.bare.absorb(bare, lines=lines, records=records)

    @property
    def is_code(self) -> bool:
        """Whether the answers are Python; ask when the rows have passed."""
        return self.setting.task.kind == "code"


def unfenced_code(answer: str) -> str:
    """The Python inside a code fence that is all of the answer; any other answer as it is."""
    found = _FENCE.fullmatch(answer)
    inside = found.group(1) if found else ""
    return inside if _MARK not in inside and inside.strip() and python_tree(inside) is not None else answer


def fenced_code(answer: str) -> str:
    """The answer in a code fence, where it is Python and has none; any other as it is."""
    if answer.startswith(_MARK) or _MARK in answer or not is_python(answer):
        return answer
    return f"```python\n{answer}\n```" if not answer.endswith("\n") else f"```python\n{answer}```"


def _fenced(fences: Fences) -> Iterator[Hit]:
    if fences.fenced_rows < _FEW * fences.rows and fences.is_code:
        yield from fences.fenced.hits("the code stands in a fence, and the others do not", of=fences.rows)


def _bare(fences: Fences) -> Iterator[Hit]:
    if fences.fenced_rows >= _MOSTLY * fences.rows and fences.is_code:
        yield from fences.bare.hits("the code has no fence, and the others stand in one", of=fences.rows)


def _broken(fences: Fences) -> Iterator[Hit]:
    views = fences.setting.views
    if len(views) < MIN_ROWS or not fences.is_code:
        return
    if len(views) > DRAWN:
        views = sorted(random.Random(0).sample(views, DRAWN), key=lambda view: view.record)
    for view in views:
        fault = _fault(view.completion)
        if fault:
            yield view.hit(f"the answer is no Python, where nearly all are ({fault}; {len(views):,} rows looked at)")


def _fault(answer: str) -> str:
    """What keeps an answer from being Python; empty where nothing does."""
    if not answer or len(answer) > MAX_CHARS or python_tree(answer) is not None:
        return ""
    found = _FENCE.fullmatch(answer.strip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is a warning
            ast.parse(found.group(1) if found else answer)
    except SyntaxError as error:
        return f"{error.msg}, line {error.lineno}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "nested too deep"
    return "it stands in a fence that is not closed"


CHECKS: tuple[Check, ...] = (
    DatasetCheck(
        id="code-in-fence",
        severity="warning",
        family="labels",
        title="code in a fence, where the others have none",
        why="The model learns to add the fence now and then, and a program that runs the code fails on it.",
        observer=Fences,
        run=_fenced,
        fix=Fix(what="take the fence away", row=row_fix(unfenced_code, answers_only=True)),
    ),
    DatasetCheck(
        id="code-outside-fence",
        severity="warning",
        family="labels",
        title="code without a fence, where the others have one",
        why="The model learns to leave the fence out now and then, and what takes it off finds none.",
        observer=Fences,
        run=_bare,
        fix=Fix(what="put it in a code fence", row=row_fix(fenced_code, answers_only=True)),
    ),
    DatasetCheck(
        id="answer-not-code",
        severity="warning",
        family="labels",
        title="the answer is no Python, where the others are",
        why=f"One broken program in the training data is enough to see more of them (parsed in {DRAWN} rows drawn).",
        observer=Fences,
        run=_broken,
    ),
)
