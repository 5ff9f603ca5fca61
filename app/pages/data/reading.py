"""The training rows of a project as the other pages take them: all usable ones, in memory."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dataset_tools import Dataset, load_examples


@lru_cache(maxsize=4)
def dataset_at(path: Path) -> Dataset:
    """The rows of a project's file. Such files never change, so the last few are kept."""
    return load_examples(path)
