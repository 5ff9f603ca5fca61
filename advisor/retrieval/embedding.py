"""Texts -> unit vectors, kept by content, and nearest neighbours among them by faiss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_known: dict[str, Vectors] = {}
# MiniLM gives 384 numbers a text: 100,000 texts are 154 MB.
_MOST_KNOWN = 100_000


@lru_cache(maxsize=1)
def _embedder() -> Any:
    from training.models.loading import load_embedder

    return load_embedder()


def embed(texts: Sequence[str]) -> Vectors:
    """Unit vectors of the texts, (texts, 384). A text that was embedded before in this process is looked up."""
    missing = list(dict.fromkeys(text for text in texts if text not in _known))
    if len(_known) + len(missing) > _MOST_KNOWN:
        _known.clear()
        missing = list(dict.fromkeys(texts))
    if missing:
        made = _embedder().encode(missing, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        _known.update(zip(missing, np.asarray(made, dtype=np.float32), strict=True))
    return np.stack([_known[text] for text in texts]) if texts else np.zeros((0, 384), np.float32)


def nearest(queries: Vectors, vectors: Vectors, *, count: int) -> npt.NDArray[np.int64]:
    """For each query the row numbers of its nearest vectors by cosine, nearest first, (queries, count)."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    found: npt.NDArray[np.int64] = index.search(queries, min(count, len(vectors)))[1]
    return found
