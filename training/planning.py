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
class Basis:
    """What is measured once of rows and model, however they are trained on.

    ``lengths`` are the rows' tokens before any is cut, ``answer_share`` is the part of them that is learnt.
    """

    lengths: tuple[int, ...]
    answer_share: float
    shape: ModelShape


@dataclass(frozen=True)
class Plan:
    """What a training run would do and take."""

    recipe: Recipe
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    basis: Basis
    facts: RowFacts
    sentence: str
    estimate: Estimate
    readiness: Readiness

    @property
    def tokens(self) -> int:
        """Tokens of one pass over the training rows."""
        return sum(min(length, self.recipe.max_length) for length in self.basis.lengths)

    @property
    def longest(self) -> int:
        """Tokens of the longest row that is trained on."""
        return max((min(length, self.recipe.max_length) for length in self.basis.lengths), default=0)


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
    busy, machine = _machine(machine)
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
    basis = Basis(rows.lengths, _answer_share(rows), shape)
    if any(length > recipe.max_length for length in rows.lengths):
        rows = training_rows(train, tokenizer, recipe)
    facts = _facts(rows, len(train), basis, held_out=len(validation))
    return _plan(recipe, tuple(train), tuple(validation), basis=basis, facts=facts, machine=machine, busy=busy)


def replan(plan: Plan, recipe: Recipe, *, facts: RowFacts | None = None, machine: MachineMemory | None = None) -> Plan:
    """The plan with another recipe for the same rows; what was measured of them is not measured again.

    Args:
        plan: The plan.
        recipe: How to train instead.
        facts: What this recipe gets of the rows (`row_facts`), where that is known already.
        machine: What it will run on; this machine by default.
    """
    if (recipe.model, recipe.objective) != (plan.recipe.model, plan.recipe.objective):
        return plan_rows(plan.train, plan.validation, model=recipe.model, recipe=recipe, machine=machine)
    busy, machine = _machine(machine)
    facts = facts or row_facts(plan, recipe.max_length)
    return _plan(recipe, plan.train, plan.validation, basis=plan.basis, facts=facts, machine=machine, busy=busy)


def _plan(
    recipe: Recipe,
    train: tuple[Example, ...],
    validation: tuple[Example, ...],
    *,
    basis: Basis,
    facts: RowFacts,
    machine: MachineMemory,
    busy: bool,
) -> Plan:
    taken = _estimate(recipe, basis, machine=machine)
    free = shutil.disk_usage(home()).free
    shape = basis.shape
    judged = readiness(recipe, facts, estimate=taken, shape=shape, machine=machine, disk_free=free, busy=busy)
    return Plan(recipe, train, validation, basis, facts, describe(recipe, len(train)), taken, judged)


def _machine(machine: MachineMemory | None) -> tuple[bool, MachineMemory]:
    """Whether another run is at work, and the machine as it will be once that has ended."""
    machine, busy = machine or machine_memory(), locks.is_taken(home() / "accelerator.lock")
    return busy, replace(machine, free=max(machine.free, int(_AFTERWARDS * machine.total))) if busy else machine


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


def row_facts(plan: Plan, max_length: int) -> RowFacts:
    """What is left of a plan's rows once they are cut to so many tokens.

    Raises:
        ModelError: the model's tokenizer cannot be had.
    """
    longest = max(plan.basis.lengths, default=0)
    if min(max_length, longest) == plan.longest:
        return plan.facts
    recipe = replace(plan.recipe, max_length=max_length)
    rows = training_rows(plan.train, load_tokenizer(recipe.model), recipe)
    return _facts(rows, len(plan.train), plan.basis, held_out=len(plan.validation))


def _facts(rows: TrainingRows, total: int, basis: Basis, *, held_out: int) -> RowFacts:
    thumbs = rows.columns.get("label", ())
    return RowFacts(total, total - rows.left_out, basis.lengths, held_out, (sum(thumbs), len(thumbs) - sum(thumbs)))


def _answer_share(rows: TrainingRows) -> float:
    """The part of the rows' tokens that is learnt; half of them where the objective draws or compares answers."""
    if "labels" not in rows.columns or not rows.lengths:
        return 0.5
    return sum(sum(label >= 0 for label in labels) for labels in rows.columns["labels"]) / sum(rows.lengths)


def _estimate(recipe: Recipe, basis: Basis, *, machine: MachineMemory) -> Estimate:
    share = basis.answer_share if recipe.completion_only else 1.0
    options: dict[str, Any] = {"shape": basis.shape, "machine": machine, "answer_share": share}
    try:
        return estimate(recipe, basis.lengths, **options)
    except UsageError:  # a precision that this machine has not got, which `readiness` says
        return estimate(replace(recipe, precision="auto"), basis.lengths, **options)


def _longest_answer(examples: Sequence[Example], tokenizer: Any) -> int:
    """Tokens of the longest wanted answer."""
    texts = [example.completion for example in examples]
    return max((len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]), default=1) if texts else 1
