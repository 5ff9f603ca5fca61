"""What the tab of blind votes does when it is used, without a browser: the same functions, called as it calls them."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from advisor.human import VoteStore
from app.components.actions import Act
from app.pages.evaluate import EvaluatePage
from app.pages.train.outlook import objectives_of
from app.pages.votes import VotesSection
from app.pages.votes.files import session_file
from app.workspace import Workspace
from dataset_tools import DataError, UsageError, load_examples
from tests.advisor.human_support import comparison_folder

NAMES = ("qlora", "rag", "zero-shot")


@pytest.fixture
def home(fitting_room_home: Path) -> Path:
    folder = comparison_folder(fitting_room_home / "comparisons" / "20260101-000000-abcdef")
    (folder / "run.json").write_text(json.dumps({"state": "done", "created": 1.0}))
    return fitting_room_home


@pytest.fixture
def page(home: Path) -> VotesSection:
    import gradio as gr

    page = EvaluatePage(Workspace(home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page.votes


@pytest.fixture
def session(page: VotesSection) -> str:
    page.start("20260101-000000-abcdef", ["qlora", "rag"], "Towers", "9", "Friendlier?\n\n Shorter? ")
    return page.store.sessions()[0].id


def act(do: str, fields: dict[str, str] | None = None, **data: str) -> Act:
    return Act(do, {"do": do, **data}, fields or {})


def shown(page: VotesSection, updates: dict[Any, Any]) -> str:
    return str(updates[page.view])


def tokens(text: str) -> list[str]:
    return re.findall('data-task="([^"]+)"', text)


def send(
    page: VotesSection, session: str, *kinds: tuple[str, str], do: str = "vote", rater: str = "ann", done: str = ""
) -> str:
    votes = [{"token": token, "kind": kind, "comment": "c", "answers": ["left", ""]} for token, kind in kinds]
    given = {"session": session, "rater": rater, "votes": json.dumps(votes), "batch": "b", "done": done}
    return shown(page, page.act(act(do, None, **given)))


def join(page: VotesSection, session: str, rater: str = "ann") -> str:
    return shown(page, page.act(act("join", {"rater": rater}, session=session)))


def test_the_form_offers_finished_comparisons_and_ticks_the_two_best(page: VotesSection) -> None:
    updates = page.open()
    (choice,) = updates[page.form.comparison].choices
    assert choice[1] == "20260101-000000-abcdef"
    arms = updates[page.form.arms]
    assert arms.value == ["qlora", "rag"] and [name for _, name in arms.choices] == ["qlora", "rag", "zero-shot"]


def test_a_started_session_asks_for_a_name_and_leaves_no_arm_on_the_page(page: VotesSection) -> None:
    updates = page.start("20260101-000000-abcdef", [], "", "", "")
    (made,) = page.store.sessions()
    assert f"session={made.id}" in shown(page, updates) and 'name="rater"' in shown(page, updates)
    assert updates[page.form.arms].choices == [] and updates[page.form.comparison].choices == []
    assert made.arms == ("qlora", "rag") and made.held_out and len(made.items) == 12
    page.start("20260101-000000-abcdef", [], "", "", "", "5")
    assert len(page.store.sessions()[0].items) == 5 == page.store.sessions()[0].votes_wanted


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (("nothing", [], "", "", ""), UsageError),
        (("20260101-000000-abcdef", ["qlora"], "", "", ""), UsageError),
        (("20260101-000000-abcdef", [], "", "many", ""), UsageError),
        (("20260101-000000-abcdef", [], "", "", "", "few"), UsageError),
        (("20260101-000000-abcdef", [], "", "", "1\n2\n3\n4\n5\n6"), UsageError),
        (("20260101-000000-abcdef", ["qlora", "none"], "", "", ""), UsageError),
    ],
)
def test_what_makes_no_session_is_told(page: VotesSection, values: Any, error: type[Exception]) -> None:
    with pytest.raises((error, DataError)):
        page.start(*values)
    assert page.store.sessions() == []


def test_votes_are_kept_and_the_next_three_items_come_with_the_reply(page: VotesSection, session: str) -> None:
    first = tokens(join(page, session))
    assert len(first) == 3
    after = send(page, session, (first[0], "left"), (first[1], "tie"))
    assert tokens(after)[0] == first[2] and len(tokens(after)) == 3 and 'data-batch="b"' in after
    assert [vote.kind for vote in page.store.votes(session)] == ["left", "tie"]
    assert page.store.votes(session)[0].answers == ("left", "") and page.store.votes(session)[0].comment == "c"
    assert tokens(send(page, session, (first[0], "left"))) == tokens(after)  # once more is no error, and no vote
    assert not any(name in after for name in NAMES)


def test_an_edit_and_a_wrong_label_are_kept_with_the_vote_and_told_at_the_end(page: VotesSection, session: str) -> None:
    shown_first = join(page, session)
    assert re.findall(r"Wanted, as the label says</span></small><div>(w\d+)</div>", shown_first)
    first = tokens(shown_first)
    votes = [
        {"token": first[0], "kind": "left", "edit": "a better answer", "edited": "left", "bad_label": True},
        {"token": first[1], "kind": "tie", "edit": "no side", "edited": "above", "bad_label": "yes"},
        {"token": first[2], "kind": "skip", "bad_label": True, "right_answer": "w-right"},
    ]
    page.act(act("vote", None, session=session, rater="ann", votes=json.dumps(votes), batch="b"))
    kept = page.store.votes(session)
    assert [(vote.edit, vote.edited, vote.bad_label) for vote in kept] == [
        ("a better answer", "left", True),
        ("", "", False),
        ("", "", True),
    ]
    ended = shown(page, page.act(act("end", session=session, rater="ann")))
    assert "2 labels called wrong" in ended and "w-right" in ended and "sft.jsonl" not in ended
    taken = shown(page, page.act(act("take", session=session)))
    assert "sft-with-test-rows.jsonl" in taken
    assert b"a better answer" in (session_file(page.store, session, "sft-with-test-rows.jsonl") or b"")


def test_undo_brings_the_last_item_back_and_is_done_once(page: VotesSection, session: str) -> None:
    first = tokens(join(page, session))
    send(page, session, (first[0], "left"), (first[1], "right"))
    for _ in range(2):
        assert tokens(send(page, session, do="undo", done="2"))[0] == first[1]
    assert [vote.kind for vote in page.store.votes(session)] == ["left"]


def test_a_refused_vote_is_told_and_the_others_are_kept(page: VotesSection, session: str) -> None:
    first = tokens(join(page, session))
    votes = [
        {"token": "no-such", "kind": "left"},
        {"token": first[0], "kind": "best"},
        {"token": first[1], "kind": "tie"},
    ]
    given = {"session": session, "rater": "ann", "votes": json.dumps([*votes, 7, {"token": 1}]), "batch": "b"}
    updates = page.act(act("vote", None, **given))
    assert "no kind of vote" in str(updates[page.notice]) and tokens(shown(page, updates))[0] == first[0]
    assert [vote.kind for vote in page.store.votes(session)] == ["tie"]
    assert "data-voting" in shown(page, page.act(act("vote", None, **(given | {"votes": "{"}))))


def test_raters_have_queues_of_their_own(page: VotesSection, session: str) -> None:
    ann, bob = tokens(join(page, session)), tokens(join(page, session, "bob"))
    assert not set(ann) & set(bob)
    send(page, session, (ann[0], "left"), rater="bob")
    assert page.store.votes(session) == []
    with pytest.raises(UsageError, match="no name"):
        join(page, session, "  ")


def test_nothing_is_revealed_or_downloaded_before_the_end(page: VotesSection, session: str) -> None:
    first = tokens(join(page, session))
    send(page, session, (first[0], "left"))
    asked = shown(page, page.act(act("standing", session=session, rater="ann")))
    assert "more votes" in asked and 'data-do="end"' in asked
    early = [asked, *(shown(page, page.act(act(do, session=session))) for do in ("take", "open"))]
    assert not any(name in text for text in early for name in NAMES)
    assert session_file(page.store, session, "votes.csv") is None
    with pytest.raises(UsageError):
        page.act(act("train", session=session, taken="yes"))
    assert page.store.session(session).closed is None


def test_a_closed_session_is_revealed_and_its_pairs_become_rows_of_a_project(
    page: VotesSection, session: str, home: Path
) -> None:
    for _ in range(3):
        send(page, session, *((token, "left") for token in tokens(join(page, session))))
    ended = shown(page, page.act(act("end", session=session, rater="ann")))
    assert "qlora" in ended and "rag" in ended and "Which was which" in ended and "dpo" not in ended
    assert (
        session_file(page.store, session, "dpo.jsonl") == b"" and session_file(page.store, session, "run.json") is None
    )
    for name in ("votes.csv", "votes.jsonl"):
        assert b"qlora" in (session_file(page.store, session, name) or b"") and name in ended
    taken = shown(page, page.act(act("take", session=session)))
    assert "dpo-with-test-rows.jsonl" in taken and "replace them in the test set" in taken
    led = shown(page, page.act(act("train", session=session, taken="yes", look="yes")))
    (project,) = Workspace(home).projects()
    assert f"/train?project={project.id}&amp;objective=dpo&amp;votes={session}" in led and "data-go" in led
    rows = load_examples(project.training_path).examples
    assert len(rows) == len((session_file(page.store, session, "dpo-with-test-rows.jsonl") or b"").splitlines()) > 0
    assert all(row.rejected for row in rows)
    rated = shown(page, page.act(act("train", session=session, taken="yes", form="kto", look="yes")))
    newest = Workspace(home).projects()[0]
    assert f"/train?project={newest.id}&amp;objective=kto&amp;votes={session}" in rated
    assert not objectives_of(newest.training_path)["kto"]  # it can be chosen there: both thumbs are read
    assert "data-voting" not in send(page, session, ("any", "left"))  # a page that is still open shows the result


def test_an_unknown_session_in_an_act_is_an_error_and_an_unknown_act_does_nothing(page: VotesSection) -> None:
    for do in ("open", "standing", "end", "take", "train", "vote", "undo"):
        with pytest.raises(UsageError):
            page.act(act(do, session="no-such", rater="ann"))
    assert page.act(act("drop")) == {}


def test_the_list_shows_how_far_each_session_is(page: VotesSection, session: str) -> None:
    send(page, session, (tokens(join(page, session))[0], "both_bad"))
    listed = shown(page, page.act(act("home")))
    assert "Towers" in listed and "1 of 9" in listed and not any(name in listed for name in NAMES)
    with VoteStore.open() as store:
        store.delete(session)
    assert "No session yet" in shown(page, page.home())
