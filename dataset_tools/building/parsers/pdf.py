"""PDF by its pages. A page that cannot be read, or holds no text, is named and the others go on."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_tools.building.parsers.base import Parsed, Piece, broken
from dataset_tools.errors import DocumentsError

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MAX_PAGES = 5_000
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
    """A piece for each page with text on it.

    Raises:
        DocumentsError: The file is broken, locked, or has more than 5,000 pages.
    """
    reader, count = _opened(data, path)
    pieces, problems, empty = [], [], []
    for number in range(1, count + 1):
        text, problem = _page(reader, number)
        if problem:
            problems.append(f"page {number} cannot be read: {problem}")
        elif text:
            pieces.append(Piece((), text, "page", number))
        else:
            empty.append(number)
    if empty:
        problems.append(f"{len(empty)} of {count} pages hold no text (scanned?), the first is page {empty[0]}")
    return Parsed(tuple(pieces), _title(reader), tuple(problems))


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


def _page(reader: PdfReader, number: int) -> tuple[str, str]:
    """The text of a page, and what kept it from being read."""
    from pypdf.errors import PyPdfError

    try:
        page: PageObject = reader.pages[number - 1]
        lines = page.extract_text().split("\n")
    except (PyPdfError, *_DAMAGE) as error:
        return "", " ".join(str(error).split())[:200] or type(error).__name__
    return "\n".join(line.rstrip() for line in lines).strip(), ""


def _title(reader: PdfReader) -> str:
    from pypdf.errors import PyPdfError

    try:
        return str(reader.metadata.title or "").strip() if reader.metadata else ""
    except (PyPdfError, *_DAMAGE):
        return ""
