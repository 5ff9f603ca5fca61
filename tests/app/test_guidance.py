"""What the pages say next: the step after a verdict, what an approach is, how far a comparison is that was resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor.approaches import ARM_TITLES
from app.comparisons import asked_arms, request_of
from app.components.approaches import approaches_explained
from app.components.cards import error_parts_card
from app.components.findings import verdict_banner
from app.components.live import arm_states, of_this_start
from app.components.results import facts_line
from app.components.tool_views import changes_card
from app.pages.compare import next_links
from app.workspace import Change, Project, StoredFile
from dataset_tools import Finding, Report
from dataset_tools.checks import Hit


def result(kind: str, arm: str | None, *, tuned: bool = True) -> dict[str, Any]:
    names = ["zero-shot", "few-shot", *(["qlora"] if tuned else [])]
    arms = [{"name": name, "title": ARM_TITLES[name], "skipped": None} for name in names]
    return {"verdict": {"kind": kind, "arm": arm, "rows_needed": 54}, "arms": arms}


@pytest.mark.parametrize("kind", ["not_enough_evidence", "nothing_works"])
def test_a_best_bet_is_not_called_a_winner(kind: str) -> None:
    shown = next_links(result(kind, "qlora"), {"project": "p"})
    assert "winner" not in shown
    assert 'fr-main" href="/?project=p"' in shown, "the main step is not the rows"


def test_training_is_the_main_step_where_it_won() -> None:
    shown = next_links(result("winner", "qlora"), {"project": "p"})
    assert 'fr-main" href="/train?project=p"' in shown
    assert "Train the winner" in shown


def test_training_is_called_needless_only_where_it_was_measured() -> None:
    assert "No training is needed" in next_links(result("winner", "few-shot"), {"project": "p"})
    assert "No training is needed" not in next_links(result("winner", "few-shot", tuned=False), {"project": "p"})


def test_every_approach_is_explained() -> None:
    shown = approaches_explained(ARM_TITLES.items())
    assert shown.count("<dd>") == len(ARM_TITLES)


def test_what_was_left_out_names_the_approach_by_its_title() -> None:
    task = {"metric": "accuracy", "rows": {"test": 12, "train": 32, "validation": 8}}
    given = {**result("tie", "qlora"), "task": task, "left_out": ["qlora: 2 of 6 passes", "60 rows: too many"]}
    shown = facts_line(given)
    assert "Fine-tuned (QLoRA): 2 of 6 passes" in shown
    assert "60 rows: too many" in shown
    assert "8 more to check training with" in shown


def test_a_resumed_comparison_counts_no_time_of_the_pause() -> None:
    events: list[dict[str, Any]] = [
        {"time": 10, "event": "arm", "arm": "a", "state": "preparing"},
        {"time": 15, "event": "arm", "arm": "a", "state": "done", "score": 0.5, "interval": [0.4, 0.6]},
        {"time": 16, "event": "arm", "arm": "b", "state": "answering", "done": 3, "total": 4},
        {"time": 500, "event": "phase", "phase": "reading the data"},
    ]
    a, b = arm_states(of_this_start(events, 499), ["a", "b"])
    assert (a.state, a.began, a.ended) == ("done", 10, 15)
    assert (b.state, b.began) == ("waiting", None)
    assert of_this_start(events, 0) == events


def test_a_comparison_without_a_readable_request_is_taken_for_one_of_all_approaches(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{", "utf-8")
    assert request_of(tmp_path) == {}
    assert asked_arms(tmp_path) == list(ARM_TITLES)


def test_the_last_of_several_changes_is_told_from_those_before(tmp_path: Path) -> None:
    stored = StoredFile("training-1.jsonl", "rows.jsonl")
    first, second = Change("15 rows left out", stored), Change("6 rows mended", stored)
    one = changes_card(Project(tmp_path, training=stored, history=(first,)))
    both = changes_card(Project(tmp_path, training=stored, history=(first, second)))
    assert "Before that" not in one
    assert "Last: 6 rows mended. Before that: 15 rows left out." in both


def test_the_verdict_leads_to_the_fixes_where_there_are_any() -> None:
    def report(fix: str) -> Report:
        found = Finding("x", "error", "t", "w", 1, (Hit("m", 1, 1),), fix=fix)
        return Report("rows.jsonl", "messages", 12, 11, "fix_first", (found,), ())

    assert 'href="#fixing"' in verdict_banner(report("mend it"))
    assert 'href="#fixing"' not in verdict_banner(report(""))


def test_an_error_begins_with_a_capital() -> None:
    assert "<h3>The file is empty</h3>" in error_parts_card({"what": "the file is empty"})
