from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading import read_source
from dataset_tools.reading.templated import is_templated, read_templated

LLAMA_2 = "<s>[INST] What\nis {n}? [/INST] It is\n{n}. </s>"
LLAMA_2_TURNS = "<s>[INST] {n}? [/INST] {n}. </s><s>[INST] And\nthen? [/INST] No. </s>"
CHATML = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{n}?<|im_end|>\n<|im_start|>assistant\n{n}.<|im_end|>"
)
CHATML_TURNS = CHATML + "\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nNo.<|im_end|>"
CHATML_PLAIN = "<|im_start|>user\n{n}?<|im_end|>\n<|im_start|>assistant\n{n}.<|im_end|>"
LLAMA_3 = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{n}?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{n}.<|eot_id|>"
)
LLAMA_3_LINES = (
    "<|begin_of_text|>\n<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\n"
    "<|start_header_id|>user<|end_header_id|>\n\n{n}?<|eot_id|>\n"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{n}.<|eot_id|>"
)
GEMMA = "<start_of_turn>user\n{n}?<end_of_turn>\n<start_of_turn>model\n{n}.<end_of_turn>"
ZEPHYR = "<|system|>\nBe brief.</s>\n<|user|>\n{n}?</s>\n<|assistant|>\n{n}.</s>"
HUMAN = "### Human: {n}?\n### Assistant: {n}."
HUMAN_TURNS = HUMAN + "\n### Human: And?\n### Assistant: No."
ALPACA = (
    "Below is an instruction that describes a task. Write a response.\n\n"
    "### Instruction:\nSay {n}.\n\n### Response:\n{n}."
)
ALPACA_BARE = "### Instruction:\nSay\n\n{n}.\n\n### Response:\n{n}."
ALPACA_IN_LLAMA_2 = "<s>[INST]\n" + ALPACA.replace("{n}.", "{n}. [/INST]", 1) + " </s>"
TRANSCRIPT = "Human: {n}?\n\nAssistant: {n}."


def _rows(text: str) -> list[object]:
    return [row.value for row in read_templated(text).rows]


@pytest.mark.parametrize(
    "template",
    [
        LLAMA_2, LLAMA_2_TURNS, CHATML, CHATML_TURNS, CHATML_PLAIN, LLAMA_3, LLAMA_3_LINES, GEMMA, ZEPHYR, HUMAN,
        ALPACA, ALPACA_BARE, ALPACA_IN_LLAMA_2,
    ],
)  # fmt: skip
@pytest.mark.parametrize("separator", ["\n", "\n\n\n", "\r\n", "\n---\n", "\n\n<|endoftext|>"])
def test_a_file_is_cut_into_the_conversations_it_was_made_of(template: str, separator: str) -> None:
    records = [template.replace("{n}", str(n)) for n in range(5)]
    text = separator.join(records) + "\n"
    if "\r" in separator:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        records = [record.replace("\n", "\r\n") for record in records]
    assert is_templated(text)
    parsed = read_templated(text)
    begin = separator.strip() if "endoftext" in separator else ""
    texts = [row.value["text"] for row in parsed.rows if isinstance(row.value, dict)]
    assert [text.removeprefix(begin) for text in texts] == records
    firsts = [text.split("\n")[0].strip("\r") for text in texts]
    assert [text.split("\n")[row.line - 1].strip("\r") for row in parsed.rows] == firsts


@pytest.mark.parametrize(
    "template", [HUMAN_TURNS, CHATML_PLAIN + "\n" + CHATML_PLAIN, TRANSCRIPT + "\n\n" + TRANSCRIPT]
)
@pytest.mark.parametrize("separator", ["\n</s>\n", "\n=====\n"])
def test_turns_of_one_conversation_stay_together_where_something_stronger_parts_conversations(
    template: str, separator: str
) -> None:
    text = separator.join(template.replace("{n}", str(n)) for n in range(4))
    assert len(_rows(text)) == 4


