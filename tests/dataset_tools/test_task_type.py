from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset_tools.task_type import detect_task_type

LABELS77 = [f"intent_{n}" for n in range(77)]


@pytest.mark.parametrize(
    ("completions", "kind"),
    [
        (["positive", "negative"] * 4, "classification"),
        (["Positive", "positive ", "negative"] * 4, "classification"),
        (["yes"] * 30, "classification"),
        (LABELS77 * 3, "classification"),
        (["1", "2", "3", "4", "5"] * 6, "classification"),
        ([str(n % 40) for n in range(400)], "short-answer"),
        (['{"intent": "a", "slots": {}}', '{"intent": "b"}'] * 5, "json"),
        (["[1, 2]", "[]"] * 5, "json"),
        ([f'{{"key{n}": 1}}' for n in range(20)], "short-answer"),
        (["Paris", "1789", "the Nile", "Ada Lovelace"] * 2 + ["Rome", "Oslo"], "short-answer"),
        (["The cat sat down on the mat, and then it slept for the whole long day."] * 3 + ["It did not."], "text"),
        ([], "text"),
        (["", " "], "short-answer"),
    ],
)
def test_the_kind_of_task_is_told_from_its_answers(completions: list[str], kind: str) -> None:
    guess = detect_task_type(completions)
    assert guess.kind == kind, guess.why


def test_labels_come_by_count_in_their_first_spelling() -> None:
    guess = detect_task_type(["no", "Yes", "yes", "YES "] * 3)
    assert guess.labels == ("Yes", "no")
    assert "12 answers use 2 labels" in guess.why


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("banking77", {"classification"}),
        ("sentiment", {"classification"}),
        ("pubmedqa_rag", {"classification"}),
        ("snips_json", {"json"}),
        ("xquad_rag", {"short-answer"}),
        ("trivia_open", {"short-answer"}),
        ("tldr_commands", {"short-answer", "text"}),
        ("kjv_style", {"text"}),
        ("scitldr", {"text"}),
        ("gsm8k", {"text"}),
        ("e2e_nlg", {"text"}),
        ("coffee_chat", {"text"}),
    ],
)
@pytest.mark.parametrize("rows", [None, 200])
def test_real_tasks_are_told_right_whole_and_from_200_rows(
    dev: Path, task: str, kinds: set[str], rows: int | None
) -> None:
    lines = (dev / task / "train.jsonl").read_bytes().split(b"\n")[:rows]
    values = [json.loads(line) for line in lines if line]
    answers = [value["completion"] if "completion" in value else value["messages"][-1]["content"] for value in values]
    assert detect_task_type(answers).kind in kinds
