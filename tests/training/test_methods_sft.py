"""What the real trainer does with a batch of the tiny model: what it learns, and that it goes on learning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import DataError, RunError
from dataset_tools.example import Example
from tests.training.methods_support import EXAMPLES, logged, recipe_of, trainer_of
from training.methods.rows import IGNORED
from training.methods.sft import check_stop_is_trained
from training.models.loading import load_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")
Build = Callable[..., Any]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A trainer of qlora on the tiny model, as a run makes it."""

    def make(model: Path, **knobs: Any) -> Any:
        options = {name: knobs.pop(name) for name in ("train", "validation") if name in knobs}
        fixed = {"method": "qlora", "micro_batch_size": 4, "max_steps": 2}
        return trainer_of(recipe_of(model, **{**fixed, **knobs}), tmp_path, **options)[1]

    return make


@pytest.fixture(params=["pad is not the stop token", "pad is the stop token"])
def model(request: pytest.FixtureRequest) -> Path:
    name = "tiny_model" if request.param == "pad is not the stop token" else "tiny_model_padded_with_stop"
    folder: Path = request.getfixturevalue(name)
    return folder


def test_the_stop_token_is_trained_in_the_collated_batch_and_padding_is_not(model: Path, build: Build) -> None:
    trainer, tokenizer = build(model, train=EXAMPLES[:9], micro_batch_size=1), load_tokenizer(str(model))
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(9)])
    assert len({tuple(row) for row in batch["attention_mask"].tolist()}) > 1, "some row of the batch must be padded"
    for ids, labels, seen in zip(
        batch["input_ids"].tolist(), batch["labels"].tolist(), batch["attention_mask"].tolist(), strict=True
    ):
        length = sum(seen)
        assert seen == [1] * length + [0] * (len(seen) - length)
        assert (ids[length - 1], labels[length - 1]) == (tokenizer.eos_token_id, tokenizer.eos_token_id)
        assert set(labels[length:]) <= {IGNORED}
        answer = tokenizer.decode([label for label in labels if label != IGNORED])
        assert answer in {example.completion + "<|im_end|>" for example in EXAMPLES}


@pytest.mark.parametrize(
    "labels",
    [lambda labels: [*labels[:-1], IGNORED], lambda labels: [IGNORED] * len(labels)],
    ids=["the end is masked", "everything is masked"],
)
def test_a_batch_that_does_not_train_its_end_is_refused(
    model: Path, build: Build, labels: Callable[[list[int]], list[int]]
) -> None:
    trainer, tokenizer = build(model), load_tokenizer(str(model))
    check_stop_is_trained(trainer, tokenizer)
    spoilt = [labels(row) for row in trainer.train_dataset["labels"]]
    trainer.train_dataset = trainer.train_dataset.remove_columns("labels").add_column("labels", spoilt)
    with pytest.raises(RunError, match="end-of-turn token is not trained"):
        check_stop_is_trained(trainer, tokenizer)


def test_the_check_sees_a_collator_that_masks_padding_and_the_stop_token_with_it(
    build: Build, tiny_model: Path, tiny_model_padded_with_stop: Path
) -> None:
    from transformers import DataCollatorForLanguageModeling

    for folder, harmful in ((tiny_model, False), (tiny_model_padded_with_stop, True)):
        trainer, tokenizer = build(folder), load_tokenizer(str(folder))
        collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)  # makes labels of its own, all but padding
        trainer.data_collator = lambda rows, collate=collate: collate([{"input_ids": r["input_ids"]} for r in rows])
        if harmful:
            with pytest.raises(RunError, match="end-of-turn token is not trained"):
                check_stop_is_trained(trainer, tokenizer)
        else:
            check_stop_is_trained(trainer, tokenizer)


def test_rows_that_were_cut_do_not_fail_the_check(build: Build, tiny_model: Path) -> None:
    lengths = [len(row["input_ids"]) for row in build(tiny_model).train_dataset]
    trainer = build(tiny_model, max_length=min(lengths))
    ends = {row["input_ids"][-1] for row in trainer.train_dataset}
    assert len(ends) > 1, "some row must have lost its end"


