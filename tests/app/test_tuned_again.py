"""From votes to a model that is tuned again from its parent, and on to the next blind session of the two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.human import Session, VoteStore, named_arm, parent_of, tuned_arms
from app.command_line import cli
from app.components.actions import Act
from app.pages.evaluate import EvaluatePage
from app.pages.train.drafting import Choice, draft
from app.pages.train.from_votes import choice_for, goes_on
from app.pages.train.outlook import plan_for
from app.pages.votes import VotesSection
from app.tuned_again import offer_named, offers, rows_for
from app.workspace import Workspace
from dataset_tools import DataError, Example, Message, UsageError
from tests.advisor.human_support import items, vote
from tests.advisor.human_support import session as session_of
from tests.training.export_support import HELD_OUT, tiny_run
from training.recipe import Recipe
from training.runs.checkpoints import seal
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder, stop

pytestmark = pytest.mark.usefixtures("one_thread")
PARENT, AGAIN = "20260101-000000-aaaaaa", "20260102-000000-bbbbbb"


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tuned run with a checkpoint, and one that was tuned again from it; they answer differently."""
    folder, found = tmp_path_factory.mktemp("made"), {}
    for name, scale in ((PARENT, 0.5), (AGAIN, 0.2)):
        run = tiny_run(folder / name, tiny_model, scale=scale)
        (run.path / "run.json").write_text(json.dumps(run.status() | {"model": str(tiny_model), "created": 1.0}))
        kept = run.checkpoints / "checkpoint-2"
        kept.mkdir(parents=True)
        for file in run.adapter.glob("adapter_*"):
            (kept / file.name).write_bytes(file.read_bytes())
        seal(kept, inputs={})
        found[name] = run.path
    return found


@pytest.fixture
def runs(
    made: dict[str, Path], fitting_room_home: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, RunFolder]]:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    runs_folder().mkdir(parents=True, exist_ok=True)
    before = {name: (path / "run.json").read_text() for name, path in made.items()}
    for name, path in made.items():
        (runs_folder() / name).symlink_to(path, target_is_directory=True)
    yield {name: RunFolder(path) for name, path in made.items()}
    for name, path in made.items():
        (path / "run.json").write_text(before[name])


@pytest.fixture
def store() -> Iterator[VoteStore]:
    with VoteStore.open() as opened:
        yield opened


