"""Passages of the documents, found by words (BM25) and by meaning (dense), fused by reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from advisor.retrieval.documents import Document
from advisor.retrieval.embedding import embed, nearest
from advisor.retrieval.reranking import Reranker

# Cormack et al. 2009: score = sum of 1 / (60 + rank).
_RRF = 60
_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document."""

    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text, as it is indexed and shown to the model."""
        said = self.title in self.text[: len(self.title) + 4]  # "# Title" opens the first passage of a page
        return self.text if said or not self.title else f"{self.title}: {self.text}"


def cut(documents: Sequence[Document], tokenizer: Any, *, tokens: int) -> tuple[Passage, ...]:
    """Cut documents at the best boundaries (headings, paragraphs, sentences) into passages of at most `tokens`."""
    from semantic_text_splitter import MarkdownSplitter

    splitter = MarkdownSplitter.from_callback(lambda text: len(tokenizer.encode(text)), tokens)
    return tuple(Passage(document.title, text) for document in documents for text in splitter.chunks(document.text))


class PassageIndex:
    """An index of passages."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        import bm25s

        self.passages = tuple(passages)
        texts = [passage.whole for passage in self.passages]
        self._vectors = embed(texts)
        words = self._split(texts)
        self._words = bm25s.BM25() if any(words) else None
        if self._words is not None:
            self._words.index(words, show_progress=False)

    def search(self, queries: Sequence[str], *, count: int, rerank: Reranker | None = None) -> list[list[Passage]]:
        """For each query its best passages, best first; with a reranker those that it puts first of the best 50."""
        wanted = min(_CANDIDATES, len(self.passages))
        dense = nearest(embed(queries), self._vectors, count=wanted)
        words = self._by_words(queries, wanted)
        fused = [
            self._fuse((by_meaning, by_words), wanted if rerank else count)
            for by_meaning, by_words in zip(dense, words, strict=True)
        ]
        return [self._rerank(query, found, rerank)[:count] for query, found in zip(queries, fused, strict=True)]

    @staticmethod
    def _rerank(query: str, found: list[Passage], rerank: Reranker | None) -> list[Passage]:
        if rerank is None:
            return found
        return [found[place] for place in rerank.order(query, [passage.whole for passage in found])]

    def _by_words(self, queries: Sequence[str], count: int) -> list[Any]:
        """For each query the numbers of the passages that share a word with it, best first.

        Those that share none are left out: BM25 lists them too, in no order, and their ranks would count.
        """
        if self._words is None or not queries:
            return [[] for _ in queries]
        found = self._words.retrieve(self._split(queries), k=count, show_progress=False)
        return [ids[scores > 0] for ids, scores in zip(found.documents, found.scores, strict=True)]

    def _fuse(self, rankings: tuple[Any, Any], count: int) -> list[Passage]:
        scores = np.zeros(len(self.passages))
        for ranking in rankings:
            scores[np.asarray(ranking, dtype=np.int64)] += 1 / (_RRF + np.arange(1, len(ranking) + 1))
        return [self.passages[index] for index in np.argsort(-scores, kind="stable")[:count]]

    def _split(self, texts: Sequence[str]) -> list[list[str]]:
        import bm25s

        words: list[list[str]] = bm25s.tokenize(list(texts), stopwords=[], show_progress=False, return_ids=False)
        return words
