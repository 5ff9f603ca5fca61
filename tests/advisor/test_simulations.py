"""What the statistics promise, simulated with known truth, beside the table of SCIENCE 2."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from advisor.statistics import Interval, confirmed_score, paired_interval, split_decision
from advisor.verdict import ArmScores, decide

FloatArray = npt.NDArray[np.float64]


def pass_fail(gap: float, *, n: int, runs: int, seed: int, differing: float = 0.3) -> FloatArray:
    """Paired differences of two pass/fail arms, (runs, n): ``differing`` is the share of rows on which they differ."""
    shares = [(differing + gap) / 2, (differing - gap) / 2, 1 - differing]
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], p=shares, size=(runs, n))


def graded(gap: float, *, n: int, runs: int, seed: int) -> FloatArray:
    """Paired differences of two graded arms, (runs, n): shared difficulty, lumps at 0 and 1."""
    rng = np.random.default_rng(seed)
    difficulty = 0.55 + 0.35 * rng.normal(size=(runs, n))

    def arm(shift: float) -> FloatArray:
        return np.clip(difficulty + shift + 0.22 * rng.normal(size=(runs, n)), 0, 1)

    return arm(gap) - arm(0.0)


def pass_fail_arms(levels: Sequence[float], *, n: int, runs: int, seed: int) -> FloatArray:
    """Scores of arms on rows of shared difficulty, (runs, n, arms); ``levels`` are log odds."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 2, size=(runs, n, 1))
    right = rng.random((runs, n, len(levels))) < 1 / (1 + np.exp(-(np.array(levels) + difficulty)))
    return right.astype(np.float64)


def found_by_split(differences: FloatArray) -> float:
    return float(np.mean([split_decision(row, finished=True) != 0 for row in differences]))


@cache
def interval_of_counts(wins: int, losses: int, n: int) -> Interval:
    a, b = np.zeros(n), np.zeros(n)
    a[:wins] = 1
    b[wins : wins + losses] = 1
    return paired_interval(a, b)


# --- intervals


def coverage(gap: float, differing: float, n: int) -> float:
    shares = [(differing + gap) / 2, (differing - gap) / 2, 1 - differing]
    counts = np.random.default_rng(n).multinomial(n, shares, size=4000)
    found = [interval_of_counts(int(wins), int(losses), n) for wins, losses, _ in counts]
    return float(np.mean([interval.low <= gap <= interval.high for interval in found]))


@pytest.mark.parametrize("n", [20, 50, 100, 200])
@pytest.mark.parametrize(("gap", "differing"), [(0.0, 0.3), (0.1, 0.3), (0.25, 0.4)])
def test_the_paired_interval_covers_what_it_says(n: int, gap: float, differing: float) -> None:
    assert 0.93 <= coverage(gap, differing, n) <= 0.98


@pytest.mark.parametrize("n", [20, 50, 100, 200])
def test_the_paired_interval_is_wide_and_not_short_where_arms_hardly_differ(n: int) -> None:
    assert coverage(0.0, 0.1, n) >= 0.93


# --- the split rule


def test_the_split_rule_is_wrong_on_equal_pass_fail_arms_in_4_percent() -> None:
    assert 0.035 <= found_by_split(pass_fail(0.0, n=200, runs=6000, seed=2)) <= 0.055


@pytest.mark.parametrize(
    ("gap", "differing", "power"), [(0.1, 0.3, 0.719), (0.15, 0.3, 0.973), (0.2, 0.3, 1.0), (0.3, 0.35, 1.0)]
)
def test_the_split_rule_has_the_power_of_the_table(gap: float, differing: float, power: float) -> None:
    found = found_by_split(pass_fail(gap, differing=differing, n=200, runs=3000, seed=3))
    assert found == pytest.approx(power, abs=0.02)


@pytest.mark.parametrize(("gap", "power"), [(0.0, 0.041), (0.06, 0.693), (0.1, 0.98), (0.15, 1.0)])
def test_the_split_rule_holds_on_graded_scores(gap: float, power: float) -> None:
    found = found_by_split(graded(gap, n=200, runs=1500, seed=5))
    assert found == pytest.approx(power, abs=0.015 if gap == 0 else 0.035)


# --- the verdict on equal arms


@pytest.mark.parametrize("arms", [2, 5])
@pytest.mark.parametrize("n", [30, 100, 200])
def test_equal_arms_are_called_a_winner_in_5_percent_at_most(arms: int, n: int) -> None:
    runs = 500 if arms == 2 else 150
    winners = 0
    for table in pass_fail_arms([0.5] * arms, n=n, runs=runs, seed=n + arms):
        verdict = decide([ArmScores(f"arm{place}", f"Arm {place}", table[:, place], place) for place in range(arms)])
        winners += verdict.kind == "winner"
    assert winners <= binom.ppf(0.999, runs, 0.05)


# --- the winner's curse


@pytest.mark.parametrize(("n", "curse"), [(30, 8.0), (50, 6.3), (100, 4.4), (200, 3.2)])
def test_the_leader_of_five_equal_arms_looks_too_good_and_its_confirmed_score_does_not(n: int, curse: float) -> None:
    tables = pass_fail_arms([0.5] * 5, n=n, runs=1000, seed=n)
    truth = float(pass_fail_arms([0.5], n=400_000, runs=1, seed=1).mean())
    cost_rank = {f"arm{place}": place for place in range(5)}
    found = [
        confirmed_score({name: table[:, place] for name, place in cost_rank.items()}, cost_rank) for table in tables
    ]
    assert 100 * (np.mean([each.raw for each in found]) - truth) == pytest.approx(curse, abs=0.5)
    assert abs(100 * (np.mean([each.estimate for each in found]) - truth)) < 1
    assert np.mean([each.interval[0] <= truth <= each.interval[1] for each in found]) >= 0.91
