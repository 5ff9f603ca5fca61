"""The models that an export is made from and held against. The loading itself is done by `training.models`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from training.export.source import Source
from training.models.loading import LoadedModel, load_config, load_model, load_tuned, machine, with_adapter
from training.models.machine_memory import machine_memory
from training.models.shape import shape_of

# A weight's 4 bytes, and what computing with it takes besides.
_FLOAT32_BYTES = 5
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def load_as_trained(source: Source, *, adapter: Path | None = None, tokenizer: Any = None) -> LoadedModel:
    """What the run made, on the base as it was trained on: in 4 bits for QLoRA, else in the recipe's precision.

    Args:
        source: The run.
        adapter: Another copy of its adapter, with its recipe beside it.
        tokenizer: One that is loaded already.
    """
    dtype = _DTYPES.get(source.recipe.precision)
    return load_tuned(source.base.name, adapter or source.artefact, dtype=dtype, tokenizer=tokenizer)


def load_on_16_bit(source: Source, *, tokenizer: Any = None) -> LoadedModel:
    """What the run made, on its base's 16-bit weights: what a merged model is made from, and held against."""
    if source.is_full:
        return load_exactly(source.artefact, tokenizer=tokenizer)
    base = load_model(source.base.name, dtype=exact_dtype(source.base.name), tokenizer=tokenizer)
    return with_adapter(base, source.artefact)


def load_exactly(folder: Path, *, tokenizer: Any = None) -> LoadedModel:
    """A saved 16-bit model, computing as exactly as `exact_dtype` allows."""
    return load_model(str(folder), dtype=exact_dtype(str(folder)), tokenizer=tokenizer)


def exact_dtype(name: str) -> str:
    """In which type to compute with a model's 16-bit weights so that two models that should be one can be compared.

    float32 where the machine's free memory holds it: computing in bfloat16 makes two forms of a small, uncertain model
    differ by 0.01 nats a token by itself (measured on the embedded model). Else the 16-bit type of the weights; models
    that large are disturbed less.
    """
    needed = _FLOAT32_BYTES * shape_of(load_config(name)).parameters
    return "float32" if needed < machine_memory().free else sixteen_bit_dtype(name)


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in a folder as any reader gets it, an adapter's folder too (`load_tokenizer` wants a model's).

    Raises:
        OSError: there is none, or it cannot be read (or ValueError, KeyError).
    """
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)


def read_gguf_as(file: Path, config: Any, *, dtype: str) -> Any:
    """The weights of a GGUF file, unpacked by transformers' own reader, in a model of this configuration.

    With the configuration that the reader makes of the file, some are lost: the width of a head, slowed rotations.

    Raises:
        ValueError: the reader does not know this architecture (or KeyError, NotImplementedError, RuntimeError).
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    with _one_map_of_names():
        model = AutoModelForCausalLM.from_pretrained(
            str(file.parent),
            gguf_file=file.name,
            config=config,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
        )
    return model.to(device=machine().device, dtype=getattr(torch, dtype)).eval()


@contextmanager
def _one_map_of_names() -> Iterator[None]:
    """Transformers 5.23 has gguf make its map of tensors' names again for each module: 400 times for 30 layers."""
    import gguf

    original = gguf.get_tensor_name_map
    gguf.get_tensor_name_map = cache(original)
    try:
        yield
    finally:
        gguf.get_tensor_name_map = original


def sixteen_bit_dtype(name: str) -> str:
    """The 16-bit type in which a model's weights are stored: float16 where it was published so, else bfloat16."""
    published = str(getattr(load_config(name), "dtype", None)).removeprefix("torch.")
    return published if published == "float16" else "bfloat16"


def release() -> None:
    """Give the memory of models that nobody holds any more back before the next is loaded."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
