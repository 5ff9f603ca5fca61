"""A model as judge: both orders, its agreement with people before its score, and people's votes to put it right."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import pytest

from advisor.answering import Answer
from advisor.human.judge import JUDGE_PROMPT, judge_pairs, judge_prompt, judge_result, read_choice, rectified_mean
from advisor.human.session import Item, new_session
from dataset_tools.example import Message
from tests.advisor.human_support import ARMS, session, votes_for

A, B = ARMS


class Judge:
    """An answerer that follows a rule: what it says of the two answers, in the order in which they are shown."""

    def __init__(self, rule: Callable[[str, str], str]) -> None:
        self.rule = rule
        self.asked: list[str] = []

    def answer(self, prompts: Sequence[Sequence[Message]], **options: Any) -> list[Answer]:
        texts = [prompt[-1].content for prompt in prompts]
        self.asked += texts
        shown = [text.split("[Answer A]\n")[1].split("\n\nJudge")[0].split("\n\n[Answer B]\n") for text in texts]
        return [Answer(self.rule(first, second), 1, 1, True) for first, second in shown]


def last_digit(text: str) -> int:
    return int(text.split()[2]) % 10


def likes_tuned(first: str, second: str) -> str:
    return "A" if last_digit(first) < last_digit(second) else "B"


def test_a_judge_that_sees_through_both_orders_is_consistent() -> None:
    judge, made = Judge(likes_tuned), session(10)
    verdicts = judge_pairs(made, judge)
    assert len(judge.asked) == 20 and all(one.winner == A and one.consistent for one in verdicts)
    assert not any(arm in text for arm in ARMS for text in judge.asked)


@pytest.mark.parametrize("said", ["A", "B", "TIE", "I cannot say"])
def test_a_judge_that_goes_by_the_place_has_said_tie(said: str) -> None:
    verdicts = judge_pairs(session(5), Judge(lambda first, second: said))
    assert all(one.winner is None for one in verdicts)
    assert all(one.consistent == (said == "TIE") for one in verdicts)
    assert all(one.readable == (said != "I cannot say") for one in verdicts)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        *(("A", "A"), ("b", "B"), ("**B**", "B"), ("Answer A.", "A"), ("A is better", "A"), ("TIE", "TIE")),
        *(("A good answer", None), ("a", "A"), ("a cat is", None), ("Both", None), ("", None), ("(B)", "B")),
    ],
)
def test_a_choice_is_read_from_the_beginning_of_an_answer(text: str, choice: str | None) -> None:
    assert read_choice(text) == choice


def test_what_an_answer_says_is_no_place_of_the_prompt() -> None:
    made = new_session(ARMS, [Item((Message("user", "{a} {b}"),), ("{b}", "{request}"))])
    (message,) = judge_prompt(made, 0, A, B)
    assert "[Request]\n{a} {b}\n" in message.content and "[Answer A]\n{b}\n" in message.content
    assert len(message.content) == len(JUDGE_PROMPT) - len("{request}{a}{b}") + len("{a} {b}{b}{request}")


def test_agreement_is_told_before_the_score() -> None:
    made = session(40)
    votes = votes_for([1 if at % 4 else -1 for at in range(30)])
    tens = {str(item * 10 + arm): (item, arm) for item in range(40) for arm in (0, 1)}

    def rule(first: str, second: str) -> str:
        item, arm = tens[first.split()[2]]
        return "A" if (arm == 0) == bool(item % 4) else "B"

    found = judge_result(made, votes, judge_pairs(made, Judge(rule)), a=A, b=B)
    assert found.agreement is not None and found.agreement.estimate == 1.0 and found.usable
    assert (found.judged, found.compared, found.score.estimate) == (40, 30, 0.75)
    assert found.rectified is not None and found.rectified.estimate == pytest.approx(0.75, abs=0.02)
    assert found.sentence.index("agrees") < found.sentence.index("win rate is 75%")
    assert found.prompt == JUDGE_PROMPT


def test_a_judge_that_agrees_by_chance_is_not_used_and_one_nobody_checked_shows_no_score() -> None:
    made, draw = session(60), random.Random(3)
    verdicts = judge_pairs(made, Judge(lambda first, second: draw.choice("AB")))
    found = judge_result(made, votes_for([draw.choice((1, -1)) for _ in range(60)]), verdicts, a=A, b=B)
    assert not found.usable and "too low" in found.sentence and "win rate" not in found.sentence
    alone = judge_result(made, [], verdicts, a=A, b=B)
    assert alone.agreement is None and not alone.usable and alone.rectified is None
    assert "score is not shown" in alone.sentence


def labelled(n: int, others: int, *, skill: float, seed: int) -> tuple[list[float], list[float], list[float]]:
    """A true rate of .6; a judge that says the truth with this skill and else "win", so it is biased."""
    draw = random.Random(seed)
    truth = [float(draw.random() < 0.6) for _ in range(n + others)]
    marks = [value if draw.random() < skill else 1.0 for value in truth]
    return truth[:n], marks[:n], marks[n:]


@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9])
def test_the_rectified_rate_covers_the_truth_though_the_judge_is_biased(skill: float) -> None:
    found = [rectified_mean(*labelled(40, 400, skill=skill, seed=seed)) for seed in range(400)]
    assert 0.92 <= mean(one.low <= 0.6 <= one.high for one in found) <= 0.985
    assert mean(one.estimate for one in found) == pytest.approx(0.6, abs=0.02)


def test_a_good_judge_makes_the_interval_narrower_and_a_useless_one_does_not_make_it_wider() -> None:
    def width(skill: float, others: int) -> float:
        found = [rectified_mean(*labelled(40, others, skill=skill, seed=seed)) for seed in range(100)]
        return mean(one.high - one.low for one in found)

    assert width(0.9, 400) < 0.7 * width(0.9, 0)
    assert width(0.0, 400) < 1.05 * width(0.0, 0)
