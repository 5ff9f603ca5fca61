"""The database under the index of runs: where it is, how it is opened, and what its errors mean. It knows no runs.

SQLite, in one file, where nothing else is asked for; PostgreSQL by the URL in ``FITTING_ROOM_DATABASE_URL``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from training.home import home
from training.runs.store_schema import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

DATABASE_URL = "FITTING_ROOM_DATABASE_URL"
_log = logging.getLogger(__name__)
# Seconds to wait for another process's transaction, which takes milliseconds, and for a server to answer.
_PATIENCE, _CONNECTING = 10, 5
# What a transaction that writes begins with: from here on no other writes, so that what it has read stays true.
# SQLite's plain BEGIN would take the lock at the first write, and fail at once where another got there in between
# (https://www.sqlite.org/isolation.html). The number on PostgreSQL is any that all our processes share.
_BEFORE_WRITING = {
    "sqlite": ("BEGIN IMMEDIATE",),
    "postgresql": (f"SET LOCAL lock_timeout = '{_PATIENCE}s'", "SELECT pg_advisory_xact_lock(7316043382)"),
}
_FORMS = "sqlite:////absolute/path/runs.sqlite3 or postgresql://user:password@host/database"
# SQLite's names of errors (https://www.sqlite.org/rescode.html) and PostgreSQL's codes of them
# (https://www.postgresql.org/docs/current/errcodes-appendix.html), by how they begin.
# A mistake in a statement is one of the tables that it is about (gone, or without a column): the statements are fixed.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "42P01", "42703")
_ANEW = "Open it again: it is made anew from the folders of the runs."
_CAUSES = (
    (
        ("SQLITE_FULL", "SQLITE_IOERR", "53100"),
        "The index of runs cannot be written: its disk is full or failing.",
        "Free some space on that disk. The runs go on; `fitting-room runs list` finds them by their folders.",
    ),
    (
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH", "25006", "42501"),
        "The index of runs may not be written to.",
        "Make it writable for this user, a file with its folder, or choose another home with FITTING_ROOM_HOME.",
    ),
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03"),
        f"Another process has held the index of runs for more than {_PATIENCE} seconds.",
        "Close what else has it open (a backup, a database browser), then try again.",
    ),
)


class DamagedError(StoreError):
    """The database is not whole, or its tables are not as we make them: it has to be made anew."""


def database_url(url: str | None = None) -> URL:
    """Where the index is: ``url``, else ``FITTING_ROOM_DATABASE_URL``, else the file runs.sqlite3 in the home.

    Raises:
        StoreError: it is no URL of a database, or of one that is not supported.
    """
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    text = url or os.environ.get(DATABASE_URL)
    if not text:
        return URL.create("sqlite", database=str(home() / "runs.sqlite3"))
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):  # nothing of it is shown: it may hold a password
        raise StoreError(
            "The address of the index of runs is no URL of a database.", where=DATABASE_URL, expected=_FORMS
        ) from None
    kind, database = parsed.drivername.split("+")[0], parsed.database or ""
    if kind in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and database not in ("", ":memory:") and not database.startswith("file:"):
        return URL.create("sqlite", database=str(Path(database).expanduser().absolute()))
    raise StoreError("The index of runs cannot be kept there.", where=DATABASE_URL, found=kind, expected=_FORMS)


def place_of(url: URL) -> str:
    """The database's address for a message: the file's path, or the URL without its password and its settings."""
    if url.drivername == "sqlite":
        return str(url.database)
    return url.set(password=None, query={}).render_as_string()


class Database:
    """What stores have in common: the way to a database, and its end. What it holds is theirs."""

    def __init__(self, engine: Engine) -> None:
        """Take what `make_engine` gives."""
        self._engine = engine
        self._file = Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None

    def close(self) -> None:
        """Done with it. No connection is kept open between two calls, so that to forget this does no harm."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_ahead(self) -> None:
        """Let readers of a SQLite file go on beside a writer; call it while no other process can (`one_at_a_time`)."""
        with transaction(self._engine, writes=False) as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def make_engine(url: URL) -> Engine:
    """The way to the database. It keeps no connection between two uses.

    Raises:
        StoreError: the driver for PostgreSQL is not installed.
    """
    from sqlalchemy import NullPool, create_engine, event

    if url.drivername == "sqlite":
        # Level None: transactions begin where we say, not where Python's module thinks that they should.
        settings: dict[str, Any] = {"timeout": _PATIENCE, "isolation_level": None}
        engine = create_engine(url, poolclass=NullPool, connect_args=settings)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    try:
        # READ COMMITTED: what is read after waiting for the lock is what the one before us has written.
        return create_engine(
            url,
            poolclass=NullPool,
            isolation_level="READ COMMITTED",
            connect_args={} if "connect_timeout" in url.query else {"connect_timeout": _CONNECTING},
        )
    except ImportError as error:
        raise StoreError(
            "PostgreSQL's driver is not installed.",
            where=DATABASE_URL,
            found=str(error),
            next_step='Run: pip install "fitting-room[postgres]"',
        ) from error


