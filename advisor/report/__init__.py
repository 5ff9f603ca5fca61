"""The evidence of a comparison, written for people."""

from advisor.report.markdown import to_markdown

__all__ = ["to_markdown"]
