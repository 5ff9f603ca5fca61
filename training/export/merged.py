"""The adapter merged into the base's 16-bit weights: a plain model that every server loads. Never into 4-bit weights.

Rounding a merged weight to 4 bits again would lose most of what was learnt (huggingface/peft issues 2321 and 2105), so
the base is loaded in 16 bits, also where the adapter was trained on it in 4. What that changes is measured by `proof`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.writing import write_text_atomically
from training.export.report import ExportError
from training.export.source import Source, adapter_kind
from training.models.loading import LoadedModel

# peft's kinds whose effect is a change of weights. Virtual tokens (prompt and prefix tuning) are none.
_MERGEABLE = ("LORA", "IA3")
_SHARD = "5GB"


def is_mergeable(adapter: Path) -> bool:
    """Whether an adapter is a change of weights.

    Raises:
        ModelError: its configuration cannot be read.
    """
    return adapter_kind(adapter) in _MERGEABLE


def check_mergeable(source: Source) -> None:
    """Refuse what cannot be merged, before anything is loaded.

    Raises:
        ExportError: it works by virtual tokens before the prompt, or in another way that is no change of weights.
    """
    if not source.is_full and not is_mergeable(source.artefact):
        raise ExportError(
            f"What the method {source.recipe.method!r} learns cannot be merged into the base's weights.",
            where=str(source.artefact),
            found=f"{adapter_kind(source.artefact)}: trained tokens before the prompt, not a change of weights",
            expected="an adapter made by qlora, lora, dora, rslora or ia3, or a fully trained model",
            next_step="Export the adapter (--to adapter) and serve it on its base, or train with lora.",
        )


def merge(loaded: LoadedModel, *, dtype: str) -> Any:
    """A peft model -> the plain model with the adapter in its weights, in `dtype`; a plain model is only converted.

    Each weight is added up in float32 and rounded once, also where the base was loaded in 16 bits: torch adds the
    adapter's float32 product in the wider type. Hence not peft's ``safe_merge``, which rounds the product first.

    Raises:
        ExportError: a merged weight is not a finite number.
    """
    import torch

    unload = getattr(loaded.model, "merge_and_unload", None)
    model = loaded.model if unload is None else unload(progressbar=False, safe_merge=False)
    model = model.to(getattr(torch, dtype))
    broken = [name for name, weight in model.named_parameters() if not bool(torch.isfinite(weight).all())]
    if broken:
        raise ExportError(
            "The merged model holds weights that are no finite numbers.",
            found=", ".join(broken[:3]) + (f" and {len(broken) - 3} more" if len(broken) > 3 else ""),
            next_step="The adapter is broken, or too large for float16: train again with a lower learning rate.",
        )
    return model


def save_merged(model: Any, tokenizer: Any, folder: Path, *, stops: Sequence[int]) -> None:
    """Write a plain model with its tokenizer, template and generation settings, as every server reads them.

    Args:
        model: The merged model, in the type to store.
        tokenizer: The base's.
        folder: Where; made if missing.
        stops: Every token that ends an answer.
    """
    from transformers import GenerationConfig

    # What was measured is greedy: a base's own sampling settings and penalties do not belong to this model.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=list(stops),
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
    )
    model.save_pretrained(folder, safe_serialization=True, max_shard_size=_SHARD)
    tokenizer.save_pretrained(folder)
    _make_portable(folder)


def size_in_16_bit(model: Any) -> int:
    """Bytes of a model's weights in 16 bits; tied weights count once."""
    return 2 * sum(int(weight.numel()) for weight in model.parameters())


def _make_portable(folder: Path) -> None:
    """Write the configuration so that older readers take it too, and nothing in it names code or a path of ours.

    transformers 5 moved the rotary base into ``rope_parameters``; version 4, and servers built on it, look for
    ``rope_theta`` and take 10000 without a word where it is missing: a model that answers gibberish.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for name in ("auto_map", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        config["rope_theta"] = rope["rope_theta"]
        scaling = {name: value for name, value in rope.items() if name != "rope_theta"}
        config["rope_scaling"] = None if scaling.get("rope_type") == "default" else scaling
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    _write(folder / "config.json", config)
    make_tokenizer_portable(folder)


def make_tokenizer_portable(folder: Path) -> None:
    """The same for a tokenizer's settings: names that both major versions of transformers know."""
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text("utf-8"))
    for name in ("auto_map", "backend", "is_local", "local_files_only", "name_or_path"):
        config.pop(name, None)
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # Version 4 would add token_type_ids, which a language model's `generate` refuses.
        config["model_input_names"] = ["input_ids", "attention_mask"]
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    _write(file, config)


def _write(file: Path, values: dict[str, Any]) -> None:
    write_text_atomically(file, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