def test_rows_that_teach_nothing_are_left_out_and_counted(build: Build, tiny_model: Path) -> None:
    long = Example.of("what is the colour of " * 40, "red")
    trainer = build(tiny_model, train=[*EXAMPLES, long], validation=[long, EXAMPLES[0]], max_length=60)
    assert trainer.left_out == {"train": 1, "validation": 1}
    assert (len(trainer.train_dataset), len(trainer.eval_dataset)) == (len(EXAMPLES), 1)
    with pytest.raises(DataError, match="all 1 rows lose their answer when cut to 60 tokens"):
        build(tiny_model, train=[long], max_length=60)
    assert build(tiny_model, validation=[long], max_length=60).eval_dataset is None


def test_prompts_are_learnt_too_where_the_recipe_says_so(build: Build, tiny_model: Path) -> None:
    answers, everything = (build(tiny_model, completion_only=flag).train_dataset[0] for flag in (True, False))
    assert answers["input_ids"] == everything["input_ids"] == everything["labels"]
    assert answers["labels"].count(IGNORED) > 5


def test_only_the_adapter_is_trained_and_it_sits_on_all_linear_layers(build: Build, tiny_model: Path) -> None:
    import bitsandbytes

    trainer = build(tiny_model)
    trained = {name for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    assert len(trained) == 2 * 2 * 7  # A and B, two layers, seven linear layers each
    bases = [module for module in trainer.model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    assert len(bases) == 2 * 7
    assert {(base.weight.quant_state.quant_type, base.weight.quant_state.nested) for base in bases} == {("nf4", True)}


def gradients(trainer: Any) -> dict[str, Any]:
    """Of each adapter matrix B (A has none while B is zero), on one and the same batch."""
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(4)])
    trainer.model.zero_grad()
    trainer.model.train()
    trainer.compute_loss(trainer.model, dict(batch)).backward()
    return {name: weight.grad.clone() for name, weight in trainer.model.named_parameters() if "lora_B" in name}


def test_an_evaluation_leaves_every_gradient_as_it_was(build: Build, tiny_model: Path) -> None:
    import torch

    trainer = build(tiny_model)
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
    trainer = build(tiny_model, precision="auto")
    if trainer.model.device.type != "cpu":
        pytest.skip("bitsandbytes repacks 4-bit weights only on a CPU")
    for module in trainer.model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = True
    assert all(gradient.any() for gradient in gradients(trainer).values())
    trainer.evaluate()
    dead = [name for name, gradient in gradients(trainer).items() if not gradient.any()]
    assert len(dead) == 2 * 5, "all but what feeds the residual stream by itself (o_proj, down_proj)"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_adapter_is_float32_while_it_trains_and_every_matrix_gets_a_gradient(
    build: Build, tiny_model: Path, precision: str
) -> None:
    import torch
    from transformers import TrainerCallback

    seen: dict[str, tuple[Any, bool]] = {}

    class Look(TrainerCallback):  # type: ignore[misc]
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            for name, weight in kwargs["model"].named_parameters():
                if weight.requires_grad:
                    moved = bool(weight.grad.any()) or (name in seen and seen[name][1])
                    seen[name] = (weight.dtype, moved)

    trainer = build(tiny_model, precision=precision)
    trainer.add_callback(Look())
    trainer.train()
    assert len(seen) == 2 * 2 * 7
    assert {dtype for dtype, _ in seen.values()} == {torch.float32}
    assert all(moved for _, moved in seen.values())


def test_steps_too_small_for_bfloat16_still_move_the_adapter(build: Build, tiny_model: Path) -> None:
    import torch

    trainer = build(tiny_model, learning_rate=1e-6, precision="bf16")
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters() if "lora_A" in name}
    trainer.train()
    after = {name: weight for name, weight in trainer.model.named_parameters() if name in before}
    assert not any(torch.equal(before[name], after[name]) for name in before)
    as_bfloat16 = [torch.equal(before[name].bfloat16(), after[name].bfloat16()) for name in before]
    assert any(as_bfloat16), "else these steps would not have been small enough to show anything"


