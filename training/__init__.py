"""Examples in, a model artefact out: models, the recipe, runs and their health. Imports no torch by itself."""

from training.home import cache, home
from training.planning import Plan, plan_rows, plan_training
from training.recipe import Recipe, derive_recipe
from training.runs.folder import RunFolder
from training.runs.supervisor import start_training, state_of, stop, watch

__all__ = [
    "Plan",
    "Recipe",
    "RunFolder",
    "cache",
    "derive_recipe",
    "home",
    "plan_rows",
    "plan_training",
    "start_training",
    "state_of",
    "stop",
    "watch",
]
