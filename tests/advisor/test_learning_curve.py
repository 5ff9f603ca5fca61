"""Learning curves against simulated ones with known truth, and what may be said of them."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from advisor.learning_curve import Curve, Point, fit, outlook, sentence

FloatArray = npt.NDArray[np.float64]

SENTENCES = (
    r"Doubling the training rows likely adds \d+\.\d to \d+\.\d points\.",
    r"Doubling the training rows likely adds under 1 point\.",
    r"Cannot tell with this test set what doubling the training rows adds: \d+\.\d to \d+\.\d points are possible\.",
)


def points_of(errors: FloatArray, sizes: list[float], items: int, rng: np.random.Generator) -> list[Point]:
    """Pass/fail scores with these error rates on items of shared difficulty."""
    difficulty = 0.8 * rng.normal(size=items)
    return [
        Point(size, tuple((difficulty + 0.6 * rng.normal(size=items) >= norm.ppf(error)).astype(float)))
        for size, error in zip(sizes, errors, strict=True)
    ]


def true_errors(world: str, rng: np.random.Generator) -> FloatArray:
    """Error rates at 25, 50, 100 and 200%: the curves of SCIENCE 7's simulation, or others, half of them flat."""
    sizes, exponent = np.array([0.25, 0.5, 1.0, 2.0]), rng.uniform(0.2, 0.8)
    if world == "reference":
        return rng.uniform(0.02, 0.25) + rng.uniform(0.05, 0.35) * (sizes / 0.25) ** -exponent
    share = rng.choice([0.0, rng.uniform(0, 1)])
    return np.minimum(rng.uniform(0.02, 0.5) * (1 - share + share * sizes**-exponent), 0.95)


@cache
def simulated(items: int, world: str = "reference") -> tuple[tuple[Curve, float, float], ...]:
    """Curves fitted at 100, 200 and 400 rows, each with the true gain of doubling and the true score there."""
    rng, found = np.random.default_rng(items), []
    for _ in range(400):
        errors = true_errors(world, rng)
        curve = fit(points_of(errors[:3], [100, 200, 400], items, rng))
        found.append((curve, float(errors[2] - errors[3]), float(1 - errors[3])))
    return tuple(found)


@pytest.mark.parametrize(("items", "points"), [(50, 1.3), (100, 1.2), (200, 1.0), (500, 0.8)])
def test_the_error_of_the_predicted_gain_is_that_of_the_reference(items: int, points: float) -> None:
    errors = [curve.gain_of_doubling.estimate - truth for curve, truth, _ in simulated(items)]
    assert 100 * np.sqrt(np.mean(np.square(errors))) == pytest.approx(points, abs=0.2)


@pytest.mark.parametrize("items", [50, 200, 500])
def test_the_fan_and_the_range_of_the_gain_cover(items: int) -> None:
    gains = [curve.gain_of_doubling.low <= truth <= curve.gain_of_doubling.high for curve, truth, _ in simulated(items)]
    assert 0.86 <= np.mean(gains) <= 0.99
    fans = [(curve.fan(800), score) for curve, _, score in simulated(items)]
    assert 0.86 <= np.mean([fan.p5 <= score <= fan.p95 for fan, score in fans]) <= 0.97
    assert 0.40 <= np.mean([fan.p25 <= score <= fan.p75 for fan, score in fans]) <= 0.65


@pytest.mark.parametrize("world", ["reference", "others"])
def test_what_is_said_is_mostly_so(world: str) -> None:
    adds, little = [], []
    for items in (50, 200, 1000):
        for curve, truth, _ in simulated(items, world):
            gain = curve.gain_of_doubling
            if outlook(curve) == "adds":
                adds.append(gain.low <= truth <= gain.high)
            elif outlook(curve) == "little":
                little.append(truth < 0.01)
    assert len(adds) >= 100 and np.mean(adds) >= 0.85
    if world == "others":  # the reference has next to no curve that is flat
        assert len(little) >= 50 and np.mean(little) >= 0.9


