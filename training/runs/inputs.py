"""What a run learns from, as hashes and settings: kept with each checkpoint, compared before a run goes on."""

from __future__ import annotations

from dataclasses import asdict

from training.recipe import Recipe
from training.runs.checkpoints import hash_of_file
from training.runs.folder import RunFolder

# How the work is cut up and told of; what is learnt stays the same but for rounding.
_HARMLESS = {"micro_batch_size", "dry_run", "report_to", "checkpoints_kept", "max_seconds", "patience"}


def inputs_of(run: RunFolder) -> dict[str, str]:
    """The sha256 of the rows' files, and each knob of the recipe that decides what is learnt."""
    knobs = asdict(Recipe.load(run.path / "recipe.yaml"))
    rows = {name: hash_of_file(run.path / name) for name in ("train.jsonl", "validation.jsonl")}
    return rows | {f"recipe.{name}": str(value) for name, value in knobs.items() if name not in _HARMLESS}
