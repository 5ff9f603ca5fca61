"""The statistics against exact enumeration, brute force and simulation with known truth."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from advisor.statistics import (
    Interval,
    betting_log_e,
    expected_regret,
    mean_interval,
    mid_p_mcnemar,
    paired_interval,
    probability_best,
    rows_needed,
    smallest_visible_gap,
    split_decision,
    win_loss_log_e,
)

FloatArray = npt.NDArray[np.float64]

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def graded_arms(n: int, gap: float, *, seed: int, runs: int) -> tuple[FloatArray, FloatArray]:
    """Two arms' scores on items of shared difficulty, lumps at 0 and 1; (runs, n) each, the true gap near ``gap``."""
    rng = np.random.default_rng(seed)
    difficulty = 0.35 * rng.normal(size=(runs, n))

    def arm(shift: float) -> FloatArray:
        return np.round(np.clip(0.55 + shift + difficulty + 0.22 * rng.normal(size=(runs, n)), 0, 1), 1)

    return arm(gap), arm(0.0)


def pass_fail_differences(n: int, gap: float, *, differing: float, seed: int, runs: int) -> FloatArray:
    shares = [(differing + gap) / 2, (differing - gap) / 2, 1 - differing]
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], p=shares, size=(runs, n))


@cache
def interval_of_counts(wins: int, losses: int, n: int) -> Interval:
    a, b = np.zeros(n), np.zeros(n)
    a[:wins] = 1
    b[wins : wins + losses] = 1
    return paired_interval(a, b)


def exact_coverage(n: int, gap: float, differing: float) -> float:
    """The coverage of the paired interval for pass/fail scores, summed over every outcome that matters."""
    shares = [(differing + gap) / 2, (differing - gap) / 2, 1 - differing]
    covered = total = 0.0
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            weight = float(stats.multinomial.pmf([wins, losses, n - wins - losses], n, shares))
            if weight < 1e-5:
                continue
            interval = interval_of_counts(wins, losses, n)
            total += weight
            covered += weight * (interval.low <= gap <= interval.high)
    assert total > 0.999
    return covered / total


# --- intervals


@pytest.mark.parametrize("n", [20, 30, 50, 100])
@pytest.mark.parametrize(("gap", "differing"), [(0.0, 0.3), (0.1, 0.3), (0.25, 0.4)])
def test_nominal_95_percent_of_a_pass_fail_difference_covers_93_to_97_5_percent(
    n: int, gap: float, differing: float
) -> None:
    assert 0.93 <= exact_coverage(n, gap, differing) <= 0.975


@pytest.mark.parametrize("n", [20, 50])
@pytest.mark.parametrize(("gap", "differing"), [(0.0, 0.1), (0.1, 0.2), (0.25, 0.3)])
def test_coverage_errs_on_the_wide_side_where_arms_hardly_differ(n: int, gap: float, differing: float) -> None:
    assert exact_coverage(n, gap, differing) >= 0.95


@pytest.mark.parametrize(("n", "most"), [(40, 1.0), (150, 0.975)])
def test_nominal_95_percent_of_a_graded_difference_is_never_short(n: int, most: float) -> None:
    runs = 1500
    a, b = graded_arms(n, 0.08, seed=1, runs=runs)
    far_a, far_b = graded_arms(400_000, 0.08, seed=2, runs=1)
    truth = float((far_a - far_b).mean())
    found = [paired_interval(a[run], b[run]) for run in range(runs)]
    assert 0.93 <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= most


@pytest.mark.parametrize("n", [1, 20, 60, 500])
def test_arms_that_agree_on_every_item_still_get_an_interval_with_the_right_width(n: int) -> None:
    interval = paired_interval(np.ones(n), np.ones(n))
    # The two pseudo-items alone: (g1 - g2) / (n + 2 gammas), brute force with other draws.
    weights = np.random.default_rng(9).standard_exponential((100_000, n + 2) if n < 100 else (20_000, n + 2))
    means = (weights[:, 0] - weights[:, 1]) / weights.sum(axis=1)
    assert interval.estimate == 0
    assert interval.high == pytest.approx(np.quantile(means, 0.975), rel=0.08)


