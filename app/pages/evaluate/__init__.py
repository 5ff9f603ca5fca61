"""The Evaluate page: answers beside each other, all held-out rows, and blind votes. One file a tab."""

from app.pages.evaluate.page import EvaluatePage

__all__ = ["EvaluatePage"]
