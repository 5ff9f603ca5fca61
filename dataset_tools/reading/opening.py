"""From a path to the bytes of a text file, or a plain word about why there are none. Nothing is decoded here."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import BinaryIO

from dataset_tools.errors import DataError, UsageError

MAX_BYTES = 2 * 2**30
_SAMPLE = 65_536
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
_MAX_CONTROL_SHARE = 0.01  # more control bytes than this is no text; a stray NUL in a long text is still text
_UTF_16_OR_32_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
# From the file-format registries (PRONOM, libmagic): what users are most likely to pick by mistake.
_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"GGUF": "a GGUF model",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"\x93NUMPY": "a NumPy array",
    b"\x7fELF": "a program",
}


class UnreadableError(DataError):
    """The file holds no rows at all: it is empty, binary or too large. ``check`` is the id of the matching check."""

    def __init__(self, check: str, what: str, *, path: Path, found: str, next_step: str) -> None:
        self.check = check
        expected = "a file with rows: JSON lines, a JSON array, CSV, TSV, Excel, Parquet or templated text"
        super().__init__(what, where=str(path), found=found, expected=expected, next_step=next_step)


def read_bytes(path: Path) -> bytes:
    """The bytes of a text file that has something in it.

    Raises:
        UsageError: The path is missing, is not a file, or may not be read.
        UnreadableError: The file is empty, binary or larger than 2 GiB.
    """
    with open_file(path) as file:
        data = read_whole(file, path)
    require_text_bytes(data, path)
    return data


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UsageError: The path is missing, is not a file, or may not be read.
    """
    _require_file(path)
    try:
        return path.open("rb")
    except PermissionError as error:
        raise UsageError(
            "the file may not be read", where=str(path), found="no permission", next_step="change its permissions"
        ) from error


def read_whole(file: BinaryIO, path: Path) -> bytes:
    """All bytes of an open file.

    Raises:
        UnreadableError: There are more than 2 GiB; only JSON lines are read as a stream.
    """
    size = file.seek(0, os.SEEK_END)
    if size > MAX_BYTES:
        raise UnreadableError(
            "too-large",
            "the file is too large to read at once",
            path=path,
            found=f"{size:,} bytes, more than {MAX_BYTES:,}, and not in JSON lines of UTF-8",
            next_step="save it as JSON lines in UTF-8, which may be of any size, or split it",
        )
    file.seek(0)
    return file.read()


def require_text_bytes(head: bytes, path: Path) -> None:
    """Check the first bytes of a file, or all.

    Raises:
        UnreadableError: They are nothing but blanks, or no text.
    """
    if not head.lstrip(b" \t\r\n\xef\xbb\xbf"):
        found = "nothing but blanks" if head else "0 bytes"
        raise UnreadableError(
            "empty-file", "the file is empty", path=path, found=found, next_step="check what wrote the file"
        )
    kind = _binary_kind(head)
    if kind:
        raise UnreadableError(
            "binary-file",
            "the file is binary, not text",
            path=path,
            found=kind,
            next_step="export the rows as JSON lines, CSV, Excel or Parquet, then try again",
        )


def looks_utf_16_or_32(data: bytes) -> bool:
    """Whether the bytes start with a byte order mark of UTF-16 or UTF-32, or have a NUL in every second place."""
    if data.startswith(_UTF_16_OR_32_BOMS):
        return True
    sample = data[: _SAMPLE & ~1]
    halves = sample[::2].count(0), sample[1::2].count(0)
    return max(halves) > 0.35 * len(sample) / 2 and min(halves) < 0.1 * len(sample) / 2


def _require_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise UsageError(
            "this is a folder, not a file",
            where=str(path),
            expected="one file with rows",
            next_step="name the file inside the folder",
        )
    if path.exists():
        raise UsageError("this is not a regular file", where=str(path), next_step="name a file on the disk")
    raise UsageError("there is no such file", where=str(path), next_step=_where_else(path))


def _where_else(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"check the path: there is no folder {path.parent}"
    close = difflib.get_close_matches(path.name, names, n=3)
    return f"did you mean {' or '.join(close)}?" if close else "check the path"


def _binary_kind(data: bytes) -> str | None:
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    if looks_utf_16_or_32(data):
        return None
    sample = data[:_SAMPLE]
    control = len(sample) - len(sample.translate(None, _CONTROL))
    return f"{control} control bytes in the first {len(sample)}" if control > _MAX_CONTROL_SHARE * len(sample) else None
