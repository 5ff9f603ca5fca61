"""The task hands rows out, and the leak guard refuses what is a test row or nearly one."""

from __future__ import annotations

import random

import pytest

from advisor.task import LeakGuard, Task, make_task
from dataset_tools.errors import DataError, LeakError, UsageError
from dataset_tools.example import Example

INSTRUCTION = "Sort this ticket into a queue. Reply with the queue only.\n\nTicket: "
THINGS = ["printer", "badge", "laptop", "phone", "door", "heating", "licence", "monitor", "desk", "parking permit"]
FAULTS = ["does not start", "is lost", "makes a noise", "was stolen", "needs replacing", "shows an error", "is stuck"]


def rows(count: int = 60, *, start: int = 0) -> list[Example]:
    pairs = [(thing, fault) for thing in THINGS for fault in FAULTS]
    random.Random(1).shuffle(pairs)
    chosen = pairs[start : start + count]
    return [
        Example.of(f"{INSTRUCTION}The {thing} on floor {index} {fault}.", "GEAR" if index % 2 else "SITE", record=index)
        for index, (thing, fault) in enumerate(chosen, 1)
    ]


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: text,
        lambda text: text.upper(),
        lambda text: text.replace("The ", "the  "),
        lambda text: text.rstrip(".") + "!",
        lambda text: text + " Thx",
    ],
    ids=["same", "capitals", "spaces", "punctuation", "a word more"],
)
def test_a_planted_test_row_never_reaches_the_pool(disguise) -> None:
    train, test = rows(40), rows(12, start=50)
    planted = Example.of(INSTRUCTION + disguise(test[3].question.removeprefix(INSTRUCTION)), "SITE", record=999)
    task = make_task([*train, planted], test)
    handed_out = {example.record for example in (*task.pool, *task.validation)}
    assert 999 not in handed_out
    assert task.removed_as_leaks == 1
    assert handed_out == {example.record for example in train}


def test_without_a_test_file_no_part_holds_a_row_of_another() -> None:
    task = make_task(rows(60))
    assert len(task.test) >= 12
    assert (
        not {*task.pool} & {*task.test}
        and not {*task.validation} & {*task.test}
        and not {*task.pool} & {*task.validation}
    )
    assert not any(task.guard.is_leak(example) for example in (*task.pool, *task.validation))


def test_a_limit_does_not_make_the_guard_forget() -> None:
    train, test = rows(40), rows(12, start=50)
    task = make_task([*train, test[0], test[7]], test, limit=3)
    assert len(task.test) == 3 and task.left_out_tests == 9
    assert task.removed_as_leaks == 2
    assert all(task.guard.is_leak(example) for example in test)


def test_a_task_that_was_built_with_a_leak_is_refused() -> None:
    train, test = rows(40), rows(12, start=50)
    clean = make_task(train, test)
    with pytest.raises(LeakError, match="the pool"):
        Task(clean.kind, clean.why, clean.metric, (*clean.pool, test[0]), clean.validation, clean.test, clean.guard)


def test_the_shared_instruction_does_not_make_rows_alike() -> None:
    guard = LeakGuard(rows(12, start=50), rows(40))
    assert not any(guard.is_leak(example) for example in rows(40))


def test_a_document_that_quotes_a_test_row_is_recognised_and_one_that_explains_is_not() -> None:
    test = [Example.of("Which form asks for a refund of a damaged cabinet?", "form LX-4")]
    guard = LeakGuard(test)
    assert guard.quotes_test("Q: which form asks for a refund of a damaged cabinet? A: Form LX-4.")
    assert not guard.quotes_test("A refund of a damaged cabinet is asked for with form LX-4.")


def test_all_training_rows_being_test_rows_is_an_error_that_says_so() -> None:
    test = rows(30)
    with pytest.raises(DataError, match="No row is left to learn from"):
        make_task(test, test)


def test_kind_and_metric_are_detected_and_can_be_overridden() -> None:
    train, test = rows(40), rows(12, start=50)
    assert (make_task(train, test).kind, make_task(train, test).metric.name) == ("classification", "accuracy")
    chosen = make_task(train, test, kind="short-answer", metric="rouge-l")
    assert (chosen.kind, chosen.metric.name, chosen.why) == ("short-answer", "rouge-l", "chosen by you")
    with pytest.raises(UsageError):
        make_task(train, test, metric="beauty")


def test_the_split_and_the_draw_depend_on_the_seed_alone() -> None:
    assert make_task(rows(60), seed=3).test == make_task(rows(60), seed=3).test
    assert make_task(rows(60), seed=3).test != make_task(rows(60), seed=4).test
