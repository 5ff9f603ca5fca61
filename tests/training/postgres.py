"""A PostgreSQL server for the tests: that at FITTING_ROOM_TEST_POSTGRES, else one of their own, else they are skipped.

Use it by ``pytest_plugins = ("tests.training.postgres",)``. A server of their own is started from the binaries of
Debian's package postgresql (or those on the PATH), in a temporary folder, and listens on a socket there alone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training.store_stories import new_database

_SETTINGS = {"fsync": "off", "listen_addresses": "", "max_connections": "40"}  # of a server that is thrown away
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server on which databases can be made."""
    given = os.environ.get("FITTING_ROOM_TEST_POSTGRES")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip("postgresql is not installed")
    with _server(binaries) as url:
        yield url


@pytest.fixture
def new_postgres(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Makes an empty database and gives its URL, each time that it is called; they are dropped after the test."""
    import psycopg
    from sqlalchemy import make_url

    server = make_url(postgres_server)
    made: list[str] = []
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)

    def make() -> str:
        name = f"fitting_room_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        made.append(name)
        return server.set(database=name).render_as_string(hide_password=False)

    yield make
    with psycopg.connect(plain, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, fitting_room_home: Path) -> str:
    """An empty database of each kind in turn."""
    return new_database(request, fitting_room_home, request.param)


def _binaries() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("postgres") else None


@contextlib.contextmanager
def _server(binaries: Path) -> Iterator[str]:
    # In /tmp itself: the path of a socket may have a hundred letters and no more.
    folder = Path(tempfile.mkdtemp(prefix="fitting-room-postgres-", dir="/tmp"))
    who: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
    try:
        data, log = folder / "data", folder / "log"
        initdb = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]
        subprocess.run([*initdb, "--locale=C"], check=True, capture_output=True, cwd=folder, **who)
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", folder, *options],
                stdout=output,
                stderr=output,
                cwd=folder,
                **who,
            )
        try:
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait_for(url, server, log)
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text('utf-8', 'replace')}") from None
            time.sleep(0.05)
