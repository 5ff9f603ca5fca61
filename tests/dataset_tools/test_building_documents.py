from __future__ import annotations

import io
import itertools
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.building import documents as module
from dataset_tools.building import passages, read_document, read_documents
from dataset_tools.building.parsers import parse_docx, parse_html, parse_markdown, parse_pdf, parse_text
from dataset_tools.building.sections import Document, Section
from dataset_tools.errors import DocumentsError, UsageError
from tests.dataset_tools.pdf_support import sized_pdf

MARKDOWN = """---
title: "The guide"
---
Before all.

# Setup {#top}

First line.

```
# no heading
```

Linux *steps*
-------------

> # nor this

text
"""
HTML = """<!doctype html><html><head><title>Shop &amp; help</title><style>p {}</style></head>
<body><nav>Home <a>Menu</a></nav>
<h1>Help <b>desk</b></h1><p>Call us.<br>Any time.</p><script>steal()</script>
<ul><li>one<li><p>two</p></ul>
<h2>Prices</h2>
<table><tr><th>Plan</th><th>Price</th></tr><tr><td>A</td><td>3</td></tr></table>
<pre>a   b
  c</pre>
<div hidden>secret</div><div aria-hidden="true">icon</div><footer>Imprint</footer></body></html>"""

Write = Callable[..., Path]


def texts(document: Document) -> list[tuple[tuple[str, ...], str, int]]:
    return [(section.headings, section.text, section.number) for section in document.sections]


def pdf(pages: Sequence[str], *, title: str = "") -> bytes:
    """A small PDF with a line of text on each page."""
    return sized_pdf([[(text, 12)] for text in pages], title=title)


def word() -> bytes:
    """A Word document with headings, a list and a table."""
    from docx import Document as new_document

    document = new_document()
    document.add_heading("The handbook", 0)
    document.add_paragraph("Welcome.")
    document.add_heading("Leave", 1)
    document.add_paragraph("You have 30 days.")
    document.add_paragraph("Ask early.", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip(
        itertools.chain(*(row.cells for row in table.rows)), ["Year", "Days", "2024", "30"], strict=True
    ):
        cell.text = text
    document.add_heading("Sick leave", 2)
    document.add_paragraph("Call in.")
    saved = io.BytesIO()
    document.save(saved)
    return saved.getvalue()


def repacked(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A zip archive with its entries changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return packed.getvalue()


def test_markdown_is_divided_by_its_headings_and_lines_are_those_of_the_file(write: Write) -> None:
    document = read_document(write(MARKDOWN, "guide.md"))
    assert (document.title, document.kind, document.problems) == ("The guide", "markdown", ())
    assert texts(document) == [
        ((), "Before all.", 4),
        (("Setup",), "First line.\n\n```\n# no heading\n```", 8),
        (("Setup", "Linux steps"), "> # nor this\n\ntext", 17),
    ]
    assert document.sections[2].where == "guide.md, line 17 (Setup > Linux steps)"


@given(st.lists(st.sampled_from(["# A", "## B", "### C", "words here", "", "more words", "- item"]), max_size=20))
def test_each_section_of_markdown_stands_in_the_file_where_it_says_and_no_word_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    pieces = parse_markdown(text.encode(), Path("x.md")).pieces
    for piece in pieces:
        size = piece.text.count("\n") + 1
        assert "\n".join(lines[piece.number - 1 : piece.number - 1 + size]).rstrip() == piece.text
    said = " ".join(piece.text for piece in pieces).split()
    assert said == " ".join(line for line in lines if not line.startswith("#")).split()


def test_text_is_divided_by_paragraphs_in_whatever_encoding_it_is(write: Write) -> None:
    document = read_document(write("Café au lait\r\nà côté\r\n \r\n\r\nzwei".encode("cp1252"), "my_notes.txt"))
    assert document.title == "my notes"
    assert texts(document) == [((), "Café au lait\nà côté", 1), ((), "zwei", 5)]


def test_html_is_divided_by_its_headings_without_scripts_styles_and_navigation(write: Write) -> None:
    document = read_document(write(HTML, "page.html"))
    assert document.title == "Shop & help"
    assert texts(document) == [
        (("Help desk",), "Call us.\nAny time.\n\n- one\n- two", 3),
        (("Help desk", "Prices"), "Plan | Price\nA | 3\n\na   b\n  c", 6),
    ]


@pytest.mark.parametrize("charset", ["iso-8859-2", "windows-1251"])
def test_html_that_is_not_utf_8_is_read_by_the_charset_it_declares(write: Write, charset: str) -> None:
    said = "Żółta łódź" if charset == "iso-8859-2" else "Привет"
    page = f'<html><head><meta charset="{charset}"></head><body><p>{said}</p></body></html>'
    assert texts(read_document(write(page.encode(charset), "p.html")))[0][1] == said


def test_html_that_is_nested_too_deeply_says_what_it_lost() -> None:
    shallow = parse_html(("<div>" * 1000 + "deep" + "</div>" * 1000 + "<p>after").encode(), Path("x.html"))
    assert [piece.text for piece in shallow.pieces] == ["deep\n\nafter"] and shallow.problems == ()
    deep = parse_html(("<p>before</p>" + "<div>" * 5000 + "deep").encode(), Path("x.html"))
    assert deep.pieces[0].text == "before" and "nested too deeply" in deep.problems[0]


def test_a_pdf_is_divided_by_pages_and_pages_without_text_are_named(write: Write) -> None:
    document = read_document(write(pdf(["Hello world", "", "The end"], title="Notes"), "a.pdf"))
    assert (document.title, texts(document)) == ("Notes", [((), "Hello world", 1), ((), "The end", 3)])
    assert document.sections[1].where == "a.pdf, page 3"
    assert document.problems == ("1 of 3 pages hold no text (scanned?), the first is page 2",)


def test_a_pdf_under_another_name_is_still_read_as_one(write: Write) -> None:
    assert read_document(write(pdf(["Hello"]), "a.txt")).kind == "pdf"


def test_a_locked_pdf_is_refused_and_one_with_an_empty_password_is_read(write: Write) -> None:
    from pypdf import PdfReader, PdfWriter

    for password in ("secret", ""):
        writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["Hidden"]))))
        writer.encrypt(password, owner_password="owner", algorithm="RC4-128")
        saved = io.BytesIO()
        writer.write(saved)
        path = write(saved.getvalue(), "locked.pdf")
        if password:
            with pytest.raises(DocumentsError, match="locked"):
                read_document(path)
        else:
            assert texts(read_document(path)) == [((), "Hidden", 1)]


