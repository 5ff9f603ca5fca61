"""The classifier on embeddings: it learns from the pool, spends no token, and says where it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from advisor.approaches import Tools
from advisor.approaches.classifier import Classifier, spellings
from advisor.retrieval import embed, embedding
from advisor.retrieval.embedding import embed_whole
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


FILLER = " ".join(
    f"paragraph {number} of the minutes says that the meeting went on as planned." for number in range(40)
)


def test_a_row_is_read_to_its_end_also_where_the_telling_words_come_late() -> None:
    """The first 400 tokens of all rows are the same: an embedder that cuts at 256 could only guess."""
    telling = {"PRINT": "the printer has no toner left", "CAFE": "the coffee machine is leaking milk"}
    rows = [
        Example.of(f"{FILLER} In room {number}: {telling[label]}.", label, record=number)
        for number in range(1, 25)
        for label in [("PRINT", "CAFE")[number % 2]]
    ]
    vectors = embed_whole([row.question for row in rows])
    cut = embed([row.question for row in rows])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.ptp(cut, axis=0).max() < 1e-5 < np.ptp(vectors, axis=0).max()
    model = LogisticRegression(C=10.0).fit(vectors[:12], [row.completion for row in rows[:12]])
    assert list(model.predict(vectors[12:])) == [row.completion for row in rows[12:]]


def test_a_short_row_is_embedded_as_before_and_a_very_long_one_in_so_many_windows() -> None:
    short = ["the printer has no toner left", ""]
    assert np.allclose(embed_whole(short), embed(short), atol=1e-6)
    assert embed_whole([]).shape == (0, 384)
    windows = embedding._windows(FILLER)
    assert len(windows) > 1 and windows[0] == FILLER[: len(windows[0])] and windows[-1] == FILLER[-len(windows[-1]) :]
    covered = {word for window in windows for word in window.split()}
    assert set(FILLER.split()) <= covered
    assert len(embedding._windows(FILLER * 40)) == 32
