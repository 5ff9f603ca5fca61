"""From rows, model and machine to a plan: the recipe, its rows, what it will take, and whether it can start."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example
from dataset_tools.splitting import split
from training.derivation import derive_recipe, describe
from training.estimates import Estimate, estimate
from training.home import home
from training.methods.rows import TrainingRows, training_rows
from training.models.loading import load_config, load_tokenizer
from training.models.machine_memory import MachineMemory, machine_memory
from training.models.memory import largest_micro_batch
from training.models.shape import ModelShape, shape_of
from training.readiness import Readiness, RowFacts, readiness
from training.recipe import Recipe
from training.runs import locks

# Fewer rows than this are all trained on; there is nothing to spare for validation.
_SPARE = 24
# More tokens than any row has: rows are counted before they are cut.
_UNCUT = 2**31
# Share of the memory to plan with where another run, for whose end this one waits, holds some of it now.
_AFTERWARDS = 0.9


@dataclass(frozen=True)
class Plan:
    """What a training run would do and take. ``tokens`` is one pass over the training rows."""

    recipe: Recipe
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    tokens: int
    sentence: str
    estimate: Estimate
    readiness: Readiness


def plan_training(
    examples: Sequence[Example],
    *,
    model: str,
    max_seconds: float | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    method: str = "qlora",
    objective: str = "sft",
    machine: MachineMemory | None = None,
) -> Plan:
    """Hold some rows out for validation and derive the recipe for the rest. The arguments are those of `plan_rows`.

    Raises:
        DataError: fewer than 2 rows.
        ModelError: the model's tokenizer or configuration cannot be had.
    """
    if len(examples) < 2:
        raise DataError(
            "There are too few rows to train on.",
            found=f"{len(examples)}",
            expected="2 at the very least; 50 and more to learn anything",
            next_step="Collect more examples, or compare prompts first with `fitting-room compare`.",
        )
    train, validation = tuple(examples), tuple[Example, ...]()
    if len(train) >= _SPARE:
        parts = split(train, test=min(100, max(8, len(train) // 10)), validation=1, seed=seed)
        train, validation = (*parts.train, *parts.validation), parts.test
    options: dict[str, Any] = {"recipe": recipe, "method": method, "objective": objective, "machine": machine}
    return plan_rows(train, validation, model=model, max_seconds=max_seconds, seed=seed, **options)


def plan_rows(
    train: Sequence[Example],
    validation: Sequence[Example],
    *,
    model: str,
    max_seconds: float | None = None,
    seed: int = 0,
    tokenizer: Any = None,
    recipe: Recipe | None = None,
    method: str = "qlora",
    objective: str = "sft",
    machine: MachineMemory | None = None,
) -> Plan:
    """Derive the recipe for rows that are split already, and say what it takes and whether it can start.

    Args:
        train: The rows to train on.
        validation: The rows that are held out.
        model: The base model's name.
        max_seconds: A time budget for the training loop.
        seed: For everything random.
        tokenizer: The model's, where it is loaded already.
        recipe: How to train, instead of deriving it; its own model, budget and seed count then.
        method: What is trained, of a recipe that is derived.
        objective: What is learnt, of a recipe that is derived.
        machine: What it will run on; this machine by default.

    Raises:
        DataError: the model's template refuses a row.
        ModelError: the model's tokenizer or configuration cannot be had.
    """
    model, objective = (recipe.model, recipe.objective) if recipe else (model, objective)
    tokenizer, shape = tokenizer or load_tokenizer(model), shape_of(load_config(model))
    busy = locks.is_taken(home() / "accelerator.lock")
    machine = machine or machine_memory()
    if busy:
        machine = replace(machine, free=max(machine.free, int(_AFTERWARDS * machine.total)))
    uncut = Recipe(model, objective=objective, max_length=_UNCUT)
    rows = training_rows(train, tokenizer, uncut)
    if recipe is None:
        recipe = derive_recipe(
            model,
            rows.lengths,
            hidden_size=shape.hidden_size,
            context=shape.context,
            has_accelerator=machine.device.has_accelerator,
            method=method,
            objective=objective,
            longest_answer=_longest_answer(train, tokenizer) if objective == "grpo" else None,
            max_seconds=max_seconds,
            seed=seed,
        )
        recipe = within_memory(recipe, shape, lengths=rows.lengths, machine=machine)
    facts = _facts(rows, recipe, train, held_out=len(validation), tokenizer=tokenizer)
    taken = _estimate(recipe, rows, shape=shape, machine=machine)
    judged = readiness(
        recipe,
        facts,
        estimate=taken,
        shape=shape,
        machine=machine,
        disk_free=shutil.disk_usage(home()).free,
        busy=busy,
    )
    tokens = sum(min(length, recipe.max_length) for length in rows.lengths)
    return Plan(recipe, tuple(train), tuple(validation), tokens, describe(recipe, len(train)), taken, judged)


def within_memory(recipe: Recipe, shape: ModelShape, *, lengths: Sequence[int], machine: MachineMemory) -> Recipe:
    """The recipe with so few rows at once that it fits the free memory; the batch stays, so what is learnt does.

    Where not even one row fits, activations are computed twice. What does not fit then either is left as it is, for
    `readiness` to say so.
    """
    for tried in (recipe, replace(recipe, gradient_checkpointing=recipe.method != "prefix")):
        most = largest_micro_batch(tried, shape, lengths=lengths, machine=machine)
        if most:
            return replace(tried, micro_batch_size=min(tried.micro_batch_size, most))
    return recipe


def _estimate(recipe: Recipe, rows: TrainingRows, *, shape: ModelShape, machine: MachineMemory) -> Estimate:
    share = 0.5
    if "labels" in rows.columns and rows.lengths:
        trained = sum(sum(label >= 0 for label in labels) for labels in rows.columns["labels"])
        share = trained / sum(rows.lengths)
    try:
        return estimate(recipe, rows.lengths, shape=shape, machine=machine, answer_share=share)
    except UsageError:  # a precision that this machine has not got, which `readiness` says
        return estimate(replace(recipe, precision="auto"), rows.lengths, shape=shape, machine=machine)


def _facts(rows: TrainingRows, recipe: Recipe, train: Sequence[Example], *, held_out: int, tokenizer: Any) -> RowFacts:
    """What is left of the rows once they are cut to the recipe's length."""
    lengths = rows.lengths
    if any(length > recipe.max_length for length in lengths):
        rows = training_rows(train, tokenizer, recipe)
    wanted = sum(rows.columns.get("label", ()))
    thumbs = (wanted, len(rows) - wanted) if recipe.objective == "kto" else (0, 0)
    return RowFacts(len(train), len(train) - rows.left_out, lengths, held_out, thumbs)


def _longest_answer(examples: Sequence[Example], tokenizer: Any) -> int:
    """Tokens of the longest wanted answer."""
    texts = [example.completion for example in examples]
    return max((len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]), default=1) if texts else 1
