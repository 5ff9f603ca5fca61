"""Rendered text back to turns: every template there and back, and every kind of broken mark named."""

from __future__ import annotations

import pytest
from formats_strategies import TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.formats import Parsed, ShapeError, parse_template, template_of

U, A = ("user", "hi"), ("assistant", "yo")
CHATML = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>\n"
LLAMA3 = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nyo<|eot_id|>"
)


@pytest.mark.parametrize(
    ("text", "template", "turns"),
    [
        ("<s>[INST] hi [/INST] yo </s>", "llama2", [U, A]),
        ("[INST] hi [/INST] yo", "llama2", [U, A]),
        ("<s>[INST] <<SYS>>\ns\n<</SYS>>\n\nhi [/INST] yo </s>", "llama2", [("system", "s"), U, A]),
        ("<s>[INST] hi [/INST] yo </s><s>[INST] hi [/INST] yo </s>", "llama2", [U, A, U, A]),
        ("<s>[INST] hi [/INST] yo</s>[INST] hi [/INST] yo</s>", "llama2", [U, A, U, A]),
        ("<s>[SYSTEM_PROMPT] s[/SYSTEM_PROMPT][INST] hi[/INST] yo</s>", "llama2", [("system", "s"), U, A]),
        (CHATML, "chatml", [U, A]),
        (f"<|im_start|>system\n<|im_end|>\n{CHATML}<|endoftext|>", "chatml", [U, A]),
        ("<|im_start|>user\n hi\n<|im_end|>\n<|im_start|>assistant\nyo<|im_end|>", "chatml", [("user", " hi\n"), A]),
        (LLAMA3, "llama3", [U, A]),
        (LLAMA3.replace("assistant", "ipython"), "llama3", [U, ("tool", "yo")]),
        ("<bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\nyo<end_of_turn>\n", "gemma", [U, A]),
        ("<|user|>\nhi</s>\n<|assistant|>\nyo</s>\n", "zephyr", [U, A]),
        ("<|system|>\ns<|end|>\n<|user|>\nhi<|end|>\n<|assistant|>\nyo<|end|>", "zephyr", [("system", "s"), U, A]),
        ("<|user|>\nhi<|end|>\n<|assistant|>\nyo<|end|>\n<|endoftext|>", "zephyr", [U, A]),
        ("### Human: hi### Assistant: yo### Human: hi### Assistant: yo", "human", [U, A, U, A]),
        ("Be kind.\n\n### User:\nhi\n\n### Assistant:\nyo</s>", "human", [("system", "Be kind."), U, A]),
        ("### Instruction:\nhi\n\n### Response:\nyo", "alpaca", [U, A]),
        ("Do.\n\n### Instruction:\nhi\n\n### Response:\nyo", "alpaca", [("system", "Do."), U, A]),
        ("### Instruction:\nhi\n\n### Input:\nx\n\n### Response:\nyo", "alpaca", [("user", "hi\nx"), A]),
        ("\n\nHuman: hi\n\nAssistant: yo", "transcript", [U, A]),
    ],
)  # fmt: skip
def test_each_template_is_known_and_taken_apart(text: str, template: str, turns: list[tuple[str, str]]) -> None:
    assert template_of(text) == template
    assert parse_template(text) == Parsed(template, tuple(turns))


