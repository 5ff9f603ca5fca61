"""Items that are not independent: folds that keep groups together, wider intervals, and intervals over clusters."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.statistics import Interval, cluster_interval, folds, paired_interval, widened, widening

FloatArray = npt.NDArray[np.float64]


# --- folds and cross-fitting


@given(n=st.integers(2, 200), data=st.data(), seed=st.integers(0, 9))
def test_folds_are_of_equal_size_and_repeatable(n: int, data: st.DataObject, seed: int) -> None:
    k = data.draw(st.integers(2, min(n, 10)))
    found = folds(n, k, seed=seed)
    sizes = np.bincount(found, minlength=k)
    assert (len(found), len(sizes)) == (n, k)
    assert sizes.max() - sizes.min() <= 1
    assert (folds(n, k, seed=seed) == found).all()


def test_folds_are_drawn_at_random() -> None:
    assert (folds(50, 5, seed=0) != folds(50, 5, seed=1)).any()


@given(groups=st.lists(st.integers(0, 12), min_size=5, max_size=60).filter(lambda groups: len(set(groups)) >= 3))
def test_a_group_is_never_split_and_folds_differ_by_one_group_at_most(groups: list[int]) -> None:
    found = folds(len(groups), 3, groups=groups)
    assert all(len({found[item] for item, group in enumerate(groups) if group == one}) == 1 for one in set(groups))
    sizes = np.bincount(found, minlength=3)
    assert sizes.max() - sizes.min() <= max(Counter(groups).values())


def test_impossible_folds_are_refused() -> None:
    for n, k in ((5, 1), (3, 4)):
        with pytest.raises(ValueError, match="at least two folds"):
            folds(n, k)
    with pytest.raises(ValueError, match="every item has a group"):
        folds(5, 2, groups=["a", "b"])
    with pytest.raises(ValueError, match="no more than items or groups"):
        folds(4, 3, groups=["a", "a", "b", "b"])


def test_the_widening_is_that_of_nadeau_and_bengio() -> None:
    assert widening(5) == pytest.approx(1.5)  # sqrt((1/5 + 1/4) / (1/5))
    assert widening(2) == pytest.approx(np.sqrt(3))
    assert widening(10, test_to_train=0.1) == pytest.approx(np.sqrt(2))
    with pytest.raises(ValueError, match="two folds"):
        widening(1)
    with pytest.raises(ValueError, match="training rows"):
        widening(5, test_to_train=0.0)


def test_an_interval_is_widened_on_both_sides_within_what_is_possible() -> None:
    assert widened(Interval(0.1, 0.0, 0.3), 5) == pytest.approx((0.1, -0.05, 0.4))
    assert widened(Interval(0.9, 0.7, 0.98), 5, bounds=(0.0, 1.0)) == pytest.approx((0.9, 0.6, 1.0))
    assert widened(Interval(-0.9, -1.0, -0.5), 5).low == -1.0


def nearest_mean_right(train: FloatArray, labels: FloatArray, test: FloatArray, wanted: FloatArray) -> FloatArray:
    """Pass/fail scores of the classifier that takes the class with the nearer mean."""
    one, two = (train[labels == label].mean(axis=0) for label in (0, 1))
    guess = ((test - one) ** 2).sum(axis=1) > ((test - two) ** 2).sum(axis=1)
    return (guess == wanted).astype(np.float64)


def test_the_widened_interval_of_a_cross_fitted_arm_covers() -> None:
    """Against an untrained guesser; the truth is the mean over trainings on four fifths of the rows."""
    rng, n, k, width = np.random.default_rng(0), 50, 5, 12

    def rows(count: int) -> tuple[FloatArray, FloatArray]:
        labels = (np.arange(count) % 2).astype(np.float64)
        return rng.normal(size=(count, width)) + 0.35 * labels[:, None], labels

    far, far_labels = rows(4000)
    truth = np.mean([nearest_mean_right(*rows(n * (k - 1) // k), far, far_labels).mean() for _ in range(300)]) - 0.5
    plain = wide = 0
    runs = 400
    for run in range(runs):
        points, labels = rows(n)
        fold_of, right = folds(n, k, seed=run), np.zeros(n)
        for fold in range(k):
            own, other = fold_of == fold, fold_of != fold
            right[own] = nearest_mean_right(points[other], labels[other], points[own], labels[own])
        interval = paired_interval(right, (rng.random(n) < 0.5).astype(float))
        plain += interval.low <= truth <= interval.high
        interval = widened(interval, k)
        wide += interval.low <= truth <= interval.high
    assert wide / runs >= 0.97
    assert plain <= wide


# --- clusters


def clustered(
    count: int, size: int, *, gap: float, shared: float, runs: int, seed: int
) -> tuple[FloatArray, FloatArray, list[int]]:
    """Graded scores of two arms on clusters of items; ``shared`` is the SD of what a cluster's differences share."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(count), size)
    common = shared * rng.normal(size=(runs, count))[:, clusters]
    noise = rng.normal(0, 0.1, size=(2, runs, count * size))
    return np.clip(0.5 + gap + common + noise[0], 0, 1), np.clip(0.5 + noise[1], 0, 1), clusters.tolist()


