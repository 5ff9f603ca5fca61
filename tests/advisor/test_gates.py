"""Conditions on an advised arm: when there is one, what it says, and that it changes no verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from advisor.gates import Condition, gates, under_conditions
from advisor.near_far import gain_by_part
from advisor.verdict import ArmScores, decide
from training.health.card import HealthReport
from training.health.forgetting import Forgetting, judge_forgetting
from training.health.refusals import Refusals, judge_refusals


def row(stop_rate: float | None, title: str = "Fine-tuned") -> dict[str, Any]:
    return {"title": title, "stop_rate": stop_rate}


def card(forgot: float = 0.01, lost: int = 0) -> dict[str, Any]:
    """A real health card with this change of the loss on general texts and this many lost refusals of 12."""
    forgetting = judge_forgetting(Forgetting(3.0, 3.0 + forgot, forgot, 0.01, 100))
    refusals = judge_refusals(Refusals(asked=16, base=12, tuned=12 - lost, lost=lost, gained=0, other=0))
    return HealthReport(True, 1.0, 1.0, (forgetting, refusals)).to_dict()


def names(conditions: tuple[Condition, ...]) -> list[str]:
    return [condition.name for condition in conditions]


def test_a_sound_arm_has_no_condition() -> None:
    assert gates(row(0.97), row(0.99), health=card()) == ()


def test_what_was_not_measured_fails_nothing() -> None:
    assert gates(row(None)) == ()
    assert gates({"title": "Zero-shot"}, health={}) == ()
    unmeasured = HealthReport(None, None, None, (judge_forgetting(None), judge_refusals(None))).to_dict()
    assert gates(row(1.0), health=unmeasured) == ()


@pytest.mark.parametrize(("rate", "base", "fails"), [(0.9, 0.9, False), (0.89, None, True), (0.95, 1.0, True)])
@pytest.mark.parametrize("title", ["Fine-tuned", "Fixed examples"])
def test_answers_that_do_not_end_are_a_condition(rate: float, base: float | None, fails: bool, title: str) -> None:
    found = gates(row(rate, title), row(base) if base else None)
    assert names(found) == (["stopping"] if fails else [])
    if fails:
        assert found[0].sentence.startswith(f"{title}: only {rate:.0%} of its answers end by themselves")


def test_what_training_lost_is_told_from_a_limit_that_is_too_low() -> None:
    lost, low = gates(row(0.6), row(0.98))[0], gates(row(0.6), row(0.55))[0]
    assert "98% without the training" in lost.sentence
    assert "end-of-turn token" in lost.what_to_do
    assert "Raise the limit" in low.what_to_do


@pytest.mark.parametrize(("change", "fails"), [(0.02, False), (0.1, False), (0.3, True), (float("inf"), True)])
def test_only_red_forgetting_is_a_condition(change: float, fails: bool) -> None:
    assert names(gates(row(1.0), health=card(forgot=change))) == (["forgetting"] if fails else [])


@pytest.mark.parametrize(("lost", "fails"), [(0, False), (1, True), (9, True)])
def test_any_lost_refusal_is_a_condition_with_its_count(lost: int, fails: bool) -> None:
    found = gates(row(1.0), health=card(lost=lost))
    assert names(found) == (["refusals"] if fails else [])
    if fails:
        assert f"it answers {lost} of the 12 harmful requests that the base refuses" in found[0].sentence


def test_a_gain_on_near_rows_only_is_a_condition() -> None:
    near = np.repeat([True, False], [100, 100])
    base = np.zeros(200)
    copied = near.astype(float)
    everywhere = np.ones(200)
    found = gates(row(1.0), near_far=gain_by_part(copied, base, near), compared_with="Zero-shot")
    assert names(found) == ["near_only"]
    assert found[0].sentence.startswith(
        "Fine-tuned gains on Zero-shot only where a test row resembles an example: +100.0"
    )
    assert gates(row(1.0), near_far=gain_by_part(everywhere, base, near)) == ()


def test_a_condition_is_said_with_the_verdict_and_changes_none_of_its_figures() -> None:
    verdict = decide([ArmScores("a", "A", [1.0] * 50, 1), ArmScores("b", "B", [0.0] * 50, 0)])
    conditions = gates(row(0.5, "A"), health=card(forgot=0.3))
    told = under_conditions(verdict, conditions)
    assert told.sentence == f"{verdict.sentence} On 2 conditions: {conditions[0].sentence} {conditions[1].sentence}"
    assert told.next_step.startswith(conditions[0].what_to_do) and told.next_step.endswith(verdict.next_step)
    assert (told.kind, told.arm, told.pairs) == (verdict.kind, verdict.arm, verdict.pairs)
    assert "On a condition: " in under_conditions(verdict, conditions[:1]).sentence
    assert under_conditions(verdict, ()) == verdict


def test_a_verdict_that_advises_nothing_takes_no_condition() -> None:
    nothing = decide([ArmScores("a", "A", [0.0] * 200, 0)])
    assert nothing.arm is None
    assert under_conditions(nothing, gates(row(0.5))) == nothing
