"""The Train page: what a training would do, start it; watch a run, stop it, resume it; all runs. One file a section."""

from app.pages.train.page import TrainPage, run_label

__all__ = ["TrainPage", "run_label"]
