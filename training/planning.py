"""From rows, model and machine to a plan: the recipe, the rows it trains on and those it is checked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import render
from dataset_tools.splitting import split
from training.models.loading import load_config, load_tokenizer, machine
from training.recipe import Recipe, derive_recipe, describe

# Fewer rows than this are all trained on; there is nothing to spare for validation.
_SPARE = 24


@dataclass(frozen=True)
class Plan:
    """What a training run would do. ``tokens`` is one pass over the training rows."""

    recipe: Recipe
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    tokens: int
    sentence: str


def plan_training(examples: Sequence[Example], *, model: str, max_seconds: float | None = None, seed: int = 0) -> Plan:
    """Hold some rows out for validation and derive the recipe for the rest.

    Raises:
        DataError: fewer than 2 rows.
        ModelError: the model's tokenizer cannot be had.
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
    return plan_rows(train, validation, model=model, max_seconds=max_seconds, seed=seed)


def plan_rows(
    train: Sequence[Example],
    validation: Sequence[Example],
    *,
    model: str,
    max_seconds: float | None = None,
    seed: int = 0,
    tokenizer: Any = None,
) -> Plan:
    """Derive the recipe for rows that are split already."""
    tokenizer = tokenizer or load_tokenizer(model)
    config = load_config(model)
    lengths = [len(render(example, tokenizer).ids) for example in train]
    recipe = derive_recipe(
        model,
        lengths,
        hidden_size=config.hidden_size,
        context=config.max_position_embeddings,
        has_accelerator=machine().has_accelerator,
        max_seconds=max_seconds,
        seed=seed,
    )
    sentence = describe(recipe, len(train))
    return Plan(recipe, tuple(train), tuple(validation), sum(lengths), sentence)
