"""The store of votes: what raters see and do not see, what is kept, and what a killed server loses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from advisor.human.session import Session, Task
from advisor.human.sources import from_comparison
from advisor.human.store import VotesError, VoteStore
from advisor.human.tables import vote_tables
from advisor.human.votes import KINDS, Vote
from dataset_tools.errors import UsageError
from tests.advisor.human_support import comparison_folder, session, vote, votes_for
from training.runs import store_database
from training.runs.store import RunStore

pytest_plugins = ("tests.training.postgres",)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(database_url: str) -> Iterator[VoteStore]:
    with VoteStore.open(database_url) as opened:
        yield opened


def vote_all(store: VoteStore, session_id: str, rater: str, *, most: int = 10_000) -> list[Vote]:
    given: list[Vote] = []
    while len(given) < most and (tasks := store.tasks(session_id, rater)):
        given.append(store.vote(tasks[0].token, KINDS[len(given) % 5], rater=rater, comment=f"{rater} {len(given)}"))
    return given


def test_a_task_tells_nothing_of_the_arms(store: VoteStore, tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "secret-place", answer=lambda row, name: f"text {row}{name[0]}")
    made = store.add(from_comparison(folder, ["qlora", "zero-shot"], title="qlora or not"))
    tasks = store.tasks(made.id, "ann", count=100)
    assert len(tasks) == 13
    told = json.dumps([asdict(task) for task in tasks])
    for word in ("qlora", "zero-shot", "secret-place", str(tmp_path), made.id, "repeat", "arm"):
        assert word not in told
    assert {field.name for field in fields(Task)} == {"token", "prompt", "left", "right", "questions"}
    left = [task.left for task in tasks]
    assert {text[-1] for text in left} == {"q", "z"}
    with VoteStore.open(f"sqlite:///{tmp_path}/other.sqlite3") as other:
        again = other.add(made) and other.tasks(made.id, "ann", count=100)
    assert [task.left for task in again] == left  # the draw is the session's, the tokens are not
    assert not {task.token for task in tasks} & {task.token for task in again}
    assert all(len(task.token) >= 32 for task in tasks)


def test_a_rater_who_comes_back_goes_on_where_they_left(store: VoteStore, database_url: str) -> None:
    made = store.add(session(10))
    ahead = store.tasks(made.id, "ann", count=3)
    vote_all(store, made.id, "ann", most=2)
    with VoteStore.open(database_url) as later:
        assert later.tasks(made.id, "ann") == [ahead[2]]
        progress = later.progress(made.id, "ann")
    assert (progress.done, progress.of, progress.wanted) == (2, 11, 10)
    assert progress.counted == 2


def test_a_vote_is_kept_with_all_that_was_said_and_which_side_was_which(store: VoteStore) -> None:
    made = store.add(session(5, questions=("Kinder?", "Shorter?")))
    task = store.tasks(made.id, "Zoë \U0001f600")[0]
    words = {"comment": "=1+1 \0 \ud800", "edit": "better"}
    given = store.vote(task.token, "right", rater="Zoë \U0001f600", answers=["left", ""], seconds=3.5, **words)  # type: ignore[arg-type]
    assert store.votes(made.id) == [given]
    assert (given.answers, given.comment, given.edit, given.seconds) == (("left", ""), *words.values(), 3.5)
    assert made.answer(given.item, given.right) == task.right
    assert given.winner == given.right and given.loser == given.left


def test_undo_takes_back_the_last_votes_of_this_rater_alone(store: VoteStore) -> None:
    made = store.add(session(10))
    first, second = store.tasks(made.id, "ann", count=2)
    store.vote(first.token, "left", rater="ann")
    store.vote(second.token, "tie", rater="ann")
    vote_all(store, made.id, "bob", most=1)
    assert store.undo(made.id, "ann") == second
    assert store.undo(made.id, "ann") == first
    assert store.undo(made.id, "ann") is None
    assert [given.rater for given in store.votes(made.id)] == ["bob"]
    assert store.tasks(made.id, "ann") == [first]
    store.vote(first.token, "right", rater="ann")
    assert [given.kind for given in store.votes(made.id)] == ["left", "right"]


def test_a_vote_that_is_sent_twice_counts_once_and_is_not_changed(store: VoteStore) -> None:
    made = store.add(session(5))
    task = store.tasks(made.id, "ann")[0]
    first = store.vote(task.token, "left", rater="ann")
    assert store.vote(task.token, "left", rater="ann") == first
    with pytest.raises(UsageError, match="already"):
        store.vote(task.token, "right", rater="ann")
    assert store.votes(made.id) == [first]


def test_an_edit_and_a_mark_are_kept_with_their_vote_and_go_with_it(store: VoteStore, database_url: str) -> None:
    made = store.add(session(5))
    first, second = store.tasks(made.id, "ann", count=2)
    sent: dict[str, Any] = {"edit": "Much better.", "edited": "right", "bad_label": True, "right_answer": "refund"}
    given = store.vote(first.token, "left", rater="ann", comment="c", **sent)
    store.vote(second.token, "tie", rater="ann")
    later = store.edit(second.token, "left", "Its height is 10.", rater="ann")
    assert (later.kind, later.edit, later.edited, later.number) == ("tie", "Its height is 10.", "left", 2)
    marked = store.mark_label(second.token, rater="ann")
    assert marked.bad_label and marked.right_answer == "" and marked.edit == later.edit
    with VoteStore.open(database_url) as other:
        assert other.votes(made.id) == [given, marked]
    assert {name: getattr(given, name) for name in sent} == sent
    assert store.vote(second.token, "tie", rater="ann") == marked  # the same vote once more takes nothing away
    assert not store.mark_label(second.token, rater="ann", wrong=False).bad_label
    assert store.edit(second.token, "left", "", rater="ann").edited == ""
    assert store.undo(made.id, "ann") == second and store.undo(made.id, "ann") == first
    again = store.vote(first.token, "left", rater="ann")
    assert (again.edit, again.edited, again.bad_label, again.right_answer) == ("", "", False, "")


def test_an_edit_that_changes_nothing_is_none_and_one_without_a_vote_is_refused(store: VoteStore) -> None:
    made = store.add(session(5))
    first, second = store.tasks(made.id, "ann", count=2)
    for call in (
        lambda: store.edit(first.token, "left", "x", rater="ann"),
        lambda: store.mark_label(first.token, rater="ann"),
        lambda: store.vote(first.token, "left", rater="ann", edit="x", edited="middle"),
        lambda: store.vote(first.token, "left", rater="ann", right_answer="x" * 30_000),
        lambda: store.wanted(first.token, rater="bob"),
    ):
        with pytest.raises(UsageError):
            call()
    assert store.vote(first.token, "left", rater="ann", edit=f" {first.left}\n", edited="left").edit == ""
    assert store.edit(first.token, "right", first.left, rater="ann").edited == "right"
    store.vote(second.token, "skip", rater="ann")
    with pytest.raises(UsageError, match="no task"):
        store.edit(second.token, "left", "x", rater="bob")
    store.end(made.id)
    with pytest.raises(UsageError, match="closed"):
        store.edit(second.token, "left", "x", rater="ann")


def test_the_wanted_answer_is_told_to_who_asks_for_it(store: VoteStore, tmp_path: Path) -> None:
    made = store.add(from_comparison(comparison_folder(tmp_path / "c")))
    task = store.tasks(made.id, "ann")[0]
    assert store.wanted(task.token, rater="ann") == f"w{task.prompt[0].content.split()[1]}"


def test_votes_that_were_kept_before_there_were_marks_are_read(store: VoteStore) -> None:
    made = store.add(session(5))
    task = store.tasks(made.id, "ann")[0]
    store.vote(task.token, "left", rater="ann", edit="better")
    old = {"answers": [], "comment": "", "edit": "better"}
    with store_database.transaction(store._engine, writes=True) as connection:
        connection.execute(vote_tables().votes.update().values(said=json.dumps(old)))
    (kept,) = store.votes(made.id)
    assert (kept.edit, kept.edited, kept.bad_label, kept.right_answer) == ("better", "", False, "")
    assert store.mark_label(task.token, rater="ann", right_answer="x").edit == "better"


def test_wrong_votes_are_refused_and_leave_nothing(store: VoteStore) -> None:
    made = store.add(session(5))
    token = store.tasks(made.id, "ann")[0].token
    for call in (
        lambda: store.vote(token, "left", rater="bob"),
        lambda: store.vote("no-such-token", "left", rater="ann"),
        lambda: store.vote(token, "best", rater="ann"),  # type: ignore[arg-type]
        lambda: store.vote(token, "left", rater="ann", answers=["left"]),
        lambda: store.vote(token, "left", rater="ann", comment="x" * 30_000),
        lambda: store.tasks(made.id, ""),
        lambda: store.tasks(made.id, "a\0b"),
        lambda: store.tasks("no-such-session", "ann"),
        lambda: store.votes("a\0b"),
        lambda: store.undo("no-such-session", "ann"),
        lambda: store.add(made),
    ):
        with pytest.raises(UsageError):
            call()
    assert store.votes(made.id) == []


def test_a_closed_session_takes_no_vote_and_gives_no_task(store: VoteStore) -> None:
    made = store.add(session(5))
    token = store.tasks(made.id, "ann")[0].token
    closed = store.end(made.id)
    assert closed.closed is not None and store.end(made.id) == closed == store.session(made.id)
    assert store.tasks(made.id, "ann") == [] == store.tasks(made.id, "new")
    for call in (lambda: store.vote(token, "left", rater="ann"), lambda: store.undo(made.id, "ann")):
        with pytest.raises(UsageError, match="closed"):
            call()


def test_a_session_is_found_by_what_a_user_calls_it(store: VoteStore, tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "c")
    older, newer = store.add(from_comparison(folder)), store.add(from_comparison(folder))
    assert {one.id for one in store.sessions()} == {older.id, newer.id}
    assert store.find(newer.id) == newer == store.find(newer.id[:-1])
    assert store.find(str(folder)).source == str(folder)
    for named in ("", "nothing", newer.id[:8], "a\0b"):
        with pytest.raises(UsageError):
            store.find(named)


def test_ten_raters_at_once_lose_no_vote_and_see_their_own_queue_alone(store: VoteStore, database_url: str) -> None:
    made = store.add(session(12))
    raters = [f"rater {number}" for number in range(10)]

    def rate(rater: str) -> list[Vote]:
        with VoteStore.open(database_url) as own:
            return vote_all(own, made.id, rater)

    with ThreadPoolExecutor(10) as pool:
        given = dict(zip(raters, pool.map(rate, raters), strict=True))
    kept = store.votes(made.id)
    assert [one.number for one in kept] == list(range(1, 131))
    for rater, own in given.items():
        assert [one for one in kept if one.rater == rater] == own
        assert len(own) == 13 and {one.comment.rsplit(" ", 1)[0] for one in own} == {rater}


def test_a_rater_in_two_windows_gets_one_queue(store: VoteStore, database_url: str) -> None:
    made = store.add(session(30))

    def look(_: int) -> list[Task]:
        with VoteStore.open(database_url) as own:
            return own.tasks(made.id, "ann", count=100)

    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(look, range(6)))
    assert all(tasks == seen[0] for tasks in seen) and len(seen[0]) == 33


def test_imported_votes_are_kept_as_they_were_given(store: VoteStore) -> None:
    made = session(4)
    given = [*votes_for([1, -1, 0, 1]), vote(2, "left", number=9, rater="bob", repeat=True, edit="x")]
    store.add(made, given)
    kept = store.votes(made.id)
    assert [one.number for one in kept] == [1, 2, 3, 4, 5]
    assert [(one.item, one.winner, one.rater, one.repeat) for one in kept] == [
        (one.item, one.winner, one.rater, one.repeat) for one in given
    ]


def test_a_deleted_session_takes_its_votes_along(store: VoteStore) -> None:
    made, other = store.add(session(5)), store.add(session(5))
    vote_all(store, made.id, "ann", most=2)
    kept = vote_all(store, other.id, "ann", most=1)
    assert store.delete(made.id) and not store.delete(made.id)
    assert store.sessions() == [other] and store.votes(other.id) == kept


def test_votes_live_on_where_the_index_of_runs_is_damaged_and_made_anew(fitting_room_home: Path) -> None:
    RunStore.open().close()
    with VoteStore.open() as store:
        made = store.add(session(5))
        given = vote_all(store, made.id, "ann")
    (fitting_room_home / "runs.sqlite3").write_bytes(b"no database at all" * 100)
    RunStore.open().close()
    with VoteStore.open() as store:
        assert store.votes(made.id) == given


def test_a_damaged_store_of_votes_is_told_and_left_as_it_is(fitting_room_home: Path) -> None:
    VoteStore.open().close()
    file = fitting_room_home / "votes.sqlite3"
    for name in ("votes.sqlite3-wal", "votes.sqlite3-shm"):
        (fitting_room_home / name).unlink(missing_ok=True)
    file.write_bytes(b"no database at all" * 100)
    with pytest.raises(VotesError, match="damaged") as caught:
        VoteStore.open()
    assert caught.value.where == str(file) and file.read_bytes().startswith(b"no database")
    assert "runs" not in str(caught.value).replace(str(fitting_room_home), "")


_VOTING = """
import sys
from advisor.human.store import VoteStore
store = VoteStore.open()
while True:
    task = store.tasks(sys.argv[1], "ann")[0]
    print("now", task.token, flush=True)
    store.vote(task.token, "left", rater="ann")
    print("done", task.token, flush=True)
"""


def test_a_killed_server_loses_at_most_the_vote_in_flight(fitting_room_home: Path) -> None:
    with VoteStore.open() as store:
        made: Session = store.add(session(300))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", _VOTING, made.id], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(41)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    done = sum(line.startswith("done ") for line in lines)
    with VoteStore.open() as store:
        kept = store.votes(made.id)
        assert done <= len(kept) <= done + 1
        assert [one.number for one in kept] == list(range(1, len(kept) + 1))
        assert len(store.tasks(made.id, "ann", count=1000)) == 330 - len(kept)


def test_what_a_raters_votes_took_is_told_without_the_time_away(store: VoteStore) -> None:
    made = store.add(session(6))
    for seconds in (2.5, 4.0, 9_999.0):
        (task,) = store.tasks(made.id, "ann")
        store.vote(task.token, "tie", rater="ann", seconds=seconds)
    assert store.progress(made.id, "ann").seconds == 306.5 and store.progress(made.id, "bob").seconds == 0.0
