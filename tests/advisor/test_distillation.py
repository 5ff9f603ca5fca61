"""A teacher's answers as training rows: what is kept, what is left out and why, and what the student gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from advisor.answering import Answer, LocalAnswerer
from advisor.answering.answer import Progress
from advisor.distillation import distill
from advisor.training_worker import scorer_for
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example, Message
from training.models.loading import load_model

ROWS = [Example.of(f"what is number {i}", f"number {i} is red") for i in range(6)]


class Book:
    """A teacher that looks its answers up: a real answerer, and its prompts can be read afterwards."""

    def __init__(self, answers: Sequence[str], *, stopped: bool = True) -> None:
        self.answers, self.stopped = list(answers), stopped
        self.prompts: list[tuple[Message, ...]] = []

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
    ) -> list[Answer]:
        self.prompts = [tuple(prompt) for prompt in prompts]
        texts = [self.answers[index % len(self.answers)] for index in range(len(prompts))]
        return [Answer(text, 5, len(text.split()), self.stopped) for text in texts]


def test_the_new_rows_have_the_teachers_answers_to_the_same_prompts() -> None:
    made = distill(ROWS, Book(["blue, I think"]), max_new_tokens=20)
    assert [example.prompt for example in made.examples] == [example.prompt for example in ROWS]
    assert {example.completion for example in made.examples} == {"blue, I think"}
    assert (made.asked, made.left_out) == (6, {})


def test_answers_far_from_the_wanted_ones_are_left_out_and_counted() -> None:
    teacher = Book(["number 0 is red", "no idea at all", "  "])
    made = distill(ROWS[:3], teacher, max_new_tokens=20, scorer=scorer_for(ROWS), at_least=0.6)
    assert [example.completion for example in made.examples] == ["number 0 is red"]
    assert made.left_out == {"scored below 0.6": 1, "empty": 1}


def test_demonstrations_are_shown_to_the_teacher_alone_and_not_answered() -> None:
    system = Message("system", "Be brief.")
    rows = [Example((system, *example.messages)) for example in ROWS]
    teacher = Book(["red"])
    made = distill(rows, teacher, max_new_tokens=20, demonstrations=rows[:2])
    assert len(teacher.prompts) == len(made.examples) == 4
    assert [message.role for message in teacher.prompts[0]] == ["system", *["user", "assistant"] * 2, "user"]
    assert made.examples[0].prompt == rows[2].prompt


def test_nothing_left_says_why() -> None:
    with pytest.raises(DataError, match=r"(?s)None of the teacher's.*6 cut off before the end"):
        distill(ROWS, Book(["red"], stopped=False), max_new_tokens=1)


def test_a_bar_that_is_no_score_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="no score"):
        distill(ROWS, Book(["red"]), max_new_tokens=1, at_least=1.5)


def test_any_answerer_can_teach(tiny_model: Path) -> None:
    teacher = LocalAnswerer(load_model(str(tiny_model), dtype="float32"))
    with pytest.raises(DataError, match=r"6 scored below 1|cut off"):
        distill(ROWS, teacher, max_new_tokens=8, scorer=scorer_for(ROWS), at_least=1.0)
