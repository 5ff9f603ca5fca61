"""The parts of training methods that need no model: schedule, arguments, rows, and the loss on numbers of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import UsageError
from dataset_tools.example import Example, Message
from dataset_tools.rendering import render
from tests.training.methods_support import EXAMPLES, PAIRS, THUMBS
from training.methods.arguments import common_arguments, dtype_of, optimizer_of, precision_of
from training.methods.rows import IGNORED, training_rows
from training.methods.schedule import rate_share
from training.models.loading import Machine, load_tokenizer
from training.recipe import OBJECTIVES, OPTIMIZERS, Recipe

CPU, OLD_CPU = Machine("cpu", "bfloat16"), Machine("cpu", "float32")
GPU, OLD_GPU = Machine("cuda", "bfloat16"), Machine("cuda", "float16")
SCHEDULES = st.sampled_from(["linear", "cosine", "constant"])


@given(st.integers(1, 500), st.floats(0, 0.99), SCHEDULES)
def test_no_step_has_rate_zero_and_none_more_than_the_peak(steps: int, warmup: float, schedule: str) -> None:
    rates = [rate_share(step, steps=steps, warmup=warmup, schedule=schedule) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    top = rates.index(max(rates))
    assert rates[top] == 1 or schedule == "cosine"
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_the_schedules_by_hand() -> None:
    def rates(schedule: str, warmup: float) -> list[float]:
        return [rate_share(step, steps=4, warmup=warmup, schedule=schedule) for step in range(4)]

    assert rates("linear", 0.5) == pytest.approx([0.5, 1, 2 / 3, 1 / 3])
    assert rates("linear", 0.0) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])
    assert rates("constant", 0.5) == pytest.approx([0.5, 1, 1, 1])
    assert rates("cosine", 0.5) == pytest.approx([0.5, 1, 0.75, 0.25])


@pytest.mark.parametrize(
    ("asked", "here", "given_precision"),
    [
        *[("auto", CPU, "bf16"), ("auto", OLD_CPU, "fp32"), ("auto", GPU, "bf16"), ("auto", OLD_GPU, "fp16")],
        *[("fp32", GPU, "fp32"), ("fp32", CPU, "fp32"), ("bf16", OLD_CPU, "bf16"), ("fp16", GPU, "fp16")],
    ],
)
def test_the_precision_is_the_recipes_or_what_the_machine_is_fast_in(
    asked: str, here: Machine, given_precision: str
) -> None:
    recipe = Recipe("m", precision=asked)
    assert precision_of(recipe, here) == given_precision
    assert dtype_of(recipe, here) == {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[given_precision]


@pytest.mark.parametrize(("asked", "here"), [("fp16", CPU), ("bf16", OLD_GPU)])
def test_a_precision_that_the_machine_cannot_train_in_is_refused(asked: str, here: Machine) -> None:
    with pytest.raises(UsageError):
        precision_of(Recipe("m", precision=asked), here)


def test_the_optimiser_is_the_machines_unless_the_recipe_names_one() -> None:
    assert optimizer_of(Recipe("m"), GPU) == "paged_adamw_8bit"
    assert optimizer_of(Recipe("m"), CPU) == "adamw_torch"
    assert optimizer_of(Recipe("m", optimizer="sgd"), GPU) == "sgd"


def test_transformers_knows_every_optimiser_that_a_recipe_may_name() -> None:
    from transformers.training_args import OptimizerNames

    assert set(OPTIMIZERS) - {"auto"} <= {name.value for name in OptimizerNames}


def test_a_checkpoint_is_saved_at_each_evaluation_and_old_ones_go() -> None:
    recipe = Recipe("m", evaluations=4, checkpoints_kept=2, batch_size=16, micro_batch_size=4)
    given_arguments = common_arguments(recipe, CPU, steps=42, folder=Path("run"), evaluates=True)
    assert given_arguments["save_steps"] == given_arguments["eval_steps"] == 10
    assert given_arguments["save_total_limit"] == 2
    assert given_arguments["gradient_accumulation_steps"] == 4
    assert given_arguments["output_dir"] == str(Path("run") / "checkpoints")
    assert common_arguments(recipe, CPU, steps=2, folder=Path("run"), evaluates=False)["save_steps"] == 1


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(str(tiny_model))


def test_a_row_is_trained_as_it_is_rendered(tokenizer: Any) -> None:
    rows = training_rows(EXAMPLES, tokenizer, Recipe("m"))
    for example, ids, labels in zip(EXAMPLES, rows.columns["input_ids"], rows.columns["labels"], strict=True):
        rendered = render(example, tokenizer)
        assert ids == rendered.ids
        assert labels == [token if on else IGNORED for token, on in zip(ids, rendered.mask, strict=True)]
    assert list(rows.lengths) == [len(ids) for ids in rows.columns["input_ids"]]


def test_an_answer_that_is_not_to_be_learnt_gives_no_supervised_row(tokenizer: Any) -> None:
    unwanted = replace(EXAMPLES[0], desirable=False)
    read_only = Example((Message("user", "what"), Message("assistant", "red", weight=0)))
    for completion_only in (True, False):
        recipe = Recipe("m", completion_only=completion_only)
        rows = training_rows([EXAMPLES[1], unwanted, read_only], tokenizer, recipe)
        assert (len(rows), rows.left_out) == (1, 2)


def test_thumbs_and_pairs_become_labelled_answers(tokenizer: Any) -> None:
    rows = training_rows([THUMBS[0], THUMBS[1], PAIRS[2], EXAMPLES[3]], tokenizer, Recipe("m", objective="kto"))
    assert rows.columns["label"] == [False, True, True, False, True]
    answers = [tokenizer.decode(ids) for ids in rows.columns["completion_ids"]]
    assert answers[3] == "no idea<|im_end|>" and answers[4] == EXAMPLES[3].completion + "<|im_end|>"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_rows_are_no_rows(objective: str, tokenizer: Any) -> None:
    rows = training_rows([], tokenizer, Recipe("m", objective=objective))
    assert not rows and rows.left_out == 0


def test_a_rejected_answer_of_several_messages_is_taken_whole(tokenizer: Any) -> None:
    several = (Message("assistant", "blue"), Message("user", "really"), Message("assistant", "green"))
    rows = training_rows([replace(EXAMPLES[0], rejected=several)], tokenizer, Recipe("m", objective="dpo"))
    text = tokenizer.decode(rows.columns["rejected_ids"][0])
    assert text.startswith("blue<|im_end|>") and text.endswith("green<|im_end|>")


def reference_loss(states: Any, weight: Any, bias: Any, targets: Any) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(
        states @ weight.T + (0 if bias is None else bias), targets, reduction="sum"
    )


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("tokens", [0, 1, 7, 70])
def test_the_loss_and_its_gradients_are_those_of_the_full_logits(
    tokens: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from training.methods import answer_loss

    monkeypatch.setattr(answer_loss, "_CHUNK_LOGITS", 1)  # 16 tokens at a time
    torch.manual_seed(0)
    states = torch.randn(tokens, 12, requires_grad=True)
    weight = torch.randn(30, 12, requires_grad=True)
    bias, targets = torch.randn(30) if with_bias else None, torch.randint(0, 30, (tokens,))

    def gradients(loss_of: Callable[..., Any]) -> tuple[Any, ...]:
        loss = loss_of(states, weight, bias, targets)
        return (loss.detach(), *torch.autograd.grad(loss * 3, (states, weight)))

    for ours, theirs in zip(gradients(answer_loss.linear_cross_entropy), gradients(reference_loss), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    with torch.no_grad():
        without = answer_loss.linear_cross_entropy(states, weight, bias, targets)
    assert torch.allclose(without, reference_loss(states, weight, bias, targets), atol=1e-4)


def test_the_loss_under_autocast_is_close_and_leaves_the_head_alone() -> None:
    import torch

    from training.methods.answer_loss import linear_cross_entropy

    torch.manual_seed(0)
    states, weight = torch.randn(40, 16, requires_grad=True), torch.randn(50, 16)
    targets = torch.randint(0, 50, (40,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(states, weight, None, targets)
    loss.backward()
    exact = states.detach().requires_grad_()
    reference = reference_loss(exact, weight, None, targets)
    reference.backward()
    assert loss.dtype == states.grad.dtype == torch.float32 and weight.grad is None
    assert loss.item() == pytest.approx(reference.item(), rel=0.02)
    assert torch.nn.functional.cosine_similarity(states.grad.flatten(), exact.grad.flatten(), dim=0) > 0.999


def test_a_model_with_a_peculiar_head_is_told_apart(tiny_model: Path) -> None:
    from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

    from training.methods.answer_loss import has_plain_head
    from training.models.loading import load_model

    sizes = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 0}
    assert has_plain_head(load_model(str(tiny_model)).model)
    assert not has_plain_head(Gemma2ForCausalLM(Gemma2Config(**sizes, **heads)))
    assert not has_plain_head(CohereForCausalLM(CohereConfig(**sizes, num_attention_heads=2, pad_token_id=0)))
