"""What every parser gives back, and the headings that they all keep track of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dataset_tools.building.sections import Section, Unit
from dataset_tools.errors import DocumentsError
from dataset_tools.reading.encoding import decode
from dataset_tools.reading.opening import UnreadableError, require_text_bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """A section whose document has no name yet; the fields are those of `Section`."""

    headings: tuple[str, ...]
    text: str
    unit: Unit
    number: int

    def section(self, document: str) -> Section:
        """The section of the document with that name."""
        return Section(document, self.headings, self.text, self.unit, self.number)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The pieces of a document in order, its own title if it says one, and what could not be read."""

    pieces: tuple[Piece, ...]
    title: str = ""
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Outline:
    """The headings that the text at hand stands under, as pairs of level and words."""

    _open: list[tuple[int, str]] = field(default_factory=list)

    def enter(self, level: int, words: str) -> None:
        """A heading closes those of its level and below."""
        self._open = [heading for heading in self._open if heading[0] < level]
        words = " ".join(words.split())
        if words:
            self._open.append((level, words))

    @property
    def path(self) -> tuple[str, ...]:
        """The headings, outermost first."""
        return tuple(words for _, words in self._open)


def decoded(data: bytes, path: Path) -> str:
    r"""The text in whatever encoding it is, its lines ended by ``\n``; empty for an empty file.

    Raises:
        DocumentsError: It is binary.
    """
    try:
        require_text_bytes(data, path)
        text = decode(data, path).utf8.decode("utf-8")
    except UnreadableError as error:
        if error.check == "empty-file":
            return ""
        raise DocumentsError(
            "this document is not text",
            where=str(path),
            found=error.found,
            expected="what its name says",
            next_step="save it as UTF-8 text, or give it the ending of its kind",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def broken(path: Path, kind: str, found: str) -> DocumentsError:
    """The error of a file that is not what it should be."""
    return DocumentsError(
        f"this {kind} cannot be read",
        where=str(path),
        found=" ".join(found.split())[:200] or "a fault in its structure",
        expected=f"a whole {kind} that is not locked",
        next_step="open it, save it again without a password, and try once more; or leave it out",
    )
