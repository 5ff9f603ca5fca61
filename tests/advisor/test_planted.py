"""The whole advisor on tasks whose truth is planted: it finds the arm, names the gap, claims no more than it saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.diagnosis import Gap, main_gap
from tests.advisor import planted
from tests.advisor.planted import Asked, Planted, RuledModels, course_of

pytestmark = pytest.mark.usefixtures("one_thread")
Result = dict[str, Any]
Compare = Callable[..., Result]


@pytest.fixture
def compare(tokenizer: Any, tmp_path: Path) -> Compare:
    def run(task: Planted, *arms: str, **more: Any) -> Result:
        return course_of(task, tmp_path / "task", tokenizer, arms=arms or None, **more).run()

    return run


def arm(result: Result, name: str) -> dict[str, Any]:
    return next(row for row in result["arms"] if row["name"] == name)


def advice(result: Result) -> tuple[str, str | None]:
    return result["verdict"]["kind"], result["verdict"]["arm"]


def named_gap(result: Result) -> str | None:
    gap = main_gap([Gap(**{**gap, "interval": gap["interval"] and tuple(gap["interval"])}) for gap in result["gaps"]])
    return gap.name if gap else None


def without_times(value: Any) -> Any:
    """A result without what differs from run to run: seconds, and what is made from them."""
    if isinstance(value, dict):
        timed = ("seconds", "cost", "folder", "command", "adapter", "plan", "training")
        return {key: without_times(part) for key, part in value.items() if not any(name in key for name in timed)}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def test_facts_that_stand_in_documents_alone_call_for_retrieval(compare: Compare) -> None:
    result = compare(planted.facts_in_documents())
    assert advice(result) == ("winner", "rag-few-shot")
    assert named_gap(result) == "knowledge"
    assert (
        arm(result, "rag-few-shot")["score"] > 0.95 > 0.5 > arm(result, "rag")["score"] > arm(result, "qlora")["score"]
    )
    assert "3,072" in arm(result, "corpus")["skipped"]  # the documents are larger than the context


def test_a_private_format_calls_for_examples_or_training(compare: Compare) -> None:
    result = compare(planted.private_format())
    assert advice(result)[1] in ("few-shot", "qlora") and advice(result)[0] != "not_enough_evidence"
    assert named_gap(result) == "behaviour"
    assert arm(result, "zero-shot")["score"] == 0 < arm(result, "instruction")["score"] < 0.6
    assert arm(result, "few-shot")["score"] > arm(result, "few-shot-fixed")["score"] + 0.1


def test_answers_that_are_right_but_for_their_form_call_for_an_instruction(compare: Compare) -> None:
    result = compare(planted.form_alone())
    assert advice(result) == ("cheaper", "instruction")
    assert named_gap(result) == "format"
    assert arm(result, "zero-shot")["score"] == 0 and arm(result, "instruction")["score"] == 1


def test_labels_with_near_twins_call_for_training(compare: Compare) -> None:
    result = compare(planted.near_twins())
    assert advice(result)[1] == "qlora" and advice(result)[0] in ("winner", "cheaper")
    assert arm(result, "qlora")["score"] > 0.9 > 0.7 > arm(result, "classifier")["score"]
    assert named_gap(result) in (None, "behaviour")
    assert result["verdict"]["conditions"] == []  # it is right on rows far from the examples as well


def test_a_task_that_is_solved_already_calls_for_nothing(compare: Compare) -> None:
    result = compare(planted.already_solved())
    assert advice(result)[1] == "zero-shot" and advice(result)[0] in ("tie", "cheaper")
    assert named_gap(result) is None


@pytest.mark.parametrize("seed", range(4))
def test_random_answers_never_give_a_winner(compare: Compare, seed: int) -> None:
    result = compare(planted.random_labels(seed))
    assert advice(result)[0] in ("nothing_works", "not_enough_evidence")
    assert named_gap(result) is None


def test_test_rows_among_the_training_rows_and_in_the_documents_help_no_arm(compare: Compare) -> None:
    task = planted.leaked()
    question, answer = task.test[0]
    copied = Asked(question, shown=((question.upper(), answer),)), Asked(question, task.documents["Solutions"])
    assert [task.rule(asked, None) for asked in copied] == [answer] * 2  # a leak would help
    assert task.rule(Asked(question), dict(task.train)) == answer
    result = compare(task)
    assert result["task"]["removed_as_leaks"] == len(task.test) == 100
    assert result["removed_passages"] > 0
    assert sum("leak" in said or "test rows" in said for said in result["left_out"]) == 2
    chance = 0.25
    assert {row["name"] for row in result["arms"] if row["skipped"]} == set()
    assert all(row["score"] < chance + 0.1 for row in result["arms"])
    assert advice(result)[0] in ("nothing_works", "not_enough_evidence")


@pytest.mark.parametrize("rows", [100, 140, 210])
def test_of_two_arms_with_the_same_answers_the_cheaper_is_taken_and_no_winner_named(
    compare: Compare, rows: int
) -> None:
    """The dearer one is dropped at half of the rows, so a tie within 3 points shows from 200 rows on."""
    result = compare(planted.two_equal_arms(rows), "zero-shot", "few-shot-fixed")
    assert advice(result) == ("tie" if rows >= 200 else "cheaper", "zero-shot")
    assert arm(result, "few-shot-fixed")["dropped"]["why"] == "futile"
    assert "no other approach was run" not in result["verdict"]["sentence"]
    assert "beats" not in result["verdict"]["sentence"]


def test_a_tie_is_named_where_the_dearer_arm_answers_all_rows(compare: Compare) -> None:
    """Below 100 rows none is dropped for being level."""
    result = compare(planted.two_equal_arms(98), "zero-shot", "few-shot-fixed", margin=0.04)
    assert advice(result) == ("tie", "zero-shot")
    assert arm(result, "few-shot-fixed")["dropped"] is None


def test_two_arms_that_are_equal_in_truth_give_no_winner(tokenizer: Any, tmp_path: Path) -> None:
    """12 draws of 100 rows. At a true rate of 5%, two of them or fewer are winners 98 times in 100."""
    kinds = Counter[str]()
    for seed in range(12):
        course = course_of(
            planted.equal_in_truth(seed), tmp_path / str(seed), tokenizer, arms=("zero-shot", "few-shot-fixed")
        )
        kinds[course.run()["verdict"]["kind"]] += 1
    assert kinds["winner"] <= 2 and kinds.total() == 12


def test_thirty_noisy_rows_are_not_enough(compare: Compare) -> None:
    result = compare(planted.thirty_noisy_rows(), "zero-shot", "few-shot-fixed")
    assert advice(result)[0] == "not_enough_evidence"
    assert result["verdict"]["rows_needed"] > 30


def test_an_arm_that_is_clearly_worse_is_dropped_early_and_spares_its_answers(tokenizer: Any, tmp_path: Path) -> None:
    course = course_of(planted.led_astray(), tmp_path, tokenizer, arms=("zero-shot", "few-shot"))
    result = course.run()
    assert advice(result) == ("winner", "zero-shot")
    row = arm(result, "few-shot")
    assert (row["n"], row["dropped"]["why"], row["dropped"]["leader"]) == (16, "worse", "zero-shot")
    assert row["score"] < 0.6 and result["verdict"]["sentence"].startswith("Zero-shot: it beats the only other")
    tested = {question for question, _ in planted.led_astray().test}
    with_examples = [
        prompt for _, prompt in _models(course).asked["base"] if len(prompt) > 1 and prompt[-1].content in tested
    ]
    assert len(with_examples) == 16


def test_the_best_of_the_heats_goes_first_and_a_cheaper_arm_that_is_clearly_worse_leaves(
    tokenizer: Any, tmp_path: Path
) -> None:
    course = course_of(planted.private_format(), tmp_path, tokenizer, arms=("zero-shot", "few-shot"))
    result = course.run()
    assert advice(result) == ("winner", "few-shot")
    assert arm(result, "few-shot")["n"] == result["task"]["rows"]["test"] > 50
    row = arm(result, "zero-shot")
    assert (row["n"], row["dropped"]["why"], row["dropped"]["leader"]) == (16, "worse", "few-shot")
    assert [row["name"] for row in result["arms"]][:2] == ["zero-shot", "few-shot"], "the table is in the order of cost"


def test_a_memoriser_wins_on_a_condition_alone(compare: Compare) -> None:
    result = compare(planted.memoriser())
    assert advice(result)[1] == "qlora"
    assert [condition["name"] for condition in result["verdict"]["conditions"]] == ["near_only"]
    assert "On a condition" in result["verdict"]["sentence"]
    row = arm(result, "qlora")
    assert row["near"]["score"] > 0.8 and row["far"]["score"] < 0.1 and row["near"]["n"] >= 30 <= row["far"]["n"]


# Stopped and gone on with


class Killed(Exception):
    """The process died here."""


def _dies_at(wanted: Callable[[dict[str, Any]], bool], *, time: int = 1) -> Callable[[dict[str, Any]], None]:
    seen = Counter[str]()

    def on_event(event: dict[str, Any]) -> None:
        seen["now"] += wanted(event)
        if seen["now"] == time:
            raise Killed

    return on_event


def _models(course: Any) -> RuledModels:
    models = course.models
    assert isinstance(models, RuledModels)
    return models


POINTS = {
    "timing": lambda event: "of 8" in event.get("phase", ""),
    "the diagnosis": lambda event: "asked with examples" in event.get("phase", ""),
    "a gap": lambda event: event["event"] == "gap",
    "tuning": lambda event: event.get("state") == "tuning" and event["arm"] == "few-shot-fixed",
    "answering": lambda event: event.get("state") == "answering" and event["arm"] == "rag" and event["done"] > 0,
    "training": lambda event: event.get("state") == "training" and event["arm"] == "qlora",
    "an arm is done": lambda event: event.get("state") == "done" and event["arm"] == "rag-few-shot",
    "the verdict": lambda event: event["event"] == "verdict",
}


@pytest.fixture(scope="module")
def uninterrupted(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, set[Any]]:
    """The result of a run that nothing stops, and all that it asked."""
    course = course_of(planted.facts_in_documents(), tmp_path_factory.mktemp("whole"), tokenizer)
    return course.run(), _all_asked(_models(course))


def _all_asked(*models: RuledModels) -> set[Any]:
    asked = [(name, *each) for one in models for name, prompts in one.asked.items() for each in prompts]
    assert len(asked) == len(set(asked)), "a prompt was answered twice"
    return set(asked)


@pytest.mark.parametrize("point", POINTS)
def test_a_comparison_that_died_goes_on_and_no_prompt_is_answered_twice(
    point: str, tokenizer: Any, tmp_path: Path, uninterrupted: tuple[Result, set[Any]]
) -> None:
    first = course_of(planted.facts_in_documents(), tmp_path, tokenizer, on_event=_dies_at(POINTS[point]))
    with pytest.raises(Killed):
        first.run()
    second = course_of(planted.facts_in_documents(), tmp_path, tokenizer)
    result, asked = second.run(), _all_asked(_models(first), _models(second))
    if point == "timing":  # it is made once more, on other rows
        assert uninterrupted[1] <= asked and len(asked) <= len(uninterrupted[1]) + 16
    else:
        assert asked == uninterrupted[1]
    assert without_times(result) == without_times(uninterrupted[0])


def test_a_probe_that_was_stopped_is_not_taken_for_a_fast_model(tokenizer: Any, tmp_path: Path) -> None:
    """Its answers are stored and come back at once: the budget would let everything be answered."""
    arms = ("zero-shot", "few-shot-fixed")
    task = planted.two_equal_arms(100)
    first = course_of(
        task, tmp_path, tokenizer, pause=0.02, arms=arms, budget_minutes=0.1, on_event=_dies_at(POINTS["timing"])
    )
    with pytest.raises(Killed):
        first.run()
    second = course_of(task, tmp_path, tokenizer, pause=0.02, arms=arms, budget_minutes=0.1)
    plan = second.run()["plan"]
    assert plan["seconds_per_row"] >= 0.02


def test_stored_answers_do_not_make_an_arm_look_faster(tokenizer: Any, tmp_path: Path) -> None:
    """A row takes 50 ms or more, also where 8 of 30 were answered by the probe, and others before the process died."""
    options: dict[str, Any] = {"pause": 0.05, "arms": ("zero-shot", "few-shot-fixed")}

    def wanted(event: dict[str, Any]) -> bool:
        return (event.get("arm"), event.get("state")) == ("few-shot-fixed", "answering") and 0 < event["done"] < 30

    with pytest.raises(Killed):
        course_of(planted.thirty_noisy_rows(), tmp_path, tokenizer, on_event=_dies_at(wanted), **options).run()
    result = course_of(planted.thirty_noisy_rows(), tmp_path, tokenizer, **options).run()
    assert arm(result, "zero-shot")["seconds_per_request"] >= 0.05
    assert arm(result, "few-shot-fixed")["seconds_per_request"] >= 0.05
