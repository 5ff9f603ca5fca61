"""One sheet of an Excel workbook (.xlsx), as text cell by cell. Older workbooks (.xls, .xlsb) are not read."""

from __future__ import annotations

import itertools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from dataset_tools.errors import UsageError
from dataset_tools.reading.header import LOOKED_AT, Header, find_header
from dataset_tools.reading.opening import UnreadableError, open_file
from dataset_tools.reading.packed import Unpacked
from dataset_tools.reading.source import Note, Place, Problem
from dataset_tools.reading.table import Table

MAX_UNPACKED = 2**30  # bytes of all parts: a "zip bomb" of a few MB unpacks to many GB otherwise
MAX_COLUMNS = 1_000
_BEYOND = 10  # columns behind the header that are looked at: a few bytes could ask for 18,000 empty cells in each row
MAX_ROWS = 1_048_576  # of a sheet (Microsoft, "Excel specifications and limits")
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"  # an old Office document, or a new one with a password ([MS-OFFCRYPTO], 2.3.4)
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_LOOKED_AT = 2**20
_SAVE_AGAIN = "open it in Excel, save it again, then try again"
_WORKBOOK_PART = re.compile(r"xl/workbook\d*\.xml", re.IGNORECASE)
_ESCAPED = re.compile(r"_x00([01][0-9A-Fa-f])_")  # a control character (ECMA-376, 22.9.2.19); Excel writes CR so
_NOT_A_ZIP = (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error)
# What openpyxl and the parsers below it raise for a damaged workbook; it has no error of its own for that.
_BROKEN = (
    *_NOT_A_ZIP,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    zlib.error,
)
_Record = tuple[int, list[str]]  # the row of the sheet, and its cells


def is_workbook(file: BinaryIO) -> bool:
    """Whether a file is an Excel workbook that may be read: told from other ZIP archives by the names in it.

    A workbook with a password is one too, so that `open_workbook` can say so. The position in the file is kept.
    """
    start = file.tell()
    file.seek(0)
    try:
        head = file.read(4)
        if head == _OLE:
            return _ENCRYPTED in file.read(_LOOKED_AT)
        return head == _ZIP and any(_WORKBOOK_PART.fullmatch(name) for name in _names(file))
    finally:
        file.seek(start)


def sheet_names(path: Path) -> tuple[str, ...]:
    """The sheets of a workbook, that which is read when none is named first; none of what is no sound workbook.

    Raises:
        UsageError: The path is missing, is a folder, or may not be read.
    """
    with open_file(path) as file:
        if not is_workbook(file):
            return ()
        try:
            _require_readable(file, path)
            sheets = _sheets(file)
        except (UnreadableError, *_BROKEN):
            return ()
        return tuple(sheet.title for sheet in sorted(sheets, key=lambda sheet: sheet.sheet_state != "visible"))


def open_workbook(file: BinaryIO, path: Path, sheet: str | None = None) -> Table:
    """Open the rows of a sheet by its header, the first row that is not empty. A row's line is its Excel row.

    The sheet is unpacked once, into a temporary file that lives as long as the table: to read it again takes long. What
    is held is what openpyxl holds: the texts that cells share.

    It is the sheet of that name (case and blanks do not count), else the first that is not hidden.

    Whole numbers lose their ``.0``, dates become ISO 8601, truth values TRUE and FALSE, and formulas what Excel
    computed last. A column without a name is left out, as are columns beyond `MAX_COLUMNS`.

    Raises:
        UsageError: There is no such sheet.
        UnreadableError: The workbook is broken, has a password, unpacks to more than `MAX_UNPACKED`, or has no rows.
    """
    _require_readable(file, path)
    problems: list[Problem] = []
    kept, head = Unpacked(), list[_Record]()
    with kept.path.open("wb") as written:
        for record in _records(file, path, problems, sheet=sheet):
            if len(head) <= LOOKED_AT:
                head.append(record)
            written.write(orjson.dumps(record) + b"\n")
    if not head:
        raise UnreadableError(
            "empty-file",
            "the workbook is empty",
            path=path,
            found=f"no cell with something in it on {'the first sheet' if sheet is None else repr(sheet)}",
            next_step="put the rows on the first sheet, or name theirs with --sheet",
        )
    later = [[*cells, *[""] * (len(head[0][1]) - len(cells))] for _, cells in head[1:]]
    header = find_header(head[0][1], later, line=head[0][0])

    def read(note: Note) -> Iterator[Place]:
        for problem in (*problems, *header.problems):
            note(problem)
        return _named(kept, header, width=len(head[0][1]), note=note)

    return Table(header.columns, read)


