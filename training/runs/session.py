"""One training, from the rows in the run's folder to the checked adapter. `worker` is the process around it."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, render
from training.methods import build_trainer, load_for_training, save_artefact
from training.models.loading import LoadedModel, load_tokenizer, machine
from training.recipe import Recipe
from training.runs import callbacks, checkpoints
from training.runs.callbacks import StopRequested, finite
from training.runs.choosing import choose_checkpoint
from training.runs.dry_run import dry_run
from training.runs.folder import RunFolder
from training.runs.inputs import inputs_of
from training.runs.probe import probe_seconds_per_token
from training.scoring import Scorer

# Rows for the validation loss on a machine without an accelerator, and prompts that are answered as the run goes on.
_VALIDATION_ROWS, _SAMPLES = 32, 6
# A budget is overdrawn by this share before the run is cut short: it was fitted to the time, and timing is noisy.
_OVERDRAFT = 1.5


@dataclass(frozen=True)
class Material:
    """What a training works with: its recipe, its rows, and the lengths of the rendered training rows in tokens."""

    recipe: Recipe
    tokenizer: Any
    train: Sequence[Example]
    validation: Sequence[Example]
    rendered: Sequence[Rendered]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training row."""
        return [len(row.ids) for row in self.rendered]

    @property
    def tokens_per_step(self) -> float:
        """Tokens of an average batch."""
        return sum(self.lengths) / len(self.rendered) * self.recipe.batch_size

    @property
    def longest_answer(self) -> int:
        """Tokens to let an answer grow to where it is looked whether it ends: well above the longest wanted one."""
        return min(2 * max((row.trained for row in self.rendered), default=32) + 8, 256)


def train(
    run: RunFolder,
    *,
    scorer: Scorer | None = None,
    base_best: Mapping[str, Any] | None = None,
    under_way: threading.Event | None = None,
) -> dict[str, Any]:
    """Train as the folder's recipe says; the result as ``train --json`` gives it (without run and state).

    A run that has a whole checkpoint goes on from it.

    Args:
        run: Its folder holds recipe and rows.
        scorer: The task's metric: chooses among the last checkpoints, and is the reward where the recipe wants one.
        base_best: The best prompt of the base in a comparison, for the health card.
        under_way: Set once the trainer heeds requests to stop.

    Raises:
        StopRequested: it was asked to stop before the first step.
        FittingRoomError: with what went wrong.
    """
    began = time.time()
    quick = bool(run.status().get("quick"))
    run.log("phase", phase="reading the rows")
    material = _material(run)
    run.log("phase", phase=f"loading the model{' in 4 bits' if material.recipe.method == 'qlora' else ''}")
    loaded = load_for_training(material.recipe, tokenizer=material.tokenizer)
    start, remarks = checkpoints.newest_whole(run.checkpoints)
    for remark in remarks:
        run.log("remark", text=remark)
    if start is None:
        material = _prepared(run, loaded, material, quick=quick, scorer=scorer)
    else:
        run.log("phase", phase=f"going on from step {start.step}")
    trainer = _trainer(run, loaded, material, quick=quick, scorer=scorer)
    if under_way is not None:
        under_way.set()
    run.update(state="running")
    for part, count in trainer.left_out.items():
        if count:
            run.log("remark", text=f"{count} {part} rows gave nothing to learn and were left out.")
    rows, steps = len(trainer.train_dataset), trainer.args.max_steps
    run.log("training", rows=rows, steps=steps, batch_size=material.recipe.batch_size)
    outcome = _learn(run, trainer, start)
    validation_loss = _last_validation_loss(run, trainer)
    stopped = run.stop_request.exists()
    if not stopped:
        choose_checkpoint(run, trainer, material, scorer=None if quick else scorer)
    _save(run, trainer.model, material.recipe)
    health = _health(run, trainer, material, quick=quick or stopped, scorer=scorer, base_best=base_best)
    return _result(run, trainer, material, outcome) | {
        "validation_loss": finite(validation_loss),
        "seconds": round(time.time() - began, 1),
        "health": health,
    }


def _material(run: RunFolder) -> Material:
    recipe = Recipe.load(run.path / "recipe.yaml")
    tokenizer = load_tokenizer(recipe.model)
    train, held_out = run.read_rows("train"), run.read_rows("validation")
    validation = held_out if machine().has_accelerator else held_out[:_VALIDATION_ROWS]
    rendered = [render(example, tokenizer).truncated(recipe.max_length) for example in train]
    if recipe.objective != "kto" and not any(row.trained for row in rendered):
        # Before the model is loaded: no method could use these rows.
        raise DataError(
            "No row is left to train on.",
            found=f"all {len(train)} rows lose their answer when cut to {recipe.max_length} tokens",
            expected="prompts short enough for the answer to fit",
            next_step="Raise max_length, or shorten the prompts.",
        )
    return Material(recipe, tokenizer, train, validation, rendered)


