"""Settings are chosen on validation rows, fairly, within the answers that may be spent, and the cheap one in doubt."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.approaches import Prompt, Setting, Tools, choose
from advisor.approaches.tuning import can_tune, most_settings
from advisor.task import Task, make_task
from dataset_tools.example import Example, Message

Rows = Callable[..., list[Example]]


@pytest.fixture(scope="module")
def task(make_tickets: Rows) -> Task:
    made = make_task(make_tickets(60), make_tickets(10, start=150))
    return replace(made, validation=tuple(make_tickets(48, start=90)))


class Judge:
    """Scores prompts by the word that their setting put first, and keeps what it was asked."""

    def __init__(self, score: Callable[[str, int], float]) -> None:
        self.score = score
        self.asked: dict[str, list[int]] = {}

    def __call__(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> tuple[float, ...]:
        scores = []
        for prompt, example in zip(prompts, examples, strict=True):
            assert prompt[-1].content.endswith(example.question), "a prompt of another row"
            word = prompt[0].content.split()[0]
            self.asked.setdefault(word, []).append(example.record)
            scores.append(self.score(word, example.record))
        return tuple(scores)


def setting(word: str, *, tokens: int = 1) -> Setting:
    """Prompts that begin with this word, so many times."""

    def prompts(examples: Sequence[Example]) -> list[Prompt]:
        return [(Message("system", " ".join([word] * tokens)), *example.prompt) for example in examples]

    return Setting(word, {"word": word}, prompts)


@pytest.fixture(scope="module")
def make_tools(task: Task, tokenizer: Any) -> Callable[..., Tools]:
    def make(judge: Judge | None, *, answers: int, rows: int = 48) -> Tools:
        shortened = replace(task, validation=task.validation[:rows])
        return Tools(task=shortened, tokenizer=tokenizer, context=2048, tuning_answers=answers, trial=judge)

    return make


@pytest.mark.parametrize(
    ("answers", "rows", "with_judge"), [(0, 48, True), (23, 48, True), (999, 5, True), (999, 48, False)]
)
def test_with_nothing_to_compare_the_default_is_taken_and_nobody_is_asked(
    make_tools: Callable[..., Tools], answers: int, rows: int, with_judge: bool
) -> None:
    judge = Judge(lambda word, record: 1.0)
    tools = make_tools(judge if with_judge else None, answers=answers, rows=rows)
    tuned = choose([setting("red"), setting("blue")], tools)
    assert (tuned.setting.name, tuned.trials, tuned.answers) == ("red", (), 0)
    assert not judge.asked and not can_tune(tools)


def test_one_setting_alone_is_taken_untried(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: 1.0)
    assert choose([setting("red")], make_tools(judge, answers=999)).answers == 0
    assert not judge.asked


def test_no_setting_at_all_is_a_defect(make_tools: Callable[..., Tools]) -> None:
    with pytest.raises(ValueError, match="no setting"):
        choose([], make_tools(None, answers=0))


def test_a_dear_setting_is_taken_where_it_is_clearly_better(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: 1.0 if word == "blue" else float(record % 3 == 0))
    tuned = choose([setting("red"), setting("blue", tokens=40)], make_tools(judge, answers=999))
    assert tuned.setting.name == "blue"
    assert [trial.score for trial in tuned.trials] == [pytest.approx(1 / 3), 1.0]


def test_of_settings_within_one_standard_error_the_cheapest_is_taken(make_tools: Callable[..., Tools]) -> None:
    """Blue wins one row more of 48, which is one standard error of that difference."""
    judge = Judge(lambda word, record: 1.0 if word == "blue" and record == 100 else float(record % 2))
    tuned = choose([setting("blue", tokens=9), setting("red", tokens=3)], make_tools(judge, answers=999))
    scores = {trial.name: trial.score for trial in tuned.trials}
    assert scores["blue"] > scores["red"] and tuned.setting.name == "red"
    tokens = {trial.name: trial.tokens for trial in tuned.trials}
    assert tokens["blue"] > tokens["red"]


def test_settings_that_score_alike_on_every_row_fall_to_the_cheapest(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: float(record % 2))
    settings = [setting("red", tokens=30), setting("blue", tokens=2), setting("green", tokens=9)]
    assert choose(settings, make_tools(judge, answers=999)).setting.name == "blue"


def test_half_the_rows_for_all_then_the_rest_for_the_better_half(make_tools: Callable[..., Tools], task: Task) -> None:
    quality = {"one": 0.2, "two": 0.4, "three": 0.6, "four": 0.8, "five": 0.1}
    judge = Judge(lambda word, record: quality[word])
    tuned = choose([setting(word) for word in quality], make_tools(judge, answers=9999))
    records = [row.record for row in task.validation]
    assert tuned.setting.name == "four"
    for word in quality:
        assert judge.asked[word] == records[: 48 if word in ("two", "three", "four") else 24]
    assert [trial.rows for trial in tuned.trials] == [24, 48, 48, 48, 24]
    assert tuned.answers == sum(map(len, judge.asked.values())) == 192


def test_where_the_budget_does_not_reach_for_all_the_first_settings_are_tried(
    make_tools: Callable[..., Tools],
) -> None:
    judge = Judge(lambda word, record: 1.0)
    names = ["one", "two", "three", "four", "five"]
    choose([setting(name) for name in names], make_tools(judge, answers=36))
    assert list(judge.asked) == ["one", "two", "three"]
    assert sum(map(len, judge.asked.values())) <= 36


def test_on_few_rows_two_settings_are_compared(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: 1.0)
    choose([setting(name) for name in ("one", "two", "three")], make_tools(judge, answers=999, rows=11))
    assert {word: len(rows) for word, rows in judge.asked.items()} == {"one": 11, "two": 11}


def test_settings_that_make_the_same_prompts_are_tried_once(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: 1.0)
    settings = [setting("red"), replace(setting("red"), name="red again"), setting("blue")]
    tuned = choose(settings, make_tools(judge, answers=24))
    assert [trial.name for trial in tuned.trials] == ["red", "blue"]
    alone = choose(settings[:2], make_tools(judge, answers=24))
    assert (alone.trials, alone.setting.name) == ((), "red")


def test_only_validation_rows_are_seen(make_tools: Callable[..., Tools], task: Task) -> None:
    seen: list[Example] = []

    def spying(examples: Sequence[Example]) -> list[Prompt]:
        seen.extend(examples)
        return setting("red").prompts(examples)

    judge = Judge(lambda word, record: 1.0)
    choose([Setting("red", {}, spying), setting("blue")], make_tools(judge, answers=999))
    assert set(seen) <= set(task.validation)
    assert {record for rows in judge.asked.values() for record in rows} <= {row.record for row in task.validation}


@given(settings=st.integers(1, 9), rows=st.integers(0, 48), answers=st.integers(0, 400))
def test_no_more_answers_are_spent_than_may_be(
    make_tools: Callable[..., Tools], settings: int, rows: int, answers: int
) -> None:
    judge = Judge(lambda word, record: float((7 * int(word[1:]) + record) % 3 > 0))
    tools = make_tools(judge, answers=answers, rows=rows)
    tuned = choose([setting(f"w{number}") for number in range(settings)], tools)
    spent = sum(map(len, judge.asked.values()))
    assert tuned.answers == spent <= answers
    assert len(judge.asked) <= most_settings(tools)
    if settings > 1 and rows >= 12 and answers >= 24:
        assert len(judge.asked) >= 2 and min(map(len, judge.asked.values())) >= 6


def test_what_was_tried_can_be_written_into_a_report(make_tools: Callable[..., Tools]) -> None:
    judge = Judge(lambda word, record: 1.0 if word == "blue" else 0.0)
    tuned = choose([setting("red"), setting("blue", tokens=5)], make_tools(judge, answers=48))
    written = json.loads(json.dumps(tuned.to_dict()))
    assert (written["setting"], written["values"], written["answers"]) == ("blue", {"word": "blue"}, 48)
    assert [(trial["name"], trial["score"], trial["rows"]) for trial in written["trials"]] == [
        ("red", 0.0, 24),
        ("blue", 1.0, 24),
    ]
