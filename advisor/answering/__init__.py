"""Answerers: prompts in, answers with tokens and timings out. A store keeps what was answered once."""

from advisor.answering.answer import Answer, Answerer, OnAnswer
from advisor.answering.endpoint import EndpointAnswerer
from advisor.answering.local import LocalAnswerer
from advisor.answering.store import AnswerStore, StoredAnswerer, model_key

__all__ = [
    "Answer",
    "AnswerStore",
    "Answerer",
    "EndpointAnswerer",
    "LocalAnswerer",
    "OnAnswer",
    "StoredAnswerer",
    "model_key",
]
