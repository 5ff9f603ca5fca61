"""When are two texts the same, nearly the same, or the same but for a shared instruction? No embeddings here."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

SHINGLE = 5  # characters; the convention of datasketch's text deduplication
MIN_NEAR_LENGTH = 20  # characters of normalised text; a shorter text changes its meaning with any change
SHARED_BY = 0.9  # an instruction is shared when so many of the texts have it, so that one odd row does not hide it
MIN_SHARED = 8  # rare shingles that a candidate must share; more makes fewer candidates and longer lists
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Fibonacci hashing (Knuth, TAOCP 3, 6.4)

Hashes = NDArray[np.uint64]
U = TypeVar("U", bound=np.unsignedinteger[Any])


class _Lightened(dict[int, int | None]):
    """Code point -> what it is compared as: punctuation and blanks become a space, invisible marks nothing."""

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        if category[0] in "PZ" or category == "Cc":
            kept: int | None = 32
        else:
            kept = None if category == "Cf" else code
        self[code] = kept
        return kept


_LIGHTENED = _Lightened()


def fold(text: str) -> str:
    """The text without differences of case, blanks and compatibility forms (NFKC). Punctuation stays."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def normalise(text: str) -> str:
    """The text as it is compared: NFKC, case folded, punctuation and blanks collapsed to single spaces.

    A text of nothing but punctuation keeps it, so that ``"?"`` and ``"!"`` stay two texts.
    """
    folded = fold(text)
    light = " ".join(folded.translate(_LIGHTENED).split())
    if not light.isascii():  # folding and dropping marks can leave what NFKC would join
        light = " ".join(unicodedata.normalize("NFKC", light).casefold().split())
    return light or folded


def common_affixes(texts: Sequence[str]) -> tuple[str, str]:
    """The prefix and the suffix that the texts share (at least 90% of them), cut back to word boundaries.

    Both are empty for fewer than 3 texts, and where taking them off would leave nothing of more than 10%.
    """
    if len(texts) < 3:
        return "", ""
    prefix = _shared_prefix(texts)
    while prefix and prefix[-1].isalnum():
        prefix = prefix[:-1]
    suffix = _shared_prefix([text[::-1] for text in texts])[::-1]
    while suffix and suffix[0].isalnum():
        suffix = suffix[1:]
    empty = sum(1 for text in texts if not strip_affixes(text, (prefix, suffix)))
    return ("", "") if empty > 0.1 * len(texts) else (prefix, suffix)


def strip_affixes(text: str, affixes: tuple[str, str]) -> str:
    """The text without a shared prefix and suffix, where it has them, and without blanks at its ends."""
    prefix, suffix = affixes
    text = text.removeprefix(prefix)
    return text.removesuffix(suffix).strip()


@dataclass(frozen=True, slots=True)
class SharedText:
    """What the texts of one task have in common: a prefix, a suffix, and whole lines.

    Rows of one task share their instruction, and two tasks in one file have two; compared whole, all rows of a task
    would be near-duplicates.
    """

    affixes: tuple[str, str] = ("", "")
    lines: frozenset[str] = frozenset()

    @classmethod
    def of(cls, texts: Sequence[str], *, least: int = 3) -> SharedText:
        """Learn from some texts: the affixes of at least 90% of them, and the lines that 5% of the rest repeat.

        A line that fewer than ``least`` texts have is never a shared one: a few near-duplicates repeat lines too.
        """
        affixes = common_affixes(texts)
        lines = Counter(line for text in texts for line in set(strip_affixes(text, affixes).split("\n")))
        enough = max(least, math.ceil(0.05 * len(texts)))
        return cls(affixes, frozenset(line for line, count in lines.items() if count >= enough))

    def without(self, text: str) -> str:
        """The text's own part; the whole text where nothing would be left of it."""
        own = strip_affixes(text, self.affixes)
        if self.lines:
            own = "\n".join([line for line in own.split("\n") if line not in self.lines]).strip()
        return own or text


def distinctive_parts(texts: Sequence[str]) -> list[str]:
    """What is each text's own: without what the texts share (see `SharedText`)."""
    shared = SharedText.of(texts)
    return [shared.without(text) for text in texts]


