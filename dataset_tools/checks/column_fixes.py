"""The values of a column in one type: which of them can be written in another and stay what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from dataset_tools.checks.fix import RowFix
from dataset_tools.formats.tools import json_text

TEXT, TRUTH, NUMBER, LIST, OBJECT = "a text", "true or false", "a number", "a list", "an object"
TYPES: dict[type, str] = {str: TEXT, bool: TRUTH, int: NUMBER, float: NUMBER, list: LIST, dict: OBJECT}
_EXACT = 2**53  # beyond it a reader may hold a number as a double, and lose digits (RFC 8259, section 6)


def as_types(usual: Mapping[str, str]) -> RowFix:
    """The function that writes the values of some keys in their usual types, where they stay what they are."""

    def fix(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        changed = {key: made for key, name in usual.items() if (made := as_type(row.get(key), name)) is not None}
        return {**row, **changed} if changed else None

    return fix


def as_type(value: Any, wanted: str) -> Any:
    """A value of one of the types named above as one of another; None where it is of that type, null, or not the same.

    Numbers, truth values, lists and objects become the JSON that they are; a text becomes what it is the JSON of, if
    it would be written just so (``012`` and ``1.50`` stay, as the number does not have those zeros).
    """
    if value is None or TYPES.get(type(value)) in (wanted, None):
        return None
    if wanted == TEXT:
        return json_text(value) if _is_exact(value) else None
    if not isinstance(value, str):
        return None
    try:
        read = json.loads(value)
        same = TYPES.get(type(read)) == wanted and _is_exact(read) and _bare(json_text(read)) == _bare(value)
    except (ValueError, RecursionError):
        return None
    return read if same else None


def _is_exact(value: Any) -> bool:
    """Whether all numbers in a value are read alike everywhere."""
    if isinstance(value, dict):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int | float) or (math.isfinite(value) and abs(value) < _EXACT)


def _bare(text: str) -> str:
    """The text without blanks, which JSON may have anywhere between its marks."""
    return "".join(text.split())
