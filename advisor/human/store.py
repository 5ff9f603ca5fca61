"""Where sessions, queues and votes are kept: SQLite or PostgreSQL, as the index of runs. It counts no votes.

Each call is a transaction of its own, on the disk when the call returns: a server that is killed loses the vote that
was on its way, and no other. What a rater sees is drawn once, when the rater first comes, and written down with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from advisor.human.session import Place, Session, Task, draw_queue, session_from
from advisor.human.tables import LONGEST_NAME, VotesError, vote_tables, votes_url
from advisor.human.votes import KINDS, Kind, Vote
from dataset_tools.errors import UsageError
from training.runs import store_database as database
from training.runs.store_database import DamagedError
from training.runs.store_schema import StoreError, storable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Progress", "VoteStore", "VotesError"]

T = TypeVar("T")
_LONGEST_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rater is, and the session: votes that were given, skips among them, and those that are to be.

    ``counted`` are the votes of all raters that count (no skip, no repeat), of ``wanted`` ones.
    """

    done: int
    of: int
    counted: int
    wanted: int


class VoteStore:
    """The sessions and votes of this user. Any number of threads and processes may have it open.

    Every method raises `VotesError` where the database cannot be used.
    """

    def __init__(self, engine: Engine) -> None:
        """Use `open`."""
        self._engine = engine
        self._known: dict[str, Session] = {}

    @classmethod
    def open(cls, url: str | None = None) -> Self:
        """The votes beside the index of runs at ``url`` (see `advisor.human.tables.votes_url`); made where missing.

        Raises:
            VotesError: there is no such database, it is damaged, or it cannot be used.
        """
        with _told():
            engine = database.make_engine(votes_url(url))
        store = cls(engine)
        with _told():
            if engine.dialect.name == "sqlite":
                file = Path(str(engine.url.database))
                file.parent.mkdir(parents=True, exist_ok=True)
                with database.one_at_a_time(file), database.transaction(engine, writes=False) as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            with database.transaction(engine, writes=True) as connection:
                vote_tables().metadata.create_all(connection)
        return store

    def close(self) -> None:
        """Done with it. No connection is kept open between two calls, so that to forget this does no harm."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, session: Session, votes: Sequence[Vote] = ()) -> Session:
        """Keep a new session, and with it votes that were given elsewhere; the session.

        Raises:
            UsageError: there is a session of this id.
        """
        tables, content = vote_tables(), session.to_dict()

        def work(connection: Connection) -> None:
            if self._row(connection, session.id) is not None:
                raise UsageError("There is a session of this id already.", found=session.id)
            row = {"session_id": session.id, "created": session.created, "closed": session.closed}
            connection.execute(tables.sessions.insert(), [{**row, "content": json.dumps(content)}])
            for rater in {vote.rater for vote in votes}:
                _check_rater(rater)
            positions: dict[str, int] = {}
            places, rows = [], []
            for number, vote in enumerate(sorted(votes, key=lambda vote: vote.number), 1):
                position = positions[vote.rater] = positions.get(vote.rater, -1) + 1
                place = Place(vote.item, vote.left, vote.right, vote.repeat)
                places.append(_task_row(session, vote.rater, position, place))
                rows.append(_vote_row(session.id, places[-1]["token"], replace(vote, number=number)))
            if rows:
                connection.execute(tables.tasks.insert(), places)
                connection.execute(tables.votes.insert(), rows)

        self._transact(work, writes=True)
        return session

    def sessions(self) -> list[Session]:
        """All sessions, the newest first."""
        table = vote_tables().sessions
        query = table.select().order_by(table.c.created.desc(), table.c.session_id.desc())
        return self._transact(lambda connection: [_session_of(row) for row in connection.execute(query)])

    def session(self, session_id: str) -> Session:
        """The session of this id.

        Raises:
            UsageError: there is none.
        """
        return self._transact(lambda connection: self._session(connection, session_id))

    def find(self, named: str) -> Session:
        """The session that a user means: by its id, the beginning of one, or the folder that it was made from.

        Of several sessions that were made from a folder it is the newest.

        Raises:
            UsageError: there is none, or several begin like this.
        """
        known = self.sessions()
        matching = [session for session in known if session.id == named]
        matching = matching or [session for session in known if named and session.id.startswith(named)]
        if not matching and named and "\0" not in named:
            folder = os.path.realpath(os.path.expanduser(named))
            matching = [session for session in known if session.source == folder][:1]
        if len(matching) == 1:
            return matching[0]
        raise UsageError(
            "Several sessions begin like this." if matching else "There is no such session of votes.",
            found=repr(named),
            expected=", ".join(session.id for session in (matching or known)[:6]) or "an id; there is no session yet",
            next_step="Give the whole id." if matching else "`fitting-room votes import FILE` makes one.",
        )

    def tasks(self, session_id: str, rater: str, *, count: int = 1) -> list[Task]:
        """What a rater is to vote on next; none where the rater has seen all, or the session is closed.

        The first call of a rater draws the rater's queue. Ask for three, and the next two can be shown at once.

        Raises:
            UsageError: there is no such session, or this is no name of a rater.
        """
        _check_rater(rater)
        seen = self._transact(lambda connection: self._seen(connection, session_id, rater))
        if not seen:
            self._transact(lambda connection: self._join(connection, session_id, rater), writes=True)
        return self._transact(lambda connection: self._open_tasks(connection, session_id, rater, count))

    def vote(
        self,
        token: str,
        kind: Kind,
        *,
        rater: str,
        answers: Sequence[Kind | str] = (),
        comment: str = "",
        edit: str = "",
        seconds: float = 0.0,
    ) -> Vote:
        """Keep a vote; it is on the disk when this returns. The same vote once more is no error and counts once.

        Args:
            token: of the task.
            kind: what is said.
            rater: whose task it is.
            answers: to the rubric's questions, in their order; "" where nothing is said.
            comment: in the rater's own words.
            edit: a better answer in the rater's own words.
            seconds: how long it took.

        Raises:
            UsageError: this is no task of this rater, no kind of vote, or one that says otherwise than before; or the
                session is closed.
        """
        said = _said(kind, answers, comment, edit)
        took = seconds if math.isfinite(seconds) and seconds >= 0 else 0.0
        tables = vote_tables()

        def work(connection: Connection) -> Vote:
            task = connection.execute(
                tables.tasks.select().where(tables.tasks.c.token == token, tables.tasks.c.rater == rater)
            ).first()
            if task is None:
                raise UsageError("This is no task of this rater.", next_step="Load the page again.")
            session = self._open_session(connection, task.session_id)
            if len(said["answers"]) > len(session.questions):
                raise UsageError("There are more answers than questions.", found=str(len(said["answers"])))
            before = connection.execute(tables.votes.select().where(tables.votes.c.token == token)).first()
            if before is not None:
                if (before.kind, json.loads(before.said)) != (kind, said):
                    raise UsageError("This was voted on already.", next_step="Undo the vote to change it.")
                return _vote_of(session, task, before)
            row: dict[str, Any] = {"session_id": session.id, "token": token, "kind": kind, "said": json.dumps(said)}
            row |= {"number": _next_number(connection, session.id), "seconds": took, "at": round(time.time(), 3)}
            connection.execute(tables.votes.insert(), [row])
            kept = connection.execute(tables.votes.select().where(tables.votes.c.token == token)).one()
            return _vote_of(session, task, kept)

        return self._transact(work, writes=True)

    def undo(self, session_id: str, rater: str) -> Task | None:
        """Take back the rater's last vote; the task that it was given to, or None where there is no vote.

        Raises:
            UsageError: there is no such session, or it is closed.
        """
        tables = vote_tables()
        joined = tables.tasks.join(tables.votes, tables.tasks.c.token == tables.votes.c.token)
        query = (
            tables.tasks.select()
            .select_from(joined)
            .where(tables.tasks.c.session_id == session_id, tables.tasks.c.rater == rater)
            .order_by(tables.votes.c.number.desc())
            .limit(1)
        )

        def work(connection: Connection) -> Task | None:
            session = self._open_session(connection, session_id)
            last = connection.execute(query).first()
            if last is None:
                return None
            connection.execute(tables.votes.delete().where(tables.votes.c.token == last.token))
            return _task_of(session, last)

        return self._transact(work, writes=True)

    def votes(self, session_id: str) -> list[Vote]:
        """All votes of a session in their order, skips and repeats among them.

        Raises:
            UsageError: there is no such session.
        """
        tables = vote_tables()
        given = tables.votes.select().where(tables.votes.c.session_id == session_id).order_by(tables.votes.c.number)
        asked = tables.tasks.select().where(tables.tasks.c.session_id == session_id)

        def work(connection: Connection) -> list[Vote]:
            session = self._session(connection, session_id)
            # The votes first: a vote that comes in between two statements is then left out, and no task is missing.
            rows = connection.execute(given).all()
            tasks = {task.token: task for task in connection.execute(asked)}
            return [_vote_of(session, tasks[row.token], row) for row in rows if row.token in tasks]

        return self._transact(work)

    def progress(self, session_id: str, rater: str) -> Progress:
        """How far a rater is, and the session.

        Raises:
            UsageError: there is no such session.
        """
        from sqlalchemy import func, select

        tasks, votes = vote_tables().tasks, vote_tables().votes
        given = select(func.count()).select_from(tasks.join(votes, tasks.c.token == votes.c.token))
        given = given.where(tasks.c.session_id == session_id)

        def work(connection: Connection) -> Progress:
            wanted = self._session(connection, session_id).votes_wanted
            done = connection.execute(given.where(tasks.c.rater == rater)).scalar_one()
            valid = given.where(tasks.c.repeat.is_(False), votes.c.kind != "skip")
            counted = connection.execute(valid).scalar_one()
            return Progress(int(done), self._seen(connection, session_id, rater), int(counted), wanted)

        return self._transact(work)

    def end(self, session_id: str) -> Session:
        """Close a session: no vote is taken any more, and its result tells which arm was which. The session.

        Raises:
            UsageError: there is no such session.
        """
        table = vote_tables().sessions

        def work(connection: Connection) -> Session:
            if self._session(connection, session_id).closed is None:
                closing = table.update().where(table.c.session_id == session_id)
                connection.execute(closing.values(closed=round(time.time(), 3)))
            return self._session(connection, session_id)

        return self._transact(work, writes=True)

    def delete(self, session_id: str) -> bool:
        """Delete a session with its queues and votes; whether there was one."""
        tables = vote_tables()

        def work(connection: Connection) -> bool:
            for table in (tables.votes, tables.tasks):
                connection.execute(table.delete().where(table.c.session_id == session_id))
            gone = connection.execute(tables.sessions.delete().where(tables.sessions.c.session_id == session_id))
            return bool(gone.rowcount)

        self._known.pop(session_id, None)
        return self._transact(work, writes=True)

    def _join(self, connection: Connection, session_id: str, rater: str) -> None:
        """Draw a rater's queue and write it down, unless another of the rater's windows was first."""
        if self._seen(connection, session_id, rater):
            return
        session = self._session(connection, session_id)
        if session.closed is None:
            places = enumerate(draw_queue(session, rater))
            rows = [_task_row(session, rater, position, place) for position, place in places]
            connection.execute(vote_tables().tasks.insert(), rows)

    def _open_tasks(self, connection: Connection, session_id: str, rater: str, count: int) -> list[Task]:
        tables, session = vote_tables(), self._session(connection, session_id)
        if session.closed is not None:
            return []
        both = tables.tasks.outerjoin(tables.votes, tables.tasks.c.token == tables.votes.c.token)
        query = (
            tables.tasks.select()
            .select_from(both)
            .where(tables.tasks.c.session_id == session_id, tables.tasks.c.rater == rater)
            .where(tables.votes.c.token.is_(None))
            .order_by(tables.tasks.c.position)
            .limit(count)
        )
        return [_task_of(session, row) for row in connection.execute(query)]

    def _seen(self, connection: Connection, session_id: str, rater: str) -> int:
        """How many places the rater's queue has; 0 where it is not drawn yet."""
        from sqlalchemy import func, select

        tasks = vote_tables().tasks
        query = select(func.count()).where(tasks.c.session_id == session_id, tasks.c.rater == rater)
        return int(connection.execute(query).scalar_one())

    def _row(self, connection: Connection, session_id: str) -> Any:
        table = vote_tables().sessions
        if not storable(session_id):
            return None
        query = table.select().with_only_columns(table.c.session_id, table.c.closed)
        return connection.execute(query.where(table.c.session_id == session_id)).first()

    def _session(self, connection: Connection, session_id: str) -> Session:
        """The session as it stands; its content, which never changes, is read once."""
        row = self._row(connection, session_id)
        if row is None:
            raise UsageError("There is no such session of votes.", found=repr(session_id[:80]))
        if session_id not in self._known:
            table = vote_tables().sessions
            whole = connection.execute(table.select().where(table.c.session_id == session_id)).one()
            self._known[session_id] = _session_of(whole)
        return replace(self._known[session_id], closed=row.closed)

    def _open_session(self, connection: Connection, session_id: str) -> Session:
        session = self._session(connection, session_id)
        if session.closed is not None:
            raise UsageError("This session is closed: no more votes are taken.", found=session.id)
        return session

    def _transact(self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        with _told(), database.transaction(self._engine, writes=writes) as connection:
            return work(connection)


@contextlib.contextmanager
def _told() -> Iterator[None]:
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


def _check_rater(rater: str) -> None:
    if not storable(rater) or len(rater) > LONGEST_NAME:
        raise UsageError("This is no name of a rater.", found=repr(rater[:80]), expected=f"1 to {LONGEST_NAME} letters")


def _said(kind: str, answers: Iterable[str], comment: str, edit: str) -> dict[str, Any]:
    """The words of a vote.

    Raises:
        UsageError: there is no such kind, or a text is too long.
    """
    given = list(answers)
    if kind not in KINDS or any(answer and answer not in KINDS for answer in given):
        raise UsageError(
            "This is no kind of vote.", found=f"{kind} {given}"[:80], expected=f"one of {', '.join(KINDS)}"
        )
    if max(len(comment), len(edit)) > _LONGEST_TEXT:
        raise UsageError("The text is too long.", expected=f"at most {_LONGEST_TEXT} letters")
    return {"answers": given, "comment": comment, "edit": edit}


def _next_number(connection: Connection, session_id: str) -> int:
    """In a transaction that writes no other gives the same number."""
    from sqlalchemy import func, select

    votes = vote_tables().votes
    query = select(func.max(votes.c.number)).where(votes.c.session_id == session_id)
    return int(connection.execute(query).scalar_one() or 0) + 1


def _task_row(session: Session, rater: str, position: int, place: Place) -> dict[str, Any]:
    left, right = session.arms.index(place.left), session.arms.index(place.right)
    row = {"token": secrets.token_urlsafe(24), "session_id": session.id, "rater": rater, "position": position}
    return row | {"item": place.item, "left_arm": left, "right_arm": right, "repeat": place.repeat}


def _vote_row(session_id: str, token: str, vote: Vote) -> dict[str, Any]:
    said = _said(vote.kind, vote.answers, vote.comment, vote.edit)
    row = {"token": token, "session_id": session_id, "number": vote.number, "kind": vote.kind}
    return row | {"said": json.dumps(said), "seconds": vote.seconds, "at": vote.at}


def _session_of(row: Any) -> Session:
    return replace(session_from(json.loads(row.content)), closed=row.closed)


def _task_of(session: Session, row: Any) -> Task:
    left, right = (session.answer(row.item, session.arms[arm]) or "" for arm in (row.left_arm, row.right_arm))
    return Task(row.token, session.items[row.item].prompt, left, right, session.questions)


def _vote_of(session: Session, task: Any, row: Any) -> Vote:
    said = json.loads(row.said)
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
        seconds=row.seconds,
        at=row.at,
    )
