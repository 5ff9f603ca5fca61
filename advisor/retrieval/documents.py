"""The user's documents: a folder of Markdown, text or PDF files, one such file, or JSON lines with a text field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_tools.errors import DocumentsError, UsageError
from dataset_tools.reading import UnreadableError, read_source
from dataset_tools.reading.encoding import decode
from dataset_tools.reading.opening import read_bytes

_TEXT, _PDF, _ROWS = {".md", ".markdown", ".txt", ".text", ".rst"}, {".pdf"}, {".jsonl", ".json", ".csv", ".tsv"}
_TEXT_FIELDS, _TITLE_FIELDS = ("text", "content", "body", "passage"), ("title", "name", "id")


@dataclass(frozen=True, slots=True)
class Document:
    """One document: a title for the reader, and its text."""

    title: str
    text: str


def load_documents(path: Path) -> tuple[Document, ...]:
    """Read all documents at `path`, in the order of their names.

    Raises:
        UsageError: the path does not exist.
        DocumentsError: nothing there can be read as text, or a file is damaged.
    """
    if not path.exists():
        raise UsageError(
            "These documents do not exist.",
            where=str(path),
            expected="a folder of .md, .txt or .pdf files, or a .jsonl file whose rows have a 'text'",
            next_step="Check the path given with --docs.",
        )
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    readable = [file for file in files if file.suffix.lower() in _TEXT | _PDF | _ROWS]
    documents = [document for file in readable for document in _read(file) if document.text.strip()]
    if not documents:
        raise DocumentsError(
            "There is no text in these documents.",
            where=str(path),
            found=f"{len(files)} files, {len(readable)} of a readable kind",
            expected="Markdown, text or PDF files with text in them, or JSON lines with a 'text' field",
            next_step="Convert the documents to .md or .txt; scanned PDFs need OCR first.",
        )
    return tuple(documents)


def _read(file: Path) -> list[Document]:
    kind = file.suffix.lower()
    if kind in _ROWS:
        return _read_rows(file)
    text = _read_pdf(file) if kind in _PDF else _read_text(file)
    return [Document(_title(text, file), text)]


def _read_text(file: Path) -> str:
    """The text in whatever encoding it is; nothing for an empty file."""
    try:
        return decode(read_bytes(file), file).utf8.decode("utf-8")
    except UnreadableError as error:
        if error.check == "empty-file":
            return ""
        raise DocumentsError(
            "This document is not text.",
            where=str(file),
            found=error.found,
            expected="Markdown or plain text",
            next_step="Remove it from the documents, or save it as UTF-8 text.",
        ) from error


def _read_pdf(file: Path) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        return "\n\n".join(page.extract_text() for page in PdfReader(file).pages)
    except (PyPdfError, OSError, ValueError) as error:
        raise DocumentsError(
            "This PDF cannot be read.",
            where=str(file),
            found=str(error)[:200],
            expected="a PDF with text that is not locked",
            next_step="Remove it from the documents, or save it again without a password.",
        ) from error


def _read_rows(file: Path) -> list[Document]:
    try:
        rows = [row.value for row in read_source(file).rows]
    except UnreadableError as error:
        if error.check == "empty-file":
            return []
        raise DocumentsError(
            "These documents cannot be read as rows.",
            where=str(file),
            found=error.found,
            expected="JSON lines, a JSON array or CSV, with a 'text' in each row",
            next_step="Remove the file from the documents, or save it as UTF-8 JSON lines.",
        ) from error
    documents = []
    for row in rows:
        fields = row if isinstance(row, dict) else {}
        text = next((fields[name] for name in _TEXT_FIELDS if isinstance(fields.get(name), str)), None)
        if isinstance(text, str):
            title = next((str(fields[name]) for name in _TITLE_FIELDS if fields.get(name)), "")
            documents.append(Document(title, text))
    return documents


def _title(text: str, file: Path) -> str:
    """The first Markdown heading, else the file's name in words."""
    for line in text.splitlines()[:20]:
        if line.startswith("#"):
            return line.lstrip("#").strip()
    return file.stem.replace("_", " ").replace("-", " ")
