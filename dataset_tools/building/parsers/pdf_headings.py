"""Which lines of a PDF are headings, told by the size of their letters; where sizes tell nothing, none are.

A PDF knows no headings, only letters of some size at some place. The thresholds are ours, made for reports and
handbooks; a heading that is only bold, or of the size of the text, stays a line of the text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataset_tools.building.parsers.base import Outline, Piece

if TYPE_CHECKING:
    from pypdf import PageObject

LARGER = 1.15  # times the size of most letters
MAX_CHARS = 120  # of a heading; a longer line in large letters is a quotation
MAX_SHARE = 0.2  # of all characters: where more are large, it is a poster or slides, and pages divide it better
MIN_HEADINGS = 2
_RUNNING = 3  # pages that repeat a line: then it is a running title
_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and the size of its letters in points, rounded to halves; 0 where that is not known."""

    text: str
    size: float = 0.0


def lines_of(page: PageObject) -> list[Line]:
    """The lines of a page in the order of its text."""
    runs: list[tuple[str, float]] = []

    def note(text: str, cm: Any, tm: Any, _font: Any, size: Any) -> None:
        runs.append((text, float(size or 0) * math.sqrt(abs(_area(cm) * _area(tm)))))

    lines = page.extract_text(visitor_text=note).split("\n")
    sizes = _sizes(runs)
    return [Line(line.rstrip(), sizes.get("".join(line.split()), 0.0)) for line in lines]


def divided(pages: Sequence[tuple[int, Sequence[Line]]]) -> tuple[list[Piece], str]:
    """The text of numbered pages by its headings and pages, and the first of the largest headings."""
    levels = _levels([line for _, lines in pages for line in lines])
    repeated = Counter(text for _, lines in pages for text in {line.text.strip() for line in lines})
    outline, pieces, title = Outline(), [], ""
    for number, lines in pages:
        for level, text in _blocks(lines, levels, repeated):
            if level is None:
                pieces.append(Piece(outline.path, text, "page", number))
            else:
                outline.enter(level, text)
                title = title or (" ".join(text.split()) if level == 1 else "")
    return [piece for piece in pieces if piece.text], title


def _area(matrix: Any) -> float:
    return float(matrix[0] * matrix[3] - matrix[1] * matrix[2])


def _sizes(runs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The size that most letters of a line have, by the line without its blanks."""
    sizes: dict[str, float] = {}
    line, counts = "", Counter[float]()
    for text, size in [*runs, ("\n", 0.0)]:
        first, *others = text.split("\n")
        for number, part in enumerate([first, *others]):
            if number and line:
                sizes[line] = counts.most_common(1)[0][0]
                line, counts = "", Counter()
            letters = "".join(part.split())
            if letters:
                line += letters
                counts[round(2 * size) / 2] += len(letters)
    return sizes


def _levels(lines: Sequence[Line]) -> dict[float, int]:
    """The level of a heading by its size, 1 for the largest; empty where sizes tell no headings."""
    counts = Counter[float]()
    for line in lines:
        counts[line.size] += len(line.text.strip())
    if not counts.total():
        return {}
    usual = counts.most_common(1)[0][0]
    large = [line for line in lines if usual and line.size >= LARGER * usual and _may_be_heading(line.text)]
    if len(large) < MIN_HEADINGS or sum(len(line.text) for line in large) > MAX_SHARE * counts.total():
        return {}
    sizes = sorted({line.size for line in large}, reverse=True)
    return {size: min(level, _LEVELS) for level, size in enumerate(sizes, 1)}


def _may_be_heading(text: str) -> bool:
    text = text.strip()
    return 1 < len(text) <= MAX_CHARS and any(map(str.isalpha, text)) and not text.endswith((".", ",", ";"))


def _blocks(
    lines: Sequence[Line], levels: dict[float, int], repeated: Counter[str]
) -> Iterator[tuple[int | None, str]]:
    """The headings of a page with their levels, and the text between them with None; two lines may be one heading."""
    held: list[str] = []
    level: int | None = None
    for line in lines:
        text = line.text.strip()
        is_heading = line.size in levels and _may_be_heading(text) and repeated[text] < _RUNNING
        own = levels[line.size] if is_heading else None
        if own != level and (text or own is not None):
            yield level, "\n".join(held).strip()
            held = []
            level = own
        held.append(line.text)
    yield level, "\n".join(held).strip()
