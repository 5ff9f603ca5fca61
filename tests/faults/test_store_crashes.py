"""The index of runs when processes are killed between any two statements (D7), and when several write at once."""

from __future__ import annotations

import json
import random
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.store_starting import all_at_once, start
from tests.training.store_stories import FACTS, PLAIN, RESUMED, is_whole, new_database, snapshot, tell
from training.runs.store import RunStore

pytest_plugins = ("tests.training.postgres",)

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def runs(fitting_room_home: Path) -> Path:
    return fitting_room_home / "runs"


# Crashes


@pytest.fixture
def crasher(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Does a thing in a process that is killed at its n-th statement; how that process ended."""
    process = start("crash", tmp_path / "warm.sqlite3")
    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout

    def run(**job: Any) -> int:
        stdin.write(json.dumps({name: str(value) if name != "n" else value for name, value in job.items()}) + "\n")
        stdin.flush()
        return int(stdout.readline())

    yield run
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def in_the_state_of(model: str | None, url: str) -> str:
    """Make a database empty, or like another one, at little cost; its URL."""
    if url.startswith("sqlite"):
        for file in Path(url.removeprefix("sqlite:///")).parent.glob("runs.sqlite3*"):
            file.unlink()
        if model:
            shutil.copy(model.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        return url
    import psycopg

    tables = ("fitting_room_runs", "fitting_room_transitions")
    with psycopg.connect(url) as connection, psycopg.connect(model or url) as source:
        if model is None:
            connection.execute(f"DROP TABLE IF EXISTS {', '.join(tables)}")
            return url
        for table in tables:
            connection.execute(f"DELETE FROM {table}")
            rows = source.execute(f"SELECT * FROM {table}").fetchall()
            places = ", ".join(["%s"] * len(rows[0]))
            connection.cursor().executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    return url


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("thing", ["open", "begin", "move", "delete", "rebuild"])
def test_a_crash_between_any_two_statements_leaves_all_of_it_or_nothing(
    kind: str, thing: str, crasher: Callable[..., int], request: pytest.FixtureRequest, runs: Path, tmp_path: Path
) -> None:
    with RunStore.open(f"sqlite:///{tmp_path / 'truth.sqlite3'}") as truth:
        tell(truth, runs / "a", ("queued", "stopped"), **FACTS)
        tell(truth, runs / "b", PLAIN[:2], start=1.0)
    model, url = (new_database(request, tmp_path / name, kind) for name in ("model", "tried"))
    with RunStore.open(model) as store, RunStore.open(url) as tried:
        if thing == "rebuild":  # there is something to set right
            store.delete("a")
            store.record("b", "running", folder=runs / "b", at=9.0)
        # Of an index that is not there yet it is only asked whether it is made whole in the end.
        before = None if thing == "open" else snapshot(store)
        as_it_was = None if thing == "open" else model
        assert crasher(url=in_the_state_of(as_it_was, url), thing=thing, runs=runs, n=0) == 0
        after = snapshot(tried)
        assert before != after
        for n in range(1, 100):
            ended = crasher(url=in_the_state_of(as_it_was, url), thing=thing, runs=runs, n=n)
            found = snapshot(tried)
            assert found in (before, after) and is_whole(tried)
            if ended == 0:  # there was no n-th statement: it came to its end
                break
            assert ended == -signal.SIGKILL
    assert found == after and n > 4
    assert not list(tmp_path.rglob("*.corrupt-*"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_said_to_be_written_is_there_after_a_kill_at_any_time(
    kind: str, request: pytest.FixtureRequest, runs: Path, tmp_path: Path
) -> None:
    draw, url = random.Random(0), new_database(request, tmp_path, kind)
    for attempt in range(3):
        process = start("write", url, runs, f"p{attempt}", 10_000)
        assert process.stdin and process.stdout and process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        said = [process.stdout.readline().split() for _ in range(5)]
        threading.Timer(draw.uniform(0.0, 0.3), process.kill).start()
        output, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        said += [line.split() for line in output.splitlines() if line.endswith(PLAIN)]
        with RunStore.open(url) as store:
            assert is_whole(store)
            known = {(run, step.after) for run in {run for run, _ in said} for step in store.transitions(run)}
            assert {(run, state) for run, state in said} <= known


# Several at once


@pytest.mark.parametrize("kind", KINDS)
def test_several_writers_lose_nothing_and_the_index_that_they_make_is_one(
    kind: str, request: pytest.FixtureRequest, runs: Path, tmp_path: Path
) -> None:
    url = new_database(request, tmp_path, kind)
    all_at_once([start("write", url, runs, f"writer-{number}", 6) for number in range(3)])
    with RunStore.open(url) as store:
        assert is_whole(store)
        assert {run.run_id: run.state for run in store.runs()} == {
            f"writer-{number}-{count}": "done" for number in range(3) for count in range(6)
        }
        assert all(len(store.transitions(run.run_id)) == 4 for run in store.runs())
    assert not list(tmp_path.glob("*.corrupt-*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["new", "stopped"])
def test_of_several_who_move_the_same_run_at_once_one_wins(
    kind: str, first: str, request: pytest.FixtureRequest, runs: Path, tmp_path: Path
) -> None:
    url = new_database(request, tmp_path, kind)
    names = [f"run-{count}" for count in range(15)]
    with RunStore.open(url) as store:
        for name in names if first == "stopped" else ():
            store.record(name, "queued", folder=runs / name, at=1)
            store.record(name, "stopped", folder=runs / name, at=2)
        printed = all_at_once([start("contend", url, runs, len(names)) for _ in range(2)])
        assert sorted(name for ours in printed for name in ours) == sorted(names)
        assert is_whole(store)
        assert {run.state for run in store.runs()} == {"queued"} and len(store.runs()) == len(names)


def test_threads_of_one_process_share_a_store(runs: Path) -> None:
    wrong: list[BaseException] = []
    with RunStore.open() as store:

        def write(name: str) -> None:
            try:
                for at, state in enumerate(RESUMED):
                    store.record(name, state, folder=runs / name, at=at)
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=write, args=(f"thread-{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == [] and is_whole(store)
        assert [len(store.transitions(run.run_id)) for run in store.runs()] == [len(RESUMED)] * 6
