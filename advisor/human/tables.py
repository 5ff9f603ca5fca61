"""The tables of the votes, and where they lie. It opens no database and counts nothing.

Votes are nowhere else, unlike the index of runs, which is made anew from the runs' folders where it is damaged: so on
SQLite they lie in a file of their own beside the index, and on PostgreSQL in tables of their own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.runs.store_database import database_url
from training.runs.store_schema import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL, MetaData, Table

LONGEST_NAME = 255
"""Letters of a session's id and of a rater's name."""

_FILE = "votes.sqlite3"


class VotesError(StoreError):
    """The store of votes cannot be used."""


@dataclass(frozen=True)
class VoteTables:
    """The three tables, for statements to be made of."""

    metadata: MetaData
    sessions: Table
    tasks: Table
    votes: Table


def votes_url(url: str | None = None) -> URL:
    """Where votes are kept: in the database of the index of runs, or in the file votes.sqlite3 beside the index.

    Raises:
        StoreError: what names the index is no URL of a database, or of one that is not supported.
    """
    index = database_url(url)
    if index.drivername != "sqlite":
        return index
    return index.set(database=str(Path(str(index.database)).with_name(_FILE)))


@functools.cache
def vote_tables() -> VoteTables:
    """The tables as SQLAlchemy describes them. What may hold any letter at all is kept as JSON in ASCII."""
    from sqlalchemy import Boolean, Column, Double, Integer, MetaData, String, Table, Text, UniqueConstraint

    metadata = MetaData()
    sessions = Table(
        "fitting_room_vote_sessions",
        metadata,
        Column("session_id", String(LONGEST_NAME), primary_key=True),
        Column("created", Double, nullable=False),
        Column("closed", Double),
        Column("content", Text, nullable=False),
    )
    tasks = Table(
        "fitting_room_vote_tasks",
        metadata,
        Column("token", String(64), primary_key=True),
        Column("session_id", String(LONGEST_NAME), nullable=False),
        Column("rater", String(LONGEST_NAME), nullable=False),
        Column("position", Integer, nullable=False),
        Column("item", Integer, nullable=False),
        Column("left_arm", Integer, nullable=False),  # its place among the session's arms
        Column("right_arm", Integer, nullable=False),
        Column("repeat", Boolean, nullable=False),
        UniqueConstraint("session_id", "rater", "position"),
    )
    votes = Table(
        "fitting_room_votes",
        metadata,
        Column("token", String(64), primary_key=True),
        Column("session_id", String(LONGEST_NAME), nullable=False),
        Column("number", Integer, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("said", Text, nullable=False),
        Column("seconds", Double, nullable=False),
        Column("at", Double, nullable=False),
        UniqueConstraint("session_id", "number"),
    )
    return VoteTables(metadata, sessions, tasks, votes)
