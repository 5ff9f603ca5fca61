"""Runs that can be exported, made without training: the tiny model with a trained part that is random but not zero."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataset_tools.example import Example
from training.export.job import Job, prepare
from training.export.source import read_source
from training.methods import load_for_training, save_artefact
from training.recipe import Recipe
from training.runs.folder import RunFolder

HEALTH = {"alive": True, "logit_change": 3.25, "stop_rate": 0.75}
TRAIN = [Example.of(f"what is number {i}", "red " * (1 + i % 4)) for i in range(8)]
_WORDS = ("cat", "dog", "river", "city", "label", "text")
HELD_OUT = [Example.of(f"which colour is the {word}", "blue house") for word in _WORDS]


def tiny_run(folder: Path, model: Path, *, method: str = "lora", scale: float = 0.05, **knobs: Any) -> RunFolder:
    """A run that says it is done.

    Args:
        folder: The run's folder, to be made.
        model: The base.
        method: The recipe's.
        scale: How large the random part is.
        knobs: Of the recipe.
    """
    import torch

    folder.mkdir(parents=True)
    fixed: dict[str, Any] = {"precision": "fp32", "rank": 4, "alpha": 8, "virtual_tokens": 4}
    recipe = Recipe(str(model), method=method, **{**fixed, **knobs})
    recipe.save(folder / "recipe.yaml")
    run = RunFolder(folder)
    run.write_rows("train", TRAIN)
    run.write_rows("validation", HELD_OUT)
    loaded = load_for_training(recipe)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, weight in loaded.model.named_parameters():
            if weight.requires_grad and "lora_A" not in name and "magnitude" not in name:
                weight.data += scale * torch.randn_like(weight)
    save_artefact(loaded.model, run.artefact(method), recipe)
    result = {"steps": 3, "loss": 1.25, "validation_loss": 1.5, "health": HEALTH, "adapter": str(run.adapter)}
    (folder / "run.json").write_text(json.dumps({"run": folder.name, "state": "done", "result": result}))
    return run


def job_for(run: RunFolder, folder: Path, **options: Any) -> Job:
    """What the steps of an export work with, the export being made in `folder`."""
    scratch = folder.with_name(folder.name + "-scratch")
    for path in (folder, scratch):
        path.mkdir()
    given: dict[str, Any] = {"scorer": None, "tell": lambda phase: None, "name": "a-model", **options}
    return prepare(read_source(run, len(HELD_OUT)), folder, scratch, **given)


def same(examples: Any, answers: Any) -> list[float]:
    """A score that every answer gets."""
    return [1.0 for _ in answers]
