"""What the Compare page does when it is used, without a browser: the same functions, called as it calls them."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.cost import Prices, Situation
from app.comparisons import asked_arms, comparison_summary, go_on, read_result, request_of
from app.pages.compare import ComparePage
from app.pages.compare.setup import SetupForm, folds_field, request_from, ticked, usable_arms
from app.pages.compare.situation import judgement_of, price_texts
from app.workspace import Project, Workspace
from dataset_tools import UsageError
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import is_alive, state_of, stop

pytestmark = pytest.mark.usefixtures("one_thread")
USUAL = ("10000", "yearly", False, "here", "3", "", "", "", "")
PLAIN = (["zero-shot"], "", "", "", "", "", False, "", "", "", "")


@pytest.fixture
def home(
    compared_home: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, fitting_room_home: Path
) -> Iterator[Path]:
    """The home with its comparison, put back as it was afterwards."""
    kept = fitting_room_home / "kept"
    shutil.copytree(compared_home / "comparisons", kept)
    monkeypatch.setenv("FITTING_ROOM_HOME", str(compared_home))
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    yield compared_home
    for file in compared_home.glob("comparisons/*/run.json"):
        stop(RunFolder(file.parent))
        while is_alive(file.parent):  # one that is done has its files to close
            time.sleep(0.02)
    shutil.rmtree(compared_home / "comparisons")
    shutil.copytree(kept, compared_home / "comparisons")


@pytest.fixture
def page(home: Path) -> ComparePage:
    import gradio as gr

    page = ComparePage(Workspace(home))

    async def build() -> None:
        with gr.Blocks() as blocks:
            page.build(blocks)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return page


@pytest.fixture
def project(home: Path) -> Project:
    (project,) = Workspace(home).projects()
    return project


@pytest.fixture
def run(home: Path) -> RunFolder:
    (run,) = Workspace(home).comparisons()
    return run


def values_of(form: SetupForm, updates: dict[Any, Any]) -> list[Any]:
    """What stands in the fields after these updates, in the order that the page hands them over."""
    return [getattr(updates[part], "value", updates[part]) for part in form.inputs]


def wait(run: RunFolder) -> str:
    deadline = time.monotonic() + 120
    while state_of(run) not in ENDED:
        assert time.monotonic() < deadline, (run.path / "worker.log").read_text()
        time.sleep(0.1)
    return state_of(run)


def test_the_page_opens_with_the_comparison_its_form_filled_in_and_its_evidence(
    page: ComparePage, run: RunFolder
) -> None:
    shown, setup, evidence = page.open(), page.setup, page.evidence
    assert shown[page.comparison] == run.path.name
    assert shown[setup.arms].value == ["zero-shot", "few-shot", "qlora"]
    assert shown[setup.curve] is True and shown[setup.limit] == ""
    situation = setup.situation
    assert (shown[situation.requests], shown[situation.changes], shown[situation.place]) == (
        "50000",
        "weekly",
        "hosted",
    )
    assert shown[situation.margin] == "3" and [shown[price] for price in situation.prices] == [""] * 4
    assert shown[situation.again].visible and not shown[page.resume].visible
    assert shown[evidence.column].visible and shown[evidence.chart] is not None
    assert shown[evidence.folds["gaps"]].label.startswith("What holds the model back")
    assert [name for name, fold in evidence.folds.items() if not shown[fold].visible] == []
    assert all(shown[evidence.charts[name]].visible for name in ("cost", "curve"))
    assert f"/report/{run.path.name}" in shown[evidence.tables]
    for name in ("items.csv", "result.json", "report.md"):
        assert f"/download/{run.path.name}/{name}" in shown[evidence.tables]


def test_the_filled_in_form_asks_for_the_same_comparison(page: ComparePage, project: Project, run: RunFolder) -> None:
    values = values_of(page.setup, page.open())
    request = request_from(project, run, values)
    assert request.fingerprint() == request_of(run.path)["fingerprint"]
    asked = json.loads(json.dumps(request.to_dict()))
    assert asked == {name: value for name, value in request_of(run.path).items() if name != "fingerprint"}


def test_another_situation_is_judged_from_the_answers_there_are(page: ComparePage, run: RunFolder) -> None:
    before = {file: file.stat().st_mtime_ns for file in (run.path / "arms").glob("*.json")}
    told = len(run.events()[0])
    shown = page.judge(run.path.name, "2000", "daily", True, "own_gpu", "7,5", "", "", "", "2")
    assert not shown[page.evidence.column].visible
    assert wait(run) == "done", (run.path / "worker.log").read_text()
    result = read_result(run)
    assert result is not None and result["margin"] == 0.075
    assert result["cost"]["situation"] == {
        "requests_a_month": 2000,
        "answers_change": "daily",
        "must_cite": True,
        "runs_on": "own_gpu",
    }
    assert (result["cost"]["prices"]["machine_hour"], result["cost"]["assumed"]) == (2.0, True)
    states = [event["state"] for event in run.events()[0][told:] if event["event"] == "arm" and event["arm"] != "qlora"]
    assert "answering" not in states
    kept = {file: file.stat().st_mtime_ns for file in (run.path / "arms").glob("*.json")}
    assert {file: kept[file] for file in before} == before
    assert page.open()[page.setup.situation.margin] == "7.5"


def test_starting_with_another_situation_alone_judges_the_same_comparison(
    page: ComparePage, project: Project, run: RunFolder
) -> None:
    values = values_of(page.setup, page.open())
    values[len(values) - len(USUAL) + 4] = "6"
    shown = page.begin(project.id, run.path.name, *values)
    assert shown[page.comparison] == run.path.name and shown[page.stop].visible
    assert request_of(run.path)["margin"] == 0.06
    assert len(Workspace(page.workspace.root).comparisons()) == 1


def test_a_comparison_that_was_stopped_goes_on(page: ComparePage, run: RunFolder) -> None:
    (run.path / "result.json").unlink()
    (run.path / "arms" / "few-shot.json").unlink()
    run.update(state="stopped")
    shown = page.open()
    assert shown[page.resume].visible and not shown[page.evidence.column].visible
    assert "Resume lets it go on" in shown[page.progress]
    assert comparison_summary(run).step == 2
    page.go_on(run.path.name)
    assert wait(run) == "done"
    assert [arm["name"] for arm in (read_result(run) or {})["arms"] if not arm["skipped"]] == [
        "zero-shot",
        "few-shot",
        "qlora",
    ]


def test_rows_that_changed_are_not_judged_with_the_answers_of_others(
    page: ComparePage, project: Project, run: RunFolder
) -> None:
    rows = project.training_path.read_bytes()
    try:
        project.training_path.write_bytes(rows + b"\n")
        with pytest.raises(UsageError, match="changed since this comparison"):
            page.judge(run.path.name, *USUAL)
    finally:
        project.training_path.write_bytes(rows)
    (run.path / "request.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        go_on(run)
    with pytest.raises(UsageError, match="no such comparison"):
        page.judge("gone", *USUAL)


def test_a_result_that_lacks_the_newer_keys_is_shown_with_what_it_has(page: ComparePage, run: RunFolder) -> None:
    result = json.loads((run.path / "result.json").read_text())
    for name in ("plan", "gaps", "confirmed", "cost", "learning_curve", "command", "margin", "near_far"):
        del result[name]
    for arm in result["arms"]:
        for name in ("cost", "near", "far", "tuning", "confusion", "dropped", "cost_rank", "shared_prefix_tokens"):
            arm.pop(name, None)
    for name in ("conditions", "probability_best", "reasons"):
        del result["verdict"][name]
    (run.path / "result.json").write_text(json.dumps(result))
    asked = request_of(run.path)
    for name in ("situation", "prices", "margin", "instructions", "endpoint", "endpoint_model", "learning_curve"):
        del asked[name]
    (run.path / "request.json").write_text(json.dumps(asked))
    for name in ("report.html", "items.csv"):
        (run.path / name).unlink()
    shown, evidence = page.open(), page.evidence
    assert shown[evidence.column].visible and result["verdict"]["sentence"] in shown[page.verdict]
    assert not any(shown[evidence.folds[name]].visible for name in ("gaps", "curve", "labels"))
    assert "/report/" not in shown[evidence.tables] and "items.csv" not in shown[evidence.tables]
    assert shown[page.setup.situation.requests] == "10000" and shown[page.setup.curve] is False


def test_what_is_typed_becomes_the_request(project: Project) -> None:
    own = (["zero-shot", "few-shot"], "20", "5", "", "", " Be brief. \n\nName the bin.", True, "1", "")
    request = request_from(project, None, (*own, "http://localhost:11434/v1", "qwen3:4b", *USUAL))
    assert request.arms == ("zero-shot", "zero-shot@endpoint", "few-shot", "few-shot@endpoint")
    assert request.instructions == ("Be brief.", "Name the bin.")
    assert (request.limit, request.budget_minutes, request.learning_curve, request.folds) == (20, 5.0, True, 1)
    usable = usable_arms(project)
    assert ticked(usable, {"arms": request.arms}) == ["zero-shot", "few-shot"]
    every = [arm.name for arm in usable]
    assert request_from(project, None, (every, *PLAIN[1:], *USUAL)).arms is None


def test_folds_and_a_judge_are_asked_for_as_they_were_typed(project: Project) -> None:
    typed = (*PLAIN[:4], "judge", *PLAIN[5:7], "5", "http://localhost:1/v1#m", "", "", *USUAL)
    bare = replace(project, test=None)
    request = request_from(bare, None, typed)
    assert (request.folds, request.metric, request.judge) == (5, "judge", "http://localhost:1/v1#m")


def test_with_test_rows_of_their_own_there_is_no_field_for_folds() -> None:
    import gradio as gr

    shown = [folds_field(gr, folds, has_test=False) for folds in (None, 1, 5, 7)]
    assert [field.value for field in shown] == ["", "1", "5", "7"] and all(field.visible for field in shown)
    hidden = [folds_field(gr, folds, has_test=True) for folds in (None, 1, 5)]
    assert [field.value for field in hidden] == ["", "1", ""] and not any(field.visible for field in hidden)


def test_what_makes_no_request_is_refused_in_the_words_of_the_page(project: Project) -> None:
    for values, said in (
        (([], *PLAIN[1:], *USUAL), "No approach is ticked"),
        ((*PLAIN[:-1], "qwen3:4b", *USUAL), "an address and the model's name"),
        ((PLAIN[0], "few", *PLAIN[2:], *USUAL), "Test rows"),
        ((*PLAIN[:4], "judge", *PLAIN[5:], *USUAL), "opinion of a model"),
        ((*PLAIN[:8], "qwen3:32b", *PLAIN[9:], *USUAL), "opinion of a model"),
    ):
        with pytest.raises(UsageError, match=said):
            request_from(project, None, values)
    with pytest.raises(UsageError, match="no examples"):
        request_from(None, None, (*PLAIN, *USUAL))


def test_a_situation_is_read_and_an_empty_field_is_the_default() -> None:
    assert judgement_of(*USUAL) == {"situation": Situation(), "margin": 0.03, "prices": Prices()}
    typed = judgement_of("1e3", "daily", True, "hosted", "2,5", "0.2", "0", "$0.4", "")
    assert typed["situation"] == Situation(1000, "daily", True, "hosted")
    assert typed["margin"] == 0.025 and typed["prices"] == Prices(0.2, 0.0, 0.4, assumed=True)
    whole = judgement_of(*USUAL[:5], "0.1", "0.01", "0.3", "1.6")
    assert whole["prices"].assumed is False


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        (0, "many", "Requests"),
        (4, "100", "below 100"),
        (4, "0", "Smallest"),
        (5, "-1", "Prompt"),
        (8, "nan", "Machine"),
    ],
)
def test_a_situation_that_makes_no_sense_is_refused(place: int, text: str, said: str) -> None:
    values: list[Any] = [*USUAL]
    values[place] = text
    with pytest.raises(UsageError, match=said):
        judgement_of(*values)


def test_only_the_prices_that_were_given_are_filled_in() -> None:
    assert price_texts({}) == [""] * 4
    assert price_texts({"prompt": 0.1, "cached_prompt": 0.01, "answer": 0.5, "machine_hour": 1.6, "assumed": True}) == [
        "",
        "",
        "0.5",
        "",
    ]
    assert price_texts(
        {"prompt": 0.1, "cached_prompt": 0.01, "answer": 0.3, "machine_hour": 1.6, "assumed": False}
    ) == [
        "0.1",
        "0.01",
        "0.3",
        "1.6",
    ]


def test_the_arms_of_an_endpoint_are_among_those_that_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps({"arms": None, "endpoint": "http://x/v1"}))
    assert "zero-shot@endpoint" in asked_arms(tmp_path)
    (tmp_path / "request.json").write_text(json.dumps({"arms": ["few-shot"], "endpoint": None}))
    assert asked_arms(tmp_path) == ["few-shot"]
