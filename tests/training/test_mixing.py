from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from training.mixing import mix, shares


def dataset(name: str, rows: int) -> list[Example]:
    return [Example.of(f"{name} {row}", name) for row in range(rows)]


SIZES = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 10)), min_size=1, max_size=4).filter(
    lambda pairs: sum(weight for _, weight in pairs) > 0.01
)


@given(SIZES, st.integers(1, 200), st.integers(0, 5))
def test_a_mixture_has_exactly_the_rows_asked_for_in_the_shares_of_the_weights(
    sizes: list[tuple[int, float]], rows: int, seed: int
) -> None:
    datasets = [(dataset(str(number), size), weight) for number, (size, weight) in enumerate(sizes)]
    mixed = mix(datasets, rows=rows, seed=seed)
    assert len(mixed) == rows
    counts = Counter(example.completion for example in mixed)
    total = sum(weight for _, weight in sizes)
    for number, ((examples, weight), share) in enumerate(zip(datasets, shares(datasets, rows=rows), strict=True)):
        assert counts[str(number)] == share.taken
        assert abs(share.taken - rows * weight / total) < 1
        repeats = Counter(example.question for example in mixed if example.completion == str(number))
        assert all(share.repeated - 1 <= repeats[example.question] <= share.repeated for example in examples)


def test_the_same_seed_gives_the_same_mixture_and_another_seed_another() -> None:
    datasets = [(dataset("a", 20), 1.0), (dataset("b", 20), 1.0)]
    assert mix(datasets, seed=3) == mix(datasets, seed=3)
    assert mix(datasets, seed=3) != mix(datasets, seed=4)


def test_without_a_number_of_rows_there_are_as_many_as_the_datasets_hold() -> None:
    datasets = [(dataset("a", 30), 1.0), (dataset("b", 10), 3.0), (dataset("c", 99), 0.0)]
    assert [share.taken for share in shares(datasets)] == [10, 30, 0]
    assert [share.repeated for share in shares(datasets)] == [1, 3, 0]
    assert Counter(example.completion for example in mix(datasets)) == {"a": 10, "b": 30}


def test_one_dataset_of_any_weight_is_itself_in_another_order() -> None:
    rows = dataset("a", 15)
    mixed = mix([(rows, 0.2)])
    assert mixed != rows and sorted(mixed, key=lambda row: row.question) == sorted(rows, key=lambda row: row.question)


def test_rows_of_both_datasets_are_spread_over_the_mixture() -> None:
    mixed = mix([(dataset("a", 50), 1.0), (dataset("b", 50), 1.0)])
    firsts = Counter(example.completion for example in mixed[:30])
    assert min(firsts["a"], firsts["b"]) >= 8


@pytest.mark.parametrize(
    ("weights", "rows"),
    [
        ((-1.0, 2.0), None),
        ((0.0, 0.0), None),
        ((float("nan"), 1.0), None),
        ((float("inf"), 1.0), None),
        ((1.0, 1.0), 0),
    ],
)
def test_weights_and_sizes_that_cannot_be_are_refused(weights: tuple[float, ...], rows: int | None) -> None:
    with pytest.raises(UsageError):
        mix([(dataset("a", 5), weight) for weight in weights], rows=rows)


def test_an_empty_dataset_with_a_weight_is_refused_and_one_without_is_not() -> None:
    with pytest.raises(UsageError, match="dataset 2"):
        mix([(dataset("a", 5), 1.0), ([], 1.0)])
    assert len(mix([(dataset("a", 5), 1.0), ([], 0.0)])) == 5
    with pytest.raises(UsageError, match="no dataset"):
        mix([])
