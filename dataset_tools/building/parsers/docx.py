"""Word (.docx) by its headings; tables become lines with their cells side by side.

Text is taken from all runs, those in links, content controls and tracked insertions too, which
``python-docx``'s own ``text`` leaves out; deleted text stays out.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_tools.building.parsers.base import Outline, Parsed, Piece, broken
from dataset_tools.errors import DocumentsError

if TYPE_CHECKING:
    from docx.document import Document as WordDocument

MAX_UNPACKED = 500 * 2**20  # bytes of XML and pictures; a "zip bomb" holds more
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_BLOCKS = "./w:p | ./w:tbl | ./w:sdt/w:sdtContent/w:p | ./w:sdt/w:sdtContent/w:tbl"
_TEXT = ".//w:t | .//w:tab | .//w:br | .//w:cr | .//w:noBreakHyphen"
_MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # a compound file: an old .doc, or a .docx with a password


def parse_docx(data: bytes, path: Path) -> Parsed:
    """A piece for each stretch under a heading.

    Raises:
        DocumentsError: The file is broken, locked, an old .doc, or over 500 MiB unpacked.
    """
    document = _opened(data, path)
    outline, pieces, title = Outline(), [], ""
    held: list[str] = []
    start = 1
    for number, (level, text) in enumerate(_blocks(document), start=1):
        if level is None:
            start = start if held else number
            held += [text] if text.strip() else []
            continue
        pieces.append(Piece(outline.path, "\n\n".join(held), "paragraph", start))
        held = []
        outline.enter(level, text)
        title = title or text.strip()
    pieces.append(Piece(outline.path, "\n\n".join(held), "paragraph", start))
    return Parsed(tuple(piece for piece in pieces if piece.text), (document.core_properties.title or title).strip())


def _opened(data: bytes, path: Path) -> WordDocument:
    from docx import Document
    from docx.opc.exceptions import OpcError

    if data.startswith(_OLD_OFFICE):
        raise broken(path, "Word document", "an old .doc, or a document with a password")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_UNPACKED:
            raise DocumentsError(
                "this Word document is too large",
                where=str(path),
                found=f"{size:,} bytes once unpacked",
                expected=f"at most {MAX_UNPACKED:,}",
                next_step="save its text alone",
            )
        document = Document(io.BytesIO(data))
        _ = document.element.body, document.core_properties
    except (
        OpcError, zipfile.BadZipFile, zlib.error, SyntaxError, LookupError, AttributeError, TypeError, ValueError,
        RuntimeError, OSError, EOFError,
    ) as error:  # fmt: skip
        raise broken(path, "Word document", str(error)) from error
    return document


def _blocks(document: WordDocument) -> Iterator[tuple[int | None, str]]:
    """The level of a heading or None, and the text, of each paragraph and table of the body."""
    levels = _heading_levels(document)
    for block in document.element.body.xpath(_BLOCKS):
        if block.tag.endswith("}tbl"):
            yield None, _table(block)
            continue
        style = block.xpath("string(./w:pPr/w:pStyle/@w:val)")
        text = _text(block)
        listed = block.xpath("boolean(./w:pPr/w:numPr)") or "List" in style
        yield levels.get(style), f"- {text}" if listed and style not in levels and text.strip() else text


def _heading_levels(document: WordDocument) -> dict[str, int]:
    """Style id -> level, for the styles of headings and those made from them; the title's is 0."""
    levels: dict[str, int] = {}
    for style in document.styles:
        root: Any = style
        for _ in range(10):  # styles are made from styles; a damaged file may have a ring of them
            found = _HEADING.fullmatch(root.name or "")
            if found or root.name == "Title":
                levels[style.style_id] = int(found[1]) if found else 0
                break
            root = getattr(root, "base_style", None)
            if root is None:
                break
    return levels


def _table(table: Any) -> str:
    """A line for each row, its cells parted by bars. A merged cell is one cell; a table inside a cell is its text."""
    rows = []
    for row in table.xpath("./w:tr"):
        cells = [" ".join(_text(cell).split()) for cell in row.xpath("./w:tc | ./w:sdt/w:sdtContent/w:tc")]
        if any(cells):
            rows.append(" | ".join(cells).rstrip())
    return "\n".join(rows)


def _text(element: Any) -> str:
    """All text below an element, once: Word keeps text boxes a second time in a fallback for old readers."""
    parts = []
    for node in element.xpath(_TEXT):
        if not node.xpath("boolean(ancestor::*[local-name() = 'Fallback'])"):
            kind = node.tag.rpartition("}")[2]
            parts.append(_MARKS.get(kind) or node.text or "")
    return "".join(parts)
