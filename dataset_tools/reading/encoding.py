"""Bytes -> text, without ever turning a letter into U+FFFD. Which rows the text holds is not known here."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dataset_tools.errors import UsageError
from dataset_tools.reading.opening import UnreadableError, looks_utf_16_or_32
from dataset_tools.reading.packed import Unpacked
from dataset_tools.reading.source import Problem

# Longest first: the mark of UTF-32 starts with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
_CHUNK = 2**20  # bytes re-coded at once
_SAMPLE = 200_000  # bytes shown to the guesser; it is slow, and more does not change its mind


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text as UTF-8 bytes without a byte order mark, what it was written in, and what had to be done."""

    utf8: bytes
    encoding: str
    problems: list[Problem]


def decode(data: bytes, path: Path, *, encoding: str | None = None) -> Decoded:
    """Find the encoding, or take the one that is given, and re-code to UTF-8.

    Raises:
        UsageError: The encoding that is given is none, or does not fit.
        UnreadableError: No encoding fits; the file is binary.
    """
    if encoding is not None:
        return _decode_as(data, path, encoding)
    if looks_utf_16_or_32(data):
        return _decode_wide(data, path)
    problems = []
    if data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
        problems.append(Problem("bom", "the file starts with a byte order mark; it was left out"))
    try:
        if not data.isascii():
            data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _decode_legacy(data, path, first=error.start, problems=problems)
    return Decoded(data, "utf-8", problems)


def require_encoding(name: str) -> str:
    """The usual name of an encoding of text.

    Raises:
        UsageError: There is no such encoding.
    """
    try:
        "a".encode(name).decode(name)
        return codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            "there is no such encoding",
            found=repr(name),
            expected="one that Python knows: utf-8, utf-16, cp1252, latin-1, cp1251, shift_jis, gb18030 ...",
            next_step="check its name",
        ) from error


def _decode_as(data: bytes, path: Path, encoding: str) -> Decoded:
    name = require_encoding(encoding)
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            "the file is not in this encoding",
            where=f"{path}:{line}",
            found=f"byte 0x{data[error.start]:02X} at offset {error.start:,}, which is nothing in {name}",
            expected=f"text in {name}",
            next_step="name another encoding, or none to have it guessed",
        ) from error
    utf8 = text.removeprefix("\ufeff").encode("utf-8", errors="replace")
    return Decoded(utf8, name, recoded_problems(name, asked=True))


def recoded_problems(encoding: str, *, asked: bool) -> list[Problem]:
    """What is said of a text that was in another encoding than UTF-8, which the user named or its bytes tell."""
    if asked:
        return (
            [] if encoding == "utf-8" else [Problem("encoding", f"read as {encoding}, as was asked; it was re-coded")]
        )
    return [Problem("encoding", f"the file is {encoding}, not UTF-8; it was re-coded")]


def wide_encoding(data: bytes) -> str:
    """The name of a text's encoding that is some form of UTF-16 or UTF-32."""
    marked = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    return marked or ("utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be")


def recode(file: BinaryIO, encoding: str) -> Unpacked | None:
    """Write a text in UTF-8 into a temporary file, a piece at a time; None where it is not in this encoding.

    A text that has no line feed gives None as well: its carriage returns may end its lines.
    """
    recoded, is_first, has_lines = Unpacked(), True, False
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        file.seek(0)
        with recoded.path.open("wb") as written:
            while True:
                chunk = file.read(_CHUNK)
                text = decoder.decode(chunk, final=not chunk)
                if is_first and text:
                    text, is_first = text.removeprefix("\ufeff"), False
                has_lines = has_lines or "\n" in text
                written.write(text.encode("utf-8", errors="replace"))
                if not chunk:
                    return recoded if has_lines else None
    except (LookupError, UnicodeDecodeError):
        return None


def _decode_wide(data: bytes, path: Path) -> Decoded:
    encoding = wide_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _no_encoding_fits(path, f"{encoding} at first sight, but not at byte {error.start}") from error
    utf8 = text.encode("utf-8", errors="replace")  # a UTF-16 decoder gives no lone surrogates: nothing to replace
    return Decoded(utf8, encoding, recoded_problems(encoding, asked=False))


def _decode_legacy(data: bytes, path: Path, *, first: int, problems: list[Problem]) -> Decoded:
    """Re-code from a legacy code page: only the bad lines where most lines beyond ASCII are UTF-8, else all lines."""
    lines = data.split(b"\n")
    bad = [number for number, line in enumerate(lines) if not line.isascii() and not _is_utf8(line)]
    beyond_ascii = sum(not line.isascii() for line in lines)
    encoding = _guess(b"\n".join(lines[number] for number in bad), path)
    mixed = beyond_ascii > 2 * len(bad)
    try:
        if mixed:
            for number in bad:
                lines[number] = lines[number].decode(encoding).encode()
            utf8 = b"\n".join(lines)
        else:
            utf8 = data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise _no_encoding_fits(path, f"byte {error.start} is not {encoding}") from error
    column = first - data.rfind(b"\n", 0, first)
    what = "some lines are" if mixed else "the file is"
    message = (
        f"{what} not UTF-8: first at line {bad[0] + 1}, byte {column} (0x{data[first]:02X}, offset {first}); "
        f"read as {encoding}"
    )
    later = f"not UTF-8: read as {encoding}"
    found = [Problem("encoding", later if place else message, line=number + 1) for place, number in enumerate(bad)]
    return Decoded(utf8, "utf-8" if mixed else encoding, [*problems, *found])


def _guess(sample: bytes, path: Path) -> str:
    """The likeliest code page of some lines: the cleanest text, then the most like a language, then cp1252."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample[:_SAMPLE], cp_isolation=_LEGACY)
    best = min(matches, key=lambda match: (match.chaos, -match.coherence, match.encoding != "cp1252"), default=None)
    if best is not None:
        return best.encoding
    text = sample.decode("latin-1")  # takes every byte; cp1252 has five holes
    if sum(char.isalpha() or char.isspace() or char.isascii() for char in text) < 0.5 * len(text):
        raise _no_encoding_fits(path, "bytes that are text in no known encoding")
    return "latin-1"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _no_encoding_fits(path: Path, found: str) -> UnreadableError:
    return UnreadableError(
        "binary-file",
        "the file is binary, or in no known encoding",
        path=path,
        found=found,
        next_step="save it as UTF-8",
    )
