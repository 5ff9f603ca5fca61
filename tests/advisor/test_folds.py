"""With few rows each one is a test row once, and nothing that answers it has learnt from it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from advisor.answering import Answer
from advisor.arms import ArmResult, joined
from advisor.comparison import run_comparison
from advisor.course import Course
from advisor.report.facts import trained_sentence, trainings
from advisor.request import ComparisonRequest
from advisor.results import _worst_health, wider
from advisor.task import make_folds
from advisor.verdict import ArmScores, decide
from dataset_tools.errors import UsageError
from tests.advisor import planted
from tests.advisor.planted import Asked, Learned, RuledModels
from training.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_folds_of_a_task_test_every_row_and_none_learns_from_its_test_rows(make_tickets: Any) -> None:
    examples = make_tickets(60)
    tasks = make_folds(examples, 5)
    assert sorted(row.record for task in tasks for row in task.test) == [row.record for row in examples]
    for task in tasks:
        tested, learnt = ({row.record for row in rows} for rows in (task.test, (*task.pool, *task.validation)))
        assert tested and learnt and not tested & learnt
        assert (task.kind, task.metric.name, task.removed_as_leaks) == ("classification", "accuracy", 0)


@pytest.mark.parametrize("limit", [5, 7, 12, 15])
def test_no_more_rows_are_tested_in_all_folds_than_the_limit(make_tickets: Any, limit: int) -> None:
    tasks = make_folds(make_tickets(60), 5, limit=limit)
    assert sum(len(task.test) for task in tasks) == limit


def compared(examples: Any, folder: Path, write_rows: Any, model: Path, **options: Any) -> dict[str, Any]:
    data = write_rows(folder / "rows.jsonl", examples)
    request = ComparisonRequest(data, model=str(model), budget_minutes=3, **options)
    result: dict[str, Any] = run_comparison(request, folder=folder / "out")
    return result


def test_few_rows_are_folded_by_themselves_where_nothing_is_trained(
    make_tickets: Any, write_rows: Any, tiny_model: Path, tmp_path: Path
) -> None:
    result = compared(make_tickets(40), tmp_path, write_rows, tiny_model, arms=("zero-shot", "few-shot", "classifier"))
    assert result["folds"] == 5 and result["task"]["rows"]["test"] == 40
    assert {arm["n"] for arm in result["arms"] if not arm["dropped"]} == {40}
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert sorted(item["record"] for item in items) == list(range(1, 41))
    again = compared(make_tickets(40), tmp_path, write_rows, tiny_model, arms=("zero-shot", "few-shot", "classifier"))
    assert again == result


def test_a_tuned_arm_is_trained_once_a_fold_on_the_other_folds(
    make_tickets: Any, write_rows: Any, tiny_model: Path, tmp_path: Path
) -> None:
    result = compared(make_tickets(20), tmp_path, write_rows, tiny_model, arms=("zero-shot", "qlora"), folds=2)
    assert result["folds"] == 2
    notes = [json.loads(file.read_text()) for file in sorted((tmp_path / "out" / "training").glob("*.json"))]
    learnt = []
    for note in notes:
        lines = (Path(note["run"]) / "train.jsonl").read_text().splitlines()
        learnt.append({json.loads(line)["messages"][0]["content"] for line in lines})
    assert len(learnt) == 2 and not learnt[0] & learnt[1]
    assert len(learnt[0] | learnt[1]) == 20
    training = result["arms"][1]["training"]
    assert [each["run"] for each in training["folds"]] == [Path(note["run"]).name for note in notes]
    assert "Trained once a fold, on the rows of the others: fold 1: " in (tmp_path / "out" / "report.md").read_text()


def test_the_trainings_of_all_folds_are_told_and_the_worst_counts() -> None:
    def part(passes: float, light: str) -> ArmResult:
        training = {"steps": 30, "passes": passes, "run": light, "health": {"light": light, "card": []}}
        return ArmResult("qlora", "QLoRA", (Answer("a", 1, 1, True),), (1.0,), 1.0, 0.0, training)

    whole = joined([part(3.0, "green"), part(0.5, "red")], None)
    told = trained_sentence(whole.training).split(": ", 1)[1]
    assert told == ("fold 1: 30 steps, 3 passes, health check: green; fold 2: 30 steps, 0.5 passes, health check: red.")
    assert [each["run"] for each in trainings(whole.training)] == ["green", "red"]
    assert _worst_health(whole.training) == {"light": "red", "card": []}
    assert joined([part(3.0, "green")], None) == part(3.0, "green")
    assert trained_sentence(part(3.0, "green").training) == "Trained for 30 steps, 3 passes, health check: green."
    assert trained_sentence(None) == "" and trainings(None) == [] and _worst_health(None) is None


def test_a_learning_curve_beside_folds_is_that_of_the_first_fold(tokenizer: Any, tmp_path: Path) -> None:
    known, _ = planted.tickets(train=40)
    data, run = tmp_path / "rows.jsonl", RunFolder(tmp_path / "run")
    rows = ({"prompt": question, "completion": planted.queue_of(question)} for question in known)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "arms").mkdir(parents=True)
    run.update(state="preparing", created=time.time(), data=str(data), error=None, kind="comparison")
    request = ComparisonRequest(data, arms=("zero-shot", "qlora"), folds=2, learning_curve=True)

    def rule(asked: Asked, learned: Learned | None) -> str:
        return planted.queue_of(asked.question) if learned and len(learned) > 8 else "none"

    result = Course(request, run, RuledModels(rule, tokenizer, run.path)).run()
    curve = result["learning_curve"]
    assert [point["n"] for point in curve["points"]][-1] == result["task"]["rows"]["train"]
    assert curve["points"][-1]["score"] == 1.0 and len(result["arms"][1]["training"]["folds"]) == 2


def test_a_file_of_test_rows_and_folds_exclude_each_other(tmp_path: Path) -> None:
    for name in ("rows.jsonl", "test.jsonl"):
        (tmp_path / name).write_text('{"prompt": "a", "completion": "b"}\n')
    with pytest.raises(UsageError, match="nothing to fold"):
        ComparisonRequest(tmp_path / "rows.jsonl", test=tmp_path / "test.jsonl", folds=5)
    with pytest.raises(UsageError, match="small whole number"):
        ComparisonRequest(tmp_path / "rows.jsonl", folds=11)


def test_intervals_of_folded_arms_are_half_as_wide_again() -> None:
    assert wider("few-shot", 5) == pytest.approx(1.5)
    assert wider("zero-shot", 5) == wider("few-shot", 1) == 1.0
    scores = {"a": [1.0, 0.0, 1.0, 1.0] * 20, "b": [0.0, 0.0, 1.0, 1.0] * 20}
    plain, wide = (
        decide([ArmScores(name, name, values, rank, factor) for rank, (name, values) in enumerate(scores.items())])
        for factor in (1.0, 1.5)
    )
    widths = [verdict.pairs[0].interval[1] - verdict.pairs[0].interval[0] for verdict in (plain, wide)]
    assert widths[1] == pytest.approx(1.5 * widths[0])
