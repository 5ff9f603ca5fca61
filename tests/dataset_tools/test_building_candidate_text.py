from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.building.candidate_text import find_pairs

PAIRS = [("Who is Ann?", "A baker."), ("How old is she?", "42")]
words = st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=1, max_size=6)
lines = st.lists(words, min_size=1, max_size=5).map(" ".join)
pairs = st.lists(st.tuples(lines.map(lambda line: line + "?"), lines), min_size=1, max_size=4)


@pytest.mark.parametrize(
    "text",
    [
        "Q: Who is Ann?\nA: A baker.\nQ: How old is she?\nA: 42",
        "Sure! Here they are:\n\nQ: Who is Ann?\nA: A baker.\n\nQ: How old is she?\nA: 42\n\nI hope this helps!",
        "**Q1:** Who is Ann?\n**A1:** A baker.\n\n**Q2:** How old is she?\n**A2:** 42\n---\nDone",
        "1. Question: Who is Ann?\n   Answer: A baker.\n2. Question: How old is she?\n   Answer: 42",
        "### Question 1: Who is Ann?\nAnswer: A baker.\n### Question 2: How old is she?\nAnswer: 42",
        "Q: Who is Ann? A: A baker.\nQ: How old is she? A: 42",
        "q1. Who is Ann?\na1. A baker.\nq2. How old is she?\na2. 42",
        "<think>Q: What?\nA: Hm.</think>Q: Who is Ann?\nA: A baker.\nQ: How old is she?\nA: 42",
        "- Who is Ann?\n  A baker.\n- How old is she?\n  42",
        "1) **Who is Ann?**\nA baker.\n\n2) **How old is she?**\n42",
        "Q: Who is Ann?\nA baker.\nQ: How old is she?\n42",
        '{"question": "Who is Ann?", "answer": "A baker."}\n{"question": "How old is she?", "answer": 42}',
        '```json\n[{"Question": "Who is Ann?", "Answer": "A baker."},\n{"q": "How old is she?", "a": "42"}]\n```',
        "{'question': 'Who is Ann?', 'answer': 'A baker.'},\n{'question': 'How old is she?', 'answer': '42'}",
    ],
)
def test_pairs_are_found_in_whatever_form_a_model_writes_them(text: str) -> None:
    assert find_pairs(text) == PAIRS


def test_of_a_json_that_was_cut_off_the_whole_objects_are_found() -> None:
    text = '{"questions": [{"prompt": "Who is Ann?", "completion": "A baker."}, {"question": "How old is she?", "ans'
    assert find_pairs(text) == PAIRS[:1]


@given(pairs)
def test_pairs_written_as_lines_or_as_json_come_back(wanted: list[tuple[str, str]]) -> None:
    assert find_pairs("\n".join(f"Q: {question}\nA: {answer}" for question, answer in wanted)) == wanted
    as_json = [json.dumps({"question": question, "answer": answer}) for question, answer in wanted]
    assert find_pairs("\n".join(as_json)) == wanted
    assert find_pairs("[" + ", ".join(as_json) + "]") == wanted


@given(st.text(max_size=300) | st.text(st.sampled_from("{}[]\":,QA?\n \\'a1"), max_size=300))
def test_what_is_found_in_any_text_has_no_blanks_around_it(text: str) -> None:
    for pair in find_pairs(text):
        assert tuple(part.strip() for part in pair) == pair


def test_a_question_without_an_answer_is_there_with_an_empty_one() -> None:
    assert find_pairs("Q: Who is Ann?\nQ: How old is she?\nA: 42") == [("Who is Ann?", ""), PAIRS[1]]
    assert find_pairs('{"question": "Who is Ann?"}') == [("Who is Ann?", "")]


@pytest.mark.parametrize("text", ["", "I cannot do that.", "{}", "[1, 2]", '{"name": "Ann"}', "A: 42"])
def test_a_text_without_a_question_gives_none(text: str) -> None:
    assert find_pairs(text) == []


SLOW = ["{" * 60_000, '{"a":' * 12_000, "{'" * 30_000, "Q:" * 30_000, "?\n" * 30_000, " " * 60_000, "Q: a?\n" * 9_000]


@pytest.mark.parametrize("text", SLOW)
def test_a_text_made_to_be_slow_is_done_with(text: str) -> None:
    assert all(len(question) + len(answer) <= len(text) for question, answer in find_pairs(text))
