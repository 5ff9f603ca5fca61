"""What the Train page does when it is used, without a browser: the same functions, called as it calls them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.components.actions import Act
from app.components.run_form import FORM_SCRIPT
from app.pages.train import TrainPage, run_label
from app.pages.train.from_votes import choice_for
from app.pages.train.history import losses
from app.pages.train.section import View, changed
from app.pages.train.setting_up import Starts
from app.workspace import Workspace
from dataset_tools import UsageError
from tests.app.run_folders import RESULT, steps, write_run
from training.recipe import Recipe
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import runs_folder, state_of, stop

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def page(fitting_room_home: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainPage]:
    import gradio as gr

    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    page = TrainPage(Workspace(fitting_room_home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    yield page
    for folder in runs_folder().glob("*/run.json"):
        stop(RunFolder(folder.parent), keep=False)


@pytest.fixture
def view(page: TrainPage, rows_file: Path, tmp_path: Path) -> View:
    """A page of a project with the rows, its settings derived."""
    copy = tmp_path / "rows.jsonl"
    copy.write_bytes(rows_file.read_bytes())
    project = page.parts.workspace.create().add_rows("training", copy)
    return last(page.plan(View(project=project.id)))[page.view]


def last(updates: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
    return list(updates)[-1]


def act(do: str, fields: dict[str, str] | None = None, **data: str) -> Act:
    return Act(do, {"do": do, **data}, fields or {})


def wait_for(run: RunFolder, *states: str) -> None:
    while state_of(run) not in (*states, *ENDED):
        time.sleep(0.05)
    assert state_of(run) in states


def test_without_rows_the_page_says_where_to_go(page: TrainPage) -> None:
    assert "Go to Data" in page.set_up.show(View())[page.set_up.ready]
    assert list(page.plan(View())) == []
    assert page.set_up.act(act("start"), View()) == {}


def test_an_address_may_choose_the_objective_that_the_rows_serve(
    page: TrainPage, view: View, rows_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    worse = [{"role": "assistant", "content": "no"}]
    with file.open("w") as lines:
        for row in map(json.loads, rows_file.read_text().splitlines()):
            better = [{"role": "assistant", "content": row["completion"]}]
            asked = [{"role": "user", "content": row["prompt"]}]
            lines.write(json.dumps({"prompt": asked, "chosen": better, "rejected": worse}) + "\n")
    project = page.parts.workspace.create().add_rows("training", file)
    led = View(project=project.id, choice=choice_for("dpo"))
    shown = last(page.plan(led))
    assert shown[page.view].choice.objective == "dpo" and "objective: dpo" in shown[page.set_up.recipe]
    unasked = last(page.plan(replace(led, choice=None)))
    assert unasked[page.view].choice.objective == "sft"
    refused = last(page.plan(replace(view, choice=choice_for("dpo"))))
    assert refused[page.view].choice.objective == "sft"  # these rows hold no pairs
    assert choice_for("nothing") is None and choice_for(None) is None


def test_each_part_that_runs_the_forms_script_is_listened_to(page: TrainPage) -> None:
    heard = {target for fn in page.header.parent.fns.values() for target in fn.targets}
    running = [part for part in page.outputs if getattr(part, "js_on_load", None) == FORM_SCRIPT]
    assert len(running) == 4
    for part in running:  # any of them may be the one that sends a change
        assert {(part._id, "submit"), (part._id, "input")} <= heard


def test_the_settings_are_derived_shown_and_ready(page: TrainPage, view: View) -> None:
    shown = last(page.set_up.plan(view))
    assert view.choice is not None and view.choice.objective == "sft"
    ready = shown[page.set_up.ready]
    assert "Ready" in ready and "Start training" in ready and "of memory, estimated" in ready
    assert "learning_rate" in shown[page.set_up.recipe]


def test_a_changed_knob_changes_the_card_and_a_wrong_one_stops_the_start(page: TrainPage, view: View) -> None:
    shown = page.set_up.act(act("change", {"epochs": "1", "rank": "4"}), view)
    assert "rank 4" in shown[page.set_up.ready] and "1 passes" in shown[page.set_up.ready]
    shown = page.set_up.act(act("change", {"epochs": "none"}), view)
    assert "Not ready" in shown[page.set_up.ready] and "This is no number" in shown[page.set_up.ready]
    with pytest.raises(UsageError, match="cannot be trained"):
        page.set_up.act(act("start", {"epochs": "none"}, token="t"), view)
    assert not list(runs_folder().glob("*"))


def test_another_method_derives_anew_and_keeps_what_was_typed(page: TrainPage, view: View) -> None:
    typed = {"epochs": "1", "learning_rate": "0.00001"}
    shown = last(page.set_up.choose(act("method", typed, name="prompt"), view))
    assert shown[page.view].choice.method == "prompt"
    assert "Prompt tuning" in shown[page.set_up.ready] and "1.0e-05" in shown[page.set_up.ready]
    back = last(page.set_up.choose(act("derived", typed), shown[page.view]))
    assert "1.0e-05" not in back[page.set_up.ready]
    assert last(page.set_up.choose(act("method", {}, name="sorcery"), view))[page.view].choice.method == "qlora"


def test_a_pasted_recipe_fills_the_form(page: TrainPage, view: View) -> None:
    text = "method: lora\nrank: 8\nepochs: 2\nlearning_rate: 1e-3\n"
    shown = last(page.set_up.choose(act("yaml", {"yaml": text, "epochs": "5"}), view))
    assert "LoRA (rank 8)" in shown[page.set_up.ready] and "2 passes" in shown[page.set_up.ready]
    with pytest.raises(UsageError, match="unknown"):
        list(page.set_up.choose(act("yaml", {"yaml": "banana: 1"}), view))


def test_a_model_that_is_not_there_is_not_ready(page: TrainPage, view: View, tmp_path: Path) -> None:
    shown = last(page.set_up.choose(act("change", {"model": str(tmp_path / "nowhere")}), view))
    assert "Not ready" in shown[page.set_up.ready] and "What to do" in shown[page.set_up.ready]


def test_two_clicks_on_one_button_start_one_run(page: TrainPage, view: View) -> None:
    starting = act("start", {"epochs": "500", "dry_run": "false"}, token="the-same")
    with ThreadPoolExecutor(2) as pool:
        shown = list(pool.map(lambda _: page.set_up.act(starting, view), range(2)))
    (folder,) = runs_folder().iterdir()
    assert {each[page.view].run for each in shown} == {folder.name}
    recipe = Recipe.load(folder / "recipe.yaml")
    assert (recipe.epochs, recipe.dry_run) == (500, False)
    (project,) = page.parts.workspace.projects()
    assert project.runs == (folder.name,)


def test_a_token_that_is_new_starts_another_run() -> None:
    made: list[str] = []

    def start() -> str:
        made.append(f"run-{len(made)}")
        return made[-1]

    starts = Starts()
    assert [starts.once(token, start) for token in ("a", "a", "b", "a")] == ["run-0", "run-0", "run-1", "run-0"]


def test_a_run_is_asked_about_stopped_resumed_and_deleted(page: TrainPage, view: View) -> None:
    fields = {"epochs": "500", "dry_run": "false"}
    view = page.set_up.act(act("start", fields, token="t"), view)[page.view]
    run = page.parts.run(view)
    assert run is not None
    wait_for(run, "running")
    asked = page.run.act(act("ask-stop"), view)
    assert "Stop and discard" in asked[page.run.asking]
    assert page.run.act(act("close"), asked[page.view])[page.run.asking] == ""
    page.run.act(act("stop-keep"), view)
    wait_for(run, "stopped")
    shown = page.run.show(view)
    assert "is kept" in shown[page.run.head] and "Resume" in shown[page.run.controls]
    page.run.act(act("resume"), view)
    wait_for(run, "running")
    page.run.act(act("stop-discard"), view)
    wait_for(run, "stopped")
    while page.parts.jobs.running((view.run, "stop")):
        time.sleep(0.05)
    assert "Nothing of what it had learnt is kept" in page.run.show(view)[page.run.head]
    deleted = page.run.act(act("delete"), replace(view, compared=(view.run,)))
    assert deleted[page.view].run == "" and deleted[page.view].compared == ()
    assert not run.path.exists() and page.parts.workspace.projects()[0].runs == ()


def test_rows_that_were_changed_are_asked_about_before_a_resume(page: TrainPage, view: View) -> None:
    view = page.set_up.act(act("start", {"epochs": "500", "dry_run": "false"}, token="t"), view)[page.view]
    run = page.parts.run(view)
    assert run is not None
    wait_for(run, "running")
    stop(run)
    rows = (run.path / "train.jsonl").read_text().splitlines(keepends=True)
    (run.path / "train.jsonl").write_text("".join(rows[:-1]))
    asked = page.run.act(act("resume"), view)
    assert "Go on anyway" in asked[page.run.asking] and state_of(run) == "stopped"
    page.run.act(act("resume-anyway"), asked[page.view])
    wait_for(run, "running")


def test_a_run_that_is_at_work_is_not_deleted(page: TrainPage, view: View) -> None:
    from dataset_tools.errors import RunError

    view = page.set_up.act(act("start", {"epochs": "500"}, token="t"), view)[page.view]
    with pytest.raises(RunError, match="at work"):
        page.run.act(act("delete"), view)


def test_a_run_that_waits_names_the_one_that_it_waits_for(page: TrainPage, view: View) -> None:
    fields = {"epochs": "500", "dry_run": "false"}
    first = page.set_up.act(act("start", fields, token="one"), view)[page.view]
    run = page.parts.run(first)
    assert run is not None
    wait_for(run, "running")
    second = page.set_up.act(act("start", fields, token="two"), view)[page.view]
    assert second.run != first.run
    assert f"Waits for rows.jsonl ({first.run}" in page.run.show(second)[page.run.head]


def test_only_what_has_changed_is_sent(page: TrainPage) -> None:
    run = write_run("20260101-run", "failed", steps(4))
    view = View(run=run.path.name)
    everything = page.look(view, {})
    assert page.run.head in everything and page.run.chart in everything and page.history.table in everything
    again = page.look(view, everything[page.sent])
    assert set(again) == {page.sent} and page.timer in everything
    with (run.path / "events.jsonl").open("a") as log:
        log.write('{"time": 1790000099, "event": "remark", "text": "Something new."}\n')
    later = page.look(view, again[page.sent])
    assert set(later) == {page.sent, page.run.notes} and "Something new." in later[page.run.notes]


def test_texts_are_told_apart_by_what_they_were_sent_last() -> None:
    class Part:
        _id = 7

    part = Part()
    fresh, sent = changed({part: "a"}, {})
    assert fresh == {part: "a"} and changed({part: "a"}, sent)[0] == {} and changed({part: "b"}, sent)[0] == {part: "b"}


def test_runs_are_opened_compared_and_laid_along_other_axes(page: TrainPage) -> None:
    write_run(
        "20260101-one", "done", steps(10), result=RESULT, recipe=Recipe("embedded", batch_size=2, micro_batch_size=2)
    )
    write_run("20260102-two", "failed", steps(6), recipe=Recipe("embedded", rank=8))
    opened = page.history.act(act("open", run="20260101-one"), View())
    assert opened[page.view].run == "20260101-one"
    view = page.history.act(act("compare", run="20260101-one"), View())[page.view]
    shown = page.history.act(act("compare", run="20260102-two"), view)
    assert shown[page.view].compared == ("20260101-one", "20260102-two")
    assert "<code>rank</code>" in shown[page.history.differences]
    assert page.history.turn("passes", True, shown[page.view])[page.history.chart].visible
    assert page.history.turn("nonsense", False, shown[page.view])[page.view].axis == "step"
    one = page.history.act(act("compare", run="20260101-one"), shown[page.view])
    assert one[page.view].compared == ("20260102-two",)
    assert page.history.act(act("open", run="../../etc"), View()).keys() == {page.history.table}


def test_losses_are_drawn_on_a_logarithmic_axis_where_that_is_wished(page: TrainPage) -> None:
    run = write_run("20260101-run", "done", steps(4), result=RESULT)
    shown = page.run.turn(True, View(run=run.path.name))
    assert shown[page.view].logarithmic and '"type":"log"' in shown[page.run.chart].value["plot"]
    assert '"type":"log"' not in page.run.turn(False, shown[page.view])[page.run.chart].value["plot"]


def test_losses_lie_along_steps_passes_and_minutes(page: TrainPage) -> None:
    run = write_run("one", "done", steps(4), recipe=Recipe("embedded", batch_size=1, micro_batch_size=1))
    along = {axis: losses(run, page.parts, axis) for axis in ("step", "passes", "minutes")}
    assert [[at for at, _ in along[axis][0]] for axis in along] == [
        [1, 2, 3, 4],
        [0.5, 1.0, 1.5, 2.0],  # of two rows, one a step
        pytest.approx([0, 1 / 60, 2 / 60, 3 / 60]),
    ]
    assert [at for at, _ in along["minutes"][1]] == pytest.approx([3 / 60])


def test_the_page_opens_with_the_newest_run_of_its_project(page: TrainPage, view: View) -> None:
    run = write_run("20260101-run", "done", steps(10), result=RESULT)
    (project,) = page.parts.workspace.projects()
    project.with_run(run)
    shown = page.open()
    assert shown[page.view].run == run.path.name and shown[page.view].project == project.id
    assert project.title in shown[page.run.title] and "Evaluate side by side" in shown[page.run.next]


def test_a_run_is_labelled_by_its_project_its_time_and_its_state(page: TrainPage) -> None:
    run = write_run("20260101-run", "done", steps(10), result=RESULT)
    label = run_label(page.parts.workspace, run)
    assert "20260101-run" in label and "2 rows" in label and label.endswith("done")
