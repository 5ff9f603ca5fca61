"""Comparisons among the runs: listed, shown, stopped, resumed, deleted by the same commands, in one table."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from advisor.comparison import start_comparison
from advisor.request import ComparisonRequest
from app.comparisons import comparison_summary
from app.components.run_table import runs_table
from app.run_reading import find_run, known_comparisons, known_runs
from app.runs_cli import runs
from dataset_tools import UsageError
from tests.app.results import whole
from tests.app.run_folders import BEGAN, RESULT, steps, write_run
from training.home import home
from training.runs.folder import ENDED, RunFolder
from training.runs.store import RunStore
from training.runs.supervisor import state_of, stop

pytestmark = pytest.mark.usefixtures("one_thread")


def call(*words: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(runs, [str(word) for word in words], input=typed)


def answer(*words: object) -> Any:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def write_comparison(name: str, state: str, *, folder: Path | None = None, **asked: Any) -> RunFolder:
    """A comparison in the home (or in a folder elsewhere) as it is left, with two of three approaches whole."""
    run = RunFolder((folder or home() / "comparisons" / name).resolve())
    (run.path / "arms").mkdir(parents=True)
    plan = {"test_rows": 40, "arms": [{"name": name} for name in ("zero-shot", "few-shot", "qlora")]}
    for file, content in (("plan", plan), ("zero-shot", {}), ("few-shot", {})):
        (run.path / "arms" / f"{file}.json").write_text(json.dumps(content))
    request = {"fingerprint": "f", "data": "rows.jsonl", "model": "embedded", **asked}
    (run.path / "request.json").write_text(json.dumps(request))
    status = {"run": name, "state": state, "created": BEGAN + 5, "kind": "comparison", "ended": BEGAN + 65}
    (run.path / "run.json").write_text(json.dumps(status))
    if state == "done":
        (run.path / "result.json").write_text(json.dumps(whole()))
    return run


def test_the_list_holds_both_kinds_the_newest_first() -> None:
    write_run("trained", "done", steps(10), result=RESULT)
    write_comparison("compared", "done")
    write_comparison("dead", "running")
    listed = {run["run"]: run for run in answer("list")["runs"]}
    assert list(listed) == ["dead", "compared", "trained"]
    assert [run["kind"] for run in listed.values()] == ["comparison", "comparison", "training"]
    assert (listed["compared"]["step"], listed["compared"]["steps"], listed["compared"]["rows"]) == (2, 3, 40)
    assert listed["compared"]["verdict"] == "Take Few-shot (nearest examples)."
    assert listed["dead"]["state"] == "interrupted" and listed["dead"]["seconds"] is not None
    table = call("list").stdout
    assert "comparison" in table and "2 of 3" in table and max(map(len, table.splitlines())) <= 160


def test_a_comparison_is_shown_with_its_verdict_and_its_approaches() -> None:
    run = write_comparison("compared", "done")
    shown = answer("show", "comp")
    assert shown["kind"] == "comparison" and shown["verdict"]["arm"] == "few-shot"
    arms = {arm["name"]: arm for arm in shown["arms"]}
    assert arms["few-shot"]["score"] == 0.75 and arms["rag"]["skipped"] and arms["qlora"]["dropped"]["rows"] == 13
    assert shown["files"]["result.json"] == str(run.path / "result.json")
    text = call("show", "compared").stdout
    for part in (
        "it beats the only other approach",
        "65.0 to 85.0",
        "left the race",
        "left out: there are no documents",
    ):
        assert part in text
    assert "Compare page" in text


def test_a_comparison_without_a_verdict_tells_how_far_it_is() -> None:
    write_comparison("stopped", "stopped", arms=["zero-shot", "few-shot", "qlora"])
    shown = answer("show", "stopped")
    assert shown["verdict"] is None
    assert [arm["state"] for arm in shown["arms"]] == ["done", "done", "to come"]
    assert "runs resume stopped" in call("show", "stopped").stdout


def test_a_failed_comparison_is_shown_with_its_error() -> None:
    run = write_comparison("failed", "failed")
    run.update(error={"kind": "DataError", "what": "The rows are [gone].", "next_step": "Bring them back."})
    shown = call("show", "failed").stdout
    assert "The rows are [gone]." in shown and "Bring them back." in shown
    watched = call("show", "failed", "--follow", "--json")
    assert watched.exit_code == 1 and json.loads(watched.stdout)["error"]["what"] == "The rows are [gone]."


def test_what_suits_trainings_alone_is_refused_for_comparisons() -> None:
    write_comparison("compared", "done")
    write_run("trained", "done", steps(10), result=RESULT)
    done = call("resume", "compared", "--json")
    assert done.exit_code == 1 and "nothing to go on with" in json.loads(done.stdout)["error"]["what"]
    assert call("diff", "compared", "trained").exit_code == 2
    with pytest.raises(UsageError):
        find_run("compared")
    assert find_run("compared", comparisons=True).path.name == "compared"
    assert "compared" not in [run.path.name for run in known_runs()]


def test_a_comparison_elsewhere_is_listed_once_the_index_knows_it_and_found_by_its_folder(tmp_path: Path) -> None:
    run = write_comparison("mine", "preparing", folder=tmp_path / "mine")
    run.update(state="running")
    assert [known.path for known in known_comparisons()] == [run.path]
    assert find_run(str(run.path), comparisons=True).path == run.path
    assert answer("show", "mine")["run"] == "mine"


def test_the_index_made_anew_knows_the_comparisons_of_the_home() -> None:
    write_comparison("compared", "done")
    with RunStore.open() as store:
        store.rebuild()
        assert [(run.run_id, run.kind, run.state) for run in store.runs()] == [("compared", "comparison", "done")]


def test_the_index_follows_a_comparison_that_is_judged_again() -> None:
    run = write_comparison("compared", "done")
    for state in ("preparing", "running", "done"):
        run.update(state=state)
    with RunStore.open() as store:
        found = store.get("compared")
    assert found is not None and (found.state, found.kind) == ("done", "comparison")


def test_a_comparison_is_deleted_where_it_is_confirmed() -> None:
    run = write_comparison("compared", "done")
    assert call("delete", "compared").exit_code == 2
    assert answer("delete", "compared", "--yes") == {"run": "compared", "deleted": True}
    assert not run.path.exists()


def test_the_table_of_all_runs_leads_to_a_comparison_and_offers_no_losses_to_compare() -> None:
    run = write_comparison("compared", "done")
    shown = runs_table([comparison_summary(run)], {"compared": "<b>My rows</b>"})
    assert 'href="/compare?comparison=compared"' in shown and "&lt;b&gt;My rows" in shown
    assert "Take Few-shot (nearest examples)." in shown and "2 of 3 approaches" in shown
    assert "data-do=" not in shown


def test_a_comparison_is_stopped_and_goes_on_to_its_verdict(
    rows_file: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    run = start_comparison(ComparisonRequest(rows_file, arms=("zero-shot", "few-shot"), limit=4))
    try:
        name = run.path.name
        refused = call("stop", name, "--discard", "--json")
        assert refused.exit_code == 2 and "kept" in json.loads(refused.stdout)["error"]["what"]
        assert answer("stop", name)["state"] == "stopped"
        assert answer("stop", name)["stopped"] is False
        resumed = call("resume", name, "--json")
        assert resumed.exit_code == 0, resumed.stderr
        told = json.loads(resumed.stdout)
        assert told["state"] == "done" and all(arm["n"] >= 4 for arm in told["arms"])
    finally:
        stop(run)
        deadline = time.monotonic() + 60
        while state_of(run) not in ENDED and time.monotonic() < deadline:
            time.sleep(0.1)
