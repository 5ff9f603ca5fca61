from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.building import (
    CHECKS,
    Candidate,
    Draft,
    Generate,
    QuestionSettings,
    Section,
    add_candidates,
    question_prompt,
    write_questions,
)
from dataset_tools.building.candidate_checks import Checked, check_pair, passage_words
from dataset_tools.building.seen_questions import SeenQuestions
from dataset_tools.errors import ModelError
from dataset_tools.example import Example, Message

PASSAGE = (
    "The Larkfen kettle has a warranty of two years from the day of delivery. Limescale is not covered. "
    "It holds 1.7 litres and boils them in 3 minutes. Its base turns by 360 degrees, and it switches off by itself."
)
SECTION = Section("kettle.md", ("Larkfen kettle", "Warranty"), PASSAGE, "line", 3)
OTHER = Section(
    "toaster.md", (), "The Larkfen toaster has four slots and a tray for crumbs, which slides out.", "line", 1
)

Prompts = Sequence[Sequence[Message]]


def scripted(*answers: str) -> Generate:
    """A model that gives these answers, one after the other, then empty ones."""
    left = list(answers)
    return lambda prompts: [left.pop(0) if left else "" for _ in prompts]


def reasons(question: str, answer: str, section: Section = SECTION) -> list[str]:
    instruction = question_prompt(section)[0].content.split("\nPassage")[0]
    pair = Checked(question, answer, section, passage_words(section), instruction, 0.6)
    return [reason.check for reason in check_pair(pair)]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How long is the warranty of the Larkfen kettle?", "Two years"),
        ("How long is the warranty of the Larkfen kettle?", "2 years from delivery."),
        ("How much water does the kettle hold?", "It holds 1.70 litres."),
        ("Does the warranty cover limescale?", "No, limescale is not covered."),
        ("What does the base do?", "It turns by 360 degrees."),
        ("How far can the base of the kettle be turned?", "By 360 degrees"),
    ],
)
def test_an_answer_from_the_passage_is_kept(question: str, answer: str) -> None:
    assert reasons(question, answer) == []


BAD = [
    ("How long is the warranty?", "", "no-answer"),
    ("How long is the warranty?", "Use the language of the passage, two years", "prompt-leak"),
    ("...", "...", "prompt-leak"),
    ("How long is the warranty?", "Two years<|im_end|>", "prompt-leak"),
    ("How long is the [question]?", "Two years", "prompt-leak"),
    ("How long is the warranty?", "I'm sorry, I cannot say.", "refusal"),
    ("Who covers limescale?", "The warranty is not mentioned in the passage.", "refusal"),
    ("Who covers limescale?", "Unknown.", "refusal"),
    ("Does the warranty cover limescale?", "No.", "yes-no"),
    ("Does the kettle switch off by itself?", "Yes, it does.", "yes-no"),
    ("Warranty?", "Two years", "short-question"),
    ("How long is the warranty?", "How long is the warranty", "answer-in-question"),
    ("Is the warranty two years?", "two years", "answer-in-question"),
    ("What does the passage say of the warranty?", "It is two years.", "mentions-passage"),
    ("How long is the warranty?", "According to the text, two years.", "mentions-passage"),
    ("How long is the warranty?", PASSAGE + " " + PASSAGE, "long-answer"),
    ("How long is the warranty?", "Five years", "unsupported"),
    ("How long is the warranty?", "24 months", "unsupported"),
    ("How much does the kettle hold?", "It holds 17 litres", "unsupported"),
    ("How long is the warranty?", "Sunday mornings suit gardeners", "unsupported"),
    ("Who painted the ceiling in Rome?", "Two years", "off-topic"),
    ("What is it about?", "Two years", "off-topic"),
]


@pytest.mark.parametrize(("question", "answer", "reason"), BAD)
def test_a_bad_candidate_is_rejected_for_its_reason(question: str, answer: str, reason: str) -> None:
    assert reason in reasons(question, answer)


def test_every_check_of_a_single_candidate_has_a_case_here() -> None:
    assert {reason for _, _, reason in BAD} == set(CHECKS) - {"duplicate", "answered-otherwise"}


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=200))
def test_any_texts_can_be_checked_and_every_reason_is_a_known_one(question: str, answer: str, passage: str) -> None:
    section = Section("d", (), passage, "line", 1)
    for reason in reasons(question, answer, section):
        assert reason in CHECKS


def test_the_same_question_is_a_duplicate_in_other_case_order_and_punctuation() -> None:
    seen = SeenQuestions([Example.of("How long is the warranty?", "Two years")])
    for question in ("how long is the WARRANTY", "How long is the warranty?!"):
        assert "same question" in str(seen.find(question, "Two years"))
    assert "another answer" in str(seen.find("How long is the warranty?", "Five months"))


