"""The user's documents for retrieval: files as `dataset_tools.building` reads them, or rows with a text field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_tools.building.documents import KINDS, NoTextError, read_document
from dataset_tools.errors import DocumentsError, UsageError
from dataset_tools.reading import UnreadableError, read_source

_ROWS = frozenset({".jsonl", ".json", ".csv", ".tsv"})
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
            expected="a folder of .md, .txt, .html, .pdf or .docx files, or a .jsonl file whose rows have a 'text'",
            next_step="Check the path given with --docs.",
        )
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    readable = [file for file in files if file.suffix.lower() in _ROWS or file.suffix.lower() in KINDS]
    documents = [document for file in readable for document in _read(file) if document.text.strip()]
    if not documents:
        raise DocumentsError(
            "There is no text in these documents.",
            where=str(path),
            found=f"{len(files)} files, {len(readable)} of a readable kind",
            expected="Markdown, text, HTML, PDF or Word files with text in them, or JSON lines with a 'text' field",
            next_step="Convert the documents to .md or .txt; scanned PDFs need OCR first.",
        )
    return tuple(documents)


def _read(file: Path) -> list[Document]:
    if file.suffix.lower() in _ROWS:
        return _read_rows(file)
    try:
        document = read_document(file)
    except NoTextError:
        return []
    return [Document(document.title, document.text)]


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
