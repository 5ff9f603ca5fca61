"""Checks with a real tokenizer and template: what they say is what rendering does, to the token."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.checks import CHECKS
from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.checks.long_rows import RowSizes
from dataset_tools.checks.reasoning import Reasoning
from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message, ToolCall
from dataset_tools.formats import Messages
from dataset_tools.lint import examine, lint
from dataset_tools.rendering import prompt_text, render, render_prompts, row_texts
from dataset_tools.report import Finding

WITH_TOOLS = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% for c in m['tool_calls'] or [] %}{{ c['function'] | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = json.dumps([{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {}}}])
CALL = Message("assistant", "", tool_calls=(ToolCall("weather", '{"city": "Ulm"}', "a"),))


def _text(rng: random.Random, words: int) -> str:
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(words))


def _rows(count: int, *, words: int = 30) -> list[dict[str, str]]:
    rng = random.Random(0)
    return [{"prompt": _text(rng, words), "completion": _text(rng, words)} for _ in range(count)]


def _found(write: Callable[..., Path], rows: list[Any], **options: Any) -> dict[str, Finding]:
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    report = lint(path, checks=["tokens"], **options)
    return {finding.check: finding for finding in report.findings if finding.family == "tokens"}


def _changed(tokenizer: Any, **changes: Any) -> Any:
    made = copy.deepcopy(tokenizer)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def with_tools(tokenizer: Any) -> Any:
    return _changed(tokenizer, chat_template=WITH_TOOLS)


# --- rendering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "desirable"), [(0, None), (None, False), (0.0, True)])
def test_an_answer_with_weight_0_or_a_thumb_down_is_read_and_not_trained(
    tokenizer: Any, weight: float | None, desirable: bool | None
) -> None:
    example = Example((Message("user", "a"), Message("assistant", "b", weight=weight)), desirable=desirable)
    plain = render(Example.of("a", "b"), tokenizer)
    assert render(example, tokenizer).ids == plain.ids
    assert (render(example, tokenizer).trained, plain.trained) == (0, 2)


def test_weights_of_earlier_answers_change_nothing(tokenizer: Any) -> None:
    def talk(weight: float | None) -> Example:
        first = Message("assistant", "b", weight=weight)
        return Example((Message("user", "a"), first, Message("user", "c"), Message("assistant", "d", weight=1)))

    assert render(talk(0), tokenizer) == render(talk(None), tokenizer)


def test_declared_tools_stand_in_the_prompt_of_training_and_of_asking(with_tools: Any) -> None:
    example = Example((Message("user", "a"), CALL), tools=TOOLS)
    row = render(example, with_tools)
    asked = render_prompts([example.prompt], with_tools, tools=[example.tools])[0]
    assert "weather" in prompt_text(example.prompt, with_tools, tools=TOOLS)
    assert row.ids[: len(asked)] == asked and row.mask == [0] * len(asked) + [1] * row.trained
    assert "weather" not in prompt_text(example.prompt, with_tools)


def test_the_arguments_of_a_call_are_printed_as_an_object_and_not_escaped(with_tools: Any) -> None:
    _, answer = row_texts(Example((Message("user", "a"), CALL), tools=TOOLS), with_tools)
    assert '"arguments": {"city": "Ulm"}' in answer
    odd = Message("assistant", "", tool_calls=(ToolCall("weather", "{not json", "a"),))
    assert "{not json" in row_texts(Example((Message("user", "a"), odd)), with_tools)[1]


def test_a_tokenizer_without_a_template_is_explained(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="no chat template"):
        render(Example.of("a", "b"), _changed(tokenizer, chat_template=None))


# --- checks -----------------------------------------------------------------------------------------------------------


def test_a_file_whose_model_has_no_template_is_told_so_and_does_not_crash(
    write: Callable[..., Path], tokenizer: Any
) -> None:
    found = _found(write, _rows(12), tokenizer=_changed(tokenizer, chat_template=None), max_length=100)
    assert set(found) == {"template-refuses-row"}
    assert found["template-refuses-row"].count == 12


def test_the_lengths_are_those_of_the_rendered_rows(write: Callable[..., Path], tokenizer: Any) -> None:
    path = write("".join(json.dumps(row) + "\n" for row in _rows(40)))
    sizes = sorted(len(render(example, tokenizer).ids) for example in examine(path, checks=["structure"])[1])
    [finding] = [finding for finding in lint(path, tokenizer=tokenizer).findings if finding.check == "token-lengths"]
    assert finding.severity == "info"
    assert f"half {sizes[20]:,}, 95% {sizes[38]:,}, the longest {sizes[-1]:,};" in finding.message
    assert "(all rows; about" in finding.message


def test_rows_with_tools_are_measured_with_them(write: Callable[..., Path], with_tools: Any) -> None:
    declared = [{**json.loads(TOOLS)[0], "function": {"name": "weather", "description": "d" * 500}}]
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": declared}
    found = _found(
        write, [*({"messages": row["messages"]} for _ in range(11)), row], tokenizer=with_tools, max_length=200
    )
    assert found["answer-truncated"].lines == [12]


def test_what_the_template_leaves_out_is_told(write: Callable[..., Path], tokenizer: Any, with_tools: Any) -> None:
    row = Messages().from_example(Example((Message("user", "a"), CALL), tools=TOOLS))
    hits = _found(write, [row], tokenizer=tokenizer)["template-drops"].hits
    assert "declared tools" in hits[0].message and "a tool call" in hits[1].message
    assert "template-drops" not in _found(write, [row], tokenizer=with_tools)


def test_a_reasoning_that_the_template_leaves_out_is_told(write: Callable[..., Path], tokenizer: Any) -> None:
    cut = WITH_TOOLS.replace("{{ m['content'] }}", "{{ m['content'].split('</think>')[-1] }}")
    rows = [{"prompt": "a", "completion": "<think>hm</think>b"}, {"prompt": "c", "completion": "d"}]
    found = _found(write, rows, tokenizer=_changed(tokenizer, chat_template=cut))
    assert found["template-drops"].lines == [1]
    assert "reasoning" in found["template-drops"].hits[0].message


def test_an_end_of_turn_that_is_not_the_end_token_is_told(write: Callable[..., Path], tokenizer: Any) -> None:
    other = _changed(tokenizer)
    other.add_special_tokens({"eos_token": "<|end|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    message = _found(write, _rows(3), tokenizer=other)["end-of-turn-is-not-end-token"].message
    assert "'<|im_end|>'" in message and "'<|end|>'" in message
    assert "end-of-turn-is-not-end-token" not in _found(write, _rows(3), tokenizer=tokenizer)


def test_a_padding_that_is_the_end_token_is_told(write: Callable[..., Path], tokenizer: Any) -> None:
    padded = _changed(tokenizer, pad_token="<|im_end|>")
    assert _found(write, _rows(3), tokenizer=padded)["padding-is-end-token"].severity == "info"


def test_a_start_token_that_comes_twice_is_told_in_its_line(write: Callable[..., Path], tokenizer: Any) -> None:
    twice = _changed(tokenizer, bos_token="<|im_start|>", chat_template="{{ messages[0]['content'] }}x{{ 'y' }}")
    twice.chat_template = "<|im_start|>{% for m in messages %}{{ m['content'] }}{% endfor %}"
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "<|im_start|>a", "completion": "b"}]
    assert _found(write, rows, tokenizer=twice)["start-token-twice"].lines == [2]


def test_unknown_tokens_are_told_in_their_lines(write: Callable[..., Path]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", "<end>", "the", "cat", "sat"]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    known = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", eos_token="<end>")
    known.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    rows = [{"prompt": "the cat", "completion": "sat"}, {"prompt": "the dog", "completion": "sat"}]
    finding = _found(write, rows, tokenizer=known)["unknown-tokens"]
    assert finding.lines == [2]
    assert "1 of 4 tokens are '[UNK]'" in finding.message


def test_a_row_with_many_tokens_for_its_bytes_is_told_among_others(write: Callable[..., Path]) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    rng = random.Random(0)
    words = _text(rng, 50).split(" ")
    rows = [{"prompt": " ".join(rng.choices(words, k=40)), "completion": " ".join(words)} for _ in range(60)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    texts = [row["prompt"] + row["completion"] for row in rows]
    special = ["<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=4_000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    trained = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", additional_special_tokens=special)
    trained.chat_template = WITH_TOOLS
    odd = {"prompt": "0123456789" * 30, "completion": "9876543210" * 30}
    finding = _found(write, [*rows, odd], tokenizer=trained)["poor-tokenizer-fit"]
    assert finding.lines == [61]
    only_digits = [{"prompt": str(n) * 60, "completion": "1234567890" * 30} for n in range(1_000, 1_040)]
    whole = _found(write, only_digits, tokenizer=trained)["poor-tokenizer-fit"]
    assert (whole.count, whole.lines) == (1, [])


def test_lint_with_a_tokenizer_finds_the_rows_that_lose_their_answer(messy: Path, tokenizer: Any) -> None:
    report = lint(messy / "scitldr_lengths.jsonl", tokenizer=tokenizer, max_length=4_096, checks=["tokens"])
    found = {finding.check: finding.lines for finding in report.findings if finding.severity == "error"}
    planted = json.loads((messy / "expected.json").read_text())["scitldr_lengths.jsonl"]["findings"]
    assert found["answer-truncated"] == [fault["where"] for fault in planted if fault["kind"] == "longer_than_context"]


# --- without a tokenizer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        ("<think>so it is 4", "reasoning-not-closed"),
        ("<think>a</think><thinking>b", "reasoning-not-closed"),
        ("<think>a</reasoning>4", "reasoning-not-closed"),
        ("<think>so it is 4</think>\n", "reasoning-without-answer"),
        ("<think>so</think>4", None),
        ("so it is 4</think>4", None),  # the template has opened it
        ("a < b and b > c", None),
    ],
)
def test_a_reasoning_must_be_closed_and_lead_to_an_answer(
    write: Callable[..., Path], answer: str, check: str | None
) -> None:
    path = write(json.dumps({"prompt": "2 + 2", "completion": answer}) + "\n")
    found = {finding.check for finding in lint(path, checks=["text"]).findings if "reasoning" in finding.check}
    assert found == ({check} if check else set())


@pytest.mark.parametrize(("with_reasoning", "told"), [(0, False), (1, False), (15, True), (29, False), (30, False)])
def test_a_mix_of_answers_with_and_without_a_reasoning_is_told(
    write: Callable[..., Path], with_reasoning: int, told: bool
) -> None:
    rows = [
        {"prompt": f"question {n}", "completion": f"{'<think>hm</think>' if n < with_reasoning else ''}answer {n}"}
        for n in range(30)
    ]
    found = {f.check for f in lint(write("".join(json.dumps(row) + "\n" for row in rows)), checks=["text"]).findings}
    assert ("reasoning-mixed" in found) is told


def test_rows_far_longer_than_the_others_are_found_without_a_model(messy: Path, dev: Path) -> None:
    planted = json.loads((messy / "expected.json").read_text())["scitldr_lengths.jsonl"]["findings"]
    lines = [fault["where"] for fault in planted if fault["kind"] == "longer_than_context"]
    [finding] = [f for f in lint(messy / "scitldr_lengths.jsonl").findings if f.check == "long-row"]
    assert finding.lines == lines
    for path in sorted(dev.glob("*/train.jsonl")):
        assert "long-row" not in {finding.check for finding in lint(path, checks=["long-row"]).findings}


def test_a_file_that_is_seen_in_two_parts_has_the_same_long_rows_and_the_same_mix() -> None:
    rng = random.Random(0)
    texts = [_text(rng, rng.randint(20, 60)) for _ in range(200)]
    texts[50], texts[150] = "x" * 30_000, "<think>hm</think>" + "y" * 40_000
    rows = [Example.of("a", text, line=place, record=place) for place, text in enumerate(texts, 1)]
    setting = Setting(read_again=lambda records: (row for row in rows if row.record in records))
    wholes, firsts, seconds = ([RowSizes(setting), Reasoning(setting)] for _ in range(3))
    for row in rows:
        later = row.record > 120
        moved = ExampleView.of(Example(row.messages, record=row.record - 120 * later))
        for whole, part in zip(wholes, seconds if later else firsts, strict=True):
            whole.see(ExampleView.of(row))
            part.see(moved)
    for first, second, whole in zip(firsts, seconds, wholes, strict=True):
        first.absorb(second.pack(), lines=120, records=120)
        assert first.pack() == whole.pack()
    assert set(firsts[0].far_longer()) == {51, 151}
    assert firsts[0].lines({51, 151}) == {51: 51, 151: 151}


def test_token_checks_say_what_they_need() -> None:
    assert all(getattr(check, "needs", ()) for check in CHECKS if check.family == "tokens")
