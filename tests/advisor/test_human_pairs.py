"""Votes as rows to train on: what becomes a row, and that test rows do not unasked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.human.pairs import edited_examples, feedback_as, preference_pairs, thumbs
from dataset_tools.dataset import load_examples
from dataset_tools.example import Example
from tests.advisor.human_support import ARMS, session, vote, votes_for

A, B = ARMS


def test_a_preferred_answer_makes_a_pair_in_trls_shape() -> None:
    made = session(6, held_out=False)
    votes = [*votes_for([1, -1, 0]), vote(3, "both_bad"), vote(4, "skip"), vote(5, "left", repeat=True)]
    found = preference_pairs(made, votes)
    assert found.rows() == [
        {
            "prompt": [{"role": "user", "content": f"How high is tower number {item}?"}],
            "chosen": [{"role": "assistant", "content": made.answer(item, chosen)}],
            "rejected": [{"role": "assistant", "content": made.answer(item, rejected)}],
            "strength": 1.0,
        }
        for item, chosen, rejected in ((0, A, B), (1, B, A))
    ]
    assert found.items == (0, 1) and found.left_out == () == found.to_replace
    assert found.sentence == "2 preference pairs from the votes."


def test_several_votes_on_two_answers_make_one_pair_as_strong_as_their_lead() -> None:
    made = session(2, held_out=False)
    raters = [vote(0, kind, rater=f"r{at}") for at, kind in enumerate(("left", "left", "right", "tie"))]
    even = [vote(1, kind, rater=f"r{at}") for at, kind in enumerate(("left", "right"))]
    found = preference_pairs(made, [*raters, *even])
    assert found.items == (0,) and found.strengths == (0.25,)


def test_pairs_read_back_as_pairs(tmp_path: Path) -> None:
    made = session(8, held_out=False)
    found = preference_pairs(made, votes_for([1, -1, 1, 1, -1, 1, 1, -1]))
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found.rows()))
    read = load_examples(file)
    assert read.format == "preference"
    assert [(row.messages, row.rejected) for row in read.examples] == [
        (row.messages, row.rejected) for row in found.examples
    ]


def test_thumbs_go_up_for_the_preferred_answer_and_down_for_the_other_and_for_both_bad() -> None:
    made = session(4, held_out=False)
    found = thumbs(made, [*votes_for([1]), vote(1, "tie"), vote(2, "both_bad"), vote(3, "skip")])
    labels = {(row["completion"][0]["content"]): row["label"] for row in found.rows()}
    assert labels == {
        made.answer(0, A): True,
        made.answer(0, B): False,
        made.answer(2, A): False,
        made.answer(2, B): False,
    }


def test_the_last_edit_of_an_item_becomes_an_example() -> None:
    made = session(3, held_out=False)
    votes = [vote(0, "left", edit="first"), vote(0, "skip", number=9, rater="bob", edit=" last "), vote(1, "left")]
    assert [(row.question, row.completion) for row in edited_examples(made, votes).examples] == [
        ("How high is tower number 0?", "last")
    ]


@pytest.mark.parametrize("form", ["dpo", "kto", "sft"])
def test_the_items_of_a_test_set_are_left_out_and_it_is_said(form: str) -> None:
    made = session(3)  # made from held-out rows
    votes = [replace(one, edit="better") for one in votes_for([1, 1, -1])]
    found = feedback_as(form, made, votes)  # type: ignore[arg-type]
    assert found.examples == () and found.left_out == (0, 1, 2) and found.to_replace == ()
    assert "left out" in found.sentence and "test set" in found.sentence
    taken = feedback_as(form, made, votes, use_test_rows=True)  # type: ignore[arg-type]
    assert taken.examples and taken.left_out == () and taken.to_replace == (0, 1, 2)
    assert "replace them in the test set" in taken.sentence


def test_rows_that_are_nearly_test_rows_are_left_out() -> None:
    made = session(3, held_out=False)
    tests = [Example.of("how high is TOWER number 1 ??", "x")]
    found = preference_pairs(made, votes_for([1, 1, 1]), test_rows=tests)
    assert 1 in found.left_out and 1 not in found.items


def test_an_empty_answer_is_nothing_to_train_on() -> None:
    made = session(2, held_out=False)
    empty = replace(made, items=(replace(made.items[0], answers=("", "x")), made.items[1]))
    assert preference_pairs(empty, votes_for([1, 1])).items == (1,)
    assert all(row.completion for row in thumbs(empty, votes_for([-1, 1])).examples)
