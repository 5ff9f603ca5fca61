"""What a verdict rests on, as the page shows it: every part of a result, results that lack them, hostile text."""

from __future__ import annotations

from typing import Any

import pytest

from app.components import evidence
from app.components.charts import cost_chart, curve_chart, scores_chart
from app.components.comparison_plan import gaps_so_far, plan_sentences, plan_view
from app.components.live import arm_states, cut_off, progress_view
from app.components.results import arms_table, verdict_card
from app.pages.compare.evidence import fold_texts
from tests.app.results import arm, older, whole

HOSTILE = '<img src=x onerror="hit()">\'%{y}'


def test_every_part_of_a_whole_result_is_shown() -> None:
    result = whole()
    texts = fold_texts(result)
    assert all(texts.values())
    assert "Behaviour" in texts["gaps"] and "+40.0" in texts["gaps"] and "Not measured" in texts["gaps"]
    assert evidence.gaps_title(result) == "What holds the model back: behaviour"
    for said in ("Above 12,000 requests", "never with it", "The prices are assumed"):
        assert said in texts["cost"]
    assert "Picked on some of the rows" in texts["holding"] and "90.0 (70.0 to 100.0) on 12" in texts["holding"]
    assert "40 test rows can show a gap of about 22.0 points" in texts["holding"]
    assert "chosen from 2 on rows held back for it (18 answers)" in texts["setups"]
    assert "70.0 on 12 rows, 91 tokens" in texts["setups"] and "50.0 on 6 rows" not in texts["setups"]
    assert 'fr-right">18<' in texts["labels"] and 'fr-wrong">5<' in texts["labels"]
    assert "Doubling likely adds" in texts["curve"]
    tiles = evidence.number_tiles(result)
    assert all(number in tiles for number in ("+50.0", "97%", "$0.0080"))


def test_a_condition_stands_before_everything_and_takes_the_green_from_the_verdict() -> None:
    assert "Look: text" in evidence.conditions_card(whole())
    shown = verdict_card(whole())
    assert "A clear winner, with a condition" in shown and "fr-warn" in shown
    assert "fr-good" in verdict_card(older())


def test_an_older_result_shows_what_it_has_and_nothing_else() -> None:
    result = older()
    texts = fold_texts(result)
    assert [name for name, text in texts.items() if text] == ["pairs"]
    assert evidence.conditions_card(result) == "" and "+50.0" in evidence.number_tiles(result)
    assert curve_chart(result) is None
    assert "Zero-shot" in arms_table(result) and "1,000 requests" not in arms_table(result)


def test_an_arm_that_left_the_race_says_why_in_the_table() -> None:
    shown = arms_table(whole())
    assert "Left the race: surely worse after 13 rows: text." in shown
    assert "1,000 requests" in shown and "$0.0080" in shown


def test_arms_that_were_not_run_for_the_same_reason_stand_together_with_what_can_be_done_here() -> None:
    reason = "there are no documents; give them with --docs"
    skipped = [{"name": name, "title": name.upper(), "skipped": reason, "score": None} for name in ("rag", "corpus")]
    shown = arms_table({**older(), "arms": [arm("zero-shot", "Zero-shot", 0.2), *skipped]})
    assert "RAG, CORPUS" in shown and "add them on the Data page" in shown
    assert shown.count("Not run") == 1 and "--docs" not in shown


@pytest.mark.parametrize("count", [1, 13])
def test_a_confusion_table_has_labels_that_can_be_read_or_is_not_there(count: int) -> None:
    result, labels = whole(), [f"label {number}" for number in range(count)]
    result["arms"][1]["confusion"] |= {"labels": labels, "counts": [[1] * count] * count}
    assert evidence.confusion_table(result) == ""


def test_hostile_text_is_escaped_and_not_drawn_as_markup() -> None:
    result = whole(HOSTILE)
    events = [{"event": "gap", **gap} for gap in result["gaps"]] + [
        {"event": "arm", "arm": "a", "state": "done", "score": 0.1, "interval": [0, 0.2], "reason": HOSTILE}
    ]
    shown = [*fold_texts(result).values(), evidence.conditions_card(result), evidence.number_tiles(result)]
    shown += [arms_table(result), gaps_so_far(events), progress_view(arm_states(events, ["a"]), {}, now=0)]
    assert all("<img" not in text for text in shown)
    for figure in (scores_chart(result, None), cost_chart(result, []), curve_chart(result)):
        drawn = figure.to_json()
        assert "<img" not in drawn and "\\u003cimg" not in drawn


def test_the_scores_of_an_arm_that_left_the_race_are_pale() -> None:
    (bars,) = scores_chart(whole(), "few-shot").data
    assert bars.marker.opacity == (0.45, 1.0, 1.0)  # from the last arm to the first


def test_costs_are_drawn_where_they_were_measured() -> None:
    front, zero, few, dropped = cost_chart(whole(), []).data
    assert (zero.x[0], zero.y[0]) == pytest.approx((0.001, 25.0), rel=0.01)
    assert (few.x[0], few.y[0]) == pytest.approx((0.008, 75.0), rel=0.01)
    assert few.error_y.array[0] == pytest.approx(10.0, abs=0.1)
    assert list(front.x) == pytest.approx([zero.x[0], few.x[0]])
    assert dropped.marker.symbol == "circle-open"
    one = {**older(), "arms": older()["arms"][:1]}
    assert cost_chart(one, []) is None


