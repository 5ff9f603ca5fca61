"""How JSON lines stand in a file beside their rows: its encoding, line ends and blank lines, for an undo to bring back.

Only what can be told from the text as the reader saw it is kept: a file of which some lines alone were in another
encoding, and what a packed file was packed with, do not come back.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from dataset_tools.errors import DataError
from dataset_tools.fixes.segments import text_of
from dataset_tools.reading import RowStream
from dataset_tools.reading.json_lines import split_lines

_MOST = 10_000  # blank lines, and lines with another end than most, that are kept
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a file of JSON lines.

    Attributes:
        encoding: The codec of the text, without the mark before it.
        mark: The byte order mark, in hexadecimal.
        crlf: Whether most lines end with CR LF.
        odd_ends: The lines that end the other way.
        blanks: The blank lines by their number, with what stands in them.
        ends: Whether the last line has an end.
    """

    encoding: str = "utf-8"
    mark: str = ""
    crlf: bool = False
    odd_ends: tuple[int, ...] = ()
    blanks: Mapping[int, str] = field(default_factory=dict)
    ends: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The form as JSON."""
        return {**asdict(self), "blanks": {str(line): text for line, text in self.blanks.items()}}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Form:
        """A form out of a log; where a log has none, that of plain JSON lines.

        Raises:
            DataError: It is damaged.
        """
        try:
            blanks = {int(line): str(text) for line, text in dict(value.get("blanks", {})).items()}
            odd = tuple(map(int, value.get("odd_ends", ())))
            encoding = codecs.lookup(str(value.get("encoding", "utf-8"))).name
            mark = bytes.fromhex(str(value.get("mark", ""))).hex()
        except (LookupError, TypeError, ValueError) as error:
            raise DataError("the log of fixes is damaged", found=str(error), next_step="take the source") from error
        return cls(encoding, mark, value.get("crlf") is True, odd, blanks, value.get("ends") is not False)


def form_of(stream: RowStream) -> Form | None:
    """The form of a file, in one more pass over its bytes; None for what is no JSON lines."""
    if stream.container != "jsonl":
        return None
    with stream.path.open("rb") as file:
        head = file.read(4)
    mark, encoding = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", stream.encoding))
    with text_of(stream) as text:
        size = text.seek(0, io.SEEK_END)
        text.seek(max(0, size - 1))
        ends = text.read(1) == b"\n"
    ended: tuple[list[int], list[int]] = ([], [])  # the lines that end with LF, and with CR LF
    blanks: dict[int, str] = {}
    counts = [0, 0]
    with text_of(stream) as text:
        for number, raw in enumerate(split_lines(text), 1):
            crlf = raw.endswith(b"\r")
            counts[crlf] += 1
            if len(ended[crlf]) <= _MOST:
                ended[crlf].append(number)
            if len(blanks) < _MOST and (not raw or raw.isspace()):
                blanks[number] = raw.removesuffix(b"\r").decode()
    usual = counts[True] > counts[False]
    odd = ended[not usual] if counts[not usual] <= _MOST else []
    return Form(encoding, mark.hex(), usual, tuple(odd), blanks, ends)


def write_in_form(records: Iterable[bytes], form: Form, file: BinaryIO) -> None:
    """Write the texts of records, in UTF-8 and without their line ends, as they stood in a file of that form."""
    file.write(bytes.fromhex(form.mark))
    odd = frozenset(form.odd_ends)
    plain = form.encoding == "utf-8"
    end = b""
    for number, line in enumerate(_with_blanks(records, form.blanks), 1):
        file.write(end if plain else end.decode().encode(form.encoding))
        file.write(line if plain else line.decode().encode(form.encoding, errors="replace"))
        end = b"\r\n" if form.crlf != (number in odd) else b"\n"
    if not form.ends:
        end = end.removesuffix(b"\n")
    file.write(end if plain else end.decode().encode(form.encoding))


def _with_blanks(records: Iterable[bytes], blanks: Mapping[int, str]) -> Iterator[bytes]:
    """The lines of the records, with the blank lines between and behind them."""
    number = 1
    for record in records:
        while number in blanks:
            yield blanks[number].encode()
            number += 1
        for line in record.split(b"\n"):
            yield line
            number += 1
    while number in blanks:
        yield blanks[number].encode()
        number += 1
