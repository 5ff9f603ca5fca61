"""A loaded model, a recipe and rows in, a configured trainer out; which of trl's, the recipe's objective says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.example import Example
from training.methods.arguments import common_arguments
from training.methods.grpo import reward_trainer
from training.methods.preference import pair_trainer, thumb_trainer
from training.methods.rows import require_rows, training_rows
from training.methods.sft import check_stop_is_trained, supervised_trainer
from training.methods.trainer import held_exact, prepare_again
from training.models.loading import LoadedModel, machine
from training.recipe import Recipe
from training.scoring import Scorer


def build_trainer(
    loaded: LoadedModel,
    recipe: Recipe,
    *,
    train: Sequence[Example],
    validation: Sequence[Example] = (),
    folder: Path,
    callbacks: list[Any],
    scorer: Scorer | None = None,
    steps: int | None = None,
) -> Any:
    """A transformers Trainer for the recipe's objective; may be called again with the same model.

    Its checkpoints go to ``folder / "checkpoints"``, one at each evaluation. The order of rows is a function of the
    seed and the epoch, so that a resumed run sees the same rows. ``trainer.left_out`` counts the examples that gave
    no row, for "train" and "validation".

    Args:
        loaded: From `load_for_training`.
        recipe: How to train.
        train: Examples to learn from.
        validation: Examples for the validation loss; none where empty.
        folder: The run's.
        callbacks: transformers' callbacks.
        scorer: The reward of the objective grpo.
        steps: Optimiser steps, over the recipe's.

    Raises:
        DataError: no row is left to train on.
        RunError: the end-of-turn token is not trained (asserted on a collated batch, see `check_stop_is_trained`).
        UsageError: the objective needs a scorer, or the machine cannot train in the recipe's precision.
    """
    from transformers import PrinterCallback

    rows = training_rows(train, loaded.tokenizer, recipe)
    require_rows(rows, train, recipe)
    held_out = training_rows(validation, loaded.tokenizer, recipe)
    prepare_again(loaded.model)
    total = steps or recipe.steps(len(rows))
    arguments = common_arguments(recipe, machine(), steps=total, folder=folder, evaluates=bool(held_out))
    parts: dict[str, Any] = {
        "arguments": arguments,
        "train_dataset": rows.dataset(),
        "eval_dataset": held_out.dataset() if held_out else None,
        "callbacks": callbacks,
    }
    with held_exact(loaded.model):
        if recipe.objective == "grpo":
            trainer = reward_trainer(loaded, recipe, scorer=scorer, train=train, validation=validation, **parts)
        else:
            make = {"sft": supervised_trainer, "dpo": pair_trainer, "kto": thumb_trainer}[recipe.objective]
            trainer = make(loaded, recipe, **parts)
    left_out = {"train": rows.left_out, "validation": held_out.left_out}
    trainer.settle(recipe, lengths=rows.lengths, evaluation=held_out.lengths, left_out=left_out)
    trainer.remove_callback(PrinterCallback)
    if recipe.objective == "sft":
        check_stop_is_trained(trainer, loaded.tokenizer)
    return trainer
