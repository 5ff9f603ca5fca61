"""Near and far test rows: who is near, and where a gain comes from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.near_far import gain_by_part, near_rows, scores_by_part
from advisor.statistics import mean_interval, paired_interval

FloatArray = npt.NDArray[np.float64]


def table(seed: int, rows: int, width: int = 8) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(rows, width))


# --- who is near


def test_a_row_is_near_by_its_closest_row_of_the_pool() -> None:
    pool = np.array([[1.0, 0.0], [0.0, 1.0]])
    test = np.array([[1.0, 0.0], [0.8, 0.6], [0.79, 0.613], [-1.0, 0.0], [0.7, 0.714]])
    assert near_rows(test, pool).tolist() == [True, True, False, False, False]
    assert near_rows(test, pool, threshold=0.75).tolist() == [True, True, True, False, False]


@given(seed=st.integers(0, 50), threshold=st.floats(-1, 1))
def test_it_is_the_greatest_cosine_whatever_the_length_of_the_vectors(seed: int, threshold: float) -> None:
    test, pool = table(seed, 6), table(seed + 1000, 5)
    cosines = (test @ pool.T) / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(pool, axis=1)
    far = np.abs(cosines.max(axis=1) - threshold) > 1e-5
    expected = cosines.max(axis=1) >= threshold
    assert (near_rows(7 * test, 0.1 * pool, threshold=threshold)[far] == expected[far]).all()


def test_a_large_pool_is_looked_at_in_blocks_with_the_same_result() -> None:
    pool, test = table(1, 9000).astype(np.float32), table(2, 30).astype(np.float32)
    pool[8999] = test[7]
    cosines = (test @ pool.T) / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(pool, axis=1)
    found = near_rows(test, pool, threshold=0.95)
    assert found.tolist() == (cosines.max(axis=1) >= 0.95 - 1e-6).tolist()
    assert found[7]


def test_every_row_is_near_itself_and_far_from_an_empty_pool() -> None:
    rows = table(3, 40).astype(np.float32)
    assert near_rows(rows, rows, threshold=1.0).all()
    assert not near_rows(rows, np.zeros((0, 8), np.float32)).any()
    assert near_rows(np.zeros((2, 8)), rows).tolist() == [False, False]


def test_vectors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="same width"):
        near_rows(table(1, 3), table(1, 3, width=4))
    with pytest.raises(ValueError, match="same width"):
        near_rows(np.ones(3), table(1, 3))
    with pytest.raises(ValueError, match="cosine"):
        near_rows(table(1, 3), table(1, 3), threshold=80)


# --- where the gain is


def test_scores_are_told_for_both_parts() -> None:
    near = np.repeat([True, False], [40, 60])
    scores = np.concatenate([np.ones(40), np.tile([1.0, 0.0], 30)])
    parts = scores_by_part({"a": scores}, near)["a"]
    assert parts.near == mean_interval(scores[:40])
    assert parts.far == mean_interval(scores[40:])
    assert scores_by_part({"a": scores}, np.ones(100, bool))["a"].far is None


def test_a_gain_everywhere_is_a_gain_on_far_rows() -> None:
    near = np.repeat([True, False], [50, 50])
    gain = gain_by_part(np.ones(100), np.zeros(100), near)
    assert gain.parts.far == paired_interval(np.ones(50), np.zeros(50))
    assert (gain.on_far, gain.near_only, gain.near_rows, gain.far_rows) == ("yes", False, 50, 50)
    assert gain.sentence("Tuned", "Zero").endswith("on the 50 that do not; it gains on new kinds of rows too.")


def test_a_gain_on_near_rows_alone_is_told() -> None:
    near = np.repeat([True, False], [100, 200])
    arm = np.concatenate([np.ones(100), np.tile([1.0, 0.0], 100)])
    other = np.concatenate([np.zeros(100), np.tile([1.0, 0.0], 100)])
    gain = gain_by_part(arm, other, near)
    assert (gain.on_far, gain.near_only) == ("no", True)
    assert gain.sentence("Tuned", "Zero").startswith(
        "Tuned gains on Zero only where a test row resembles an example: +100.0 ["
    )


def test_a_gain_surely_smaller_on_far_rows_where_none_is_sure_is_near_only() -> None:
    near = np.repeat([True, False], [100, 40])
    arm = np.concatenate([np.ones(100), np.repeat([1.0, 0.0], [6, 34])])
    other = np.concatenate([np.zeros(100), np.repeat([0.0, 1.0, 0.0], [6, 4, 30])])
    gain = gain_by_part(arm, other, near)
    assert (gain.on_far, gain.near_only) == ("unclear", True)


def test_a_gain_that_too_few_far_rows_leave_open_is_unclear_and_no_condition() -> None:
    near = np.repeat([True, False], [60, 5])
    gain = gain_by_part(np.ones(65), np.zeros(65), near)
    assert (gain.on_far, gain.near_only) == ("unclear", False)
    assert gain.sentence("Tuned", "Zero").endswith("whether it gains on new kinds of rows is not clear yet.")
    weak_arm, weak_other = np.repeat([1.0, 0.0], [8, 92]), np.repeat([0.0, 1.0, 0.0], [8, 3, 89])
    weak = gain_by_part(weak_arm, weak_other, np.tile([True, False], 50))
    assert (weak.on_far, weak.near_only) == ("unclear", False)


@pytest.mark.parametrize(("near", "kind"), [(True, "near to"), (False, "far from")])
def test_rows_that_are_all_near_or_all_far_tell_nothing_apart(near: bool, kind: str) -> None:
    gain = gain_by_part(np.ones(30), np.zeros(30), [near] * 30)
    assert (gain.on_far, gain.near_only) == ("unclear" if near else "yes", False)
    assert f"All 30 test rows are {kind} the examples" in gain.sentence("Tuned", "Zero")


def test_a_mask_of_other_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="near or far"):
        gain_by_part([1.0, 0.0], [0.0, 0.0], [True])
    with pytest.raises(ValueError, match="near or far"):
        scores_by_part({"a": [1.0, 0.0]}, [True])