@pytest.mark.parametrize(
    ("text", "check", "words"),
    [
        ("[INST] [INST] hi [/INST] yo </s>", "template-broken", "a second [INST] before the first is closed"),
        ("<s>[INST] hi yo </s>", "template-broken", "no [/INST] after [INST]"),
        ("hi [/INST] yo", "template-broken", "[/INST] without [INST]"),
        ("<s>[INST] hi [/INST] yo [/INST] x </s>", "template-broken", "a second [/INST]"),
        ("<s>[INST] hi [/INST]  </s>", "empty-field", "turn 2 (assistant) is empty"),
        ("<s>[INST] [/INST] yo </s>", "empty-field", "turn 1 (user) is empty"),
        ("<s>[INST] hi [/INST] yo", "template-broken", "no </s> after the answer"),
        ("<s>[INST] <<SYS>> s hi [/INST] yo </s>", "template-broken", "no <</SYS>> after <<SYS>>"),
        ("x <s>[INST] hi [/INST] yo </s>", "template-broken", "text before the first [INST]"),
        ("<s>[INST] hi [/INST] yo </s> more </s>", "template-broken", "<s> or </s> inside a turn"),
        (CHATML.removesuffix("<|im_end|>\n"), "template-broken", "turn 2 (assistant) is not closed with <|im_end|>"),
        ("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "empty-field", "turn 2 (assistant) is empty"),
        ("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant", "empty-field", "turn 2 (assistant) is empty"),
        ("<|im_start|>user hi<|im_end|>", "empty-field", "turn 1"),
        (CHATML.replace("hi", "what is [INST]?"), "template-broken", "turn 1 (user) has [INST] in its text"),
        (f"{CHATML} and more", "template-broken", "text between turns, behind the <|im_end|> of turn 2"),
        (LLAMA3.replace("<|eot_id|>", "", 1), "template-broken", "turn 1 (user) is not closed with <|eot_id|>"),
        ("<|user|>\nhi\n<|assistant|>\nyo</s>", "template-broken", "turn 1 (user) is not closed with </s>"),
        ("### Human: hi", "template-broken", "no ### Assistant:"),
        ("### Human: hi ### Assistant: ", "empty-field", "turn 2 (assistant) is empty"),
        ("### Instruction:\nhi\n", "template-broken", "no ### Response:"),
        ("### Response:\nhi\n", "template-broken", "no ### Instruction:"),
        ("plain text", "template-broken", "in no known chat template"),
        ("", "template-broken", "in no known chat template"),
    ],
)
def test_marks_that_do_not_add_up_are_named(text: str, check: str, words: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse_template(text)
    assert caught.value.check == check
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["What does <|im_start|> mean?", "# A\n\n## B", "Human beings", "a <s>struck</s> word", "Human: hi", "see [INST]"],
)
def test_text_that_speaks_of_marks_is_in_no_template(text: str) -> None:
    assert template_of(text) is None


def _llama2(turns: list[tuple[str, str]]) -> str:
    return "".join(f"<s>[INST] {user} [/INST] {answer} </s>" for user, answer in turns)


def _chatml(turns: list[tuple[str, str]]) -> str:
    names = ("user", "assistant")
    return "".join(
        f"<|im_start|>{name}\n{text}<|im_end|>\n" for pair in turns for name, text in zip(names, pair, strict=True)
    )


def _llama3(turns: list[tuple[str, str]]) -> str:
    names = ("user", "assistant")
    body = (
        f"<|start_header_id|>{name}<|end_header_id|>\n\n{text}<|eot_id|>"
        for pair in turns
        for name, text in zip(names, pair, strict=True)
    )
    return "<|begin_of_text|>" + "".join(body)


def _gemma(turns: list[tuple[str, str]]) -> str:
    return "".join(
        f"<start_of_turn>user\n{user}<end_of_turn>\n<start_of_turn>model\n{answer}<end_of_turn>\n"
        for user, answer in turns
    )


def _human(turns: list[tuple[str, str]]) -> str:
    return "".join(f"### Human: {user}\n### Assistant: {answer}\n" for user, answer in turns)


WORDS = TEXT.map(str.strip).filter(lambda text: not set(text) & set("[]<>#|"))


@settings(deadline=None)
@given(
    st.sampled_from([_llama2, _chatml, _llama3, _gemma, _human]),
    st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3),
)
def test_a_rendered_conversation_comes_back(render, turns: list[tuple[str, str]]) -> None:  # type: ignore[no-untyped-def]
    parsed = parse_template(render(turns))
    expected = [turn for user, answer in turns for turn in (("user", user), ("assistant", answer))]
    assert list(parsed.turns) == expected


MARKS = st.sampled_from(
    [
        *("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "user", "assistant"),
        *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>", "model", "\n"),
        *(
            "### Human:",
            "### Assistant:",
            "### Instruction:",
            "### Response:",
            "Human:",
            "Assistant:",
            "\n\n",
            "a",
            " ",
        ),
        *("<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
    ]
)


@settings(deadline=None, max_examples=500)
@given(st.lists(MARKS | TEXT, max_size=12).map("".join))
def test_no_mark_ever_stays_in_a_turn_and_nothing_crashes(text: str) -> None:
    try:
        parsed = parse_template(text)
    except ShapeError as error:
        assert error.check in ("template-broken", "empty-field")
        return
    for role, content in parsed.turns:
        assert role and content.strip()
        assert not any(mark in content for mark in ("[INST]", "[/INST]", "<<SYS>>", "<|im_", "<|eot_id|>", "_of_turn>"))