def _require_readable(file: BinaryIO, path: Path) -> None:
    """Refuse a workbook with a password, one that is no archive, and one that unpacks to too much."""
    file.seek(0)
    if file.read(4) == _OLE:
        raise _refusal(path, "an Excel workbook with a password", "save it without a password, then try again")
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())  # zipfile reads no part further than this
    except _NOT_A_ZIP as error:
        raise _refusal(path, f"an Excel workbook that is broken: {error}", _SAVE_AGAIN) from error
    if unpacked > MAX_UNPACKED:
        found = f"an Excel workbook of {unpacked:,} bytes once unpacked, more than {MAX_UNPACKED:,}"
        raise _refusal(path, found, "save the sheet as CSV, then try again", check="too-large")


def _sheets(file: BinaryIO) -> Sequence[Any]:
    """The sheets of a workbook whose rows are read as they are asked for."""
    import openpyxl

    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of the workbook that openpyxl does not know
        sheets: Sequence[Any] = openpyxl.load_workbook(file, read_only=True, data_only=True).worksheets
        return sheets


def _named(kept: Unpacked, header: Header, *, width: int, note: Note) -> Iterator[Place]:
    """The rows by the names of their columns."""
    number, above = 0, None
    with kept.path.open("rb") as file:
        for line, cells in map(orjson.loads, file):
            if above is not None and line > above + 1:
                blank = "a blank row" if line == above + 2 else f"{line - above - 1} blank rows"
                note(Problem("blank-line", blank, above + 1))
            is_header = above is None and not header.first_is_row
            above = line
            if is_header:
                continue
            number += 1
            if len(cells) > width:
                message = f"{len(cells)} cells, but the header has {width} columns"
                note(Problem("column-count", message, line, number))
                continue
            filled = itertools.chain(cells, itertools.repeat(""))
            named = zip(header.columns, filled, strict=False)
            yield line, number, {name: cell for name, cell in named if name}


def _records(file: BinaryIO, path: Path, problems: list[Problem], *, sheet: str | None) -> Iterator[_Record]:
    """The rows of the sheet that have something in them, without the empty cells at their ends."""
    try:
        found = _sheet(_sheets(file), sheet, path, problems)
        if found is None:
            return
        found.reset_dimensions()  # what the file says of its own size is often wrong
        first = next(_filled(found, MAX_COLUMNS), None)
        if first is not None:
            yield from _filled(found, min(MAX_COLUMNS, len(first[1]) + _BEYOND))
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = f"an Excel workbook that is broken: {str(error).splitlines()[0][:200] if str(error) else error!r}"
        raise _refusal(path, reason, _SAVE_AGAIN) from error


def _sheet(sheets: Sequence[Any], name: str | None, path: Path, problems: list[Problem]) -> Any:
    """The sheet of a name, or the first that can be seen; then it is told which others there are."""
    if name is not None:
        wanted = next((sheet for sheet in sheets if sheet.title.strip().casefold() == name.strip().casefold()), None)
        if wanted is None:
            titles = ", ".join(repr(sheet.title) for sheet in sheets)
            raise UsageError(
                "there is no such sheet", where=str(path), found=repr(name), expected=f"one of {titles}",
                next_step="name one of these",
            )  # fmt: skip
        return wanted
    found = next((sheet for sheet in sheets if sheet.sheet_state == "visible"), None)
    if found is not None and len(sheets) > 1:
        others = ", ".join(repr(sheet.title[:40]) for sheet in sheets if sheet is not found)
        message = f"the workbook has {len(sheets)} sheets; only {found.title[:40]!r} was read, and not {others}"
        problems.append(Problem("other-sheets", message))
    return found


def _filled(sheet: Any, columns: int) -> Iterator[_Record]:
    for number, values in enumerate(sheet.iter_rows(max_col=columns, max_row=MAX_ROWS, values_only=True), 1):
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _names(file: BinaryIO) -> list[str]:
    """The names in an archive; where its directory is lost, whether they can be seen further up."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except _NOT_A_ZIP:
        file.seek(0)
        return ["xl/workbook.xml"] if b"xl/workbook" in file.read(_LOOKED_AT) else []


def _refusal(path: Path, found: str, next_step: str, *, check: str = "binary-file") -> UnreadableError:
    return UnreadableError(check, "the workbook cannot be read", path=path, found=found, next_step=next_step)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if "_x00" in value else value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"{value:.15g}"  # digits Excel keeps
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)
