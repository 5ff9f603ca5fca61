"""The index of runs: what it keeps and what it refuses, on both databases. Its folders: test_store_folders.py."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.errors import RunError
from tests.training.store_stories import PLAIN, RESUMED, tell
from training.runs.folder import ENDED, STATES
from training.runs.store import LEGAL, IllegalTransition, RunStore, StoreError

pytest_plugins = ("tests.training.postgres",)

# The database of a test is used by all its examples, under names that no other has.
ONE_DATABASE = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
ILLEGAL = [
    *((None, state) for state in ("running", "stopping", "done", "stopped", "failed", "interrupted")),
    *(("queued", state) for state in ("running", "done")),
    *(("running", state) for state in ("queued",)),
    *(("stopping", state) for state in ("queued", "preparing", "running")),
    *(("done", state) for state in STATES),
    *((ended, state) for ended in ("stopped", "failed", "interrupted") for state in STATES if state != "queued"),
    *((state, state) for state in STATES),
]
JOURNEYS = [
    PLAIN,
    RESUMED,
    ("queued", "preparing", "running", "preparing", "running", "done"),  # a smaller micro-batch
    ("queued", "preparing", "failed", "queued", "preparing", "running", "done"),
    ("queued", "stopped", "queued", "interrupted"),  # never came to its turn
    ("queued", "preparing", "running", "stopping", "done"),  # the stop came too late
    ("preparing", "running", "stopped"),  # a comparison waits for nobody
]
names = (f"run-{number}" for number in itertools.count())


@pytest.fixture
def store(database_url: str) -> Iterator[RunStore]:
    with RunStore.open(database_url) as opened:
        yield opened


def lead_to(store: RunStore, state: str | None, folder: Path) -> str:
    """A run of a new name in this state."""
    name = next(names)
    ways = [journey[: journey.index(state) + 1] for journey in JOURNEYS if state in journey] if state else [()]
    tell(store, folder / name, min(ways, key=len))
    return name


# What is legal


def test_the_legal_transitions_speak_of_the_states_of_a_run_and_of_no_others() -> None:
    assert set(LEGAL) == {None, *STATES}
    assert {after for allowed in LEGAL.values() for after in allowed} == set(STATES)


def test_every_run_that_has_not_ended_can_fail_and_die_and_only_what_ended_badly_is_resumed() -> None:
    for state in STATES:
        if state in ENDED:
            assert LEGAL[state] == (() if state == "done" else ("queued",))
        else:
            assert {"failed", "interrupted", "stopped"} <= set(LEGAL[state])


@pytest.mark.parametrize("journey", JOURNEYS, ids="-".join)
def test_the_lives_of_runs_are_legal(store: RunStore, journey: tuple[str, ...], tmp_path: Path) -> None:
    tell(store, tmp_path / "a", journey)
    told = store.transitions("a")
    assert [transition.after for transition in told] == list(journey)
    assert [transition.before for transition in told] == [None, *journey[:-1]]
    assert [transition.number for transition in told] == list(range(1, len(journey) + 1))


def test_an_illegal_transition_is_refused_by_both_states_and_what_is_allowed_and_changes_nothing(
    store: RunStore, tmp_path: Path
) -> None:
    for before in (None, *STATES):
        name = lead_to(store, before, tmp_path)
        known = store.get(name), store.transitions(name)
        for after in (after for first, after in ILLEGAL if first == before):
            with pytest.raises(IllegalTransition) as refused:
                store.record(name, after, folder=tmp_path / name, at=9e9, rows=0)
            error = refused.value
            assert (error.before, error.after, error.run_id) == (before, after, name)
            assert error.found == f"{before or 'new'} -> {after}" and name in error.what and error.next_step
            assert error.expected and all(state in error.expected for state in LEGAL[before])
            assert (store.get(name), store.transitions(name)) == known
    assert "final" in str(IllegalTransition("a", before="done", after="queued"))


def test_a_state_that_there_is_not_is_refused(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(IllegalTransition, match="cannot begin as resting"):
        store.record("a", "resting", folder=tmp_path / "a", at=1)
    assert store.runs() == []


def test_an_illegal_transition_is_an_error_of_the_run_and_not_of_the_store() -> None:
    assert issubclass(IllegalTransition, RunError) and issubclass(StoreError, RunError)
    assert not issubclass(IllegalTransition, StoreError)


@ONE_DATABASE
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(STATES)), max_size=25))
def test_after_any_records_the_state_is_the_last_legal_one_and_the_history_tells_each(
    store: RunStore, tmp_path: Path, asked: list[tuple[int, str]]
) -> None:
    mine = [next(names) for _ in range(3)]
    expected: dict[str, list[tuple[str, float]]] = {name: [] for name in mine}
    for at, (number, state) in enumerate(asked):
        history = expected[mine[number]]
        legal = state in LEGAL[history[-1][0] if history else None]
        with contextlib.nullcontext() if legal else pytest.raises(IllegalTransition):
            store.record(mine[number], state, folder=tmp_path / mine[number], at=at, rows=at)
            history.append((state, at))
    for name, history in expected.items():
        told = store.transitions(name)
        assert [(transition.after, transition.at) for transition in told] == history
        assert [transition.before for transition in told] == [None, *(state for state, _ in history)][: len(history)]
        run = store.get(name)
        if history:
            assert run and (run.state, run.updated) == history[-1] and run.created == history[0][1]
            assert run.facts == {"rows": run.updated}
        else:
            assert run is None


# What is kept


def test_facts_add_up_and_the_last_value_of_each_counts(store: RunStore, tmp_path: Path) -> None:
    store.record("a", "queued", folder=tmp_path / "a", at=1.25, kind="comparison", rows=1, **{"model": "m"})
    run = store.record("a", "preparing", folder=tmp_path / "a", at=2.5, rows=2, loss=math.inf, kind="training")
    assert run == store.get("a") == store.runs()[0]
    assert run.facts == {"rows": 2, "model": "m", "loss": math.inf}
    assert (run.created, run.updated, run.kind, run.folder) == (1.25, 2.5, "comparison", tmp_path / "a")


@ONE_DATABASE
@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name not in {"run_id", "state", "kind", "folder", "at", "self"}),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("\0\udfff"),
    )
)
def test_any_fact_comes_back_as_it_was_given(store: RunStore, tmp_path: Path, facts: dict[str, Any]) -> None:
    name = next(names)
    store.record(name, "queued", folder=tmp_path / name, at=1, **facts)
    run = store.get(name)
    assert run and run.facts == facts


def test_a_loss_that_is_no_number_is_kept(store: RunStore, tmp_path: Path) -> None:
    store.record("a", "queued", folder=tmp_path / "a", at=1, loss=math.nan)
    assert math.isnan(store.runs()[0].facts["loss"])


def test_the_same_state_at_the_same_time_is_known_already(store: RunStore, tmp_path: Path) -> None:
    tell(store, tmp_path / "a", PLAIN[:2])
    known = store.transitions("a")
    run = store.record("a", "preparing", folder=tmp_path / "a", at=101.0, rows=7)
    assert store.transitions("a") == known and run.facts == {"rows": 7}
    with pytest.raises(IllegalTransition):
        store.record("a", "preparing", folder=tmp_path / "a", at=101.001)


def test_a_clock_that_goes_back_does_not_turn_the_history_round(store: RunStore, tmp_path: Path) -> None:
    for at, state in zip((50.0, 10.0, 30.0), PLAIN, strict=False):
        store.record("a", state, folder=tmp_path / "a", at=at)
    assert [(told.after, told.at) for told in store.transitions("a")] == [
        ("queued", 50.0),
        ("preparing", 10.0),
        ("running", 30.0),
    ]


def test_runs_come_newest_first_and_by_kind_and_state(store: RunStore, tmp_path: Path) -> None:
    tell(store, tmp_path / "old", PLAIN, start=1)
    tell(store, tmp_path / "new", PLAIN[:2], start=1e9)
    store.record("other", "preparing", folder=tmp_path / "other", at=5e8, kind="comparison")

    def listed(**asked: str) -> list[str]:
        return [run.run_id for run in store.runs(**asked)]

    assert listed() == ["new", "other", "old"]
    assert listed(kind="training") == ["new", "old"] and listed(kind="comparison") == ["other"]
    assert listed(state="preparing") == ["new", "other"] and listed(state="failed") == []
    assert listed(kind="training", state="preparing") == ["new"]


def test_a_run_that_is_deleted_is_gone_with_its_history_and_its_name_is_free(store: RunStore, tmp_path: Path) -> None:
    tell(store, tmp_path / "a", RESUMED)
    tell(store, tmp_path / "b", PLAIN)
    assert store.delete("a") and not store.delete("a") and not store.delete("never")
    assert store.get("a") is None and store.transitions("a") == [] and [run.run_id for run in store.runs()] == ["b"]
    assert (tmp_path / "a" / "run.json").exists()
    assert store.record("a", "queued", folder=tmp_path / "elsewhere" / "a", at=5).facts == {}
    assert [told.number for told in store.transitions("a")] == [1] and len(store.transitions("b")) == 4


def test_an_unknown_run_is_none(store: RunStore) -> None:
    assert store.get("a") is None and store.transitions("a") == [] and store.runs() == []


def test_another_run_of_the_same_name_is_refused_and_a_folder_that_was_moved_is_not(
    store: RunStore, tmp_path: Path
) -> None:
    tell(store, tmp_path / "one" / "a", ("queued", "stopped"))
    with pytest.raises(StoreError, match="another run of this name") as refused:
        store.record("a", "queued", folder=tmp_path / "two" / "a", at=200)
    assert refused.value.where == str(tmp_path / "one" / "a")
    (tmp_path / "one").rename(tmp_path / "two")
    assert store.record("a", "queued", folder=tmp_path / "two" / "a", at=200).folder == tmp_path / "two" / "a"


@pytest.mark.parametrize("name", ["", "a\0b", "a\ud800", "n" * 256], ids=["empty", "NUL", "surrogate", "long"])
def test_a_name_that_no_database_holds_is_refused(store: RunStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="name"):
        store.record(name, "queued", folder=tmp_path / "a", at=1)
    with pytest.raises(StoreError, match="name"):
        store.record("a", "queued", folder=tmp_path / "not-\udcff-utf8", at=1)
    assert store.runs() == []


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE fitting_room_runs; --", "%s %(a)s :a {}", "../../etc", "Ünïcode \U0001f600"]
)
def test_a_name_is_nothing_but_a_name(store: RunStore, tmp_path: Path, name: str) -> None:
    store.record(name, "queued", folder=tmp_path / "a", at=1)
    assert [run.run_id for run in store.runs()] == [name] and store.get(name) and len(store.transitions(name)) == 1


# Where it is, and what it costs


def test_it_is_in_the_home_unless_the_environment_says_otherwise(
    fitting_room_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with RunStore.open() as store:
        store.record("a", "queued", folder=tmp_path / "a", at=1)
    assert (fitting_room_home / "runs.sqlite3").exists()
    monkeypatch.setenv(
        "FITTING_ROOM_DATABASE_URL", f"sqlite:///{tmp_path / 'other file?#%.sqlite3'}".replace("?", "%3F")
    )
    with RunStore.open() as store:
        assert store.runs() == []
    monkeypatch.setenv("FITTING_ROOM_DATABASE_URL", "")
    with RunStore.open() as store:
        assert len(store.runs()) == 1


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_usual_url_of_postgresql_reaches_it(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    monkeypatch.setenv("FITTING_ROOM_DATABASE_URL", scheme + new_postgres().removeprefix("postgresql"))
    with RunStore.open() as store:
        store.record("a", "queued", folder=tmp_path / "a", at=1)
    with RunStore.open() as store:
        assert [run.run_id for run in store.runs()] == ["a"]


def test_the_tables_of_others_in_the_same_database_are_left_alone(
    new_postgres: Callable[[], str], tmp_path: Path
) -> None:
    import psycopg

    url = new_postgres()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE runs AS SELECT 1 AS mine")
        tell(RunStore.open(url), tmp_path / "a", PLAIN)
        assert connection.execute("SELECT mine FROM runs").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "no URL"),
        ("sqlite://", "cannot be kept there"),
        ("sqlite:///:memory:", "cannot be kept there"),
        ("mysql://me:canary@host/name", "cannot be kept there"),
        ("postgresql://me:canary@127.0.0.1:1/name?sslmode=disable", "cannot be used"),
        ("postgresql://me@127.0.0.1:1/name?password=canary", "cannot be used"),
        ("postgresql://me:canary@127.0.0.1:port/name", "no URL"),
        ("sqlite:////no/such/folder/runs.sqlite3", "may not be written"),
    ],
)
def test_an_address_that_is_none_says_what_to_write_and_no_password(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        RunStore.open(url)
    assert "canary" not in str(refused.value) and (refused.value.expected or refused.value.next_step)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"(?s)driver is not installed.*fitting-room\[postgres\]"):
        RunStore.open("postgresql://me@localhost/name")


def test_no_connection_stays_open_between_two_calls(
    store: RunStore, database_url: str, fitting_room_home: Path, tmp_path: Path
) -> None:
    tell(store, tmp_path / "a", PLAIN)
    assert store.runs()
    if database_url.startswith("sqlite"):  # whoever has it open last takes its log away
        assert not list(fitting_room_home.glob("runs.sqlite3-*"))
    else:
        import psycopg

        with psycopg.connect(database_url) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert connection.execute(query).fetchone() == (0,)


def test_what_was_recorded_is_on_the_disk_and_nobody_waits_for_a_reader(tmp_path: Path) -> None:
    from sqlalchemy import Engine, event

    asked: list[Any] = []

    def look(connection: Any) -> None:
        asked.append(
            [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        )

    with RunStore.open(f"sqlite:///{tmp_path / 'runs.sqlite3'}") as store:
        event.listen(Engine, "commit", look)
        try:
            store.record("a", "queued", folder=tmp_path / "a", at=1)
        finally:
            event.remove(Engine, "commit", look)
    assert asked == [["wal", 2]]  # 2 is FULL


def test_importing_it_loads_no_sqlalchemy() -> None:
    code = (
        "import sys, training, training.runs.store as s; s.LEGAL; print({'sqlalchemy', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd(), check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
