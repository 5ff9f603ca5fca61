"""The dataset of a project: saved with each step, checked as the trainer reads it, handed over whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.drafts import (
    BUILT,
    TAKEN,
    Talk,
    add_talk,
    begin_talk,
    change_talk,
    check,
    draft_of,
    export,
    hand_over,
    standing,
    take_in,
)
from app.workspace import Project, Workspace
from dataset_tools import DataError, Example, UsageError
from dataset_tools.building import Conversation, NewRow


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Workspace(tmp_path / "home").create()


def said(text: str, answer: str) -> Any:
    """A change of a conversation: something is said and answered."""
    return lambda talk: talk.send(text, lambda prompts: [answer])


def rows_in(path: Path | None) -> list[dict[str, Any]]:
    assert path is not None
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_conversation_is_saved_with_each_step_and_can_be_undone_after_a_restart(project: Project) -> None:
    assert Talk.load(project) == Talk()
    change_talk(project, said("Hi", "Hello!"))
    change_talk(project, lambda talk: talk.edit_answer("Good day."))
    again = Talk.load(Project.load(project.folder))
    assert [turn.answer for turn in again.conversation.turns] == ["Good day."]
    assert again.conversation.undo().turns[0].answer == "Hello!"


def test_a_new_conversation_keeps_the_system_prompt(project: Project) -> None:
    change_talk(project, lambda talk: talk.with_system("Be kind."))
    change_talk(project, said("Hi", "Hello!"))
    begin_talk(project)
    assert Talk.load(project) == Talk(Conversation().with_system("Be kind."))


@pytest.mark.parametrize("text", ["{", "[]", '{"conversation": 3}', '{"conversation": {"steps": [{"do": "x"}]}}'])
def test_a_damaged_conversation_is_told_and_can_be_begun_anew(project: Project, text: str) -> None:
    change_talk(project, said("Hi", "Hello!"))
    (project.draft_folder / "conversation.json").write_text(text, "utf-8")
    with pytest.raises(DataError):
        Talk.load(project)
    begin_talk(project)
    assert Talk.load(project) == Talk()


def test_a_conversation_is_one_row_however_often_it_is_added_and_its_pairs_are_beside_it(project: Project) -> None:
    draft = draft_of(project)
    change_talk(project, said("Hi", "Hello!"))
    assert standing(Talk.load(project), draft) == "new"
    assert add_talk(project) == "Added to the dataset."
    assert standing(Talk.load(project), draft) == "kept"
    with pytest.raises(UsageError, match="is in the dataset"):
        add_talk(project)

    change_talk(project, lambda talk: talk.edit_answer("Good day.").prefer(1, 0))
    assert standing(Talk.load(project), draft) == "changed"
    assert add_talk(project) == "Brought up to date in the dataset, with 1 preference pair."
    assert [(row.example.completion, len(row.example.rejected)) for row in draft.rows()] == [
        ("Good day.", 0),
        ("Good day.", 1),
    ]
    assert standing(Talk.load(project), draft) == "kept"
    for row in draft.rows():
        draft.delete(row.id)
    assert standing(Talk.load(project), draft) == "new"


def test_a_corrected_conversation_says_that_a_person_corrected_it(project: Project) -> None:
    change_talk(project, said("Hi", "Hello!"))
    change_talk(project, lambda talk: talk.edit_answer("Good day."))
    add_talk(project)
    assert [row.source for row in draft_of(project).rows()] == ["edit"]


def test_the_checks_see_what_is_accepted_and_name_its_rows(project: Project, tmp_path: Path) -> None:
    assert check(project).report is None
    draft = draft_of(project)
    rows = [Example.of(f"What is number {number}?", f"It is {number * number}, of course.") for number in range(12)]
    ids = draft.add_all(rows)
    assert check(project).report is not None
    first = check(project)
    assert (first.report.verdict, first.rows) == ("train", tuple(ids))  # type: ignore[union-attr]
    assert check(project) is first, "nothing changed, so nothing is checked anew"
    draft.add(rows[3])
    draft.set_status(ids[0], "rejected")
    second = check(project)
    found = {finding.check: finding for finding in second.report.findings}  # type: ignore[union-attr]
    duplicates = next(finding for check_id, finding in found.items() if "duplicate" in check_id)
    assert {second.rows[record - 1] for record in duplicates.records} <= {ids[3], draft.rows()[-1].id}
    assert ids[0] not in second.rows


def test_a_row_of_the_test_file_is_found_among_those_that_are_built(project: Project, tmp_path: Path) -> None:
    rows = [Example.of(f"What is number {number}?", f"It is {number * number}, of course.") for number in range(12)]
    test = tmp_path / "cache" / "test.jsonl"
    test.parent.mkdir()
    lines = [{"prompt": row.question, "completion": row.completion} for row in rows[:2]]
    test.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    project = project.add_rows("test", test)
    draft_of(project).add_all(rows)
    report = check(project).report
    assert report is not None
    assert "leak-exact" in {finding.check for finding in report.findings}


def test_the_projects_rows_are_taken_in_once(project: Project, rows_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cache" / "rows.jsonl"
    copy.parent.mkdir()
    copy.write_bytes(rows_file.read_bytes())
    project = project.add_rows("training", copy)
    assert take_in(project) == 48
    assert take_in(project) == 0
    assert {row.tags for row in draft_of(project).rows()} == {(TAKEN,)}


def test_exports_hold_the_accepted_rows_and_no_other_name_is_a_file(project: Project) -> None:
    pair = Example(Example.of("a?", "b").messages, rejected=Example.of("a?", "c").messages[-1:])
    draft_of(project).add_all(
        [Example.of("Where?", "Here."), pair, NewRow(example=Example.of("x", "y"), status="pending")]
    )
    assert rows_in(export(project, "dataset.prompts.jsonl")) == [{"prompt": "Where?", "completion": "Here."}]
    messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]
    assert rows_in(export(project, "dataset.jsonl")) == [{"messages": messages}]
    assert rows_in(export(project, "dataset.preferences.jsonl"))[0]["rejected"] == [
        {"role": "assistant", "content": "c"}
    ]
    assert export(project, "../project.json") is None
    assert export(project, "draft.jsonl") is None


def test_what_is_handed_over_becomes_the_projects_training_rows_and_leaves_nothing_behind(project: Project) -> None:
    with pytest.raises(UsageError, match="no accepted row"):
        hand_over(project)
    draft_of(project).add(Example.of("Where?", "Here."))
    exported = hand_over(project)
    project = project.use_draft(exported.path)
    assert project.training is not None
    assert project.training.name == BUILT
    assert rows_in(project.training_path)[0]["messages"][1]["content"] == "Here."
    assert sorted(file.name for file in project.draft_folder.iterdir()) == ["checked.jsonl", "draft.jsonl"]


def test_a_bundled_example_is_copied_with_its_draft_and_stays_as_it_is(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home")
    example = workspace.open_example("ticket_routing")
    draft_of(example).add(Example.of("Where?", "Here."))
    copy = workspace.copy(example)
    assert (copy.example, copy.title) == (None, "Ticket routing, with your rows")
    assert [row.example.completion for row in draft_of(copy).rows()] == ["Here."]
    draft_of(copy).add(Example.of("When?", "Now."))
    assert len(draft_of(example).rows()) == 1
    assert workspace.open_example("ticket_routing").id == example.id