def test_a_small_test_set_mostly_cannot_tell_and_a_large_one_can() -> None:
    unsure = {
        items: np.mean([outlook(curve) == "cannot_tell" for curve, _, _ in simulated(items)])
        for items in (50, 200, 500)
    }
    assert unsure[50] > 0.85 > unsure[200] > unsure[500] < 0.45
    rng = np.random.default_rng(0)
    steep = np.array([0.4, 0.3, 0.22])
    assert outlook(fit(points_of(steep, [100, 200, 400], 3000, rng))) == "adds"
    flat = np.array([0.1, 0.1, 0.1])
    assert outlook(fit(points_of(flat, [100, 200, 400], 8000, rng), run_sd=0.002)) == "little"
    assert outlook(fit(points_of(np.array([0.5, 0.45, 0.4]), [100, 200, 400], 20, rng))) == "cannot_tell"


@pytest.mark.parametrize("items", [50, 500])
def test_exactly_one_of_three_sentences_is_said(items: int) -> None:
    for curve, _, _ in simulated(items)[:60]:
        said = [bool(re.fullmatch(pattern, sentence(curve))) for pattern in SENTENCES]
        assert sum(said) == 1
        assert said.index(True) == ("adds", "little", "cannot_tell").index(outlook(curve))


# --- losses, demonstrations, documents


def test_a_loss_is_fitted_like_a_score_on_another_scale() -> None:
    rng = np.random.default_rng(1)
    points = points_of(np.array([0.4, 0.3, 0.25]), [1, 2, 4], 300, rng)
    scores = fit(points)
    losses = fit(
        [Point(point.n, tuple(3 * (1 - value) for value in point.values)) for point in points],
        higher_is_better=False,
        run_sd=0.03,
    )
    assert losses.gain_of_doubling == pytest.approx([3 * value for value in scores.gain_of_doubling], rel=1e-6)
    assert losses.fan(8) == pytest.approx([3 * (1 - value) for value in reversed(scores.fan(8))], rel=1e-6)
    assert losses.narrowed == pytest.approx(scores.narrowed)


def test_a_loss_falls_in_nats_per_token() -> None:
    rng = np.random.default_rng(2)
    own = rng.normal(0, 0.5, 400)
    losses = [Point(n, tuple(np.abs(2 + n**-0.5 * 8 + own + rng.normal(0, 0.1, 400)))) for n in (100, 200, 400)]
    curve = fit(losses, higher_is_better=False)
    truth = 8 * (400**-0.5 - 800**-0.5)
    assert curve.gain_of_doubling.low <= truth <= curve.gain_of_doubling.high
    assert re.fullmatch(
        r"Doubling the training rows likely lowers the loss by \S+ to \S+ nats per token\.", sentence(curve)
    )
    flat = [Point(n, tuple(np.abs(own / 100))) for n in (100, 200, 400)]
    assert "under 0.01 nats" in sentence(fit(flat, higher_is_better=False, run_sd=0.001))
    assert sentence(fit(losses[:2], higher_is_better=False, run_sd=1.0)).startswith("Cannot tell with this test set by")


def test_demonstrations_and_shares_of_documents_are_sizes_too() -> None:
    rng = np.random.default_rng(3)
    shots = points_of(np.array([0.6, 0.5, 0.42, 0.36]), [1, 2, 4, 8], 1500, rng)
    assert sentence(fit(shots), what="demonstrations").startswith("Doubling the demonstrations likely adds ")
    shares = points_of(np.array([0.5, 0.4, 0.33]), [0.25, 0.5, 1.0], 1500, rng)
    assert fit(shares).gain_of_doubling == pytest.approx(
        fit([Point(100 * point.n, point.values) for point in shares]).gain_of_doubling
    )


def test_where_more_hurt_little_is_promised() -> None:
    rng = np.random.default_rng(4)
    curve = fit(points_of(np.array([0.2, 0.2, 0.3]), [1, 4, 16], 2000, rng))
    assert curve.gain_of_doubling.high < 0.02


