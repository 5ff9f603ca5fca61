"""Labels that are called wrong on the Evaluate page become changes of the dataset: shown first, made, taken back."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from advisor.human import Mark, VoteStore, from_comparison
from app.components.actions import Act
from app.drafts import draft_of
from app.pages.evaluate import EvaluatePage
from app.relabelled import corrections, project_behind, put_right
from app.versions import undone
from app.workspace import Project, Workspace
from dataset_tools import DataError, Message, UsageError, load_examples
from tests.advisor.human_support import comparison_folder

SOURCE = "comparison:20260101-000000-abcdef"
LOOK = (SOURCE, "qlora", "zero-shot", "all", "file", "")


@pytest.fixture
def project(fitting_room_home: Path, tmp_path: Path) -> Project:
    """A project with training and test rows, and a comparison on the test rows."""
    project = Workspace(fitting_room_home).create()
    for role, numbers in (("training", range(10, 20)), ("test", range(10))):
        rows = [{"prompt": f"question {number}", "completion": f"w{number}"} for number in numbers]
        file = tmp_path / f"{role} rows.jsonl"
        file.parent.mkdir(exist_ok=True)  # a folder that is left empty is taken away
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        project = project.add_rows(role, file)  # type: ignore[arg-type]
    folder = comparison_folder(fitting_room_home / "comparisons" / "20260101-000000-abcdef", rows=10)
    (folder / "run.json").write_text(json.dumps({"state": "done", "created": 1.0}))
    asked = {"data": str(project.training_path), "test": str(project.test_path)}
    (folder / "request.json").write_text(json.dumps(asked))
    return project


@pytest.fixture
def page(project: Project, fitting_room_home: Path) -> EvaluatePage:
    import gradio as gr

    page = EvaluatePage(Workspace(fitting_room_home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page


def act(do: str, fields: dict[str, str] | None = None, **data: str) -> Act:
    return Act(do, {"do": do, **data}, fields or {})


def labels(project: Project) -> list[str]:
    assert project.test_path is not None
    return [row.completion for row in load_examples(project.test_path).examples]


def now(page: EvaluatePage, project: Project) -> Project:
    found = page.workspace.project(project.id)
    assert found is not None
    return found


def test_labels_called_wrong_are_shown_as_a_diff_put_right_together_and_undone(
    page: EvaluatePage, project: Project
) -> None:
    held, marks = page.held, ()
    listing = held.choose(SOURCE)[held.listing]
    for row, right in (("3", "first thought"), ("5", "<b>new</b>"), ("3", "the right one")):  # the last word counts
        updates = held.act(act("save-label", {"text": right}, row=row), *LOOK, listing, marks)
        marks = updates[held.marks]
    note = str(updates[held.note])
    assert "2 labels called wrong" in note and "test rows.jsonl" in note and "2 rows get the right answer" in note
    assert "<ins>the right one</ins>" in note and "&lt;b&gt;new" in note and "first thought" not in note
    assert labels(now(page, project)) == labels(project) and draft_of(project).rows() == []  # nothing is changed yet
    done = held.mend(act("put-right"), SOURCE, marks)
    assert "2 labels put right in test rows.jsonl" in done[held.note] and done[held.marks] == ()
    changed = now(page, project)
    assert labels(changed) == ["w0", "w1", "the right one", "w3", "<b>new</b>", *(f"w{at}" for at in range(5, 10))]
    assert changed.training == project.training and labels(undone(changed)) == labels(project)
    with pytest.raises(DataError, match="no label left"):
        held.mend(act("put-right"), SOURCE, (Mark((Message("user", "gone"),), "w", "right"),))
    assert held.mend(act("close"), SOURCE, marks) == {held.note: "", held.marks: ()}


def test_a_row_that_the_projects_files_do_not_have_waits_on_build_as_before(
    page: EvaluatePage, project: Project
) -> None:
    held = page.held
    put_right(project, [Mark((Message("user", "question 2"),), "w2", "changed already")])
    listing = held.choose(SOURCE)[held.listing]
    updates = held.act(act("save-label", {"text": "the right one"}, row="3"), *LOOK, listing, ())
    assert updates[held.marks] == () and "waits among the rows" in updates[held.note]
    (row,) = draft_of(project).rows()
    assert row.status == "pending" and row.example.completion == "the right one"


def test_labels_that_raters_called_wrong_are_put_right_from_the_result(
    page: EvaluatePage, project: Project, fitting_room_home: Path
) -> None:
    folder = fitting_room_home / "comparisons" / "20260101-000000-abcdef"
    votes = page.votes
    with VoteStore.open() as store:
        made = store.add(from_comparison(folder))
        (task,) = store.tasks(made.id, "ann")
        store.vote(task.token, "tie", rater="ann", bad_label=True, right_answer="as it should be")
        wrong = store.session(made.id).items[store.votes(made.id)[0].item]
        with pytest.raises(UsageError):
            votes.act(act("put-right", session=made.id))  # it is open
        store.end(made.id)
    shown: dict[Any, Any] = votes.act(act("open", session=made.id))
    assert "1 row gets the right answer" in shown[votes.view] and "Put right in" in shown[votes.view]
    told = votes.act(act("put-right", session=made.id))[votes.view]
    assert "1 label put right in test rows.jsonl" in told and "See or undo it on Data" in told
    assert labels(now(page, project))[int(wrong.wanted[1:])] == "as it should be"
    assert "votes fixes" in votes.act(act("open", session=made.id))[votes.view]  # nothing is left to change here


def test_test_rows_that_are_trained_on_go_out_of_the_projects_test_rows(
    page: EvaluatePage, project: Project, fitting_room_home: Path
) -> None:
    folder, votes = fitting_room_home / "comparisons" / "20260101-000000-abcdef", page.votes
    told = []
    with VoteStore.open() as store:
        for count in (4, 10):
            made = store.add(from_comparison(folder, ["qlora", "rag"]))
            for _ in range(count):
                (task,) = store.tasks(made.id, "ann")
                store.vote(task.token, "left", rater="ann")
            store.end(made.id)
            offered = votes.act(act("take", session=made.id))[votes.view]
            assert f"They go out of the test rows of {project.title}" in offered
            click = act("train", session=made.id, taken="yes", form="dpo", look="yes")
            if count == 10:
                with pytest.raises(DataError, match="No test row would be left"):
                    votes.act(click)
                break
            for _ in range(2):  # rated answers of the same rows after the pairs: they are out already
                told.append(votes.act(click)[votes.view])
    owner = now(page, project)
    assert len(labels(owner)) == 6 and "4 test rows taken for training" in [change.what for change in owner.history]
    assert len(owner.history) == 1 and labels(undone(owner)) == labels(project)


def test_where_no_project_has_the_rows_nothing_is_planned(fitting_room_home: Path, tmp_path: Path) -> None:
    workspace = Workspace(fitting_room_home)
    assert corrections(None, [Mark((Message("user", "q"),), "w", "x")]) == []
    assert corrections(workspace.create(), [Mark((Message("user", "q"),), "w", "x")]) == []
    assert project_behind(workspace, "") is None and project_behind(workspace, str(tmp_path)) is None
