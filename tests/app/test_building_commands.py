"""``fitting-room build``: documents in, rows out, with all candidates and their reasons beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.building_commands import build_file
from dataset_tools import DocumentsError, UsageError, load_examples

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def documents(tmp_path: Path, kettle: str) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kettle.md").write_text(kettle, "utf-8")
    (folder / "oven.md").write_text(kettle.replace("kettle", "oven"), "utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    return folder


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def test_what_passes_is_written_as_rows_and_all_candidates_with_their_reasons(
    documents: Path, tmp_path: Path, reciting_model: Path
) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "rows.jsonl"
    result = build_file(documents, out, model=str(reciting_model), progress=lambda done, of: steps.append((done, of)))
    assert (result["documents"], result["passages"], result["of"], steps) == (2, 2, 2, [(2, 2)])
    assert [Path(str(failure["file"])).name for failure in result["failures"]] == ["broken.pdf"]
    assert result["skipped"] == ["photo.png"]
    assert (result["rows"], result["candidates"]) == (1, 6)
    (row,) = load_examples(out).examples
    assert (row.question, row.group) == ("How long is the warranty of the Larkfen kettle?", "kettle.md")
    candidates = lines(result["candidates_file"])
    assert [candidate["status"] for candidate in candidates].count("kept") == 1
    assert candidates[1]["reasons"][0].startswith("unsupported")
    assert "warranty of two years" in candidates[0]["passage"]
    assert "5 of 6 candidates" in result["summary"]
    assert sum(result["rejected"].values()) == 5


def test_the_limit_and_the_form_are_kept(documents: Path, tmp_path: Path, reciting_model: Path) -> None:
    out = tmp_path / "rows.jsonl"
    result = build_file(documents, out, model=str(reciting_model), to="prompt_completion", limit=1, seed=1)
    assert (result["passages"], result["of"], result["candidates"]) == (1, 1, 3)
    assert all({"prompt", "completion"} <= set(row) for row in lines(result["file"]))


@pytest.mark.parametrize("wrong", [{"to": "yaml"}, {"questions": 0}, {"limit": 0}])
def test_a_wrong_option_is_refused_before_anything_is_written(
    documents: Path, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        build_file(documents, tmp_path / "rows.jsonl", **wrong)
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_folder_is_no_place_to_write_to_and_missing_documents_are_told(documents: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        build_file(documents, tmp_path)
    with pytest.raises(UsageError, match="no such document"):
        build_file(tmp_path / "missing", tmp_path / "rows.jsonl")
    (documents / "kettle.md").unlink()
    (documents / "oven.md").unlink()
    with pytest.raises(DocumentsError, match="no document could be read"):
        build_file(documents, tmp_path / "rows.jsonl")


def test_progress_and_files_are_there_after_each_batch(tmp_path: Path, kettle: str, reciting_model: Path) -> None:
    folder, out = tmp_path / "many", tmp_path / "rows.jsonl"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.md").write_text(kettle.replace("Larkfen", f"Larkfen{number}"), "utf-8")
    seen: list[int] = []
    written = str(tmp_path / "rows.candidates.jsonl")
    build_file(folder, out, model=str(reciting_model), progress=lambda done, of: seen.append(len(lines(written))))
    assert seen == [24, 30]
