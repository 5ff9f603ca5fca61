"""The diagnosis names the gap that was planted, asks no test row and nothing twice, and says what it cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.answering import Answer, LocalAnswerer
from advisor.approaches import Prompt, Tools
from advisor.diagnosis import Gap, diagnose, main_gap
from advisor.diagnosis.lenient import LenientReader
from advisor.diagnosis.noise import noise_of
from advisor.metrics import metric_for, metric_named
from advisor.retrieval import Document
from advisor.task import make_task
from dataset_tools.example import Example
from tests.advisor.approach_support import DOCUMENTS

Rows = Callable[..., list[Example]]
NAMES = {"format", "behaviour", "knowledge", "retrieval", "reading", "capacity", "noise"}
LAMPS = [
    f"{first}{last}" for first in ("Val", "Mor", "Tel", "Bra", "Sun", "Kes") for last in ("dor", "ix", "una", "tep")
]
CODES = {lamp: f"KX{(place * 37 + 411) % 900 + 100}" for place, lamp in enumerate(LAMPS)}
MANUALS = tuple(
    Document(lamp, f"# {lamp}\n\nThe {lamp} lamp is repaired under the service code {code}.")
    for lamp, code in CODES.items()
)


class Scripted:
    """Answers by a rule on the prompt and the example, and keeps all that it was asked."""

    def __init__(self, rule: Callable[[Prompt, Example], str]) -> None:
        self.rule = rule
        self.asked: list[Prompt] = []
        self.rows: list[Example] = []

    def __call__(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[Answer]:
        self.asked += prompts
        self.rows += examples
        texts = [self.rule(prompt, example) for prompt, example in zip(prompts, examples, strict=True)]
        return [Answer(text, 10, 5, stopped=True) for text in texts]


def right(prompt: Prompt, example: Example) -> str:
    return example.completion


def wrong(prompt: Prompt, example: Example) -> str:
    return "I would rather not say."


def with_facts(prompt: Prompt, example: Example) -> str:
    """Knows a code only where the question's own message holds it: in a passage."""
    return example.completion if example.completion in prompt[-1].content else "Nobody knows."


def in_prose(prompt: Prompt, example: Example) -> str:
    return f"Sure, I looked at it with care: {example.completion} I hope that helps!"


def once_shown(prompt: Prompt, example: Example) -> str:
    return example.completion if len(prompt) > 1 else "Somebody should look at this."


@pytest.fixture(scope="module")
def make_tools(tokenizer: Any) -> Callable[..., Tools]:
    def make(pool: Sequence[Example], asked: Sequence[Example] = (), **options: Any) -> Tools:
        kind = options.pop("kind", None)
        test = [Example.of("Which of our four offices has no window at all?", "The archive")]
        task = replace(make_task(list(pool), test, kind=kind), pool=tuple(pool), validation=tuple(asked))
        given = {"context": 4096, "passages": (2, 60), "demonstrations": (4, 2000)}
        return Tools(task=task, tokenizer=tokenizer, **{**given, **options})

    return make


def codes(question: str = "Which service code does the {} lamp have?") -> list[Example]:
    return [Example.of(question.format(lamp, at), code, record=at) for at, (lamp, code) in enumerate(CODES.items(), 1)]


def gaps_of(tools: Tools, rule: Callable[[Prompt, Example], str], **options: Any) -> dict[str, Gap]:
    found = diagnose(tools, **{"metric": tools.task.metric, "answer": Scripted(rule), "rows": 24, **options})
    return {gap.name: gap for gap in found}


def named(gaps: dict[str, Gap]) -> str | None:
    main = main_gap(list(gaps.values()))
    return main.name if main else None


# --- planted gaps are named


