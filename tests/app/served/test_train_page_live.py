"""The Train page in a real browser with a real, tiny model: set up, watch, stop, resume, come back, delete."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.workspace import Workspace
from dataset_tools import load_examples
from training.planning import plan_training
from training.runs.folder import RunFolder
from training.runs.supervisor import start_training, stop

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("one_thread")]
Serving = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def train_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("train-home")
    yield home
    for file in home.glob("runs/*/run.json"):
        stop(RunFolder(file.parent), keep=False)


@pytest.fixture(scope="module")
def training(serving: Serving, tiny_model: Path, train_home: Path) -> Iterator[str]:
    with serving(train_home, FITTING_ROOM_MODEL=str(tiny_model), OMP_NUM_THREADS="1") as address:
        yield address


@pytest.fixture
def project(train_home: Path, rows_file: Path, tmp_path: Path) -> str:
    """A project with the rows, whose page is opened."""
    copy = tmp_path / "rows.jsonl"
    copy.write_bytes(rows_file.read_bytes())
    return Workspace(train_home).create().add_rows("training", copy).id


def open_set_up(page: Any, app: str, project: str) -> None:
    page.goto(f"{app}/train?project={project}")
    page.locator("#train:enabled").wait_for()


def type_in(page: Any, name: str, value: str) -> None:
    field = page.locator(f"#knob-{name}")
    field.fill(value)
    field.press("Tab")


def state(page: Any, name: str) -> None:
    page.locator(f"#run [data-state={name}]").wait_for()


def run_of(page: Any, home: Path) -> RunFolder:
    """The run that the page's address names."""
    page.wait_for_url(re.compile("run=2"))
    return RunFolder(home / "runs" / page.url.partition("run=")[2].partition("&")[0])


def test_a_run_is_started_with_derived_settings_and_watched_to_its_end(
    page: Any, training: str, train_home: Path, project: str
) -> None:
    open_set_up(page, training, project)
    page.locator("#train").dblclick()
    run = run_of(page, train_home)
    page.locator("#phases").get_by_text("Reading the rows").wait_for()
    page.locator("#losses .scatterlayer .trace").first.wait_for()
    page.locator("#samples [data-strip]").wait_for()
    state(page, "done")
    assert len(list((train_home / "runs").iterdir())) == 1
    assert page.locator("#losses .legendtext").all_text_contents() == [
        "training loss, each step",
        "training loss, smoothed (EMA 0.85)",
        "validation loss",
    ]
    assert page.locator("#sparks figure").count() == 3
    assert page.locator("#health [data-light]").count() == 1
    slider = page.locator("#samples input[type=range]")
    slider.fill("0")
    page.locator("#samples output").get_by_text("the start, before any training").wait_for()
    assert page.locator("#samples .fr-answer[data-at='0']").first.is_visible()
    page.get_by_role("link", name="Evaluate side by side").wait_for()
    assert (run.adapter / "adapter_model.safetensors").is_file()


def test_a_finished_run_is_exported_found_again_after_a_reload_and_downloaded(
    page: Any, training: str, train_home: Path
) -> None:
    runs = [RunFolder(file.parent) for file in train_home.glob("runs/*/run.json")]
    run = next((run for run in runs if run.status()["state"] == "done"), None)
    if run is None:
        pytest.skip("the test before this one, which trains, was left out")
    page.goto(f"{training}/train?run={run.path.name}")
    page.get_by_role("button", name="Export: Adapter").click()
    page.locator("#exporting [data-export=running]").wait_for()
    page.reload()
    made = page.locator("#exported [data-made=adapter]")
    made.get_by_text("proven", exact=True).wait_for()
    assert "vllm serve" in made.locator("[data-serving]").inner_text()
    with page.expect_download() as started:
        made.get_by_role("link", name="Download the model card").click()
    assert "## Proof of this export" in Path(started.value.path()).read_text("utf-8")


def test_a_run_is_stopped_resumed_found_again_and_deleted(
    page: Any, training: str, train_home: Path, project: str
) -> None:
    open_set_up(page, training, project)
    type_in(page, "epochs", "2000")
    page.locator("#ready").get_by_text("2000 passes").wait_for()
    page.locator("#train").click()
    run = run_of(page, train_home)
    page.locator("#losses .scatterlayer .trace").first.wait_for()

    page.get_by_role("button", name="Stop …").click()
    page.get_by_role("button", name="Go on training").click()
    page.locator("#asking .fr-card").wait_for(state="detached")
    page.get_by_role("button", name="Stop …").click()
    page.get_by_role("button", name="Stop and keep").click()
    state(page, "stopped")
    assert run.adapter.is_dir() and "is kept" in page.locator("#run").inner_text()

    page.get_by_role("button", name="Resume").click()
    state(page, "running")
    page.reload()
    state(page, "running")
    page.locator("#losses .scatterlayer .trace").first.wait_for()
    other = page.context.new_page()
    other.goto(f"{training}/train?project={project}")
    other.locator("#run [data-state=running]").wait_for()

    page.get_by_role("button", name="Stop …").click()
    page.get_by_role("button", name="Stop and discard").click()
    state(page, "stopped")
    page.get_by_text("Nothing of what it had learnt is kept").wait_for()
    other.locator("#run [data-state=stopped]").wait_for()
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Delete it").click()
    page.locator("#runs").wait_for()
    page.wait_for_url(re.compile(r"/train\?project=\w+$"))
    assert not run.path.exists()