def test_with_every_item_its_own_cluster_it_is_the_paired_interval() -> None:
    rng = np.random.default_rng(1)
    for n in (5, 40, 200):
        a, b = rng.random(n), rng.random(n)
        plain, by_cluster = paired_interval(a, b), cluster_interval(a, b, range(n))
        assert by_cluster.estimate == plain.estimate
        assert by_cluster[1:] == pytest.approx(plain[1:], abs=0.05 * (plain.high - plain.low))


@pytest.mark.parametrize(("count", "size"), [(15, 6), (40, 5)])
def test_it_covers_where_clusters_share_their_luck_and_the_paired_interval_does_not(count: int, size: int) -> None:
    runs = 250
    a, b, clusters = clustered(count, size, gap=0.05, shared=0.2, runs=runs, seed=2)
    far_a, far_b, _ = clustered(100_000, 1, gap=0.05, shared=0.2, runs=1, seed=3)
    truth = float((far_a - far_b).mean())
    by_cluster = [cluster_interval(a[run], b[run], clusters) for run in range(runs)]
    plain = [paired_interval(a[run], b[run]) for run in range(runs)]
    assert np.mean([each.low <= truth <= each.high for each in by_cluster]) >= 0.93
    assert np.mean([each.low <= truth <= each.high for each in plain]) < 0.85


def test_copies_of_an_item_tell_no_more_than_one() -> None:
    a, b = np.tile([1.0, 0.0, 1.0, 1.0], 10), np.tile([0.0, 0.0, 1.0, 0.0], 10)
    once = paired_interval(a, b)
    copied = cluster_interval(np.repeat(a, 8), np.repeat(b, 8), np.repeat(np.arange(40), 8).tolist())
    assert copied == pytest.approx(once, abs=0.02)
    assert copied.high - copied.low > 2 * (paired_interval(np.repeat(a, 8), np.repeat(b, 8)).high - once.estimate)


def test_swapping_the_arms_only_turns_the_sign_and_the_order_of_the_items_plays_no_part() -> None:
    rng = np.random.default_rng(4)
    a, b, clusters = rng.random(30), rng.random(30), rng.integers(0, 9, 30)
    found = cluster_interval(a, b, clusters.tolist())
    assert cluster_interval(b, a, clusters.tolist()) == pytest.approx(found.negated(), abs=1e-9)
    order = rng.permutation(30)
    assert cluster_interval(a[order], b[order], clusters[order].tolist()) == pytest.approx(found, abs=1e-9)


def test_one_cluster_and_arms_that_agree_still_get_a_width() -> None:
    assert cluster_interval([1.0] * 50, [0.0] * 50, ["only"] * 50).low < 0.3
    agreed = cluster_interval([1.0] * 50, [1.0] * 50, ["one"] * 25 + ["two"] * 25)
    assert agreed.low < -0.5 and agreed.high > 0.5


def test_impossible_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="every item has a cluster"):
        cluster_interval([1.0, 0.0], [1.0, 1.0], ["a"])
    with pytest.raises(ValueError, match="level"):
        cluster_interval([1.0], [0.0], ["a"], level=95)
    with pytest.raises(ValueError, match="same items"):
        cluster_interval([1.0, 0.0], [1.0], ["a", "b"])
