"""What is kept of sessions and votes as rows of the tables, and read back from them. It opens no database.

What was said with a vote is one text of JSON, so that rows of earlier versions, which lack keys, read as empty ones.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advisor.human.session import Place, Session, Task, session_from
from advisor.human.tables import LONGEST_NAME, VotesError, vote_tables
from advisor.human.votes import KINDS, SIDES, Vote
from dataset_tools.errors import UsageError
from training.runs.store_database import DamagedError
from training.runs.store_schema import StoreError, storable

if TYPE_CHECKING:
    from sqlalchemy import Connection

LONGEST_TEXT = 20_000
"""Letters of a comment, an edit and a right answer."""

_NOTHING: Mapping[str, Any] = {
    **{"answers": [], "comment": "", "edit": "", "edited": ""},
    **{"bad_label": False, "right_answer": ""},
}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What the database says, told of the votes: other than the index of runs they cannot be made anew."""
    try:
        yield
    except VotesError:
        raise
    except DamagedError as error:
        raise VotesError(
            "The store of votes is damaged.",
            where=error.where,
            found=error.found,
            next_step="Put a copy of it in its place; or move it away, and import votes that were exported.",
        ) from error
    except StoreError as error:
        what = error.what.replace("index of runs", "store of votes")
        raise VotesError(
            what,
            where=error.where,
            found=error.found,
            expected=error.expected,
            next_step="Check that its file, disk or server can be used. Votes that were given are kept.",
        ) from error


def check_rater(rater: str) -> None:
    """Take only what can be kept as a rater's name.

    Raises:
        UsageError: it is empty, too long, or holds what no database takes.
    """
    if not storable(rater) or len(rater) > LONGEST_NAME:
        raise UsageError("This is no name of a rater.", found=repr(rater[:80]), expected=f"1 to {LONGEST_NAME} letters")


def said_of(
    kind: str,
    answers: Iterable[str] = (),
    *,
    comment: str = "",
    edit: str = "",
    edited: str = "",
    bad_label: bool = False,
    right_answer: str = "",
) -> dict[str, Any]:
    """The words of a vote, as they are kept.

    Raises:
        UsageError: there is no such kind or side, or a text is too long.
    """
    given = list(answers)
    if kind not in KINDS or any(answer and answer not in KINDS for answer in given):
        raise UsageError(
            "This is no kind of vote.", found=f"{kind} {given}"[:80], expected=f"one of {', '.join(KINDS)}"
        )
    if edited and edited not in SIDES:
        raise UsageError("There is no such side.", found=repr(edited[:80]), expected=" or ".join(SIDES))
    if max(len(comment), len(edit), len(right_answer)) > LONGEST_TEXT:
        raise UsageError("The text is too long.", expected=f"at most {LONGEST_TEXT} letters")
    marked = {"bad_label": bool(bad_label or right_answer.strip()), "right_answer": right_answer}
    return {"answers": given, "comment": comment, "edit": edit, "edited": edited if edit.strip() else "", **marked}


def without_idle_edit(session: Session, task: Any, said: dict[str, Any]) -> dict[str, Any]:
    """The words without an edit that changes nothing of the answer that it was made from."""
    if not said["edited"]:
        return said
    arm = session.arms[task.left_arm if said["edited"] == "left" else task.right_arm]
    unchanged = said["edit"].strip() == (session.answer(task.item, arm) or "")
    return {**said, "edit": "", "edited": ""} if unchanged else said


def says_no_other(before: Any, kind: str, said: Mapping[str, Any]) -> bool:
    """Whether a vote that came again says what is kept of it already; an edit or a mark may have joined it since."""
    known = {**_NOTHING, **json.loads(before.said)}
    return before.kind == kind and all(value in (known[name], _NOTHING[name]) for name, value in said.items())


def next_number(connection: Connection, session_id: str) -> int:
    """The number of the session's next vote; in a transaction that writes no other gives the same one."""
    from sqlalchemy import func, select

    votes = vote_tables().votes
    query = select(func.max(votes.c.number)).where(votes.c.session_id == session_id)
    return int(connection.execute(query).scalar_one() or 0) + 1


def task_row(session: Session, rater: str, position: int, place: Place) -> dict[str, Any]:
    """A place in a rater's queue as a row; its token is drawn."""
    left, right = session.arms.index(place.left), session.arms.index(place.right)
    row = {"token": secrets.token_urlsafe(24), "session_id": session.id, "rater": rater, "position": position}
    return row | {"item": place.item, "left_arm": left, "right_arm": right, "repeat": place.repeat}


def vote_row(session_id: str, token: str, vote: Vote) -> dict[str, Any]:
    """A vote as a row."""
    said = said_of(
        vote.kind,
        vote.answers,
        comment=vote.comment,
        edit=vote.edit,
        edited=vote.edited,
        bad_label=vote.bad_label,
        right_answer=vote.right_answer,
    )
    row = {"token": token, "session_id": session_id, "number": vote.number, "kind": vote.kind}
    return row | {"said": json.dumps(said), "seconds": vote.seconds, "at": vote.at}


def session_of(row: Any) -> Session:
    """A session, out of its row."""
    return replace(session_from(json.loads(row.content)), closed=row.closed)


def task_of(session: Session, row: Any) -> Task:
    """What a rater sees of a task, out of its row."""
    left, right = (session.answer(row.item, session.arms[arm]) or "" for arm in (row.left_arm, row.right_arm))
    return Task(row.token, session.items[row.item].prompt, left, right, session.questions)


def vote_of(session: Session, task: Any, row: Any) -> Vote:
    """A vote, out of its row and that of its task."""
    said = {**_NOTHING, **json.loads(row.said)}
    return Vote(
        rater=task.rater,
        number=row.number,
        item=task.item,
        left=session.arms[task.left_arm],
        right=session.arms[task.right_arm],
        kind=row.kind,
        repeat=bool(task.repeat),
        answers=tuple(said["answers"]),
        comment=said["comment"],
        edit=said["edit"],
        edited=said["edited"],
        bad_label=said["bad_label"],
        right_answer=said["right_answer"],
        seconds=row.seconds,
        at=row.at,
    )
