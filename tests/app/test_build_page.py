"""What the Build page does when it is used, without a browser: the same functions, called as it calls them."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.components.actions import Act
from app.drafts import Talk, draft_of
from app.jobs import Job
from app.pages.build.page import BuildPage, Listing, View
from app.pages.build.rows import new_row, rows_like, save_row
from app.workspace import Project, Workspace
from dataset_tools import Example, UsageError
from dataset_tools.building import NewRow

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def page(tmp_path: Path, reciting_model: Path, monkeypatch: pytest.MonkeyPatch) -> BuildPage:
    import gradio as gr

    monkeypatch.setenv("FITTING_ROOM_MODEL", str(reciting_model))
    page = BuildPage(Workspace(tmp_path / "home"))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    # Outside a loop, Gradio makes some that it never closes; in this thread a browser test may have left one running.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, build()).result()
    return page


def act(do: str, fields: dict[str, str] | None = None, **data: str) -> Act:
    return Act(do, {"do": do, **data}, fields or {})


def settled(page: BuildPage, view: View) -> dict[Any, Any]:
    """What the page shows once nothing goes on any more."""
    while any(page.jobs.running(page.key(view, kind)) for kind in ("chat", "questions")):
        time.sleep(0.02)
    return page.look(view)


def the_project(page: BuildPage) -> Project:
    (project,) = page.workspace.projects()
    return project


def test_a_chat_is_answered_in_the_background_corrected_and_kept(page: BuildPage, recited: str) -> None:
    view: View = page.chat.begin(View(), "What of the <kettle>?", "Be kind.", "base")[page.view]
    shown = settled(page, view)
    assert recited.splitlines()[0] in shown[page.chat.talk]
    assert "&lt;kettle&gt;" in shown[page.chat.talk]
    page.chat.act(act("save-answer", {"text": "Two years."}, turn="0"), view, "base")
    page.chat.act(act("worse", turn="0", answer="0"), view, "base")
    page.chat.keep(view, "Be kind.")
    rows = draft_of(the_project(page)).rows()
    assert [message.content for message in rows[0].example.messages] == [
        "Be kind.",
        "What of the <kettle>?",
        "Two years.",
    ]
    assert rows[1].example.rejected[0].content == recited
    page.chat.take_back(view)
    assert Talk.load(the_project(page)).conversation.turns[0].worse is None
    page.chat.begin_anew(view)
    assert Talk.load(the_project(page)).conversation.turns == ()
    assert len(draft_of(the_project(page)).rows()) == 2


def test_another_answer_stands_beside_the_first(page: BuildPage, recited: str) -> None:
    view: View = page.chat.begin(View(), "Hi", "", "base")[page.view]
    settled(page, view)
    page.chat.act(act("regenerate", turn="0"), view, "base")
    settled(page, view)
    assert [answer.text for answer in Talk.load(the_project(page)).conversation.turns[0].answers] == [recited] * 2


def test_while_an_answer_is_written_nothing_else_changes_the_conversation(page: BuildPage) -> None:
    view = View(project=page.workspace.create().id)
    go = threading.Event()
    job = page.jobs.start(page.key(view, "chat"), Job(what="Hi"), lambda job: go.wait(60) and None)
    job.text = "so far"
    assert "so far" in page.open()[page.chat.talk], "a page that is opened meanwhile shows it too"
    for refused in (
        lambda: page.chat.begin(view, "More", "", "base"),
        lambda: page.chat.take_back(view),
        lambda: page.chat.keep(view, ""),
        lambda: page.chat.act(act("edit-answer", turn="0"), view, "base"),
    ):
        with pytest.raises(UsageError, match="still answering"):
            refused()
    go.set()
    settled(page, view)


def test_an_answer_that_fails_is_told_and_the_words_come_back(
    page: BuildPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tmp_path / "no-such-model"))
    view: View = page.chat.begin(View(), "Hi", "", "base")[page.view]
    shown = settled(page, view)
    assert "fr-bad" in shown[page.chat.talk]
    assert shown[page.chat.text] == "Hi"
    assert Talk.load(the_project(page)).conversation.turns == ()


@pytest.mark.parametrize("text", ["", "  \n "])
def test_nothing_is_sent_where_nothing_was_said(page: BuildPage, text: str) -> None:
    with pytest.raises(UsageError, match="nothing to send"):
        page.chat.begin(View(), text, "", "base")
    assert page.workspace.projects() == []


@pytest.mark.parametrize("turn", ["7", "", "x"])
@pytest.mark.parametrize("do", ["regenerate", "choose", "better", "save-answer"])
def test_a_turn_that_is_not_there_is_refused(page: BuildPage, do: str, turn: str) -> None:
    view: View = page.chat.begin(View(), "Hi", "", "base")[page.view]
    settled(page, view)
    with pytest.raises(UsageError):
        page.chat.act(act(do, {"text": "x"}, turn=turn, answer="0"), view, "base")


def test_documents_become_candidates_that_are_accepted_one_by_one_and_by_filter(
    page: BuildPage, tmp_path: Path, kettle: str
) -> None:
    upload = tmp_path / "cache" / "kettle.md"
    upload.parent.mkdir()
    upload.write_text(kettle, "utf-8")
    view: View = page.documents.take(View(), [str(upload)])[page.view]
    page.documents.begin(view, "20", 3, False, "base")
    shown = settled(page, view)
    assert "3 candidates so far" in shown[page.documents.outcome]
    assert 'data-state="done"' in shown[page.documents.progress]
    draft = draft_of(the_project(page))
    pending, wrong, mention = draft.rows()

    page.documents.act(act("accept", row=pending.id), view)
    view = page.documents.filter(view, "rejected", "unsupported", 0)[page.view]
    page.documents.accept(view)
    assert [draft.row(row.id).status for row in (pending, wrong, mention)] == ["accepted", "accepted", "rejected"]
    page.take_back(view)
    assert (draft.row(wrong.id).status, draft.row(wrong.id).reason) == ("rejected", wrong.reason)
    view = page.documents.filter(view, "accepted", "", 50)[page.view]
    page.documents.reject(view)
    assert draft.row(pending.id).status == "rejected"
    with pytest.raises(UsageError):
        page.documents.act(act("accept", row="no-such-row"), view)


def test_undo_waits_while_questions_are_written(page: BuildPage) -> None:
    project = page.workspace.create()
    view = View(project=project.id)
    draft_of(project).add(Example.of("Where?", "Here."))
    go = threading.Event()
    page.jobs.start(page.key(view, "questions"), Job(), lambda job: go.wait(60) and None)
    with pytest.raises(UsageError, match="being written"):
        page.take_back(view)
    go.set()
    settled(page, view)
    page.take_back(view)
    assert draft_of(project).rows() == []


def test_a_row_is_written_corrected_tagged_and_deleted_by_hand(page: BuildPage) -> None:
    fields = {"system": " ", "prompt": "Where?\r\nAnd when?", "answer": "Here.", "tags": "b, a,,a"}
    view: View = page.rows.act(act("save", fields, row="new"), View())[page.view]
    draft = draft_of(the_project(page))
    (row,) = draft.rows()
    assert (row.example.messages[0].content, row.tags, row.source) == ("Where?\nAnd when?", ("a", "b"), "hand")
    page.rows.act(act("save", {"m1": "There.", "tags": "c"}, row=row.id), view)
    assert (draft.row(row.id).example.completion, draft.row(row.id).tags) == ("There.", ("c",))
    page.rows.act(act("delete", row=row.id), view)
    assert draft.rows() == []
    page.take_back(view)
    assert len(draft.rows()) == 1


@pytest.mark.parametrize("fields", [{"prompt": "x"}, {"answer": "x"}, {"prompt": " ", "answer": "x"}])
def test_half_a_row_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is missing"):
        new_row(act("save", fields))


def test_a_message_is_not_emptied_and_what_has_no_field_stays(tmp_path: Path) -> None:
    draft = draft_of(Workspace(tmp_path).create())
    row_id = draft.add(NewRow(example=Example.of("Where?", "Here."), tags=("a",)))
    with pytest.raises(UsageError, match="is empty"):
        save_row(draft, act("save", {"m1": " "}, row=row_id))
    save_row(draft, act("save", {"m0": "When?", "tags": "a"}, row=row_id))
    assert draft.row(row_id).example == Example.of("When?", "Here.")


def test_rows_are_found_by_search_status_and_tag_newest_first(page: BuildPage) -> None:
    project = page.workspace.create()
    view = View(project=project.id)
    draft = draft_of(project)
    draft.add_all([NewRow(example=Example.of(f"Question {number}", "Answer"), tags=("t",)) for number in range(3)])
    draft.add(NewRow(example=Example.of("Other", "Answer"), status="pending"))
    shown = page.rows.filter(view, "question", "accepted", "t")[page.rows.list]
    assert shown.index("Question 2") < shown.index("Question 0")
    assert "Other" not in shown
    assert "No row fits" in page.rows.filter(view, "no such words", "", "")[page.rows.list]


def test_a_finding_shows_its_rows(page: BuildPage) -> None:
    project = page.workspace.create()
    rows = [Example.of(f"What is number {number}?", f"It is {number * number}, of course.") for number in range(12)]
    draft_of(project).add_all([*rows, rows[5]])
    shown = page.show(View(project=project.id))
    check = str(shown[page.panel]).split('data-check="')[1].split('"')[0]
    listed = page.act(act("show", check=check), View(project=project.id))[page.rows.list]
    assert "What is number 5?" in listed
    assert "What is number 4?" not in listed


def test_other_training_rows_are_replaced_only_when_that_is_said(
    page: BuildPage, rows_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "cache" / "rows.jsonl"
    copy.parent.mkdir()
    copy.write_bytes(rows_file.read_bytes())
    project = page.workspace.create().add_rows("training", copy)
    view = View(project=project.id)
    draft_of(project).add(Example.of("Where?", "Here."))
    assert "rows.jsonl (48 rows)" in page.hand_over(view)[page.note]
    assert the_project(page).training == project.training
    page.act(act("take-in"), view)
    page.act(act("replace"), view)
    assert len(the_project(page).training_path.read_text("utf-8").splitlines()) == 49
    draft_of(project).add(Example.of("When?", "Now."))
    assert "50 rows" in page.hand_over(view)[page.note], "what was built here is replaced without asking"


def test_a_bundled_example_is_not_changed_by_what_is_built_on_it(page: BuildPage) -> None:
    example = page.workspace.open_example("ticket_routing")
    before = example.training_path.read_bytes()
    draft_of(example).add(Example.of("Where?", "Here."))
    view: View = page.hand_over(View(project=example.id))[page.view]
    assert view.project != example.id
    assert example.training_path.read_bytes() == before
    own = page.existing(view)
    assert json.loads(own.training_path.read_text("utf-8"))["messages"][0]["content"] == "Where?"


def test_a_page_of_a_project_that_is_gone_shows_no_other_ones_rows(page: BuildPage) -> None:
    project = page.workspace.create()
    draft_of(project).add(Example.of("A secret?", "Of somebody else."))
    for gone in ("", "no-such-project", f"../{project.id}"):
        view = View(project=gone)
        assert "secret" not in str(page.show(view)[page.rows.list])
        with pytest.raises(UsageError):
            page.take_back(view)
    other: View = page.begin_another(View(project=project.id))[page.view]
    assert "secret" not in str(page.show(other)[page.rows.list])
    page.rows.act(act("save", {"prompt": "Mine?", "answer": "Yes."}, row="new"), other)
    assert [row.example.question for row in draft_of(project).rows()] == ["A secret?"]


def test_a_model_that_is_not_in_the_list_is_refused(page: BuildPage, reciting_model: Path) -> None:
    assert page.chosen("base")[:2] == (str(reciting_model), None)
    with pytest.raises(UsageError, match="no such tuned model"):
        page.chosen("../../etc")


@pytest.mark.slow
def test_rows_like_one_are_found_by_meaning(page: BuildPage) -> None:
    project = page.workspace.create()
    wanted, *_ = draft_of(project).add_all(
        [
            Example.of("How long may I bring goods back?", "For 30 days."),
            Example.of("Which colours are there?", "Red and blue."),
            Example.of("What is the deadline for returns?", "A month."),
        ]
    )
    found, how = rows_like(draft_of(project), wanted)
    assert how == "meaning"
    assert found[0][0].example.completion == "A month."
    view = View(project=project.id, rows=replace(Listing(), like=wanted, title="How long"))
    assert "by meaning" in page.rows.compare(view)[page.rows.list]
