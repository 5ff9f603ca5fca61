"""Runs found by what a user calls them, and summed up from their folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.run_reading import (
    EventLogs,
    data_hash,
    differing_settings,
    figures_of,
    find_run,
    known_runs,
    last_events,
    summary_of,
)
from dataset_tools import UsageError
from dataset_tools.example import Example
from tests.app.run_folders import RESULT, steps, write_run
from training.recipe import Recipe
from training.runs.store import RunStore


def test_a_run_is_found_by_its_id_its_beginning_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = write_run("20260101-first", "done"), write_run("20260102-second", "done")
    elsewhere = write_run("mine", "done", folder=tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_run("20260101-first").path == first.path
    assert find_run("20260102").path == second.path
    assert find_run(str(tmp_path / "mine")).path == find_run("mine").path == elsewhere.path


def test_a_whole_id_wins_over_the_beginning_of_another() -> None:
    short = write_run("run-1", "done")
    write_run("run-10", "done")
    assert find_run("run-1").path == short.path


@pytest.mark.parametrize("named", ["../x", "a/../../x", "..", "/etc", "~", "\0", "x" * 5000, "", "*", "20260101"])
def test_what_names_no_run_is_refused(named: str) -> None:
    with pytest.raises(UsageError):
        find_run(named)


def test_the_way_past_other_folders_is_refused_even_where_it_leads_to_a_run(tmp_path: Path) -> None:
    write_run("mine", "done", folder=tmp_path / "mine")
    with pytest.raises(UsageError, match="past other folders"):
        find_run(f"{tmp_path}/other/../mine")


def test_an_unknown_id_names_the_close_ones_and_an_ambiguous_one_all() -> None:
    write_run("20260101-aaaa", "done")
    write_run("20260101-bbbb", "done")
    with pytest.raises(UsageError) as unknown:
        find_run("20260101-aaab")
    assert unknown.value.expected is not None and "20260101-aaaa" in unknown.value.expected
    with pytest.raises(UsageError, match="Several") as several:
        find_run("20260101")
    assert several.value.expected is not None and "bbbb" in several.value.expected


def test_a_folder_of_something_else_is_no_run(tmp_path: Path) -> None:
    run = write_run("other", "done", folder=tmp_path / "other")
    (run.path / "recipe.yaml").unlink()
    with pytest.raises(UsageError, match="no training"):
        find_run(str(run.path))


def test_a_run_elsewhere_is_known_by_the_index_and_the_newest_comes_first(tmp_path: Path) -> None:
    write_run("old", "done", created=1.0)
    run = write_run("elsewhere", "done", folder=tmp_path / "elsewhere")
    with RunStore.open() as store:
        for at, state in enumerate(("queued", "preparing", "done"), 1):
            store.record("elsewhere", state, folder=run.path, at=float(at))
    assert [each.path.name for each in known_runs()] == ["elsewhere", "old"]


def test_a_run_whose_process_is_gone_is_marked_and_ends_at_its_last_word() -> None:
    run = write_run("dead", "running", steps(3))
    summary = summary_of(run)
    assert (summary.state, summary.live, summary.step, summary.seconds) == ("interrupted", False, 3, 4.0)
    assert json.loads((run.path / "run.json").read_text())["state"] == "interrupted"


def test_a_summary_is_read_from_the_end_of_a_long_log() -> None:
    run = write_run("long", "failed", steps(4000, of=9000, every=100))
    summary = summary_of(run)
    assert (summary.step, summary.steps, summary.validation_loss) == (4000, 9000, pytest.approx(3 - 400 + 0.5))
    assert last_events(run, ("training", "none"))["training"]["steps"] == 9000


def test_the_result_of_a_run_that_was_discarded_counts_no_more() -> None:
    run = write_run("discarded", "stopped", steps(5), result=RESULT)
    assert figures_of(run)["validation_loss"] == RESULT["validation_loss"]
    run.discard()
    assert not run.adapter.exists()
    assert figures_of(run)["validation_loss"] == pytest.approx(3.1)


def test_events_are_read_on_from_where_they_were_and_a_torn_line_is_passed_over() -> None:
    run, logs = write_run("log", "done", steps(1)), EventLogs()
    before = len(logs.of(run))
    with (run.path / "events.jsonl").open("a") as log:
        log.write('{"event": "st\n{"event": "remark", "text": "one"}\n{"event": "rem')
    assert [event["event"] for event in logs.of(run)[before:]] == ["remark"]
    with (run.path / "events.jsonl").open("a") as log:
        log.write('ark", "text": "two"}\n')
    assert [event["text"] for event in logs.of(run)[before:]] == ["one", "two"]


def test_settings_and_rows_that_differ_are_told_apart() -> None:
    base = Recipe("embedded")
    one, two = write_run("one", "done", recipe=base), write_run("two", "done", recipe=replace(base, rank=8, epochs=1.0))
    assert differing_settings([one, two]) == [("epochs", [3.0, 1.0]), ("rank", [16, 8])]
    assert differing_settings([one, one]) == []
    assert data_hash(one, "train") == data_hash(two, "train") and data_hash(one, "validation") is None
    two.write_rows("train", [Example.of("Other?", "rows")])
    assert data_hash(one, "train") != data_hash(two, "train")