def test_no_step_is_taken_at_rate_zero(build: Build, tiny_model: Path) -> None:
    trainer = build(tiny_model, max_steps=4, warmup=0.5)
    trainer.train()
    assert logged(trainer, "learning_rate") == pytest.approx([0.005, 0.01, 0.01 * 2 / 3, 0.01 / 3])


def test_the_validation_loss_is_the_mean_over_all_trained_tokens(build: Build, tiny_model: Path) -> None:
    import torch

    trainer = build(tiny_model, micro_batch_size=1, validation=EXAMPLES)
    total, tokens = 0.0, 0
    model = trainer.model.eval()
    for row in trainer.eval_dataset:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
        with torch.no_grad():
            loss = model(input_ids=ids, labels=labels).loss
        count = int((labels[:, 1:] != IGNORED).sum())
        total, tokens = total + float(loss) * count, tokens + count
    assert trainer.evaluate()["eval_loss"] == pytest.approx(total / tokens, rel=1e-4)


def test_the_training_loss_is_the_mean_over_the_batch_however_it_is_divided(build: Build, tiny_model: Path) -> None:
    losses = []
    for micro in (4, 2, 1):
        trainer = build(tiny_model, micro_batch_size=micro, method="lora")
        trainer.train()
        losses.append(logged(trainer, "loss"))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_a_checkpoint_holds_no_pickled_arguments_and_no_tokenizer(build: Build, tiny_model: Path) -> None:
    trainer = build(tiny_model)
    trainer.train()
    names = {path.name for path in (Path(trainer.args.output_dir) / "checkpoint-2").iterdir()}
    assert names >= {"adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"}
    assert not names & {"training_args.bin", "tokenizer.json", "chat_template.jinja"}


def test_a_resumed_run_ends_with_the_same_losses_and_the_same_adapter(build: Build, tiny_model: Path) -> None:
    import torch

    knobs: dict[str, Any] = {"max_steps": 8, "evaluations": 4, "dropout": 0.2, "micro_batch_size": 2}
    whole = build(tiny_model, **knobs)
    whole.train()
    half = Path(whole.args.output_dir) / "checkpoint-4"
    resumed = build(tiny_model, **knobs)
    resumed.train(resume_from_checkpoint=str(half))
    assert logged(resumed, "loss") == logged(whole, "loss")
    assert logged(resumed, "eval_loss") == logged(whole, "eval_loss")
    one, other = (dict(trainer.model.named_parameters()) for trainer in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("precision", "used"), [("bf16", "eager"), ("fp32", "sdpa")])
def test_short_rows_train_with_the_attention_that_is_fast_and_the_model_is_left_as_it_was(
    precision: str, used: str, build: Build, tiny_model: Path
) -> None:
    trainer = build(tiny_model, method="lora", precision=precision)
    if trainer.model.device.type != "cpu":
        pytest.skip("the attention is only chosen on a CPU")
    seen = []
    for module in trainer.model.modules():
        if type(module).__name__ == "LlamaAttention":
            module.register_forward_hook(lambda one, *_: seen.append((one.training, one.config._attn_implementation)))
    trainer.train()
    assert {how for training, how in seen if training} == {used}
    assert {how for training, how in seen if not training} == {"sdpa"}, "evaluations"
    assert trainer.model.config._attn_implementation == "sdpa"


def test_both_ways_of_attention_give_the_same_loss(build: Build, tiny_model: Path) -> None:
    from training.methods.attention import attention_for

    trainer = build(tiny_model, method="lora", precision="bf16")
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(4)])
    losses = []
    for tokens in (1, 10_000):
        with attention_for(trainer.model, tokens):
            losses.append(trainer.compute_loss(trainer.model, dict(batch)).item())
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
