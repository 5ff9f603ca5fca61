"""The index of runs is made again from their folders, whatever those hold. On both databases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.store_stories import FACTS, PLAIN, RESUMED, new_database, snapshot, tell, write_step
from training.runs.folder import STATES, RunFolder
from training.runs.store import LEGAL, IllegalTransition, RunStore, Transition, facts_of

pytest_plugins = ("tests.training.postgres",)

# The database of a test is used by all its examples, under names that no other has.
ONE_DATABASE = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
names = (f"run-{number}" for number in itertools.count())


@pytest.fixture
def store(database_url: str) -> Iterator[RunStore]:
    with RunStore.open(database_url) as opened:
        yield opened


@ONE_DATABASE
@given(st.data())
def test_the_folders_make_the_same_index_as_recording_did(store: RunStore, tmp_path: Path, data: st.DataObject) -> None:
    lives: dict[Path, list[str]] = {}
    for _ in range(data.draw(st.integers(1, 2))):
        life: list[str] = []
        while allowed := LEGAL[life[-1] if life else None]:
            life.append(data.draw(st.sampled_from(allowed)))
            if data.draw(st.integers(0, 3)) == 0:
                break
        lives[tmp_path / next(names)] = life
    for number, (folder, life) in enumerate(lives.items()):
        tell(store, folder, life, start=1000.0 * number, **FACTS)
    recorded = {folder: (store.get(folder.name), store.transitions(folder.name)) for folder in lives}
    assert store.rebuild(lives) == []
    assert {folder: (store.get(folder.name), store.transitions(folder.name)) for folder in lives} == recorded
    assert all(store.delete(folder.name) for folder in lives)
    assert store.rebuild(lives) == []
    assert {folder: (store.get(folder.name), store.transitions(folder.name)) for folder in lives} == recorded


def test_an_index_that_is_not_there_is_made_from_the_folders_in_the_home(
    store: RunStore, fitting_room_home: Path, request: pytest.FixtureRequest, database_url: str
) -> None:
    tell(store, fitting_room_home / "runs" / "a", RESUMED, **FACTS)
    tell(store, fitting_room_home / "runs" / "b", PLAIN, **FACTS)
    if database_url.startswith("sqlite"):
        again = f"sqlite:///{fitting_room_home / 'again.sqlite3'}"
    else:
        again = new_database(request, fitting_room_home, "postgresql")
    with RunStore.open(again) as other:
        assert snapshot(other) == snapshot(store)
    assert len(store.runs()) == 2


def test_a_real_run_folder_tells_its_history(store: RunStore, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a")
    run.path.mkdir()
    run.update(state="queued", created=1.0, rows=3, model="m")
    run.log("phase", phase="reading the rows")
    for state in ("preparing", "running", "done"):
        run.update(state=state, result={"steps": 3})
    assert store.rebuild([run.path]) == []
    known = store.get("a")
    assert known and known.state == "done" and known.facts["rows"] == 3 and "result" not in known.facts
    assert [told.after for told in store.transitions("a")] == ["queued", "preparing", "running", "done"]


def test_a_rebuild_sets_right_what_was_missed_and_forgets_what_is_gone(store: RunStore, tmp_path: Path) -> None:
    tell(store, tmp_path / "missed", PLAIN[:1])
    for at, state in enumerate(PLAIN[1:], 101):
        write_step(tmp_path / "missed", state, at)
    tell(store, tmp_path / "gone", PLAIN)
    tell(store, tmp_path / "other", PLAIN)
    with pytest.raises(IllegalTransition):
        store.record("missed", "done", folder=tmp_path / "missed", at=103.0)
    (tmp_path / "gone" / "run.json").unlink()
    assert store.rebuild([tmp_path / "missed", tmp_path / "gone"]) == [tmp_path / "gone"]
    assert {run.run_id: run.state for run in store.runs()} == {"missed": "done", "other": "done"}
    assert store.record("missed", "done", folder=tmp_path / "missed", at=103.0).state == "done"


def test_of_two_folders_with_the_same_run_the_one_that_was_known_stays(store: RunStore, tmp_path: Path) -> None:
    tell(store, tmp_path / "one" / "a", PLAIN)
    write_step(tmp_path / "two" / "a", "queued", 5.0)
    both = [tmp_path / "two" / "a", tmp_path / "one" / "a"]
    assert store.rebuild(both) == both[:1]
    run = store.get("a")
    assert run and (run.folder, run.state) == (both[1], "done")


def test_the_log_of_an_older_run_tells_what_it_can(store: RunStore, tmp_path: Path) -> None:
    """Before states were logged, run.json had the times and the log the end."""
    folder = tmp_path / "a"
    folder.mkdir()
    status = {"run": "a", "state": "done", "created": 1.0, "started": 2.0, "ended": 9.0, "rows": 4}
    (folder / "run.json").write_text(json.dumps(status))
    assert store.rebuild([folder]) == []
    assert store.transitions("a") == [
        Transition("a", 1, None, "queued", 1.0),
        Transition("a", 2, "queued", "done", 9.0),
    ]
    (folder / "events.jsonl").write_text('{"time": 3, "event": "training"}\n{"time": 8.5, "event": "done"}\n')
    assert store.rebuild([folder]) == []
    assert [(told.after, told.at) for told in store.transitions("a")] == [("queued", 1.0), ("done", 8.5)]


@pytest.mark.parametrize(
    "torn", [b'{"time": 1, "eve', b"\xff\xfe\0", b"[]", b'"state"', b'{"event": "state"}', b"[" * 99999]
)
def test_a_torn_line_of_the_log_is_passed_over(store: RunStore, tmp_path: Path, torn: bytes) -> None:
    tell(store, tmp_path / "a", RESUMED)
    known = snapshot(store)
    log = tmp_path / "a" / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:3], torn + b"\n", *lines[3:], torn]))
    store.rebuild([tmp_path / "a"])
    assert snapshot(store) == known


@pytest.mark.parametrize("state", ["running", "stopping", "done"])
def test_a_run_that_died_between_its_two_files_is_in_the_state_of_run_json(
    store: RunStore, tmp_path: Path, state: str
) -> None:
    folder = tmp_path / "a"
    for at, before in enumerate(("queued", "preparing", "running"), 1):
        write_step(folder, before, at)
    log, status = (folder / "events.jsonl").read_bytes(), json.loads((folder / "run.json").read_text())
    told = [("queued", 1.0), ("preparing", 2.0), ("running", 3.0)]
    if state != "running":  # run.json was written, its event was not
        (folder / "run.json").write_text(json.dumps({**status, "state": state, "at": 4.0}))
        told.append((state, 4.0))
    else:  # the event was written, run.json was not
        (folder / "events.jsonl").write_bytes(log + b'{"time": 4.0, "event": "state", "state": "stopping"}\n')
    store.rebuild([folder])
    run = store.get("a")
    assert run and run.state == state
    assert [(step.after, step.at) for step in store.transitions("a")] == told


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(STATES),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
KEYS = ("run", "state", "kind", "created", "at", "ended", "rows", "event", "time")
OBJECTS = st.dictionaries(st.sampled_from(KEYS), ANYTHING) | ANYTHING


@ONE_DATABASE
@given(st.binary(max_size=20) | OBJECTS, st.lists(OBJECTS, max_size=4), st.sampled_from([None, *STATES]))
def test_whatever_a_folder_holds_a_rebuild_goes_on_to_the_next(
    store: RunStore, tmp_path: Path, status: Any, events: list[Any], state: str | None
) -> None:
    odd, good = tmp_path / next(names), tmp_path / next(names)
    odd.mkdir()
    if state is not None:
        status = {**(status if isinstance(status, dict) else {}), "state": state}
    (odd / "run.json").write_bytes(status if isinstance(status, bytes) else json.dumps(status).encode())
    (odd / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    write_step(good, "queued", 1.0)
    assert store.rebuild([odd, good]) in ([], [odd])
    assert store.get(good.name)
    for run in store.runs():  # all that was taken can be read again, and ends as it says
        assert store.transitions(run.run_id)[-1].after == run.state
        assert store.delete(run.run_id)


def test_facts_are_the_plain_values_of_run_json() -> None:
    status = {"run": "a", "state": "done", "rows": 2, "lora": True, "best": None, "result": {"loss": 1}, "notes": [1]}
    assert facts_of(status) == {"rows": 2, "lora": True, "best": None}
