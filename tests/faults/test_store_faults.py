"""The index of runs where its file may not be written, is damaged, or its disk is full (D7, and its part of D4).

All of it is real but the size of the disk, which is a limit on the size of files.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.store_starting import all_at_once, start
from tests.training.store_stories import FACTS, PLAIN, RESUMED, Snapshot, is_whole, snapshot, tell
from training.runs.store import RunStore, StoreError

pytest_plugins = ("tests.training.postgres",)


def sqlite_at(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def runs(fitting_room_home: Path) -> Path:
    return fitting_room_home / "runs"


@pytest.fixture
def file(fitting_room_home: Path) -> Path:
    return fitting_room_home / "runs.sqlite3"


@pytest.fixture
def kept(runs: Path, tmp_path: Path, file: Path) -> Snapshot:
    """An index in a file with three runs, one of them in a folder outside the home; what it says."""
    with RunStore.open() as store:
        tell(store, runs / "a", RESUMED, **FACTS)
        tell(store, runs / "b", PLAIN, start=200)
        tell(store, tmp_path / "elsewhere" / "c", PLAIN[:2], start=300)
        return snapshot(store)


# Held by another


def test_who_has_to_wait_too_long_is_told_why(kept: Snapshot, runs: Path, file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("training.runs.store_database._PATIENCE", 0)
    with closing(sqlite3.connect(file, isolation_level=None)) as other, RunStore.open() as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="Another process has held"):
            store.record("d", "queued", folder=runs / "d", at=1)
        assert snapshot(store) == kept  # a reader does not wait
        other.execute("ROLLBACK")
        assert store.record("d", "queued", folder=runs / "d", at=1)


# Files that may not be written


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Reads and writes an index in a process to which permissions apply; what came of it."""
    prefix: tuple[str, ...] = ()
    if os.getuid() == 0:  # root may write anything, unless it gives that right away
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is not installed, and this is root")
        prefix = ("setpriv", "--bounding-set=-dac_override")

    def run(url: str) -> dict[str, Any]:
        output, errors = start("attempt", url, tmp_path, prefix=prefix).communicate(timeout=60)
        assert output, errors
        came: dict[str, Any] = json.loads(output)
        return came

    return run


@pytest.mark.parametrize("folder_too", [False, True], ids=["file", "file and folder"])
def test_a_file_that_may_not_be_written_says_so_and_stays(
    attempt: Callable[[str], dict[str, Any]], tmp_path: Path, folder_too: bool, runs: Path
) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    file = folder / "runs.sqlite3"
    with RunStore.open(sqlite_at(file)) as store:
        tell(store, runs / "a", PLAIN)
        known = snapshot(store)
    file.chmod(0o444)
    folder.chmod(0o555 if folder_too else 0o777)
    content = file.read_bytes()
    came = attempt(sqlite_at(file))
    folder.chmod(0o755)
    for name in ("record", "delete", "rebuild"):
        assert came[name]["kind"] == "StoreError" and "may not be written" in came[name]["what"], came
        assert came[name]["where"] == str(file) and "writable" in came[name]["next_step"]
    if folder_too:  # to read it, SQLite needs a file beside it
        assert came["read"]["kind"] == "StoreError" and came["read"]["next_step"]
    else:
        assert came["read"] == ["a"]
    assert file.read_bytes() == content and not list(folder.glob("*.corrupt-*"))
    assert snapshot(RunStore.open(sqlite_at(file))) == known


