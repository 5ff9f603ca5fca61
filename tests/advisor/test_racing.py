"""Dropping arms from a race: never the good ones, never too early, and the hopeless ones soon."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from advisor.arms import Leader, Round, heat, looks
from advisor.metrics import metric_named
from advisor.statistics import race_decision, split_decision
from advisor.statistics.racing import FEWEST_RACE_ROWS, worse_log_e

FloatArray = npt.NDArray[np.float64]

ROWS = 200
DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=40)


def pass_fail(gap: float, *, n: int, runs: int, seed: int, differing: float = 0.3) -> FloatArray:
    """Paired differences of a challenger and a leader, (runs, n)."""
    shares = [(differing + gap) / 2, (differing - gap) / 2, 1 - differing]
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], p=shares, size=(runs, n))


def graded(gap: float, *, n: int, runs: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    difficulty = 0.55 + 0.35 * rng.normal(size=(runs, n))
    one, two = (np.clip(difficulty + shift + 0.22 * rng.normal(size=(runs, n)), 0, 1) for shift in (gap, 0.0))
    return one - two


def dropped(table: FloatArray, **how: bool | int) -> float:
    """The share of races in which the challenger was dropped by the last look before the end."""
    return float(np.mean([race_decision(row, finished=False, **how).action == "drop" for row in table]))


# --- worse


@pytest.mark.parametrize("gap", [0.0, 0.05])
def test_an_equal_or_better_arm_is_dropped_as_worse_in_1_percent_of_races_at_most(gap: float) -> None:
    runs = 3000
    most = binom.ppf(0.999, runs, 0.01) / runs
    assert dropped(pass_fail(gap, n=ROWS, runs=runs, seed=1)) <= most
    assert dropped(graded(gap, n=ROWS, runs=runs, seed=2)) <= most


@pytest.mark.parametrize("rows", [50, ROWS])
def test_an_equal_arm_is_dropped_as_worse_in_2_percent_of_races_at_most_by_both_rules_together(rows: int) -> None:
    runs, last = 2000, rows * 7 // 8
    most = binom.ppf(0.999, runs, 0.02) / runs
    assert dropped(pass_fail(0.0, n=rows, runs=runs, seed=11)[:, :last], planned=rows) <= most
    assert dropped(graded(0.0, n=rows, runs=runs, seed=12)[:, :last], planned=rows) <= most


def test_scores_that_differ_a_little_on_each_of_a_few_rows_are_seen_at_a_look() -> None:
    behind = ([-0.3, 0.1, -0.2, 0.0] * 10)[:38]
    assert race_decision(behind, finished=False).action == "go on"
    assert race_decision(behind, finished=False, planned=50).why == "worse"
    assert race_decision(behind[:24], finished=False, planned=50).action == "go on", "between the looks nothing counts"
    assert race_decision([-0.3] * 19, finished=False, planned=24).action == "go on", "19 rows are too few"


@pytest.mark.parametrize(("gap", "share"), [(-0.3, 0.99), (-0.2, 0.9), (-0.15, 0.65)])
def test_a_much_worse_arm_is_dropped_before_the_end(gap: float, share: float) -> None:
    table = pass_fail(gap, differing=0.35, n=ROWS, runs=400, seed=3)
    assert dropped(table) >= share


def test_a_hopeless_arm_is_dropped_early() -> None:
    table = pass_fail(-0.3, differing=0.35, n=ROWS, runs=200, seed=4)
    first = [
        next((seen for seen in range(12, ROWS) if race_decision(row[:seen], finished=False).action == "drop"), ROWS)
        for row in table
    ]
    assert np.mean(first) < 60


@pytest.mark.parametrize("seen", range(1, FEWEST_RACE_ROWS))
def test_nothing_is_dropped_on_fewer_than_12_rows(seen: int) -> None:
    decision = race_decision([-1.0] * seen, finished=False, planned=4, dearer=True)
    assert (decision.action, decision.why, decision.rows) == ("go on", None, seen)


def test_twelve_straight_losses_drop_an_arm_and_twelve_straight_wins_do_not() -> None:
    decision = race_decision([-1.0] * 12, finished=False)
    assert (decision.action, decision.why, decision.rows) == ("drop", "worse", 12)
    assert decision.e_value >= 100
    assert race_decision([1.0] * 12, finished=False).action == "go on"


def test_the_e_value_is_the_mean_of_products_of_bets_below_0() -> None:
    differences = np.random.default_rng(5).uniform(-1, 1, 14)
    found = worse_log_e(differences)
    for seen in range(1, 15):
        brute = np.mean([np.prod(1 + bet * differences[:seen]) for bet in np.linspace(-0.98, -0.02, 25)])
        assert np.exp(found[seen - 1]) == pytest.approx(brute)


@pytest.mark.parametrize(("up", "most"), [(0.6, 1.0), (0.8, 0.999)])
def test_under_equal_or_better_the_e_value_is_1_on_average_at_most(up: float, most: float) -> None:
    e_values = [np.exp(worse_log_e(row)[-1]) for row in product([up, -0.6], repeat=8)]  # all outcomes, equally likely
    assert np.mean(e_values) <= most + 1e-9


def test_one_sided_evidence_is_reached_before_two_sided_evidence() -> None:
    behind = [1.0] + [-1.0] * 13
    assert split_decision(behind, finished=False) == 0
    assert race_decision(behind, finished=False).why == "worse"


@given(differences=DIFFERENCES, more=DIFFERENCES)
def test_once_dropped_as_worse_always_dropped(differences: list[float], more: list[float]) -> None:
    if race_decision(differences, finished=False).action == "drop":
        assert race_decision(differences + more, finished=False).why == "worse"


# --- futile


def test_only_a_dearer_arm_is_dropped_as_futile_and_only_from_half_of_the_rows_on() -> None:
    level = [1.0, -1.0] * 50
    assert race_decision(level, finished=False, planned=200, dearer=True).why == "futile"
    assert race_decision(level[:99], finished=False, planned=200, dearer=True).action == "go on"
    assert race_decision(level, finished=False, planned=200, dearer=False).action == "go on"
    assert race_decision(level, finished=False, dearer=True).action == "go on"


def test_what_comes_after_half_of_the_rows_changes_nothing_about_futility() -> None:
    level = [1.0, -1.0] * 50
    for after in (level[:10] + [1.0] * 50, level[:20]):
        assert race_decision(level + after, finished=False, planned=200, dearer=True).why == "futile"
    ahead = [1.0] * 10 + [0.0] * 90
    assert race_decision(ahead + [-0.1] * 20, finished=False, planned=200, dearer=True).action == "go on"


def test_a_dearer_arm_that_gives_the_same_answers_is_futile() -> None:
    assert race_decision([0.0] * 100, finished=False, planned=200, dearer=True).why == "futile"


def test_futility_loses_few_true_gains_and_ends_most_idle_races() -> None:
    better = pass_fail(0.1, n=ROWS, runs=3000, seed=6)
    lost = np.array([race_decision(row[:100], finished=False, planned=ROWS, dearer=True).action for row in better])
    assert (lost == "drop").mean() <= 0.11
    would_win = np.array([split_decision(row, finished=True) == 1 for row in better])
    assert (lost[would_win] == "drop").mean() <= 0.03
    equal = pass_fail(0.0, n=ROWS, runs=1000, seed=7)
    assert dropped(equal[:, :100], planned=ROWS, dearer=True) >= 0.6


@given(differences=DIFFERENCES)
def test_at_the_end_every_arm_stays_for_the_verdict(differences: list[float]) -> None:
    assert race_decision(differences, finished=True, planned=len(differences), dearer=True).action == "go on"


def test_impossible_requests_are_refused() -> None:
    for bad in ([1.5], [float("nan")], [[0.5]]):
        with pytest.raises(ValueError, match="differences"):
            race_decision(bad, finished=False)
    with pytest.raises(ValueError, match="planned"):
        race_decision([0.5], finished=False, planned=0)
    assert race_decision([], finished=False).action == "go on"


# --- when it is looked


@pytest.mark.parametrize(
    ("rows", "after"),
    [(1, [1]), (23, [23]), (24, [16, 24]), (40, [16, 32, 40]), (50, [16, 32, 50]), (200, [*range(25, 201, 25)])],
)
def test_an_arm_is_looked_at_after_an_eighth_or_16_rows_and_never_for_the_sake_of_a_few(
    rows: int, after: list[int]
) -> None:
    asked = Round([None] * rows, metric_named("exact-match"), 8)  # type: ignore[list-item]
    assert looks(asked) == [rows], "who races nobody answers at once"
    leader = Leader("zero-shot", "Zero-shot", (0.0,) * rows, 0)
    assert looks(Round(asked.test, asked.metric, 8, leader=leader)) == after
    assert heat(rows) == after[0]
