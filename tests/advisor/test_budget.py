"""A time budget: how many rows it can answer, how long it lets each tuned arm train, and when it lets none."""

from __future__ import annotations

import itertools
import time

import pytest

from advisor.approaches import APPROACHES, ARM_TITLES
from advisor.budget import Budget

TUNED = [approach.name for approach in APPROACHES if approach.needs_training]


def with_left(minutes: float, *, seconds_per_row: float = 0.1, total: float = 60.0) -> Budget:
    """A budget of which so many minutes are left."""
    return Budget(total, began=time.time() - (total - minutes) * 60, seconds_per_row=seconds_per_row)


def test_without_minutes_nothing_is_limited() -> None:
    budget = Budget(None)
    assert budget.left == float("inf")
    assert budget.affordable_rows(list(ARM_TITLES), seconds_per_row=100.0) is None
    assert budget.training_seconds("qlora", TUNED, rows=1000) is None


def test_what_is_left_shrinks_with_the_time_and_can_be_overdrawn() -> None:
    assert with_left(5).left == pytest.approx(300, abs=5)
    assert with_left(-1).left == pytest.approx(-60, abs=5)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 1.0, 30.0])
def test_affordable_rows_are_answered_by_all_arms_within_the_budget(seconds: float) -> None:
    zero_shot_alone = Budget(10).affordable_rows(["zero-shot"], seconds_per_row=seconds)
    assert zero_shot_alone is not None
    assert zero_shot_alone * seconds <= 600 or zero_shot_alone == 20
    assert zero_shot_alone >= 20  # fewer say nothing, so it rather runs over


def test_more_arms_dearer_rows_and_less_time_mean_fewer_rows() -> None:
    def rows(*arms: str, minutes: float = 10.0, seconds: float = 0.05) -> int:
        found = Budget(minutes).affordable_rows(arms, seconds_per_row=seconds)
        assert found is not None
        return found

    names = list(ARM_TITLES)
    counts = [rows(*names[:count]) for count in range(1, len(names) + 1)]
    assert all(more > fewer for more, fewer in itertools.pairwise(counts))
    assert rows("zero-shot", minutes=5) < rows("zero-shot", minutes=10)
    assert rows("zero-shot", seconds=0.2) < rows("zero-shot", seconds=0.1)
    assert rows("zero-shot", "qlora") < rows("zero-shot", "few-shot-fixed")  # training needs its share


@pytest.mark.parametrize("minutes", [1.0, 3.0, 10.0, 60.0])
@pytest.mark.parametrize("rows", [20, 300])
@pytest.mark.parametrize("to_come", [["qlora"], ["qlora-rag"], TUNED], ids="+".join)
def test_training_never_takes_more_than_is_left(minutes: float, rows: int, to_come: list[str]) -> None:
    budget = with_left(minutes)
    for place, arm in enumerate(to_come):
        seconds = budget.training_seconds(arm, to_come[place:], rows=rows)
        assert seconds is not None
        assert 0 <= seconds < budget.left
        budget.began -= seconds  # as if it had trained for so long
    assert budget.left > 0


def test_two_tuned_arms_share_and_the_one_with_longer_rows_gets_more() -> None:
    budget = with_left(10)
    alone = budget.training_seconds("qlora", ["qlora"], rows=50)
    shared = budget.training_seconds("qlora", TUNED, rows=50)
    longer = budget.training_seconds("qlora-rag", TUNED, rows=50)
    assert alone is not None and shared is not None and longer is not None
    assert 0 < shared < longer < alone


def test_an_arm_takes_it_all_where_the_other_could_not_be_trained_anyway() -> None:
    tight = with_left(1.8)
    shared, alone = (tight.training_seconds("qlora", names, rows=20) for names in (TUNED, ["qlora"]))
    assert shared == pytest.approx(alone, abs=1) and shared is not None and shared > 20


@pytest.mark.parametrize("minutes", [-1.0, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("arm", TUNED)
def test_with_too_little_left_nothing_is_trained(minutes: float, arm: str) -> None:
    assert with_left(minutes).training_seconds(arm, TUNED, rows=20) == 0


def test_slow_answers_leave_less_time_to_train() -> None:
    quick, slow = (with_left(10, seconds_per_row=seconds) for seconds in (0.01, 1.0))
    seconds = [budget.training_seconds("qlora", ["qlora"], rows=100) for budget in (quick, slow)]
    assert seconds[0] is not None and seconds[1] is not None and seconds[0] > seconds[1] > 0


def test_every_arm_is_known_to_the_budget() -> None:
    """An arm that the budget does not know would be taken for as quick as zero-shot, or could not be trained."""
    one = {arm: Budget(10).affordable_rows([arm], seconds_per_row=1.0) for arm in ARM_TITLES}
    assert len({rows for arm, rows in one.items() if arm not in TUNED}) == 8
    for arm in TUNED:
        assert with_left(30).training_seconds(arm, [arm], rows=20)


def test_what_an_arm_really_took_is_set_aside_for_the_arms_to_come() -> None:
    budget = with_left(10, seconds_per_row=0.1)
    before = budget.training_seconds("qlora", ["qlora"], rows=100)
    budget.learn("zero-shot", 1.0)
    after = budget.training_seconds("qlora", ["qlora"], rows=100)
    assert before is not None and after is not None and after < before
