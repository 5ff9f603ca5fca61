from __future__ import annotations

import datetime
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from dataset_tools.reading import Source, UnreadableError, read_source, workbook

Rows = list[list[object]]


def _book(rows: Rows, *more: Rows) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for number, others in enumerate(more):
        second = book.create_sheet(f"more {number}")
        for row in others:
            second.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _changed(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with one of its parts changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return made.getvalue()


def _with_shared_strings(data: bytes, strings: bytes) -> bytes:
    """As Excel writes it: the strings in a part of their own; here the first cell of row 2 is the first of them."""
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    part = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
    data = _changed(data, "[Content_Types].xml", lambda xml: xml.replace(b"</Types>", part))
    old = b'<c r="A2" t="inlineStr"><is><t>a</t></is></c>'
    data = _changed(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(old, b'<c r="A2" t="s"><v>0</v></c>'))
    made = io.BytesIO(data)
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", strings)
    return made.getvalue()


@pytest.fixture
def read(write: Callable[..., Path]) -> Callable[[bytes], Source]:
    return lambda data: read_source(write(data, "rows.xlsx"))


def test_rows_come_by_the_names_of_the_columns_with_the_row_of_the_sheet_as_line(
    read: Callable[[bytes], Source],
) -> None:
    source = read(_book([[], ["prompt", "completion"], ["a", "b"], [], [], ["c\nd", ""], ["e"]]))
    assert (source.container, source.columns) == ("xlsx", ("prompt", "completion"))
    assert [(row.line, row.record, row.value) for row in source.rows] == [
        (3, 1, {"prompt": "a", "completion": "b"}),
        (6, 2, {"prompt": "c\nd", "completion": ""}),
        (7, 3, {"prompt": "e", "completion": ""}),
    ]
    assert [(p.check, p.line, p.message) for p in source.problems] == [("blank-line", 4, "2 blank rows")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (-0.1, "-0.1"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
        (2**50, "1125899906842624"),
        (True, "TRUE"),
        (False, "FALSE"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 13, 5, 7), "2024-02-29T13:05:07"),
        (datetime.time(13, 5), "13:05:00"),
        (datetime.timedelta(days=1, hours=2), "1 day, 2:00:00"),
        ("007", "007"),
        (" kept ", " kept "),
        ("emoji 👩‍👧 and ß", "emoji 👩‍👧 and ß"),
        ("#N/A", "#N/A"),
    ],
)
def test_every_kind_of_cell_becomes_text(read: Callable[[bytes], Source], value: object, text: str) -> None:
    assert [row.value for row in read(_book([["prompt", "completion"], [value, "x"]])).rows] == [
        {"prompt": text, "completion": "x"}
    ]


def test_a_formula_gives_what_was_computed_last(read: Callable[[bytes], Source]) -> None:
    data = _book([["prompt", "completion"], ["=1+1", "x"]])
    assert read(data).rows[0].value == {"prompt": "", "completion": "x"}
    data = _changed(
        data,
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b"<v></v>", b"<v>2</v>").replace(b"<v/>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>"),
    )
    assert read(data).rows[0].value == {"prompt": "2", "completion": "x"}


SHARED = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">%s</sst>'


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"<si><t>x_x000D_\ny</t></si>", "x\r\ny"),
        (b"<si><t>a_x0041_b</t></si>", "a_x0041_b"),
        (b"<si><r><t>bo</t></r><r><rPr><b/></rPr><t>ld</t></r></si>", "bold"),
    ],
)
def test_shared_strings_come_as_they_were_typed(read: Callable[[bytes], Source], written: bytes, text: str) -> None:
    data = _with_shared_strings(_book([["prompt", "completion"], ["a", "b"]]), SHARED % written)
    assert read(data).rows[0].value == {"prompt": text, "completion": "b"}


def test_cells_beyond_the_header_are_told_and_empty_ones_are_not(read: Callable[[bytes], Source]) -> None:
    source = read(_book([["prompt", "completion", None], ["a", "b", ""], ["c", "d", "e"], ["f", "g"]]))
    assert [row.value for row in source.rows] == [
        {"prompt": "a", "completion": "b"},
        {"prompt": "f", "completion": "g"},
    ]
    assert [(p.check, p.line, p.record) for p in source.problems] == [("column-count", 3, 2)]


def test_only_the_first_sheet_that_can_be_seen_is_read_and_the_others_are_told(read: Callable[[bytes], Source]) -> None:
    data = _book([["hidden"], ["x"]], [["prompt", "completion"], ["a", "b"]])
    data = _changed(data, "xl/workbook.xml", lambda xml: xml.replace(b'state="visible"', b'state="hidden"', 1))
    source = read(data)
    assert [row.value for row in source.rows] == [{"prompt": "a", "completion": "b"}]
    [problem] = source.problems
    assert problem.check == "other-sheets" and "'more 0'" in problem.message