def test_facts_that_only_a_passage_tells_are_a_gap_of_knowledge(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    gaps = gaps_of(make_tools(rows[:8], rows[8:], documents=MANUALS, kind="short-answer"), with_facts)
    assert named(gaps) == "knowledge"
    assert gaps["knowledge"].size == 1.0
    assert not gaps["retrieval"].sure and not gaps["reading"].sure and not gaps["behaviour"].sure
    assert "retrieval can close that" in gaps["knowledge"].sentence


def test_passages_that_the_question_does_not_find_are_a_gap_of_retrieval(make_tools: Callable[..., Tools]) -> None:
    rows = codes("What do I quote for the thing on shelf {1}?")
    gaps = gaps_of(make_tools(rows[:8], rows[8:], documents=MANUALS, kind="short-answer"), with_facts)
    assert named(gaps) == "retrieval"
    assert gaps["knowledge"].sure, "facts are lacking as well, but the search is what is missing"
    assert "better search" in gaps["retrieval"].sentence


def test_passages_that_hold_the_answer_in_vain_are_a_gap_of_reading(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    gaps = gaps_of(make_tools(rows[:8], rows[8:], documents=MANUALS, kind="short-answer"), wrong)
    assert named(gaps) == "reading"
    assert (gaps["reading"].size, gaps["knowledge"].size) == (1.0, 0.0)


def test_what_the_passages_do_not_hold_is_no_gap_of_reading(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    first = MANUALS[:9]  # the pool's eight, so that documents are of use, and one of the sixteen that are asked
    gaps = gaps_of(make_tools(rows[:8], rows[8:], documents=first, kind="short-answer"), wrong)
    assert gaps["reading"].size == pytest.approx(1 / 16)
    none = gaps_of(make_tools(rows[:8], rows[8:], documents=MANUALS[:8], kind="short-answer"), wrong)
    assert none["reading"].size is None and "hold none" in none["reading"].sentence


def test_json_that_is_always_wrapped_in_prose_is_a_gap_of_format(make_tools: Callable[..., Tools]) -> None:
    rows = [
        Example.of(f"Read the order: {number} {lamp}", json.dumps({"lamp": lamp, "count": number}), record=number)
        for number, lamp in enumerate(LAMPS, 1)
    ]
    tools = make_tools(rows[:8], rows[8:])
    assert tools.task.kind == "json"
    gaps = gaps_of(tools, in_prose)
    assert named(gaps) == "format"
    assert (gaps["format"].size, gaps["behaviour"].size) == (1.0, 0.0)


@pytest.mark.parametrize("metric", ["accuracy", "exact-match"])
def test_labels_and_short_answers_in_a_sentence_are_a_gap_of_format(
    make_tools: Callable[..., Tools], make_tickets: Rows, metric: str
) -> None:
    tools = make_tools(make_tickets(40), make_tickets(24, start=100), kind="classification")
    assert named(gaps_of(tools, in_prose, metric=metric_named(metric))) == "format"


def test_a_form_that_is_known_once_it_was_shown_is_a_gap_of_behaviour(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    gaps = gaps_of(make_tools(make_tickets(40), make_tickets(24, start=100), documents=DOCUMENTS), once_shown)
    assert named(gaps) == "behaviour"
    assert gaps["behaviour"].size == 1.0
    assert gaps["knowledge"].size == gaps["reading"].size == 0, "the prompts with passages have the worked examples too"


def test_what_a_larger_model_can_do_is_a_gap_of_capacity(make_tools: Callable[..., Tools], make_tickets: Rows) -> None:
    larger = Scripted(right)
    gaps = gaps_of(make_tools(make_tickets(40), make_tickets(24, start=100)), wrong, larger=larger)
    assert named(gaps) == "capacity"
    assert gaps["capacity"].answers == len(larger.asked) == 24


def test_one_prompt_with_different_answers_is_a_gap_of_noise(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    rows = make_tickets(40)
    doubts = [Example.of(row.question.upper(), "MAIL" if row.completion != "MAIL" else "CAFE") for row in rows[:30]]
    gaps = gaps_of(make_tools([*rows, *doubts], make_tickets(24, start=100)), right)
    assert named(gaps) == "noise"
    assert gaps["noise"].size == pytest.approx(30 / 94) and gaps["noise"].rows == 94
    assert "60 one that occurs with another answer" in gaps["noise"].sentence


def test_where_all_is_well_there_is_no_main_gap(make_tools: Callable[..., Tools], make_tickets: Rows) -> None:
    gaps = gaps_of(make_tools(make_tickets(40), make_tickets(24, start=100), documents=DOCUMENTS), right)
    assert named(gaps) is None
    assert "no sure gap" in gaps["behaviour"].sentence


# --- what is asked


@pytest.mark.parametrize("validation", [0, 20])
def test_no_test_row_is_asked_nothing_is_asked_twice_and_every_answer_is_counted(
    make_tools: Callable[..., Tools], make_tickets: Rows, validation: int
) -> None:
    answer = Scripted(once_shown)
    tools = make_tools(make_tickets(40), make_tickets(validation, start=100), documents=DOCUMENTS)
    told: list[str] = []
    gaps = diagnose(tools, metric=tools.task.metric, answer=answer, rows=12, tell=told.append)
    assert sum(gap.answers for gap in gaps) == len(answer.asked) == len(set(answer.asked)) <= 48
    assert not any("no window at all" in message.content for prompt in answer.asked for message in prompt)
    expected = set(tools.task.validation[:12] or tools.task.pool)
    assert set(answer.rows) <= expected and len(set(answer.rows)) == 12
    assert told and all("looking for gaps" in line for line in told)


def test_without_validation_rows_some_of_the_pool_are_asked_and_not_shown(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    answer = Scripted(once_shown)
    tools = make_tools(make_tickets(30))
    diagnose(tools, metric=tools.task.metric, answer=answer, rows=100)
    asked = {row.question for row in answer.rows}
    shown = {message.content for prompt in answer.asked for message in prompt[:-1] if message.role == "user"}
    assert len(asked) == 15 and shown and not asked & shown
    assert len(tools.task.pool) == 30, "the task itself keeps its rows"


def test_with_nothing_to_spare_every_gap_says_why_it_is_not_measured(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    answer = Scripted(right)
    for tools, rows in ((make_tools(make_tickets(1)), 12), (make_tools(make_tickets(40)), 0)):
        gaps = diagnose(tools, metric=tools.task.metric, answer=answer, rows=rows)
        assert {gap.name for gap in gaps} == NAMES and not answer.asked
        assert all("no examples to spare" in gap.sentence for gap in gaps if gap.name != "noise")
        assert main_gap(gaps) is None


def test_without_documents_or_a_larger_model_their_gaps_say_so(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    tools = make_tools(make_tickets(40), make_tickets(24, start=100))
    found = diagnose(tools, metric=tools.task.metric, answer=Scripted(once_shown), rows=24)
    gaps = {gap.name: gap for gap in found}
    assert set(gaps) == NAMES
    for name in ("knowledge", "retrieval", "reading"):
        assert gaps[name].size is None and "there are no documents" in gaps[name].sentence
    assert "no larger model" in gaps["capacity"].sentence
    assert "no prompt occurs more than once" in gaps["noise"].sentence
    measured = [gap.size for gap in found if gap.size is not None]
    assert measured == sorted(measured, reverse=True) and found[0].name == "behaviour"
    strange = replace(tools, documents=(Document("Tides", "# Tides\n\nHigh water comes twice."),))
    assert "share nothing" in gaps_of(strange, right)["knowledge"].sentence


def test_passages_give_way_to_the_worked_examples_where_both_do_not_fit(
    make_tools: Callable[..., Tools], make_tickets: Rows
) -> None:
    answer = Scripted(once_shown)
    rows = make_tickets(24, start=100)
    tools = make_tools(make_tickets(40), rows, documents=DOCUMENTS)
    block = [
        prompt for prompt in _asked(tools, Scripted(once_shown)) if len(prompt) > 1 and "[1]" not in prompt[-1].content
    ]
    tools = replace(tools, context=max(map(tools.tokens_of, block)) + tools.longest_answer + 20)
    gaps = diagnose(tools, metric=tools.task.metric, answer=answer, rows=24)
    assert all(tools.fits(prompt) for prompt in answer.asked)
    assert {gap.name: gap.size for gap in gaps}["behaviour"] == 1.0


def _asked(tools: Tools, answer: Scripted) -> list[Prompt]:
    diagnose(tools, metric=tools.task.metric, answer=answer, rows=24)
    return answer.asked


def test_a_metric_that_no_right_answer_fills_leaves_reading_unmeasured(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    tools = make_tools(rows[:8], rows[8:], documents=MANUALS, kind="text")
    gaps = gaps_of(tools, with_facts)
    assert named(gaps) == "knowledge"
    assert gaps["reading"].size is None and "full marks" in gaps["reading"].sentence


def test_tests_of_code_have_no_lenient_reading_and_no_noise(
    make_tools: Callable[..., Tools], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_RUN_CODE", "1")
    rows = [Example.of(f"Write f that adds {n} to x.", f"assert f(1) == {n + 1}", record=n) for n in range(1, 9)]
    tools = make_tools(rows[:4], rows[4:6], kind="code")
    gaps = gaps_of(tools, wrong, metric=metric_named("code-tests"))
    assert gaps["format"].size is None and gaps["noise"].size is None
    assert gaps["behaviour"].size == 0.0


# --- likelihoods


def test_likelihoods_are_told_in_nats_and_never_are_the_main_gap(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    tools = make_tools(rows[:8], rows[8:], documents=MANUALS, kind="short-answer")

    def nll(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[tuple[float, int]]:
        """Three nats a token; one less with worked examples, two less with the fact."""
        held = zip(prompts, completions, strict=True)
        return [(4 * (3.0 - (len(p) > 1) - 2 * (done in p[-1].content)), 4) for p, done in held]

    gaps = gaps_of(tools, right, nll=nll)
    sizes = {name: gap.size for name, gap in gaps.items() if gap.unit == "nats"}
    assert sizes == {
        "likelihood-behaviour": pytest.approx(1.0),
        "likelihood-knowledge": pytest.approx(2.0),
        "likelihood-both": pytest.approx(3.0),
    }
    assert gaps["likelihood-both"].sure and "nats a token" in gaps["likelihood-both"].sentence
    assert named(gaps) is None
    without = gaps_of(replace(tools, documents=()), right, nll=nll)
    assert [name for name in without if name.startswith("likelihood")] == ["likelihood-behaviour"]


def test_likelihoods_that_do_not_change_have_an_interval_around_nothing(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    gaps = gaps_of(make_tools(rows[:8], rows[8:]), right, nll=lambda prompts, wanted: [(2.0, 1)] * len(wanted))
    low, high = gaps["likelihood-behaviour"].interval or (1.0, 1.0)
    assert gaps["likelihood-behaviour"].size == 0 and low < 0 < high


@pytest.mark.usefixtures("one_thread")
def test_a_real_model_is_diagnosed(make_tools: Callable[..., Tools], make_tickets: Rows, tiny_model: Path) -> None:
    from training.models.loading import load_model

    model = LocalAnswerer(load_model(str(tiny_model), dtype="float32"))
    tools = make_tools(
        make_tickets(20), make_tickets(8, start=100), documents=DOCUMENTS, context=1000, passages=(1, 60)
    )
    tools.demonstrations = (2, 500)

    def answer(prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[Answer]:
        return model.answer(prompts, max_new_tokens=6, tools=[example.tools for example in examples])

    gaps = diagnose(tools, metric=tools.task.metric, answer=answer, nll=model.nll, rows=8)
    names = [gap.name for gap in gaps]
    assert set(names) == NAMES | {"likelihood-behaviour", "likelihood-knowledge", "likelihood-both"}
    assert len(names) == 10
    assert 8 <= sum(gap.answers for gap in gaps) <= 32
    assert all(gap.size is not None for gap in gaps if gap.unit == "nats")
    assert json.loads(json.dumps([gap.to_dict() for gap in gaps]))[0]["name"] == names[0]


# --- lenient reading

LABELS = ["urgent", "not urgent", "A", "no", "Billing", "Billing query", "积极", "消极"]
READ = [
    ("accuracy", "It is not urgent, I think.", "not urgent", 1.0),
    ("accuracy", "It is NOT  URGENT.", "urgent", 0.0),
    ("accuracy", "Either urgent or Billing.", "urgent", 0.0),
    ("accuracy", "a billing matter", "Billing", 1.0),
    ("accuracy", "a billing query", "Billing", 0.0),
    ("accuracy", "This is a matter for A", "A", 1.0),
    ("accuracy", "Rebilling of nobody", "Billing", 0.0),
    ("accuracy", "答案是积极。", "积极", 1.0),
    ("sample-f1", "Labels are urgent and Billing", "Billing, urgent", 1.0),
    ("sample-f1", "I see Billing here", "Billing, urgent", 2 / 3),
    ("json-exact", 'Here it is:\n```json\n{"a": 1}\n```', '{"a": 1}', 1.0),
    ("json-exact", 'Of course. {"a": 1} Anything else?', '{"a": 1}', 1.0),
    ("json-field-f1", 'Of course. {"a": 1} Anything else?', '{"a": 2}', 0.0),
    ("numeric", "42, as 6 x 7 is what is asked", "42", 1.0),
    ("numeric", "The answer is $42, by 6 and 7.", "42", 1.0),
    ("numeric", "Take 3, then 5, then 8: done", "5", 0.0),
    ("exact-match", "That would be the Eiffel Tower in Paris.", "Eiffel Tower", 1.0),
    ("exact-match", "I have no idea what is meant", "no", 0.0),
    ("exact-match", "No, it is not.", "no", 1.0),
    ("token-f1", "Nothing of it", "Eiffel Tower", 0.0),
    ("rouge-l", "Here is the summary:\n\nThe cat sat.", "The cat sat.", 1.0),
]


@pytest.mark.parametrize(("metric", "answer", "wanted", "expected"), READ)
def test_an_answer_is_read_leniently(metric: str, answer: str, wanted: str, expected: float) -> None:
    chosen = metric_named(metric)
    reader = LenientReader(chosen, kind="text", known=LABELS)
    strict = chosen.scores([answer], [wanted])
    assert reader.scores([answer], [wanted], strict=strict)[0] == pytest.approx(expected)
    assert strict[0] < 1


def test_code_is_read_out_of_a_fence() -> None:
    chosen, wanted = metric_for("code"), "def f(x):\n    return x + 1"
    answer = f"Here you are.\n```python\n{wanted}\n```\nIt adds one to x and gives that back."
    reader = LenientReader(chosen, kind="code", known=[])
    strict = chosen.scores([answer], [wanted])
    assert reader.scores([answer], [wanted], strict=strict)[0] > 0.99 > strict[0]


@given(
    answer=st.text(max_size=40) | st.sampled_from([row[1] for row in READ]),
    wanted=st.text(min_size=1, max_size=12) | st.sampled_from([row[2] for row in READ]),
    metric=st.sampled_from(["accuracy", "sample-f1", "json-field-f1", "numeric", "token-f1", "rouge-l", "chrf"]),
    kind=st.sampled_from(["classification", "multi-label", "json", "numeric", "short-answer", "code", "text"]),
)
def test_lenient_is_never_below_strict(answer: str, wanted: str, metric: str, kind: str) -> None:
    chosen = metric_named(metric)
    strict = chosen.scores([answer], [wanted])
    lenient = LenientReader(chosen, kind=kind, known=[*LABELS, wanted]).scores([answer], [wanted], strict=strict)
    assert strict[0] <= lenient[0] <= 1


# --- noise, and what is said


def test_noise_is_what_the_commonest_answer_misses() -> None:
    rows = [Example.of("Is it wet?", answer) for answer in ("yes", "Yes", "no", "yes ")]
    rows += [Example.of(f"Is number {number} wet?", "no") for number in range(36)]
    found_by = metric_for("classification")
    found = noise_of(rows, found_by)
    assert found.lost.estimate == pytest.approx(1 / 40)
    assert (found.disagreeing, found.repeated, found.rows) == (4, 4, 40)
    assert found.lost.low == 0.0, "one prompt alone is not sure to be noise"
    one = noise_of([Example.of("Is it wet?", answer) for answer in ["yes"] * 20 + ["no"] * 20] + rows[4:], found_by)
    assert one.lost.estimate == pytest.approx(20 / 76) and one.lost.low == 0.0, "nor is it with many rows"
    number = noise_of([Example.of("Six by seven?", "42"), Example.of("Six by seven?", "42.0")], metric_for("numeric"))
    assert (number.lost.estimate, number.disagreeing) == (0.0, 0)


def gap(name: str, size: float | None, low: float = 0.1, rows: int = 24, **options: Any) -> Gap:
    interval = None if size is None else (low, 1.0)
    return Gap(name, name.title(), size, interval, rows, "...", **options)


def test_the_main_gap_is_the_largest_that_is_sure() -> None:
    assert main_gap([]) is None
    assert main_gap([gap("format", None), gap("behaviour", 0.3, low=-0.1)]) is None
    assert main_gap([gap("format", 0.9, rows=5)]) is None, "fewer rows tell nothing"
    few = [gap("format", 0.2), gap("behaviour", 0.3), gap("capacity", 0.5, low=0.0), gap("reading", 4.0, unit="nats")]
    assert main_gap(few) == few[1]
    assert main_gap(few[::-1]) == few[1]


@pytest.mark.parametrize(("missed", "expected"), [(0.3, "knowledge"), (0.5, "retrieval")])
def test_retrieval_is_named_where_the_search_misses_most(missed: float, expected: str) -> None:
    found = main_gap([gap("knowledge", 0.8), gap("retrieval", missed), gap("behaviour", 0.6)])
    assert found is not None and found.name == expected


def test_a_sentence_has_the_size_its_interval_and_its_rows(make_tools: Callable[..., Tools]) -> None:
    rows = codes()
    found = gaps_of(make_tools(rows[:8], rows[8:], documents=MANUALS, kind="short-answer"), with_facts)
    knowledge = found["knowledge"]
    low, high = knowledge.interval or (0.0, 0.0)
    assert f"+100.0 points [{100 * low:+.1f}, {100 * high:+.1f}] on 16 examples" in knowledge.sentence
    five = gaps_of(make_tools(rows[:8], rows[8:13], kind="short-answer"), once_shown)["behaviour"]
    assert five.size == 1.0 and "too few rows" in five.sentence and not five.sure
