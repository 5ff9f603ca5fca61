"""Compressed files: unpacked once into a temporary file, up to a cap. What is inside is not looked at."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from dataset_tools.reading.opening import UnreadableError

MAX_UNPACKED = 20 * 2**30  # bytes; a "zip bomb" of a few KB would fill the disk otherwise
_CHUNK = 2**20
_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def codec_of(head: bytes) -> str | None:
    """The compression of a file that starts like this, if it is one that can be read."""
    return next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)


class Unpacked:
    """The unpacked bytes of an archive, in a temporary file that goes away with the object."""

    def __init__(self) -> None:
        handle, name = tempfile.mkstemp(prefix="fitting-room-")
        os.close(handle)
        self.path = Path(name)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()


def unpack(path: Path, codec: str) -> Unpacked:
    """Unpack an archive of one file.

    Raises:
        UnreadableError: The archive is broken, or holds more than the cap.
    """
    import pyarrow

    unpacked = Unpacked()
    size = 0
    try:
        with pyarrow.input_stream(str(path), compression=codec) as packed, unpacked.path.open("wb") as file:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > MAX_UNPACKED:
                    raise _refusal(
                        "too-large", path, f"more than {MAX_UNPACKED:,} bytes once unpacked", "split the file"
                    )
                file.write(chunk)
    except OSError as error:
        if error.errno is not None:
            raise
        raise _refusal("binary-file", path, f"a {codec} archive that is broken: {error}", "pack it again") from error
    return unpacked


def _refusal(check: str, path: Path, found: str, next_step: str) -> UnreadableError:
    return UnreadableError(check, "the archive cannot be read", path=path, found=found, next_step=next_step)
