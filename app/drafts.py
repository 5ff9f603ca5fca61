"""The dataset that a project builds: its rows, its conversation and what the checks say, all in the project's folder.

    <project>/draft/draft.jsonl          the rows, as a log that only grows (`dataset_tools.building.Draft`)
    <project>/draft/conversation.json    the conversation, with all that can be undone
    <project>/draft/checked.jsonl        the accepted rows as they were checked last

Nothing of it is kept elsewhere, so a page that is opened again shows the same. It asks no model.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from app.workspace import Project
from dataset_tools import DataError, Example, Report, UsageError, lint, load_examples, write_text_atomically
from dataset_tools.building import Conversation, Draft, DraftRow, Exported, NewRow

BUILT = "built here.jsonl"  # how a file of rows from here is named on the Data page
TAKEN = "from the project"  # the tag of rows that the project had
_MOST_TAKEN = 10_000  # rows; the table is made for reading them
Standing = Literal["new", "changed", "kept"]
_talks = threading.Lock()


@lru_cache(maxsize=64)
def draft_in(folder: Path) -> Draft:
    """The draft of a folder. The object is kept, so that only what is new in the log is read."""
    return Draft(folder)


def draft_of(project: Project) -> Draft:
    """The rows that a project builds."""
    return draft_in(project.draft_folder)


@dataclass(frozen=True)
class Talk:
    """A conversation, and the row that it became (empty: none yet)."""

    conversation: Conversation = field(default_factory=Conversation)
    row: str = ""

    @classmethod
    def load(cls, project: Project) -> Talk:
        """The conversation of a project; an empty one where there is none.

        Raises:
            DataError: the file is damaged.
        """
        try:
            values = json.loads((project.draft_folder / "conversation.json").read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError) as error:
            raise DataError(
                "The conversation that was saved here cannot be read.",
                found=str(error)[:200],
                next_step="Begin a new conversation; the dataset is not touched by it.",
            ) from error
        values = values if isinstance(values, dict) else {}
        return cls(Conversation.from_dict(values.get("conversation")), str(values.get("row", "")))

    def save(self, project: Project) -> None:
        """Keep it in the project's folder."""
        values = {"conversation": self.conversation.to_dict(), "row": self.row}
        write_text_atomically(project.draft_folder / "conversation.json", json.dumps(values, ensure_ascii=False))


def change_talk(project: Project, change: Callable[[Conversation], Conversation]) -> Talk:
    """Change the conversation and save it. Changes from several pages come one after the other."""
    with _talks:
        before = Talk.load(project)
        after = replace(before, conversation=change(before.conversation))
        if after != before:
            after.save(project)
        return after


def begin_talk(project: Project) -> None:
    """Begin a new conversation under the same system prompt; one that cannot be read is given up."""
    with _talks:
        try:
            system = Talk.load(project).conversation.system
        except DataError:
            system = ""
        Talk(Conversation().with_system(system)).save(project)


def add_talk(project: Project) -> str:
    """Add the conversation and its preference pairs to the dataset, or bring the row it became up to date.

    Returns:
        What was done, in words.

    Raises:
        UsageError: there is nothing to add, or all of it is there.
    """
    with _talks:
        talk, draft = Talk.load(project), draft_of(project)
        example, new = talk.conversation.to_example(), []
        row = row_of(talk, draft)
        corrected = any(turn.answers[turn.chosen].by == "hand" for turn in talk.conversation.turns)
        if row is None:
            new.append(NewRow(example=example, source="edit" if corrected else "chat"))
        there = {row.example for row in draft.rows()}
        pairs = [pair for pair in talk.conversation.preference_pairs() if pair not in there]
        new += [NewRow(example=pair, source="chat", tags=("preference",)) for pair in pairs]
        if not new and standing(talk, draft) == "kept":
            raise UsageError("This conversation is in the dataset as it stands.", next_step="Begin a new one.")
        ids = draft.add_all(new)
        if row is None:
            replace(talk, row=ids[0]).save(project)
        else:
            draft.edit(row.id, replace(row.example, messages=example.messages))
    said = "Added to the dataset" if row is None else "Brought up to date in the dataset"
    return said + (f", with {len(pairs)} preference pair{'s' * (len(pairs) != 1)}." if pairs else ".")


