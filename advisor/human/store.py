"""Where sessions, queues and votes are kept: SQLite or PostgreSQL, as the index of runs. It counts no votes.

Each call is a transaction of its own, on the disk when the call returns: a server that is killed loses the vote that
was on its way, and no other. What a rater sees is drawn once, when the rater first comes, and written down with it.

With a vote a rater may say more, and a page has two ways to send it: with the vote itself, as arguments of
`VoteStore.vote`, or afterwards, as long as the session is open:

    store.edit(token, "left", "A better answer.", rater="ann")      the answer on the left, as it should have been
    store.mark_label(token, rater="ann", right_answer="refund")     the wanted answer of this row is wrong

Both are part of the vote: an undo takes them along, an export holds them, and `advisor.human.pairs` and
`advisor.human.relabelling` make examples and changes of a dataset of them.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from advisor.human.session import Place, Session, Task, draw_queue
from advisor.human.store_rows import (
    check_rater,
    next_number,
    said_of,
    says_no_other,
    session_of,
    task_of,
    task_row,
    told,
    vote_of,
    vote_row,
    without_idle_edit,
)
from advisor.human.tables import VotesError, vote_tables, votes_url
from advisor.human.votes import Kind, Vote
from dataset_tools.errors import UsageError
from training.runs import store_database as database
from training.runs.store_database import Database
from training.runs.store_schema import storable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Progress", "VoteStore", "VotesError"]

T = TypeVar("T")
LONGEST_VOTE = 300.0
"""Seconds that a vote counts for at most, in what a rater's votes took."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rater is, and the session: votes that were given, skips among them, and those that are to be.

    ``counted`` are the votes of all raters that count (no skip, no repeat), of ``wanted`` ones. ``seconds`` is what the
    rater's votes took, each `LONGEST_VOTE` at most: who looked at an item for longer was away.
    """

    done: int
    of: int
    counted: int
    wanted: int
    seconds: float = 0.0


class VoteStore(Database):
    """The sessions and votes of this user. Any number of threads and processes may have it open.

    Every method raises `VotesError` where the database cannot be used.
    """

    def __init__(self, engine: Engine) -> None:
        """Use `open`."""
        super().__init__(engine)
        self._known: dict[str, Session] = {}

    @classmethod
    def open(cls, url: str | None = None) -> Self:
        """The votes beside the index of runs at ``url`` (see `advisor.human.tables.votes_url`); made where missing.

        Raises:
            VotesError: there is no such database, it is damaged, or it cannot be used.
        """
        with told():
            store = cls(database.make_engine(votes_url(url)))
            if store._file:
                store._file.parent.mkdir(parents=True, exist_ok=True)
                with database.one_at_a_time(store._file):
                    store._write_ahead()
            with database.transaction(store._engine, writes=True) as connection:
                vote_tables().metadata.create_all(connection)
        return store

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
                check_rater(rater)
            positions: dict[str, int] = {}
            places, rows = [], []
            for number, vote in enumerate(sorted(votes, key=lambda vote: vote.number), 1):
                position = positions[vote.rater] = positions.get(vote.rater, -1) + 1
                place = Place(vote.item, vote.left, vote.right, vote.repeat)
                places.append(task_row(session, vote.rater, position, place))
                rows.append(vote_row(session.id, places[-1]["token"], replace(vote, number=number)))
            if rows:
                connection.execute(tables.tasks.insert(), places)
                connection.execute(tables.votes.insert(), rows)

        self._transact(work, writes=True)
        return session

    def sessions(self) -> list[Session]:
        """All sessions, the newest first."""
        table = vote_tables().sessions
        query = table.select().order_by(table.c.created.desc(), table.c.session_id.desc())
        return self._transact(lambda connection: [session_of(row) for row in connection.execute(query)])

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
        check_rater(rater)
        seen = self._transact(lambda connection: self._seen(connection, session_id, rater))
        if not seen:
            self._transact(lambda connection: self._join(connection, session_id, rater), writes=True)
        return self._transact(lambda connection: self._open_tasks(connection, session_id, rater, count))

    def wanted(self, token: str, *, rater: str) -> str:
        """The wanted answer of a task's item, for a rater who asks whether it is right; "" where none is known.

        Raises:
            UsageError: this is no task of this rater, or the session is closed.
        """

        def work(connection: Connection) -> str:
            session, task, _ = self._task(connection, token, rater)
            place: int = task.item
            return session.items[place].wanted

        return self._transact(work)

    def vote(
        self,
        token: str,
        kind: Kind,
        *,
        rater: str,
        answers: Sequence[Kind | str] = (),
        comment: str = "",
        edit: str = "",
        edited: str = "",
        bad_label: bool = False,
        right_answer: str = "",
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
            edited: the side whose answer the edit was made from; one that changes nothing of it is not kept.
            bad_label: whether the wanted answer of the item is wrong.
            right_answer: what should be wanted in its place, where the rater says it.
            seconds: how long it took.

        Raises:
            UsageError: this is no task of this rater, no kind of vote, or one that says otherwise than before; or the
                session is closed.
        """
        marks: dict[str, Any] = {"edited": edited, "bad_label": bad_label, "right_answer": right_answer}
        said = said_of(kind, answers, comment=comment, edit=edit, **marks)
        took = seconds if math.isfinite(seconds) and seconds >= 0 else 0.0
        votes = vote_tables().votes

        def work(connection: Connection) -> Vote:
            session, task, before = self._task(connection, token, rater)
            words = without_idle_edit(session, task, said)
            if len(words["answers"]) > len(session.questions):
                raise UsageError("There are more answers than questions.", found=str(len(words["answers"])))
            if before is not None:
                if not says_no_other(before, kind, words):
                    raise UsageError("This was voted on already.", next_step="Undo the vote to change it.")
                return vote_of(session, task, before)
            row: dict[str, Any] = {"session_id": session.id, "token": token, "kind": kind, "said": json.dumps(words)}
            row |= {"number": next_number(connection, session.id), "seconds": took, "at": round(time.time(), 3)}
            connection.execute(votes.insert(), [row])
            return vote_of(session, task, connection.execute(votes.select().where(votes.c.token == token)).one())

        return self._transact(work, writes=True)

    def edit(self, token: str, side: str, text: str, *, rater: str) -> Vote:
        """Keep a better answer with a vote that was given, made from the answer on a side; the vote.

        An empty text takes the edit away, and one that changes nothing of that answer is none.

        Raises:
            UsageError: this was not voted on by this rater, there is no such side, the text is too long, or the session
                is closed.
        """
        return self._add(token, rater, edit=text, edited=side)

    def mark_label(self, token: str, *, rater: str, right_answer: str = "", wrong: bool = True) -> Vote:
        """Keep with a vote that was given that the wanted answer of its item is wrong; the vote.

        Args:
            token: of the task.
            rater: whose task it is.
            right_answer: what should be wanted in its place, where the rater says it.
            wrong: False takes the mark away.

        Raises:
            UsageError: this was not voted on by this rater, the text is too long, or the session is closed.
        """
        return self._add(token, rater, bad_label=wrong, right_answer=right_answer if wrong else "")

    def _add(self, token: str, rater: str, **more: Any) -> Vote:
        """Let a vote that was given say more."""
        votes = vote_tables().votes

        def work(connection: Connection) -> Vote:
            session, task, before = self._task(connection, token, rater)
            if before is None:
                raise UsageError("This was not voted on yet.", next_step="Vote first, or send it with the vote.")
            said = {**json.loads(before.said), **more}
            words = without_idle_edit(session, task, said_of(before.kind, said.pop("answers"), **said))
            changing = votes.update().where(votes.c.token == token)
            connection.execute(changing.values(said=json.dumps(words)))
            return vote_of(session, task, connection.execute(votes.select().where(votes.c.token == token)).one())

        return self._transact(work, writes=True)

    def _task(self, connection: Connection, token: str, rater: str) -> tuple[Session, Any, Any]:
        """A rater's task in an open session, with the vote on it; None where there is none yet."""
        tasks, votes = vote_tables().tasks, vote_tables().votes
        task = connection.execute(tasks.select().where(tasks.c.token == token, tasks.c.rater == rater)).first()
        if task is None:
            raise UsageError("This is no task of this rater.", next_step="Load the page again.")
        session = self._open_session(connection, task.session_id)
        return session, task, connection.execute(votes.select().where(votes.c.token == token)).first()

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
            return task_of(session, last)

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
            return [vote_of(session, tasks[row.token], row) for row in rows if row.token in tasks]

        return self._transact(work)

    def progress(self, session_id: str, rater: str) -> Progress:
        """How far a rater is, and the session.

        Raises:
            UsageError: there is no such session.
        """
        from sqlalchemy import case, func, select

        tasks, votes = vote_tables().tasks, vote_tables().votes
        took = case((votes.c.seconds < LONGEST_VOTE, votes.c.seconds), else_=LONGEST_VOTE)
        given = select(func.count(), func.sum(took)).select_from(tasks.join(votes, tasks.c.token == votes.c.token))
        given = given.where(tasks.c.session_id == session_id)

        def work(connection: Connection) -> Progress:
            wanted = self._session(connection, session_id).votes_wanted
            done, seconds = connection.execute(given.where(tasks.c.rater == rater)).one()
            valid = given.where(tasks.c.repeat.is_(False), votes.c.kind != "skip")
            counted, _ = connection.execute(valid).one()
            seen = self._seen(connection, session_id, rater)
            return Progress(int(done), seen, int(counted), wanted, float(seconds or 0.0))

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
            rows = [task_row(session, rater, position, place) for position, place in places]
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
        return [task_of(session, row) for row in connection.execute(query)]

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
            self._known[session_id] = session_of(whole)
        return replace(self._known[session_id], closed=row.closed)

    def _open_session(self, connection: Connection, session_id: str) -> Session:
        session = self._session(connection, session_id)
        if session.closed is not None:
            raise UsageError("This session is closed: no more votes are taken.", found=session.id)
        return session

    def _transact(self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        with told(), database.transaction(self._engine, writes=writes) as connection:
            return work(connection)
