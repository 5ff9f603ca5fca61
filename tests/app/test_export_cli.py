"""``fitting-room export``: what it prints and where, and the exit codes that scripts rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from advisor.human import VoteStore
from app import export_cli
from tests.advisor.human_support import session, votes_for
from tests.training.export_support import tiny_run
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def export() -> Callable[..., Any]:
    """Call the command in this process."""
    cli = typer.Typer()
    cli.command()(export_cli.export)
    return lambda *words, **options: CliRunner().invoke(cli, [str(word) for word in words], **options)


@pytest.fixture
def run(tiny_model: Path, fitting_room_home: Path) -> RunFolder:
    runs_folder().mkdir(parents=True, exist_ok=True)
    return tiny_run(runs_folder() / "20260101-000000-abcdef", tiny_model)


def test_a_run_is_exported_by_its_id_and_described_in_one_document(
    export: Callable[..., Any], run: RunFolder, fitting_room_home: Path
) -> None:
    result = export(run.path.name, "--rows", 2, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {"kind", "run", "folder", "bytes", "files", "quantization", "proof", "notes", "pushed"} <= set(told)
    assert (told["kind"], told["run"], told["pushed"]) == ("adapter", run.path.name, None)
    assert Path(told["folder"]) == fitting_room_home / "exports" / f"{run.path.name}-adapter"
    assert told["proof"]["scores"]["adapter"] == told["proof"]["scores"]["artefact"]
    assert told["files"] == {path.name: path.stat().st_size for path in Path(told["folder"]).iterdir()}
    assert f"Exporting {run.path.name}" in result.stderr


def test_an_export_is_told_to_people_too(export: Callable[..., Any], run: RunFolder, tmp_path: Path) -> None:
    result = export(run.path, "--to", "gguf", "--quantization", "f16", "--out", tmp_path / "out", "--rows", 1)
    assert result.exit_code == 0 and (tmp_path / "out" / "out.F16.gguf").is_file()
    assert result.stdout.startswith("Proven gguf") and f"Export: {tmp_path / 'out'}" in result.stdout
    assert "score" in result.stdout and "chat template" in result.stdout


@pytest.mark.parametrize("name", ["../20260101-000000-abcdef", "no-such-run", "", "/etc", "runs/../../x", "a\0b"])
def test_what_is_no_run_is_wrong_use(name: str, export: Callable[..., Any], run: RunFolder) -> None:
    result = export(name, "--json")
    assert result.exit_code == 2 and "error" in json.loads(result.stdout)
    assert "Traceback" not in result.stderr


def test_wrong_options_are_wrong_use(export: Callable[..., Any], run: RunFolder, tmp_path: Path) -> None:
    for words in (
        ("--to", "onnx"),
        ("--to", "gguf", "--quantization", "q2"),
        ("--rows", "0"),
        ("--push", "no name"),
        ("--comparison", tmp_path / "nothing"),
        ("--out", tmp_path),
    ):
        (tmp_path / "mine.txt").write_text("mine")
        result = export(run.path.name, *words)
        assert result.exit_code == 2, words
        assert "Error:" in result.stderr and "Traceback" not in result.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_run_without_an_adapter_is_an_error_of_the_run(export: Callable[..., Any], run: RunFolder) -> None:
    run.update(state="failed")
    result = export(run.path.name, "--json")
    told = json.loads(result.stdout)["error"]
    assert (result.exit_code, told["kind"]) == (1, "ExportError")


def test_nothing_is_exported_for_a_push_that_cannot_be(
    export: Callable[..., Any], run: RunFolder, fitting_room_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    result = export(run.path.name, "--push", "org/name")
    assert result.exit_code == 2 and "HF_TOKEN" in result.stderr
    assert not (fitting_room_home / "exports").exists()


def test_a_hub_out_of_reach_leaves_the_export_and_says_so(
    export: Callable[..., Any], run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary0123456789")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    result = export(run.path.name, "--rows", 1, "--out", tmp_path / "out", "--push", "org/name", "--json")
    told = json.loads(result.stdout)["error"]
    assert (result.exit_code, told["kind"]) == (1, "ExportError") and (tmp_path / "out" / "export.json").is_file()
    assert "cannot be reached" in told["what"] and str(tmp_path / "out") in told["next_step"]
    assert "hf_canary" not in result.stdout + result.stderr


def test_a_comparisons_scores_reach_the_card(export: Callable[..., Any], run: RunFolder, tmp_path: Path) -> None:
    arms = [{"title": "Zero-shot", "score": 0.25, "interval": [0.1, 0.4], "skipped": None}]
    (tmp_path / "result.json").write_text(json.dumps({"task": {"metric": "label-match"}, "arms": arms}))
    assert export(run.path, "--rows", 1, "--out", tmp_path / "out", "--comparison", tmp_path).exit_code == 0
    assert "| Zero-shot | 25.0 | 10.0 to 40.0 |" in (tmp_path / "out" / "README.md").read_text()


def test_what_people_said_of_a_run_reaches_its_card(export: Callable[..., Any], run: RunFolder, tmp_path: Path) -> None:
    made = session(6, arms=(run.path.name, "base"))
    with VoteStore.open() as store:
        store.add(made, votes_for([1, 1, 1, 0, 1, 1], a=run.path.name, b="base"))
        store.end(made.id)
    assert export(run.path, "--rows", 1, "--out", tmp_path / "out").exit_code == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "## What people said" in card and "this model was preferred to base in 100% of 5 decisive votes" in card
