"""From a recipe and the machine to the values of transformers' TrainingArguments that all objectives share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataset_tools.errors import UsageError
from training.models.loading import Machine
from training.recipe import Recipe

_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
# Rows of an evaluation, in micro-batches: no gradients are kept, and four fit where one fits with them (a judgement).
_EVALUATION_SHARE = 4


def precision_of(recipe: Recipe, here: Machine) -> str:
    """What is computed in, as "bf16", "fp16" or "fp32": the recipe's choice, or what is fast on this machine.

    Raises:
        UsageError: the machine cannot train in it.
    """
    if recipe.precision == "auto":
        return next(name for name, dtype in _DTYPES.items() if dtype == here.dtype)
    if recipe.precision == "fp16" and not here.has_accelerator:
        raise UsageError(
            "fp16 needs an accelerator: its gradients overflow without the loss scaling that only a GPU has here.",
            found="a machine without one",
            expected="precision auto, bf16 or fp32",
        )
    if recipe.precision == "bf16" and here.has_accelerator and here.dtype != "bfloat16":
        raise UsageError(
            "This accelerator cannot compute in bf16.", found=here.dtype, expected="precision auto, fp16 or fp32"
        )
    return recipe.precision


def dtype_of(recipe: Recipe, here: Machine) -> str:
    """The torch dtype, by name, of a base that is not trained itself."""
    return _DTYPES[precision_of(recipe, here)]


def optimizer_of(recipe: Recipe, here: Machine) -> str:
    """The recipe's optimiser, or the machine's: 8-bit paged AdamW on CUDA (QLoRA), else torch's AdamW."""
    if recipe.optimizer != "auto":
        return recipe.optimizer
    return "paged_adamw_8bit" if here.has_accelerator else "adamw_torch"


def common_arguments(recipe: Recipe, here: Machine, *, steps: int, folder: Path, evaluates: bool) -> dict[str, Any]:
    """The arguments that do not depend on the objective; checkpoints go to ``folder / "checkpoints"``.

    A checkpoint is saved at each evaluation, whole enough to go on from (with optimiser, schedule and random states).
    """
    every, precision = max(1, steps // recipe.evaluations), precision_of(recipe, here)
    return {
        "output_dir": str(folder / "checkpoints"),
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "max_steps": steps,
        "per_device_train_batch_size": recipe.micro_batch_size,
        "per_device_eval_batch_size": recipe.micro_batch_size * _EVALUATION_SHARE,
        "gradient_accumulation_steps": recipe.batch_size // recipe.micro_batch_size,
        "max_grad_norm": recipe.max_gradient_norm,
        "optim": optimizer_of(recipe, here),
        "activation_checkpointing": recipe.gradient_checkpointing,
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": not here.has_accelerator,
        "eval_strategy": "steps" if evaluates else "no",
        "eval_steps": every,
        "prediction_loss_only": True,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": recipe.checkpoints_kept,
        "save_only_model": False,
        "load_best_model_at_end": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would hide a loss that is no number behind the last one that was
        "report_to": recipe.report_to,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": recipe.seed,
    }
