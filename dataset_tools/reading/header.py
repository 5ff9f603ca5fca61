"""Whether the first record of a table is its header, and what the columns are called. Cells are not cut here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dataset_tools.reading.source import Problem

Cells = Sequence[str]
LOOKED_AT = 200  # records behind the first that say what rows look like
# Names of columns in the formats that trainers and dataset cards document; one of them makes a header.
_NAMES = (
    "prompt completion input output instruction instructions response question answer answers query text label "
    "labels target source sentence sentence1 sentence2 summary document context title category class intent "
    "sentiment messages conversations conversation system user assistant human gpt chosen rejected history tools id "
    "idx index split group content role value review comment tweet article translation topic tag tags "
)
_KNOWN_NAMES = frozenset(_NAMES.split())
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\]]*\Z")
_NUMBER = re.compile(r"[-+]?[\d.,]*\d%?")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")
# Guesses: a name of a column rarely has so many words or characters, or so many words with a full stop behind.
_SENTENCE_WORDS, _SENTENCE_CHARS, _CLOSED_SENTENCE_WORDS = 8, 60, 3


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, whether the first record is a row itself, and what is wrong with the header."""

    columns: tuple[str, ...]
    first_is_row: bool
    problems: tuple[Problem, ...]


def find_header(first: Cells, later: Sequence[Cells], *, line: int) -> Header:
    """Name the columns of a table by its first record, or by their place where that is a row like the later ones.

    Args:
        first: The cells of the first record that has any.
        later: Those of the records behind it; no more than `LOOKED_AT` are looked at.
        line: Where the first record stands.
    """
    if _is_row(first, later[:LOOKED_AT]):
        columns = _made_up_names(first)
        named = ", ".join(columns)
        message = f"the first line is a row, not a header; the columns were named {named}"
        return Header(columns, True, (Problem("no-header", message, line),))
    columns = tuple(name.strip() for name in first)
    problems = []
    padded = [name for name in first if name.strip() and name != name.strip()]
    if padded:
        named = ", ".join(repr(name[:40]) for name in padded[:3])
        problems.append(
            Problem("header-blanks", f"blanks at the ends of a column's name: {named}; they were left out", line)
        )
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        problems.append(Problem("duplicate-keys", f"two columns are named {twice[0]!r}; the last counts", line))
    return Header(columns, False, tuple(problems))


def _is_row(first: Cells, later: Sequence[Cells]) -> bool:
    """Whether the first record reads like a row: each of its cells is like the later ones of its column.

    That is: a sentence where most are sentences, a number or an id where most are made alike, or a word that comes
    again (a label). At least one has to be a sentence, none may be the name of a known column, and not all may be
    questions where the later ones are not (the header of a survey).
    """
    cells = [cell.strip() for cell in first]
    if len(cells) < 2 or not all(cells):
        return False
    others = [[cell.strip() for cell in record] for record in later if len(record) == len(cells)]
    others = [record for record in others if record != cells]
    if not others or not any(map(_is_sentence, cells)):
        return False
    columns = [[record[place] for record in others if record[place]] for place in range(len(cells))]
    if all(cell.endswith("?") for cell in cells):
        later_cells = [cell for column in columns for cell in column]
        return sum(cell.endswith("?") for cell in later_cells) * 2 > len(later_cells)
    return all(_is_like(cell, column) for cell, column in zip(cells, columns, strict=True))


def _is_like(cell: str, column: list[str]) -> bool:
    if _is_sentence(cell):
        return sum(map(_is_sentence, column)) * 2 >= len(column)
    if cell in column:
        return True
    if _plain(cell) in _KNOWN_NAMES or not _DIGIT.search(cell):
        return False
    return sum(_shape(other) == _shape(cell) for other in column) * 2 > len(column)


def _is_sentence(cell: str) -> bool:
    words = len(cell.split(None, _SENTENCE_WORDS))
    if words >= _SENTENCE_WORDS or len(cell) >= _SENTENCE_CHARS:
        return True
    return words >= _CLOSED_SENTENCE_WORDS and _SENTENCE_END.search(cell[-8:]) is not None


def _shape(cell: str) -> str:
    """What the cell is made of: any number is alike, else letter stands for letter and digit for digit."""
    return "9" if _NUMBER.fullmatch(cell) else _DIGIT.sub("9", _LETTER.sub("a", cell[:80]))


def _made_up_names(first: Cells) -> tuple[str, ...]:
    if len(first) != 2:
        return tuple(f"column_{number}" for number in range(1, len(first) + 1))
    label_first = not _is_sentence(first[0].strip()) and _is_sentence(first[1].strip())
    return ("output", "input") if label_first else ("input", "output")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name[:60]).casefold()