def standing(talk: Talk, draft: Draft) -> Standing:
    """Whether the conversation is in the dataset as it stands, its preference pairs included."""
    row = row_of(talk, draft)
    if row is None:
        return "new"
    there = {other.example for other in draft.rows()}
    whole = all(pair in there for pair in talk.conversation.preference_pairs())
    return "kept" if whole and row.example.messages == talk.conversation.messages() else "changed"


def row_of(talk: Talk, draft: Draft) -> DraftRow | None:
    """The row that a conversation became, None where it became none or that was taken out again."""
    return next((row for row in draft.rows() if row.id == talk.row), None) if talk.row else None


def take_in(project: Project) -> int:
    """Add the project's training rows to the dataset, those that are not in it; how many.

    Raises:
        UsageError: there are none, or too many to work on by hand.
        DataError: they cannot be read.
    """
    examples = [replace(example, line=0, record=0) for example in load_examples(project.training_path).examples]
    if len(examples) > _MOST_TAKEN:
        raise UsageError(
            "These are too many rows to work on by hand.",
            found=f"{len(examples):,} rows",
            expected=f"at most {_MOST_TAKEN:,}",
            next_step="Fix them on the Data page; build the new ones here, in a dataset of their own.",
        )
    draft = draft_of(project)
    there = {row.example for row in draft.rows()}
    new = [NewRow(example=example, tags=(TAKEN,)) for example in examples if example not in there]
    draft.add_all(new)
    return len(new)


@dataclass(frozen=True)
class Checked:
    """What the checks say of the accepted rows.

    ``report`` is that of the rows (None: there is none yet), ``pairs`` that of the preference pairs. ``rows`` are the
    ids of the checked rows, in the order of the report's records; ``left_out`` those that cannot be written, and why.
    """

    report: Report | None = None
    pairs: Report | None = None
    rows: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def check(project: Project) -> Checked:
    """Check the accepted rows, as the trainer would read them. Asked again without a change, it is looked up."""
    try:
        status = (project.draft_folder / "draft.jsonl").stat()
    except FileNotFoundError:
        return Checked()
    return _checked(project.draft_folder, project.test_path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _checked(folder: Path, test: Path | None, size: int, changed: int) -> Checked:
    """The same, by what it hangs on: the log with its size and the time it was changed."""
    draft = draft_in(folder)
    exported = draft.export(folder / "checked.jsonl")
    gone = {row_id for row_id, _ in exported.left_out}
    rows = [row.id for row in draft.rows("accepted") if not row.example.rejected and row.id not in gone]
    report = lint(exported.path, test_rows=_test_rows(test)) if exported.rows else None
    pairs = lint(exported.preferences_path) if exported.preferences_path else None
    return Checked(report, pairs, tuple(rows), exported.left_out)


@lru_cache(maxsize=8)
def _test_rows(test: Path | None) -> tuple[Example, ...] | None:
    """The rows that must not be learnt from, where the project has some that can be read."""
    try:
        return tuple(load_examples(test).examples) if test else None
    except (DataError, UsageError):
        return None


def export(project: Project, name: str) -> Path | None:
    """The file of that name, written anew from the accepted rows; None for a name that is none of ours.

    ``dataset.jsonl`` holds conversations, ``dataset.prompts.jsonl`` prompts and completions, and
    ``dataset.preferences.jsonl`` preference pairs.
    """
    folder = project.draft_folder / "export"
    draft = draft_of(project)
    if name == "dataset.prompts.jsonl":
        return draft.export(folder / name, "prompt_completion").path
    if name not in ("dataset.jsonl", "dataset.preferences.jsonl"):
        return None
    exported = draft.export(folder / "dataset.jsonl")
    return exported.path if name == "dataset.jsonl" else exported.preferences_path


def hand_over(project: Project) -> Exported:
    """The accepted rows in a file of its own, ready to be moved to where training rows are.

    Raises:
        UsageError: there is no row that can be trained on.
    """
    if not check(project).rows:
        raise UsageError(
            "There is no accepted row yet.",
            expected="rows that are accepted; preference pairs alone are not trained on here",
            next_step="Add some in the chat, from documents or by hand.",
        )
    exported = draft_of(project).export(project.draft_folder / f"export-{secrets.token_hex(3)}" / BUILT)
    if exported.preferences_path:
        exported.preferences_path.unlink()  # the folder is gone with its last file
    return exported
