"""Large files of every container are mended as small ones are, without being held whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from dataset_tools.fixes import KINDS, apply_fixes, plan_fixes, undo
from dataset_tools.fixes.segments import Segment, segments
from dataset_tools.lint import lint
from dataset_tools.reading import Problem, Reading, array_stream, open_rows, reader

Write = Callable[..., Path]
ROWS = [{"prompt": f"question {n}", "completion": "" if n == 50 else f"answer {n % 90}, é"} for n in range(200)]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]
CELLS = [f'question {n},"answer\n{n}"{",x" * (n in (3, 4, 90, 199))}\n' for n in range(200)]
CSV = "prompt,completion\n" + "".join(CELLS)
BROKEN = [*LINES[:120], '{"prompt": "a", "completion": "b",}', *LINES[120:150], '{"prompt": "cut', *LINES[150:]]
TEXTS: dict[str, bytes] = {
    "array.json": f"[{', '.join(LINES)}]".encode(),
    "broken.json": ("[\n" + ",\n".join(BROKEN) + "\n]").encode(),
    "trailing.json": ("[\n" + ",\n".join(LINES) + ",\n]").encode(),
    "joined.json": "".join(LINES).encode(),
    "joined-broken.json": "\n".join(map("".join, zip(BROKEN[::2], BROKEN[1::2], strict=True))).encode(),
    "table.csv": CSV.encode(),
    "wide.csv": CSV.encode("utf-16"),
    "wide.jsonl": "\r\n".join([*LINES, LINES[0] + ","]).encode("utf-16-le"),
    "wide.json": f"[{', '.join(LINES)}]\n".encode("utf-32"),
    "one-line.json": f"[{', '.join(LINES)}]".encode("utf-16"),
}  # fmt: skip


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on every file is a large one, read in steps that cut its rows."""

    def start() -> None:
        monkeypatch.setattr(reader, "HELD_BYTES", 100)
        monkeypatch.setattr(array_stream, "_CHUNK", 211)

    return start


def _report(path: Path) -> dict[str, object]:
    """The report; findings as frequent as each other stand in the order in which they are met."""
    report = lint(path).to_dict()
    return {**report, "findings": sorted(report["findings"], key=lambda finding: str(finding["check"]))}


def _segments(path: Path) -> tuple[list[Segment], list[str]]:
    problems: list[Problem] = []
    found = list(segments(open_rows(path), problems.append))
    return found, sorted(problem.check for problem in problems)


@pytest.mark.parametrize("name", TEXTS)
def test_a_large_file_is_cut_mended_and_checked_as_a_small_one_is(
    write: Write, small_steps: Callable[[], None], name: str
) -> None:
    path = write(TEXTS[name], name)
    held, held_plan, held_report = _segments(path), plan_fixes(path).to_dict(), _report(path)
    fixed = apply_fixes(path, fixes=sorted(KINDS)).target.read_bytes()
    small_steps()
    assert _segments(path) == held
    assert plan_fixes(path).to_dict() == held_plan
    assert _report(path) == held_report
    result = apply_fixes(path, fixes=sorted(KINDS))
    assert result.target.read_bytes() == fixed
    assert undo(result.target).exact == (name == "wide.jsonl")


@pytest.mark.parametrize(("name", "container"), [("joined.json", "concatenated-json"), ("wide.csv", "csv")])
def test_no_more_than_a_few_rows_are_read_before_the_first_is_given(
    write: Write, small_steps: Callable[[], None], monkeypatch: pytest.MonkeyPatch, name: str, container: str
) -> None:
    path = write(TEXTS[name], name)
    small_steps()
    stream = open_rows(path)
    assert stream.container == container
    monkeypatch.setattr(reader, "read_whole", lambda *_: pytest.fail("it was read whole"))
    assert next(segments(stream, lambda problem: None)).record == 1


def test_an_encoding_that_is_named_is_read_in_steps_and_refused_where_it_does_not_fit(
    write: Write, small_steps: Callable[[], None]
) -> None:
    path = write("\n".join(LINES).encode("cp1252"), "rows.jsonl")
    reading = Reading(encoding="cp1252")
    held = list(open_rows(path, reading).read(lambda problem: None))
    small_steps()
    stream = open_rows(path, reading)
    assert (stream.encoding, stream.recoded is not None) == ("cp1252", True)
    assert list(stream.read(lambda problem: None)) == held
    with pytest.raises(Exception, match="not in this encoding"):
        open_rows(path, Reading(encoding="ascii"))


def test_a_text_in_utf_16_that_breaks_off_is_named_as_no_text(write: Write, small_steps: Callable[[], None]) -> None:
    small_steps()
    with pytest.raises(Exception, match="no known encoding"):
        open_rows(write("\n".join(LINES).encode("utf-16") + b"\x00", "rows.jsonl"))


def test_what_was_unpacked_goes_away_with_the_rows(
    write: Write, small_steps: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    book = openpyxl.Workbook()
    assert book.active is not None
    for cells in (["prompt", "completion"], *([f"q {n}", "a"] for n in range(30))):
        book.active.append(cells)
    book.save(tmp_path / "rows.xlsx")
    small_steps()
    for path in (tmp_path / "rows.xlsx", write(TEXTS["wide.jsonl"], "wide.jsonl")):
        stream = open_rows(path)
        assert len(list(folder.iterdir())) == 1
        assert list(stream.read(lambda problem: None)) == list(stream.read(lambda problem: None)) != []
        del stream
        assert list(folder.iterdir()) == []