def test_a_sheet_without_a_header_and_a_header_with_blanks_are_told(read: Callable[[bytes], Source]) -> None:
    rows: Rows = [[f"This is the long question number {n}, is it not?", f"Yes, that is number {n}."] for n in range(5)]
    source = read(_book(rows))
    assert [(row.line, row.record) for row in source.rows] == [(n, n) for n in range(1, 6)]
    assert (source.columns, [p.check for p in source.problems]) == (("input", "output"), ["no-header"])
    assert [p.check for p in read(_book([["prompt ", "completion"], ["a", "b"]])).problems] == ["header-blanks"]


def test_a_wrong_size_in_the_file_loses_no_row(read: Callable[[bytes], Source]) -> None:
    data = _book([["prompt", "completion"], *[["a", "b"]] * 5])
    data = _changed(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'ref="A1:B6"', b'ref="A1"'))
    assert len(read(data).rows) == 5


@pytest.mark.parametrize("rows", [[], [[None, None], [""]]])
def test_a_workbook_without_rows_is_empty(read: Callable[[bytes], Source], rows: Rows) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(_book(rows))
    assert caught.value.check == "empty-file"


def test_other_archives_are_no_workbooks(read: Callable[[bytes], Source]) -> None:
    for names in (["word/document.xml", "[Content_Types].xml"], ["rows.csv"], ["xl/workbook.bin"], []):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, "<x/>")
        file.seek(3)
        assert not workbook.is_workbook(file) and file.tell() == 3
        if names:
            with pytest.raises(UnreadableError, match="a ZIP archive"):
                read(file.getvalue())


def test_a_workbook_with_a_password_is_told(read: Callable[[bytes], Source]) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000) + "EncryptedPackage".encode("utf-16-le") + bytes(1000)
    with pytest.raises(UnreadableError, match="password") as caught:
        read(data)
    assert caught.value.check == "binary-file"


def test_a_workbook_that_unpacks_to_too_much_is_refused(
    read: Callable[[bytes], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _book([["prompt", "completion"], ["a", "x" * 30_000]])
    assert len(data) < 20_000
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 20_000)
    with pytest.raises(UnreadableError) as caught:
        read(data)
    assert caught.value.check == "too-large"


def test_rows_and_cells_numbered_into_the_void_do_no_harm(read: Callable[[bytes], Source]) -> None:
    data = _book([["prompt", "completion"], ["a", "b"], ["c", "d"]])
    far = _changed(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'r="3"', b'r="900000000000"'))
    assert len(read(far).rows) == 1
    wide = _changed(data, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'r="B3"', b'r="ZZZ3"'))
    assert read(wide).rows[0].value == {"prompt": "a", "completion": "b"}


def test_entities_are_not_blown_up(read: Callable[[bytes], Source]) -> None:
    lol = b'<!DOCTYPE x [<!ENTITY a "lol">'
    lol += b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12)) + b"]>"
    data = _book([["prompt", "completion"], ["a", "b"]])
    in_sheet = _changed(data, "xl/worksheets/sheet1.xml", lambda xml: lol + xml.replace(b"<t>a</t>", b"<t>&m;</t>"))
    in_strings = _with_shared_strings(data, lol + SHARED % b"<si><t>&m;</t></si>")
    for bomb in (in_sheet, in_strings):
        with pytest.raises(UnreadableError):
            read(bomb)


def test_no_damage_to_a_workbook_crashes_the_reader(read: Callable[[bytes], Source]) -> None:
    data = _book([["prompt", "completion"], *[[f"question {n}", n] for n in range(20)]])
    draw = random.Random(0)
    for cut in (4, 30, 100, len(data) // 2, len(data) - 30):
        with pytest.raises(UnreadableError):
            read(data[:cut])
    for _ in range(60):
        spoiled = bytearray(data)
        for _ in range(draw.choice((1, 3, 30))):
            spoiled[draw.randrange(len(data))] = draw.randrange(256)
        try:
            assert read(bytes(spoiled)).records >= 0
        except UnreadableError as error:
            assert error.check in ("binary-file", "empty-file", "too-large")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    for name in names:
        for spoil in (lambda xml: xml[: len(xml) // 2], lambda xml: b"", lambda xml: xml.replace(b'"', b"'", 5)[::-1]):
            try:
                assert read(_changed(data, name, spoil)).records >= 0
            except UnreadableError as error:
                assert error.check in ("binary-file", "empty-file")
