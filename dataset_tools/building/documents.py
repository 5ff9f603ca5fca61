"""Documents on disk as sections: Markdown, text, HTML, PDF and Word, each by what divides it.

Rows (JSON lines, CSV) are no documents: see `dataset_tools.reading`. Nothing is fetched, no picture is read (a
scanned page holds no text), and a Word file's headers, footers and notes are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dataset_tools.building.parsers import Parsed, parse_docx, parse_html, parse_markdown, parse_pdf, parse_text
from dataset_tools.building.sections import Document, Kind
from dataset_tools.errors import DocumentsError, UsageError

KINDS: dict[str, Kind] = {
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".txt", ".text", ".rst"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
    ".docx": "docx",
}
_PARSERS: dict[Kind, Callable[[bytes, Path], Parsed]] = {
    "markdown": parse_markdown,
    "text": parse_text,
    "html": parse_html,
    "pdf": parse_pdf,
    "docx": parse_docx,
}
MAX_BYTES = 50 * 2**20  # of one file; a text of that size is some 8,000 pages
MAX_CHARACTERS = 20_000_000  # of text in one file, whatever it was packed into
MAX_FILES = 5_000  # of one folder, so that a home folder named by mistake is refused


class NoTextError(DocumentsError):
    """A document that is whole but holds no text: it is empty, or was scanned."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What a path held: the documents in the order of their names, and what could not be read.

    ``failures`` name broken, locked, empty and too large files; ``skipped`` the files of a kind that is not read.
    """

    documents: tuple[Document, ...]
    failures: tuple[DocumentsError, ...] = ()
    skipped: tuple[str, ...] = ()


def read_document(path: Path, *, name: str | None = None) -> Document:
    """Read one file; its name is the file's own, if no other is given.

    Raises:
        UsageError: There is no such file, or it is a folder.
        DocumentsError: It is of a kind that is not read, broken, locked, over 50 MiB, or (`NoTextError`) holds no text.
    """
    name = path.name if name is None else name
    data = _bytes(path)
    kind = _kind(path, data)
    parsed = _PARSERS[kind](data, path)
    sections = tuple(piece.section(name) for piece in parsed.pieces if piece.text.strip())
    size = sum(len(section.text) for section in sections)
    if size > MAX_CHARACTERS:
        found = f"{size:,} characters of text, more than {MAX_CHARACTERS:,}"
        raise _refusal("this document is too large", path, found=found, next_step="split it")
    if not sections:
        raise NoTextError(
            "there is no text in this document",
            where=str(path),
            found="; ".join(parsed.problems[:3]) or "nothing but blanks, headings or pictures",
            expected="text that can be selected and copied",
            next_step="leave it out; a scanned document needs text recognition (OCR) first",
        )
    return Document(name, parsed.title or _words(path), kind, sections, parsed.problems)


def read_documents(path: Path) -> Documents:
    """Read a file, or all files in a folder and its subfolders; hidden ones are passed over.

    A file that cannot be read is named and the others go on. Documents are named by their path below the folder.

    Raises:
        UsageError: There is nothing at that path.
        DocumentsError: Nothing there could be read, or the folder holds more than 5,000 files.
    """
    if not path.is_dir():
        return Documents((read_document(path),))
    documents, failures, skipped = [], [], []
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        if file.suffix.lower() not in KINDS:
            skipped.append(name)
            continue
        try:
            documents.append(read_document(file, name=name))
        except DocumentsError as error:
            failures.append(error)
    if not documents:
        raise DocumentsError(
            "no document could be read",
            where=str(path),
            found=failures[0].what if failures else f"{len(skipped)} files of other kinds",
            expected=f"files named {', '.join(sorted(KINDS))} with text in them",
            next_step="convert the documents to Markdown or text" if failures else "name another folder",
        )
    return Documents(tuple(documents), tuple(failures), tuple(skipped))


def _files(folder: Path) -> list[Path]:
    """All files below the folder that are not hidden, in the order of their paths; links to folders not followed."""
    files: list[Path] = []
    for file in _walk(folder):
        files.append(file)
        if len(files) > MAX_FILES:
            raise _refusal(
                "this folder holds too many files",
                folder,
                found=f"more than {MAX_FILES:,}",
                next_step="name the folder that holds the documents",
            )
    return sorted(files)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise UsageError("there is no such document", where=str(path), next_step="check the path")
    if not path.is_file():
        raise UsageError("this is not a file", where=str(path), next_step="name a file")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        found = os.strerror(error.errno) if error.errno else str(error)
        raise _refusal("this document may not be read", path, found=found, next_step="check the file") from error
    if len(data) > MAX_BYTES:
        raise _refusal(
            "this document is too large",
            path,
            found=f"more than {MAX_BYTES // 2**20} MiB",
            next_step="split it, or save its text alone",
        )
    return data


def _kind(path: Path, data: bytes) -> Kind:
    """By the name; but a PDF is one under any name."""
    if data.startswith(b"%PDF-"):
        return "pdf"
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise DocumentsError(
            "this kind of document is not read",
            where=str(path),
            found=path.suffix or "a name without an ending",
            expected=", ".join(sorted(KINDS)),
            next_step="save it as one of these",
        )
    return kind


def _words(path: Path) -> str:
    return path.stem.replace("_", " ").replace("-", " ").strip()


def _refusal(what: str, path: Path, *, found: str, next_step: str) -> DocumentsError:
    return DocumentsError(what, where=str(path), found=found, next_step=next_step)
