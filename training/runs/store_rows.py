"""The statements of the index of runs: each does one thing in a transaction that is open. None begins or ends one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.runs.store_database import DamagedError, explained
from training.runs.store_folders import read_run
from training.runs.store_schema import (
    LEGAL,
    RUNS,
    TRANSITIONS,
    RunRecord,
    StoreError,
    Transition,
    storable,
    tables,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection


def probe(connection: Connection) -> None:
    """Fail where the tables are not there, or lack a column that they have today."""
    for table in tables().metadata.tables.values():
        connection.execute(table.select().limit(0))


def is_sound(connection: Connection) -> bool:
    """Whether the tables are there, as we make them, and all that they hold can be read."""
    try:
        with explained(connection), connection.begin_nested():
            for row in connection.execute(tables().runs.select()):
                run_of(row)
            connection.execute(tables().transitions.select()).all()
    except DamagedError:
        return False
    return True


def make_tables(connection: Connection, folders: Iterable[Path]) -> None:
    """Make the tables, in the place of any that are there, and fill them from the folders and those they name."""
    named = folders_in(connection)
    tables().metadata.drop_all(connection)
    tables().metadata.create_all(connection, checkfirst=False)
    take_folders(connection, [*folders, *named])


def folders_in(connection: Connection) -> list[Path]:
    """The folders that a damaged index still names; none where it cannot be asked."""
    runs = tables().runs
    try:
        with explained(connection), connection.begin_nested():
            return [Path(row.folder) for row in connection.execute(runs.select().with_only_columns(runs.c.folder))]
    except DamagedError:
        return []


def find(connection: Connection, run_id: str) -> RunRecord | None:
    """The run of this name."""
    runs = tables().runs
    row = connection.execute(runs.select().where(runs.c.run_id == run_id)).one_or_none()
    return run_of(row) if row else None


def run_of(row: Sequence[Any]) -> RunRecord:
    """A row of the table of runs.

    Raises:
        DamagedError: it holds what nobody has written.
    """
    run_id, state, kind, folder, created, updated, facts = row
    try:
        if not isinstance(state, str) or state not in LEGAL:
            raise ValueError(f"the state {state!r}")
        return RunRecord(run_id, state, kind, Path(folder), float(created), float(updated), dict(json.loads(facts)))
    except (ValueError, TypeError) as error:
        raise DamagedError(
            "The index of runs is damaged.",
            where=f"the run {run_id!r}",
            found=str(error),
            next_step=f"Drop the tables {RUNS} and {TRANSITIONS}: they are made anew from the folders of the runs.",
        ) from error


def put(connection: Connection, run: RunRecord, *, new: bool) -> None:
    """Write a run that is ``new``, or over what was known of it."""
    runs = tables().runs
    statement = runs.insert() if new else runs.update().where(runs.c.run_id == run.run_id)
    values = {**vars(run), "folder": str(run.folder), "facts": json.dumps(dict(run.facts))}
    connection.execute(statement.values(values))


def append(connection: Connection, history: Iterable[Transition]) -> None:
    """Write transitions, one at least."""
    connection.execute(tables().transitions.insert(), [vars(transition) for transition in history])


def count(connection: Connection, run_id: str) -> int:
    """How many transitions of this run there are."""
    from sqlalchemy import func, select

    table = tables().transitions
    return connection.execute(select(func.count()).where(table.c.run_id == run_id)).scalar_one()


def delete(connection: Connection, run_id: str) -> bool:
    """Delete a run and its transitions; whether there was one."""
    runs, transitions = tables().runs, tables().transitions
    connection.execute(transitions.delete().where(transitions.c.run_id == run_id))
    return connection.execute(runs.delete().where(runs.c.run_id == run_id)).rowcount > 0


def forget_folder(connection: Connection, folder: Path) -> None:
    """Delete the runs that are said to lie there."""
    runs = tables().runs
    if storable(str(folder)):  # what is not cannot be there
        query = runs.select().with_only_columns(runs.c.run_id).where(runs.c.folder == str(folder))
        for run_id in connection.execute(query).scalars().all():
            delete(connection, run_id)


def take_folders(connection: Connection, folders: Iterable[Path]) -> list[Path]:
    """Write what the folders say over what is known of them; those without a run, or with another's name.

    They are read only now that nobody else writes: whatever they come to say later is recorded after us.
    """
    left = []
    for folder in dict.fromkeys(folders):
        told = read_run(folder)
        if told is None:
            forget_folder(connection, folder)
            left.append(folder)
            continue
        run, history = told
        known = find(connection, run.run_id)
        other = read_run(known.folder) if known and known.folder != run.folder else None
        if other and other[0].run_id == run.run_id:
            left.append(folder)
            continue
        delete(connection, run.run_id)
        put(connection, run, new=True)
        append(connection, history)
    return left


def check_name(text: str, *, longest: int | None = None) -> None:
    """Refuse a name that cannot be kept.

    Raises:
        StoreError: it is empty, longer than ``longest``, or holds what is no Unicode text.
    """
    if not storable(text):
        raise StoreError("This name cannot be kept in the index of runs.", found=ascii(text), expected="Unicode text")
    if longest is not None and len(text) > longest:
        raise StoreError("This name of a run is too long.", found=text, expected=f"{longest} letters at most")
