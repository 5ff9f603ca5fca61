"""JSON lines: one value a line. A line that cannot be read loses no other."""

from __future__ import annotations

from dataset_tools.reading.json_values import JsonProblem, duplicate_keys, parse_value
from dataset_tools.reading.source import Parsed, Problem, Row

MAX_LINE_BYTES = 32 * 2**20
_MAX_SPREAD = 200  # lines that one pretty-printed object may take


def read_json_lines(data: bytes) -> Parsed:
    """Read UTF-8 bytes line by line; only a line feed ends a line, so U+2028 in a string is safe."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return _LineReader(data).read()


class _LineReader:
    """Steps through the bytes by offset, without a copy of them all: fresh memory costs more than parsing."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._rows: list[Row] = []
        self._problems: list[Problem] = []
        self._records = 0
        self._line = 0

    def read(self) -> Parsed:
        at, size = 0, len(self._data)
        blanks: list[int] = []
        while at < size:
            raw, at = self._line_at(at)
            self._line += 1
            if not raw or raw.isspace():
                blanks.append(self._line)
                continue
            self._problems += [Problem("blank-line", "a blank line", line) for line in blanks]
            blanks.clear()  # those left at the end of the file are no fault
            self._records += 1
            at = self._read_record(raw, at)
        return Parsed(self._rows, self._problems, self._records)

    def _line_at(self, at: int) -> tuple[bytes, int]:
        """The line that starts at an offset, and the offset of the next one."""
        end = self._data.find(b"\n", at)
        return (self._data[at:], len(self._data)) if end < 0 else (self._data[at:end], end + 1)

    def _read_record(self, raw: bytes, after: int) -> int:
        """Read the record in a line; return the offset where the next one can start."""
        if len(raw) > MAX_LINE_BYTES:
            self._note("line-too-long", f"{len(raw):,} bytes in one line, more than {MAX_LINE_BYTES:,}")
            return after
        try:
            value = parse_value(raw)
        except JsonProblem as problem:
            lines, end = self._spread(raw, after)
            if lines == 1:
                self._note(problem.check, str(problem))
            else:
                self._note("invalid-json", f"one value is spread over {lines} lines")
                self._line += lines - 1
            return end
        self._rows.append(Row(self._line, self._records, value))
        twice = duplicate_keys(raw, value)
        if twice:
            named = ", ".join(repr(key[:40]) for key in twice[:3])
            self._note("duplicate-keys", f"the key {named} comes twice; the last one counts")
        return after

    def _spread(self, raw: bytes, after: int) -> tuple[int, int]:
        """How many lines a pretty-printed object takes that starts with this broken line, and where it ends."""
        if not raw.lstrip().startswith(b"{") or raw.rstrip().endswith(b"}"):
            return 1, after
        gathered, at = [raw], after
        while len(gathered) < _MAX_SPREAD and at < len(self._data):
            line, at = self._line_at(at)
            if line.startswith(b"{"):  # the next record: this one was cut off
                break
            gathered.append(line)
            if line.rstrip(b", \r\t").endswith(b"}"):
                try:
                    parse_value(b"\n".join(gathered).rstrip(b", \r\t"))
                except JsonProblem:
                    continue
                return len(gathered), at
        return 1, after

    def _note(self, check: str, message: str) -> None:
        self._problems.append(Problem(check, message, self._line, self._records))
