"""Accepted rows of a draft as files to train on, without its bookkeeping. What cannot be written is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dataset_tools.building.draft_rows import DraftRow, known
from dataset_tools.example import Example
from dataset_tools.formats import Format, Messages, Preference, PromptCompletion, to_example
from dataset_tools.writing import write_jsonl

ExportForm = Literal["messages", "prompt_completion"]
_FORMS: dict[ExportForm, Format] = {"messages": Messages(), "prompt_completion": PromptCompletion()}


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    ``preferences`` pairs stand in ``preferences_path`` (None where there are none), in TRL's form with a prompt, a
    chosen and a rejected answer. ``left_out`` gives the id and the reason of each row that is in neither file.
    """

    path: Path
    rows: int
    preferences_path: Path | None
    preferences: int
    left_out: tuple[tuple[str, str], ...]


def export_rows(rows: Sequence[DraftRow], path: Path, *, form: ExportForm) -> Exported:
    """Write rows to ``path`` and their preference pairs to ``NAME.preferences.jsonl`` beside it, both atomically.

    Each row that is written reads back as its example. A file of pairs from an earlier export is emptied where there
    are none now, so that it cannot be taken for new.

    Raises:
        UsageError: There is no such form.
    """
    known("form", form, get_args(ExportForm))
    plain, pairs = _Target(_FORMS[form]), _Target(Preference())
    for row in rows:
        (pairs if row.example.rejected else plain).take(row)
    pairs_path = path.with_name(f"{path.name.removesuffix('.jsonl')}.preferences.jsonl")
    write_jsonl(path, plain.rows)
    if pairs.rows or pairs_path.exists():
        write_jsonl(pairs_path, pairs.rows)
    left_out = tuple(plain.left_out + pairs.left_out)
    return Exported(path, len(plain.rows), pairs_path if pairs.rows else None, len(pairs.rows), left_out)


class _Target:
    """The rows of one file, and those that its format cannot hold."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self.rows: list[dict[str, object]] = []
        self.left_out: list[tuple[str, str]] = []

    def take(self, row: DraftRow) -> None:
        try:
            written = self.form.from_example(row.example)
        except ValueError as error:
            self.left_out.append((row.id, str(error)))
            return
        reason = _loss(row.example, to_example(self.form, written))
        if reason is None:
            self.rows.append(written)
        else:
            self.left_out.append((row.id, reason))


def _loss(example: Example, back: Example | None) -> str | None:
    """Why the row that was written would not teach the example, or None where it does."""
    if back is None:
        return "a message is empty, or the roles do not take turns"
    same = (back.messages, back.rejected) == (example.messages, example.rejected)
    return None if same and (back.tools is None) == (example.tools is None) else "this form cannot hold all of it"
