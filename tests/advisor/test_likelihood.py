"""How likely an arm finds the wanted answers: it respects the budget, decides nothing, and stands in the reports."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.answering import Answer
from advisor.approaches import Prompt
from advisor.arms import ArmResult, joined
from advisor.budget import Budget
from advisor.likelihood import Likelihoods, joined_likelihoods, likelihoods, mean_nats, shown
from advisor.report import to_html, to_markdown
from dataset_tools.example import Example
from tests.advisor import planted
from tests.advisor.planted import RuledModels, course_of

ROWS = [Example.of(f"question {number}", "a b c", line=number, record=number) for number in range(1, 11)]
PROMPTS = [row.prompt for row in ROWS]


def two_a_token(prompts: Sequence[Prompt], wanted: Sequence[str]) -> list[tuple[float, int]]:
    return [(2.0 * len(text.split()), len(text.split())) for text in wanted]


def test_each_row_counts_its_nats_a_token() -> None:
    assert likelihoods(PROMPTS, ROWS, nll=two_a_token) == Likelihoods((2.0,) * 10)


def test_what_would_take_too_long_is_left_out_after_a_row_with_the_reason() -> None:
    asked: list[int] = []

    def slow(prompts: Sequence[Prompt], wanted: Sequence[str]) -> list[tuple[float, int]]:
        asked.append(len(prompts))
        time.sleep(0.02)
        return two_a_token(prompts, wanted)

    found = likelihoods(PROMPTS, ROWS, nll=slow, seconds=0.01)
    assert not found.values and "of the time budget" in found.skipped and asked == [1]
    assert likelihoods([PROMPTS[0]], [replace(ROWS[0], tools="[]")], nll=slow).skipped == "rows declare tools"


def test_the_interval_holds_the_mean_and_narrows_with_rows() -> None:
    few, many = mean_nats([0.5, 1.5] * 5), mean_nats([0.5, 1.5] * 50)
    assert few.low < 1.0 < few.high and few.estimate == pytest.approx(1.0)
    assert few.low < many.low < many.high < few.high
    assert mean_nats([0.0, 0.0]) == (0.0, 0.0, 0.0) and mean_nats([1.5]) == (1.5, 0.0, 3.0)


def test_the_budget_gives_no_arm_more_than_half_of_its_small_share() -> None:
    assert Budget(None).likelihood_seconds() == float("inf")
    budget = Budget(10.0)
    assert budget.likelihood_seconds() == pytest.approx(15.0) and budget.likelihood_seconds(folds=5) == pytest.approx(3)
    budget.likelihoods_took = 30.0
    assert budget.likelihood_seconds() == 0.0
    assert Budget(10.0, began=time.time() - 590).likelihood_seconds() <= 1.0


def test_folds_are_joined_row_by_row_or_not_at_all(tmp_path: Path) -> None:
    parts = [Likelihoods((1.0, 2.0)), Likelihoods((3.0,))]
    assert joined_likelihoods(parts) == Likelihoods((1.0, 2.0, 3.0))
    assert joined_likelihoods([*parts, Likelihoods(skipped="no time")]).skipped == "no time"
    answer = Answer("a", 1, 1, True)
    first = ArmResult("zero-shot", "Zero-shot", (answer,), (1.0,), 1.0, 0.0, likelihoods=Likelihoods((2.5,)))
    whole = joined([first, first], None)
    assert whole.likelihoods.values == (2.5, 2.5)
    whole.save(tmp_path / "arm.json")
    assert ArmResult.load(tmp_path / "arm.json") == whole
    assert shown(whole.likelihoods)["nll_per_token"]["n"] == 2


class Likely(RuledModels):
    """Models whose wanted answers are the likelier the longer the prompt: 3 nats a token less a hundredth a word."""

    def nll(self, prompts: Any, completions: Any, *, adapter: Path | None = None) -> Any:
        words = [sum(len(message.content.split()) for message in prompt) for prompt in prompts]
        return [(6.0 - count / 50, 2) for count in words]


@pytest.fixture(scope="module")
def compared(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    def run(test: int, **options: Any) -> tuple[dict[str, Any], Any]:
        task = planted.ticket_task(
            planted.queue_of, lambda asked, learned: planted.queue_of(asked.question), train=20, test=test
        )
        folder = tmp_path_factory.mktemp("likely")
        course = course_of(task, folder, tokenizer, arms=("zero-shot", "classifier", "few-shot-fixed"), **options)
        course.models = Likely(task.rule, tokenizer, course.run_folder.path)
        return course.run(), course.request

    return run


def test_arms_that_ask_a_model_tell_it_and_the_reports_show_it(compared: Any) -> None:
    result, request = compared(30, budget_minutes=5)
    figures = {arm["name"]: arm["nll_per_token"] for arm in result["arms"]}
    assert figures["classifier"] is None and figures["zero-shot"]["n"] == 30
    assert figures["few-shot-fixed"]["mean"] < figures["zero-shot"]["mean"] < 3.0
    low, high = figures["zero-shot"]["interval"]
    assert low < figures["zero-shot"]["mean"] < high
    said = f"{figures['zero-shot']['mean']:.2f} ({low:.2f} to {high:.2f})"
    for page in (to_html(result, []), to_markdown(result, request)):
        assert "NLL" in page and said in page and "perplexity" in page


def test_many_rows_under_a_budget_go_without_and_nothing_is_said_of_it(compared: Any) -> None:
    result, request = compared(101, budget_minutes=5)
    assert all(arm["nll_per_token"] is None for arm in result["arms"])
    assert "more than 100 test rows" in result["arms"][0]["nll_skipped"]
    assert "NLL" not in to_html(result, []) and "NLL" not in to_markdown(result, request)
