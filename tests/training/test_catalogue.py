"""The base models on offer: their figures against published and real models, and whether they fit."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import ModelError
from training.methods.adapters import load_for_training
from training.models.catalogue import CATALOGUE, Entry, entry_for, fits
from training.models.loading import Machine, load_config, load_model
from training.models.machine_memory import MachineMemory
from training.models.memory import memory_needed
from training.models.shape import shape_of
from training.recipe import METHODS, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

# As the hub counts them in the safetensors files. Qwen3's two smallest are stored with a second copy of the embeddings
# (vocabulary times width), which is one matrix in memory.
PUBLISHED = {
    "embedded": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M-Instruct": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": 1_711_376_384,
    "Qwen/Qwen3-0.6B": 751_632_384 - 151_936 * 1_024,
    "Qwen/Qwen3-1.7B": 2_031_739_904 - 151_936 * 2_048,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "google/gemma-3-1b-it": 999_885_952,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
}
GPU = MachineMemory(Machine("cuda", "bfloat16"), 79 * 10**9, 70 * 10**9)


def test_every_models_figures_give_the_published_number_of_parameters() -> None:
    assert {entry.id: entry.parameters for entry in CATALOGUE} == PUBLISHED


def test_every_model_has_a_licence_and_those_with_terms_of_their_own_are_gated() -> None:
    assert all(entry.licence for entry in CATALOGUE)
    assert all(entry.gated == (entry.licence not in ("Apache-2.0", "MIT")) for entry in CATALOGUE)


SMALL: dict[str, Any] = {
    **{"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "vocab_size": 500, "max_position_embeddings": 128},
    **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {"attention_bias": True, "mlp_bias": True}),
        ("llama", {"head_dim": 32}),
        ("mistral", {}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 32}),
        ("smollm3", {}),
        ("granite", {}),
        ("gemma", {"head_dim": 32}),
        ("gemma2", {"head_dim": 32}),
        ("gemma3_text", {"head_dim": 32}),
        ("phi3", {}),
        # of no known family: counted in an empty model
        ("olmo2", {}),
        ("gpt2", {}),
        ("stablelm", {}),
        ("mixtral", {"num_local_experts": 3}),
    ],
    ids=str,
)
def test_the_parameters_of_each_family_are_those_of_a_real_model(family: str, more: dict[str, Any], tied: bool) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {**SMALL, **more, "tie_word_embeddings": tied}
    config = AutoConfig.for_model(family, **values)
    with torch.device("meta"):
        real = AutoModelForCausalLM.from_config(config)
    shape = shape_of(config)
    assert shape.parameters == sum(parameter.numel() for parameter in real.parameters())
    assert shape.tied == (real.get_output_embeddings().weight is real.get_input_embeddings().weight)
    assert shape_of({"model_type": family, **values}) == shape
    linear = sum(p.numel() for name, p in real.named_parameters() if name.endswith("_proj.weight"))
    if family in ("llama", "qwen3", "phi3"):
        assert shape.linear_parameters == linear


@pytest.mark.parametrize("method", METHODS)
def test_what_each_method_trains_is_counted_to_the_last_number(tiny_model: Path, method: str) -> None:
    recipe = Recipe(str(tiny_model), method=method, rank=3, virtual_tokens=5)
    model = load_for_training(recipe).model
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert shape_of(load_config(str(tiny_model))).trainable(recipe) == trained


def test_the_tiny_models_parameters_are_exact(tiny_model: Path) -> None:
    real = sum(parameter.numel() for parameter in load_model(str(tiny_model)).model.parameters())
    assert entry_for(str(tiny_model)).parameters == real


@pytest.mark.slow
def test_the_embedded_models_parameters_are_exact() -> None:
    real = sum(parameter.numel() for parameter in load_model("embedded").model.parameters())
    assert entry_for("embedded").parameters == real
    recipe = Recipe("embedded")
    model = load_for_training(recipe).model
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert entry_for("embedded").shape.trainable(recipe) == trained


def test_any_folder_gets_a_record_with_the_licence_that_its_card_names(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "my-model")
    assert entry_for(str(folder)).licence is None
    for text, licence in (
        ("---\nlicense: mit\ntags: [x]\n---\n# Model\n", "mit"),
        ("# No header\n---\nlicense: mit\n---\n", None),
        ("---\n: [broken\n---\n", None),
        ("---\n- a list\n---\n", None),
    ):
        (folder / "README.md").write_text(text)
        entry = entry_for(str(folder))
        assert (entry.licence, entry.title, entry.context, entry.gated) == (licence, "my-model", 1024, False)


def test_a_model_whose_architecture_nobody_knows_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "odd")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "model_type": "no-such-architecture"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        entry_for(str(folder))
    for broken in ({"model_type": "no-such-architecture"}, {"hidden_size": 64}, {"model_type": "vit"}):
        with pytest.raises(ModelError, match="cannot be told"):
            shape_of(broken)


def entry_of(name: str) -> Entry:
    return next(entry for entry in CATALOGUE if entry.id == name)


QLORA = Recipe("m", batch_size=8, micro_batch_size=8, max_length=2048)


@pytest.mark.parametrize(
    ("name", "recipe", "memory", "sentence"),
    [
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            replace(QLORA, gradient_checkpointing=True),
            79,
            r"fits: about \d+ of 79 GB",
        ),
        (
            "meta-llama/Llama-3.1-8B-Instruct",
            QLORA,
            12,
            r"fits with 1 row at once and gradient .*: about 9\.5 of 12 GB",
        ),
        ("meta-llama/Llama-3.1-8B-Instruct", QLORA, 4, r"does not fit: needs 9\.5 GB, this GPU has 4\.0 GB"),
        ("Qwen/Qwen3-8B", replace(QLORA, method="full"), 79, r"does not fit: needs \d+ GB, this GPU has 79 GB"),
        ("embedded", replace(QLORA, objective="kto"), 3.2, r"fits with 2 rows at once and gradient checkpointing: "),
        ("embedded", replace(QLORA, method="prefix"), 3.5, r"fits with 1 row at once: about \d\.\d of 3\.5 GB"),
    ],
)
def test_whether_a_model_fits_is_said_in_a_sentence(name: str, recipe: Recipe, memory: float, sentence: str) -> None:
    import re

    machine = replace(GPU, total=int(memory * 10**9))
    found = fits(entry_of(name), machine, recipe=recipe)
    assert re.fullmatch(sentence + ".*", found.sentence), found.sentence
    assert found.fits == (found.needed <= found.available == machine.total)
    if found.fits and found.sentence.startswith("fits: "):
        assert found.needed == memory_needed(recipe, entry_of(name).shape, machine=machine)


def test_the_catalogue_can_be_listed_without_torch() -> None:
    import subprocess

    code = "import sys; import training.models.catalogue; sys.exit('torch' in sys.modules or 'peft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