def test_a_question_nearly_the_same_is_a_duplicate_only_with_the_same_answer() -> None:
    seen = SeenQuestions([Example.of("How much is plan A per month?", "It costs 5 pounds")])
    assert seen.find("How much is the plan A per month?", "It costs 5 pounds") is not None
    assert seen.find("How much is plan B per month?", "It costs 9 pounds") is None
    assert seen.find("How do I leave plan A?", "It costs 5 pounds") is None


GOOD = "Q: How long is the warranty of the kettle?\nA: Two years\n"


def test_candidates_come_with_their_passage_and_go_to_a_draft_as_pending_or_rejected(tmp_path: Path) -> None:
    found = write_questions([SECTION], scripted(GOOD + "Q: Who made the Larkfen kettle?\nA: Emperor Napoleon"))
    kept, lost = found.candidates
    assert (kept.question, kept.answer) == ("How long is the warranty of the kettle?", "Two years")
    assert not kept.rejected and kept.section == SECTION and kept.support == 1
    draft = Draft(tmp_path)
    ids = add_candidates(draft, found.candidates, tags=["kettle"])
    row, other = draft.rows()
    assert [row.id, other.id] == ids and (row.status, other.status) == ("pending", "rejected")
    assert (row.source, row.passage, row.tags) == ("document", PASSAGE, ("kettle",))
    assert row.place == "kettle.md, line 3 (Larkfen kettle > Warranty)"
    assert row.example == Example(kept.to_example().messages, group="kettle.md")
    assert other.reason is not None and other.reason.startswith("unsupported: 100%") and "napoleon" in other.reason
    assert dict(draft.summary().reasons) == {"unsupported": 1}
    draft.set_status([row.id for row in draft.rows("pending", "kettle")], "accepted")
    assert draft.examples() == (kept.to_example(),)
    assert lost.to_row().status == "rejected"


def test_the_model_is_asked_for_each_passage_in_batches_with_the_shared_words_first() -> None:
    asked: list[int] = []
    prompts: list[str] = []

    def model(batch: Prompts) -> list[str]:
        asked.append(len(batch))
        prompts.extend(prompt[0].content for prompt in batch)
        return [""] * len(batch)

    sections = [Section("d", (), f"Passage number {number}.", "line", number) for number in range(1, 8)]
    steps: list[tuple[int, int]] = []
    found = write_questions(
        sections,
        model,
        settings=QuestionSettings(batch=3, per_section=5),
        progress=lambda done, of: steps.append((done, of)),
    )
    assert asked == [3, 3, 1] and steps == [(3, 7), (6, 7), (7, 7)]
    assert (found.candidates, found.empty, found.passages, found.of) == ((), 7, 7, 7)
    shared = prompts[0].split("Passage (")[0]
    assert "Write 5 questions" in shared
    for prompt, section in zip(prompts, sections, strict=True):
        assert prompt.startswith(shared) and prompt.endswith(section.text)


@pytest.mark.parametrize(("form", "wanted"), [("lines", "Q: ..."), ("json", '{"question": "..."')])
def test_the_form_is_asked_for_and_either_is_read(form: str, wanted: str) -> None:
    settings = QuestionSettings(form=form)  # type: ignore[arg-type]
    assert wanted in question_prompt(SECTION, settings)[0].content
    for answer in (GOOD, '{"question": "How long is the warranty of the kettle?", "answer": "Two years"}'):
        assert len(write_questions([SECTION], scripted(answer), settings=settings).kept) == 1


def test_it_stops_between_two_batches_and_keeps_what_there_is() -> None:
    saved: list[Candidate] = []
    found = write_questions(
        [SECTION, OTHER, SECTION],
        scripted(GOOD, GOOD, GOOD),
        settings=QuestionSettings(batch=1),
        save=saved.extend,
        stop=lambda: bool(saved),
    )
    assert (found.passages, found.of) == (1, 3) and tuple(saved) == found.candidates
    assert found.summary == (
        "0 of 1 candidates from 1 passages rejected; 1 kept. Stopped: 2 of 3 passages were not read."
    )


def test_an_error_of_the_model_loses_no_batch_before_it() -> None:
    saved: list[Candidate] = []
    answers = iter([[GOOD], []])
    with pytest.raises(ModelError):
        write_questions(
            [SECTION, OTHER], lambda _: next(answers), settings=QuestionSettings(batch=1), save=saved.extend
        )
    assert len(saved) == 1


def test_questions_that_rows_or_earlier_candidates_asked_are_not_asked_again() -> None:
    found = write_questions([SECTION, SECTION], scripted(GOOD, GOOD))
    assert [candidate.rejected for candidate in found.candidates] == [False, True]
    known = [Example.of("How long is the warranty of the kettle?", "2 years")]
    assert write_questions([SECTION], scripted(GOOD), known=known).rejected == {"duplicate": 1}


