"""Bytes of one document -> pieces of text with their headings and places: one file a kind."""

from dataset_tools.building.parsers.base import Parsed, Piece
from dataset_tools.building.parsers.docx import parse_docx
from dataset_tools.building.parsers.html import parse_html
from dataset_tools.building.parsers.pdf import parse_pdf
from dataset_tools.building.parsers.plain import parse_markdown, parse_text

__all__ = ["Parsed", "Piece", "parse_docx", "parse_html", "parse_markdown", "parse_pdf", "parse_text"]
