"""Headings of a PDF by the size of its letters; where sizes tell nothing, pages stay whole and no word is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dataset_tools.building.parsers import Piece, parse_pdf
from tests.dataset_tools.pdf_support import Lines, sized_pdf

BODY = "The members of the club meet on the first floor, and nobody is asked to bring a cake of their own."


def _pieces(pages: Sequence[Lines], *, scale: float = 1.0) -> list[tuple[tuple[str, ...], str, int]]:
    pieces: Sequence[Piece] = parse_pdf(sized_pdf(pages, scale=scale), Path("x.pdf")).pieces
    return [(piece.headings, piece.text, piece.number) for piece in pieces]


HANDBOOK: Sequence[Lines] = [
    [("The handbook", 24), (BODY, 11), ("Hours", 16), ("Open from nine.", 11), (BODY, 11)],
    [("Closed on Mondays.", 11), (BODY, 11), ("The way", 16), ("here", 16), (BODY, 11)],
]


def test_large_lines_are_headings_by_their_size_and_a_section_goes_on_over_the_page() -> None:
    expected = [
        (("The handbook",), BODY, 1),
        (("The handbook", "Hours"), f"Open from nine.\n{BODY}", 1),
        (("The handbook", "Hours"), f"Closed on Mondays.\n{BODY}", 2),
        (("The handbook", "The way here"), BODY, 2),
    ]
    assert _pieces(HANDBOOK) == expected
    assert _pieces(HANDBOOK, scale=10) == expected


def test_the_title_is_that_of_the_file_unless_a_program_made_it_up_and_else_the_largest_heading() -> None:
    assert parse_pdf(sized_pdf(HANDBOOK, title="Rules"), Path("x.pdf")).title == "Rules"
    assert parse_pdf(sized_pdf(HANDBOOK, title="Microsoft Word - rules.doc"), Path("x.pdf")).title == "The handbook"
    assert parse_pdf(sized_pdf(HANDBOOK), Path("x.pdf")).title == "The handbook"


def test_pages_stay_whole_where_letters_are_of_one_size_or_most_are_large() -> None:
    same = [[(BODY, 11), ("Hours", 11), (BODY, 11)], [(BODY, 11)]]
    assert _pieces(same) == [((), f"{BODY}\nHours\n{BODY}", 1), ((), BODY, 2)]
    slides = [[("What we do and why", 30), ("Much of it", 18)], [("How we do it and when", 30), ("At night", 18)]]
    assert [headings for headings, _, _ in _pieces(slides)] == [(), ()]


def test_running_titles_and_whole_sentences_in_large_letters_are_no_headings() -> None:
    pages = [[("Club rules", 16), (BODY, 11), ("Nobody is asked.", 16), (BODY, 11)] for _ in range(4)]
    assert [headings for headings, _, _ in _pieces(pages)] == [()] * 4
