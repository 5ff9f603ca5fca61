"""The evidence of a comparison, written for people: a page, a Markdown file, a table of the rows."""

from advisor.report.csv import items_csv
from advisor.report.html import to_html
from advisor.report.markdown import to_markdown

__all__ = ["items_csv", "to_html", "to_markdown"]