def test_a_wrong_value_is_told_at_its_knob_and_what_is_typed_meanwhile_stays(
    page: Any, training: str, project: str
) -> None:
    open_set_up(page, training, project)
    type_in(page, "epochs", "1")
    type_in(page, "learning_rate", "much")  # while the first change may still be under way
    page.locator("[data-knob=learning_rate] .fr-wrong").get_by_text("This is no number.").wait_for()
    page.locator("#ready").get_by_text("Not ready").first.wait_for()
    assert page.locator("#train").is_disabled() and page.locator("#knob-epochs").input_value() == "1"
    page.locator("[data-knob=learning_rate] [data-back]").click()
    page.locator("#train:enabled").wait_for()
    page.get_by_text("Advanced").click()
    page.locator("[data-knob=rank]").get_by_text("Usual: 8 to 32").click()
    page.locator("[data-knob=rank]").get_by_text("Hardly matters").wait_for()
    type_in(page, "rank", "4")
    page.locator("#knob-alpha").and_(page.locator("[data-shown='8']")).wait_for()
    assert page.locator("#knob-alpha").input_value() == "8"


def test_settings_are_downloaded_and_pasted_as_yaml(page: Any, training: str, project: str) -> None:
    open_set_up(page, training, project)
    type_in(page, "epochs", "1.5")
    page.locator("#ready").get_by_text("1.5 passes").wait_for()
    page.locator("#recipe summary").click()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download recipe.yaml").click()
    recipe = yaml.safe_load(Path(started.value.path()).read_text("utf-8"))
    assert started.value.suggested_filename == "recipe.yaml" and recipe["epochs"] == 1.5
    page.get_by_text("Advanced").click()
    page.locator("[name=yaml]").fill(yaml.safe_dump({**recipe, "method": "lora", "rank": 2}))
    page.get_by_role("button", name="Use these settings").click()
    page.locator("#ready").get_by_text("LoRA (rank 2)").wait_for()
    assert page.locator("#knob-epochs").input_value() == "1.5"
    page.get_by_role("button", name="Back to the derived settings").click()
    page.locator("#ready").get_by_text("LoRA (rank 16)").wait_for()


def test_methods_that_suit_are_chosen_by_cards_and_others_say_why(page: Any, training: str, project: str) -> None:
    open_set_up(page, training, project)
    pairs = page.locator("[data-do=objective][data-name=dpo]")
    assert pairs.is_disabled() and "better and a worse answer" in pairs.inner_text()
    page.get_by_text("change", exact=True).click()
    page.locator("[data-do=method][data-name=ia3]").click()
    page.locator("#ready").get_by_text("IA3").wait_for()
    assert page.locator("[data-name=ia3]").get_attribute("aria-checked") == "true"


def test_a_run_that_was_started_elsewhere_is_found_and_one_with_hostile_rows_is_harmless(
    page: Any, training: str, train_home: Path, tiny_model: Path, rows_file: Path
) -> None:
    from dataclasses import replace

    hostile = '<img src=x onerror="window.hit=1">'
    examples = load_examples(rows_file).examples
    examples = [
        replace(row, messages=(replace(row.messages[0], content=hostile + row.question), row.messages[1]))
        for row in examples
    ]
    plan = plan_training(examples, model=str(tiny_model), method="lora")
    home, os.environ["FITTING_ROOM_HOME"] = os.environ["FITTING_ROOM_HOME"], str(train_home)
    try:
        recipe = replace(plan.recipe, epochs=1.0, dry_run=False)
        run = start_training(recipe, plan.train, validation=plan.validation)
    finally:
        os.environ["FITTING_ROOM_HOME"] = home
    page.goto(f"{training}/train")
    page.locator("#train:enabled, #ready .fr-empty").first.wait_for()  # it is open, and changes its tab no more
    page.get_by_role("tab", name="All runs").click()
    row = page.locator(f"tr[data-run='{run.path.name}']")
    row.get_by_text("done").wait_for()
    row.get_by_role("button", name=f"Show {run.path.name}").click()
    page.locator("#samples [data-strip]").get_by_text("onerror").first.wait_for()
    assert page.evaluate("window.hit") is None
    page.get_by_role("tab", name="All runs").click()
    row.get_by_role("button", name=f"Compare {run.path.name}").click()
    page.locator("#overlay .scatterlayer .trace").first.wait_for()