@given(a=SCORES, data=st.data())
@settings(deadline=None, max_examples=40)
def test_swapping_the_arms_only_turns_the_sign(a: list[float], data: st.DataObject) -> None:
    b = data.draw(st.lists(st.floats(0, 1), min_size=len(a), max_size=len(a)))
    assert paired_interval(b, a) == pytest.approx(paired_interval(a, b).negated(), abs=1e-12)


def test_the_order_of_the_items_and_a_second_call_change_nothing() -> None:
    a, b = (scores[0] for scores in graded_arms(50, 0.1, seed=3, runs=1))
    order = np.random.default_rng(0).permutation(50)
    assert paired_interval(a, b) == paired_interval(a, b)
    assert paired_interval(a[order], b[order]) == pytest.approx(paired_interval(a, b), abs=1e-12)


def test_grouping_equal_items_draws_from_the_same_distribution_as_one_weight_an_item() -> None:
    a, b = np.repeat([1.0, 0.0, 1.0], [12, 5, 23]), np.repeat([0.0, 1.0, 1.0], [12, 5, 23])
    weights = np.random.default_rng(4).standard_exponential((100_000, 42))
    means = weights @ np.r_[a - b, 1.0, -1.0] / weights.sum(axis=1)
    assert paired_interval(a, b)[1:] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_more_items_and_a_lower_level_narrow_the_interval() -> None:
    a, b = (scores[0] for scores in graded_arms(400, 0.1, seed=5, runs=1))
    widths = [high - low for _, low, high in (paired_interval(a[:n], b[:n]) for n in (25, 100, 400))]
    assert widths[0] > widths[1] > widths[2]
    narrow, wide = paired_interval(a, b, level=0.8), paired_interval(a, b, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_wilson_is_taken_for_pass_fail_scores_and_only_for_them() -> None:
    # 8 of 10, Wilson 95%: (.4902, .9433), Newcombe 1998.
    assert mean_interval([1.0] * 8 + [0.0] * 2) == pytest.approx((0.8, 0.4902, 0.9433), abs=5e-4)
    graded = mean_interval([0.8] * 10)
    assert graded.estimate == pytest.approx(0.8)
    assert 0 < graded.low < 0.8 < graded.high < 1


def test_the_interval_of_a_graded_mean_covers() -> None:
    runs, n = 1500, 30
    scores, _ = graded_arms(n, 0.1, seed=6, runs=runs)
    truth = float(graded_arms(400_000, 0.1, seed=7, runs=1)[0].mean())
    found = [mean_interval(scores[run]) for run in range(runs)]
    assert 0.93 <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= 0.975


@pytest.mark.parametrize("bad", [[], [1.1], [-0.1], [float("nan")], [[0.5]]])
def test_scores_outside_0_1_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="score"):
        mean_interval(bad)
    with pytest.raises(ValueError, match="score"):
        paired_interval(bad, bad)
    with pytest.raises(ValueError, match="score"):
        probability_best({"a": bad})


