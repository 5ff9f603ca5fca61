"""Each approach builds the prompts that it promises, from the pool alone, and within the tokens it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.approaches import APPROACHES, ARM_TITLES, Approach, Tools
from advisor.approaches.corpus import Corpus
from advisor.approaches.few_shot import FewShotFixed, FewShotNearest
from advisor.approaches.fine_tuned import FineTuned, FineTunedFewShot, FineTunedRetrieval
from advisor.approaches.retrieval import Retrieval, RetrievalFewShot, share_found
from advisor.approaches.zero_shot import ZeroShot
from advisor.retrieval import Document, Passage, embed
from advisor.task import Task, make_task
from dataset_tools.errors import DocumentsError, UsageError
from dataset_tools.example import Example, Message
from tests.advisor.approach_support import DOCUMENTS, Trainer, chat, prepared, shown

Rows = Callable[..., list[Example]]


@pytest.fixture(scope="module")
def task(make_tickets: Rows) -> Task:
    test = make_tickets(10, start=100)
    planted = [replace(row, record=900 + row.record) for row in test[:3]]
    return make_task([*make_tickets(48), *planted], test)


@pytest.fixture
def tools(task: Task, tokenizer: Any, tmp_path: Path) -> Tools:
    return Tools(
        task=task,
        tokenizer=tokenizer,
        context=4096,
        documents=DOCUMENTS,
        passages=(2, 120),
        demonstrations=(5, 2000),
        train=Trainer(tmp_path),
    )


@pytest.mark.parametrize("kind", APPROACHES, ids=lambda kind: kind.name)
def test_every_prompt_ends_with_its_own_question_and_holds_no_other_test_row(
    kind: type[Approach], tools: Tools
) -> None:
    test = tools.task.test
    assert tools.task.removed_as_leaks == 3
    prompts = prepared(kind, tools).prompts(test)
    assert len(prompts) == len(test)
    for example, prompt in zip(test, prompts, strict=True):
        assert prompt[-1].role == "user" and prompt[-1].content.endswith(example.question)
        text = "\n".join(message.content for message in prompt)
        others = [other for other in test if other != example]
        assert not [other.record for other in others if tools.distinct(other) in text]
        assert text.count(tools.distinct(example)) == 1  # not shown as an example of itself either


@pytest.mark.parametrize("kind", APPROACHES, ids=lambda kind: kind.name)
def test_the_same_preparation_gives_the_same_prompts_in_any_order_of_the_rows(
    kind: type[Approach], tools: Tools
) -> None:
    test = tools.task.test
    first = prepared(kind, tools).prompts(test)
    assert prepared(kind, tools).prompts(tuple(reversed(test))) == list(reversed(first))


def test_names_and_titles_are_all_different_and_the_cheapest_comes_first() -> None:
    assert list(ARM_TITLES) == [
        "zero-shot",
        "instruction",
        "classifier",
        "few-shot-fixed",
        "few-shot",
        "corpus",
        "rag",
        "rag-few-shot",
        "qlora",
        "qlora-few-shot",
        "qlora-rag",
    ]
    assert len(set(ARM_TITLES.values())) == len(APPROACHES)


def test_zero_shot_is_the_users_prompt_untouched(tools: Tools) -> None:
    row = chat("Hello", "Hi", "And now?", "Now.", system="Be brief.")
    assert prepared(ZeroShot, tools).prompts([row]) == [row.prompt]


def test_few_shot_shows_the_nearest_rows_of_the_pool_with_the_nearest_last(tools: Tools) -> None:
    pool, test = tools.task.pool, tools.task.test
    closeness = embed([tools.distinct(row) for row in test]) @ embed([tools.distinct(row) for row in pool]).T
    for scores, prompt in zip(closeness, prepared(FewShotNearest, tools).prompts(test), strict=True):
        best = np.argsort(-scores, kind="stable")[:5]
        assert shown(prompt) == [(pool[index].question, pool[index].completion) for index in reversed(best)]


def test_few_shot_finds_the_row_that_means_the_same(tokenizer: Any, make_tickets: Rows) -> None:
    odd = Example.of("How do I get reimbursed for a train ticket?", "MONEY")
    task = make_task([*make_tickets(30), odd], make_tickets(8, start=100))
    tools = Tools(task=task, tokenizer=tokenizer, context=4096, demonstrations=(3, 2000))
    asked = Example.of("Where can I claim my travel expenses?", "MONEY")
    assert shown(prepared(FewShotNearest, tools).prompts([asked])[0])[-1] == (odd.question, "MONEY")


@pytest.mark.parametrize("kind", [FewShotNearest, FewShotFixed], ids=lambda kind: kind.name)
def test_worked_examples_keep_to_their_budget_of_tokens(kind: type[Approach], tools: Tools) -> None:
    row = max(tools.tokens_of(example.messages) for example in tools.task.pool)
    counts = []
    for budget in (3 * row, 2 * row, 1):
        tools.demonstrations = (5, budget)
        prompts = prepared(kind, tools).prompts(tools.task.test)
        for example, prompt in zip(tools.task.test, prompts, strict=True):
            demonstrations = prompt[:-1]
            assert tools.tokens_of(demonstrations) <= max(budget, row)
            assert prompt[-1] == example.prompt[-1]
        counts.append(max(len(shown(prompt)) for prompt in prompts))
    assert counts[0] >= counts[1] >= counts[2] == 1  # the first example is always shown


@pytest.mark.parametrize("kind", [FewShotNearest, FewShotFixed], ids=lambda kind: kind.name)
def test_before_a_long_question_examples_are_cut_and_the_question_is_not(kind: type[Approach], tools: Tools) -> None:
    tools.context = 1000
    usual = Example.of("Our gate is stuck.", "DOORS")
    long = Example.of("The gate is stuck. " * 60, "DOORS")
    too_long = Example.of("The gate is stuck. " * 600, "DOORS")
    plenty, few, none = prepared(kind, tools).prompts([usual, long, too_long])
    assert len(shown(plenty)) == 5 > len(shown(few))
    assert few[-1] == long.prompt[-1]
    assert all(tools.tokens_of(prompt) <= 1000 - tools.longest_answer for prompt in (plenty, few))
    assert none == too_long.prompt


def test_for_a_long_question_the_farthest_examples_go_first(tools: Tools) -> None:
    long = Example.of("The gate in the east wing is stuck and shows a red light. " * 8, "DOORS")
    tools.context = tools.tokens_of(long.prompt) + 350
    (cut,) = prepared(FewShotNearest, tools).prompts([long])
    tools.context = 4096
    (whole,) = prepared(FewShotNearest, tools).prompts([long])
    assert 0 < len(shown(cut)) < 5
    assert shown(cut) == shown(whole)[-len(shown(cut)) :]


def test_the_fixed_block_is_the_same_for_all_and_shows_different_labels(tools: Tools) -> None:
    prompts = prepared(FewShotFixed, tools).prompts(tools.task.test)
    assert len({prompt[:-1] for prompt in prompts}) == 1
    block = shown(prompts[0])
    assert len(set(block)) == 5
    assert {label for _, label in block} == {"PRINT", "DOORS", "MAIL", "CAFE"}


@pytest.mark.parametrize("kind", [FewShotNearest, FewShotFixed], ids=lambda kind: kind.name)
def test_a_pool_smaller_than_the_number_of_examples_is_shown_whole(
    kind: type[Approach], tokenizer: Any, make_tickets: Rows
) -> None:
    task = make_task(make_tickets(3), make_tickets(8, start=100))
    tools = Tools(task=task, tokenizer=tokenizer, context=4096, demonstrations=(6, 2000))
    (prompt,) = prepared(kind, tools).prompts(task.test[:1])
    assert sorted(shown(prompt)) == sorted((row.question, row.completion) for row in task.pool)


@pytest.mark.parametrize("kind", [FewShotNearest, FewShotFixed, RetrievalFewShot], ids=lambda kind: kind.name)
def test_in_a_conversation_the_system_message_leads_and_examples_come_before_the_turns(
    kind: type[Approach], tools: Tools
) -> None:
    pool = tuple(
        Example((Message("system", "Sort tickets."), *row.messages), record=row.record) for row in tools.task.pool
    )
    tools.task = replace(tools.task, pool=pool)
    asked = chat("The gate is stuck.", "Which gate?", "The one in the yard.", "DOORS", system="Sort tickets.")
    (prompt,) = prepared(kind, tools).prompts([asked])
    roles = [message.role for message in prompt]
    assert roles == ["system"] + ["user", "assistant"] * 5 + ["user", "assistant", "user"]
    assert prompt[0].content == "Sort tickets."
    assert prompt[-3:-1] == asked.prompt[1:3]
    assert prompt[-1].content.endswith("The one in the yard.")


def test_rag_puts_the_passages_it_finds_before_the_last_question_with_the_best_one_last(tools: Tools) -> None:
    test = tools.task.test
    found = tools.index.search([tools.distinct(row) for row in test], count=2)
    for example, passages, prompt in zip(test, found, prepared(Retrieval, tools).prompts(test), strict=True):
        assert prompt[:-1] == example.prompt[:-1]
        text = prompt[-1].content
        assert f"[1] {passages[1].whole}\n\n[2] {passages[0].whole}\n\n{example.question}" in text
        assert "[3]" not in text


def test_rag_leaves_earlier_turns_and_the_system_message_as_they_are(tools: Tools) -> None:
    asked = chat("The gate is stuck.", "Which gate?", "The one with the badge reader.", "DOORS", system="Be brief.")
    (prompt,) = prepared(Retrieval, tools).prompts([asked])
    assert prompt[:3] == asked.prompt[:3]
    assert "porter" in prompt[3].content


def test_passages_that_do_not_fit_the_context_are_left_out_the_worst_first(tools: Tools) -> None:
    rag = prepared(Retrieval, tools)
    question = tools.task.test[0]
    ((best, worst),) = tools.index.search([tools.distinct(question)], count=2)
    lengths = {}
    for context in range(60, 400, 10):
        tools.context = context
        (prompt,) = rag.prompts([question])
        kept = [passage.text in prompt[-1].content for passage in (best, worst)]
        lengths[tuple(kept)] = tools.tokens_of(prompt)
        assert prompt[-1].content.endswith(question.question)
        if kept[0]:
            assert tools.tokens_of(prompt) <= context - tools.longest_answer
        else:
            assert prompt == question.prompt
    assert list(lengths) == [(False, False), (True, False), (True, True)]


def test_rag_with_examples_shows_the_fixed_block_without_passages_and_passages_only_with_the_question(
    tools: Tools,
) -> None:
    block = prepared(FewShotFixed, tools).block
    both = prepared(RetrievalFewShot, tools)
    plain = prepared(Retrieval, tools)
    for prompt, alone in zip(both.prompts(tools.task.test), plain.prompts(tools.task.test), strict=True):
        assert shown(prompt) == [(row.question, row.completion) for row in block]
        assert prompt[-1] == alone[-1]
    tools.context = tools.tokens_of(both.prompts(tools.task.test[:1])[0]) - 60  # no room for all passages
    (prompt,) = both.prompts(tools.task.test[:1])
    assert len(shown(prompt)) == 5 and prompt[-1].content.count("\n\n[") < 2


def test_fine_tuning_trains_on_the_pool_and_asks_the_bare_question(tools: Tools, tmp_path: Path) -> None:
    tuned = prepared(FineTuned, tools)
    assert tuned.adapter == tmp_path
    assert isinstance(tools.train, Trainer)
    assert tuple(tools.train.rows) == tools.task.pool
    assert tuple(tools.train.held_out) == tools.task.validation
    assert tuned.prompts(tools.task.test) == [row.prompt for row in tools.task.test]


def test_fine_tuning_on_passages_trains_on_the_prompts_that_it_will_be_asked_with(tools: Tools) -> None:
    tuned = prepared(FineTunedRetrieval, tools)
    assert tuned.adapter is not None and isinstance(tools.train, Trainer)
    for rows, source in ((tools.train.rows, tools.task.pool), (tools.train.held_out, tools.task.validation)):
        assert [row.prompt for row in rows] == prepared(Retrieval, tools).prompts(source)
        assert [(row.completion, row.record) for row in rows] == [(row.completion, row.record) for row in source]
        assert all("[1] " in row.question and "[2] " in row.question for row in rows)
    asked = {tools.distinct(row) for row in tools.task.test}
    trained = "\n".join(row.prompt_text for row in (*tools.train.rows, *tools.train.held_out))
    assert not [question for question in asked if question in trained]
    assert not {row.record for row in tools.train.rows} & set(range(900, 1100))  # the planted test rows


@pytest.mark.parametrize("kind", [FineTuned, FineTunedFewShot, FineTunedRetrieval], ids=lambda kind: kind.name)
def test_without_validation_rows_nothing_is_held_out(
    kind: type[Approach], tokenizer: Any, make_tickets: Rows, tmp_path: Path
) -> None:
    train = Trainer(tmp_path)
    task = make_task(make_tickets(12), make_tickets(8, start=100))
    prepared(kind, Tools(task=task, tokenizer=tokenizer, context=4096, documents=DOCUMENTS, train=train))
    assert (len(train.rows), train.held_out) == (12, [])


@pytest.mark.parametrize("kind", [FineTuned, FineTunedFewShot, FineTunedRetrieval], ids=lambda kind: kind.name)
def test_without_a_way_to_train_an_approach_that_needs_one_says_so(kind: type[Approach], tools: Tools) -> None:
    tools.train = None
    with pytest.raises(UsageError, match="needs a way to train"):
        prepared(kind, tools)


def test_passages_that_quote_a_test_row_are_dropped_and_counted(tools: Tools) -> None:
    leaked = tools.task.test[2]
    answered = f"Asked before: {tools.distinct(leaked).upper()} It went to {leaked.completion.lower()}."
    tools.documents = (*DOCUMENTS, Document("Old tickets", answered))
    tools.passages = (2, 200)
    prompts = prepared(Retrieval, tools).prompts([leaked])
    assert tools.removed_passages == 1
    assert len(tools.index.passages) == len(DOCUMENTS)
    assert "Asked before" not in prompts[0][-1].content


def test_a_quoted_test_row_that_was_cut_in_two_is_dropped_as_well(tools: Tools) -> None:
    leaked = tools.task.test[2]
    half = tools.distinct(leaked)
    tools.passages = (2, len(tools.tokenizer.encode(half)) + 10)
    text = f"# Old tickets\n\n{half}\n\nThis one was for {leaked.completion}, as always.\n\nThe end. " + "Bye. " * 30
    tools.documents = (*DOCUMENTS, Document("Old tickets", text))
    prompts = prepared(Retrieval, tools).prompts([leaked])
    assert tools.removed_passages >= 2
    assert half not in prompts[0][-1].content.removesuffix(leaked.question)
    assert not [passage for passage in tools.index.passages if "as always" in passage.text]
    assert [passage for passage in tools.index.passages if "Bye." in passage.text]


def test_a_passage_that_only_asks_the_question_stays(tools: Tools) -> None:
    tools.documents = (*DOCUMENTS, Document("Open tickets", f"Still open: {tools.task.test[2].question}"))
    assert len(tools.index.passages) == len(DOCUMENTS) + 1
    assert tools.removed_passages == 0


def test_documents_that_only_quote_test_rows_are_refused(tools: Tools) -> None:
    tools.documents = tuple(Document("", f"{row.question}\n{row.completion}") for row in tools.task.test)
    with pytest.raises(DocumentsError, match=r"(?s)No passage is left.*--docs"):
        prepared(Retrieval, tools)


def test_documents_without_a_word_of_the_answers_are_said_to_be_of_no_help(tools: Tools, tmp_path: Path) -> None:
    assert Retrieval().why_not(tools) == "" == Corpus().why_not(tools)
    tools.documents = (Document("Tides", "High water comes twice a day, and the moon has a hand in it."),)
    tools._clean.clear()
    for kind in (Retrieval, RetrievalFewShot, FineTunedRetrieval, Corpus):
        assert "share nothing" in kind().why_not(tools)
    assert ZeroShot().why_not(tools) == "" == FewShotFixed().why_not(tools)


@pytest.mark.parametrize(
    ("answer", "text", "share"),
    [
        ("Refunds take ten days", "The refund is made within a few days.", 2 / 4),
        ("yes", "The moon has a hand in it.", None),
        ("No.", "", None),
        ("B2", "", None),
        ("the and with", "the and with", None),
        ("crossing", "tides", 0.0),
        ('{"street": "Mill Lane"}', "Mill Lane is closed.", 2 / 3),
        ("東京都", "日本の首都は東京です。", 1 / 2),
    ],
)
def test_the_share_of_the_answers_words_that_documents_hold(answer: str, text: str, share: float | None) -> None:
    assert share_found([answer], [Passage("", text)]) == (None if share is None else pytest.approx(share))


def test_the_corpus_stands_first_and_alike_in_all_prompts(tools: Tools) -> None:
    corpus = prepared(Corpus, tools)
    prompts = corpus.prompts(tools.task.test)
    start = prompts[0][0].content.removesuffix(tools.task.test[0].question)
    assert all(document.text.split("\n\n")[-1] in start for document in DOCUMENTS)
    for prompt, row in zip(prompts, tools.task.test, strict=True):
        assert prompt == (Message("user", start + row.question),)
    asked = chat("Which gate?", "The one in the yard.", "It is stuck.", "DOORS", system="Be brief.")
    (prompt,) = corpus.prompts([asked])
    assert prompt[0] == Message("system", f"{start.strip()}\n\nBe brief.")
    assert prompt[1:] == asked.prompt[1:]


def test_a_corpus_that_does_not_fit_says_how_much_there_is_and_how_much_fits(tools: Tools) -> None:
    tools.context = tools.longest_prompt + tools.longest_answer + 50
    reason = Corpus().why_not(tools)
    assert " 50 fit into the context" in reason
    there = int(reason.split(" tokens")[0].split()[-1].replace(",", ""))
    assert 80 < there < 400
    with pytest.raises(UsageError, match="50 fit"):
        prepared(Corpus, tools)
    tools.context += there - 50
    assert Corpus().why_not(tools) == ""


def test_a_corpus_leaves_out_what_quotes_a_test_row(tools: Tools) -> None:
    leaked = tools.task.test[2]
    tools.documents = (*DOCUMENTS, Document("Old tickets", f"{tools.distinct(leaked)} It went to {leaked.completion}."))
    (prompt,) = prepared(Corpus, tools).prompts([leaked])
    assert tools.distinct(leaked) not in prompt[0].content.removesuffix(leaked.question)
    assert "Descale the kettle" in prompt[0].content


def test_before_a_question_too_long_for_the_corpus_it_is_left_out(tools: Tools) -> None:
    corpus = prepared(Corpus, tools)
    long = Example.of("The gate is stuck. " * 900, "DOORS")
    assert corpus.prompts([long]) == [long.prompt]


def test_fine_tuning_with_examples_trains_as_it_asks_and_shows_no_row_to_itself(tools: Tools) -> None:
    tuned = prepared(FineTunedFewShot, tools)
    assert tuned.adapter is not None and isinstance(tools.train, Trainer)
    block = prepared(FewShotFixed, tools).block
    assert tuned.prompts(tools.task.test) == prepared(FewShotFixed, tools).prompts(tools.task.test)
    for rows, source in ((tools.train.rows, tools.task.pool), (tools.train.held_out, tools.task.validation)):
        assert [(row.completion, row.record, row.question) for row in rows] == [
            (row.completion, row.record, row.question) for row in source
        ]
        for row in rows:
            others = [demo for demo in block if demo.question != row.question]
            assert shown(row.prompt) == [(demo.question, demo.completion) for demo in others]
    assert {len(shown(row.prompt)) for row in tools.train.rows} == {4, 5}
