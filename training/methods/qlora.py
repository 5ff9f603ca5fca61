"""QLoRA by trl's SFTTrainer: NF4 with double quantisation, LoRA on all linear layers, loss on the answer only.

The rows are rendered by `dataset_tools.rendering` and handed over as token ids with labels, so that trl neither
renders, truncates nor masks anything by rules of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError, RunError
from dataset_tools.rendering import Rendered
from training.models.loading import LoadedModel, machine
from training.recipe import Recipe

IGNORED = -100  # torch's label for "no loss here"


def add_adapter(loaded: LoadedModel, recipe: Recipe) -> Any:
    """The 4-bit base with a fresh adapter on all its linear layers (a peft model)."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)
    for parameter in loaded.model.parameters():
        parameter.requires_grad_(False)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(loaded.model, config)


def to_dataset(rows: Sequence[Rendered], max_length: int) -> Any:
    """Rendered rows -> a `datasets.Dataset` of input_ids and labels, cut to `max_length`.

    Raises:
        DataError: no row keeps a token of its answer.
    """
    from datasets import Dataset

    cut = [row.truncated(max_length) for row in rows]
    kept = [row for row in cut if row.trained]
    if not kept:
        raise DataError(
            "No row is left to train on.",
            found=f"all {len(rows)} rows lose their answer when cut to {max_length} tokens",
            expected="prompts short enough for the answer to fit",
            next_step="Raise max_length, or shorten the prompts.",
        )
    labels = [[token if on else IGNORED for token, on in zip(row.ids, row.mask, strict=True)] for row in kept]
    return Dataset.from_dict({"input_ids": [row.ids for row in kept], "labels": labels})


def probe_seconds_per_token(model: Any, rows: Sequence[Rendered], *, pad: int, count: int) -> float:
    """Time a forward and backward pass on `count` typical rows; the second of two, as the first warms up."""
    import torch

    middle = sorted(rows, key=lambda row: len(row.ids))[len(rows) // 2 :][:count]
    width = max(len(row.ids) for row in middle)
    ids = torch.tensor([row.ids + [pad] * (width - len(row.ids)) for row in middle], device=model.device)
    model.train()
    state = torch.get_rng_state()
    for _ in range(2):
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        if ids.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    return seconds / ids.numel()


def build_trainer(
    model: Any, tokenizer: Any, recipe: Recipe, *, train: Any, validation: Any, folder: Path, callbacks: list[Any]
) -> Any:
    """A configured SFTTrainer.

    Raises:
        RunError: the end-of-turn token is not trained (asserted on a collated batch, see `check_stop_is_trained`).
    """
    from trl import SFTConfig, SFTTrainer

    here = machine()
    steps = recipe.max_steps or max(1, round(len(train) * recipe.epochs / recipe.batch_size))
    config = SFTConfig(
        output_dir=str(folder / "trainer"),
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup,
        max_steps=steps,
        per_device_train_batch_size=recipe.micro_batch_size,
        per_device_eval_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=max(1, recipe.batch_size // recipe.micro_batch_size),
        max_grad_norm=recipe.max_gradient_norm,
        optim="paged_adamw_8bit" if here.has_accelerator else "adamw_torch",
        train_sampling_strategy="group_by_length",
        activation_checkpointing=recipe.gradient_checkpointing,
        bf16=here.dtype == "bfloat16",
        fp16=here.dtype == "float16",
        use_cpu=not here.has_accelerator,
        max_length=recipe.max_length,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="steps" if validation is not None else "no",
        eval_steps=max(1, steps // recipe.evaluations),
        prediction_loss_only=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=recipe.seed,
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    check_stop_is_trained(trainer, tokenizer)
    return trainer


def check_stop_is_trained(trainer: Any, tokenizer: Any) -> None:
    """Look at a batch as the trainer's own collator makes it: every row's last label must be a stop token.

    Where padding and end-of-turn are one token, a collator that masks padding masks stopping away with it, and the
    tuned model never ends its answers.

    Raises:
        RunError: a row of the batch does not train its end.
    """
    rows = [trainer.train_dataset[index] for index in range(min(4, len(trainer.train_dataset)))]
    # A row that was cut to max_length has lost its end, and lint says so; it must not fail the run.
    rows = [row for row in rows if row["input_ids"][-1] in tokenizer.all_special_ids]
    for labels in trainer.data_collator(rows)["labels"].tolist() if rows else []:
        trained = [label for label in labels if label != IGNORED]
        if not trained or trained[-1] not in tokenizer.all_special_ids:
            raise RunError(
                "The end-of-turn token is not trained, so the tuned model would not stop.",
                found=f"last trained token {tokenizer.decode(trained[-1:])!r}" if trained else "no trained token",
                expected=f"{tokenizer.eos_token!r} as the last trained token of each row",
                next_step="Choose a base model whose chat template ends each turn with a special token.",
            )
