"""An approach is set up as the validation rows speak for; instructions come from the user, the answers, the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.answering import LocalAnswerer
from advisor.approaches import Approach, Prompt, Tools
from advisor.approaches.few_shot import Demonstrations, FewShotFixed, FewShotNearest
from advisor.approaches.instruction import Instruction, with_instruction
from advisor.approaches.instructions import proposed_instructions, written_instruction
from advisor.approaches.retrieval import Retrieval, RetrievalFewShot
from advisor.retrieval import Document, embed
from advisor.task import Task, make_task
from dataset_tools.example import Example, Message
from tests.advisor.approach_support import DOCUMENTS, chat, prepared, shown

Rows = Callable[..., list[Example]]
WITH_SETTINGS = [FewShotNearest, FewShotFixed, Retrieval, RetrievalFewShot]


class Judge:
    """Scores a prompt by what it holds, and keeps all that it was asked."""

    def __init__(self, score: Callable[[Prompt], float]) -> None:
        self.score = score
        self.prompts: list[Prompt] = []
        self.rows: list[Example] = []

    def __call__(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> tuple[float, ...]:
        self.prompts += prompts
        self.rows += examples
        return tuple(map(self.score, prompts))


@pytest.fixture(scope="module")
def long_task(make_tickets: Rows) -> Task:
    made = make_task(make_tickets(60), make_tickets(10, start=150), kind="classification")
    return replace(made, validation=tuple(make_tickets(24, start=100)))


@pytest.fixture
def tuning(long_task: Task, tokenizer: Any) -> Callable[..., tuple[Tools, Judge]]:
    """Tools that may spend many answers on tuning, and who judges them."""

    def make(score: Callable[[Prompt], float], **options: Any) -> tuple[Tools, Judge]:
        judge = Judge(score)
        given = {"context": 4096, "documents": DOCUMENTS, "passages": (2, 120), "demonstrations": (5, 2000)}
        tools = Tools(task=long_task, tokenizer=tokenizer, tuning_answers=999, trial=judge, **{**given, **options})
        return tools, judge

    return make


def few_or_many(best: int) -> Callable[[Prompt], float]:
    """Likes prompts with this many worked examples."""
    return lambda prompt: float(len(prompt) == 2 * best + 1)


@pytest.mark.parametrize("kind", WITH_SETTINGS, ids=lambda kind: kind.name)
def test_without_a_budget_for_tuning_the_usual_setting_is_taken(
    kind: type[Approach], tuning: Callable[..., tuple[Tools, Judge]]
) -> None:
    tools, judge = tuning(lambda prompt: 1.0)
    tools.tuning_answers = 0
    approach = prepared(kind, tools)
    assert not judge.prompts
    assert approach.tuned.trials == ()
    usual = {"few-shot": ("count", 5), "few-shot-fixed": ("count", 5), "rag": ("tokens", 120)}
    name, value = usual.get(kind.name, ("passages", 2))
    assert approach.tuned.setting.values[name] == value


@pytest.mark.parametrize("kind", WITH_SETTINGS, ids=lambda kind: kind.name)
def test_tuning_asks_validation_rows_only_and_the_usual_setting_first(
    kind: type[Approach], tuning: Callable[..., tuple[Tools, Judge]]
) -> None:
    tools, judge = tuning(lambda prompt: 1.0)
    tuned = prepared(kind, tools).tuned
    assert len(tuned.trials) > 1 and set(judge.rows) <= set(tools.task.validation)
    assert tuned.answers == len(judge.rows) <= 999
    tools.trial = None
    usual = prepared(kind, tools)
    assert tuned.trials[0].name == usual.tuned.setting.name
    assert judge.prompts[:12] == usual.prompts(tools.task.validation[:12])
    asked = {tools.distinct(row) for row in tools.task.test}
    shown = "\n".join(message.content for prompt in judge.prompts for message in prompt)
    assert not [question for question in asked if question in shown]


@pytest.mark.parametrize("best", [1, 3, 10])
def test_the_number_of_examples_is_the_one_that_scores(best: int, tuning: Callable[..., tuple[Tools, Judge]]) -> None:
    for kind in (FewShotNearest, FewShotFixed):
        tools, _ = tuning(few_or_many(best))
        approach = prepared(kind, tools)
        assert approach.tuned.setting.values["count"] == best
        assert {len(shown(prompt)) for prompt in approach.prompts(tools.task.test)} == {best}


def test_a_block_with_the_nearest_last_begins_alike_and_ends_with_the_nearest(
    tuning: Callable[..., tuple[Tools, Judge]], long_task: Task, tokenizer: Any
) -> None:
    rows = Demonstrations(Tools(task=long_task, tokenizer=tokenizer, context=4096)).block(3)
    block = tuple(message for row in rows for message in row.messages)
    tools, _ = tuning(lambda prompt: float(prompt[: len(block)] == block))
    approach = prepared(FewShotNearest, tools)
    assert approach.tuned.setting.values == {"selection": "block + nearest tail", "count": 5, "tail": 2}
    pool = tools.task.pool
    closeness = embed([tools.distinct(row) for row in tools.task.test]) @ embed([tools.distinct(row) for row in pool]).T
    for scores, prompt in zip(closeness, approach.prompts(tools.task.test), strict=True):
        best = [pool[index] for index in np.argsort(-scores, kind="stable") if pool[index] not in rows][:2]
        assert prompt[: len(block)] == block
        assert shown(prompt)[3:] == [(row.question, row.completion) for row in reversed(best)]


def test_more_examples_than_the_tokens_take_are_not_tried_twice(tuning: Callable[..., tuple[Tools, Judge]]) -> None:
    tools, _ = tuning(lambda prompt: 1.0)
    row = max(tools.tokens_of(example.messages) for example in tools.task.pool)
    tools.demonstrations = (5, 3 * row)
    counts = [trial.values["count"] for trial in prepared(FewShotFixed, tools).tuned.trials]
    assert counts == sorted(set(counts), key=counts.index) and max(counts) < 10


def test_passages_are_tried_in_other_numbers_and_sizes_as_far_as_the_context_goes(
    tuning: Callable[..., tuple[Tools, Judge]],
) -> None:
    tools, _ = tuning(lambda prompt: 1.0)
    text = "\n\n".join(f"Paragraph {number} on gates, mail and toner. " * 12 for number in range(40))
    tools.documents = (*DOCUMENTS, Document("Long", text))
    tools.context = 2000
    tried = {(trial.values["passages"], trial.values["tokens"]) for trial in prepared(Retrieval, tools).tuned.trials}
    assert {(2, 120), (5, 120), (3, 120), (2, 400), (2, 200)} <= tried
    free = tools.room - tools.longest_prompt
    assert all(count * tokens <= free for count, tokens in tried)
    assert all(count == 2 or tokens == 120 for count, tokens in tried), "one thing is changed at a time"


def test_the_size_of_passages_that_scores_is_taken(tuning: Callable[..., tuple[Tools, Judge]]) -> None:
    text = "\n\n".join(f"Paragraph {number} on gates, mail and toner. " * 12 for number in range(40))
    tools, _ = tuning(lambda prompt: float(len(prompt[-1].content) > 900))
    tools.documents = (Document("Long", text),)
    approach = prepared(Retrieval, tools)
    assert approach.tuned.setting.values["tokens"] > 120 or approach.tuned.setting.values["passages"] > 2
    assert all(len(prompt[-1].content) > 900 for prompt in approach.prompts(tools.task.test))


@pytest.mark.parametrize(
    ("prompt", "in_system", "roles", "place"),
    [
        (chat("Hi", "Ho").prompt, True, ["system", "user"], 0),
        (chat("Hi", "Ho").prompt, False, ["user"], 0),
        (chat("Hi", "Ho", system="Be brief.").prompt, True, ["system", "user"], 0),
        (chat("Hi", "Ho", system="Be brief.").prompt, False, ["system", "user"], 0),
        (chat("Hi", "Ho", "And now?", "Now").prompt, False, ["user", "assistant", "user"], 0),
    ],
)
def test_an_instruction_stands_before_the_users_words(
    prompt: Prompt, in_system: bool, roles: list[str], place: int
) -> None:
    made = with_instruction(prompt, "Say YES.", in_system=in_system)
    assert [message.role for message in made] == roles
    assert "Say YES." in made[place].content and made[-1].content.endswith(prompt[-1].content)
    if prompt[0].role == "system":
        assert made[0].content == "Be brief.\n\nSay YES."
    assert with_instruction(prompt, "", in_system=in_system) == prompt


def test_an_instruction_that_was_not_tried_is_the_written_one_and_says_so(
    tuning: Callable[..., tuple[Tools, Judge]],
) -> None:
    tools, _ = tuning(lambda prompt: 1.0)
    tools.trial = None
    approach = prepared(Instruction, tools)
    written = written_instruction(tools.task)
    assert approach.tuned.setting.values["instruction"] == written
    assert "untried" in approach.tuned.setting.name and approach.tuned.trials == ()
    (prompt,) = approach.prompts(tools.task.test[:1])
    assert prompt == (Message("system", written), *tools.task.test[0].prompt)


def test_the_bare_prompt_is_kept_where_no_instruction_is_better(
    tuning: Callable[..., tuple[Tools, Judge]],
) -> None:
    tools, judge = tuning(lambda prompt: 1.0, instructions=("Think of the queue first.",))
    approach = prepared(Instruction, tools)
    assert approach.prompts(tools.task.test) == [row.prompt for row in tools.task.test]
    assert [trial.values["source"] for trial in approach.tuned.trials][:2] == ["your prompt as it is", "yours"]
    assert judge.prompts[:12] == [row.prompt for row in tools.task.validation[:12]]


@pytest.mark.parametrize("wanted", ["Think of the queue first.", "exactly one of"])
def test_the_instruction_that_scores_is_taken(wanted: str, tuning: Callable[..., tuple[Tools, Judge]]) -> None:
    tools, _ = tuning(
        lambda prompt: float(wanted in prompt[0].content), instructions=("Think of the queue first.", "Hurry.")
    )
    approach = prepared(Instruction, tools)
    assert wanted in approach.tuned.setting.values["instruction"]
    assert all(wanted in prompt[0].content for prompt in approach.prompts(tools.task.test))


def test_an_instruction_of_the_user_that_holds_a_test_row_is_not_tried(
    tuning: Callable[..., tuple[Tools, Judge]],
) -> None:
    tools, judge = tuning(lambda prompt: 1.0)
    leaked = tools.task.test[0]
    tools.instructions = (f"For example: {tools.distinct(leaked)} -> {leaked.completion}", "Hurry.")
    approach = prepared(Instruction, tools)
    assert [trial.values["instruction"] for trial in approach.tuned.trials][1] == "Hurry."
    assert not [prompt for prompt in judge.prompts if "For example" in prompt[0].content]


def test_the_model_proposes_from_rows_of_the_pool_alone(
    tuning: Callable[..., tuple[Tools, Judge]], tiny_model: Path
) -> None:
    from training.models.loading import load_model

    loaded = load_model(str(tiny_model), dtype="float32")
    loaded.model.generation_config.eos_token_id = [loaded.tokenizer.eos_token_id, *range(300, 320)]
    tools, _ = tuning(lambda prompt: 1.0)
    tools.base = LocalAnswerer(loaded)
    proposed, asked = proposed_instructions(tools)
    assert asked == 3 and 0 < len(proposed) <= 3
    assert all(0 < len(text) <= 400 for text in proposed)
    approach = prepared(Instruction, tools)
    sources = [trial.values["source"] for trial in approach.tuned.trials]
    assert sources[:2] == ["your prompt as it is", "written from the answers"]
    assert set(sources[2:]) == {"by the model"}
    rows = sum(trial.rows for trial in approach.tuned.trials)
    assert approach.tuned.answers == rows + 3


def test_there_is_no_instruction_arm_where_it_would_be_zero_shot_again(
    tuning: Callable[..., tuple[Tools, Judge]],
) -> None:
    tools, _ = tuning(lambda prompt: 1.0)
    tools.trial = None
    tools.task = replace(tools.task, kind="text")
    assert "no instruction" in Instruction().why_not(tools)
    tools.instructions = ("Be kind.",)
    assert Instruction().why_not(tools) == ""
    (prompt,) = prepared(Instruction, tools).prompts(tools.task.test[:1])
    assert prompt[0] == Message("system", "Be kind.")


@pytest.mark.parametrize(
    ("kind", "answers", "wanted"),
    [
        ("classification", ["Yes", "No", "yes", "Yes"], "Answer with exactly one of: Yes, No. Give no explanation."),
        ("classification", ["a, b", "c"], "Answer with exactly one of: a, b; c. Give no explanation."),
        ("classification", [f"label{n}" for n in range(101)], "Answer with the label only. Give no explanation."),
        ("multi-label", ["red; blue", "blue; green"], 'separated by ";": blue, red, green. Give no explanation.'),
        ("multi-label", ["red\nblue", "blue"], "each on a line of its own: blue, red."),
        (
            "json",
            [
                '{"name": "A", "age": 3, "tags": []}',
                '{"name": "B", "age": null, "tags": [], "odd": 1}',
                '{"name": "C"}',
            ],
            'with the keys "name" (text), "age" (number or null), "tags" (list). No explanation',
        ),
        ("json", ["[1]", "[2, 3]"], "Answer with one JSON list and nothing else"),
        ("json", ['{"ok": true}'], '"ok" (true or false)'),
        ("short-answer", ["Paris", "in the yard"], "Answer in a few words only, with no explanation."),
        ("numeric", ["3", "14.5"], "Answer with the number only."),
        ("numeric", ["First 3 and then 4 make 7 in all. #### 7"], ""),
        ("code", ["print(1)"], "Answer with the code only."),
        ("text", ["Once upon a time."], ""),
    ],
)
def test_an_instruction_is_written_from_what_the_answers_share(
    kind: str, answers: list[str], wanted: str, long_task: Task
) -> None:
    pool = tuple(Example.of(f"How many of {number} are there?", answer) for number, answer in enumerate(answers))
    made = written_instruction(replace(long_task, kind=kind, pool=pool))
    assert wanted in made if wanted else made == ""