class NearDuplicates:
    """An index of texts that finds the one that is the same, or nearly the same, as another.

    Near means that the sets of 5-character shingles of the normalised texts have a Jaccard similarity of at least
    ``threshold`` (0.8 on 5-gram shingles is datasketch's convention for text). The search is exact: two sets that
    similar share several of their rarest shingles (prefix filtering: Chaudhuri et al., ICDE 2006). Texts under 20
    characters match only when they are the same. Strip a shared instruction first: see `distinctive_parts`.

    Args:
        texts: What is searched. Kept as hashes, about 8 bytes a character.
        threshold: Least Jaccard similarity of a near-duplicate, over 0 and at most 1.
    """

    def __init__(self, texts: Sequence[str], *, threshold: float = 0.8) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must be in (0, 1], not {threshold}")
        self._threshold = threshold
        self._same: dict[str, list[int]] = {}
        self._sets: list[Hashes] = []
        for index, text in enumerate(texts):
            key = normalise(text)
            self._same.setdefault(key, []).append(index)
            self._sets.append(_shingles(key))
        everything = np.concatenate([np.empty(0, np.uint64), *self._sets])
        self._vocabulary, self._counts = np.unique(everything, return_counts=True)
        rarest = [self._rarest(shingles) for shingles in self._sets]
        owners = np.repeat(np.arange(len(texts)), [len(part) for part in rarest])
        shingles = np.concatenate([np.empty(0, np.uint64), *rarest])
        order = np.argsort(shingles, kind="stable")
        self._posting_keys, self._posting_owners = shingles[order], owners[order]

    def find(self, text: str) -> int | None:
        """The index of the most similar text that is the same or a near-duplicate, or None."""
        key = normalise(text)
        same = self._same.get(key)
        if same:
            return same[0]
        return min(self._near(_shingles(key)), default=(0.0, None))[1]

    def find_all(self, text: str) -> list[int]:
        """The indices of all texts that are the same or near-duplicates, in order."""
        key = normalise(text)
        near = (index for _, index in self._near(_shingles(key)))
        return sorted({*self._same.get(key, ()), *near})

    def _near(self, wanted: Hashes) -> Iterator[tuple[float, int]]:
        """Pairs of minus the similarity and the index."""
        size = len(wanted)
        if not size:
            return
        for index in self._candidates(wanted):
            other = self._sets[index]
            if self._threshold * size <= len(other) <= size / self._threshold:
                common = _overlap(wanted, other)
                similarity = common / (size + len(other) - common)
                if similarity >= self._threshold:
                    yield -similarity, index

    def _candidates(self, wanted: Hashes) -> list[int]:
        """The texts that share enough of the rarest shingles, which all near ones do and few others."""
        rarest = self._rarest(wanted)
        starts = np.searchsorted(self._posting_keys, rarest, side="left")
        ends = np.searchsorted(self._posting_keys, rarest, side="right")
        slices = [self._posting_owners[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
        if not slices:
            return []
        owners, counts = np.unique(np.concatenate(slices), return_counts=True)
        candidates: list[int] = owners[counts >= min(MIN_SHARED, _at_least(self._threshold, len(wanted)))].tolist()
        return candidates

    def _rarest(self, shingles: Hashes) -> Hashes:
        """The n - ceil(threshold * n) + k rarest: near-duplicates share at least k of them (k is `MIN_SHARED`)."""
        length = len(shingles) - _at_least(self._threshold, len(shingles)) + MIN_SHARED
        if length >= len(shingles) or not len(self._vocabulary):
            return shingles
        place = np.minimum(np.searchsorted(self._vocabulary, shingles), len(self._vocabulary) - 1)
        counts = np.where(self._vocabulary[place] == shingles, self._counts[place], 0)
        return shingles[np.lexsort((shingles, counts))[:length]]


def near_duplicate_groups(texts: Sequence[str], *, threshold: float = 0.8) -> list[int]:
    """For each text the number of its group: texts linked by a chain of near-duplicates share the lowest index."""
    index = NearDuplicates(texts, threshold=threshold)
    parents = list(range(len(texts)))
    for here, text in enumerate(texts):
        for other in index.find_all(text):
            join(parents, here, other)
    return [root_of(parents, here) for here in range(len(texts))]


def root_of(parents: list[int], item: int) -> int:
    """The lowest member of the item's group in a union-find forest, whose paths are halved on the way."""
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


def join(parents: list[int], one: int, other: int) -> None:
    """Make one group of the groups of two items."""
    low, high = sorted((root_of(parents, one), root_of(parents, other)))
    parents[high] = low


def _shared_prefix(texts: Sequence[str]) -> str:
    """The longest prefix that `SHARED_BY` of the texts have: they stand together when sorted."""
    ordered = sorted(texts)
    window = math.ceil(SHARED_BY * len(ordered))
    best = ""
    for start in range(len(ordered) - window + 1):
        first, last = ordered[start], ordered[start + window - 1]
        length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
        if length is None:
            length = min(len(first), len(last))
        best = max(best, first[:length], key=len)
    return best


def _shingles(key: str) -> Hashes:
    """The sorted distinct hashes of the 5-character windows of a normalised text; none for a short text."""
    if len(key) < MIN_NEAR_LENGTH:
        return np.empty(0, np.uint64)
    codes = np.frombuffer(key.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - SHINGLE + 1
    hashes = np.zeros(count, np.uint64)
    for offset in range(SHINGLE):
        hashes = (hashes ^ codes[offset : offset + count]) * MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return distinct(hashes)


def shingles(text: str) -> Hashes:
    """The sorted distinct hashes of the 5-character windows of a text as it is compared; none for a short text."""
    return _shingles(normalise(text))


def jaccard(one: NDArray[np.unsignedinteger[Any]], other: NDArray[np.unsignedinteger[Any]]) -> float:
    """The share of the shingles of two texts that both have: 1 for the same sets, 0 where one is empty."""
    if not len(one) or not len(other):
        return 0.0
    common = _overlap(one, other)
    return common / (len(one) + len(other) - common)


def distinct(hashes: NDArray[U]) -> NDArray[U]:
    """The distinct members, sorted. Eight times as fast as `numpy.unique` on the hashes of one text."""
    ordered = np.sort(hashes)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _overlap(one: NDArray[np.unsignedinteger[Any]], other: NDArray[np.unsignedinteger[Any]]) -> int:
    """How many members two arrays of distinct ones have in common."""
    both = np.sort(np.concatenate([one, other]))
    return int(np.count_nonzero(both[1:] == both[:-1]))


def _at_least(threshold: float, size: int) -> int:
    """The smallest overlap with a set of ``size`` members that reaches the threshold."""
    return math.ceil(threshold * size - 1e-9)
