"""About how large an export will be, before it is made: from what the run made and from the base's configuration."""

from __future__ import annotations

from training.models.catalogue import entry_for
from training.recipe import Recipe
from training.runs.folder import RunFolder

# Bytes of a weight against 16 bits; q8_0 packs 32 weights into 34 bytes (llama.cpp, ggml-common.h, block_q8_0).
SHARE_OF_16_BIT = {"f16": 1.0, "q8_0": 34 / 64}


def adapter_bytes(run: RunFolder) -> int:
    """The size of the weights that a run has made; the tokenizer's few megabytes come on top."""
    return sum(file.stat().st_size for file in run.adapter.glob("*.safetensors"))


def model_bytes(recipe: Recipe) -> int:
    """The size of the merged model in 16 bits; of a GGUF file it is the share in `SHARE_OF_16_BIT`.

    Raises:
        ModelError: the base's configuration cannot be had, or says too little.
    """
    return 2 * entry_for(recipe.model).parameters