def _set_up_sqlite(connection: Any, record: object) -> None:
    # FULL: a transition that was recorded is on the disk, whatever happens to the power next.
    connection.execute("PRAGMA synchronous = FULL")


@contextlib.contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction, all or nothing; where it ``writes``, no other that writes runs beside it.

    Raises:
        DamagedError: the database is not whole.
        StoreError: it cannot be read or written, and what to do.
    """
    with explained(engine), engine.begin() as connection:
        for statement in _BEFORE_WRITING[engine.dialect.name] if writes else ():
            connection.exec_driver_sql(statement)
        yield connection


@contextlib.contextmanager
def explained(place: Engine | Connection) -> Iterator[None]:
    """Turn the errors of a database into ours: `DamagedError` or `StoreError`."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise _explained(error.orig, place.engine.url) from error
    except UnicodeDecodeError as error:  # where even SQLite's own message quotes what is damaged
        raise _explained(error, place.engine.url) from error


def _explained(error: BaseException | None, url: URL) -> StoreError:
    place = place_of(url)
    code = str(getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or "")
    found = (str(error).strip().splitlines() or [""])[0][:300]
    undecodable = isinstance(error, UnicodeDecodeError) or "Could not decode to UTF-8" in found  # Python's: no code
    if code.startswith(_DAMAGE) or undecodable:
        return DamagedError("The index of runs is damaged.", where=place, found=found, next_step=_ANEW)
    for codes, what, next_step in _CAUSES:
        if code.startswith(codes):
            return StoreError(what, where=place, found=found, next_step=next_step)
    if url.drivername == "sqlite":
        next_step = "Move the file away: it is made anew from the folders of the runs."
    else:
        next_step = f"Check that the database answers at this address; without {DATABASE_URL} a file is used."
    return StoreError("The index of runs cannot be used.", where=place, found=found, next_step=next_step)


def damage(file: Path) -> str | None:
    """What is wrong with a file of SQLite; None where it is whole, is not there, or cannot be looked at."""
    if not file.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE)) as connection:
            verdict = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except UnicodeDecodeError as error:
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error) if getattr(error, "sqlite_errorname", "").startswith(_DAMAGE) else None
    return None if verdict == "ok" else verdict


def move_aside(file: Path, why: str) -> Path:
    """Rename a damaged file, so that a new one can take its place; its new path, *.corrupt-<time>.

    Raises:
        StoreError: the folder cannot be written to.
    """
    stamp, number = f"{file.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}", 0
    while (aside := file.with_name(stamp + (f"-{number}" if number else ""))).exists():
        number += 1
    try:
        # The log last: SQLite deletes one that lies beside no database, and would replay it into a damaged one.
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{file}{ending}", f"{aside}{ending}")
    except OSError as error:
        raise StoreError(
            "The index of runs is damaged and cannot be moved aside.",
            where=str(file),
            found=str(error),
            next_step="Make its folder writable for this user, or remove the file: it is made anew.",
        ) from error
    _log.warning("The index of runs was damaged (%s): it is now %s, and made anew", " ".join(why.split()), aside.name)
    return aside


def salvage(file: Path, query: str) -> list[str]:
    """The texts that a query of one column still finds in a damaged file, up to where it is damaged."""
    found: list[str] = []
    with (
        contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError),
        contextlib.closing(sqlite3.connect(file)) as connection,
    ):
        found.extend(str(text) for (text,) in connection.execute(query))
    return found


@contextlib.contextmanager
def one_at_a_time(file: Path) -> Iterator[None]:
    """Keep two processes from replacing the same file; where its folder takes no lock file, nobody can replace it.

    A lock file of its own: to open and close the database itself would drop the locks that SQLite holds on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    import fcntl

    try:
        lock = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
