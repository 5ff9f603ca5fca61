"""What arms cost, against figures worked out by hand, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.cost import (
    AnswersChange,
    ArmCost,
    Prices,
    RunsOn,
    Situation,
    break_even,
    considerations,
    flips,
    monthly_dollars,
    pareto,
)
from advisor.verdict import ArmScores, Verdict, decide
from dataset_tools.errors import UsageError

ZERO = ArmCost("zero-shot", "Zero-shot", 100, 60, 20, 0.1)
FEW = ArmCost("few-shot-fixed", "Fixed examples", 2100, 2000, 20, 0.3)
RAG = ArmCost("rag", "Documents", 1500, 60, 20, 0.5, setup_seconds=10, cites=True)
TUNED = ArmCost("qlora", "Fine-tuned", 100, 0, 20, 0.1, setup_seconds=3600, trains=True)
COSTS = {cost.name: cost for cost in (ZERO, FEW, RAG, TUNED)}
THREE_DOLLARS = Prices(machine_hour=3.0)


def scores(wins: int, n: int = 400) -> np.ndarray:
    return np.repeat([1.0, 0.0], [wins, n - wins])


def verdict_for(advised: str, close: str | None = None) -> Verdict:
    """A verdict that advises this arm, with one other that may be as good; all others are far behind."""
    arms = []
    for rank, name in enumerate(COSTS):
        wins = 300 if name == advised else 297 if name == close else 60
        cost_rank = -1 if name == advised else rank
        arms.append(ArmScores(name, COSTS[name].title, scores(wins), cost_rank))
    verdict = decide(arms)
    assert verdict.arm == advised
    return verdict


# --- requests


def test_a_hosted_request_is_paid_by_the_token_and_a_cached_prefix_costs_less() -> None:
    cost = FEW.request(Prices(prompt=0.5, cached_prompt=0.05, answer=2.0), runs_on="hosted")
    assert cost.dollars == pytest.approx((2100 * 0.5 + 20 * 2) / 1e6)
    assert cost.dollars_cached == pytest.approx((100 * 0.5 + 2000 * 0.05 + 20 * 2) / 1e6)


def test_a_request_on_an_own_machine_is_paid_by_its_time_and_here_it_is_free() -> None:
    own = FEW.request(Prices(machine_hour=3.6), runs_on="own_gpu")
    assert own.dollars_cached == pytest.approx(0.3 * 3.6 / 3600)
    assert own.dollars / own.dollars_cached == pytest.approx(own.seconds / own.seconds_cached)
    here = FEW.request(Prices(), runs_on="here")
    assert (here.dollars, here.dollars_cached, here.seconds_cached) == (0, 0, 0.3)


def test_without_caching_the_shared_prefix_takes_its_share_of_the_time() -> None:
    # 2100 prompt tokens and 20 answers of 5: 2200 units of work, of which 2000 were computed once.
    assert FEW.request(Prices(), runs_on="here").seconds == pytest.approx(0.3 * 2200 / 200)
    assert TUNED.request(Prices(), runs_on="here").seconds == 0.1
    whole = replace(FEW, shared_prefix_tokens=2100, answer_tokens=0)
    assert whole.request(Prices(), runs_on="here").seconds == 0.3  # nothing is left to compare with


# --- break-even


@pytest.mark.parametrize(
    ("prompt", "caching", "requests"), [(0.10, False, 15_000), (0.10, True, 150_000), (0.50, False, 3_000)]
)
def test_three_dollars_of_training_against_2000_prompt_tokens(prompt: float, caching: bool, requests: int) -> None:
    prices = replace(THREE_DOLLARS, prompt=prompt, cached_prompt=prompt / 10)
    assert break_even(TUNED, FEW, prices, caching=caching) == pytest.approx(requests)


def test_training_that_saves_nothing_never_pays_back() -> None:
    assert break_even(TUNED, ZERO, Prices(), caching=False) is None
    assert break_even(replace(TUNED, answer_tokens=900), FEW, Prices(), caching=False) is None


def test_here_the_break_even_is_in_time() -> None:
    assert break_even(TUNED, FEW, Prices(), caching=True, runs_on="here") == pytest.approx(3600 / 0.2)
    assert break_even(replace(TUNED, setup_seconds=0), FEW, Prices(), caching=True, runs_on="here") == 0


def test_a_month_counts_every_set_up_that_changed_answers_make_necessary() -> None:
    situation = Situation(requests_a_month=0, runs_on="own_gpu")
    months = {
        change: monthly_dollars(TUNED, replace(situation, answers_change=change), THREE_DOLLARS)
        for change in get_args(AnswersChange)
    }
    assert months["monthly"] == pytest.approx(3)
    assert months["yearly"] == pytest.approx(0.25)
    assert months["weekly"] == pytest.approx(13)
    assert months["daily"] == pytest.approx(3 * 365 / 12)
    busy = replace(situation, requests_a_month=1_000_000, runs_on="hosted")
    assert monthly_dollars(FEW, busy, Prices(), caching=False) == pytest.approx(216)
    assert monthly_dollars(FEW, busy, Prices()) == pytest.approx(36)


# --- the front


def test_only_arms_that_no_other_beats_are_on_the_front() -> None:
    costs = {"cheap": 1.0, "dear": 3.0, "waste": 3.0, "middle": 2.0}
    quality = {"cheap": 0.5, "dear": 0.9, "waste": 0.7, "middle": 0.8}
    assert pareto(costs, quality) == ("cheap", "middle", "dear")
    assert pareto({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.5}) == ("a", "b")
    assert pareto({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.6}) == ("b",)
    assert pareto({}, {}) == ()


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_the_front_rises_with_cost_and_holds_the_best_and_the_cheapest(arms: dict[str, tuple[int, int]]) -> None:
    costs = {name: float(cost) for name, (cost, _) in arms.items()}
    quality = {name: float(score) for name, (_, score) in arms.items()}
    front = pareto(costs, quality)
    assert [costs[name] for name in front] == sorted(costs[name] for name in front)
    assert [quality[name] for name in front] == sorted(quality[name] for name in front)
    assert max(quality.values()) in {quality[name] for name in front}
    assert min(costs.values()) in {costs[name] for name in front}


# --- what is said


def test_changing_answers_speak_against_training_and_for_documents() -> None:
    weekly = Situation(answers_change="weekly")
    said = considerations(verdict_for("qlora", "rag"), COSTS, situation=weekly)
    assert "Against Fine-tuned: answers change weekly, and each time it must be trained again (60 minutes)." in said
    assert "For Documents: when answers change it needs new documents, no training." in said
    yearly = considerations(verdict_for("qlora", "rag"), COSTS, situation=Situation())
    assert not any("change" in line and "trained again" in line for line in yearly)


def test_who_must_cite_hears_which_arm_can() -> None:
    cite = Situation(must_cite=True)
    said = considerations(verdict_for("qlora", "rag"), COSTS, situation=cite)
    assert "For Documents: the passages stand in its prompt, so it can name its source." in said
    assert any(line.startswith("Against Fine-tuned: it sees no documents") for line in said)
    far_behind = considerations(verdict_for("qlora"), COSTS, situation=cite)
    assert "For Documents: it scores lower, but it can name its source." in far_behind


def test_a_hosted_tuned_model_may_need_a_machine_of_its_own() -> None:
    said = considerations(verdict_for("qlora"), COSTS, situation=Situation(runs_on="hosted"))
    assert any("a machine of its own is about $1,168 a month (assumed prices)." in line for line in said)
    own = considerations(
        verdict_for("qlora"), COSTS, situation=Situation(runs_on="hosted"), prices=Prices(machine_hour=1, assumed=False)
    )
    assert any("a machine of its own is about $730 a month." in line for line in own)


def test_prompts_that_hardly_share_a_beginning_are_named() -> None:
    said = considerations(verdict_for("rag"), COSTS, situation=Situation())
    assert any("only 4% of its 1,500 prompt tokens are alike in every request" in line for line in said)
    said = considerations(verdict_for("few-shot-fixed"), COSTS, situation=Situation())
    assert not any("alike in every request" in line for line in said)


def test_arms_that_are_surely_worse_are_not_talked_about() -> None:
    said = considerations(verdict_for("few-shot-fixed"), COSTS, situation=Situation(answers_change="daily"))
    assert not any("Fine-tuned" in line or "Zero-shot" in line for line in said)


def test_the_volume_that_turns_the_advice_to_training_is_told() -> None:
    hosted = Situation(requests_a_month=1000, runs_on="hosted", answers_change="monthly")
    lines = flips(verdict_for("few-shot-fixed", "qlora"), COSTS, situation=hosted, prices=THREE_DOLLARS)
    assert (
        "Above 150,000 requests a month (15,000 without prefix caching; assumed prices) Fine-tuned is cheaper than "
        "Fixed examples." in lines
    )
    busy = replace(hosted, requests_a_month=1_000_000)
    lines = flips(verdict_for("few-shot-fixed", "qlora"), COSTS, situation=busy, prices=THREE_DOLLARS)
    assert any(
        line.startswith("At 1,000,000 requests a month Fine-tuned is cheaper than Fixed examples already; the other")
        for line in lines
    )


def test_the_volume_that_turns_the_advice_away_from_training_is_told() -> None:
    hosted = Situation(requests_a_month=1_000_000, runs_on="hosted", answers_change="monthly")
    lines = flips(verdict_for("qlora", "few-shot-fixed"), COSTS, situation=hosted, prices=THREE_DOLLARS)
    assert any(
        line.startswith("Below 150,000 ") and "Fixed examples is cheaper than Fine-tuned" in line for line in lines
    )
    assert (
        "If answers changed weekly or more often, take Fixed examples: Fine-tuned must be trained again each time."
        in lines
    )


def test_a_need_to_cite_would_turn_the_advice_to_documents() -> None:
    line = "If answers had to name their source, take Documents, at 60.0 points less: Fine-tuned cannot."
    assert line in flips(verdict_for("qlora"), COSTS, situation=Situation())
    assert line not in flips(verdict_for("qlora"), COSTS, situation=Situation(must_cite=True))
    assert flips(verdict_for("rag"), COSTS, situation=Situation()) == ()


def test_here_nothing_is_said_of_dollars() -> None:
    said = considerations(verdict_for("few-shot-fixed", "qlora"), COSTS, situation=Situation())
    lines = flips(verdict_for("few-shot-fixed", "qlora"), COSTS, situation=Situation())
    assert any("On this machine a request takes: Fixed examples 0.3 s, Fine-tuned 0.1 s" in line for line in said)
    assert any("takes less time in all" in line for line in lines)
    assert not any("$" in line or "price" in line for line in (*said, *lines))


@pytest.mark.parametrize("runs_on", ["own_gpu", "hosted"])
def test_every_figure_in_dollars_says_that_prices_are_assumed_unless_they_are_not(runs_on: RunsOn) -> None:
    for advised, close, change in product(
        ("qlora", "few-shot-fixed", "rag"), ("zero-shot", "qlora"), ("weekly", "never")
    ):
        if advised == close:
            continue
        verdict = verdict_for(advised, close)
        situation = Situation(runs_on=runs_on, answers_change=change)
        lines = considerations(verdict, COSTS, situation=situation) + flips(verdict, COSTS, situation=situation)
        assert lines and all("assumed prices" in line for line in lines if "$" in line or "cheaper" in line)
        given_prices = Prices(assumed=False)
        lines = considerations(verdict, COSTS, situation=situation, prices=given_prices)
        assert not any("assumed" in line for line in lines)


def test_without_an_advised_arm_nothing_is_said() -> None:
    nothing = decide([ArmScores(name, name, scores(0), rank) for rank, name in enumerate(COSTS)])
    assert nothing.arm is None
    assert considerations(nothing, COSTS, situation=Situation()) == ()
    assert flips(nothing, COSTS, situation=Situation()) == ()
    assert flips(verdict_for("qlora"), {"rag": RAG}, situation=Situation()) == ()


# --- what is refused


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(UsageError, match="price prompt"):
        Prices(prompt=-1)
    with pytest.raises(UsageError, match="machine_hour"):
        Prices(machine_hour=float("nan"))
    with pytest.raises(UsageError, match="requests"):
        Situation(requests_a_month=-1)
    with pytest.raises(UsageError, match="never, yearly, monthly, weekly, daily"):
        Situation(answers_change="hourly")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="here, own_gpu, hosted"):
        Situation(runs_on="moon")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        replace(FEW, seconds=-1)
    with pytest.raises(ValueError, match="part of the prompt"):
        replace(FEW, shared_prefix_tokens=3000)
