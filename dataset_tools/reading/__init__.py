"""Bytes -> rows: encodings, JSON lines, JSON, CSV and TSV, told by content. What a row means is not known here."""

from dataset_tools.reading.opening import UnreadableError
from dataset_tools.reading.reader import open_rows, read_source
from dataset_tools.reading.source import Problem, Reading, Row, RowStream, Source

__all__ = ["Problem", "Reading", "Row", "RowStream", "Source", "UnreadableError", "open_rows", "read_source"]
