"""Blind sessions: what is laid side by side, how queues are drawn, and that nothing names an arm."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.human.session import draw_queue, new_session, session_from
from advisor.human.sources import from_answers, from_comparison
from dataset_tools.errors import DataError, UsageError
from tests.advisor.human_support import ARMS, comparison_folder, items, session


@given(count=st.integers(1, 60), arms=st.integers(2, 4), seed=st.integers(0, 99))
def test_no_item_comes_twice_in_a_row_and_every_pair_comes(count: int, arms: int, seed: int) -> None:
    made = session(count, arms=[f"arm {number}" for number in range(arms)], seed=seed)
    queue = draw_queue(made, "ann")
    assert all(one.item != other.item for one, other in itertools.pairwise(queue))
    first = [(place.item, frozenset((place.left, place.right))) for place in queue if not place.repeat]
    assert len(set(first)) == len(first)
    if count > 1:
        assert set(first) == {(item, frozenset((a, b))) for item, a, b in made.pairs()}


@given(count=st.integers(5, 200), seed=st.integers(0, 99))
def test_a_tenth_comes_again_later_with_sides_swapped(count: int, seed: int) -> None:
    queue = draw_queue(session(count, seed=seed), "ann")
    seen = {place.item: (at, place) for at, place in enumerate(queue) if not place.repeat}
    repeats = [(at, place) for at, place in enumerate(queue) if place.repeat]
    assert len(repeats) == max(1, round(count / 10))
    for at, place in repeats:
        before, first = seen[place.item]
        assert at > before + 1 and (place.left, place.right) == (first.right, first.left)


def test_repeats_come_soon_enough_to_be_reached() -> None:
    """Who goes through half of a long queue has met about half of the repeats."""
    queue = draw_queue(session(400), "ann")
    assert 10 <= sum(place.repeat for place in queue[: len(queue) // 2]) <= 26


def test_sides_and_order_are_drawn_for_each_rater_and_the_same_when_drawn_again() -> None:
    made = session(200)
    ann, bob = draw_queue(made, "ann"), draw_queue(made, "bob")
    assert ann == draw_queue(session_from(made.to_dict()), "ann")
    assert [place.item for place in ann] != [place.item for place in bob]
    sides = [{place.item: place.left for place in queue if not place.repeat} for queue in (ann, bob)]
    same = sum(sides[0][item] == sides[1][item] for item in range(200))
    assert 70 <= same <= 130
    assert all(70 <= list(side.values()).count(ARMS[0]) <= 130 for side in sides)


def test_a_seed_is_drawn_where_none_is_given() -> None:
    assert len({new_session(ARMS, items(3)).seed for _ in range(5)}) == 5


def test_identical_answers_are_ties_without_a_vote(tmp_path: Path) -> None:
    made = from_comparison(comparison_folder(tmp_path / "c"), ["qlora", "zero-shot"])
    assert (len(made.pairs()), made.identical(*made.arms)) == (8, 4)
    assert all(item % 3 for item, _, _ in made.pairs())


def test_blanks_around_an_answer_are_no_difference() -> None:
    same = [
        item if number else type(item)(item.prompt, ("x ", "\n x"), record=1) for number, item in enumerate(items(3))
    ]
    made = new_session(ARMS, same)
    assert made.identical(*ARMS) == 1 and len(made.pairs()) == 2


def test_a_comparison_gives_its_two_best_arms_or_those_that_are_named(tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "c")
    assert from_comparison(folder).arms == ("qlora", "rag")
    three = from_comparison(folder, ["zero-shot", "rag", "qlora"], questions=["Which is kinder?"])
    assert three.arms == ("zero-shot", "rag", "qlora") and three.held_out
    assert three.votes_wanted == len(three.pairs()) == 12 * 3 - 4
    with pytest.raises(UsageError, match="few-shot"):
        from_comparison(folder, ["qlora", "few-shot"])


def test_an_arm_that_left_the_race_is_voted_on_as_far_as_it_went(tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "c", answer=lambda row, name: f"{name}{row}")
    lines = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    for line in lines[5:]:
        del line["arms"]["rag"]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(from_comparison(folder, ["qlora", "rag"]).pairs()) == 5


def test_what_is_no_comparison_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.jsonl"):
        from_comparison(tmp_path)
    folder = comparison_folder(tmp_path / "c")
    with (folder / "items.jsonl").open("a") as file:
        file.write('{"prompt": "x"}\n')
    with pytest.raises(DataError, match=r"items\.jsonl:13"):
        from_comparison(folder)


def test_two_files_of_answers_are_matched_by_their_prompts(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    rows = [{"prompt": f"question {row}", "completion": f"answer {row}"} for row in range(6)]
    one.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{**row, "completion": row["completion"] + "!"} for row in reversed(rows[2:])]
    other.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"prompt": "new", "completion": "x"}]))
    made = from_answers(one, other)
    assert made.arms == ("one", "other") and made.held_out
    assert [item.answers for item in made.items] == [(f"answer {row}", f"answer {row}!") for row in range(2, 6)]
    (tmp_path / "lonely.jsonl").write_text('{"prompt": "alone", "completion": "x"}\n')
    with pytest.raises(DataError, match="no prompt in common"):
        from_answers(one, tmp_path / "lonely.jsonl")


@pytest.mark.parametrize(
    ("arms", "options"),
    [(["a"], {}), (["a", "a"], {}), (ARMS, {"questions": ["?"] * 6}), (ARMS, {"votes_wanted": 0})],
)
def test_wrong_use_is_refused(arms: list[str], options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        new_session(arms, items(3, arms=len(arms)), **options)  # type: ignore[arg-type]


def test_a_session_without_a_difference_is_refused() -> None:
    same = [type(item)(item.prompt, ("x", "x")) for item in items(3)]
    with pytest.raises(DataError, match="nothing to vote on"):
        new_session(ARMS, same)


def test_a_session_reads_back_what_it_writes() -> None:
    made = session(4, tags=("near", "far"), questions=("Kinder?",), title="T")
    assert session_from(json.loads(json.dumps(made.to_dict()))) == made
    assert asdict(made)["arms"] == ARMS
