"""The model card says what the evidence says, and what was not measured; nothing of this machine is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.training.export_support import HEALTH, tiny_run
from training.export import Fidelity, Proof, Scores, export
from training.export.card import evidence, model_card
from training.export.report import ExportReport
from training.export.serving import model_name, serve_adapter, serve_gguf, serve_merged
from training.export.source import data_hash, describe_base, read_source

pytestmark = pytest.mark.usefixtures("one_thread")
COMPARISON = {
    "task": {"metric": "json-field-f1", "rows": {"test": 60}},
    "arms": [
        {"title": "Zero-shot", "score": 0.5, "interval": [0.4, 0.61], "skipped": None},
        {"title": "QLoRA | tuned", "score": 0.83, "interval": [0.7, 0.9], "skipped": None},
        {"title": "RAG", "skipped": "no documents"},
    ],
}
CARD = [{"id": "gap", "light": "red", "title": "Gap", "value": 0.4, "reason": "it learnt by heart", "knob": "epochs"}]


def _proof(**more: Any) -> Proof:
    found = Fidelity(next_token=0.975, divergence=0.0042, tokens=40, same_answers=0.75, common_prefix=0.9)
    given: dict[str, Any] = {"scores": None, "checks": ("all is well",), "against_16_bit": None, **more}
    return Proof("transformers", 6, True, found, **given)


def _card(run: Any, kind: str = "merged", *, comparison: Any = None, **more: Any) -> str:
    report = ExportReport(kind, run.path.name, Path("out"), {"model.safetensors": 2_500_000}, _proof(**more))
    return model_card(read_source(run, 6), report, name="desk", serving="SERVE", comparison=comparison)


def _header(card: str) -> dict[str, Any]:
    values = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(values, dict)
    return values


def test_the_card_holds_the_runs_facts(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model, learning_rate=2e-4)
    card = _card(run)
    for fact in (data_hash(run.path / "train.jsonl"), data_hash(run.path / "validation.jsonl")):
        assert fact in card
    for fact in ("`tiny`", "lora, sft", "0.0002, linear", "1.25, 1.5", "2.5 MB", "97.5%", "0.0042", "75%", "SERVE"):
        assert fact in card, fact
    assert "changes the base's answers" in card and f"{HEALTH['stop_rate']:.0%} of held-out answers end" in card
    assert "- all is well" in card and "answered 6 rows kept from training" in card
    assert str(tmp_path) not in card and str(tiny_model.parent) not in card


def test_what_was_not_measured_is_said_to_be_so(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    card = _card(run)
    assert "Not measured: no comparison and no metric was given." in card
    assert "not stated; look it up" in card and "license" not in _header(card)
    assert "How it compares with prompting the base was not measured." in card
    assert "Forgetting, memorised training text and changes in refusals were not measured." in card
    run.update(result={})
    bare = _card(run)
    assert "## Health after training\n\nNot measured." in bare and "| Steps | not measured |" in bare


def test_scores_stand_there_with_their_intervals(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model)
    run.update(result={"health": {**HEALTH, "card": CARD}})
    card = _card(run, comparison=COMPARISON, scores=Scores(0.8, 0.75, (-0.12, 0.04)))
    assert "| Zero-shot | 50.0 | 40.0 to 61.0 |" in card and "| QLoRA \\| tuned | 83.0 | 70.0 to 90.0 |" in card
    assert "json-field-f1 in points, 60 test rows" in card and "| RAG" not in card
    assert "75.0 points, the adapter as it was trained 80.0; difference -12.0 to +4.0" in card
    assert "| Gap | RED | 0.4 | it learnt by heart |" in card
    assert "was not measured" not in card.split("## Limits")[1]


@pytest.mark.parametrize(("kind", "library"), [("adapter", "peft"), ("merged", "transformers"), ("gguf", "gguf")])
def test_the_header_is_what_the_hub_reads(kind: str, library: str, tiny_model: Path, tmp_path: Path) -> None:
    header = _header(_card(tiny_run(tmp_path / "run", tiny_model), kind))
    assert header["library_name"] == library and header["tags"] == ["fitting-room", "lora", "sft"]
    assert "base_model" not in header, "a folder's name is no id of the hub"


def test_the_licence_is_the_one_that_the_bases_card_states(tmp_path: Path) -> None:
    folder = tmp_path / "some-base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for text, licence in (
        ("---\nlicense: mit\n---\nText", "mit"),
        ("---\nlicense: [a]\n---\n", None),
        ("---\n: : :\n---\n", None),
        ("license: mit", None),
    ):
        (folder / "README.md").write_text(text)
        base = describe_base(str(folder))
        assert (base.title, base.on_hub, base.licence) == ("some-base", False, licence)
    embedded = describe_base("embedded")
    assert (embedded.title, embedded.licence) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0")
    assert embedded.note and "4 bits" in embedded.note
    assert describe_base("org/model").licence is None


def test_an_export_carries_its_evidence_for_machines_and_no_path_of_this_one(tiny_model: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", tiny_model, start_from=None)
    report = export(run, "adapter", tmp_path / "out", rows=2)
    values = json.loads((report.folder / "export.json").read_text())
    assert values["data"]["train"] == data_hash(run.path / "train.jsonl")
    assert values["recipe"]["model"] == values["base"]["title"] == "tiny" and values["result"]["loss"] == 1.25
    assert values["proof"]["against_adapter"]["same_answers"] == 1.0
    assert set(values["sha256"]) == set(report.files) - {"export.json"}
    assert values["sha256"]["adapter_model.safetensors"] == data_hash(run.adapter / "adapter_model.safetensors")
    assert values == json.loads(json.dumps(evidence(read_source(run, 2), report))) | {
        name: values[name] for name in ("files", "bytes", "sha256")
    }
    for file in report.folder.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes() and str(tiny_model).encode() not in file.read_bytes()
    config = json.loads((report.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"


@pytest.mark.parametrize("method", ["qlora", "lora", "dora", "ia3"])
def test_an_adapter_is_served_as_it_was_trained(method: str, tiny_model: Path, tmp_path: Path) -> None:
    source = read_source(tiny_run(tmp_path / "run", tiny_model, method=method, rank=9, alpha=9), 2)
    text = serve_adapter(source, "desk")
    assert ("load_in_4bit=True" in text) == (method == "qlora")
    assert ("--quantization bitsandbytes" in text) == (method == "qlora")
    assert ("--lora-modules desk=." in text and "--max-lora-rank 16" in text) == (method in ("qlora", "lora"))
    assert ("vLLM does not load" in text) == (method in ("dora", "ia3"))


def test_the_scripts_in_a_card_are_python(tiny_model: Path, tmp_path: Path) -> None:
    source = read_source(tiny_run(tmp_path / "run", tiny_model, method="qlora"), 2)
    for text in (serve_adapter(source, "desk"), serve_merged("desk")):
        (script,) = [block.split("```")[0] for block in text.split("```python\n")[1:]]
        compile(script, "README.md", "exec")
    assert "ollama" not in serve_gguf("a.gguf", "desk", has_modelfile=False)


@pytest.mark.parametrize(
    ("folder", "name"), [("My Model (v2)", "my-model-v2"), ("---", "model"), ("наш", "model"), ("a" * 99, "a" * 60)]
)
def test_a_models_name_is_one_that_servers_take(folder: str, name: str) -> None:
    assert model_name(Path("somewhere") / folder) == name
