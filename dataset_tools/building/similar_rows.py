"""Rows like this one: by meaning where the caller has an embedder, else by words. No model is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataset_tools.building.draft_rows import DraftRow
from dataset_tools.similarity import distinctive_parts, normalise

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts to vectors, (texts, numbers)."""

_MOST_COMPARED = 4_000  # characters of a row; comparing words costs the product of the lengths


@dataclass(frozen=True, slots=True)
class SimilarRow:
    """A row, and how like the wanted text it is: 1 for the same, about 0 for another matter."""

    row: DraftRow
    similarity: float


def most_similar(
    text: str, rows: Sequence[DraftRow], *, count: int = 10, embed: Embed | None = None
) -> list[SimilarRow]:
    """The ``count`` rows most like the text, most similar first; rows as similar stay in their order.

    With ``embed`` the similarity is the cosine. Without, it is the mean of rapidfuzz's token-set and token-sort
    ratios over 100 (words in any order; the first forgives words that only one text has, the second does not), of
    what is each text's own: instructions and lines that many rows share do not count.
    """
    if not rows or count < 1:
        return []
    texts = [text, *(row.text for row in rows)]
    scores = _by_words(texts) if embed is None else _by_meaning(texts, embed)
    best = sorted(range(len(rows)), key=lambda index: -scores[index])[:count]
    return [SimilarRow(rows[index], round(scores[index], 4)) for index in best]


def _by_words(texts: Sequence[str]) -> list[float]:
    from rapidfuzz import fuzz

    wanted, *others = [normalise(part[:_MOST_COMPARED]) for part in distinctive_parts(texts)]
    return [(fuzz.token_set_ratio(wanted, other) + fuzz.token_sort_ratio(wanted, other)) / 200 for other in others]


def _by_meaning(texts: Sequence[str], embed: Embed) -> list[float]:
    vectors = np.asarray(embed(texts), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, 1e-12)
    scores: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return scores