def test_a_learning_curve_is_drawn_with_its_fan() -> None:
    wide, narrow, middle, measured = curve_chart(whole()).data
    assert list(middle.y) == pytest.approx([40, 60, 66, 70])
    assert max(wide.y) == pytest.approx(80) and max(narrow.y) == pytest.approx(75)
    assert list(measured.x) == [20, 80] and list(measured.error_y.array) == pytest.approx([10, 10])


def test_the_losses_of_a_learning_curve_are_drawn_beside_it_in_nats() -> None:
    assert curve_chart(whole(), loss=True) is None and "loss" not in str(evidence.curve_text(whole()))
    curve = {
        **whole()["learning_curve"],
        "loss": {
            "points": [{"n": 20, "loss": 2.5, "interval": [2.3, 2.7]}, {"n": 40, "loss": 2.0}],
            "fan": [
                {"n": 40, "p5": 1.8, "p25": 1.9, "p50": 2.0, "p75": 2.1, "p95": 2.2},
                {"n": 80, "p5": 1.2, "p25": 1.5, "p50": 1.6, "p75": 1.8, "p95": 2.1},
            ],
            "sentence": "Doubling the training rows likely lowers the loss by 0.100 to 0.400 nats per token.",
        },
    }
    result = {**whole(), "learning_curve": curve}
    figure = curve_chart(result, loss=True)
    _, _, middle, measured = figure.data
    assert list(middle.y) == [2.0, 1.6] and list(measured.y) == [2.5, 2.0]
    assert list(measured.error_y.array) == pytest.approx([0.2, 0.0]) and "nats" in figure.layout.yaxis.title.text
    assert "lowers the loss by 0.100 to 0.400" in str(evidence.curve_text(result))


def test_the_plan_is_told_and_each_waiting_arm_says_how_long_it_takes() -> None:
    plan = {"event": "plan", "time": 1.0, **whole()["plan"]}
    said = " ".join(plan_sentences(plan))
    assert said.startswith("The plan: 2 approaches on 40 test rows. Gaps of about 22 points and more will show")
    assert "about 12 s in all, and one is trained before" in said
    assert "12 rows held back for it" in said and "24 answers" in said
    assert plan_view([]) == "" and "The plan" in plan_view([plan])
    zero, qlora, other = arm_states([plan], ["zero-shot", "qlora", "few-shot"])
    assert (zero.detail, qlora.detail, other.detail) == ("about 8 s to answer", "about 4 s to answer", "")
    assert [state.detail for state in cut_off([zero])] == [""]


def test_a_plan_without_times_or_tuning_says_less() -> None:
    said = " ".join(plan_sentences({"test_rows": 1, "visible_gap": 0.9, "arms": [], "tuning_answers": 0}))
    assert said == "The plan: 0 approaches on 1 test row. Gaps of about 90 points and more will show; " + (
        "a smaller one may stay hidden."
    )


def test_tuning_and_leaving_the_race_are_seen_while_it_runs() -> None:
    begun = {"event": "arm", "arm": "a", "state": "preparing", "time": 1}
    tuning: dict[str, Any] = {"event": "arm", "arm": "a", "state": "tuning", "done": 0, "total": 12, "time": 2}
    answering = {"event": "arm", "arm": "a", "state": "answering", "done": 10, "total": 40, "time": 3}
    left = {
        "event": "arm",
        "arm": "a",
        "state": "done",
        "score": 0.1,
        "interval": [0, 0.3],
        "reason": "worse",
        "time": 4,
    }
    (state,) = arm_states([begun, tuning], ["a"])
    assert (state.state, state.detail) == ("tuning", "12 answers on rows held back for it")
    waiting: dict[str, Any] = {"event": "arm", "arm": "a", "state": "waiting", "done": 10, "total": 40, "time": 3}
    (state,) = arm_states([begun, answering, waiting], ["a"])
    assert (state.state, state.share, state.detail) == ("waiting", 0.25, "10 of 40 rows; the best so far goes first")
    (state,) = arm_states([begun, tuning, answering, left], ["a"])
    assert (state.state, state.share, state.ended) == ("dropped", 0.25, 4)
    assert state.detail == "10.0 points [0, 30]; worse"
    assert "left the race" in progress_view([state], {"a": "Arm"}, now=5)
    assert [kept.state for kept in cut_off([state])] == ["dropped"]


def test_the_probes_findings_name_the_sure_gaps() -> None:
    events = [{"event": "gap", **gap} for gap in whole()["gaps"]]
    shown = gaps_so_far(events)
    assert "What the probes found: behaviour" in shown and "Knowledge" not in shown
    assert gaps_so_far(events[1:]) == ""
    nats = {**events[0], "unit": "nats"}
    assert "no sure gap" in gaps_so_far([nats])
