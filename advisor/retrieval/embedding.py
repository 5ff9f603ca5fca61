"""Texts -> unit vectors, kept by content, and nearest neighbours among them by faiss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_known: dict[str, Vectors] = {}
# MiniLM gives 384 numbers a text: 100,000 texts are 154 MB.
_MOST_KNOWN = 100_000
# Windows of a long text overlap by this part of one or more, and are at most so many (some 7,000 tokens). Judgements.
_OVERLAP, _MOST_WINDOWS = 8, 32


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


def embed_whole(texts: Sequence[str]) -> Vectors:
    """Unit vectors of texts of any length, (texts, 384): what the embedder would cut off is read as well.

    A long text is read in windows as long as the embedder takes (256 of its tokens), which overlap by an eighth, so
    that no phrase is only ever seen cut in two; its vector is the mean of theirs. Of more than 32 windows 32 that are
    spread over the text are read. A text that fits in one window has the vector that `embed` gives.
    """
    windows = [_windows(text) for text in texts]
    vectors = embed([window for several in windows for window in several])
    ends = np.cumsum([0, *map(len, windows)])
    means = [vectors[start:end].mean(axis=0) for start, end in pairwise(ends)]
    made = np.stack(means) if means else np.zeros((0, 384), np.float32)
    whole: Vectors = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    return whole.astype(np.float32)


def _windows(text: str) -> list[str]:
    """The text, or where it is longer than the embedder reads, the pieces of it that are read one by one."""
    model = _embedder()
    size = model.max_seq_length - model.tokenizer.num_special_tokens_to_add()
    if len(text.encode()) <= size:  # no token is shorter than a byte
        return [text]
    encoded = model.tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
    )
    places = encoded["offset_mapping"]
    if len(places) <= size:
        return [text]
    last = len(places) - size
    count = 1 + -(-last // (size - size // _OVERLAP))
    starts = np.linspace(0, last, min(count, _MOST_WINDOWS)).round().astype(int)
    return [text[places[start][0] : places[start + size - 1][1]] for start in starts]


def nearest(queries: Vectors, vectors: Vectors, *, count: int) -> npt.NDArray[np.int64]:
    """For each query the row numbers of its nearest vectors by cosine, nearest first, (queries, count)."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    found: npt.NDArray[np.int64] = index.search(queries, min(count, len(vectors)))[1]
    return found
