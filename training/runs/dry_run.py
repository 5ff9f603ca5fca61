"""A dry run: the real steps on the longest rows, an evaluation, a save and a resume, before anything is learnt.

It finds out in seconds what a run would else find out after hours: that a step does not fit the memory, that an
evaluation fails, that a checkpoint cannot be written or taken up again. And it replaces estimates by facts.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dataset_tools.errors import DiskFullError, RunError
from dataset_tools.example import Example
from training.methods import build_trainer
from training.models.loading import LoadedModel
from training.recipe import Recipe
from training.runs import checkpoints
from training.runs.callbacks import StopRequested, memory_in_use, sealer
from training.runs.folder import RunFolder
from training.scoring import Scorer

_STEPS, _SAVED_AT = 3, 2


@dataclass(frozen=True)
class Facts:
    """What a dry run measured. Seconds are of one optimiser step on the longest rows; memory and disk in bytes."""

    seconds_per_step: float
    memory: int
    checkpoint_bytes: int
    free_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For an event."""
        return asdict(self)


def dry_run(
    loaded: LoadedModel,
    recipe: Recipe,
    *,
    run: RunFolder,
    train: Sequence[Example],
    lengths: Sequence[int],
    validation: Sequence[Example],
    scorer: Scorer | None = None,
) -> Facts:
    """Try the recipe out on the longest rows; the model's weights are afterwards as they were.

    Raises:
        RunError: what was saved cannot be taken up again.
        DiskFullError: there is no room for two checkpoints beside each other.
    """
    count = _STEPS * recipe.micro_batch_size
    order = sorted(range(len(train)), key=lambda index: -lengths[index])
    longest = [train[index] for index in order[:count]] or list(train)
    batch = math.lcm(recipe.micro_batch_size, recipe.generations if recipe.objective == "grpo" else 1)
    once = replace(recipe, batch_size=batch, max_steps=_STEPS, max_seconds=None, evaluations=1, patience=0)
    place = Path(tempfile.mkdtemp(prefix=".dry-run-", dir=run.path))
    before = _trained_weights(loaded.model)
    clock = _clock(run, stop_at=_SAVED_AT)
    try:
        options: dict[str, Any] = {"train": longest, "validation": validation[:2], "folder": place, "scorer": scorer}
        trainer = build_trainer(loaded, once, callbacks=[clock, sealer({})], steps=_STEPS, **options)
        trainer.train()
        saved, remarks = checkpoints.newest_whole(place / "checkpoints")
        if saved is None:
            raise RunError("The dry run's checkpoint cannot be taken up again.", found=" ".join(remarks) or "none")
        size = sum(file.stat().st_size for file in saved.path.rglob("*") if file.is_file())
        clock.stop_at = _STEPS
        trainer = build_trainer(loaded, once, callbacks=[clock, sealer({})], steps=_STEPS, **options)
        trainer.train(resume_from_checkpoint=str(saved.path))
    finally:
        _put_back(loaded.model, before)
        shutil.rmtree(place, ignore_errors=True)
    seconds = min(clock.seconds[1:]) * recipe.batch_size / batch
    facts = Facts(round(seconds, 3), memory_in_use(), size, shutil.disk_usage(run.path).free)
    _refuse_small_disk(facts, run)
    return facts


def _refuse_small_disk(facts: Facts, run: RunFolder) -> None:
    """Two checkpoints must fit: the old one goes only after the new one is whole."""
    needed = 2 * facts.checkpoint_bytes
    if facts.free_bytes < needed:
        raise DiskFullError(
            "There is too little room for this run's checkpoints.",
            where=str(run.path),
            found=f"{facts.free_bytes / 1e6:,.0f} MB free",
            expected=f"{needed / 1e6:,.0f} MB, for two checkpoints",
            next_step="Free some space, or let FITTING_ROOM_HOME lie on a larger disk.",
        )


def _trained_weights(model: Any) -> Mapping[str, Any]:
    """A copy of what training changes, held in the machine's memory."""
    named = model.named_parameters()
    return {name: value.detach().to("cpu", copy=True) for name, value in named if value.requires_grad}


def _put_back(model: Any, weights: Mapping[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in weights:
                value.copy_(weights[name])
            value.grad = None


def _clock(run: RunFolder, *, stop_at: int) -> Any:
    """A callback that times each step, ends the training after step `stop_at`, and heeds a request to stop at once."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.stop_at, self.seconds = stop_at, list[float]()

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)
            if run.stop_request.exists():
                raise StopRequested
            if state.global_step >= self.stop_at:
                control.should_training_stop = control.should_save = True

    return Clock()
