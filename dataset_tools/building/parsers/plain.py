"""Markdown by its headings, and plain text by its paragraphs. The text stays as it stands in the file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from dataset_tools.building.parsers.base import Outline, Parsed, Piece, decoded
from dataset_tools.errors import DocumentsError

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*([^\n]*)$", re.MULTILINE | re.IGNORECASE)
_MARKUP = re.compile(r"[*_`]{1,3}|\{#[^{}\n]*\}$|!?\[|\]\([^()\n]*\)")
_MOST_FRONT_MATTER = 10_000  # characters
MAX_MARKDOWN = 10 * 2**20  # bytes; a text made to be slow takes 20 s a megabyte, a usual one 0.1 s


def parse_text(data: bytes, path: Path) -> Parsed:
    """A piece for each paragraph: lines up to a blank one.

    Raises:
        DocumentsError: The file is binary.
    """
    lines = decoded(data, path).split("\n")
    return Parsed(tuple(Piece((), text, "line", number) for number, text in _paragraphs(lines)))


def parse_markdown(data: bytes, path: Path) -> Parsed:
    """A piece for each stretch under a heading (CommonMark's, of either kind). Front matter gives only the title.

    Raises:
        DocumentsError: The file is binary, or over 10 MiB.
    """
    if len(data) > MAX_MARKDOWN:
        raise DocumentsError(
            "this Markdown file is too large",
            where=str(path),
            found=f"{len(data):,} bytes",
            expected=f"at most {MAX_MARKDOWN:,}",
            next_step="split it, or name it .txt to have it divided by paragraphs",
        )
    text, title = _without_front_matter(decoded(data, path))
    lines = text.split("\n")
    outline, pieces, start = Outline(), [], 0
    for level, words, first, end in [*_headings(text), (1, "", len(lines), len(lines))]:
        body = _stripped(lines, start, first)
        if body is not None:
            pieces.append(Piece(outline.path, body[1], "line", body[0]))
        outline.enter(level, words)
        title = title or words
        start = end
    return Parsed(tuple(pieces), title)


def _headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Level, words, first line and the line behind each heading of the document itself (not those inside a quote)."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    for token, inside in itertools.pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            first, end = token.map
            yield int(token.tag[1:]), _MARKUP.sub("", inside.content).strip(), first, end


def _without_front_matter(text: str) -> tuple[str, str]:
    """The text with YAML front matter blanked out, so that lines keep their numbers, and the title in it."""
    found = _FRONT_MATTER.match(text[:_MOST_FRONT_MATTER])
    if not found:
        return text, ""
    title = _TITLE.search(found[0])
    return "\n" * found[0].count("\n") + text[found.end() :], title[1].strip().strip("\"'") if title else ""


def _paragraphs(lines: list[str]) -> Iterator[tuple[int, str]]:
    start = 0
    for number, line in enumerate([*lines, ""]):
        if not line.strip():
            if number > start:
                yield start + 1, "\n".join(lines[start:number]).strip()
            start = number + 1


def _stripped(lines: list[str], start: int, end: int) -> tuple[int, str] | None:
    """The 1-based number of the first line with something in it, and the text from there; None where all is blank."""
    while start < end and not lines[start].strip():
        start += 1
    return (start + 1, "\n".join(lines[start:end]).rstrip()) if start < end else None
