"""The confirmed score of a pick: what it is made from. Its freedom from the winner's curse is in test_simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.statistics import confirmed_score, folds, mean_interval

ARMS = st.integers(2, 30).flatmap(
    lambda n: st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n), min_size=1, max_size=4)
)


def ranks(count: int) -> dict[str, int]:
    return {f"arm{place}": place for place in range(count)}


def test_an_arm_that_leads_on_every_fold_keeps_its_score() -> None:
    best, other = [1.0, 1.0, 1.0, 0.0] * 20, [0.0, 0.0, 1.0, 0.0] * 20
    found = confirmed_score({"best": best, "other": other}, {"best": 1, "other": 0})
    assert (found.pick, found.agreement, found.raw, found.estimate) == ("best", 1.0, 0.75, 0.75)
    assert found.interval == mean_interval(best)[1:]


def test_each_fold_is_scored_by_the_arm_that_the_other_folds_pick() -> None:
    rng = np.random.default_rng(0)
    table = (rng.random((23, 3)) < 0.5).astype(float)
    found = confirmed_score({name: table[:, place] for name, place in ranks(3).items()}, ranks(3), folds=4, seed=7)
    fold_of, brute = folds(23, 4, seed=7), []
    for fold in range(4):
        means = [round(float(table[fold_of != fold, place].mean()), 12) for place in range(3)]
        brute += list(table[fold_of == fold, means.index(max(means))])
    assert found.estimate == pytest.approx(np.mean(brute))


def test_arms_that_share_the_highest_mean_are_taken_by_cost() -> None:
    scores = {"a": [1.0, 0.0] * 10, "b": [1.0, 0.0] * 10}
    assert confirmed_score(scores, {"a": 1, "b": 0}).pick == "b"
    assert confirmed_score(scores, {"a": 0, "b": 1}).pick == "a"
    assert confirmed_score(scores, {"a": 0, "b": 0}).pick == "a"


def test_a_close_race_is_told_by_its_agreement() -> None:
    rng = np.random.default_rng(1)
    close = {f"arm{place}": (rng.random(40) < 0.5).astype(float) for place in range(5)}
    agreements = [confirmed_score(close, ranks(5), seed=seed).agreement for seed in range(20)]
    assert 0.2 < np.mean(agreements) < 0.95


@given(table=ARMS, seed=st.integers(0, 5))
def test_figures_are_possible_and_the_order_of_the_arms_plays_no_part(table: list[list[float]], seed: int) -> None:
    arms = {f"arm{place}": row for place, row in enumerate(table)}
    found = confirmed_score(arms, ranks(len(table)), seed=seed)
    assert found.raw == pytest.approx(max(np.mean(row) for row in table))
    assert 0 <= found.interval[0] <= found.estimate + 1e-9
    assert found.estimate - 1e-9 <= found.interval[1] <= 1
    assert 0 <= found.agreement <= 1
    assert confirmed_score(dict(reversed(arms.items())), ranks(len(table)), seed=seed) == found
    if len(table) == 1:
        assert found.estimate == pytest.approx(found.raw)


def test_what_cannot_be_confirmed_is_refused() -> None:
    with pytest.raises(ValueError, match="no arm"):
        confirmed_score({}, {})
    with pytest.raises(ValueError, match="cost rank: b has none"):
        confirmed_score({"a": [1.0, 0.0], "b": [1.0, 0.0]}, {"a": 0})
    with pytest.raises(ValueError, match="same items"):
        confirmed_score({"a": [1.0, 0.0], "b": [1.0]}, ranks(2) | {"a": 0, "b": 1})
    with pytest.raises(ValueError, match="folds"):
        confirmed_score({"a": [1.0]}, {"a": 0})
