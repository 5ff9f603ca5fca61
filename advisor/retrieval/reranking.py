"""A cross-encoder that reads question and passage together, where the user has one. None is shipped or fetched.

``FITTING_ROOM_RERANKER`` names it: a folder, or an id that sentence-transformers' ``CrossEncoder`` takes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dataset_tools.errors import ModelError

VARIABLE = "FITTING_ROOM_RERANKER"
_BATCH = 32


@dataclass(frozen=True)
class Reranker:
    """A loaded cross-encoder with one score for a pair of texts."""

    model: Any

    def order(self, query: str, texts: Sequence[str]) -> list[int]:
        """The places of the texts, the one that fits the query best first."""
        if not texts:
            return []
        ranked = self.model.rank(query, list(texts), batch_size=_BATCH, show_progress_bar=False)
        return [int(place["corpus_id"]) for place in ranked]


def reranker() -> Reranker | None:
    """The reranker that the environment names, loaded once; None where it names none.

    Raises:
        ModelError: it cannot be loaded from safetensors, or gives more than one score for a pair.
    """
    name = os.environ.get(VARIABLE, "").strip()
    return _load(name) if name else None


@lru_cache(maxsize=1)
def _load(name: str) -> Reranker:
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    from training.models.loading import first_line, locate, machine

    try:
        # Code that comes with a model is run by no default of the library, and is asked for nowhere here.
        model = CrossEncoder(locate(name), device=machine().device, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            "The reranker cannot be loaded.",
            where=f"{VARIABLE}={name}",
            found=first_line(error),
            expected="a cross-encoder with safetensors weights, on this machine or reachable on the hub",
            next_step=f"Correct {VARIABLE}, or remove it to go without a reranker.",
        ) from error
    if model.num_labels != 1:
        raise ModelError(
            "This model is no reranker.",
            where=f"{VARIABLE}={name}",
            found=f"{model.num_labels} scores for a pair",
            expected="one score for a pair of question and passage",
            next_step=f"Name a cross-encoder made for ranking, or remove {VARIABLE}.",
        )
    return Reranker(model)