def test_arms_on_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_interval([1.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="same items"):
        expected_regret({"a": [1.0, 0.0], "b": [1.0]})
    with pytest.raises(ValueError, match="no arm"):
        probability_best({})


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_0_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        paired_interval([1.0], [0.0], level=level)


# --- the best arm


@given(columns=st.integers(1, 4), n=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_probabilities_add_up_to_1_and_regrets_are_not_negative(columns: int, n: int, seed: int) -> None:
    table = np.random.default_rng(seed).random((columns, n))
    arms = {f"arm{index}": row for index, row in enumerate(table)}
    assert sum(probability_best(arms).values()) == pytest.approx(1)
    assert all(regret >= 0 for regret in expected_regret(arms).values())


def test_one_arm_is_the_best_of_one() -> None:
    assert probability_best({"a": [0.2, 0.4]}) == {"a": 1.0}
    assert expected_regret({"a": [0.2, 0.4]}) == {"a": 0.0}


def test_equal_arms_share_the_probability_and_their_order_plays_no_part() -> None:
    scores = [1.0, 0.0] * 15
    arms = {"a": scores, "b": scores, "c": scores}
    assert probability_best(arms) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, abs=0.03)
    assert probability_best(dict(reversed(arms.items()))) == probability_best(arms)


def test_two_arms_agree_with_the_paired_interval_on_who_leads() -> None:
    a, b = (scores[0] for scores in graded_arms(60, 0.1, seed=8, runs=1))
    chance = probability_best({"a": a, "b": b})["a"]
    # The level whose lower end is 0 leaves 1 - P(a leads) below it.
    assert paired_interval(a, b, level=1 - 2 * (1 - chance)).low == pytest.approx(0, abs=0.01)


def test_probability_best_is_calibrated_when_the_gap_is_drawn_at_random() -> None:
    rng = np.random.default_rng(11)
    claimed, true = [], []
    for run in range(1500):
        gap = float(rng.normal(0, 0.08))
        a, b = (scores[0] for scores in graded_arms(40, gap, seed=1000 + run, runs=1))
        chance = probability_best({"a": a, "b": b})["a"]
        claimed.append(max(chance, 1 - chance))
        true.append((chance > 0.5) == (gap > 0))
    sure = np.array(claimed) > 0.9
    assert sure.sum() > 300
    assert np.mean(np.array(true)[sure]) >= 0.93
    assert np.mean(true) == pytest.approx(np.mean(claimed), abs=0.03)


# --- rows


def test_rows_needed_is_the_formula() -> None:
    differences = 0.02 + 0.26 * np.tile([1.0, -1.0], 500)  # mean 2 points, SD 26
    for margin, gap in ((0.05, 0.05), (0.01, 0.02)):
        rows = rows_needed(differences, margin=margin)
        assert rows == pytest.approx(7.85 * (0.26**2 + 2 / rows) / gap**2, rel=0.005)
    assert rows_needed(differences, margin=0.01) == pytest.approx(7.85 * 0.26**2 / 0.02**2, rel=0.03)


def test_rows_are_asked_for_even_where_arms_agree_on_every_item() -> None:
    rows = rows_needed(np.zeros(20), margin=0.03)
    assert rows > 20
    interval = paired_interval(np.ones(rows), np.ones(rows))
    assert interval.low > -0.03
    assert interval.high < 0.03
    assert rows_needed([1.0], margin=0.03) >= 1


@given(
    differences=st.lists(st.floats(-1, 1), min_size=1, max_size=20),
    margin=st.floats(0.01, 0.2),
)
def test_a_finer_margin_never_needs_fewer_rows(differences: list[float], margin: float) -> None:
    assert rows_needed(differences, margin=margin / 2) >= rows_needed(differences, margin=margin) >= 1


def test_the_rows_asked_for_show_the_gap_in_about_four_runs_of_five() -> None:
    pilot_a, pilot_b = (scores[0] for scores in graded_arms(5000, 0.1, seed=12, runs=1))
    rows = rows_needed(pilot_a - pilot_b, margin=0.03)
    a, b = graded_arms(rows, 0.1, seed=13, runs=800)
    shown = np.mean([paired_interval(a[run], b[run]).low > 0 for run in range(800)])
    assert 0.72 <= shown <= 0.88


@pytest.mark.parametrize(("n", "points"), [(50, 23), (200, 11)])
def test_the_smallest_visible_gap_of_pass_fail_scores(n: int, points: int) -> None:
    assert 100 * smallest_visible_gap(n) == pytest.approx(points, abs=0.5)


@given(n=st.integers(2, 5000), sd=st.floats(0, 1))
def test_the_smallest_visible_gap_is_the_inverse_of_rows_needed(n: int, sd: float) -> None:
    gap = smallest_visible_gap(n, sd=sd)
    assert 0 < gap <= 1
    if gap < 1:
        half = math.sqrt(1 / 2) * sd  # two values half an SD * sqrt(2) from 0 have this SD
        assert rows_needed([half, -half], margin=gap) == pytest.approx(n, abs=1)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        rows_needed([0.1], margin=0.0)
    with pytest.raises(ValueError, match="differences"):
        rows_needed([], margin=0.1)
    with pytest.raises(ValueError, match="at least"):
        smallest_visible_gap(0)


# --- looking while it runs


@given(wins=st.integers(0, 40), losses=st.integers(0, 40))
@settings(deadline=None, max_examples=30)
def test_the_win_loss_e_value_is_the_mixture_integral(wins: int, losses: int) -> None:
    mixture, _ = integrate.quad(lambda rate: (2 * rate) ** wins * (2 * (1 - rate)) ** losses, 0, 1)
    assert math.exp(win_loss_log_e(wins, losses)) == pytest.approx(mixture, rel=1e-5)


def test_the_betting_e_value_is_the_mean_of_products() -> None:
    differences = np.random.default_rng(14).uniform(-1, 1, 12)
    bets = [*np.linspace(-0.98, -0.02, 25), *np.linspace(0.02, 0.98, 25)]
    found = betting_log_e(differences)
    for seen in range(1, 13):
        brute = np.mean([np.prod([1 + bet * d for d in differences[:seen]]) for bet in bets])
        assert math.exp(found[seen - 1]) == pytest.approx(brute)


def test_under_no_difference_the_e_values_average_1() -> None:
    n = 12
    mean = sum(stats.binom.pmf(wins, n, 0.5) * math.exp(win_loss_log_e(wins, n - wins)) for wins in range(n + 1))
    assert mean == pytest.approx(1)
    signs = np.array(np.meshgrid(*[[-0.7, 0.7]] * 8)).reshape(8, -1).T  # all 256 outcomes
    assert np.mean([math.exp(betting_log_e(row)[-1]) for row in signs]) == pytest.approx(1)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (9, 2), (7, 7), (3, 12)])
