"""The order of rows: each once an epoch, the same for the same seed, and alike in length side by side."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.methods.order import EpochOrder, RepeatedOrder, epoch_order, longest_first

LENGTHS = st.lists(st.integers(1, 500), max_size=300)
BATCHES = st.integers(1, 33)


@given(LENGTHS, BATCHES, st.integers(0, 9), st.integers(0, 9))
def test_each_row_comes_once_an_epoch(lengths: list[int], batch: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_order(lengths, batch=batch, seed=seed, epoch=epoch)) == list(range(len(lengths)))


@given(LENGTHS, BATCHES, st.integers(0, 9), st.integers(0, 9))
def test_the_order_follows_from_seed_and_epoch_alone(lengths: list[int], batch: int, seed: int, epoch: int) -> None:
    random.seed(1)
    one = epoch_order(lengths, batch=batch, seed=seed, epoch=epoch)
    random.seed(2)
    assert epoch_order(lengths, batch=batch, seed=seed, epoch=epoch) == one


def test_the_order_is_the_same_in_every_process_and_release() -> None:
    lengths = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    assert epoch_order(lengths, batch=3, seed=7, epoch=2) == [7, 9, 3, 8, 4, 6, 2, 0, 1, 5]


def test_epochs_and_seeds_differ() -> None:
    lengths = list(range(1, 101))
    orders = {tuple(epoch_order(lengths, batch=8, seed=seed, epoch=epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(LENGTHS, BATCHES)
def test_within_a_batch_rows_run_from_long_to_short(lengths: list[int], batch: int) -> None:
    order = epoch_order(lengths, batch=batch, seed=0, epoch=0)
    for start in range(0, len(order), batch):
        part = [lengths[row] for row in order[start : start + batch]]
        assert part == sorted(part, reverse=True)


def padding(lengths: list[int], order: list[int], batch: int) -> float:
    """Share of the computed tokens that are padding."""
    parts = [[lengths[row] for row in order[start : start + batch]] for start in range(0, len(order), batch)]
    return 1 - sum(lengths) / sum(max(part) * len(part) for part in parts)


@pytest.mark.parametrize("rows", [100, 1000, 5000])
def test_batches_hold_rows_of_similar_length(rows: int) -> None:
    lengths = [random.Random(row).randint(20, 400) for row in range(rows)]
    shuffled = random.Random(0).sample(range(rows), rows)
    grouped = epoch_order(lengths, batch=8, seed=0, epoch=0)
    assert padding(lengths, shuffled, 8) > 0.35
    assert padding(lengths, grouped, 8) < (0.16 if rows == 100 else 0.06)


def test_a_row_meets_other_rows_from_epoch_to_epoch() -> None:
    lengths = list(range(1, 201))
    company = set()
    for epoch in range(6):
        order = epoch_order(lengths, batch=8, seed=0, epoch=epoch)
        place = order.index(100)
        company |= set(order[place - place % 8 : place - place % 8 + 8])
    assert len(company) > 16


def test_the_rows_of_the_incomplete_batch_are_drawn_at_random() -> None:
    lengths = list(range(1, 23))
    last = [epoch_order(lengths, batch=8, seed=0, epoch=epoch)[16:] for epoch in range(200)]
    seen = {row for part in last for row in part}
    assert seen == set(range(22)) and all(len(part) == 6 for part in last)


def test_batches_come_in_no_order_of_length() -> None:
    lengths = [random.Random(row).randint(20, 400) for row in range(800)]
    order = epoch_order(lengths, batch=8, seed=0, epoch=0)
    firsts = [lengths[row] for row in order[::8]]
    rising = sum(a < b for a, b in itertools.pairwise(firsts)) / (len(firsts) - 1)
    assert 0.35 < rising < 0.65


def test_the_sampler_gives_the_epoch_that_was_set_and_does_not_move_on_by_itself() -> None:
    lengths = list(range(1, 50))
    sampler = EpochOrder(lengths, batch=4, seed=3)
    assert list(sampler) == list(sampler) == epoch_order(lengths, batch=4, seed=3, epoch=0)
    sampler.set_epoch(5)
    assert list(sampler) == epoch_order(lengths, batch=4, seed=3, epoch=5)
    assert len(sampler) == 49


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_each_prompt_is_asked_for_each_of_its_answers_in_whole_groups(
    rows: int, answers: int, prompts: int, times: int
) -> None:
    order = EpochOrder([10] * rows, batch=prompts, seed=0)
    repeated = RepeatedOrder(order, answers=answers, prompts=prompts, times=times)
    given_rows = list(repeated)
    assert len(given_rows) == len(repeated)
    group = prompts * answers
    assert len(given_rows) % (group * times) == 0
    assert set(given_rows) == set(range(rows))
    for start in range(0, len(given_rows), group * times):
        parts = [given_rows[start + group * time : start + group * (time + 1)] for time in range(times)]
        assert all(part == parts[0] for part in parts), "the group comes again for each part of the batch"
        for place in range(0, group, answers):
            assert len(set(parts[0][place : place + answers])) == 1


def test_longest_first() -> None:
    assert longest_first([3, 9, 1, 9]) == [1, 3, 0, 2]


def test_accelerate_tells_the_sampler_the_epoch_also_where_batches_are_skipped() -> None:
    from accelerate import Accelerator, skip_first_batches
    from torch.utils.data import DataLoader

    lengths = [random.Random(row).randint(1, 90) for row in range(23)]
    sampler = EpochOrder(lengths, batch=4, seed=1)
    loader = Accelerator(cpu=True).prepare(DataLoader(list(range(23)), batch_size=2, sampler=sampler))
    for epoch in (0, 1, 4):
        loader.set_epoch(epoch)
        seen = [row for batch in loader for row in batch.tolist()]
        assert seen == epoch_order(lengths, batch=4, seed=1, epoch=epoch)
    rest = skip_first_batches(loader, 5)
    rest.set_epoch(2)
    seen = [row for batch in rest for row in batch.tolist()]
    assert seen == epoch_order(lengths, batch=4, seed=1, epoch=2)[10:]
