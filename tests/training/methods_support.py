"""Rows, recipes and trainers on the tiny model, for the tests of the training methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_tools.example import Example, Message
from training.methods import build_trainer, load_for_training
from training.models.loading import LoadedModel
from training.recipe import Recipe

EXAMPLES = [Example.of(f"what is the colour of number {i}", "red" + " blue house" * (i % 6)) for i in range(12)]
PAIRS = [replace(example, rejected=(Message("assistant", "no idea"),)) for example in EXAMPLES]
THUMBS = [replace(example, desirable=bool(index % 2)) for index, example in enumerate(EXAMPLES)]
ROWS = {"sft": EXAMPLES, "dpo": PAIRS, "kto": THUMBS, "grpo": EXAMPLES}
METHODS = ("qlora", "lora", "dora", "rslora", "full", "prefix", "prompt", "ia3")


def recipe_of(model: Path, **knobs: Any) -> Recipe:
    """Three quick steps that surely move something."""
    fixed: dict[str, Any] = {
        **{"batch_size": 4, "micro_batch_size": 2, "max_steps": 3, "evaluations": 1, "learning_rate": 1e-2},
        **{"generations": 2, "max_completion": 8, "precision": "fp32", "rank": 4, "alpha": 8},
    }
    return Recipe(str(model), **{**fixed, **knobs})


def by_length(examples: Any, answers: Any) -> list[float]:
    """A score that some of a random model's answers get and others do not."""
    return [len(answer) % 5 / 5 for answer in answers]


def trainer_of(recipe: Recipe, folder: Path, **options: Any) -> tuple[LoadedModel, Any]:
    """The recipe's model and trainer, on the rows that fit its objective."""
    rows = ROWS[recipe.objective]
    loaded = options.pop("loaded", None) or load_for_training(recipe)
    given: dict[str, Any] = {"train": rows, "validation": rows[:3], "callbacks": [], "scorer": by_length, **options}
    return loaded, build_trainer(loaded, recipe, folder=folder, **given)


def weights(model: Any) -> dict[str, Any]:
    """A copy of all weights."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def logged(trainer: Any, name: str) -> list[float]:
    """What the trainer logged under a name, step by step."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]
