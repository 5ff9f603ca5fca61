"""The rows of a comparison as a table for a spreadsheet: one line an arm and item. It judges nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from advisor.report.figures import prompt_text, writable

COLUMNS = (
    *("index", "record", "prompt", "wanted", "arm"),
    *("answer", "score", "prompt_tokens", "answer_tokens", "stopped"),
)
"""The head of the table: the names of ``items.jsonl``."""

# What a spreadsheet may take for the beginning of a formula: OWASP's "CSV Injection", with the line feed, the null
# character (ASVS 1.2.10) and the full-width signs, which some spreadsheets read as the plain ones.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")  # noqa: RUF001


def items_csv(items: Iterable[Mapping[str, Any]]) -> str:
    """``items.jsonl`` as CSV (RFC 4180: CRLF, quotes doubled); write it with ``newline=""``.

    A text that a spreadsheet could take for a formula gets an apostrophe in front; so take one away where it is
    followed by one of these signs to have the text back. Numbers stay numbers. An arm that did not answer an item has
    no line for it.

    Args:
        items: the lines of ``items.jsonl``; the scores are in [0, 1].
    """
    written = io.StringIO(newline="")
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for item in items:
        shared = (item["index"], item.get("record"), prompt_text(item["prompt"]), item["wanted"])
        for name, arm in item["arms"].items():
            row = (*shared, name, *(arm.get(column) for column in COLUMNS[5:]))
            table.writerow([_cell(value) for value in row])
    return writable(written.getvalue())


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
