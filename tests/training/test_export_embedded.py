"""The embedded model, trained for a few steps, looked over, and exported for real: merged, and as GGUF."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Example
from training.export import export
from training.export.gguf import find_converter, write_gguf
from training.models import embedded
from training.models.loading import load_tokenizer
from training.recipe import Recipe
from training.runs.supervisor import start_training, watch

pytestmark = pytest.mark.slow
COLOURS = {"strawberry": "RED", "ocean": "BLUE", "grass": "GREEN", "cherry": "RED", "sky": "BLUE", "lime": "GREEN"}
SAYINGS = ("What is the colour of {}? Answer with one word.", "Name the colour of {}   3 times 12, in one word.")


def test_the_embedded_model_is_trained_looked_over_merged_written_as_gguf_and_proven(tmp_path: Path) -> None:
    rows = [Example.of(saying.format(thing), colour) for saying in SAYINGS for thing, colour in COLOURS.items()]
    knobs = {"batch_size": 4, "micro_batch_size": 4, "max_steps": 8, "learning_rate": 5e-4, "evaluations": 1}
    recipe = Recipe(embedded.NAME, dry_run=False, **knobs)
    run = start_training(recipe, rows[:8], validation=rows[8:], folder=tmp_path / "run")
    result = watch(run)
    assert result["steps"] == 8
    looks_well(result["health"])
    merged = export(run, "merged", tmp_path / "merged", rows=4)
    assert merged.proof.against_16_bit is not None
    assert merged.proof.against_16_bit.divergence < 0.01, "only rounding the weights to bfloat16 may differ"
    assert 250e6 < merged.bytes < 300e6
    gguf = export(run, "gguf", tmp_path / "desk", quantization="q8_0", rows=4)
    assert gguf.files["desk.Q8_0.gguf"] < 0.54 * merged.files["model.safetensors"]
    assert gguf.files.keys() >= {"Modelfile", "README.md"} and gguf.proof.rows == 4
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in (tmp_path / "desk" / "README.md").read_text()


def looks_well(card: dict[str, Any]) -> None:
    """The whole card of a model that was tuned a little, none of whose weights are lost."""
    findings = {finding["id"]: finding for finding in card["card"]}
    assert card["alive"] and findings["alive"]["light"] == "green"
    forgetting = findings["forgetting"]
    assert forgetting["light"] in ("green", "amber") and forgetting["figures"]["before"] < 5
    assert findings["gap"]["figures"]["train_gain"] > 0.1
    assert findings["memorised"]["light"] == "grey"
    assert findings["refusals"]["figures"]["asked"] == 40


@pytest.mark.skipif(find_converter() is None, reason="llama.cpp's converter is not installed")
@pytest.mark.parametrize("quantization", ["f16", "q8_0"])
def test_the_built_in_writer_writes_the_same_bytes_as_llama_cpps_converter(quantization: str, tmp_path: Path) -> None:
    import numpy as np
    from gguf import GGUFReader

    folder = embedded.language_model()
    own, other = tmp_path / "own.gguf", tmp_path / "other.gguf"
    tokenizer = load_tokenizer(embedded.NAME)
    write_gguf(folder, own, tokenizer=tokenizer, quantization=quantization, stops=[2], prompt="", title="a model")
    command = [*(find_converter() or []), str(folder), "--outfile", str(other), "--outtype", quantization]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    mine, theirs = ({tensor.name: tensor for tensor in GGUFReader(file).tensors} for file in (own, other))
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name].data, theirs[name].data) for name in mine)
    shutil.rmtree(tmp_path, ignore_errors=True)  # half a gigabyte that pytest would keep
