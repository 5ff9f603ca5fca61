"""The main job with the embedded model: examples in, one measured verdict out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.models.loading import check_adapter

EXAMPLE = Path(__file__).resolve().parents[1] / "advisor" / "examples" / "ticket_routing"


@pytest.mark.slow
def test_examples_in_one_measured_verdict_out(tmp_path: Path) -> None:
    """Codes that no model can know: bare questions get next to none right, worked examples many."""
    from app.command_line import cli

    files = [str(EXAMPLE / "train.jsonl"), "--test", str(EXAMPLE / "test.jsonl"), "--out", str(tmp_path / "out")]
    options = ["--arms", "zero-shot,few-shot,qlora", "--limit", "12", "--budget", "1.2", "--json"]
    ran = CliRunner().invoke(cli, ["compare", *files, *options])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    zero_shot, few_shot, tuned = result["arms"]
    assert [arm["name"] for arm in result["arms"]] == ["zero-shot", "few-shot", "qlora"]
    assert zero_shot["n"] == few_shot["n"] == 12
    assert few_shot["score"] > zero_shot["score"]
    if tuned["skipped"] is None:
        assert tuned["n"] == 12 and tuned["training"]["steps"] >= 1
        check_adapter(Path(tuned["training"]["adapter"]))
    else:  # a machine too slow to train within the budget says so
        assert "raise --budget" in tuned["skipped"]
    verdict = result["verdict"]
    assert verdict["kind"] in ("winner", "tie", "cheaper", "not_enough_evidence")
    assert verdict["arm"] in ("few-shot", "qlora")
    assert verdict["sentence"] in (tmp_path / "out" / "report.md").read_text("utf-8")