def test_mid_p_is_the_binomial_sum_with_half_of_the_outcome_seen(wins: int, losses: int) -> None:
    total, fewer = wins + losses, min(wins, losses)
    chances = [math.comb(total, k) / 2**total for k in range(total + 1)]
    brute = min(1.0, 2 * (sum(chances[:fewer]) + chances[fewer] / 2))
    assert mid_p_mcnemar(wins, losses) == pytest.approx(brute)


def test_the_split_rule_keeps_its_promise_on_pass_fail_scores_where_peeking_does_not() -> None:
    runs, n = 3000, 200
    table = pass_fail_differences(n, 0.0, differing=0.3, seed=15, runs=runs)
    split = np.mean([split_decision(row, finished=True) != 0 for row in table])
    wins, losses = np.cumsum(table > 0, axis=1), np.cumsum(table < 0, axis=1)
    looks = np.arange(9, n, 10)
    fewer, total = np.minimum(wins, losses)[:, looks], (wins + losses)[:, looks]
    p_values = np.where(total == 0, 1.0, 2 * stats.binom.cdf(fewer, total, 0.5))
    naive = (p_values <= 0.05).any(axis=1).mean()
    assert split <= 0.05
    assert naive > 0.10


def test_the_split_rule_keeps_its_promise_on_graded_scores_where_peeking_does_not() -> None:
    runs, n = 1000, 200
    a, b = graded_arms(n, 0.0, seed=16, runs=runs)
    split = np.mean([split_decision(row, finished=True) != 0 for row in a - b])
    naive = np.zeros(runs, dtype=bool)
    for look in range(10, n + 1, 10):
        naive |= stats.ttest_1samp((a - b)[:, :look], 0, axis=1).pvalue <= 0.05
    assert split <= 0.055
    assert naive.mean() > 0.10


@pytest.mark.parametrize(("gap", "power"), [(0.15, 0.94), (0.2, 0.99)])
def test_the_split_rule_finds_true_differences_and_names_the_right_side(gap: float, power: float) -> None:
    table = pass_fail_differences(200, gap, differing=0.3, seed=17, runs=500)
    found = np.array([split_decision(row, finished=True) for row in table])
    assert (found == 1).mean() >= power
    assert (found == -1).mean() == 0
    assert [split_decision(-row, finished=True) for row in table[:50]] == list(-found[:50])


def test_before_the_end_only_strong_evidence_counts() -> None:
    weak = [1.0] * 8 + [0.0] * 20
    assert split_decision(weak, finished=False) == 0
    assert split_decision(weak, finished=True) == 1
    assert split_decision([1.0] * 12, finished=False) == 1
    assert split_decision([0.5] * 40, finished=True) == 1
    assert split_decision([0.0] * 40, finished=True) == 0
    assert split_decision([], finished=True) == 0


def test_impossible_counts_and_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="counts"):
        win_loss_log_e(-1, 2)
    with pytest.raises(ValueError, match="counts"):
        mid_p_mcnemar(1, -2)
    for bad in ([1.5], [float("nan")]):
        with pytest.raises(ValueError, match="differences"):
            betting_log_e(bad)
        with pytest.raises(ValueError, match="differences"):
            split_decision(bad, finished=False)


def test_importing_the_statistics_loads_no_heavy_library() -> None:
    program = "import sys, advisor.statistics, advisor.verdict; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
