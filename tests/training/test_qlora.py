"""What the real trainer does with a batch of the tiny model: what it learns, and that it goes on learning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import RunError
from dataset_tools.example import Example
from dataset_tools.rendering import render
from training.methods import qlora
from training.models.loading import load_model, load_tokenizer
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")
EXAMPLES = [Example.of(f"what is the colour of number {i}", "red" + " blue house" * i) for i in range(8)]
Build = Callable[..., tuple[Any, Any]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A trainer on the tiny model, as a run makes it, and its tokenizer."""

    def make(model: Path, *, labels: Callable[[list[int]], list[int]] | None = None, **knobs: Any) -> tuple[Any, Any]:
        fixed = {"batch_size": 4, "micro_batch_size": 4, "max_steps": 2, "dropout": 0.0}
        recipe = Recipe(str(model), **{**fixed, **knobs})
        tokenizer = load_tokenizer(str(model))
        rows = [render(example, tokenizer) for example in EXAMPLES]
        data = qlora.to_dataset(rows, recipe.max_length)
        if labels:
            data = data.map(lambda row: {"labels": labels(row["labels"])})
        adapted = qlora.add_adapter(load_model(str(model), four_bit=True, tokenizer=tokenizer), recipe)
        trainer = qlora.build_trainer(
            adapted, tokenizer, recipe, train=data, validation=data, folder=tmp_path, callbacks=[]
        )
        return trainer, tokenizer

    return make


@pytest.fixture(params=["pad is not the stop token", "pad is the stop token"])
def model(request: pytest.FixtureRequest) -> Path:
    name = "tiny_model" if request.param == "pad is not the stop token" else "tiny_model_padded_with_stop"
    folder: Path = request.getfixturevalue(name)
    return folder


def test_the_stop_token_is_trained_in_the_collated_batch_and_padding_is_not(model: Path, build: Build) -> None:
    trainer, tokenizer = build(model)
    batch = next(iter(trainer.get_train_dataloader()))
    assert len({tuple(row) for row in batch["attention_mask"].tolist()}) > 1, "some row of the batch must be padded"
    for ids, labels, seen in zip(
        batch["input_ids"].tolist(), batch["labels"].tolist(), batch["attention_mask"].tolist(), strict=True
    ):
        length = sum(seen)
        assert seen == [1] * length + [0] * (len(seen) - length)
        assert (ids[length - 1], labels[length - 1]) == (tokenizer.eos_token_id, tokenizer.eos_token_id)
        assert set(labels[length:]) <= {qlora.IGNORED}
        answer = tokenizer.decode([label for label in labels if label != qlora.IGNORED])
        assert answer in {example.completion + "<|im_end|>" for example in EXAMPLES}


@pytest.mark.parametrize(
    "labels",
    [lambda labels: [*labels[:-1], qlora.IGNORED], lambda labels: [qlora.IGNORED] * len(labels)],
    ids=["the end is masked", "everything is masked"],
)
def test_a_batch_that_does_not_train_its_end_is_refused(
    model: Path, build: Build, labels: Callable[[list[int]], list[int]]
) -> None:
    with pytest.raises(RunError, match="end-of-turn token is not trained"):
        build(model, labels=labels)


def test_the_check_sees_a_collator_that_masks_padding_and_the_stop_token_with_it(
    build: Build, tiny_model: Path, tiny_model_padded_with_stop: Path
) -> None:
    from transformers import DataCollatorForLanguageModeling

    for folder, harmful in ((tiny_model, False), (tiny_model_padded_with_stop, True)):
        trainer, tokenizer = build(folder)
        collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)  # makes labels of its own, all but padding
        trainer.data_collator = lambda rows, collate=collate: collate([{"input_ids": r["input_ids"]} for r in rows])
        if harmful:
            with pytest.raises(RunError, match="end-of-turn token is not trained"):
                qlora.check_stop_is_trained(trainer, tokenizer)
        else:
            qlora.check_stop_is_trained(trainer, tokenizer)


def test_rows_that_were_cut_do_not_fail_the_check(build: Build, tiny_model: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    shortest = min(len(render(example, tokenizer).ids) for example in EXAMPLES)
    trainer, _ = build(tiny_model, max_length=shortest)
    assert any(row["input_ids"][-1] != tokenizer.eos_token_id for row in trainer.train_dataset)


def test_only_the_adapter_is_trained_and_it_sits_on_all_linear_layers(build: Build, tiny_model: Path) -> None:
    import bitsandbytes

    trainer, _ = build(tiny_model)
    trained = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    assert len(trained) == 2 * 2 * 7  # A and B, two layers, seven linear layers each
    bases = [module for module in trainer.model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(bases) == 2 * 7
    assert {(base.weight.quant_state.quant_type, base.weight.quant_state.nested) for base in bases} == {("nf4", True)}


def test_the_adapter_starts_the_same_for_one_seed_and_differs_for_another(build: Build, tiny_model: Path) -> None:
    import torch

    def start(seed: int) -> list[Any]:
        model = build(tiny_model, seed=seed)[0].model
        return [weight.detach() for name, weight in model.named_parameters() if "lora_A" in name]

    one, same, other = start(1), start(1), start(2)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def gradients(trainer: Any) -> dict[str, Any]:
    """Of each adapter matrix B (A has none while B is zero), on one and the same batch."""
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(4)])
    trainer.model.zero_grad()
    trainer.model.train()
    trainer.compute_loss(trainer.model, dict(batch)).backward()
    return {name: weight.grad.clone() for name, weight in trainer.model.named_parameters() if "lora_B" in name}


def test_an_evaluation_leaves_every_gradient_as_it_was(build: Build, tiny_model: Path) -> None:
    import torch

    trainer, _ = build(tiny_model)
    before = gradients(trainer)
    assert all(gradient.any() for gradient in before.values())
    trainer.evaluate()
    after = gradients(trainer)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.filterwarnings("ignore:bitsandbytes.*an autograd kernel was not registered:UserWarning")
def test_without_the_guard_an_evaluation_would_stop_the_adapters_from_learning(build: Build, tiny_model: Path) -> None:
    """If this fails, bitsandbytes has mended it, and `loading._keep_weights_trainable` can go."""
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("bitsandbytes repacks 4-bit weights only on a CPU with AVX512-BF16, which this one is not")
    trainer, _ = build(tiny_model)
    if trainer.model.device.type != "cpu":
        pytest.skip("bitsandbytes repacks 4-bit weights only on a CPU")
    for module in trainer.model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = True
    assert all(gradient.any() for gradient in gradients(trainer).values())
    trainer.evaluate()
    dead = [name for name, gradient in gradients(trainer).items() if not gradient.any()]
    assert len(dead) == 2 * 5, "all but what feeds the residual stream by itself (o_proj, down_proj)"


def test_the_probe_gives_a_time_and_leaves_no_trace(build: Build, tiny_model: Path) -> None:
    import torch

    trainer, tokenizer = build(tiny_model, dropout=0.5)  # which draws random numbers
    rows = [render(example, tokenizer) for example in EXAMPLES]
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    state = torch.get_rng_state()
    seconds = qlora.probe_seconds_per_token(trainer.model, rows, pad=tokenizer.pad_token_id, count=4)
    assert 0 < seconds < 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in trainer.model.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.model.parameters(), strict=True))