def test_a_folder_that_takes_no_file_says_so(attempt: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir(mode=0o555)
    came = attempt(sqlite_at(folder / "runs.sqlite3"))
    assert {told["kind"] for told in came.values()} == {"StoreError"}
    assert all("may not be written" in told["what"] and told["next_step"] for told in came.values())


def test_a_damaged_file_that_cannot_be_moved_says_so(attempt: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "runs.sqlite3").write_bytes(b"garbage" * 999)
    folder.chmod(0o555)
    came = attempt(sqlite_at(folder / "runs.sqlite3"))
    assert {told["kind"] for told in came.values()} == {"StoreError"}
    assert all("cannot be moved aside" in told["what"] and told["next_step"] for told in came.values())
    assert (folder / "runs.sqlite3").read_bytes() == b"garbage" * 999


def test_a_database_that_may_only_be_read_is_read(new_postgres: Callable[[], str], runs: Path) -> None:
    import psycopg

    url = new_postgres()
    with RunStore.open(url) as store, psycopg.connect(url, autocommit=True) as connection:
        tell(store, runs / "a", PLAIN)
        known = snapshot(store)
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(StoreError, match="may not be written"):
            store.record("b", "queued", folder=runs / "b", at=1)
        assert snapshot(RunStore.open(url)) == known


def test_a_server_that_goes_away_and_comes_back_is_an_error_only_while_it_is_away(
    new_postgres: Callable[[], str], runs: Path
) -> None:
    import psycopg

    url = new_postgres()
    with RunStore.open(url) as store, psycopg.connect(url, autocommit=True) as connection:
        tell(store, runs / "a", PLAIN)
        known, name = snapshot(store), connection.info.dbname
        with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as other:
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            with pytest.raises(StoreError, match=r"(?s)cannot be used.*FITTING_ROOM_DATABASE_URL"):
                store.runs()
            other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert snapshot(store) == known


# Damaged files


def halved(data: bytearray) -> bytes:
    return bytes(data[: len(data) // 2])


def beheaded(data: bytearray) -> bytes:
    return b"this is no database" + bytes(data[19:])


DAMAGE: dict[str, Callable[[bytearray], bytes]] = {
    "cut to half": halved,
    "cut in a page": lambda data: bytes(data[: len(data) // 2 + 777]),
    "cut in the header": lambda data: bytes(data[:50]),
    "a garbage header": beheaded,
    "all zeros": lambda data: bytes(len(data)),
    "another file": lambda data: b'{"run": "a"}\n' * 500,
    "a wrong page size": lambda data: bytes(data[:16]) + b"\x02\x00" + bytes(data[18:]),
}


def aside(file: Path) -> list[Path]:
    return [path for path in file.parent.glob("runs.sqlite3.corrupt-*") if not path.name.endswith(("-wal", "-shm"))]


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_moved_aside_and_the_index_made_anew(
    kept: Snapshot, file: Path, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = DAMAGE[how](bytearray(file.read_bytes()))
    file.write_bytes(damaged)
    with RunStore.open() as store:
        found = snapshot(store)
        assert is_whole(store)
        store.record("d", "queued", folder=tmp_path / "d", at=1)
    in_home = {run.run_id: run for run in kept[0] if run.run_id != "c"}
    assert {run.run_id: run for run in found[0] if run.run_id != "c"} == in_home
    assert all(found[1][name] == kept[1][name] for name in in_home)
    (moved,) = aside(file)
    assert moved.read_bytes()[:16] == damaged[:16] and len(moved.read_bytes()) == len(damaged)
    assert "was damaged" in caplog.text and moved.name in caplog.text
    with RunStore.open() as store:
        assert len(store.runs()) == len(found[0]) + 1
    assert aside(file) == [moved]


def pages(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


def test_each_flipped_page_is_found_out_and_the_index_made_anew(kept: Snapshot, file: Path) -> None:
    """All bits of one page; a run outside the home is found again as long as the page that names it is legible."""
    sound, size, outside = file.read_bytes(), 4096, 0
    assert len(sound) == pages(file) * size and pages(file) >= 5
    for page in range(pages(file)):
        data = bytearray(sound)
        for place in range(page * size, (page + 1) * size):
            data[place] ^= 0xFF
        file.write_bytes(data)
        with RunStore.open() as store:
            assert is_whole(store)
            found = {run.run_id: (run, store.transitions(run.run_id)) for run in store.runs()}
        assert {name: found[name] for name in ("a", "b")} == {
            run.run_id: (run, kept[1][run.run_id]) for run in kept[0] if run.run_id != "c"
        }
        outside += "c" in found
        assert len(aside(file)) == page + 1
    assert outside >= 2


def test_a_flipped_bit_never_stops_a_user(kept: Snapshot, file: Path) -> None:
    """A bit of a text may go unseen, as SQLite keeps no checksums; the folder is the truth all the same."""
    sound, draw = file.read_bytes(), random.Random(0)
    written = [place for place, byte in enumerate(sound) if byte and place >= 100]  # behind the header
    for place in draw.sample(written, 60):
        data = bytearray(sound)
        data[place] ^= 1 << draw.randrange(8)
        for left in file.parent.glob("runs.sqlite3*"):
            left.unlink()
        file.write_bytes(data)
        with RunStore.open() as store:
            assert {"queued", "done", "stopped", "preparing"} >= {run.state for run in store.runs()}
            for run in store.runs():
                store.transitions(run.run_id)
            store.rebuild()
            found = {run.run_id: (run, store.transitions(run.run_id)) for run in store.runs()}
        assert {name: found[name] for name in ("a", "b")} == {
            run.run_id: (run, kept[1][run.run_id]) for run in kept[0] if run.run_id != "c"
        }


@pytest.mark.parametrize(
    "what", ["the facts", "the state", "a byte that is no text", "the table", "the file", "the page"]
)
def test_a_store_that_is_open_goes_on_when_its_file_is_damaged(
    kept: Snapshot, file: Path, what: str, runs: Path
) -> None:
    statements = {
        "the facts": "UPDATE fitting_room_runs SET facts = '{' WHERE run_id = 'b'",
        "the state": "UPDATE fitting_room_runs SET state = 'runnjng' WHERE run_id = 'b'",
        "a byte that is no text": "UPDATE fitting_room_transitions SET after = CAST(x'ff' AS TEXT) WHERE run_id = 'b'",
        "the table": "DROP TABLE fitting_room_transitions",
    }
    with RunStore.open() as store:
        if what in statements:
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute(statements[what])
        elif what == "the file":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:4096] + bytes(4096 * (pages(file) - 1)))
        assert store.transitions("b") == kept[1]["b"]
        assert {run.run_id: run for run in store.runs() if run.run_id != "c"} == {
            run.run_id: run for run in kept[0] if run.run_id != "c"
        }
        assert store.record("d", "queued", folder=runs / "d", at=1).state == "queued"
    assert len(aside(file)) == (what != "the file")


def test_several_who_find_the_same_damage_make_one_new_index(kept: Snapshot, file: Path) -> None:
    file.write_bytes(halved(bytearray(file.read_bytes())))
    printed = all_at_once([start("open", sqlite_at(file)) for _ in range(4)])
    assert len(aside(file)) == 1 and len({count for (count,) in printed}) == 1
    with RunStore.open() as store:
        assert is_whole(store) and {"a", "b"} <= {run.run_id for run in store.runs()}


def test_a_log_left_by_a_killed_process_goes_aside_with_its_file(kept: Snapshot, file: Path, runs: Path) -> None:
    """What was recorded last lies in the log: it must not be replayed into the new file, nor be lost to the folders."""
    reader = start("write", sqlite_at(file), runs, "w", 1000)
    assert reader.stdin and reader.stdout and reader.stdout.readline() == "ready\n"
    with closing(sqlite3.connect(file)) as holds_the_log_open:
        holds_the_log_open.execute("SELECT count(*) FROM fitting_room_runs").fetchone()
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline()
        reader.kill()
        reader.communicate()
        log = file.with_name(file.name + "-wal").read_bytes()
        data = bytearray(file.read_bytes())
    file.write_bytes(beheaded(data))
    file.with_name(file.name + "-wal").write_bytes(log)
    with RunStore.open() as store:
        assert is_whole(store) and {"a", "b"} <= {run.run_id for run in store.runs()}
    (moved,) = aside(file)
    assert moved.read_bytes()[:4] == b"this"


# Full disks


def test_a_full_disk_says_so_and_keeps_all_that_was_written(kept: Snapshot, file: Path, runs: Path) -> None:
    """Each file may grow to so many bytes and no further: the log beside the database first of all."""
    for limit in (50_000, 120_000):
        output, errors = start("fill", sqlite_at(file), runs, limit).communicate(timeout=120)
        *said, error, readable = output.splitlines() or [errors]
        told = json.loads(error)
        assert told["kind"] == "StoreError" and "disk is full" in told["what"], told
        assert told["where"] == str(file) and "Free some space" in told["next_step"]
        with RunStore.open() as store:
            assert is_whole(store)
            found = {run.run_id for run in store.runs()}
            assert found == {"a", "b", "c", *said} and len(found) == int(readable)
            for run in kept[0]:
                assert store.get(run.run_id) == run and store.transitions(run.run_id) == kept[1][run.run_id]
            for name in said:
                store.delete(name)
        assert aside(file) == []


@pytest.mark.parametrize("there", [True, False], ids=["there", "new"])
def test_a_disk_too_full_to_open_the_index_says_so_and_harms_nothing(
    there: bool, file: Path, runs: Path, request: pytest.FixtureRequest
) -> None:
    known = request.getfixturevalue("kept") if there else ([], {})
    output, errors = start("fill", sqlite_at(file), runs, 6000).communicate(timeout=120)
    told = json.loads((output.splitlines() or [errors])[0])
    assert told["kind"] == "StoreError" and "disk is full" in told["what"] and told["next_step"]
    with RunStore.open() as store:
        assert snapshot(store) == known
    assert aside(file) == []
