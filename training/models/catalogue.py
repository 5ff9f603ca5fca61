"""What can be chosen as a base model: the embedded one, some well-known open instruct models, and any other by name.

The figures are those of each model's published config.json, as public repositories quote them (Lightning-AI/litgpt's
litgpt/config.py, citsjtu2020/LLM-Prof, kevinstephano/thunder_model_blocks, pytorch/executorch; read on 2026-11-21).
Each is checked a second way: the number of parameters that follows from them is the published one, to the last digit.
Models that read images too (Gemma 3 from 4B on) are left out: their other tower would be loaded and tuned as well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from training.models import embedded
from training.models.loading import load_config, locate
from training.models.machine_memory import MachineMemory
from training.models.memory import memory_needed
from training.models.shape import Figures, ModelShape, dense_shape, shape_of
from training.recipe import Recipe


@dataclass(frozen=True)
class Entry:
    """A base model to choose. ``id`` is what a recipe's ``model`` takes.

    ``licence`` is None where nothing says it; ``gated`` means that its terms have to be accepted on the hub first.
    """

    id: str
    title: str
    licence: str | None
    shape: ModelShape
    gated: bool = False

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return self.shape.parameters

    @property
    def context(self) -> int:
        """Tokens that fit the model."""
        return self.shape.context


@dataclass(frozen=True)
class Fit:
    """Whether a model can be trained here: the bytes it needs, those that are free, and a sentence about them."""

    fits: bool
    needed: int
    available: int
    sentence: str


_APACHE = "Apache-2.0"
_SMOLLM2 = Figures(
    family="llama",
    hidden_size=576,
    layers=30,
    heads=9,
    kv_heads=3,
    head_dim=64,
    ffn=1_536,
    vocabulary=49_152,
    context=8_192,
    tied=True,
)
_QWEN3 = Figures(
    family="qwen3",
    hidden_size=1_024,
    layers=28,
    heads=16,
    kv_heads=8,
    head_dim=128,
    ffn=3_072,
    vocabulary=151_936,
    context=40_960,
    tied=True,
)
_LLAMA3 = Figures(
    family="llama",
    hidden_size=2_048,
    layers=16,
    heads=32,
    kv_heads=8,
    head_dim=64,
    ffn=8_192,
    vocabulary=128_256,
    context=131_072,
    tied=True,
)
_GEMMA3 = Figures(
    family="gemma3_text",
    hidden_size=1_152,
    layers=26,
    heads=4,
    kv_heads=1,
    head_dim=256,
    ffn=6_912,
    vocabulary=262_144,
    context=32_768,
    tied=True,
)
_PHI4 = Figures(
    family="phi3",
    hidden_size=3_072,
    layers=32,
    heads=24,
    kv_heads=8,
    head_dim=128,
    ffn=8_192,
    vocabulary=200_064,
    context=131_072,
    tied=True,
)
_MISTRAL = Figures(
    family="mistral",
    hidden_size=4_096,
    layers=32,
    heads=32,
    kv_heads=8,
    head_dim=128,
    ffn=14_336,
    vocabulary=32_768,
    context=32_768,
    tied=False,
)
_SMOLLM2_360M = replace(_SMOLLM2, hidden_size=960, layers=32, heads=15, kv_heads=5, ffn=2_560)
_SMOLLM2_1B = replace(_SMOLLM2, hidden_size=2_048, layers=24, heads=32, kv_heads=32, ffn=8_192)
_QWEN3_4B = replace(_QWEN3, hidden_size=2_560, layers=36, heads=32, ffn=9_728)
_QWEN3_8B = replace(_QWEN3_4B, hidden_size=4_096, ffn=12_288, tied=False)
_LLAMA3_3B = replace(_LLAMA3, hidden_size=3_072, layers=28, heads=24, head_dim=128)
_LLAMA3_8B = replace(_LLAMA3_3B, hidden_size=4_096, layers=32, heads=32, ffn=14_336, tied=False)
_LLAMA_32, _LLAMA_31 = "Llama 3.2 Community License", "Llama 3.1 Community License"


def _entry(name: str, title: str, licence: str, figures: Figures, *, gated: bool = False) -> Entry:
    return Entry(name, title, licence, dense_shape(figures), gated=gated)


CATALOGUE: tuple[Entry, ...] = (
    _entry(embedded.NAME, f"{embedded.TITLE}, embedded", _APACHE, _SMOLLM2),
    _entry("HuggingFaceTB/SmolLM2-360M-Instruct", "SmolLM2 360M", _APACHE, _SMOLLM2_360M),
    _entry("HuggingFaceTB/SmolLM2-1.7B-Instruct", "SmolLM2 1.7B", _APACHE, _SMOLLM2_1B),
    _entry("Qwen/Qwen3-0.6B", "Qwen3 0.6B", _APACHE, _QWEN3),
    _entry("Qwen/Qwen3-1.7B", "Qwen3 1.7B", _APACHE, replace(_QWEN3, hidden_size=2_048, ffn=6_144)),
    _entry("Qwen/Qwen3-4B", "Qwen3 4B", _APACHE, _QWEN3_4B),
    _entry("Qwen/Qwen3-8B", "Qwen3 8B", _APACHE, _QWEN3_8B),
    _entry("meta-llama/Llama-3.2-1B-Instruct", "Llama 3.2 1B", _LLAMA_32, _LLAMA3, gated=True),
    _entry("meta-llama/Llama-3.2-3B-Instruct", "Llama 3.2 3B", _LLAMA_32, _LLAMA3_3B, gated=True),
    _entry("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 8B", _LLAMA_31, _LLAMA3_8B, gated=True),
    _entry("google/gemma-3-1b-it", "Gemma 3 1B", "Gemma Terms of Use", _GEMMA3, gated=True),
    _entry("microsoft/Phi-4-mini-instruct", "Phi-4-mini", "MIT", _PHI4),
    _entry("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B v0.3", _APACHE, _MISTRAL),
)
"""The models that are offered by name, from small to large within each family."""


def entry_for(name: str) -> Entry:
    """The record of any model: of the catalogue, else read from the config.json of a folder or a hub id.

    Raises:
        ModelError: it cannot be had, or its architecture is unknown.
    """
    for entry in CATALOGUE:
        if entry.id == name:
            return entry
    shape, where = shape_of(load_config(name)), Path(locate(name))
    licence = _licence_in(where) if os.path.isdir(where) else None
    return Entry(name, where.name, licence, shape)


def fits(entry: Entry, machine: MachineMemory, *, recipe: Recipe) -> Fit:
    """Whether a model can be trained in the memory that this machine has in all.

    Args:
        entry: The model.
        machine: Its memory; what is in use at the moment does not count against the model.
        recipe: How it would be trained; the model it names is left aside.
    """
    needed = memory_needed(recipe, entry.shape, machine=machine)
    if needed <= machine.total:
        return Fit(True, needed, machine.total, f"fits: about {_gb(needed)} of {_gb(machine.total)} GB")
    least = smallest(recipe)
    least_needed = memory_needed(least, entry.shape, machine=machine)
    if least_needed <= machine.total:
        how = f"{least.micro_batch_size} row{'s'[: least.micro_batch_size - 1]} at once"
        how += " and gradient checkpointing" if least.gradient_checkpointing else ""
        text = f"fits with {how}: about {_gb(least_needed)} of {_gb(machine.total)} GB"
        return Fit(True, least_needed, machine.total, text)
    text = f"does not fit: needs {_gb(least_needed)} GB, {machine.name} has {_gb(machine.total)} GB"
    return Fit(False, least_needed, machine.total, text)


def smallest(recipe: Recipe) -> Recipe:
    """The same training in the least memory: as few rows at once as can be, activations computed twice."""
    fewest = 2 if recipe.objective == "kto" else 1
    return replace(recipe, micro_batch_size=fewest, gradient_checkpointing=recipe.method != "prefix")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}" if size < 10e9 else f"{size / 1e9:.0f}"


def _licence_in(folder: Path) -> str | None:
    """The licence that a model's card names in its header, if there is one."""
    try:
        head = (folder / "README.md").read_text("utf-8").split("---", 2)
        values = yaml.safe_load(head[1]) if len(head) == 3 and not head[0].strip() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    licence = values.get("license") if isinstance(values, dict) else None
    return str(licence) if licence else None
