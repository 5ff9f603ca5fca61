"""What the user says of a sheet or an encoding is done, in lint, fix and convert; what cannot be is refused by name."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from dataset_tools.conversion import convert
from dataset_tools.errors import UsageError
from dataset_tools.fixes import apply_fixes, plan_fixes, undo
from dataset_tools.lint import lint
from dataset_tools.reading import Reading, open_rows, read_source

Write = Callable[..., Path]
RUSSIAN = "Привет, как дела? Где находится библиотека?"
CYRILLIC = "".join(
    json.dumps({"prompt": f"{RUSSIAN} {n}", "completion": "Да"}, ensure_ascii=False) + "\n" for n in range(12)
)


def _book() -> bytes:
    book = openpyxl.Workbook()
    for title in ("Notes", "Rows of May"):
        sheet = book.create_sheet(title)
        sheet.append(["prompt", "completion"])
        for number in range(12):
            sheet.append([f"{title} {number}", "yes"])
    del book["Sheet"]
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_sheet_is_read_by_its_name_and_the_others_are_told_where_none_is_named(write: Write) -> None:
    path = write(_book(), "rows.xlsx")
    [problem] = read_source(path).problems
    assert "only 'Notes' was read, and not 'Rows of May'" in problem.message
    report = lint(path, reading=Reading(sheet=" rows of may"))
    assert report.rows == 12
    assert "other-sheets" not in {finding.check for finding in report.findings}
    fixed = apply_fixes(path, reading=Reading(sheet="Rows of May"))
    assert b"Rows of May 3" in fixed.target.read_bytes()
    made = convert(path, path.with_suffix(".jsonl"), to="messages", reading=Reading(sheet="Rows of May"))
    assert made.written == 12


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading(sheet="June"), "one of 'Notes', 'Rows of May'"),
        (Reading(encoding="utf-8"), "no encoding of text"),
    ],
)
def test_a_sheet_that_is_not_there_and_an_encoding_of_a_workbook_are_refused(
    write: Write, reading: Reading, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        lint(write(_book(), "rows.xlsx"), reading=reading)


@pytest.mark.parametrize("codec", ["koi8-r", "cp866", "utf-16-le", "utf-8"])
@pytest.mark.parametrize("packed", [False, True])
def test_text_is_read_in_the_encoding_that_is_named(write: Write, codec: str, packed: bool) -> None:
    data = CYRILLIC.encode(codec)
    path = write(gzip.compress(data) if packed else data, "rows.jsonl.gz" if packed else "rows.jsonl")
    reading = Reading(encoding=codec)
    rows = [value for _, _, value in open_rows(path, reading).read(lambda problem: None)]
    assert rows == [json.loads(line) for line in CYRILLIC.splitlines()]
    assert lint(path, reading=reading).usable == 12


def test_a_named_encoding_needs_no_second_consent_and_comes_back_by_an_undo(write: Write) -> None:
    path = write((CYRILLIC + "{'prompt': 'a', 'completion': 'b'}\n").encode("koi8-r"))
    reading = Reading(encoding="koi8-r")
    assert "encoding" not in plan_fixes(path, reading=reading).to_confirm
    fixed = apply_fixes(path, reading=reading)
    assert RUSSIAN in fixed.target.read_text("utf-8")
    assert undo(fixed.target).exact
    assert fixed.target.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("klingon", r"(?s)no such encoding.*klingon"), ("rot13", "no such encoding"), ("ascii", r"(?s):1.*0xD0.*ascii")],
)
def test_an_encoding_that_is_none_or_does_not_fit_is_refused(write: Write, encoding: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        lint(write(CYRILLIC), reading=Reading(encoding=encoding))


def test_a_sheet_of_what_is_no_workbook_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match="only workbooks have sheets"):
        lint(write(CYRILLIC), reading=Reading(sheet="a"))
