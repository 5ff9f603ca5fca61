"""What the Train page is made of: curves from events, cards, the form's data, the table. All text is escaped."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from markupsafe import escape

from app.components.charts import loss_chart, overlay_chart, plain
from app.components.run_choices import METHODS as METHOD_CARDS
from app.components.run_choices import OBJECTIVES as OBJECTIVE_CARDS
from app.components.run_choices import choice_cards
from app.components.run_form import BY_CARDS, GROUPS, SIMPLE, KnobState, knob_data, label_of, recipe_form
from app.components.run_health import health_card
from app.components.run_ready import UNKNOWN_TIME, Outlook, not_ready_card, ready_card, recipe_card, start_button
from app.components.run_samples import common_beginning, samples_view
from app.components.run_series import Samples, curve, phases, samples, thinned
from app.components.run_sparks import size, spark, sparks
from app.components.run_table import MOST_COMPARED, differences_table, runs_table
from app.components.runs import (
    dry_run_view,
    notes_view,
    phases_list,
    run_error,
    run_head,
    run_title,
    what_to_say,
)
from app.pages.train.section import View
from app.pages.train.watching import changed_card, controls, next_link, question
from app.run_reading import RunSummary
from tests.app.run_folders import HEALTH, steps
from training.knobs import KNOBS
from training.recipe import METHODS, OBJECTIVES

HOSTILE = '<img src=x onerror="hit()">\'%{y}'
SUMMARY = RunSummary(
    **{
        "run": "run-1",
        "folder": "/runs/run-1",
        "state": "running",
        "model": "m",
        "method": "qlora",
        "objective": "sft",
    },
    **{"rows": 20, "step": 4, "steps": 10, "loss": 2.5, "validation_loss": 2.75, "created": 1.0, "seconds": 60.0},
    **{"eta": 30.0, "tokens_per_second": 50.0, "phase": ""},
)
OUTLOOK = Outlook("A sentence.", 20, 4, 79, 60, 4000)


def hostile_events() -> list[dict[str, Any]]:
    said = [
        {"event": "phase", "phase": HOSTILE, "time": 1.0},
        {"event": "adjusted", "text": HOSTILE, "time": 2.0},
        {"event": "chosen", "step": 1, "by": HOSTILE, "candidates": [], "time": 3.0},
        {"event": "sample_prompts", "rows": [{"prompt": HOSTILE, "wanted": HOSTILE}], "time": 4.0},
        {"event": "samples", "step": 1, "answers": [HOSTILE], "time": 5.0},
    ]
    return [*said, *({"time": 6.0, **event} for event in steps(4))]


def test_what_comes_from_rows_runs_and_models_is_escaped() -> None:
    events = hostile_events()
    hostile = replace(SUMMARY, run=HOSTILE, folder=HOSTILE, state=HOSTILE, model=HOSTILE, method=HOSTILE, phase=HOSTILE)
    card = {**HEALTH["card"][0], "title": HOSTILE, "value": HOSTILE, "reason": HOSTILE, "light": "red", "knob": HOSTILE}  # type: ignore[index]
    outlook = replace(OUTLOOK, sentence=HOSTILE, reasons=(HOSTILE,), memory=1, memory_parts={HOSTILE: 1}, basis=HOSTILE)
    states = {"model": KnobState(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)}
    shown = [
        run_title(hostile, HOSTILE, HOSTILE),
        run_head(hostile, events, saying=HOSTILE),
        phases_list(phases(events), folded=True),
        notes_view(events, [HOSTILE]),
        run_error({"error": {"what": HOSTILE, "found": HOSTILE}}, "failed"),
        samples_view(samples(events), run=HOSTILE),
        health_card({"card": [card]}),
        ready_card(outlook, start=start_button(HOSTILE, free=True, token=HOSTILE)),
        not_ready_card({"what": HOSTILE}),
        recipe_card(HOSTILE),
        recipe_form({"rank": HOSTILE, "schedule": HOSTILE}, models=[(HOSTILE, HOSTILE)], adapters=[(HOSTILE, HOSTILE)]),
        knob_data(states, serial=HOSTILE, received={}),
        choice_cards("sft", "qlora", objectives={"dpo": HOSTILE}, methods={"full": HOSTILE}, open_methods=True),
        runs_table([hostile], {HOSTILE: HOSTILE}),
        differences_table([HOSTILE], [(HOSTILE, [HOSTILE])], hashes={HOSTILE: [HOSTILE]}, figures=[{}]),
        question(replace(hostile, state="done"), View(asking="delete")),
        changed_card(HOSTILE),
        controls(hostile, View()),
        spark(HOSTILE, [(1, 1.0)], form=lambda value: HOSTILE, end=2),
    ]
    for text in shown[:-2]:
        assert "<img" not in text and ("&lt;img" in text or "%3Cimg" in text)
    assert not any("<img" in text for text in shown)
    figure = loss_chart(events, name="run")
    assert "<img" not in str(overlay_chart([(HOSTILE, [(1.0, 2.0)], [])], x="steps")) + str(figure)


def test_steps_that_were_done_anew_count_once() -> None:
    events = [*steps(7), *({**event, "step": 5} for event in steps(7)[1:2])]
    events[-1]["loss"] = 1.0
    points = curve(events, "step", "loss")
    assert [step for step, _ in points] == [1, 2, 3, 4, 5]
    assert points[-1] == (5, 1.0)


def test_a_loss_that_is_no_number_is_not_drawn() -> None:
    events = steps(3)
    events[2]["loss"] = None
    assert [step for step, _ in curve(events, "step", "loss")] == [1, 3]


@pytest.mark.parametrize("count", [0, 1, 799, 800, 5000])
def test_a_long_line_is_thinned_and_keeps_its_end(count: int) -> None:
    points = [(float(step), 1.0) for step in range(count)]
    kept = thinned(points, 800)
    assert len(kept) <= 801 and kept[-1:] == points[-1:]


def test_the_losses_share_their_axes_and_say_what_is_smoothed() -> None:
    figure = loss_chart([*steps(8), {"event": "chosen", "step": 4, "by": "score"}])
    assert [line.name for line in figure.data] == [
        "training loss, each step",
        "training loss, smoothed (EMA 0.85)",
        "validation loss",
    ]
    assert {line.yaxis for line in figure.data} == {None}
    assert figure.layout.annotations[0].text == "kept: step 4"
    assert loss_chart([]) is None and overlay_chart([("run", [], [])], x="steps") is None


def test_phases_have_their_times_and_begin_anew_with_a_resume() -> None:
    said = [("queued", 0), ("preparing", 2), ("running", 9), ("stopped", 20), ("queued", 50), ("preparing", 51)]
    events: list[dict[str, Any]] = [{"event": "state", "state": state, "time": float(at)} for state, at in said]
    events.insert(2, {"event": "phase", "phase": "loading", "time": 3.0})
    first = [(phase.name, phase.seconds) for phase in phases(events[:5])]
    assert first == [("waiting for its turn", 3.0), ("loading", 6.0), ("training", 11.0)]
    assert [(phase.name, phase.seconds) for phase in phases(events)] == [("waiting for its turn", None)]


def test_an_interrupted_run_was_alive_until_its_last_word() -> None:
    events = [
        {"event": "phase", "phase": "loading", "time": 1.0},
        {"event": "remark", "text": "x", "time": 4.0},
        {"event": "state", "state": "interrupted", "time": 5000.0},
    ]
    assert [phase.seconds for phase in phases(events)] == [3.0]


def test_the_samples_of_steps_that_were_done_anew_are_replaced() -> None:
    rows = [{"prompt": "Q", "wanted": "A"}]
    events = [{"event": "sample_prompts", "rows": rows}]
    events += [{"event": "samples", "step": step, "answers": [text]} for step, text in ((0, "a"), (4, "b"), (8, "c"))]
    events.append({"event": "samples", "step": 4, "answers": ["A"]})
    found = samples(events)
    assert found is not None and found.answers == {0: ["a"], 4: ["A"]}
    shown = samples_view(found, run="run")
    assert 'max="1"' in shown and "as wanted" in shown and "the start, before any training" in shown
    assert samples([]) is None and samples_view(None, run="run") == ""


def test_what_all_prompts_begin_with_is_said_once() -> None:
    assert common_beginning(["Sort this.\n\none", "Sort this.\n\ntwo"]) == "Sort this."
    assert common_beginning(["Sort this.", "Sort this."]) == ""
    assert common_beginning(["alone"]) == common_beginning(["one", "two"]) == common_beginning([]) == ""
    shown = samples_view(Samples([("Sort.\none", "a"), ("Sort.\ntwo", "b")], {0: ["a", "b"]}), run="run")
    assert shown.count("Sort.") == 1


def test_a_ready_card_has_its_figures_and_says_what_is_not_known() -> None:
    start = start_button("Start training", free=True, token="abc")
    shown = ready_card(
        replace(OUTLOOK, memory=2 * 10**9, memory_parts={"weights": 10**9}, available=8 * 10**9), start=start
    )
    for part in ("Ready", UNKNOWN_TIME, "2.00 GB", "of 8.00 GB free", "weights", "4 held out", 'data-token="abc"'):
        assert part in shown
    assert "Not ready" in ready_card(replace(OUTLOOK, reasons=("no rows",)), start=start)
    assert "about 2 min" in ready_card(replace(OUTLOOK, seconds=120.0), start=start)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 kB"), (5e6, "5 MB"), (999e6, "999 MB"), (1.24e9, "1.24 GB"), (141e9, "141 GB")]
)
def test_sizes_are_readable(number: float, text: str) -> None:
    assert size(number) == text


def test_every_knob_is_in_the_form_with_its_help_range_and_reason() -> None:
    form = recipe_form({"rank": "8", "schedule": "cosine", "dry_run": "false"})
    named = re.findall(r'data-knob="(\w+)"', form)
    assert named[: len(SIMPLE)] == list(SIMPLE) and sorted(named) == sorted(set(KNOBS) - set(BY_CARDS))
    assert {name for _, names in GROUPS for name in names} <= set(KNOBS)
    for name in named:
        assert label_of(name) and form.count(f' name="{name}"') == 1
        for part in (KNOBS[name].help, KNOBS[name].usual, KNOBS[name].why):
            assert escape(part) in form
    assert 'name="rank" value="8" data-shown="8"' in form
    assert '<option value="cosine" selected>' in form and '<option value="false" selected>no' in form


def test_every_method_and_objective_has_a_card_and_what_does_not_suit_says_why() -> None:
    assert set(METHOD_CARDS) == set(METHODS) and set(OBJECTIVE_CARDS) == set(OBJECTIVES)
    cards = choice_cards(
        "sft", "lora", objectives={"dpo": "no pairs"}, methods={"full": "too large"}, open_methods=False
    )
    disabled = re.findall(r'data-name="(\w+)" data-slow="yes" disabled', cards)
    assert disabled == ["dpo", "full"] and "no pairs" in cards and "too large" in cards
    assert re.findall(r'aria-checked="true" data-do="\w+" data-name="(\w+)"', cards) == ["sft", "lora"]


def test_what_the_server_knows_of_the_knobs_is_data() -> None:
    shown = knob_data({"rank": KnobState("8", "16", wrong='"')}, serial="x", received={"rank": "7"})
    found = re.search(r'data-knobs="([^"]*)"', shown)
    assert found is not None
    known = json.loads(found.group(1).replace("&#34;", '"').replace("&amp;", "&"))
    assert known["rank"] == {"value": "8", "derived": "16", "wrong": '"', "idle": "", "note": "", "received": "7"}


@pytest.mark.parametrize(
    ("summary", "options", "part"),
    [
        ({"state": "queued"}, {}, "process starts"),
        ({"state": "queued"}, {"waiting_for": ["run a", "run b"]}, "Waits for run a, then for run b"),
        ({"state": "preparing", "phase": "loading"}, {"spent": 12.0}, "Loading · 12 s"),
        ({"state": "done", "step": 10}, {}, "to its end"),
        ({"state": "done", "step": 6}, {}, "by itself"),
        ({"state": "stopped"}, {"kept": True, "goes_on_from": 4}, "is kept. Resume goes on from step 4"),
        ({"state": "stopped"}, {}, "Nothing of what it had learnt is kept. Resume goes on from the start"),
        ({"state": "failed"}, {"goes_on_from": 8}, "again, from step 8"),
        ({"state": "interrupted"}, {}, "gone without a word"),
    ],
)
def test_each_state_is_said_in_a_sentence(summary: dict[str, Any], options: dict[str, Any], part: str) -> None:
    assert part in what_to_say(replace(SUMMARY, **summary), **options)


def test_the_buttons_suit_the_state() -> None:
    acts = {
        state: re.findall(r'data-do="([\w-]+)"', controls(replace(SUMMARY, state=state), View()))
        for state in ("queued", "running", "done", "stopped", "failed", "interrupted")
    }
    assert acts["queued"] == acts["running"] == ["ask-stop"] and acts["done"] == ["ask-delete"]
    assert acts["stopped"] == acts["failed"] == acts["interrupted"] == ["resume", "ask-delete"]


def test_a_question_is_only_asked_where_it_still_makes_sense() -> None:
    done = replace(SUMMARY, state="done")
    assert "stop-discard" in question(SUMMARY, View(asking="stop")) and question(done, View(asking="stop")) == ""
    assert "Delete it" in question(done, View(asking="delete")) and question(SUMMARY, View(asking="delete")) == ""
    assert "Evaluate" in next_link(done, None, adapter=True) and next_link(SUMMARY, None, adapter=True) == ""
    assert "Evaluate" not in next_link(done, None, adapter=False) and "export run-1" in next_link(
        done, None, adapter=False
    )


def test_the_health_card_puts_the_worst_first_and_names_the_knob() -> None:
    shown = health_card(HEALTH)
    assert shown.index("It recites.") < shown.index("It does.")
    assert "<code>epochs</code>" in shown and 'data-light="amber"' in shown
    old = health_card({"alive": True, "stop_rate": 0.5})
    assert "does not always stop" in old and health_card(None) == ""


def test_the_dry_runs_facts_stand_beside_the_estimate() -> None:
    facts = {"event": "dry_run", "seconds_per_step": 2.0, "memory": 2e9, "checkpoint_bytes": 1e6, "free_bytes": 1e9}
    shown = dry_run_view([facts, *steps(1)], estimate={"memory": 3e9})
    assert "2.00 GB of memory (estimated: 3.00 GB)" in shown and "20 s at most for all 10" in shown
    assert dry_run_view([], estimate=None) == ""


def test_small_charts_are_read_by_step_and_left_out_without_values() -> None:
    shown = sparks(steps(4))
    assert shown.count("<figure") == 3 and "step 4: 1.00 GB" in shown and sparks([]) == ""


def test_the_table_lists_the_newest_and_those_that_are_compared() -> None:
    many = [replace(SUMMARY, run=f"run-{number}") for number in range(30)]
    shown = runs_table(many, {}, chosen=["run-29"])
    assert shown.count("<tr data-run") == 21 and "Show all 30 runs" in shown
    assert runs_table(many, {}, everything=True).count("<tr data-run") == 30
    full = runs_table(many, {}, chosen=[f"run-{number}" for number in range(MOST_COMPARED)])
    assert full.count("disabled") == 20 - MOST_COMPARED
    assert "No training or comparison has been started" in runs_table([], {})


def test_plotly_is_given_plain_text() -> None:
    assert plain("<b>&amp;%{x}") == "&lt;b>&amp;amp;% {x}"
