"""The index of runs: which there are, in which state each is, and how it came there, in a relational database.

The truth is each run's folder; the index is what makes a list of runs quick and a transition certain. It can be made
anew from the folders at any time (`RunStore.rebuild`), and is, where its file is damaged. It starts, stops and watches
nothing. On a network drive use PostgreSQL: SQLite's log needs memory that all its users share
(https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from training.runs import store_database as database
from training.runs import store_rows as rows
from training.runs.store_database import DamagedError, Database
from training.runs.store_folders import facts_of, known_folders
from training.runs.store_schema import (
    LEGAL,
    LONGEST_NAME,
    RUNS,
    IllegalTransition,
    RunRecord,
    StoreError,
    Transition,
    tables,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["LEGAL", "IllegalTransition", "RunRecord", "RunStore", "StoreError", "Transition", "facts_of"]

T = TypeVar("T")


class RunStore(Database):
    """The runs of this user. Any number of processes may have it open; each call is one transaction of its own.

    Every method raises `StoreError` where the database cannot be used, and says what a user can do about it. A run
    does not depend on it: who records its states goes on without, and calls `rebuild` with its folder later.
    """

    @classmethod
    def open(cls, url: str | None = None) -> Self:
        """The index at ``url``, else at ``FITTING_ROOM_DATABASE_URL``, else in the file runs.sqlite3 in the home.

        One that is not there is made, from the folders of the runs in the home. A damaged file is moved aside to
        *.corrupt-<time>, and made anew likewise, with the folders elsewhere that it can still name.

        Raises:
            StoreError: there is no such database, or it cannot be used.
        """
        store = cls(database.make_engine(database.database_url(url)))
        if store._file and database.damage(store._file):
            store._make_anew()
        store._transact(rows.probe)
        return store

    def record(
        self, run_id: str, state: str, *, kind: str = "training", folder: Path, at: float, **facts: Any
    ) -> RunRecord:
        """Write down that a run has come to a state; the run as it stands now.

        Write the folder first, with ``at`` as the event's time and the facts in run.json. The same state at the same
        time once more is no error: a rebuild may have read it from the folder in between. `facts_of` gives the facts
        that a rebuild would read.

        Args:
            run_id: The run's name, which no other run has.
            state: The state that it has come to; `LEGAL` tells which may follow which.
            kind: What runs: "training", "comparison"; it stays as it was first recorded.
            folder: Where the run lies.
            at: When, in seconds since the epoch.
            facts: What a list of runs shows beside the state (model, rows, ...), of JSON's types; they add to and
                replace those recorded before.

        Raises:
            IllegalTransition: this state may not follow the one that the run is in. Where one was missed, as the
                index could not be written, `rebuild` with the run's folder sets it right.
            StoreError: the index cannot be written, or knows another run of this name.
        """
        place = folder.resolve()
        rows.check_name(run_id, longest=LONGEST_NAME)
        rows.check_name(str(place))

        def work(connection: Connection) -> RunRecord:
            known = rows.find(connection, run_id)
            if known is None:
                run, before = RunRecord(run_id, state, kind, place, at, at, facts), None
            else:
                _refuse_another(known, place)
                merged = {**known.facts, **facts}
                run, before = replace(known, state=state, folder=place, updated=at, facts=merged), known.state
            again = known is not None and (known.state, known.updated) == (state, at)
            if not again and state not in LEGAL[before]:
                raise IllegalTransition(run_id, before=before, after=state)
            rows.put(connection, run, new=known is None)
            if not again:
                rows.append(connection, [Transition(run_id, rows.count(connection, run_id) + 1, before, state, at)])
            return run

        return self._transact(work, writes=True)

    def get(self, run_id: str) -> RunRecord | None:
        """The run of this name; None where the index knows none."""
        return self._transact(lambda connection: rows.find(connection, run_id))

    def runs(self, kind: str | None = None, state: str | None = None) -> list[RunRecord]:
        """All runs, or those of a kind, in a state, or both; the newest first."""
        runs = tables().runs
        query = runs.select().order_by(runs.c.created.desc(), runs.c.run_id.desc())
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        if state is not None:
            query = query.where(runs.c.state == state)
        return self._transact(lambda connection: [rows.run_of(row) for row in connection.execute(query)])

    def transitions(self, run_id: str) -> list[Transition]:
        """How this run came to its state, the first transition first; none where the index does not know it."""
        table = tables().transitions
        query = table.select().where(table.c.run_id == run_id).order_by(table.c.number)
        return self._transact(lambda connection: [Transition(*row) for row in connection.execute(query)])

    def delete(self, run_id: str) -> bool:
        """Forget a run and its history; whether there was one. Its folder stays."""
        return self._transact(lambda connection: rows.delete(connection, run_id), writes=True)

    def rebuild(self, folders: Iterable[Path] | None = None) -> list[Path]:
        """Make the index say of these folders what they say themselves, in one transaction.

        A run of theirs replaces what was known of it, whatever was legal: a folder is right. What was known of a
        folder that holds no run (any more) is forgotten. Runs in other folders stay.

        Args:
            folders: The folders of the runs; those in the home by default.

        Returns:
            The folders that were not taken: without a run that can be read, or with the name of a run elsewhere.
        """
        given = known_folders() if folders is None else [folder.resolve() for folder in folders]
        return self._transact(lambda connection: rows.take_folders(connection, given), writes=True)

    def _transact(self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        """Do ``work`` in one transaction; once more with a new database where this one turns out to be damaged."""
        try:
            with database.transaction(self._engine, writes=writes) as connection:
                return work(connection)
        except DamagedError:
            self._make_anew()
        with database.transaction(self._engine, writes=writes) as connection:
            return work(connection)

    def _make_anew(self) -> None:
        """Move a damaged file aside, make what is missing, and fill it from the folders.

        The tables and all they hold come in one transaction: after a crash they are there and full, or made again.
        On a server, tables that are not as they should be are dropped in that same transaction.
        """
        folders = known_folders()
        if self._file:
            with database.one_at_a_time(self._file):
                if why := database.damage(self._file) or self._trouble():
                    aside = database.move_aside(self._file, why)
                    folders += map(Path, database.salvage(aside, f"SELECT folder FROM {RUNS} WHERE folder LIKE '/%'"))
                self._write_ahead()
        with database.transaction(self._engine, writes=True) as connection:
            if not rows.is_sound(connection):  # else another process was first
                rows.make_tables(connection, folders)

    def _trouble(self) -> str | None:
        """What is wrong with a file that is whole by itself, as where a single bit was flipped, or an older version."""
        from sqlalchemy import inspect

        try:
            with database.transaction(self._engine, writes=False) as connection:
                if any(map(inspect(connection).has_table, tables().metadata.tables)) and not rows.is_sound(connection):
                    return "its tables cannot be read"
        except DamagedError as error:
            return error.found
        return None


def _refuse_another(known: RunRecord, place: Path) -> None:
    """Two folders of one name are two runs, unless the folder was moved."""
    if known.folder != place and (known.folder / "run.json").exists():
        raise StoreError(
            "The index of runs knows another run of this name.",
            where=str(known.folder),
            found=f"{known.run_id} in {place}",
            next_step="Give one of the two folders another name.",
        )