def test_a_question_whose_first_answer_was_rejected_may_be_asked_again() -> None:
    wrong = "Q: How long is the warranty of the kettle?\nA: Seven months\n"
    found = write_questions([SECTION, SECTION], scripted(wrong, GOOD))
    assert [candidate.rejected for candidate in found.candidates] == [True, False]


def test_the_summary_counts_each_rejected_candidate_once_by_its_first_reason() -> None:
    made_up = "Q: Who made the Larkfen kettle?\nA: Emperor Napoleon\n"
    found = write_questions([SECTION, OTHER], scripted(GOOD + GOOD + made_up * 2 + "Q: Why?\nA: No", "I like toast."))
    assert found.rejected == {"unsupported": 2, "duplicate": 1, "yes-no": 1}
    assert found.summary == (
        "4 of 5 candidates from 2 passages rejected (2 are not supported by the passage, 1 repeat an earlier question, "
        "1 say only yes or no); 1 kept. 1 answers of the model held no question."
    )


def test_passages_are_drawn_by_the_seed_and_keep_their_order() -> None:
    sections = [Section("d", (), f"Passage {number}.", "line", number) for number in range(40)]

    def drawn(seed: int) -> list[str]:
        prompts: list[str] = []

        def model(batch: Prompts) -> list[str]:
            prompts.extend(prompt[0].content for prompt in batch)
            return [""] * len(batch)

        found = write_questions(sections, model, settings=QuestionSettings(most_sections=5, seed=seed))
        assert found.of == 5
        return prompts

    assert drawn(1) == drawn(1) != drawn(2)
    lines = [int(prompt.rsplit("Passage ", 1)[1].rstrip(".")) for prompt in drawn(1)]
    assert lines == sorted(set(lines))


def reader(with_passage: str, without: str) -> Generate:
    """A model that writes one question, and answers it so with and so without the passage."""

    def model(prompts: Prompts) -> list[str]:
        said = [prompt[-1].content for prompt in prompts]
        return [GOOD if "Write 3" in text else with_passage if "Passage:" in text else without for text in said]

    return model


def test_the_model_itself_can_be_asked_with_and_without_the_passage() -> None:
    settings = QuestionSettings(verify=True)
    agreed = write_questions([SECTION], reader("It is 2 years.", "No idea"), settings=settings).candidates[0]
    assert (agreed.rejected, agreed.note) == (False, "")
    known = write_questions([SECTION], reader("2 years", "Two years, I think"), settings=settings).candidates[0]
    assert not known.rejected and "without the passage" in known.note and "without" in str(known.to_row().reason)
    otherwise = write_questions([SECTION, SECTION], reader("3 years", "3 years"), settings=settings)
    assert [list(map(str, one.reasons)) for one in otherwise.candidates] == [
        ["answered-otherwise: with the passage it says '3 years'"],
        ["duplicate: the same question was asked before"],
    ]


def test_a_question_that_the_model_answered_otherwise_may_be_asked_again() -> None:
    replies = iter([[GOOD], ["3 years", "?"], [GOOD], ["2 years", "?"]])
    found = write_questions(
        [SECTION, SECTION], lambda _: next(replies), settings=QuestionSettings(verify=True, batch=1)
    )
    assert [candidate.rejected for candidate in found.candidates] == [True, False]


def test_settings_that_make_no_sense_are_refused() -> None:
    for change in ({"per_section": 0}, {"batch": 0}, {"least_support": 1.5}):
        with pytest.raises(ValueError):
            QuestionSettings(**change)


def test_questions_that_people_wrote_pass_and_answers_from_other_passages_do_not(dev: Path) -> None:
    """Real questions and answers (XQuAD) with their passages: what the thresholds were chosen by."""
    folder = dev / "xquad_rag"

    def rows(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]

    documents = {row["id"]: row for row in rows("docs.jsonl")}
    sections = [
        Section(documents[row["doc_id"]]["title"], (), documents[row["doc_id"]]["text"], "line", 1)
        for row in rows("test_refs.jsonl")
    ]
    questions = [row["prompt"].split("Question:")[1].strip() for row in rows("test.jsonl")]
    answers = [row["answers"][0] for row in rows("test_refs.jsonl")]
    triples = list(zip(questions, answers, sections, strict=True))
    right = sum(not reasons(*triple) for triple in triples) / len(triples)
    moved = sections[7:] + sections[:7]
    wrong = sum(
        not reasons(question, answer, section)
        for question, answer, section, own in zip(questions, answers, moved, sections, strict=True)
        if section.document != own.document
    ) / len(triples)
    assert right >= 0.96 and wrong <= 0.02
