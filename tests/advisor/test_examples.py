"""The built-in example projects are what their README says: sizes, forms, consistent labels, no leak, true answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from dataset_tools.similarity import normalise

EXAMPLES = Path(__file__).parents[2] / "advisor" / "examples"
PROJECTS = ("support_desk", "ticket_routing")
CATEGORIES = {"returns", "repair", "billing", "delivery", "subscription", "account", "trade"}
TEAMS = {
    "Loop Desk": {"returns"},
    "Bench Two": {"repair"},
    "Signal Desk": {"repair"},
    "Ledger": {"billing"},
    "Ribbon Desk": {"billing"},
    "Dock Four": {"delivery"},
    "Dock Nine": {"delivery"},
    "Plan Desk": {"subscription"},
    "Potting Shed": {"subscription"},
    "Gatehouse": {"account"},
    "Trade Table": {"trade"},
}
QUEUES = {"NET-EDGE", "BLUE-7", "KILN-2", "TANDEM", "PRESS-4", "MARLIN", "GATE-11", "ORCHID"}

Row = dict[str, str]


def rows(project: str, part: str) -> list[Row]:
    lines = (EXAMPLES / project / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def message(row: Row) -> str:
    """The customer's or colleague's own text, without the instruction, as it is compared."""
    return normalise(row["prompt"].split("\n\n", 1)[1])


def shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(max(1, len(text) - 4))}


def pages() -> dict[str, str]:
    found = sorted((EXAMPLES / "support_desk" / "docs").glob("*.md"))
    return {page.stem: page.read_text(encoding="utf-8") for page in found}


def stands_in(phrase: str, text: str) -> bool:
    pattern = rf"(?<!\w){re.escape(phrase)}(?!\w)"
    return re.search(pattern, " ".join(text.split()), re.IGNORECASE) is not None


@pytest.mark.parametrize(
    ("project", "train", "test"), [("support_desk", 190, 60), ("ticket_routing", 165, 54)], ids=PROJECTS
)
def test_a_project_has_the_rows_its_readme_promises(project: str, train: int, test: int) -> None:
    assert (len(rows(project, "train")), len(rows(project, "test"))) == (train, test)
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"{count} rows" in readme or f"{count} to test" in readme for count in (train, test))


@pytest.mark.parametrize("project", PROJECTS)
def test_all_rows_have_the_same_fields_and_share_one_instruction(project: str) -> None:
    everything = rows(project, "train") + rows(project, "test")
    assert {tuple(row) for row in everything} == {("prompt", "completion")}
    assert len({row["prompt"].split("\n\n", 1)[0] for row in everything}) == 1
    assert all(row["prompt"] == row["prompt"].strip() and row["completion"].strip() for row in everything)


@pytest.mark.parametrize("project", PROJECTS)
def test_no_message_occurs_twice(project: str) -> None:
    counts = Counter(message(row) for row in rows(project, "train") + rows(project, "test"))
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("project", PROJECTS)
def test_no_test_message_is_close_to_a_training_message(project: str) -> None:
    trained = [shingles(message(row)) for row in rows(project, "train")]
    for row in rows(project, "test"):
        own = shingles(message(row))
        assert max(len(own & other) / len(own | other) for other in trained) < 0.6, row["prompt"]


def test_support_completions_are_one_line_of_json_in_one_key_order() -> None:
    for row in rows("support_desk", "train") + rows("support_desk", "test"):
        answer = json.loads(row["completion"])
        assert list(answer) == ["category", "team", "answer"]
        assert row["completion"] == json.dumps(answer, ensure_ascii=False)
        assert answer["category"] in CATEGORIES
        assert answer["category"] in TEAMS[answer["team"]]
        assert 1 <= len(answer["answer"].split()) <= 8


def test_every_category_and_team_is_trained_and_tested() -> None:
    for part in ("train", "test"):
        answers = [json.loads(row["completion"]) for row in rows("support_desk", part)]
        assert {answer["category"] for answer in answers} == CATEGORIES
        assert {answer["team"] for answer in answers} == set(TEAMS)


def test_every_answer_stands_word_for_word_on_a_handbook_page_and_not_in_its_own_message() -> None:
    texts = pages().values()
    for row in rows("support_desk", "train") + rows("support_desk", "test"):
        answer = json.loads(row["completion"])["answer"]
        assert any(stands_in(answer, text) for text in texts), answer
        assert not stands_in(answer, row["prompt"]), row["prompt"]


def test_half_of_the_support_test_asks_for_facts_that_no_training_row_holds() -> None:
    trained = {json.loads(row["completion"])["answer"] for row in rows("support_desk", "train")}
    new = [row for row in rows("support_desk", "test") if json.loads(row["completion"])["answer"] not in trained]
    assert len(new) == 30


def test_the_handbook_is_short_pages_with_headings_that_name_every_team_and_category() -> None:
    texts = pages()
    assert len(texts) == 18
    assert all(text.startswith("# ") and "\n## " in text for text in texts.values())
    assert all(120 <= len(text.split()) <= 300 for text in texts.values())
    assert all(stands_in(name, texts["teams"]) for name in CATEGORIES | set(TEAMS))


def test_ticket_completions_are_the_eight_queues_mildly_uneven() -> None:
    for part in ("train", "test"):
        counts = Counter(row["completion"] for row in rows("ticket_routing", part))
        assert set(counts) == QUEUES
        assert max(counts.values()) <= 2 * min(counts.values())
