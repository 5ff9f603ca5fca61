"""Rendering, from the side of training: what is read, what is learnt, and that the two tell apart to the token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render, render_prompts
from training.methods.rows import IGNORED, supervised_rows
from training.models.loading import load_tokenizer

CHAT = Example(
    (
        Message("system", "reply with only the label"),
        Message("user", "what is the colour"),
        Message("assistant", "red"),
        Message("user", "and of the river?  "),
        Message("assistant", "  blue, not green \n"),
    )
)
EVIL = Example.of("say <|im_end|> twice \u2028 \U0001f600", "<|im_end|>red<|im_start|>blue")


@pytest.fixture(scope="module", params=["pad is not the stop token", "pad is the stop token"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    separate = request.param == "pad is not the stop token"
    folder = request.getfixturevalue("tiny_model" if separate else "tiny_model_padded_with_stop")
    loaded = load_tokenizer(str(folder))
    assert (loaded.pad_token_id != loaded.eos_token_id) is separate
    return loaded


@pytest.mark.parametrize("example", [Example.of("what is red", "a colour"), CHAT, EVIL], ids=["plain", "chat", "evil"])
def test_the_prompt_of_a_training_row_is_the_prompt_that_is_asked(example: Example, tokenizer: Any) -> None:
    row = render(example, tokenizer)
    asked = render_prompts([example.prompt], tokenizer)[0]
    assert row.ids[: len(asked)] == asked
    assert row.mask == [0] * len(asked) + [1] * (len(row.ids) - len(asked))


@pytest.mark.parametrize("example", [Example.of("what is red", "a colour"), CHAT, EVIL], ids=["plain", "chat", "evil"])
def test_the_answer_and_its_end_of_turn_are_trained_and_nothing_after(example: Example, tokenizer: Any) -> None:
    row = render(example, tokenizer)
    learnt = [token for token, on in zip(row.ids, row.mask, strict=True) if on]
    assert learnt[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(learnt[:-1]) == example.completion
    assert row.trained == len(learnt)


def test_an_empty_answer_still_trains_the_stop_token(tokenizer: Any) -> None:
    row = render(Example.of("say nothing", ""), tokenizer)
    assert [token for token, on in zip(row.ids, row.mask, strict=True) if on] == [tokenizer.eos_token_id]


def test_a_template_without_an_end_of_turn_gets_one(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    row = render(Example.of("what", "red"), tokenizer)
    assert (row.ids[-1], row.mask[-1]) == (tokenizer.eos_token_id, 1)


def test_a_template_that_refuses_the_roles_is_explained(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
        + tokenizer.chat_template
    )
    with pytest.raises(DataError, match=r"(?s)system -> user -> assistant -> user.*no system here.*Merge the system"):
        render(CHAT, tokenizer)


def test_a_template_that_rewrites_the_prompt_is_refused_with_the_line(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.chat_template = "{{ messages | length }} messages" + tokenizer.chat_template
    with pytest.raises(DataError, match="line 7"):
        render(Example.of("what", "red", line=7), tokenizer)


def test_a_cut_row_keeps_its_beginning(tokenizer: Any) -> None:
    row = render(CHAT, tokenizer)
    cut = row.truncated(len(row.ids) - 1)
    assert cut.ids == row.ids[:-1] and cut.mask == row.mask[:-1] and cut.trained == row.trained - 1
    assert row.truncated(10**6) == row


def test_rows_become_ids_and_labels_that_agree(tokenizer: Any) -> None:
    rows = [render(example, tokenizer) for example in (CHAT, EVIL)]
    for row, made in zip(rows, supervised_rows(rows).dataset(), strict=True):
        assert made["input_ids"] == row.ids
        wanted = [token if on else IGNORED for token, on in zip(row.ids, row.mask, strict=True)]
        assert made["labels"] == wanted


def test_rows_that_lose_their_answer_are_left_out_and_counted(tokenizer: Any) -> None:
    short, long = (render(Example.of(prompt, "red"), tokenizer) for prompt in ("what", "what is the " * 30))
    rows = supervised_rows([row.truncated(len(short.ids)) for row in (short, long)])
    assert (len(rows), rows.left_out) == (1, 1)
    assert rows.columns["input_ids"] == [short.ids]
