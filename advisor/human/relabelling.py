"""What raters say of the data itself: wrong labels become changes of a dataset, and test rows that were taken go out.

Files are written as fixes are (`dataset_tools.fixes`): to another file, with a log, the rows that went out beside it,
and an undo. A row is known by its prompt, without case and punctuation, and by its wanted answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advisor.human.pairs import Feedback
from advisor.human.session import Session
from advisor.human.votes import Vote
from advisor.task import LeakGuard
from dataset_tools.checks.fix import RowFix
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from dataset_tools.fixes import Diff, FixResult, apply_changes, plan_changes, with_answer
from dataset_tools.formats.base import Format

RELABELLED, TAKEN = "wrong-label", "taken-for-training"
"""What the log calls the changes."""

_Key = tuple[tuple[tuple[str, str], ...], str]


@dataclass(frozen=True, slots=True)
class Mark:
    """A row whose wanted answer is wrong, as people say.

    Attributes:
        prompt: the row's messages before the answer.
        wanted: the answer that is wrong.
        right: what should be wanted; "" where nobody said it, or as many said one thing as another.
        raters: how many people say that it is wrong.
        said: all answers that were said to be right.
    """

    prompt: tuple[Message, ...]
    wanted: str
    right: str = ""
    raters: int = 1
    said: tuple[str, ...] = ()

    @property
    def key(self) -> _Key:
        """What a row is known by."""
        return _key(self.prompt, self.wanted)


@dataclass(frozen=True)
class Relabelling:
    """What marks do to a dataset.

    Attributes:
        diffs: each row that is touched, before and after; nothing after is a row that goes out.
        unresolved: marks of rows of the dataset whose right answer is not known, and which stay.
        missing: marks of rows that the dataset does not have.
        result: what was written; None where nothing was.
        sentence: all this in a sentence.
    """

    diffs: tuple[Diff, ...]
    unresolved: tuple[Mark, ...]
    missing: tuple[Mark, ...]
    result: FixResult | None
    sentence: str


def marks_of(session: Session, votes: Sequence[Vote]) -> tuple[Mark, ...]:
    """The wrong labels that raters of a session have marked; one mark an item, whatever its arms.

    Of several answers that were said to be right, the one that most raters said is taken.
    """
    by_item: dict[int, dict[str, str]] = {}
    for vote in sorted(votes, key=lambda vote: vote.number):
        if vote.bad_label:
            said = by_item.setdefault(vote.item, {})
            said[vote.rater] = vote.right_answer.strip() or said.get(vote.rater, "")
    marks = []
    for item, said in sorted(by_item.items()):
        counts = Counter(text for text in said.values() if text).most_common()
        clear = len(counts) == 1 or (len(counts) > 1 and counts[0][1] > counts[1][1])
        row = session.items[item]
        right, texts = counts[0][0] if clear else "", tuple(text for text, _ in counts)
        marks.append(Mark(row.prompt, row.wanted, right, len(said), texts))
    return tuple(marks)


def relabel(
    data: Path,
    marks: Sequence[Mark],
    *,
    out: Path | None = None,
    drop_unresolved: bool = False,
    columns: Mapping[str, str] | None = None,
) -> Relabelling:
    """Put the right answers into a dataset, or only tell what would change.

    Args:
        data: the dataset; it is not touched.
        marks: of its rows, and perhaps of others.
        out: the file to write; None writes nothing.
        drop_unresolved: move rows whose right answer is not known to the rejects; else they stay.
        columns: which columns hold what, where the guess is wrong.

    Raises:
        UsageError: the dataset is not there, or ``out`` is the dataset.
        DataError: the dataset cannot be used, or no mark is of a row of it.
    """
    wrong = _by_row(mark for mark in marks if mark.wanted.strip())
    seen: set[_Key] = set()

    def decide(example: Example, form: Format) -> RowFix | str | None:
        mark = wrong.get(key := _key(example.prompt, example.completion))
        if mark is None:
            return None
        seen.add(key)
        if mark.right and mark.right != mark.wanted.strip():
            return lambda row: with_answer(form, row, mark.right)
        return f"marked as wrong by {_people(mark.raters)}" if drop_unresolved else None

    diffs = plan_changes(data, decide, name=RELABELLED, columns=columns)
    found = [mark for key, mark in wrong.items() if key in seen]
    if not found:
        raise DataError(
            "None of the rows that were marked as wrong is in this dataset.",
            where=str(data),
            found=f"{len(marks)} marked rows",
            next_step="Give the file that the session's rows came from.",
        )
    result = apply_changes(data, out, decide, name=RELABELLED, columns=columns) if out else None
    unresolved = tuple(mark for mark in found if not mark.right and not drop_unresolved)
    missing = tuple(mark for mark in {**{mark.key: mark for mark in marks}, **wrong}.values() if mark.key not in seen)
    told = _told(diffs, unresolved, missing)
    return Relabelling(tuple(diffs), unresolved, missing, result, told)


def write_replaced_test_set(session: Session, feedback: Feedback, *, test: Path, out: Path) -> FixResult:
    """Write a test set without the rows that were taken for training, and without those that are nearly the same.

    Put other rows in their place before you test on it again, or its scores rest on fewer rows.

    Args:
        session: the session that the feedback was made from.
        feedback: with test rows among its examples (`Feedback.to_replace`).
        test: the test set; it is not touched.
        out: the file to write. Beside it lie the rows that went out, and the log.

    Raises:
        UsageError: the test set is not there, or ``out`` is the test set.
        DataError: it cannot be used, no row would be left, or no row of it was taken.
    """
    guard = _guard(session, feedback, load_examples(test).examples)
    if not taken_and_left(session, feedback, test=test)[0]:
        raise DataError(
            "No row of this test set was taken for training.",
            where=str(test),
            found=f"{len(feedback.to_replace)} test rows that were taken, none of them in it",
            next_step="Give the test set that the session's rows came from.",
        )

    def decide(example: Example, form: Format) -> RowFix | str | None:
        return "taken for training, or nearly the same" if guard.is_leak(example) else None

    return apply_changes(test, out, decide, name=TAKEN)


def taken_and_left(session: Session, feedback: Feedback, *, test: Path) -> tuple[int, int]:
    """How many rows of a test set were taken for training, or are nearly the same as one that was; and how many not.

    Raises:
        UsageError: the test set is not there.
        DataError: it cannot be used.
    """
    rows = load_examples(test).examples
    guard = _guard(session, feedback, rows)
    taken = sum(guard.is_leak(row) for row in rows)
    return taken, len(rows) - taken


def _guard(session: Session, feedback: Feedback, rows: Sequence[Example]) -> LeakGuard:
    """Knows of each of these rows whether it was taken."""
    taken = [
        Example((*session.items[item].prompt, Message("assistant", session.items[item].wanted or "-")))
        for item in feedback.to_replace
    ]
    return LeakGuard(taken, rows)


def diff_rows(diffs: Iterable[Diff]) -> list[dict[str, Any]]:
    """Diffs as plain data: where the record stands, its text before, and its texts after (none for one that went)."""
    return [
        {"line": diff.line, "record": diff.record, "before": diff.before, "after": list(diff.after)} for diff in diffs
    ]


def _key(prompt: Sequence[Message], wanted: str) -> _Key:
    """All messages to the letter, the system's too: a mark is of one row, and not of others that are much alike."""
    return tuple((message.role, message.content.strip()) for message in prompt), wanted.strip()


def _by_row(marks: Iterable[Mark]) -> dict[_Key, Mark]:
    """The marks by their row; where two say something else of the same row, nobody knows what is right."""
    found: dict[_Key, Mark] = {}
    for mark in marks:
        before = found.setdefault(mark.key, mark)
        if mark.right != before.right:
            found[mark.key] = replace(before, right="", said=tuple(dict.fromkeys((*before.said, *mark.said))))
    return found


def _people(count: int) -> str:
    return "1 rater" if count == 1 else f"{count} raters"


def _told(diffs: Sequence[Diff], unresolved: Sequence[Mark], missing: Sequence[Mark]) -> str:
    changed, out = sum(bool(diff.after) for diff in diffs), sum(not diff.after for diff in diffs)
    told = [f"{changed} {'row gets' if changed == 1 else 'rows get'} the right answer"]
    told += [f"{out} with no known right answer {'goes' if out == 1 else 'go'} out"] if out else []
    told += [f"{len(unresolved)} with no known right answer stay as they are"] if unresolved else []
    told += [f"{len(missing)} marked {'row is' if len(missing) == 1 else 'rows are'} not in it"] if missing else []
    return f"{'; '.join(told)}."
