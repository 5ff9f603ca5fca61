"""Rows as weighted words, for checks that ask which are alike: a draw of them, no embeddings, nothing to download."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dataset_tools.checks.base import ExampleView, Setting
from dataset_tools.similarity import SharedText, fold

DRAWN = 1_000  # rows: comparing each with each then takes a few tenths of a second
MAX_CHARS = 600  # of a prompt; what stands behind is not compared
_COMMON = 0.2  # of the texts; a word that more have tells none from another
_ENOUGH = 20  # texts from which on that can be said
_WORD = re.compile(r"\w+")
Floats = NDArray[np.float64]
Parts: TypeAlias = dict[int, str]


@dataclass(frozen=True)
class Words:
    """Which words the vectors count, and how much each weighs.

    Words and pairs of neighbouring words count once a text, weighted by the logarithm of how few texts have them
    (Sparck Jones 1972, doi.org/10.1108/eb026526); a vector has the length 1, so that a product is a cosine.
    """

    columns: dict[int, int]
    weights: NDArray[np.float32]
    names: dict[int, str]

    @classmethod
    def of(cls, texts: Sequence[Parts]) -> Words:
        """Learn from the parts of some texts."""
        columns: dict[int, int] = {}
        names: dict[int, str] = {}
        seen: list[int] = []
        for text in texts:
            for key, name in text.items():
                column = columns.setdefault(key, len(columns))
                seen.append(column)
                if name and column not in names:
                    names[column] = name
        counts = np.bincount(np.array(seen, dtype=np.int64), minlength=len(columns))
        weights = np.log((1 + len(texts)) / (1 + counts)) + 1
        if len(texts) >= _ENOUGH:
            weights[counts > _COMMON * len(texts)] = 0
        return cls(columns, weights.astype(np.float32), names)

    def vectors(self, texts: Sequence[Parts]) -> Any:
        """A sparse row of length 1 for the parts of each text; zeros where no word of it is known."""
        from scipy.sparse import csr_matrix, diags

        indices: list[int] = []
        ends = [0]
        for text in texts:
            indices += [column for key in text if (column := self.columns.get(key)) is not None]
            ends.append(len(indices))
        values = self.weights[np.array(indices, dtype=np.int64)]
        made = csr_matrix((values, np.array(indices), np.array(ends)), shape=(len(texts), max(1, len(self.columns))))
        sizes = np.sqrt(np.asarray(made.multiply(made).sum(axis=1)).ravel())
        return (diags(1 / np.maximum(sizes, 1e-9)) @ made).tocsr()


class Prompts:
    """What a draw of the rows asks, without what all share, as vectors; ask when the rows have passed."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def see(self, view: ExampleView) -> None:
        """Nothing: the setting draws the rows."""

    def pack(self) -> None:
        """Nothing."""

    def absorb(self, packed: None, *, lines: int, records: int) -> None:
        """Nothing."""

    @cached_property
    def views(self) -> list[ExampleView]:
        """Up to 1,000 rows in the order of the file."""
        views = self.setting.views
        drawn = views if len(views) <= DRAWN else random.Random(0).sample(views, DRAWN)
        return sorted(drawn, key=lambda view: view.record)

    @cached_property
    def words(self) -> Words:
        """The words of the draw."""
        return Words.of(self._texts)

    @cached_property
    def vectors(self) -> Any:
        """A sparse row for each view."""
        return self.words.vectors(self._texts)

    @cached_property
    def cosines(self) -> Floats:
        """How alike each two rows are, 0 to 1."""
        return np.asarray((self.vectors @ self.vectors.T).todense(), dtype=np.float64)

    @property
    def of(self) -> str:
        """Which rows were looked at, in words."""
        count, usable = len(self.views), self.setting.usable
        return f"all {count:,} rows" if count == usable else f"{count:,} rows drawn of {usable:,}"

    def own_part(self, contents: Sequence[str]) -> str:
        """What a row asks, without what the rows of the draw share."""
        return self._shared.without(asked(contents))

    @cached_property
    def _shared(self) -> SharedText:
        return SharedText.of([asked(view.contents) for view in self.views])

    @cached_property
    def _texts(self) -> list[Parts]:
        return [parts_of(self.own_part(view.contents)) for view in self.views]


def asked(contents: Sequence[str]) -> str:
    """All turns before the answer but a system message, which is there where their number is odd."""
    return "\n".join(contents[len(contents) % 2 : -1])[:MAX_CHARS]


def parts_of(text: str) -> Parts:
    """The hashes of the words and of the pairs of words of a text, and the words; a pair has no name."""
    parts: Parts = {}
    pairs: Parts = {}
    before = 0
    for word in _WORD.findall(fold(text)):
        raw = word.encode("utf-8", "surrogatepass")
        if before:
            pairs[zlib.crc32(raw, before)] = ""
        before = zlib.crc32(raw)
        parts[before] = word
    return {**pairs, **parts}
