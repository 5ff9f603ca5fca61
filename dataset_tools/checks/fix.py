"""What a fix is. How fixes are applied, shown, logged and undone is in `dataset_tools.fixes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

RowFix = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """How the rows that a check names can be put right.

    Exactly one of ``row``, ``start``, ``text``, ``drop`` and ``shuffle`` is given; a fix of the whole file (encoding,
    line ends) has none of them, because writing the rows anew is the fix.

    Attributes:
        what: What it does, as an order: "map the role to user, assistant or system".
        safe: It changes no meaning and loses nothing, so it needs no confirmation.
        row: A pure, idempotent function from the row as it stands in the file to the mended row, or None where it
            cannot help (the row then stays as it is).
        start: Gives such a function for a setting: for fixes that must know all rows, which have passed by then, or the
            model's tokenizer.
        text: The same from the text of a broken line to the rows it holds; an empty list where it cannot help.
        drop: The row is moved to the rejects.
        shuffle: The rows are put in another order, when all else is done.
        name: The word behind the colon in its id, where a check has several (``over-long:shorten``); none by default.
        otherwise: Another fix for the rows that this one leaves as they are, chosen for itself.
    """

    what: str
    safe: bool = False
    row: RowFix | None = None
    start: Callable[[Any], RowFix] | None = None
    text: Callable[[str], list[Mapping[str, Any]]] | None = None
    drop: bool = False
    shuffle: bool = False
    name: str = ""
    otherwise: Fix | None = None
