"""A cross-encoder that reads question and passage together, where the user has one. None is shipped or fetched.

``FITTING_ROOM_RERANKER`` names it: a folder, or an id that sentence-transformers' ``CrossEncoder`` takes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
    from training.models.loading import load_reranker

    return Reranker(load_reranker(name, named_by=VARIABLE))
