"""Answerers: prompts in, answers with tokens and timings out."""

from advisor.answering.answer import Answer, Answerer
from advisor.answering.local import LocalAnswerer

__all__ = ["Answer", "Answerer", "LocalAnswerer"]
