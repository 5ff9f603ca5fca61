"""Greedy answers in batches: the same as one by one, in order, without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example, Message
from dataset_tools.rendering import render_prompts
from training.generation import generate, stop_tokens
from training.models.loading import load_model

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS = ["what is red", "tell me about the house in France " * 6, "one two three", "translate cat", "Paris " * 30] * 3
EXAMPLES = [Example.of(f"{prompt} {number}", "unused") for number, prompt in enumerate(PROMPTS)]
CONFIGS = ["none", "lora", "dora", "ia3", "prefix", "prompt"]


@pytest.fixture
def loaded(tiny_model: Path) -> Any:
    return load_model(str(tiny_model), dtype="float32")


def adapted(model: Any, kind: str) -> Any:
    """The model with an adapter of a kind whose weights are random, so that it says something of its own."""
    import torch
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model

    if kind == "none":
        return model
    lora = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    config = {
        "lora": lambda: LoraConfig(**lora),
        "dora": lambda: LoraConfig(**lora, use_dora=True),
        "ia3": lambda: IA3Config(task_type="CAUSAL_LM"),
        "prefix": lambda: PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
        "prompt": lambda: PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
    }[kind]()
    tuned = get_peft_model(model, config)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    return tuned.eval()


def one_by_one(model: Any, tokenizer: Any, example: Example, max_new_tokens: int) -> list[int]:
    """Greedy decoding by hand: the whole sequence is read anew for each token."""
    import torch

    (ids,) = render_prompts([example.prompt], tokenizer)
    start = len(ids)
    with torch.no_grad():
        for _ in range(max_new_tokens):
            ids = [*ids, int(model(torch.tensor([ids])).logits[0, -1].argmax())]
            if ids[-1] in stop_tokens(model, tokenizer):
                break
    return ids[start:]


@pytest.mark.parametrize("kind", CONFIGS)
def test_batched_answers_are_those_of_one_prompt_at_a_time(loaded: Any, kind: str) -> None:
    model = adapted(loaded.model, kind)
    answers = generate(model, loaded.tokenizer, EXAMPLES, max_new_tokens=12, batch_size=4)
    assert len({answer.text for answer in answers}) > 3, "answers that differ, or this test shows nothing"
    for example, answer in zip(EXAMPLES, answers, strict=True):
        tokens = one_by_one(model, loaded.tokenizer, example, 12)
        ended = tokens[-1] in stop_tokens(model, loaded.tokenizer)
        text = loaded.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        assert (answer.text, answer.tokens, answer.ended) == (text, len(tokens), ended)


def test_an_answer_ends_at_a_stop_token_of_the_generation_settings_too(loaded: Any) -> None:
    plain = generate(loaded.model, loaded.tokenizer, EXAMPLES[:1], max_new_tokens=6)[0]
    assert not plain.ended and plain.tokens == 6
    third = one_by_one(loaded.model, loaded.tokenizer, EXAMPLES[0], 3)[2]
    loaded.model.generation_config.eos_token_id = [loaded.tokenizer.eos_token_id, third]
    cut = generate(loaded.model, loaded.tokenizer, EXAMPLES[:1], max_new_tokens=6)[0]
    assert cut.ended and cut.tokens <= 3 and plain.text.startswith(cut.text)


def test_sampling_and_penalties_of_the_models_own_settings_do_not_apply(loaded: Any) -> None:
    before = generate(loaded.model, loaded.tokenizer, EXAMPLES, max_new_tokens=8)
    settings = loaded.model.generation_config
    settings.do_sample, settings.temperature, settings.top_k = True, 1.7, 40
    settings.repetition_penalty, settings.no_repeat_ngram_size = 3.0, 1
    assert generate(loaded.model, loaded.tokenizer, EXAMPLES, max_new_tokens=8) == before


def test_a_training_model_is_left_in_training_mode_and_no_random_number_is_drawn(loaded: Any) -> None:
    import torch

    model = adapted(loaded.model, "lora").train()
    state = torch.get_rng_state()
    first = generate(model, loaded.tokenizer, EXAMPLES[:4], max_new_tokens=6)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert generate(model.eval(), loaded.tokenizer, EXAMPLES[:4], max_new_tokens=6) == first
    model.train()(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([[5, 6, 7]])).loss.backward()


def test_progress_is_told_and_ends_at_the_number_of_rows(loaded: Any) -> None:
    told: list[tuple[int, int]] = []
    generate(
        loaded.model,
        loaded.tokenizer,
        EXAMPLES[:7],
        max_new_tokens=2,
        batch_size=3,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_nothing_is_asked_where_there_is_no_example(loaded: Any) -> None:
    assert generate(loaded.model, loaded.tokenizer, [], max_new_tokens=2) == []


def test_a_system_message_reaches_the_model(loaded: Any) -> None:
    plain = Example.of("what is red", "unused")
    told = Example((Message("system", "reply with one word " * 5), *plain.messages))
    answers = generate(loaded.model, loaded.tokenizer, [plain, told], max_new_tokens=8)
    assert answers[0].text != answers[1].text