@pytest.fixture
def page(runs: dict[str, RunFolder], fitting_room_home: Path) -> VotesSection:
    import gradio as gr

    page = EvaluatePage(Workspace(fitting_room_home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page.votes


def voted(store: VoteStore, arms: tuple[str, str], *, closed: bool = True, winner: int = 0) -> Session:
    """A session whose rows may be trained on, with a vote for one of two arms on each row."""
    rows = [replace(item, wanted=f"w {item.record}") for item in items(30)]
    made = replace(session_of(1, arms=arms, held_out=False, title="Towers"), items=tuple(rows))
    votes = [vote(at, ("left", "right")[winner], left=arms[0], right=arms[1]) for at in range(30)]
    store.add(made, votes)
    return store.end(made.id) if closed else made


def again(run: RunFolder, session: str, parent: str = PARENT) -> None:
    status = run.status() | {"from_votes": session, "parent": parent}
    (run.path / "run.json").write_text(json.dumps(status))


def act(do: str, **data: str) -> Act:
    return Act(do, {"do": do, **data}, {})


def test_the_parent_is_the_tuned_model_that_most_votes_preferred(runs: dict[str, RunFolder], store: VoteStore) -> None:
    known = list(runs.values())
    made = voted(store, (PARENT, f"{AGAIN}@2"))
    assert [each.name for each in tuned_arms(made, known)] == [PARENT, f"{AGAIN}@2"]
    parent = parent_of(made, store.votes(made.id), known)
    assert parent is not None and parent.name == PARENT
    assert parent_of(made, [], known) == named_arm(f"{AGAIN}@2", known)  # as many: the newer one
    gone = replace(made, arms=(f"{AGAIN}@9", "../" + PARENT))
    assert parent_of(gone, [], known) is None and named_arm("@2", known) is None


def test_one_click_starts_a_run_that_goes_on_from_the_parent(
    page: VotesSection, runs: dict[str, RunFolder], store: VoteStore
) -> None:
    made = voted(store, (PARENT, "base"))
    shown = str(page.act(act("open", session=made.id))[page.view])
    assert f"A training goes on from <b>{PARENT}</b>" in shown and "Train on these pairs (DPO)" in shown
    click = act("train", session=made.id, form="dpo", token="the-same")
    led = [str(page.act(click)[page.view]) for _ in range(2)]
    started = [run for run in map(RunFolder, runs_folder().iterdir()) if run.path.name not in runs]
    for run in started:
        stop(run, keep=False)
    (run,) = started  # the second click has started no other
    assert all(f"/train?run={run.path.name}" in shown and "data-go" in shown for shown in led)
    recipe, earlier = Recipe.load(run.path / "recipe.yaml"), Recipe.load(runs[PARENT].path / "recipe.yaml")
    assert recipe.start_from == str(runs[PARENT].adapter) and recipe.objective == "dpo"
    assert (recipe.method, recipe.rank, recipe.alpha) == (earlier.method, earlier.rank, earlier.alpha)
    assert (run.status()["from_votes"], run.status()["parent"]) == (made.id, PARENT)
    (project,) = page.workspace.projects()
    assert project.runs == (run.path.name,)


def test_the_settings_can_be_looked_at_first_and_the_parent_taken_out(
    page: VotesSection, runs: dict[str, RunFolder], store: VoteStore, tiny_model: Path
) -> None:
    made = voted(store, ("base", f"{PARENT}@2"), winner=1)
    led = str(page.act(act("train", session=made.id, form="kto", look="yes"))[page.view])
    (project,) = page.workspace.projects()
    assert f"/train?project={project.id}&amp;objective=kto&amp;votes={made.id}" in led
    choice = choice_for("kto", made.id)
    assert choice is not None and choice.parent == f"{PARENT}@2" and choice.model == str(tiny_model)
    plan = plan_for(project.training_path, choice)
    assert plan.recipe.start_from == choice.start_from and "continuing an earlier adapter" in plan.sentence
    assert plan.readiness.reasons == () and goes_on(choice, plan.recipe)
    assert not goes_on(choice, draft(plan, {"start_from": ""}).recipe)
    assert choice.turned(method="dora").start_from == "" and choice.turned(objective="dpo").start_from


def test_without_a_tuned_model_training_begins_afresh_and_an_open_session_tells_no_parent(
    page: VotesSection, runs: dict[str, RunFolder], store: VoteStore, tiny_model: Path
) -> None:
    plain = voted(store, ("base", "other"))
    assert "begins afresh" in str(page.act(act("open", session=plain.id))[page.view])
    assert choice_for("dpo", plain.id) == Choice(str(tiny_model), objective="dpo", votes=plain.id)
    still = replace(plain, id="open", closed=None, arms=(PARENT, "base"))
    store.add(still)
    for votes in ("open", "no-such"):
        assert choice_for("dpo", votes) == Choice(str(tiny_model), objective="dpo")


def test_what_was_tuned_again_waits_for_a_session_beside_its_parent_on_rows_new_to_both(
    page: VotesSection, runs: dict[str, RunFolder], store: VoteStore
) -> None:
    made = voted(store, (PARENT, "base"))
    assert str(page.home()[page.next.cards]) == ""
    again(runs[AGAIN], made.id)
    home = page.home()
    assert f"{AGAIN} goes on from {PARENT}" in home[page.next.cards] and "Towers" in home[page.next.cards]
    offer = offer_named(store, AGAIN)
    rows, _ = rows_for(offer)
    assert {row.prompt for row in HELD_OUT} < {row.prompt for row in rows} and len(rows) == 36
    *_, last = page.start_next(act("next", run=AGAIN))
    newest = store.sessions()[0]
    assert newest.arms == (AGAIN, PARENT) and newest.title == "Towers, once more" and newest.held_out
    told = "".join(str(getattr(value, "choices", value)) for value in last.values())
    assert newest.id in told and not any(name in told for name in (AGAIN, PARENT))  # blind from the start
    assert offers(store) == []
    with pytest.raises(UsageError, match="does not wait"):
        list(page.start_next(act("next", run=AGAIN)))


def test_rows_that_one_of_the_two_was_trained_on_are_not_asked(runs: dict[str, RunFolder], store: VoteStore) -> None:
    made = voted(store, (PARENT, "base"))
    again(runs[AGAIN], made.id)
    offer = offer_named(store, AGAIN)
    seen = [Example((*item.prompt, Message("assistant", "x"))) for item in made.items]
    before = (runs[AGAIN].path / "train.jsonl").read_bytes()
    runs[AGAIN].write_rows("train", seen)
    try:
        rows, notes = rows_for(offer)
        assert {row.prompt for row in rows} == {row.prompt for row in HELD_OUT} and "30 of 36 rows" in notes[0]
        runs[AGAIN].write_rows("train", [*seen, *HELD_OUT])
        with pytest.raises(DataError, match="no row left"):
            rows_for(offer)
    finally:
        (runs[AGAIN].path / "train.jsonl").write_bytes(before)


def test_the_command_line_knows_the_parent_too(runs: dict[str, RunFolder], store: VoteStore) -> None:
    words = ["votes", "new", "--contestants", f"{AGAIN},parent", "--json"]
    assert "no parent" in json.loads(CliRunner().invoke(cli, words).stdout)["error"]["what"]
    again(runs[AGAIN], "any")
    told: dict[str, Any] = json.loads(CliRunner().invoke(cli, words).stdout)
    assert store.session(told["session"]).arms == (AGAIN, PARENT)


def test_models_answer_for_a_session_that_the_page_starts(
    page: VotesSection, runs: dict[str, RunFolder], store: VoteStore, tiny_model: Path
) -> None:
    updates, form = page.home(), page.form
    assert updates[form.comparison].value == "models" and updates[form.fields].visible
    assert (
        updates[form.arms].value[1] == f"base:{tiny_model}"
        and f"step:{PARENT}:2" in dict(updates[form.arms].choices).values()
    )
    wishes = ("Colours", "4", "Kinder?", "5")
    *_, last = page.begin("models", [f"run:{AGAIN}", f"step:{PARENT}:2", f"base:{tiny_model}"], *wishes)
    (made,) = store.sessions()
    assert made.arms == (AGAIN, f"{PARENT}@2", tiny_model.name) and len(made.items) == 5
    assert (made.title, made.votes_wanted, made.questions) == ("Colours", 4, ("Kinder?",))
    assert made.id in str(last[page.view]) and last[form.arms].choices == []
    for arms in ([f"run:{AGAIN}"], [f"run:{AGAIN}", "run:gone"], []):
        with pytest.raises(UsageError):
            list(page.begin("models", arms, *wishes))


def test_an_export_says_how_the_parent_is_trained_further(
    runs: dict[str, RunFolder], store: VoteStore, tiny_model: Path, tmp_path: Path
) -> None:
    made, out = voted(store, (PARENT, "base")), tmp_path / "dpo.jsonl"
    told = CliRunner().invoke(cli, ["votes", "export", made.id, "--format", "dpo", "--out", str(out)]).stdout
    said = f"--objective dpo --method lora --model {tiny_model} --set start_from={runs[PARENT].adapter}"
    assert f"To train {PARENT} further: fitting-room train {out} {said}" in told
    still = store.add(replace(made, id="open", closed=None))
    words = ["votes", "export", still.id, "--format", "dpo", "--out", str(tmp_path / "open.jsonl"), "--json"]
    assert json.loads(CliRunner().invoke(cli, words).stdout)["parent"] is None  # its arms are not told yet