def test_word_is_divided_by_its_headings_and_a_table_is_lines(write: Write) -> None:
    document = read_document(write(word(), "h.docx"))
    assert texts(document) == [
        (("The handbook",), "Welcome.", 2),
        (("The handbook", "Leave"), "You have 30 days.\n\n- Ask early.\n\nYear | Days\n2024 | 30", 4),
        (("The handbook", "Leave", "Sick leave"), "Call in.", 8),
    ]
    assert document.title == "The handbook" and document.sections[0].place == "paragraph 2"


def test_word_keeps_tracked_insertions_and_leaves_out_deletions_and_second_copies(write: Write) -> None:
    marked = (
        b"<w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        b"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        b'<mc:Fallback xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        b"<w:r><w:t>copy</w:t></w:r></mc:Fallback></w:p>"
        b"<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )

    def change(name: str, data: bytes) -> bytes:
        return data.replace(b"<w:body>", b"<w:body>" + marked) if name == "word/document.xml" else data

    document = read_document(write(repacked(word(), change), "h.docx"))
    assert document.sections[0].text == "kept inserted\n\ncontrolled"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset_tools.building.parsers.docx.MAX_UNPACKED", 10_000)
    with pytest.raises(DocumentsError, match="too large"):
        read_document(write(word(), "h.docx"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"%PDF-1.4 cut off", "this PDF cannot be read"),
        ("a.docx", b"PK\x03\x04 cut off", "this Word document cannot be read"),
        ("a.docx", b"\xd0\xcf\x11\xe0 old or locked", "this Word document cannot be read"),
        ("a.txt", b"\x01\x02\x03" * 99, "not text"),
        ("a.md", b"", "no text"),
        ("a.md", b"# Only a heading\n", "no text"),
        ("a.html", b"<html><script>x</script></html>", "no text"),
        ("a.xyz", b"text", "not read"),
        ("a", b"text", "not read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(write: Write, name: str, content: bytes, message: str) -> None:
    path = write(content, name)
    with pytest.raises(DocumentsError, match=message) as caught:
        read_document(path)
    assert caught.value.where == str(path) and caught.value.next_step


def test_a_file_over_the_cap_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("word " * 300, "a.txt")
    monkeypatch.setattr(module, "MAX_CHARACTERS", 1_000)
    with pytest.raises(DocumentsError, match=r"too large[\s\S]*1,499 characters"):
        read_document(path)
    monkeypatch.setattr(module, "MAX_BYTES", 1_000)
    with pytest.raises(DocumentsError, match="too large"):
        read_document(path)
    monkeypatch.setattr("dataset_tools.building.parsers.plain.MAX_MARKDOWN", 100)
    with pytest.raises(DocumentsError, match="Markdown file is too large"):
        parse_markdown(b"x" * 101, Path("a.md"))


def test_a_path_that_is_not_there_or_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.md", tmp_path):
        with pytest.raises(UsageError):
            read_document(path)
    with pytest.raises(UsageError):
        read_documents(tmp_path / "none")


def test_in_a_folder_broken_files_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name, content in {
        "b.md": b"# T\nhello",
        "a.pdf": b"%PDF- broken",
        "sub/c.txt": b"deep",
        "rows.jsonl": b"{}",
        ".hidden/d.md": b"no",
        ".e.md": b"no",
        "empty.txt": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    found = read_documents(tmp_path)
    assert [document.name for document in found.documents] == ["b.md", "sub/c.txt"]
    assert found.documents[1].sections[0].document == "sub/c.txt"
    assert [error.where for error in found.failures] == [str(tmp_path / "a.pdf"), str(tmp_path / "empty.txt")]
    assert found.skipped == ("rows.jsonl",)
    assert read_documents(tmp_path / "b.md").documents[0].name == "b.md"


def test_a_folder_with_nothing_to_read_or_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    with pytest.raises(DocumentsError, match="no document could be read"):
        read_documents(tmp_path)
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr(module, "MAX_FILES", 1)
    with pytest.raises(DocumentsError, match="too many files"):
        read_documents(tmp_path)


def test_the_whole_text_has_each_heading_once() -> None:
    def section(headings: tuple[str, ...], text: str) -> Section:
        return Section("d", headings, text, "line", 1)

    document = Document(
        "d",
        "d",
        "markdown",
        (section((), "0"), section(("A", "B"), "1"), section(("A", "B"), "2"), section(("A", "C"), "3")),
    )
    assert document.text == "0\n\n# A\n\n## B\n\n1\n\n2\n\n## C\n\n3"


words = st.text(st.sampled_from("ab .\n"), min_size=1, max_size=400).filter(lambda text: bool(text.strip()))


@given(st.lists(words, min_size=1, max_size=6), st.integers(20, 200), st.integers(0, 50))
def test_passages_are_short_enough_lose_no_word_and_know_their_line(parts: list[str], most: int, least: int) -> None:
    lines = "\n\n".join(parts).split("\n")
    pieces = parse_text("\n".join(lines).encode(), Path("x.txt")).pieces
    sections = tuple(piece.section("x.txt") for piece in pieces)
    cut = passages(Document("x.txt", "x", "text", sections), most=most, least=least)
    assert all(len(passage.text) <= most for passage in cut)
    letters = [char for passage in cut for char in passage.text if not char.isspace()]
    assert letters == [char for line in lines for char in line if not char.isspace()]
    for passage in cut:
        assert passage.text.split("\n")[0].strip() in lines[passage.number - 1]


def test_short_neighbours_are_joined_under_one_heading_only() -> None:
    def section(heading: str, text: str, number: int) -> Section:
        return Section("d", (heading,), text, "line", number)

    sections = (section("A", "one", 1), section("A", "two", 3), section("B", "three", 6), section("B", "x" * 90, 9))
    joined = passages(Document("d", "d", "markdown", sections), most=60, least=50)
    assert [(passage.headings, passage.text[:8], passage.number) for passage in joined][:2] == [
        (("A",), "one\n\ntwo", 1),
        (("B",), "three", 6),
    ]


@pytest.mark.parametrize("kind", ["pdf", "docx", "packed", "html", "markdown"])
def test_no_damage_to_a_document_gives_more_than_a_documents_error(kind: str) -> None:
    draw = random.Random(kind)

    def damaged(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(draw.randint(1, 20)):
            place = draw.randrange(len(changed) + 1)
            if draw.random() < 0.5:
                changed[place : place + 1] = bytes([draw.randrange(256)])
            else:
                changed[place : place + draw.randint(0, 60)] = changed[: draw.randint(0, 60)]
        return bytes(changed)

    packed, parsers = word(), {"pdf": parse_pdf, "html": parse_html, "markdown": parse_markdown}
    whole = {"pdf": pdf(["Hello", "world"]), "html": HTML.encode(), "markdown": MARKDOWN.encode(), "docx": packed}
    for _ in range(60):
        if kind == "packed":  # the XML inside is damaged, the archive is whole
            data = repacked(packed, lambda _, inner: damaged(inner) if draw.random() < 0.1 else inner)
        else:
            data = damaged(whole[kind])
        try:
            parsers.get(kind, parse_docx)(data, Path("x"))
        except DocumentsError as error:
            assert error.where == "x"