# --- figures that hold for any points


POINTS = st.integers(2, 5).flatmap(
    lambda count: st.lists(
        st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=12, max_size=12), min_size=count, max_size=count
    )
)


@given(table=POINTS)
@settings(deadline=None, max_examples=60)
def test_any_points_give_figures_in_order(table: list[list[float]]) -> None:
    curve = fit([Point(2.0**place, tuple(row)) for place, row in enumerate(table)])
    gain = curve.gain_of_doubling
    assert 0 <= gain.low <= gain.high <= 1
    fan = curve.fan(2 * curve.n)
    assert list(fan) == sorted(fan)
    assert fan.p5 >= 0 and fan.p95 <= 1
    medians = [curve.fan(n).p50 for n in (0.5, 1, 4, 64, 1000)]
    assert medians == sorted(medians)
    assert sum(bool(re.fullmatch(pattern, sentence(curve))) for pattern in SENTENCES) == 1


def test_scores_at_the_ceiling_gain_little() -> None:
    perfect = [Point(n, (1.0,) * 200) for n in (50, 100, 200)]
    assert sentence(fit(perfect)) == "Doubling the training rows likely adds under 1 point."
    rng = np.random.default_rng(5)
    points = points_of(np.array([0.2, 0.15, 0.12]), [50, 100, 200], 500, rng)
    free, bounded = fit(points), fit(points, noise_ceiling=0.9)
    assert bounded.gain_of_doubling.estimate < free.gain_of_doubling.estimate
    assert bounded.fan(100_000).p95 <= 0.9


def test_more_items_and_steadier_trainings_narrow_the_range() -> None:
    errors = np.array([0.4, 0.3, 0.24])
    few, many = (fit(points_of(errors, [1, 2, 4], items, np.random.default_rng(6))) for items in (60, 6000))
    assert many.narrowed < few.narrowed
    shaky = fit(list(many.points), run_sd=0.05)
    assert shaky.narrowed > many.narrowed


def test_a_size_may_be_measured_twice() -> None:
    rng = np.random.default_rng(7)
    points = points_of(np.array([0.4, 0.4, 0.3, 0.24]), [1, 1, 2, 4], 400, rng)
    assert fit(points).narrowed < fit(points[1:]).narrowed * 1.1


def test_the_same_points_give_the_same_curve() -> None:
    points = points_of(np.array([0.4, 0.3]), [1, 2], 40, np.random.default_rng(8))
    assert fit(points).gain_of_doubling == fit(points).gain_of_doubling
    assert fit(points).fan(4) == fit(list(reversed(points))).fan(4) or fit(points).fan(4) == pytest.approx(
        fit(list(reversed(points))).fan(4)
    )


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([Point(1, (1.0,))], "two different sizes"),
        ([Point(1, (1.0,)), Point(1, (0.0,))], "two different sizes"),
        ([Point(0, (1.0,)), Point(1, (0.0,))], "above 0"),
        ([Point(1, (1.0, 0.0)), Point(2, (0.0,))], "same items"),
        ([Point(1, ()), Point(2, ())], "same items"),
        ([Point(1, (2.0,)), Point(2, (0.0,))], "in \\[0, 1\\]"),
        ([Point(1, (float("nan"),)), Point(2, (0.0,))], "finite"),
    ],
)
def test_points_that_make_no_curve_are_refused(points: list[Point], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(points)


def test_impossible_requests_are_refused() -> None:
    points = [Point(1, (1.0, 0.0)), Point(2, (1.0, 1.0))]
    with pytest.raises(ValueError, match="SD"):
        fit(points, run_sd=-1)
    for n in (0, -1):
        with pytest.raises(ValueError, match="above 0"):
            fit(points).fan(n)
        with pytest.raises(ValueError, match="above 0"):
            fit(points).gain(n)
