"""The verdict against planted situations with known truth, and its promises over many random ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from advisor.statistics import mean_interval, paired_interval
from advisor.verdict import FEWEST_ROWS, USELESS_BELOW, ArmScores, BaselineScores, Verdict, decide

FloatArray = npt.NDArray[np.float64]
MARGIN = 0.03


def arm(name: str, scores: Sequence[float] | FloatArray, cost: int = 0) -> ArmScores:
    return ArmScores(name, name.title(), scores, cost)


def differing(n: int, wins: int, losses: int) -> tuple[FloatArray, FloatArray]:
    """Two arms' pass/fail scores on n items: the first alone is right on ``wins``, the second alone on ``losses``."""
    a, b = np.zeros(n), np.zeros(n)
    a[:wins] = 1
    b[wins : wins + losses] = 1
    both = (n - wins - losses) // 2
    a[n - both :] = b[n - both :] = 1
    return a, b


def simulated(rates: Sequence[float], n: int, *, seed: int, spread: float = 0.3) -> list[ArmScores]:
    """Pass/fail arms on items of shared difficulty; dearer from left to right."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, spread, n)
    return [
        arm(f"arm{place}", (rng.random(n) < np.clip(rate + difficulty, 0, 1)).astype(float), place)
        for place, rate in enumerate(rates)
    ]


def interval_of(verdict: Verdict, a: str, b: str) -> tuple[float, float]:
    """The interval of a - b, whichever way round the pair is kept."""
    for pair in verdict.pairs:
        if (pair.a, pair.b) == (a, b):
            return pair.interval
        if (pair.a, pair.b) == (b, a):
            return -pair.interval[1], -pair.interval[0]
    raise AssertionError(f"no pair of {a} and {b}")


# --- planted situations


def test_a_planted_winner_is_named_with_its_figures() -> None:
    tuned, few = differing(200, 40, 10)
    zero, _ = differing(200, 0, 0)
    verdict = decide([arm("few-shot", few, 1), arm("fine-tune", tuned, 2), arm("zero-shot", zero * 0, 0)])
    assert (verdict.kind, verdict.arm, verdict.best) == ("winner", "fine-tune", "fine-tune")
    low, high = interval_of(verdict, "fine-tune", "few-shot")
    assert verdict.sentence == (
        f"Fine-Tune: it beats every other approach; +15.0 points over Few-Shot "
        f"[{100 * low:+.1f}, {100 * high:+.1f}] on 200 test rows."
    )
    assert verdict.rows_needed is None
    assert verdict.probability_best["fine-tune"] > 0.99
    assert verdict.expected_regret < 0.001


def test_a_cheap_arm_within_the_margin_is_advised_as_a_tie() -> None:
    dear, cheap = differing(1000, 12, 8)
    verdict = decide([arm("dear", dear, 2), arm("cheap", cheap, 1)])
    assert (verdict.kind, verdict.arm, verdict.best) == ("tie", "cheap", "dear")
    assert verdict.sentence.startswith("A tie within 3.0 points: take Cheap, which is cheaper than Dear; -0.4 points")


def test_a_truly_better_arm_that_gains_less_than_the_margin_is_still_a_tie() -> None:
    dear, cheap = differing(2000, 24, 2)
    verdict = decide([arm("dear", dear, 2), arm("cheap", cheap, 1)])
    assert interval_of(verdict, "dear", "cheap")[0] > 0
    assert (verdict.kind, verdict.arm) == ("tie", "cheap")
    # At a margin below the gap, the same scores make it the winner.
    assert decide([arm("dear", dear, 2), arm("cheap", cheap, 1)], margin=0.005).kind == "winner"


@pytest.mark.parametrize(("n", "wins", "losses"), [(300, 36, 24), (1000, 48, 33)])
def test_a_cheap_arm_that_may_be_better_and_is_not_much_worse_is_advised_as_cheaper(
    n: int, wins: int, losses: int
) -> None:
    cheap, dear = differing(n, wins, losses)
    verdict = decide([arm("dear", dear, 2), arm("cheap", cheap, 1)])
    assert (verdict.kind, verdict.arm) == ("cheaper", "cheap")
    assert verdict.sentence.startswith("Cheap: it is cheaper, and no other approach is better by 3.0 points or more; ")
    low, high = interval_of(verdict, "cheap", "dear")
    assert -MARGIN < low < 0 < MARGIN < high


def test_the_same_scores_for_the_dear_arm_are_not_enough_evidence() -> None:
    dear, cheap = differing(300, 36, 24)
    verdict = decide([arm("dear", dear, 2), arm("cheap", cheap, 1)])
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "dear")
    assert "take Cheap: it is cheaper" in verdict.next_step


def test_rows_are_never_said_to_suffice_that_were_not_enough() -> None:
    dear, cheap = differing(1000, 40, 25)  # by the formula 600 rows would do, and 1000 did not
    verdict = decide([arm("dear", dear, 2), arm("cheap", cheap, 1)])
    assert (verdict.kind, verdict.arm, verdict.rows_needed) == ("not_enough_evidence", "dear", 1200)


def test_arms_of_equal_cost_are_never_called_cheaper_than_each_other() -> None:
    a, b = differing(1000, 12, 8)
    verdict = decide([arm("a", a, 1), arm("b", b, 1)])
    assert (verdict.kind, verdict.arm) == ("tie", "a")
    assert "no dearer than B" in verdict.sentence


def test_noise_on_30_items_is_not_enough_evidence_and_says_what_would_be() -> None:
    few, zero = differing(30, 6, 4)
    verdict = decide([arm("zero", zero, 0), arm("few", few, 1)])
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "few")
    assert verdict.sentence.startswith("Not enough evidence yet. Best bet: Few, +6.7 points over Zero [")
    assert verdict.rows_needed is not None
    assert verdict.rows_needed > 30
    assert re.search(r"Label about \d+ more test rows \(\d+ in all\)", verdict.next_step)
    assert 0.5 < verdict.probability_best["few"] < 0.95
    assert f"{verdict.probability_best['few']:.0%} likely" in verdict.sentence
    assert f"expected regret {100 * verdict.expected_regret:.1f} points" in verdict.sentence


def test_the_best_bet_is_the_cheapest_of_those_with_the_same_mean() -> None:
    a, b = differing(30, 5, 5)
    assert decide([arm("a", a, 2), arm("b", b, 1)]).arm == "b"
    assert decide([arm("a", a, 1), arm("b", b, 2)]).arm == "a"


def test_following_the_next_step_settles_it_in_most_cases() -> None:
    settled = []
    for seed in range(60):
        first = decide(simulated((0.5, 0.65), 40, seed=seed))
        if first.kind == "not_enough_evidence" and first.rows_needed is not None and first.rows_needed < 3000:
            second = decide(simulated((0.5, 0.65), first.rows_needed, seed=seed + 1000))
            settled.append(second.kind != "not_enough_evidence")
    assert len(settled) > 15
    assert np.mean(settled) > 0.7


# --- the baseline


def test_an_arm_that_does_not_beat_the_baseline_does_not_work() -> None:
    best, majority = differing(300, 20, 50)
    verdict = decide(
        [arm("a", best, 0), arm("b", best * 0, 1)], baseline=BaselineScores("the majority label", majority)
    )
    assert (verdict.kind, verdict.arm, verdict.best) == ("nothing_works", None, "a")
    assert "A, is not above the majority label: -10.0 points against the majority label [" in verdict.sentence
    assert verdict.rows_needed is None


def test_a_gain_on_the_baseline_below_the_margin_does_not_work_well_enough() -> None:
    best, majority = differing(3000, 60, 30)
    verdict = decide([arm("a", best)], baseline=BaselineScores("copying the input", majority))
    assert verdict.kind == "nothing_works"
    assert "gains too little: +1.0 points over copying the input" in verdict.sentence


def test_few_rows_that_show_no_gain_are_not_enough_evidence_that_nothing_works() -> None:
    best, majority = differing(30, 5, 5)
    verdict = decide([arm("a", best)], baseline=BaselineScores("the majority label", majority))
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "a")
    assert "nothing is above the majority label, but 30 test rows cannot rule out a gain" in verdict.sentence
    assert re.search(r"^Read 20 rows by hand: .* If so, label about \d+ more test rows", verdict.next_step)
    assert verdict.rows_needed is not None


def test_a_gain_that_is_surely_too_small_does_not_hide_that_another_arm_may_gain_more() -> None:
    majority = np.tile([1.0, 0.0], 1500)
    small, wild = majority.copy(), majority.copy()
    small[1:120:2], small[0:60:2] = 1, 0  # +1.0 points, surely below the margin
    wild[1:1440:2], wild[0:1390:2] = 1, 0  # +0.8 points, but up to +3.3
    baseline = BaselineScores("the majority label", majority)
    assert decide([arm("small", small)], baseline=baseline).kind == "nothing_works"
    verdict = decide([arm("small", small, 0), arm("wild", wild, 1)], baseline=baseline)
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "small")
    assert "not even that anything gains 3.0 points on the majority label" in verdict.sentence
    assert verdict.rows_needed is not None


@pytest.mark.parametrize(("n", "wins", "losses"), [(40, 0.02, 0.02), (20, 0.3, 0.1), (20, 0.1, 0.3), (40, 0.06, 0.02)])
def test_the_rows_that_are_asked_for_mostly_settle_whether_anything_is_gained(
    n: int, wins: float, losses: float
) -> None:
    def verdict_on(rows: int, seed: int) -> Verdict:
        counts = np.random.default_rng(seed).multinomial(rows, [wins, losses, 1 - wins - losses])
        a, b = differing(rows, counts[0], counts[1])
        return decide([arm("a", a)], baseline=BaselineScores("the majority label", b))

    asked = [verdict_on(n, seed) for seed in range(40)]
    rows = [verdict.rows_needed for verdict in asked if verdict.kind == "not_enough_evidence"]
    settled = [verdict_on(need, 1000 + place).kind for place, need in enumerate(rows) if need is not None]
    assert len(settled) > 8 and settled.count("not_enough_evidence") < 0.35 * len(settled)


def test_a_gain_on_the_baseline_that_may_be_luck_is_not_enough_evidence() -> None:
    best, majority = differing(60, 12, 7)
    verdict = decide([arm("a", best), arm("b", best * 0, 1)], baseline=BaselineScores("the majority label", majority))
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "a")
    assert "not even that anything beats the majority label" in verdict.sentence
    assert verdict.rows_needed is not None


def test_a_cheap_arm_that_is_not_above_the_baseline_is_not_advised() -> None:
    dear = np.repeat([1.0, 0.0], 1000)
    cheap, majority = dear.copy(), dear.copy()
    cheap[:36], cheap[1000:1002] = 0, 1  # 1.7 points below the dear arm, surely within the margin
    majority[100:200], majority[1100:1166] = 0, 1  # as good as the cheap arm
    arms = [arm("dear", dear, 1), arm("cheap", cheap, 0)]
    assert decide(arms, margin=0.025).arm == "cheap"
    verdict = decide(arms, baseline=BaselineScores("the majority label", majority), margin=0.025)
    assert (verdict.kind, verdict.arm) == ("winner", "dear")


def test_arms_that_all_score_next_to_nothing_do_not_work() -> None:
    scores = np.zeros(200)
    scores[0] = 1
    verdict = decide([arm("a", scores), arm("b", scores * 0, 1)])
    assert (verdict.kind, verdict.arm) == ("nothing_works", None)
    assert "scores 0.5 of 100 points on 200 test rows" in verdict.sentence
    # 20 items with no hit still allow 16%.
    assert decide([arm("a", scores[-20:]), arm("b", scores[-20:], 1)]).kind == "not_enough_evidence"


# --- next to no rows


def outcomes(n: int) -> list[tuple[FloatArray, FloatArray]]:
    """All that two pass/fail arms can do on n items, but for the order of the items."""
    made = []
    for wins, losses, both in product(range(n + 1), repeat=3):
        if wins + losses + both <= n:
            first = [1.0] * wins + [0.0] * losses + [1.0] * both
            second = [0.0] * wins + [1.0] * losses + [1.0] * both
            rest = [0.0] * (n - wins - losses - both)
            made.append((np.array(first + rest), np.array(second + rest)))
    return made


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_up_to_five_rows_are_not_enough_evidence_for_anything(n: int) -> None:
    assert n < FEWEST_ROWS
    for one, other in outcomes(n):
        baseline = BaselineScores("the majority label", other)
        for verdict in (
            decide([arm("a", one)], baseline=baseline),
            decide([arm("a", one, 1), arm("b", other, 0)]),
            decide([arm("a", one, 1), arm("b", other, 0)], baseline=baseline, margin=0.5),
        ):
            assert verdict.kind == "not_enough_evidence", (one, other)
            assert f"{n} test row" in verdict.sentence and "cannot tell anything apart" in verdict.sentence
            assert verdict.next_step.startswith("Label at least ")
            assert verdict.rows_needed is not None and verdict.rows_needed >= 20
        assert decide([arm("a", one)]).kind == "not_enough_evidence"


def test_five_wins_of_five_are_no_winner_and_six_of_six_are() -> None:
    for n, kind in ((5, "not_enough_evidence"), (6, "winner")):
        assert decide([arm("a", np.ones(n), 1), arm("b", np.zeros(n), 0)]).kind == kind
        assert decide([arm("a", np.ones(n))], baseline=BaselineScores("a coin", np.zeros(n))).kind == kind


def test_three_rows_that_all_arms_and_the_baseline_get_wrong_do_not_prove_that_nothing_works() -> None:
    arms = [arm("zero", np.zeros(3), 0), arm("few", np.zeros(3), 1)]
    verdict = decide(arms, baseline=BaselineScores("the majority label", np.zeros(3)))
    assert (verdict.kind, verdict.arm) == ("not_enough_evidence", "zero")
    assert "Zero, 0.0 points against the majority label [-" in verdict.sentence
    assert "from so few, how many it takes cannot be told" in verdict.next_step


@pytest.mark.parametrize(
    ("n", "kind"), [(6, "not_enough_evidence"), (40, "not_enough_evidence"), (120, "nothing_works")]
)
def test_that_all_get_nothing_right_is_told_from_enough_rows_on(n: int, kind: str) -> None:
    arms = [arm("zero", np.zeros(n), 0), arm("few", np.zeros(n), 1)]
    assert decide(arms, baseline=BaselineScores("the majority label", np.zeros(n))).kind == kind


# --- one arm, and arms that agree


def test_one_arm_is_compared_with_the_baseline_only() -> None:
    best, majority = differing(200, 60, 20)
    verdict = decide([arm("a", best)], baseline=BaselineScores("the majority label", majority))
    assert (verdict.kind, verdict.arm, verdict.pairs) == ("winner", "a", ())
    assert "it beats the majority label, and no other approach was run; +20.0 points" in verdict.sentence
    alone = decide([arm("a", best)])
    assert (alone.kind, alone.arm, alone.rows_needed) == ("not_enough_evidence", "a", None)
    assert alone.probability_best == {"a": 1.0}


@pytest.mark.parametrize(("n", "kind"), [(1, "not_enough_evidence"), (60, "not_enough_evidence"), (120, "tie")])
@pytest.mark.parametrize("count", [2, 4])
def test_identical_arms_are_never_a_winner(n: int, kind: str, count: int) -> None:
    scores = np.tile([1.0, 0.0], n)[:n]
    verdict = decide([arm(f"arm{place}", scores, count - place) for place in range(count)])
    cheapest = f"arm{count - 1}"
    assert (verdict.kind, verdict.arm) == (kind, cheapest)
    if kind == "not_enough_evidence":
        assert verdict.rows_needed is not None
        assert 100 < verdict.rows_needed < 200


@pytest.mark.parametrize(("n", "seeds"), [(30, 500), (100, 500), (400, 300)])
def test_the_same_arm_run_twice_is_rarely_called_a_winner(n: int, seeds: int) -> None:
    winners = sum(decide(simulated((0.6, 0.6), n, seed=seed)).kind == "winner" for seed in range(seeds))
    assert winners <= binom.ppf(0.999, seeds, 0.05)


def test_two_equal_leaders_among_many_arms_are_rarely_called_a_winner() -> None:
    seeds = 400
    winners = sum(decide(simulated((0.2, 0.2, 0.7, 0.7), 100, seed=seed)).kind == "winner" for seed in range(seeds))
    assert winners <= binom.ppf(0.999, seeds, 0.05)


def test_noise_against_a_baseline_of_the_same_quality_is_rarely_called_a_winner() -> None:
    seeds, winners = 400, 0
    for seed in range(seeds):
        noise, baseline = simulated((0.5, 0.5), 80, seed=seed)
        winners += decide([noise], baseline=BaselineScores("the majority label", baseline.scores)).kind == "winner"
    assert winners <= binom.ppf(0.999, seeds, 0.05)


def test_a_cheap_arm_worse_by_the_margin_is_rarely_advised() -> None:
    seeds, n, wrong = 400, 400, 0
    for seed in range(seeds):
        shares = [(0.2 + MARGIN) / 2, (0.2 - MARGIN) / 2, 0.8]
        wins, losses, _ = np.random.default_rng(seed).multinomial(n, shares)
        dear, cheap = differing(n, wins, losses)
        wrong += decide([arm("dear", dear, 1), arm("cheap", cheap, 0)]).kind in ("tie", "cheaper")
    assert wrong <= binom.ppf(0.999, seeds, 0.05)


def test_a_large_true_gap_is_mostly_found() -> None:
    found = [decide(simulated((0.4, 0.7), 150, seed=seed)) for seed in range(100)]
    assert np.mean([verdict.kind == "winner" and verdict.arm == "arm1" for verdict in found]) > 0.9


# --- promises over any scores

ARMS = st.integers(1, 25).flatmap(
    lambda n: st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n), min_size=1, max_size=4)
)


@given(
    table=ARMS,
    costs=st.lists(st.integers(0, 3), min_size=5, max_size=5),
    repeats=st.sampled_from([1, 10, 80]),
    with_baseline=st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_what_is_said_is_what_the_intervals_say(
    table: list[list[float]], costs: list[int], repeats: int, with_baseline: bool
) -> None:
    arms = [arm(f"arm{place}", row * repeats, costs[place]) for place, row in enumerate(table)]
    baseline = BaselineScores("the majority label", arms.pop().scores) if with_baseline and len(arms) > 1 else None
    verdict = decide(arms, baseline=baseline)
    assert sum(verdict.probability_best.values()) == pytest.approx(1)
    assert len(verdict.pairs) == len(arms) * (len(arms) - 1) // 2
    assert all(pair.interval[0] <= pair.interval[1] and pair.difference >= -1e-9 for pair in verdict.pairs)
    assert verdict.sentence.endswith(".")
    assert verdict.next_step.endswith(".")
    assert verdict.sentence.count("nan") == verdict.next_step.count("nan") == 0
    assert (verdict.arm is None) == (verdict.kind == "nothing_works")
    cost = {each.name: each.cost_rank for each in arms}
    against = (
        []
        if verdict.arm is None
        else [(other, interval_of(verdict, verdict.arm, other)) for other in cost if other != verdict.arm]
    )
    if verdict.kind == "nothing_works":  # it is said on evidence only: what is possible is too little
        gains = [paired_interval(each.scores, baseline.scores).high for each in arms] if baseline else [1.0]
        assert max(gains) <= MARGIN or max(mean_interval(each.scores).high for each in arms) < USELESS_BELOW
    if verdict.kind == "winner":
        assert all(low > 0 for _, (low, _) in against)
    if verdict.kind in ("tie", "cheaper"):
        assert verdict.arm is not None
        assert all(low > -MARGIN for _, (low, _) in against)
        assert all(cost[verdict.arm] <= cost[other] for other, (low, _) in against if low <= 0)
    if verdict.kind == "tie":
        assert all(high < MARGIN for _, (low, high) in against if low <= 0)
    if verdict.rows_needed is not None:
        assert verdict.rows_needed > len(arms[0].scores)
    if "beats" in verdict.sentence and verdict.kind != "not_enough_evidence":
        assert verdict.kind == "winner"


@pytest.mark.parametrize("n", [25, 100, 600])
@pytest.mark.parametrize("rates", [(0.5, 0.5, 0.5), (0.3, 0.5, 0.9), (0.7, 0.72, 0.1)])
def test_the_order_of_the_arms_changes_nothing(n: int, rates: tuple[float, ...]) -> None:
    arms = simulated(rates, n, seed=3)
    verdicts = [decide(list(order)) for order in permutations(arms)]
    assert all(verdict == verdicts[0] for verdict in verdicts)


def test_the_order_of_the_items_changes_no_advice() -> None:
    arms = simulated((0.5, 0.6, 0.7), 80, seed=4)
    order = np.random.default_rng(0).permutation(80)
    shuffled = [ArmScores(each.name, each.title, np.array(each.scores)[order], each.cost_rank) for each in arms]
    assert decide(shuffled).sentence == decide(arms).sentence


def test_more_wins_never_lower_the_figures_of_an_arm() -> None:
    lows, chances = [], []
    for wins in range(5, 60, 5):
        better, other = differing(100, wins, 5)
        verdict = decide([arm("a", better), arm("b", other, 1)])
        lows.append(interval_of(verdict, "a", "b")[0])
        chances.append(verdict.probability_best["a"])
    assert lows == sorted(lows)
    assert chances == pytest.approx(sorted(chances), abs=0.01)
    assert (decide([arm("a", better, 1), arm("b", other)]).kind) == "winner"


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.1, 0.3])
def test_a_wider_margin_only_ever_makes_the_advised_arm_cheaper(margin: float) -> None:
    for seed in range(40):
        arms = simulated((0.6, 0.65, 0.7), 300, seed=seed)
        narrow, wide = decide(arms, margin=margin), decide(arms, margin=2 * margin)
        if narrow.kind in ("winner", "tie", "cheaper"):
            costs = {each.name: each.cost_rank for each in arms}
            assert wide.arm is not None
            assert narrow.arm is not None
            assert costs[wide.arm] <= costs[narrow.arm]


# --- what is refused


@pytest.mark.parametrize(
    ("arms", "margin", "message"),
    [
        ([], 0.03, "no arm"),
        ([arm("a", [1.0]), arm("a", [0.0])], 0.03, "name of its own"),
        ([arm("a", [1.0, 0.0]), arm("b", [0.0])], 0.03, "same items"),
        ([arm("a", []), arm("b", [])], 0.03, "score"),
        ([arm("a", [2.0])], 0.03, "score"),
        ([arm("a", [float("nan")]), arm("b", [1.0])], 0.03, "score"),
        ([arm("a", [1.0])], 3.0, "margin"),
        ([arm("a", [1.0])], 0.0, "margin"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_scores_that_cannot_be_compared_are_refused(arms: list[ArmScores], margin: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decide(arms, margin=margin)


def test_a_baseline_on_other_items_is_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        decide([arm("a", [1.0, 0.0])], baseline=BaselineScores("the majority label", [1.0]))
