"""What pages are made of: escaping, the state of arms from events, the filters of rows."""

from __future__ import annotations

from typing import Any

import pytest

from app.components.cards import error_card
from app.components.charts import smoothed
from app.components.live import arm_states, cut_off, phase_of, progress_view
from app.components.markup import duration, html, sendable
from app.components.results import answer_box, arms_table, filtered, items_view, verdict_card
from app.components.wiring import number_in
from dataset_tools import DataError, UsageError

HOSTILE = '<img src=x onerror="hit()">'
TITLES = {"a": "Arm A", "b": "Arm B"}


def item(index: int, a: float, b: float, text: str = "text") -> dict[str, Any]:
    arms = {"a": {"answer": text, "score": a}, "b": {"answer": text, "score": b}}
    return {"index": index, "prompt": text, "wanted": text, "arms": arms}


def test_what_is_put_into_html_is_escaped() -> None:
    shown = [
        html("<p>{}</p>", HOSTILE),
        error_card(DataError(HOSTILE, where=HOSTILE, found=HOSTILE, next_step=HOSTILE)),
        answer_box(HOSTILE, HOSTILE),
        items_view([item(0, 0, 1, HOSTILE)], {"a": HOSTILE}),
        progress_view(arm_states([{"event": "phase", "arm": HOSTILE, "phase": HOSTILE}], []), {}, now=0),
    ]
    assert all("<img" not in text and "&lt;img" in text for text in shown)


def test_a_lone_surrogate_can_be_sent() -> None:
    assert sendable("a\ud800b").encode("utf-8") == b"a?b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.034, "0.034 s"),
        (9.6, "9.6 s"),
        (59.7, "1 min"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_is_readable(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("text", "number"), [("", None), (None, None), (" 8 ", 8.0), ("1,5", 1.5)])
def test_a_number_field_is_read(text: str | None, number: float | None) -> None:
    assert number_in(text, "Rows") == number


@pytest.mark.parametrize("text", ["0", "-3", "many", "nan", "inf"])
def test_a_number_field_with_something_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Rows"):
        number_in(text, "Rows")


def test_arms_follow_their_events() -> None:
    events = [
        {"event": "arm", "arm": "a", "state": "preparing", "time": 10},
        {"event": "arm", "arm": "a", "state": "answering", "done": 3, "total": 4, "time": 12},
        {"event": "arm", "arm": "b", "state": "training", "reason": "why", "time": 13},
        {"event": "step", "arm": "b", "step": 5, "steps": 10, "loss": 1.234, "eta": 30, "time": 14},
        {"event": "arm", "arm": "a", "state": "done", "score": 0.5, "interval": [0.4, 0.6], "time": 20},
        {"event": "arm", "arm": "c", "state": "skipped", "reason": "no documents", "time": 21},
    ]
    a, b, c, d = arm_states(events, ["a", "b", "c", "d"])
    assert (a.state, a.share, a.began, a.ended) == ("done", 1.0, 10, 20)
    assert (b.state, b.share, b.detail) == ("training", 0.5, "step 5 of 10, loss 1.23, 30 s left")
    assert (c.state, c.detail) == ("skipped", "no documents")
    assert d.state == "waiting"
    assert [state.state for state in arm_states(events[:2], ["a"])] == ["answering"]


def test_a_run_that_ended_early_has_no_arm_under_way() -> None:
    events = [
        {"event": "arm", "arm": "a", "state": "done", "score": 0.5, "interval": [0.4, 0.6], "time": 20},
        {"event": "arm", "arm": "b", "state": "answering", "done": 3, "total": 4, "time": 22},
    ]
    assert [state.state for state in cut_off(arm_states(events, ["a", "b", "c"]))] == ["done"] + 2 * ["not finished"]


def test_the_phase_is_told_until_an_arm_speaks() -> None:
    loading = {"event": "phase", "phase": "loading"}
    assert phase_of([]) == "starting"
    assert phase_of([loading, {"event": "phase", "phase": "reading", "arm": "a"}]) == "loading"
    assert phase_of([loading, {"event": "arm", "arm": "a", "state": "preparing"}]) == ""


def test_filters_choose_the_rows_that_they_name() -> None:
    items = [item(0, 1, 0), item(1, 0, 1), item(2, 1, 1), item(3, 0.5, 0.25)]
    chosen = {which: [row["index"] for row in filtered(items, which, "a")] for which in ("all", "differ")}
    assert chosen == {"all": [0, 1, 2, 3], "differ": [0, 1, 3]}
    assert [row["index"] for row in filtered(items, "best wins", "a")] == [0, 3]
    assert [row["index"] for row in filtered(items, "best loses", "a")] == [1]


def test_a_skipped_arm_has_a_reason_and_no_score() -> None:
    skipped = {"name": "rag", "title": "RAG", "skipped": "there are no documents", "score": None}
    result = {"arms": [skipped], "verdict": {"arm": None, "kind": "tie", "sentence": "s", "next_step": "n"}}
    assert "Not run: there are no documents" in arms_table(result)
    assert "s" in verdict_card(result)


def test_smoothing_keeps_a_constant_and_starts_at_the_first_value() -> None:
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smoothed([3.0, 1.0])[0] == pytest.approx(3.0)