def test_blank_lines_part_conversations_where_they_do_not_part_turns() -> None:
    assert len(_rows("\n\n".join([HUMAN_TURNS] * 4))) == 4
    assert len(_rows("\n\n".join([TRANSCRIPT] * 4))) == 4


def test_a_separator_that_is_missing_now_and_then_is_taken_for_a_mistake() -> None:
    text = "\n\n".join([HUMAN] * 10) + "\n" + HUMAN
    assert len(_rows(text)) == 11


def test_records_in_another_template_or_none_are_records_of_their_own() -> None:
    records = [
        LLAMA_2,
        ALPACA_BARE,
        LLAMA_2,
        "[INST] [INST] nested [/INST] yes </s>",
        LLAMA_2,
        "Q: why?\nA: so.</s>",
        LLAMA_2,
    ]
    parsed = read_templated("\n".join(records))
    assert [row.value for row in parsed.rows] == [{"text": record} for record in records]
    assert [row.line for row in parsed.rows] == [1, 4, 11, 14, 15, 18, 20]
    assert [row.record for row in parsed.rows] == [1, 2, 3, 4, 5, 6, 7]


def test_faults_inside_a_record_do_not_move_the_next_one(messy: Path) -> None:
    planted = json.loads((messy / "expected.json").read_text())["inst_gsm8k.txt"]
    source = read_source(messy / "inst_gsm8k.txt")
    assert source.container == "text"
    assert len(source.rows) == planted["units_total"]
    lines = {(row.line, row.line + row.value["text"].count("\n")) for row in source.rows if isinstance(row.value, dict)}
    assert [fault for fault in planted["findings"] if tuple(fault["where"]) not in lines] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just some words\nand more\n",
        "prompt,completion\na,b\n",
        "# A page\n\n### Instruction: how to build\n\nRun make.\n",
        "Human: a word that starts a line\n",
        "see [INST] in the manual\nand [/INST] too\n",
        'text\n"\n<s>[INST] a [/INST] b </s>\n<s>[INST] a [/INST] b </s>\n<s>[INST] a [/INST] b </s>"\n',
        "<s>old price</s>\nnew price\n",
    ],
)
def test_other_text_is_not_taken_for_templated(text: str) -> None:
    assert not is_templated(text)


def test_some_text_before_the_first_mark_is_a_record_and_a_single_word_a_header(write: Callable[..., Path]) -> None:
    records = "\n".join([LLAMA_2] * 3)
    assert _rows("A few words first.\n" + records) == [{"text": "A few words first."}, *[{"text": LLAMA_2}] * 3]
    source = read_source(write("text\n" + records))
    assert source.container == "text"
    assert [row.line for row in source.rows] == [2, 5, 8]


def test_old_line_ends_are_read() -> None:
    assert [row.line for row in read_templated("\r".join([LLAMA_2.replace("\n", "\r")] * 3)).rows] == [1, 4, 7]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    ["[INST]" + " \n" * 500_000, "<s>\n" * 250_000, "\n---" * 250_000, "### Human:\n" * 90_000, "</s>\n" * 200_000,
     " " * 1_000_000, "<s> " + "\t" * 1_000_000 + "x", "###" + " " * 1_000_000],
)  # fmt: skip
def test_a_mebibyte_made_to_be_slow_is_read_in_time(text: str) -> None:
    is_templated(text)
    assert read_templated(text).problems == []


PIECES = ["<s>", "</s>", "[INST]", "[/INST]", "\n", "\n\n", "a b", "### Human:", "<|im_start|>user\n", "---", "<bos>"]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_no_text_is_lost(text: str) -> None:
    is_templated(text)
    rows = read_templated(text).rows
    kept = "".join(row.value["text"] for row in rows if isinstance(row.value, dict))
    blank = str.maketrans("", "", " \n-")
    assert kept.translate(blank) == text.translate(blank)
