"""The classifier on embeddings: it learns from the pool, spends no token, and says where it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from advisor.approaches import Tools
from advisor.approaches.classifier import Classifier, spellings
from advisor.task import Task, make_task
from dataset_tools.errors import UsageError
from dataset_tools.example import Example

Rows = Callable[..., list[Example]]


@pytest.fixture(scope="module")
def task(make_tickets: Rows) -> Task:
    return make_task(make_tickets(100), make_tickets(40, start=120), kind="classification")


def tools_for(task: Task, tokenizer: Any) -> Tools:
    return Tools(task=task, tokenizer=tokenizer, context=2048)


def fitted(tools: Tools) -> Classifier:
    classifier = Classifier()
    assert classifier.why_not(tools) == ""
    classifier.prepare(tools)
    return classifier


def test_it_learns_the_labels_and_spends_no_token(task: Task, tokenizer: Any) -> None:
    answers = fitted(tools_for(task, tokenizer)).answers(task.test)
    right = sum(answer.text == row.completion for answer, row in zip(answers, task.test, strict=True))
    assert len(task.test) == 40 and right >= 36
    assert {(answer.prompt_tokens, answer.answer_tokens, answer.stopped) for answer in answers} == {(0, 0, True)}


def test_answers_do_not_depend_on_the_order_or_the_company_of_the_rows(task: Task, tokenizer: Any) -> None:
    classifier = fitted(tools_for(task, tokenizer))
    forwards = classifier.answers(task.test)
    assert classifier.answers(task.test[::-1]) == forwards[::-1]
    assert classifier.answers(task.test[:1]) == forwards[:1]
    assert classifier.answers([]) == []
    assert fitted(tools_for(task, tokenizer)).answers(task.test) == forwards


def test_a_label_is_answered_as_the_pool_mostly_writes_it(task: Task, tokenizer: Any) -> None:
    def rewritten(number: int, row: Example) -> Example:
        written = f"{row.completion.lower()}." if number % 3 else row.completion
        return Example.of(row.question, written, record=row.record)

    pool = tuple(rewritten(number, row) for number, row in enumerate(task.pool))
    answers = fitted(tools_for(replace(task, pool=pool), tokenizer)).answers(task.test)
    assert {answer.text for answer in answers} == {"print.", "doors.", "mail.", "cafe."}


def test_spellings_come_by_how_common_their_label_is() -> None:
    answers = ["No", "yes", "Yes.", "Yes.", " Yes. ", "maybe", "no"]
    assert list(spellings(answers).items()) == [("yes", "Yes."), ("no", "No"), ("maybe", "maybe")]


def test_its_strength_is_chosen_inside_the_pool_and_told(task: Task, tokenizer: Any) -> None:
    classifier = fitted(tools_for(task, tokenizer))
    assert classifier.tuned is not None
    chosen = classifier.tuned.setting.values["C"]
    best = max(trial.score for trial in classifier.tuned.trials)
    assert next(trial.values["C"] for trial in classifier.tuned.trials if trial.score == best) == chosen
    assert {trial.rows for trial in classifier.tuned.trials} == {len(task.pool)}
    assert classifier.tuned.answers == 0


def test_with_few_rows_nothing_is_cross_validated_and_it_still_answers(tokenizer: Any, make_tickets: Rows) -> None:
    task = make_task(make_tickets(12), make_tickets(8, start=100), kind="classification")
    classifier = fitted(tools_for(task, tokenizer))
    assert classifier.tuned is not None and classifier.tuned.trials == ()
    assert {answer.text for answer in classifier.answers(task.test)} <= {"PRINT", "DOORS", "MAIL", "CAFE"}


def test_a_label_that_occurs_once_is_learnt_and_disturbs_no_fold(task: Task, tokenizer: Any) -> None:
    odd = Example.of("How do I get reimbursed for a train ticket to the fair?", "MONEY", record=900)
    classifier = fitted(tools_for(replace(task, pool=(*task.pool, odd)), tokenizer))
    assert classifier.tuned is not None
    assert {trial.rows for trial in classifier.tuned.trials} == {len(task.pool)}
    assert classifier.tuned.setting.values["class_weight"] == "balanced"
    (answer,) = classifier.answers([Example.of("Where do I get reimbursed for my train ticket to the fair?", "?")])
    assert answer.text == "MONEY"


def test_uneven_labels_are_weighted_alike_and_even_ones_are_not(task: Task, tokenizer: Any) -> None:
    even = fitted(tools_for(task, tokenizer)).tuned
    few = tuple(row for number, row in enumerate(task.pool) if row.completion != "CAFE" or number % 5 == 0)
    uneven = fitted(tools_for(replace(task, pool=few), tokenizer)).tuned
    assert even is not None and uneven is not None
    assert (even.setting.values["class_weight"], uneven.setting.values["class_weight"]) == (None, "balanced")


@pytest.mark.parametrize("kind", ["text", "json", "short-answer"])
def test_for_another_kind_of_task_it_says_why_not(task: Task, tokenizer: Any, kind: str) -> None:
    tools = tools_for(replace(task, kind=kind), tokenizer)
    assert kind in Classifier().why_not(tools)
    with pytest.raises(UsageError, match=kind):
        Classifier().prepare(tools)


def test_with_one_label_only_it_says_why_not(task: Task, tokenizer: Any) -> None:
    pool = tuple(row for row in task.pool if row.completion == "MAIL")
    assert "same label" in Classifier().why_not(tools_for(replace(task, pool=pool), tokenizer))
