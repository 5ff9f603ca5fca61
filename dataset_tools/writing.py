"""Writing files so that a reader never sees half of one. What is written is up to the caller.

A file is written beside its target under a temporary name, flushed to the disk, and moved over the target in one
step; a crash leaves the old file as it was. An existing symbolic link is replaced by a file, never written through.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from dataset_tools.errors import DiskFullError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` when the block ends well, and else leaves no trace.

    Missing parent folders are made.

    Raises:
        DiskFullError: No space is left. The old file is untouched and nothing half-written stays behind.
        OSError: The folder cannot be written to.
    """
    with _disk_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), _mode_for(path))
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` by a file holding ``data``; it raises what `open_atomically` does."""
    with open_atomically(path) as file:
        file.write(data)


def write_text_atomically(path: Path, text: str) -> None:
    """The same for text: UTF-8, line ends as they are in ``text``, a lone surrogate as its ``u`` escape."""
    write_bytes_atomically(path, text.encode("utf-8", errors="backslashreplace"))


def write_jsonl(path: Path, rows: Iterable[object]) -> int:
    """Write ``rows`` as JSON lines, atomically, and return how many there were."""
    lines = [json_line(row) for row in rows]
    write_bytes_atomically(path, b"".join(lines))
    return len(lines)


def append_jsonl_line(path: Path, row: object) -> None:
    """Add one line to a log of JSON lines, in a single write that other readers see whole.

    A line that a crash left without its line end is closed first, so that only that line is lost.

    Raises:
        DiskFullError: No space is left.
    """
    with _disk_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + json_line(row)
            if os.write(handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)


def json_line(row: object) -> bytes:
    """One row as a line of JSON with its line end: UTF-8 as it is, escapes only where a lone surrogate needs them.

    Raises:
        ValueError: The row holds NaN or an infinity, which are not JSON.
    """
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(row, allow_nan=False).encode() + b"\n"


@contextlib.contextmanager
def _disk_full_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise DiskFullError(
            "the disk is full: there is no space left to write this file",
            where=str(path),
            expected="free space on that disk",
            next_step="free some space or choose another folder, then run the same command again",
        ) from error


def _mode_for(path: Path) -> int:
    """The permissions of the file that is replaced, else what a plain ``open`` would give."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