def _prepared(
    run: RunFolder, loaded: LoadedModel, material: Material, *, quick: bool, scorer: Scorer | None
) -> Material:
    """The material with a recipe that fits the time, tried out in a dry run where the recipe asks for one."""
    recipe = material.recipe
    if recipe.dry_run and not quick:
        run.log("phase", phase="a dry run: three steps on the longest rows, a save and a resume")
        options: dict[str, Any] = {"train": material.train, "validation": material.validation}
        facts = dry_run(loaded, recipe, run=run, lengths=material.lengths, scorer=scorer, **options)
        run.log("dry_run", **facts.to_dict())
    if recipe.max_seconds and recipe.max_steps is None:
        run.log("phase", phase="timing a step to fit the budget")
        pad = material.tokenizer.pad_token_id
        speed = probe_seconds_per_token(loaded.model, material.rendered, pad=pad, count=recipe.micro_batch_size)
        recipe = recipe.fitted(seconds_per_token=speed, lengths=material.lengths)
        recipe.save(run.path / "recipe.yaml")
    return replace(material, recipe=recipe)


def _trainer(run: RunFolder, loaded: LoadedModel, material: Material, *, quick: bool, scorer: Scorer | None) -> Any:
    recipe = material.recipe
    seconds = _OVERDRAFT * recipe.max_seconds if recipe.max_seconds else None
    watching = [
        callbacks.reporter(run, recipe, tokens_per_step=material.tokens_per_step),
        callbacks.stopper(run, seconds=seconds),
        callbacks.sealer(inputs_of(run)),
    ]
    if not quick and material.validation:
        watching.append(callbacks.sampler(run, material.tokenizer, material.validation[:_SAMPLES]))
    trainer = build_trainer(
        loaded,
        recipe,
        train=material.train,
        validation=material.validation,
        folder=run.path,
        callbacks=watching,
        scorer=scorer,
        steps=recipe.max_steps,
    )
    if trainer.args.eval_strategy != "no":
        trainer.args.metric_for_best_model, trainer.args.greater_is_better = "eval_loss", False
        if recipe.patience:
            trainer.add_callback(_patience(recipe.patience))
    return trainer


def _patience(evaluations: int) -> Any:
    from transformers import EarlyStoppingCallback

    return EarlyStoppingCallback(early_stopping_patience=evaluations)


def _learn(run: RunFolder, trainer: Any, start: checkpoints.Checkpoint | None) -> float:
    """Train; the seconds that it took."""
    began = time.time()
    try:
        trainer.train(resume_from_checkpoint=str(start.path) if start else None)
    except StopRequested:
        run.log("remark", text="Stopped in the middle of a step; what the steps before have learnt is kept.")
    if run.stop_request.exists():
        run.update(state="stopping")
    return max(time.time() - began, 1e-6)


def _last_validation_loss(run: RunFolder, trainer: Any) -> float | None:
    """The validation loss of the weights as they are now; taken here where the run was not stopped and lacks it."""
    taken = {entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry}
    step = trainer.state.global_step
    if trainer.eval_dataset is not None and step not in taken and not run.stop_request.exists():
        return float(trainer.evaluate()["eval_loss"])
    return taken[max(taken)] if taken else None


def _save(run: RunFolder, model: Any, recipe: Recipe) -> None:
    """The artefact, moved into place in one step."""
    half_done = run.path / f"{run.artefact(recipe.method).name}.part"
    shutil.rmtree(half_done, ignore_errors=True)
    save_artefact(model, half_done, recipe)
    target = run.artefact(recipe.method)
    shutil.rmtree(target, ignore_errors=True)  # of a run that was stopped, and goes on now
    half_done.rename(target)
    run.log("saved", adapter=str(target))


def _health(run: RunFolder, trainer: Any, material: Material, *, quick: bool, **judges: Any) -> dict[str, Any]:
    from training.health import check_health

    run.log("phase", phase="checking the adapter")
    losses = _training_losses(trainer)
    taken = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    report = check_health(
        trainer.model,
        material.tokenizer,
        train=material.train,
        validation=material.validation,
        max_new_tokens=material.longest_answer,
        losses=(_mean(losses[-5:]), taken[-1] if taken else None),
        quick=quick,
        base=_base_of(material.recipe) if material.recipe.method == "full" and not quick else None,
        objective=material.recipe.objective,
        max_length=material.recipe.max_length,
        on_progress=lambda phase: run.log("phase", phase=f"checking the adapter: {phase}"),
        **judges,
    )
    told = dict(report.to_dict())
    run.log("health", **told)
    return told


def _base_of(recipe: Recipe) -> Any:
    """The model as it was before all of its weights were trained; adapters are switched off instead."""
    from training.models.loading import load_model

    return load_model(recipe.model).model


def _training_losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values and all(map(math.isfinite, values)) else None


def _result(run: RunFolder, trainer: Any, material: Material, seconds: float) -> dict[str, Any]:
    steps, recipe = trainer.state.global_step, material.recipe
    artefact = run.artefact(recipe.method)
    told = [event for event in run.events()[0] if event["event"] == "step"]
    return {
        "adapter": str(artefact),
        "recipe": str(artefact / "recipe.yaml"),
        "steps": steps,
        "passes": round(steps * recipe.batch_size / len(material.rendered), 2),
        "training_seconds": round(seconds, 1),
        "tokens_per_second": told[-1]["tokens_per_second"] if told else None,
        "loss": finite(_mean(_training_losses(trainer)[-5:])),
    }
