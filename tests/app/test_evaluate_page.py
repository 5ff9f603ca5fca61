"""What the Evaluate page does when it is used, without a browser: the same functions, called as it calls them."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.asking import Asking
from app.components.actions import Act
from app.drafts import draft_of
from app.models import Models
from app.pages.evaluate import EvaluatePage
from app.pages.evaluate.side_by_side import first_choice
from app.speakers import ENDPOINT, Speakers
from app.talks import Talk, kept_talk
from app.workspace import Project, Workspace
from dataset_tools import Message, UsageError
from tests.advisor.test_endpoint import Server, completion
from tests.app.test_held_out import write
from tests.training.export_support import HELD_OUT, tiny_run
from training.runs.checkpoints import seal
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

pytestmark = pytest.mark.usefixtures("one_thread")
TUNED = "20260101-000000-abcdef"
ASKED = (Message("user", "What is the colour of the house?"),)


@pytest.fixture(scope="module")
def models() -> Models:
    """Loaded once for all tests of the file."""
    return Models()


@pytest.fixture(autouse=True)
def _short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model ends no answer by itself."""
    monkeypatch.setattr("app.models.MOST_STREAMED", 24)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A tuned run with a checkpoint, made once."""
    run = tiny_run(tmp_path_factory.mktemp("made") / TUNED, tiny_model, scale=0.5)
    status = run.status() | {"model": str(tiny_model), "created": 2.0, "rows": 8}
    (run.path / "run.json").write_text(json.dumps(status))
    kept = run.checkpoints / "checkpoint-2"
    kept.mkdir(parents=True)
    for file in run.adapter.glob("adapter_*"):
        (kept / file.name).write_bytes(file.read_bytes())
    (kept / "optimizer.pt").write_bytes(b"only for going on")
    seal(kept, inputs={})
    return run


@pytest.fixture
def tuned(made: RunFolder, fitting_room_home: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    runs_folder().mkdir(parents=True, exist_ok=True)
    (runs_folder() / TUNED).symlink_to(made.path, target_is_directory=True)
    return RunFolder(runs_folder() / TUNED)


@pytest.fixture
def page(tuned: RunFolder, fitting_room_home: Path, models: Models) -> EvaluatePage:
    import gradio as gr

    page = EvaluatePage(Workspace(fitting_room_home), models)

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page


def act(do: str, fields: dict[str, str] | None = None, **data: str) -> Act:
    return Act(do, {"do": do, **data}, fields or {})


def ask(
    page: EvaluatePage, talk: Talk, ids: list[str], text: str, project: str = "", **more: str
) -> list[dict[Any, Any]]:
    return list(page.side.ask(talk, project, ids, more.get("url", ""), more.get("model", ""), text))


def base(tiny_model: Path) -> str:
    return f"base:{tiny_model}"


def prompted(home: Path, data: Path, **row: Any) -> RunFolder:
    """A finished comparison in which a prompt was the best."""
    folder = home / "comparisons" / "20260102-000000-abcdef"
    run = write(folder)
    told = [
        {"name": "zero-shot", "title": "Zero-shot", "score": 0.2, "skipped": None},
        {"name": "few-shot@endpoint", "title": "Elsewhere", "score": 0.9, "skipped": None},
        {"name": "classifier", "title": "Classifier", "score": 0.9, "skipped": None},
        {"name": "qlora", "title": "Fine-tuned", "score": 0.8, "skipped": None},
        {"skipped": None, "score": 0.5, **row},
    ]
    (folder / "result.json").write_text(json.dumps({"arms": told}))
    (folder / "request.json").write_text(json.dumps({"data": str(data), "limit": 6}))
    (folder / "arms").mkdir()
    (folder / "arms" / "plan.json").write_text(json.dumps({"tuning_answers": 60}))
    return run


def test_an_opened_page_lays_the_tuned_model_beside_the_base_and_offers_all_that_can_answer(
    page: EvaluatePage, tiny_model: Path
) -> None:
    updates = page.open()
    who = updates[page.side.who]
    assert who.value == [base(tiny_model), f"run:{TUNED}"]
    ids = [value for _, value in who.choices]
    assert ids == [base(tiny_model), f"run:{TUNED}", f"step:{TUNED}:2", ENDPOINT]
    assert f"run={TUNED}" not in updates[page.header] and "Measure all approaches" in updates[page.next]
    assert updates[page.nothing] == "" and updates[page.held.source].value == f"run:{TUNED}"


def test_the_best_prompt_is_preferred_to_the_bare_base() -> None:
    known = ["base:a", "best:c", "run:new", "run:old"]
    assert first_choice(known, None) == ["best:c", "run:new"] and first_choice(known, "old") == ["best:c", "run:old"]
    assert first_choice(["base:a", "best:c"], None) == ["base:a", "best:c"] and first_choice([], None) == []


def test_several_turns_stream_into_all_panes_and_nothing_can_be_kept_before_all_are_there(
    page: EvaluatePage, tiny_model: Path
) -> None:
    ids = [base(tiny_model), f"run:{TUNED}", f"step:{TUNED}:2"]
    steps = ask(page, Talk(), ids, "What is the colour of the house?")
    first = str(steps[0][page.side.panes])
    assert steps[0][page.side.send].visible is False and "data-pane" in first
    assert all(
        "<button" not in part or " disabled" in part for part in str(steps[0][page.side.panes]).split("</button>")
    )
    talk = steps[-1][page.side.talk]
    shown = str(steps[-1][page.side.panes])
    assert shown.count('data-state="done"') == 3 and " disabled" not in shown
    assert shown.count(" tokens · ") == 3 and ("cut off at the limit" in shown or "ended by itself" in shown)
    said = [pane.text for pane in talk.turns[0].panes]
    assert said[0] != said[1] and said[1] == said[2]  # the checkpoint has the same weights
    again = ask(page, talk, ids, "And the river?")[-1][page.side.talk]
    assert len(again.turns) == 2
    heard = again.heard(1, "next")
    assert [message.role for message in heard] == ["user", "assistant", "user", "assistant", "user"]
    assert heard[1].content == said[1] and heard[2].content == "And the river?"
    back = page.side.take_back(again, "")
    assert len(back[page.side.talk].turns) == 1 and back[page.side.text] == "And the river?"
    assert page.side.begin_anew(again, "")[page.side.talk].turns == ()
    other = ask(page, again, ids[:2], "Anew?")[-1][page.side.talk]
    assert len(other.turns) == 1  # others answer: a new conversation


def test_a_page_that_is_loaded_anew_shows_the_conversation_until_a_new_one_is_begun(
    page: EvaluatePage, tiny_model: Path
) -> None:
    ids, side = [base(tiny_model), f"step:{TUNED}:2"], page.side
    shown = ask(page, Talk(), ids, "<b>Colour</b>?")[-1]
    again = EvaluatePage.open(page)
    assert again[side.panes] == shown[side.panes] and "&lt;b&gt;Colour" in again[side.panes]
    assert again[side.who].value == ids and again[side.talk].heard(0, "x") == shown[side.talk].heard(0, "x")
    longer = ask(page, again[side.talk], ids, "And now?")[-1][side.talk]
    assert len(longer.turns) == 2  # it goes on where it was
    assert len(side.open(None, TUNED)[side.talk].turns) == 2
    assert side.open(None, "another-run")[side.talk].turns == ()  # the page is about a run that had no part in it
    side.take_back(longer, "")
    assert len(side.open(None, None)[side.talk].turns) == 1
    project = page.workspace.create()
    assert side.open(project, None)[side.talk].turns == ()  # each project has its own
    side.begin_anew(again[side.talk], "")
    assert side.open(None, None)[side.talk].turns == () and kept_talk(page.workspace, None) is None


def test_a_turn_that_was_left_is_told_and_its_words_stand_again(
    page: EvaluatePage, server: Server, tiny_model: Path
) -> None:
    ids = [base(tiny_model), ENDPOINT]
    server.reply = lambda body, times: (403, {}, "{}")
    ask(page, Talk(), ids, "Colour?", url=server.url, model="small")
    again = page.side.open(None, None)
    assert "refused the request" in again[page.side.panes] and again[page.side.text] == "Colour?"
    assert again[page.side.url] == server.url and again[page.side.name] == "small"
    assert page.side.hidden()[page.side.url] == ""  # nothing of it where somebody votes
    begun = page.side.ask(Talk(), "", ids, server.url, "small", "And now?")
    next(begun)
    file = page.workspace.root / "side-by-side.json"
    left = json.loads(file.read_text())
    begun.close()
    assert [pane["told"] for pane in left["turns"][-1]["panes"]] == [None, None]
    file.write_text(json.dumps(left))  # as a server leaves it that is killed
    again = page.side.open(None, None)
    assert "The page was left before" in again[page.side.panes] and again[page.side.text] == "And now?"
    for damaged in ("{", "[]", json.dumps(left | {"speakers": []})):
        file.write_text(damaged)
        assert kept_talk(page.workspace, None) is None


def test_differences_are_marked_word_by_word_on_demand(page: EvaluatePage, tiny_model: Path) -> None:
    talk = ask(page, Talk(), [base(tiny_model), f"run:{TUNED}"], "Colour?")[-1][page.side.talk]
    assert "<ins>" not in page.side.show(talk)[page.side.panes]
    shown = page.side.toggle(talk)
    assert "<ins>" in shown[page.side.panes] and shown[page.side.talk].differences
    assert shown[page.side.differ].value == "Hide differences"


def test_an_answer_is_kept_as_a_row_and_as_better_than_the_others(page: EvaluatePage, tiny_model: Path) -> None:
    talk = ask(page, Talk(), [base(tiny_model), f"run:{TUNED}"], "Colour?")[-1][page.side.talk]
    page.side.act(act("keep", turn="0", pane="1"), talk, "")
    (project,) = page.workspace.projects()
    (row,) = draft_of(project).rows()
    assert row.example.question == "Colour?" and row.example.completion == talk.turns[0].panes[1].text
    for _ in range(2):  # what is there is not added again
        note = page.side.act(act("best", turn="0", pane="0"), talk, project.id)[page.side.note]
    assert "Nothing: it is there" in note
    pair = next(row.example for row in draft_of(project).rows() if row.example.rejected)
    assert pair.completion == talk.turns[0].panes[0].text
    assert pair.rejected[0].content == talk.turns[0].panes[1].text and len(draft_of(project).rows()) == 2
    assert page.side.act(act("keep", turn="7", pane="0"), talk, "") == {}
    same = ask(page, Talk(), [f"run:{TUNED}", f"step:{TUNED}:2"], "Colour?")[-1][page.side.talk]
    with pytest.raises(UsageError, match="says something else"):
        page.side.act(act("best", turn="0", pane="0"), same, "")
    panes = (talk.turns[0].panes[0], replace(talk.turns[0].panes[1], told=None))
    broken = replace(talk, turns=(replace(talk.turns[0], panes=panes),))
    for pane, said in (("0", "No other whole answer"), ("1", "was broken off")):
        with pytest.raises(UsageError, match=said):
            page.side.act(act("best", turn="0", pane=pane), broken, "")


def test_who_cannot_answer_is_told_before_anything_is_asked(page: EvaluatePage, tiny_model: Path) -> None:
    one = base(tiny_model)
    for ids, text, said in (
        ([one], "x", "Two or more"),
        ([one, f"run:{TUNED}"], "  ", "no prompt"),
        ([one, "run:gone"], "x", "not there any more"),
        ([one, ENDPOINT], "x", "an address and a model's name"),
    ):
        with pytest.raises(UsageError, match=said):
            ask(page, Talk(), ids, text)
    with pytest.raises(UsageError, match="no address of an endpoint"):
        ask(page, Talk(), [one, ENDPOINT], "x", url="ftp://x", model="m")


def test_one_that_fails_says_why_in_its_pane_and_the_words_come_back(
    page: EvaluatePage, server: Server, tiny_model: Path
) -> None:
    server.reply = lambda body, times: (403, {}, json.dumps({"error": {"message": "<b>no</b>"}}))
    last = ask(page, Talk(), [base(tiny_model), ENDPOINT], "Colour?", url=server.url, model="small")[-1]
    assert "refused the request" in last[page.side.panes] and "<b>no" not in last[page.side.panes]
    assert last[page.side.text] == "Colour?" and not last[page.side.talk].turns[0].whole
    server.reply = lambda body, times: completion("blue")
    fine = ask(page, last[page.side.talk], [base(tiny_model), ENDPOINT], "Colour?", url=server.url, model="small")[-1]
    assert len(fine[page.side.talk].turns) == 1 and fine[page.side.talk].turns[0].panes[1].text == "blue"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_in_one_pane_does_not_end_the_others(
    models: Models, tuned: RunFolder, fitting_room_home: Path
) -> None:
    base, run = Speakers(Workspace(fitting_room_home)).all(None)[:2]
    asking = Asking(models, [(base, None), (run, ASKED)])  # type: ignore[list-item]  # no conversation: our mistake
    assert asking.wait(60)
    assert [pane.state for pane in asking.panes] == ["failed", "done"]
    assert asking.panes[0].error is not None and "does not know" in asking.panes[0].error.what
    for thread in threading.enumerate():
        if thread.name == "side by side":
            thread.join()  # its traceback belongs to this test


def test_a_stopped_turn_keeps_what_was_written(models: Models, tuned: RunFolder, fitting_room_home: Path) -> None:
    base, run = Speakers(Workspace(fitting_room_home)).all(None)[:2]
    asking = Asking(models, [(base, ASKED), (run, ASKED)])
    asking.stop()
    assert asking.wait(60)
    assert [pane.state for pane in asking.panes] == ["done", "done"]
    assert [pane.told.reason for pane in asking.panes if pane.told] == ["stopped", "stopped"]


def test_the_best_prompt_of_a_comparison_is_made_again_as_it_was_set_up(
    tuned: RunFolder, fitting_room_home: Path, rows_file: Path
) -> None:
    values = {"source": "yours", "instruction": "Give the code alone."}
    tuning = {"setting": 'yours: "Give the code alone."', "values": values}
    row = {"name": "instruction", "title": "Instruction, optimised", "tuning": tuning}
    prompted(fitting_room_home, rows_file, **row)
    found = {speaker.id: speaker for speaker in Speakers(Workspace(fitting_room_home)).all(None)}
    best = found["best:20260102-000000-abcdef"]
    assert best.title == "Base at its best prompt: Instruction, optimised"
    assert best.prompt(ASKED) == (Message("system", "Give the code alone."), *ASKED)


def test_the_other_prompts_of_the_comparison_can_answer_too(
    tuned: RunFolder, fitting_room_home: Path, rows_file: Path
) -> None:
    run = prompted(fitting_room_home, rows_file, name="few-shot", title="Few-shot")
    told = json.loads((run.path / "result.json").read_text())
    told["arms"].append({"name": "instruction", "title": "Instruction", "score": 0.4, "skipped": None})
    (run.path / "result.json").write_text(json.dumps(told))
    found = [speaker for speaker in Speakers(Workspace(fitting_room_home)).all(None) if speaker.best]
    assert [(speaker.id.split(":")[0], speaker.best.arm) for speaker in found if speaker.best] == [
        ("best", "few-shot"),
        ("arm", "instruction"),
    ]


def test_checkpoints_are_offered_of_the_run_that_is_asked_for_and_of_a_few_more(
    tuned: RunFolder, fitting_room_home: Path
) -> None:
    for number in range(7):
        other = tuned.path.with_name(f"2026010{number}-111111-aaaaaa")
        shutil.copytree(tuned.path, other)
        (other / "run.json").write_text(json.dumps(tuned.status() | {"created": 10.0 + number, "state": "stopped"}))
    shutil.rmtree(other / "adapter")
    whole = other / "checkpoints" / "checkpoint-2"
    for file in whole.glob("adapter_*"):
        file.unlink()
    (whole / "config.json").write_text("{}")  # of full fine-tuning: a model by itself
    speakers = Speakers(Workspace(fitting_room_home))
    ids = [speaker.id for speaker in speakers.all(None) if speaker.step]
    assert ids[0] == f"step:{other.name}:2" and len(ids) == 5 and f"step:{TUNED}:2" not in ids
    about = [speaker.id for speaker in speakers.all(None, run=TUNED) if speaker.step]
    assert about[0] == f"step:{TUNED}:2" and len(about) == 5
    assert f"step:{TUNED}:2" in [each.id for each in speakers.all(None, also=[f"step:{TUNED}:2"])]
    assert speakers.chosen([f"step:{TUNED}:2"], None)[0].step == 2


def test_worked_examples_stand_before_the_question_as_in_the_comparison(
    tuned: RunFolder, fitting_room_home: Path, rows_file: Path
) -> None:
    values = {"selection": "nearest", "count": 3}
    row = {"name": "few-shot", "title": "Few-shot", "tuning": {"setting": "3 nearest", "values": values}}
    run = prompted(fitting_room_home, rows_file, **row)
    best = next(speaker for speaker in Speakers(Workspace(fitting_room_home)).all(None) if speaker.best)
    prompt = best.prompt((Message("user", "What is the colour of a cherry?"),))
    assert [message.role for message in prompt] == ["user", "assistant"] * 3 + ["user"]
    assert prompt[-1].content == "What is the colour of a cherry?" and "cherry" in prompt[-3].content
    tests = {row["prompt"] for row in map(json.loads, (run.path / "items.jsonl").read_text().splitlines()[:1])}
    assert not tests & {message.content for message in prompt}
    rows_file_gone = json.loads((run.path / "request.json").read_text()) | {"data": "/nothing/here.jsonl"}
    (run.path / "request.json").write_text(json.dumps(rows_file_gone))
    (run.path / "result.json").touch()
    with pytest.raises(UsageError):
        best.prompt(ASKED)


def test_a_bare_prompt_that_is_the_best_is_not_offered_twice(
    tuned: RunFolder, fitting_room_home: Path, rows_file: Path
) -> None:
    prompted(fitting_room_home, rows_file, name="rag", title="RAG", skipped="no documents", score=None)
    assert not any(speaker.best for speaker in Speakers(Workspace(fitting_room_home)).all(None))


@pytest.fixture
def project(fitting_room_home: Path) -> Project:
    """A project with a comparison of its rows."""
    project = Workspace(fitting_room_home).create()
    run = write(fitting_room_home / "comparisons" / "20260103-000000-abcdef")
    (run.path / "request.json").write_text(json.dumps({"data": str(project.folder / "training.jsonl")}))
    return project


SOURCE = "comparison:20260103-000000-abcdef"
LOOK = (SOURCE, "qlora", "zero-shot", "all", "file", "")


def test_all_held_out_rows_of_the_projects_comparison_are_shown_when_the_page_is_opened(
    project: Project, page: EvaluatePage
) -> None:
    updates, held = page.open(), page.held
    assert updates[held.source].value == SOURCE and updates[held.tools].visible and not updates[held.asking].visible
    assert updates[held.one].value == "qlora" and updates[held.other].value == "zero-shot"
    assert str(updates[held.rows]).count("data-held=") == 4
    better = page.held.look(*LOOK[:3], "better", "gain", "")
    assert str(better[held.rows]).count("data-held=") == 2 and "2 rows of 4" in better[held.rows]


def test_a_row_is_jumped_to_and_one_that_is_not_shown_is_told(project: Project, page: EvaluatePage) -> None:
    updates = page.held.go_to(*LOOK, "3")
    assert "fr-jumped" in updates[page.held.rows] and updates[page.held.listing].opened.row == 3
    assert page.held.go_to(*LOOK, "") == {}
    for values, number in ((LOOK, "9"), (LOOK, "x"), ((*LOOK[:3], "worse", "file", ""), "1")):
        with pytest.raises(UsageError):
            page.held.go_to(*values, number)


def test_a_test_row_is_put_where_it_waits_and_the_user_is_told(project: Project, page: EvaluatePage) -> None:
    listing = page.held.open(project, None)[page.held.listing]
    added = page.held.act(act("add", row="1"), *LOOK, listing)
    assert "waits among the rows" in added[page.held.note] and "a test row" in added[page.held.note]
    opened = page.held.act(act("label", row="2"), *LOOK, listing)
    assert 'data-do="save-label"' in opened[page.held.rows]
    page.held.act(act("save-label", {"text": "the right one"}, row="2"), *LOOK, opened[page.held.listing])
    page.held.act(act("save-fix", {"text": "a good answer"}, row="3"), *LOOK, listing)
    page.held.act(act("add", row="1"), *LOOK, listing)  # once more is no second row
    rows = draft_of(project).rows()
    assert [row.example.completion for row in rows] == ["wanted 0", "the right one", "a good answer"]
    assert {row.status for row in rows} == {"pending"} and draft_of(project).export(
        project.folder / "x.jsonl"
    ).rows == 0
    for fields, row in (({"text": " "}, "2"), ({"text": "wanted 1"}, "2"), ({"text": "x"}, "99")):
        with pytest.raises(UsageError):
            page.held.act(act("save-label", fields, row=row), *LOOK, listing)


def test_rows_that_a_run_kept_back_are_answered_by_both_and_stay(page: EvaluatePage, tuned: RunFolder) -> None:
    source, held = f"run:{TUNED}", page.held
    opened = held.choose(source)
    assert opened[held.asking].visible and f"{len(HELD_OUT)} rows held out" in opened[held.rows]
    steps = list(held.answer_rows(source, 4))
    assert steps[-1][held.one].value == "tuned" and str(steps[-1][held.rows]).count("data-held=") == 4
    again = held.choose(source)  # as a page that is opened later
    assert str(again[held.rows]).count("data-held=") == 4 and "checked this run while it trained" in again[held.rows]
    assert again[held.tools].visible
    with pytest.raises(UsageError):
        list(held.answer_rows("run:gone", 4))


def test_where_somebody_votes_no_other_tab_names_what_is_compared(project: Project, page: EvaluatePage) -> None:
    made = page.votes.start("20260103-000000-abcdef", ["qlora", "zero-shot"], "", "", "")
    texts = [str(getattr(value, "choices", value)) for part, value in made.items() if part in page.beside]
    assert len(texts) > 8 and not any(name in text for text in texts for name in ("qlora", "Fine-tuned", TUNED))
    assert made[page.side.who].choices == [] and made[page.held.source].choices == []
    assert "Not shown where somebody votes blind" in made[page.held.rows]
