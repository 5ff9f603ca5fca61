"""PDF by its headings, where letters tell them, and by its pages. One page that cannot be read loses no other."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_tools.building.parsers.base import Parsed, broken
from dataset_tools.building.parsers.pdf_headings import Line, divided, lines_of
from dataset_tools.errors import DocumentsError

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_PAGES = 5_000
_MADE_UP_TITLE = re.compile(
    r"^Microsoft (?:Word|PowerPoint) - |^untitled$|\.(?:docx?|indd|tex|dvi|odt|pptx?)$", re.IGNORECASE
)
# What pypdf 7 lets out of broken files beside its own errors ("broken PDF files might cause other Exceptions", says
# pypdf.errors); the rest was met with damaged files.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def parse_pdf(data: bytes, path: Path) -> Parsed:
    """A piece for each page with text on it, or for each stretch of a page under a heading.

    Raises:
        DocumentsError: The file is broken, locked, or has more than 5,000 pages.
    """
    reader, count = _opened(data, path)
    pages, problems, empty = [], [], []
    for number in range(1, count + 1):
        lines, problem = _page(reader, number)
        if problem:
            problems.append(f"page {number} cannot be read: {problem}")
        elif any(line.text.strip() for line in lines):
            pages.append((number, lines))
        else:
            empty.append(number)
    if empty:
        problems.append(f"{len(empty)} of {count} pages hold no text (scanned?), the first is page {empty[0]}")
    pieces, heading = divided(pages)
    return Parsed(tuple(pieces), _title(reader) or heading, tuple(problems))


def _opened(data: bytes, path: Path) -> tuple[PdfReader, int]:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        count = len(reader.pages)
    except (FileNotDecryptedError, DependencyError) as error:
        raise DocumentsError(
            "this PDF is locked",
            where=str(path),
            found=str(error)[:200],
            expected="a PDF that opens without a password",
            next_step="save it again without a password",
        ) from error
    except (PyPdfError, *_DAMAGE) as error:
        raise broken(path, "PDF", str(error)) from error
    if count > MAX_PAGES:
        raise DocumentsError(
            "this PDF is too long",
            where=str(path),
            found=f"{count:,} pages",
            expected=f"at most {MAX_PAGES:,}",
            next_step="split it",
        )
    return reader, count


def _page(reader: PdfReader, number: int) -> tuple[list[Line], str]:
    """The lines of a page, and what kept it from being read."""
    from pypdf.errors import PyPdfError

    try:
        return lines_of(reader.pages[number - 1]), ""
    except (PyPdfError, *_DAMAGE) as error:
        return [], " ".join(str(error).split())[:200] or type(error).__name__


def _title(reader: PdfReader) -> str:
    """The title in the file's properties; what a word processor puts there by itself is none."""
    from pypdf.errors import PyPdfError

    try:
        title = str(reader.metadata.title or "").strip() if reader.metadata else ""
    except (PyPdfError, *_DAMAGE):
        return ""
    return "" if _MADE_UP_TITLE.search(title) else title
