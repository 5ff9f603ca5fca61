"""Retrieval: documents -> chunks -> BM25 and dense index -> fused passages; and nearest examples."""

from advisor.retrieval.documents import Document, load_documents
from advisor.retrieval.embedding import embed, nearest
from advisor.retrieval.index import Passage, PassageIndex

__all__ = ["Document", "Passage", "PassageIndex", "embed", "load_documents", "nearest"]
