"""Questions out of a project's documents: each passage once, nothing lost, and an honest account of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.drafts import draft_of
from app.jobs import Job
from app.question_writing import (
    BY_HAND,
    StopWritingError,
    Writing,
    candidates_of,
    drawn,
    outcome,
    picked,
    sources,
    state_now,
    support,
    unread,
    write,
)
from app.workspace import Project, Workspace
from dataset_tools import Message, ModelError
from dataset_tools.building import Generate, QuestionSettings

SETTINGS = QuestionSettings()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Workspace(tmp_path / "home").create()


@pytest.fixture
def bring(tmp_path: Path) -> Callable[[Project, dict[str, str | bytes]], Project]:
    """Upload documents to a project."""

    def upload(project: Project, files: dict[str, str | bytes]) -> Project:
        paths = []
        for number, (name, content) in enumerate(files.items()):
            path = tmp_path / "cache" / str(number) / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            paths.append(path)
        return project.add_draft_documents(paths)

    return upload


def reciting(text: str) -> Generate:
    """A model that always says the same."""
    return lambda prompts: [text for _ in prompts]


def run(project: Project, generate: Generate, job: Job | None = None, count: int = 99) -> Writing:
    job, found = job or Job(), sources(project)
    write(project, job, generate, chosen=drawn(unread(project, found), count), settings=SETTINGS, model="m")
    job.state = "done"
    return state_now(project, job)


def test_documents_are_named_as_the_user_named_them_and_what_cannot_be_read_says_why(
    project: Project, bring: Callable[..., Project], kettle: str
) -> None:
    project = bring(project, {"My kettle.md": kettle, "photo.png": b"\x89PNG", "page.html": "<p>Some text here.</p>"})
    found = sources(project)
    assert [(source.stored.name, len(source.sections), source.kind) for source in found] == [
        ("My kettle.md", 1, "markdown"),
        ("photo.png", 0, ""),
        ("page.html", 1, "html"),
    ]
    assert found[0].sections[0].where.startswith("My kettle.md, line 3")
    assert "not read: .png" in found[1].problems[0]
    gone = project.remove_draft_document(found[2].stored.file).remove_draft_document("../../project.json")
    assert [source.stored.name for source in sources(gone)] == ["My kettle.md", "photo.png"]


def test_candidates_come_with_their_reasons_and_the_account_is_honest(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    project = bring(project, {"kettle.md": kettle})
    state = run(project, reciting(recited))
    rows = candidates_of(draft_of(project).rows())
    assert [row.status for row in rows] == ["pending", "rejected", "rejected"]
    assert (state.state, state.done, state.total, state.model) == ("done", 1, 1, "m")
    assert outcome(rows) == (
        "3 candidates so far: 0 accepted, 1 waiting for you, 2 rejected "
        "(1 are not supported by the passage, 1 speak of the passage, which nobody will see)."
    )
    draft_of(project).set_status(rows[0].id, "rejected", reason=BY_HAND)
    assert outcome(draft_of(project).rows()).endswith("nobody will see, 1 by you).")


def test_a_passage_is_asked_about_once_also_after_a_restart(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    project = bring(project, {f"{number}.md": kettle.replace("kettle", f"kettle{number}") for number in range(6)})
    run(project, reciting(recited), count=2)
    again = Project.load(project.folder)
    left = unread(again, sources(again))
    assert len(left) == 4
    asked: list[str] = []

    def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
        asked.extend(prompt[-1].content for prompt in prompts)
        return ["" for _ in prompts]

    state = run(again, generate)
    assert [any(section.text in prompt for prompt in asked) for section in left] == [True] * 4
    assert (len(asked), state.empty) == (4, 4)
    assert unread(again, sources(again)) == []


def test_stopping_keeps_what_was_read_and_the_rest_is_left_for_later(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    project = bring(project, {f"{number}.md": kettle.replace("kettle", f"kettle{number}") for number in range(6)})
    job = Job()

    def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
        job.stop()
        return [recited for _ in prompts]

    state = run(project, generate, job)
    assert (state.state, state.done, state.total) == ("stopped", 4, 6)
    assert len(unread(project, sources(project))) == 2
    assert candidates_of(draft_of(project).rows())


def test_stopping_at_once_leaves_the_passages_of_that_batch_for_later(
    project: Project, bring: Callable[..., Project], kettle: str
) -> None:
    project = bring(project, {"kettle.md": kettle})

    def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
        raise StopWritingError

    assert run(project, generate).state == "stopped"
    assert len(unread(project, sources(project))) == 1


def test_an_error_of_the_model_is_told_and_loses_nothing(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    project = bring(project, {f"{number}.md": kettle.replace("kettle", f"kettle{number}") for number in range(6)})
    calls: list[int] = []

    def generate(prompts: Sequence[Sequence[Message]]) -> list[str]:
        calls.append(len(prompts))
        if len(calls) > 1:
            raise ModelError("the model is gone")
        return [recited for _ in prompts]

    with pytest.raises(ModelError):
        run(project, generate)
    state = state_now(project, None)
    assert (state.state, state.done, (state.error or {}).get("what")) == ("failed", 4, "the model is gone")
    assert len(unread(project, sources(project))) == 2


def test_a_run_that_no_server_works_on_any_more_was_interrupted(project: Project) -> None:
    Writing(state="running", done=2, total=5).save(project)
    assert state_now(project, None).state == "interrupted"
    assert state_now(project, Job(done=3, total=5)).done == 3


def test_support_is_that_of_the_check(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    from dataset_tools.building import write_questions

    project = bring(project, {"kettle.md": kettle})
    run(project, reciting(recited))
    found = write_questions(sources(project)[0].sections, reciting(recited)).candidates
    assert [round(support(row), 3) for row in draft_of(project).rows()] == [one.support for one in found]


def test_a_filter_picks_by_status_reason_and_support(
    project: Project, bring: Callable[..., Project], kettle: str, recited: str
) -> None:
    project = bring(project, {"kettle.md": kettle})
    run(project, reciting(recited))
    rows = candidates_of(draft_of(project).rows())
    assert picked(rows, status="pending") == rows[:1]
    assert picked(rows, reason="unsupported") == rows[1:2]
    assert rows[1] not in picked(rows, least_support=0.9)
    assert picked(rows) == rows
