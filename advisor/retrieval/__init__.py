"""Retrieval: documents -> chunks -> BM25 and dense index -> fused (and reranked) passages; and nearest examples."""

from advisor.retrieval.documents import Document, load_documents
from advisor.retrieval.embedding import embed, nearest
from advisor.retrieval.index import Passage, PassageIndex
from advisor.retrieval.reranking import Reranker, reranker

__all__ = ["Document", "Passage", "PassageIndex", "Reranker", "embed", "load_documents", "nearest", "reranker"]
