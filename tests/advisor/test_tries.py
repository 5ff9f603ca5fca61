"""The best of eight drawn answers: drawn again alike, read beside the model's own, and never what decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.answering import Answer, LocalAnswerer
from advisor.approaches import Prompt, Tools
from advisor.budget import Budget
from advisor.diagnosis import Gap, diagnose, main_gap
from advisor.diagnosis.probes import TRIES
from advisor.task import make_task
from dataset_tools.example import Example, Message

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = [(Message("user", f"what colour is house number {word}?"),) for word in ("one", "two", "three")]
NEVER = "I would rather not say."


@pytest.fixture(scope="module")
def answerer(tiny_model: Path) -> LocalAnswerer:
    from training.models.loading import load_model

    return LocalAnswerer(load_model(str(tiny_model), dtype="float32"))


def test_drawn_answers_come_again_with_their_seed_and_differ_with_another(answerer: LocalAnswerer) -> None:
    options: dict[str, Any] = {"count": 4, "temperature": 0.7, "max_new_tokens": 8}
    first = answerer.sample(PROMPTS, seed=1, **options)
    assert first is not None and [len(drawn) for drawn in first] == [4, 4, 4]
    assert first == answerer.sample(PROMPTS, seed=1, **options) != answerer.sample(PROMPTS, seed=2, **options)
    assert any(len(set(drawn)) > 1 for drawn in first)


def test_drawing_leaves_later_answers_greedy_and_a_cold_draw_is_greedy(answerer: LocalAnswerer) -> None:
    before = [answer.text for answer in answerer.answer(PROMPTS, max_new_tokens=8)]
    cold = answerer.sample(PROMPTS, count=2, temperature=1e-4, seed=0, max_new_tokens=8)
    assert cold == [(text, text) for text in before]
    assert [answer.text for answer in answerer.answer(PROMPTS, max_new_tokens=8)] == before
    assert answerer.sample((), count=8, temperature=0.7, seed=0, max_new_tokens=8) == []


@pytest.fixture(scope="module")
def tools(tokenizer: Any) -> Tools:
    rows = [Example.of(f"Which code does lamp {at} have?", f"KX{at * 37}", record=at) for at in range(1, 25)]
    task = make_task(rows, [Example.of("Which office has no window at all?", "The archive")], kind="short-answer")
    task = replace(task, pool=tuple(rows[:8]), validation=tuple(rows[8:]))
    return Tools(task=task, tokenizer=tokenizer, context=4096, demonstrations=(4, 2000))


def gaps_of(tools: Tools, right_at: Callable[[int], bool], *, sampled: int = 16) -> dict[str, Gap]:
    """The gaps of a model whose own answers are wrong, and whose drawn ones are right at these tries."""
    codes = {row.question: row.completion for row in (*tools.task.pool, *tools.task.validation)}

    def wrong(prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[Answer]:
        return [Answer(NEVER, 1, 1, stopped=True) for _ in prompts]

    def sample(prompts: Sequence[Prompt]) -> list[tuple[str, ...]]:
        assert all(len(prompt) > 1 for prompt in prompts)  # with worked examples
        return [tuple(codes[p[-1].content] if right_at(at) else NEVER for at in range(TRIES)) for p in prompts]

    found = diagnose(tools, metric=tools.task.metric, answer=wrong, rows=16, sample=sample, sampled=sampled)
    return {gap.name: gap for gap in found}


def test_what_only_a_try_gets_right_can_be_drawn_out_and_is_never_the_main_gap(tools: Tools) -> None:
    gaps = gaps_of(tools, lambda at: at == 5)
    tries = gaps["tries"]
    assert (tries.size, tries.rows, tries.answers, tries.unit) == (1.0, 16, 16 * TRIES, "tries")
    assert "it can do more than it does" in tries.sentence and "partly luck" in tries.sentence
    assert main_gap([tries]) is None
    assert gaps_of(tools, lambda at: True, sampled=9)["tries"].rows == 9


def test_where_no_try_is_right_knowledge_or_capacity_is_missing(tools: Tools) -> None:
    assert "hardly any try is right" in gaps_of(tools, lambda at: False)["tries"].sentence


def test_without_time_or_with_few_labels_it_is_not_measured_and_says_so(tools: Tools) -> None:
    assert "no time for it" in gaps_of(tools, lambda at: True, sampled=0)["tries"].sentence
    labels = [replace_answer(row, ("YES", "NO")[row.record % 2]) for row in tools.task.validation]
    task = replace(tools.task, pool=tuple(labels[:8]), validation=tuple(labels[8:]), kind="classification")
    tries = gaps_of(replace(tools, task=task), lambda at: True)["tries"]
    assert tries.size is None and "2 labels are often right by luck" in tries.sentence


def replace_answer(row: Example, answer: str) -> Example:
    return Example.of(row.question, answer, record=row.record)


def test_the_budget_allows_as_many_rows_as_a_small_share_buys() -> None:
    assert Budget(None).sampled_rows() == 20
    assert Budget(10, seconds_per_row=0.1).sampled_rows() == 17
    assert Budget(10, seconds_per_row=1.0).sampled_rows() == 0
