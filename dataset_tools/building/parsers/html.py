"""HTML by its headings, read by lxml. Scripts, styles, navigation and what is hidden are dropped."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

from dataset_tools.building.parsers.base import Outline, Parsed, Piece, decoded

_DROPPED = {
    *("head", "title", "script", "style", "noscript", "template", "nav", "footer", "aside", "menu", "dialog"),
    *("form", "button", "input", "select", "option", "datalist", "textarea"),
    *("audio", "video", "source", "canvas", "svg", "math", "iframe", "embed", "object"),
}
_DROPPED_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "menu"}
_BLOCKS = {
    *("body", "main", "article", "section", "header", "div", "p", "pre", "blockquote", "address", "center", "hr"),
    *("ul", "ol", "li", "dl", "dt", "dd", "figure", "figcaption", "details", "summary", "fieldset"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr"),
}
_LINES = {"tr", "dt", "dd", "li"}  # blocks that begin a line and need no blank one behind them
_CELLS = {"td", "th"}
_LEVELS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"<meta[^<>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})", re.IGNORECASE)
_HEAD = 4_096  # bytes; HTML asks for the charset within the first 1,024


def parse_html(data: bytes, path: Path) -> Parsed:
    """A piece for each stretch under a heading; the number is the line of the file where it starts.

    Raises:
        DocumentsError: The file is binary.
    """
    from lxml import etree

    text = _decoded(data, path)
    if not text.strip():
        return Parsed(())
    # The tree of a normal parser ends at a depth of 256, that of a huge one at 2,048.
    options = {"no_network": True, "remove_comments": True, "remove_pis": True, "huge_tree": True}
    parser = etree.HTMLParser(encoding="utf-8", **options)
    root = etree.fromstring(text.encode("utf-8", errors="replace"), parser)
    if root is None:
        return Parsed(())
    collector = _Collector()
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        if event == "start":
            if collector.start(element):
                walker.skip_subtree()
        else:
            collector.end(element)
    collector.close()
    titles = root.xpath("string(//title)").split()
    deep = [error.line for error in parser.error_log if "depth" in error.message.lower()]
    problems = tuple(f"nested too deeply at line {line}: the rest was not read" for line in deep[:1])
    return Parsed(tuple(collector.pieces), " ".join(titles) or collector.first_heading, problems)


class _Collector:
    """Takes elements as they start and end, and gathers the text between headings."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.first_heading = ""
        self._outline = Outline()
        self._parts: list[str] = []
        self._heading: list[str] | None = None
        self._line = 0
        self._kept_blanks = 0

    def start(self, element: Any) -> bool:
        """Whether the element and all in it are dropped."""
        tag = element.tag
        if _is_dropped(element):
            return True
        if tag in _LEVELS:
            self.close()
            self._heading = []
        elif tag == "br":
            self._add("\n", element)
        elif tag == "li":
            self._add("\n- ", element)
        elif tag in _BLOCKS:
            self._add("\n" if tag in _LINES else "\n\n", element)
        elif tag in _CELLS and element.getprevious() is not None:
            self._add(" | ", element)
        self._kept_blanks += tag == "pre"
        self._add_text(element.text, element)
        return False

    def end(self, element: Any) -> None:
        """The element is over, and the text behind it comes."""
        tag = element.tag
        if not _is_dropped(element):
            self._kept_blanks -= tag == "pre"
            if tag in _LEVELS and self._heading is not None:
                words = " ".join("".join(self._heading).split())
                self._heading = None
                self._outline.enter(_LEVELS[tag], words)
                self.first_heading = self.first_heading or words
            elif tag in _BLOCKS - _LINES:
                self._add("\n\n", element)
        self._add_text(element.tail, element)

    def close(self) -> None:
        """The text so far is a piece."""
        text = _tidy("".join(self._parts))
        if text:
            self.pieces.append(Piece(self._outline.path, text, "line", max(self._line, 1)))
        self._parts, self._line = [], 0

    def _add_text(self, text: str | None, element: Any) -> None:
        if text:
            self._add(text.replace(" ", _HARD) if self._kept_blanks else re.sub(r"\s+", " ", text), element)

    def _add(self, text: str, element: Any) -> None:
        if self._heading is not None:
            self._heading.append(text)
            return
        if not self._line and text.strip(" \n-|"):
            self._line = element.sourceline or 1
        self._parts.append(text)


_HARD = "\ue000"  # stands for a blank that is kept (in preformatted text) until the others are tidied


def _is_dropped(element: Any) -> bool:
    return (
        element.tag in _DROPPED
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or element.get("role") in _DROPPED_ROLES
    )


def _tidy(text: str) -> str:
    """The text without blanks around line ends, and with at most one empty line in a row."""
    lines = [line.strip(" ") for line in re.sub(r" {2,}", " ", text).split("\n")]
    text = "\n".join("" if line == "|" else line for line in lines)
    text = re.sub(r"^-\n+(?=[^\n-])", "- ", text, flags=re.MULTILINE)  # a paragraph inside a list item
    text = re.sub(r"^-$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip().replace(_HARD, " ")


def _decoded(data: bytes, path: Path) -> str:
    """The text by the charset that the page declares, where it is no UTF-8; else as any other text."""
    found = _CHARSET.search(data[:_HEAD])
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        if found:
            try:
                return data.decode(codecs.lookup(found[1].decode("ascii")).name)
            except (LookupError, UnicodeError):
                pass  # it says one thing and is another: let the bytes speak
    return decoded(data, path)
