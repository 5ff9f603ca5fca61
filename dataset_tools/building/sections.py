"""What a document is once it is read: sections with their place, and passages of them of a useful length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["markdown", "text", "html", "pdf", "docx"]
Unit = Literal["line", "page", "paragraph"]


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of text under one heading, or on one page.

    Attributes:
        document: The name of the document.
        headings: The headings that it stands under, outermost first; the document's own title may be the first.
        text: The text without its heading. In Markdown and plain text it is as it stands in the file.
        unit: What ``number`` counts from 1: lines of the file, pages, or (Word) paragraphs and tables.
        number: Where the text starts.
    """

    document: str
    headings: tuple[str, ...]
    text: str
    unit: Unit
    number: int

    @property
    def place(self) -> str:
        """Where it starts, in words: ``line 12``."""
        return f"{self.unit} {self.number}"

    @property
    def where(self) -> str:
        """Document, place and headings in words: ``guide.md, line 12 (Setup > Linux)``."""
        path = f" ({' > '.join(self.headings)})" if self.headings else ""
        return f"{self.document}, {self.place}{path}"


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read. ``problems`` says what of it could not be: ``page 7 holds no text``."""

    name: str
    title: str
    kind: Kind
    sections: tuple[Section, ...]
    problems: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole text, each heading once and as Markdown has it."""
        parts: list[str] = []
        before: tuple[str, ...] = ()
        for section in self.sections:
            pairs = zip(before, section.headings, strict=False)
            same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            new = enumerate(section.headings[same:], start=same + 1)
            parts += [*(f"{'#' * depth} {words}" for depth, words in new), section.text]
            before = section.headings
        return "\n\n".join(parts)


def passages(document: Document, *, most: int = 1_500, least: int = 200) -> tuple[Section, ...]:
    """The document in pieces of at most ``most`` characters, for a model to read one at a time.

    A longer section is cut where it breaks best (a paragraph, a sentence, a word). One shorter than ``least`` is
    joined with the next ones under the same headings. 1,500 characters are about 350 tokens of English: a passage,
    an instruction and three answers fit into a context of 2,048. Both are our choice, not measured.
    """
    joined = _joined(document.sections, most=most, least=least)
    return tuple(piece for section in joined for piece in _cut(section, most, document.kind))


def _joined(sections: Sequence[Section], *, most: int, least: int) -> Iterator[Section]:
    held: Section | None = None
    for section in sections:
        if held is None:
            held = section
        elif (
            min(len(held.text), len(section.text)) < least
            and held.headings == section.headings
            and len(held.text) + len(section.text) + 2 <= most
        ):
            held = replace(held, text=f"{held.text}\n\n{section.text}")
        else:
            yield held
            held = section
    if held is not None:
        yield held


def _cut(section: Section, most: int, kind: Kind) -> Iterator[Section]:
    if len(section.text) <= most:
        yield section
        return
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    splitter = MarkdownSplitter(most) if kind == "markdown" else TextSplitter(most)
    verbatim = kind in ("markdown", "text")
    for offset, text in splitter.chunk_indices(section.text):
        further = section.text.count("\n", 0, offset) if verbatim else 0
        yield replace(section, text=text, number=section.number + further)
