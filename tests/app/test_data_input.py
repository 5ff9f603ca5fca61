"""The data commands with rows from stdin, of a sheet that is named, or in an encoding that is named."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from app.command_line import cli

LINES = [
    json.dumps({"prompt": f"Wie heißt Nummer {n}?", "completion": f"Größe {n}"}, ensure_ascii=False) for n in range(12)
]
ROWS = "".join(line + "\n" for line in LINES)


def test_rows_come_from_stdin_for_lint_convert_and_fix(tmp_path: Path) -> None:
    def call(*words: object, given: str = ROWS) -> tuple[int, str]:
        done = CliRunner().invoke(cli, [str(word) for word in words], input=given.encode())
        return done.exit_code, done.stdout

    code, out = call("lint", "-", "--checks", "structure", "--json")
    report = json.loads(out)
    assert (code, report["file"], report["rows"]) == (0, "-", 12)
    assert "fitting-room fix" not in call("lint", "-", "--checks", "structure", given=f"\n{ROWS}")[1]
    assert call("convert", "-", tmp_path / "out.csv", "--to", "prompt_completion")[0] == 0
    assert "Größe 3" in (tmp_path / "out.csv").read_text("utf-8")
    code, out = call("fix", "-", "--safe", "--out", tmp_path / "fixed.jsonl", "--json", given=f"\ufeff{ROWS}")
    assert (code, json.loads(out)["source"], json.loads(out)["counts"]) == (0, "-", {"bom": 1})
    assert (tmp_path / "fixed.jsonl").read_text("utf-8") == ROWS
    code, out = call("fix", "-", "--json", given=f"{ROWS}\n{LINES[0]},\n")
    assert {fix["id"] for fix in json.loads(out)["fixes"]} >= {"invalid-json:comma-after-row", "blank-line"}
    assert call("fix", "-", "--safe")[0] == 2


def test_a_sheet_and_an_encoding_are_options_of_the_commands(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.create_sheet("More")
    sheet.append(["prompt", "completion"])
    for number in range(12):
        sheet.append([f"question {number}", "yes"])
    book.save(tmp_path / "rows.xlsx")
    wrong = tmp_path / "rows.jsonl"
    wrong.write_bytes(ROWS.encode("cp1252"))

    def lint(*words: object) -> int:
        done = CliRunner().invoke(cli, ["lint", *map(str, words), "--checks", "structure", "--json"])
        return int(json.loads(done.stdout)["rows"])

    assert lint(tmp_path / "rows.xlsx", "--sheet", "more") == 12
    assert lint(wrong, "--encoding", "latin-1") == 12


@pytest.mark.parametrize("words", [["--sheet", "x"], ["--encoding", "klingon"]])
def test_what_cannot_be_read_so_is_wrong_use(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(ROWS, encoding="utf-8")
    assert CliRunner().invoke(cli, ["lint", str(path), "--checks", "structure", *words]).exit_code == 2


def test_an_undo_says_whether_the_source_is_back_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(f"\ufeff{ROWS}\n{LINES[0]},".replace("\n", "\r\n").encode())
    assert CliRunner().invoke(cli, ["fix", str(path), "--safe"]).exit_code == 0
    fixed = tmp_path / "rows.fixed.jsonl"
    done = CliRunner().invoke(cli, ["fix", str(fixed), "--undo"])
    assert "byte for byte the source" in done.stdout
    assert fixed.read_bytes() == path.read_bytes()


def test_what_came_of_documents_names_what_was_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    from app.data_commands import print_built

    failure = {"file": "a.pdf", "what": "this PDF is locked", "found": None}
    said = {"file": "out.jsonl", "rows": 0, "summary": "all rejected", "candidates": 3, "candidates_file": "c.jsonl"}
    print_built({**said, "passages": 3, "of": 9, "failures": [failure], "skipped": ["b.xyz"]})
    out = capsys.readouterr().out
    assert "not read: a.pdf, this PDF is locked" in out
    assert "3 of 9 passages" in out and "b.xyz" in out and "--model" in out


def test_a_split_says_how_many_labels_each_set_has(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"question {n} of many", "completion": "yes" if n % 3 else "no"} for n in range(120)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(cli, ["split", str(path), "--out", str(tmp_path / "out")])
    assert "2 labels: each set has rows of all" in done.stdout
