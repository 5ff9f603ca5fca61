"""Methods: a recipe and rows in, a configured trainer out. No loop of our own where trl has one. Imports no torch."""

from training.methods.adapters import load_for_training
from training.methods.artefact import save_artefact
from training.methods.building import build_trainer
from training.methods.rows import TrainingRows, training_rows

__all__ = ["TrainingRows", "build_trainer", "load_for_training", "save_artefact", "training_rows"]
