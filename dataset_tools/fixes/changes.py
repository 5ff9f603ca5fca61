"""Changes that people ask for row by row, written as fixes are: to another file, with the log, the rejects and an undo.

What is changed is decided by the caller, example by example. No check is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dataset_tools.checks.fix import RowFix
from dataset_tools.checks.texts import map_answers
from dataset_tools.example import Example
from dataset_tools.fixes.applying import FixResult, write_fixed
from dataset_tools.fixes.job import FixJob
from dataset_tools.fixes.opened import Opened, open_with_format
from dataset_tools.fixes.tally import Diff
from dataset_tools.formats.base import Format, Value, to_example

Decide = Callable[[Example, Format], RowFix | str | None]
"""What becomes of a row: a function that changes it, why it is dropped, or None where it stays as it is."""


def plan_changes(
    path: Path | str, decide: Decide, *, name: str, columns: Mapping[str, str] | None = None
) -> list[Diff]:
    """Each record that changes would touch, before and after. Nothing is written.

    Args:
        path: A file in any form that lint takes.
        decide: Asked of each good row, with the format of the file.
        name: What the log would call the changes.
        columns: Which columns hold what, where the guess is wrong.

    Raises:
        UsageError: There is no such file.
        DataError: The file is empty, binary or too large.
    """
    _, job = _job(path, decide, name=name, columns=columns)
    return [
        Diff(
            outcome.segment.line,
            outcome.segment.record,
            outcome.before.decode(),
            tuple(line.decode() for line in outcome.kept),
        )
        for outcome in job.outcomes(lambda problem: None)
        if outcome.is_touched and outcome.unread is None
    ]


def apply_changes(
    path: Path | str,
    target: Path | str,
    decide: Decide,
    *,
    name: str,
    columns: Mapping[str, str] | None = None,
) -> FixResult:
    """Write a file with its rows changed or dropped; the source is not touched, and `undo` takes all back.

    Args:
        path: A file in any form that lint takes.
        target: The file to write, or a folder to write ``NAME.fixed.jsonl`` in.
        decide: Asked of each good row, with the format of the file.
        name: What the log calls the changes.
        columns: Which columns hold what, where the guess is wrong.

    Raises:
        UsageError: There is no such file; the target is the source; or the file's encoding is a guess, which has to be
            confirmed with `apply_fixes` first.
        DataError: The file is empty, binary or too large, or no row would be left.
        DiskFullError: No space is left; then nothing is written.
    """
    opened, job = _job(path, decide, name=name, columns=columns)
    return write_fixed(opened, job, target, chosen=(name,))


def _job(path: Path | str, decide: Decide, *, name: str, columns: Mapping[str, str] | None) -> tuple[Opened, FixJob]:
    opened = open_with_format(Path(path), columns=columns)
    job, form = FixJob(opened, ()), opened.format
    if form is not None:
        job.decide(name, lambda example: decide(example, form))
    return opened, job


def with_answer(form: Format, row: Value, answer: str) -> Value | None:
    """The row as it stands in its file, with another wanted answer; None where its form leaves no place for it."""
    before = to_example(form, row)
    if before is None or before.completion == answer:
        return None
    for changed in (_in_its_place(form, row, answer), map_answers(row, lambda _: answer)):
        after = to_example(form, changed)
        if after is not None and after.completion == answer and after.prompt == before.prompt:
            return changed
    return None


def _in_its_place(form: Format, row: Value, answer: str) -> Value:
    """The answer put where the last turn was read from, if that is a field of the row or a turn in a list of its."""
    turn = form.turns(row)[-1]
    if turn.place is None:
        return {**row, turn.field: answer}
    turns: Any = row.get(turn.field)
    if not isinstance(turns, list) or not isinstance(turns[turn.place], dict):
        return row
    changed = {**turns[turn.place], turn.keys[1]: answer}
    return {**row, turn.field: [*turns[: turn.place], changed, *turns[turn.place + 1 :]]}
