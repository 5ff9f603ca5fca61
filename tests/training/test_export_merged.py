"""A merged model: it answers as the adapter does, it is made from 16-bit weights, and everybody can load it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.example import Message
from dataset_tools.rendering import render_prompts
from tests.training.export_support import HELD_OUT, job_for, tiny_run
from training.export import ExportError, export
from training.export.loading import load_as_trained, load_on_16_bit
from training.export.merged import check_mergeable, merge, save_merged
from training.export.reloading import prove_merged
from training.export.settings_check import check_weights
from training.export.source import read_source
from training.generation import generate
from training.models.loading import load_model, load_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("method", ["lora", "dora", "rslora", "ia3"])
def test_in_float32_the_merged_model_gives_the_adapters_answers(method: str, tiny_model: Path, tmp_path: Path) -> None:
    source = read_source(tiny_run(tmp_path / "run", tiny_model, method=method), 4)
    loaded = load_as_trained(source)
    wanted = generate(loaded.model, loaded.tokenizer, HELD_OUT, max_new_tokens=12)
    with loaded.model.disable_adapter():
        bases = generate(loaded.model, loaded.tokenizer, HELD_OUT, max_new_tokens=12)
    assert wanted != bases, "the adapter must do something"
    merged = merge(loaded, dtype="float32")
    assert not hasattr(merged, "peft_config")
    assert generate(merged, loaded.tokenizer, HELD_OUT, max_new_tokens=12) == wanted


def test_a_run_in_4_bits_is_merged_into_the_16_bit_base(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import load_peft_weights

    published = tmp_path / "published"
    loaded = load_model(str(tiny_model), dtype="bfloat16")
    save_merged(loaded.model, loaded.tokenizer, published, stops=[2])
    run = tiny_run(tmp_path / "run", published, method="qlora")
    merged = merge(load_on_16_bit(read_source(run, 4)), dtype="bfloat16").state_dict()
    base = load_model(str(published), dtype="bfloat16").model.state_dict()
    rounded = load_model(str(published), dtype="bfloat16", four_bit=True).model.dequantize().state_dict()
    parts = load_peft_weights(str(run.adapter))
    changed = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in parts}
    assert changed and set(merged) == set(base)
    for name, weight in base.items():
        place = name.removesuffix(".weight")
        if place not in changed:
            assert torch.equal(merged[name], weight), name
            continue
        first, second = (parts[f"base_model.model.{place}.lora_{part}.weight"].float() for part in "AB")
        exact = weight.float() + 2.0 * second @ first  # alpha / rank
        assert torch.equal(merged[name], exact.to(torch.bfloat16)), name
        of_4_bits = rounded[name].float() + 2.0 * second @ first
        assert (merged[name].float() - of_4_bits).abs().max() > 0.01, "else this test could not tell the two"


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_what_is_no_change_of_weights_is_refused_with_the_reason(method: str, tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model, method=method)
    with pytest.raises(ExportError, match=r"cannot be merged(.|\n)*--to adapter"):
        check_mergeable(read_source(run, 4))
    for kind in ("merged", "gguf"):
        with pytest.raises(ExportError, match="cannot be merged"):
            export(run, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert export(run, "adapter", tmp_path / "out", rows=2).proof.against_adapter.same_answers == 1.0


def test_a_broken_adapter_is_told_by_its_weights(tiny_model: Path, tmp_path: Path) -> None:
    source = read_source(tiny_run(tmp_path / "run", tiny_model, scale=float("nan")), 4)
    with pytest.raises(ExportError, match="no finite numbers"):
        merge(load_on_16_bit(source), dtype="bfloat16")


def test_a_merged_export_is_whole_plain_and_proven(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    phases: list[str] = []
    run = tiny_run(tmp_path / "run", tiny_model)
    report = export(run, "merged", tmp_path / "out", rows=3, tell=phases.append)
    files = {path.name for path in report.folder.iterdir()}
    assert files >= {"config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja", "README.md"}
    assert files >= {"model.safetensors", "recipe.yaml", "export.json"} and not any(".bin" in name for name in files)
    assert report.files.keys() == files and report.bytes == sum(path.stat().st_size for path in report.folder.iterdir())
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in report.folder.iterdir()), "for others to read"
    assert report.proof.rows == 3 and report.proof.held_out
    assert report.proof.against_16_bit is not None and report.proof.against_16_bit.divergence < 0.001
    assert phases[0].startswith("loading") and phases[-1] == "moving it into place"
    model = AutoModelForCausalLM.from_pretrained(report.folder, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(report.folder, trust_remote_code=False)
    assert str(model.dtype) == "torch.bfloat16" and model.generation_config.eos_token_id == [tokenizer.eos_token_id]
    assert tokenizer.chat_template == load_tokenizer(str(tiny_model)).chat_template
    text = "".join((report.folder / name).read_text() for name in ("config.json", "recipe.yaml", "README.md"))
    assert str(tmp_path) not in text and str(tiny_model) not in text


def test_older_readers_find_the_rotary_base_and_nothing_that_names_code(tiny_model: Path, tmp_path: Path) -> None:
    loaded = load_model(str(tiny_model), dtype="float32")
    loaded.model.config.rope_parameters["rope_theta"] = 123_000.0
    loaded.model.config.auto_map = {"AutoConfig": "somebody/else--evil.Config"}
    save_merged(loaded.model, loaded.tokenizer, tmp_path / "out", stops=[2])
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["rope_theta"], config["torch_dtype"]) == (123_000.0, "float32")
    assert "auto_map" not in config and "_name_or_path" not in config
    tokenizer = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert tokenizer["model_input_names"] == ["input_ids", "attention_mask"]
    assert load_model(str(tmp_path / "out")).model.config.rope_parameters["rope_theta"] == 123_000.0


def test_a_fully_trained_model_passes_through(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model, method="full", scale=0.01)
    report = export(run, "merged", tmp_path / "out", rows=2)
    assert report.proof.against_adapter.divergence < 0.001
    with pytest.raises(ExportError, match="--to merged"):
        export(run, "adapter", tmp_path / "other")


@pytest.fixture
def proven(tiny_model: Path, tmp_path: Path) -> Any:
    """A merged model that would be proven as it is."""
    job = job_for(tiny_run(tmp_path / "run", tiny_model), tmp_path / "merged")
    model = merge(load_on_16_bit(job.source, tokenizer=job.tokenizer), dtype="bfloat16")
    save_merged(model, job.tokenizer, job.folder, stops=job.stops)
    return job, model


def test_a_file_that_was_damaged_after_writing_fails(proven: Any) -> None:
    job, model = proven
    assert "bit for bit" in check_weights(job.folder, model) and prove_merged(job, []).rows == len(HELD_OUT)
    file = job.folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1000] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(ExportError, match="not the merged model's"):
        check_weights(job.folder, model)


def test_flipped_weights_fail_the_proof(proven: Any) -> None:
    job, model = proven
    for name, weight in model.named_parameters():
        if name.endswith("layers.1.mlp.down_proj.weight"):
            weight.data = -weight.data
    save_merged(model, job.tokenizer, job.folder, stops=job.stops)
    with pytest.raises(ExportError, match="finds other tokens likely"):
        prove_merged(job, [])


@pytest.mark.parametrize("stops", [[0], [], None], ids=["another", "none", "one too many"])
def test_a_lost_stop_token_fails_the_proof(proven: Any, stops: list[int] | None) -> None:
    job, _ = proven
    file = job.folder / "generation_config.json"
    values = json.loads(file.read_text())
    values["eos_token_id"] = [*values["eos_token_id"], 77] if stops is None else stops
    file.write_text(json.dumps(values))
    with pytest.raises(ExportError, match="does not stop where"):
        prove_merged(job, [])


def test_a_changed_template_fails_the_proof(proven: Any) -> None:
    job, _ = proven
    file = job.folder / "chat_template.jinja"
    file.write_text(file.read_text().replace("assistant", "Assistant"))
    with pytest.raises(ExportError, match="chat template in the export"):
        prove_merged(job, [])


def test_a_tokenizer_that_cuts_otherwise_fails_the_proof(proven: Any) -> None:
    job, _ = proven
    file = job.folder / "tokenizer.json"
    values = json.loads(file.read_text())
    values["model"]["merges"] = values["model"]["merges"][:10]
    file.write_text(json.dumps(values))
    assert render_prompts([[Message("user", "what")]], job.tokenizer)
    with pytest.raises(ExportError, match="other tokens"):
        prove_merged(job, [])
