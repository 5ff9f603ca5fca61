"""Which of many texts belong together because they are nearly the same? For splits, where none may be on two sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset_tools.similarity import Hashes, jaccard, join, near_duplicate_groups, normalise, root_of, shingles
from dataset_tools.sketches import band_keys

EXACT_TEXTS = 5_000  # up to here every pair is found, in a millisecond a text; above, 99 of 100 in a fraction of it
THRESHOLD = 0.8  # Jaccard similarity of 5-character shingles: the convention of datasketch
MAX_PAIRS = 300_000  # that are compared, the likeliest first: about a minute
_BATCH = 500
_NEIGHBOURS = 4  # texts of one key that a text is compared with, beside the first
_HELD = 50_000  # texts whose shingles are kept for the next comparison
_HALF = np.uint64(32)


def near_groups(texts: Sequence[str]) -> list[int]:
    """For each text the number of its group: texts linked by a chain of near-duplicates have the same.

    Up to 5,000 texts the search is exact. Among more, a pair at a similarity of 0.8 is found with a chance of 99%, and
    a closer one with a higher (see `dataset_tools.sketches`).
    """
    return near_duplicate_groups(texts, threshold=THRESHOLD) if len(texts) <= EXACT_TEXTS else sketched_groups(texts)


def sketched_groups(texts: Sequence[str]) -> list[int]:
    """The same by sketches alone, for any number of texts."""
    parents = list(range(len(texts)))
    first: dict[str, int] = {}
    for here, text in enumerate(texts):
        join(parents, here, first.setdefault(normalise(text), here))
    first.clear()
    held: dict[int, Hashes] = {}
    for one, other in _likely_pairs(texts):
        if root_of(parents, one) == root_of(parents, other):
            continue
        if len(held) > _HELD:
            held.clear()
        for place in (one, other):
            if place not in held:
                held[place] = shingles(texts[place])
        if jaccard(held[one], held[other]) >= THRESHOLD:
            join(parents, one, other)
    return [root_of(parents, here) for here in range(len(texts))]


def _likely_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of texts that share a key of their sketches, the likeliest ones, in the order of the texts."""
    places, keys = [], []
    for start in range(0, len(texts), _BATCH):
        own, found = band_keys(texts[start : start + _BATCH])
        places.append(own + start)
        keys.append(found)
    owners = np.concatenate(places) if places else np.empty(0, np.intp)
    if not len(owners):
        return
    bands = [np.concatenate([part[band] for part in keys]) for band in range(len(keys[0]))]
    pairs, counts = np.unique(np.concatenate([_pairs(band, owners) for band in bands]), return_counts=True)
    likeliest = np.sort(np.argsort(-counts, kind="stable")[:MAX_PAIRS])
    for pair in pairs[likeliest].tolist():
        yield pair >> 32, pair & 0xFFFFFFFF


def _pairs(keys: NDArray[np.uint32], owners: NDArray[np.intp]) -> NDArray[np.uint64]:
    """The texts that have a key in common, two in a number: each with the first of its key, and those before it."""
    packed = np.sort((keys.astype(np.uint64) << _HALF) | owners.astype(np.uint64))
    key, owner = packed >> _HALF, packed & np.uint64(0xFFFFFFFF)
    begins = np.ones(len(key), dtype=bool)
    begins[1:] = key[1:] != key[:-1]
    firsts = np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))
    far = np.flatnonzero(np.arange(len(key)) - firsts > _NEIGHBOURS)
    found = [(owner[firsts[far]] << _HALF) | owner[far]]
    for back in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(key[back:] == key[:-back])
        found.append((owner[same] << _HALF) | owner[same + back])
    return np.concatenate(found)
