"""A GGUF file read back and compared with the model it was made from: every tensor, the tokenizer, template and stops.

Only the file is believed: it is opened anew, unpacked by the package ``gguf``, and held against the saved model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.export.gguf_tensors import family_of, tensors
from training.export.gguf_vocab import pre_tokenizer_name
from training.export.report import ExportError
from training.export.settings_check import failed

# Largest error of a value, as a share of the largest value of its block of 32. q8_0 rounds to 127 steps either way and
# keeps the step in float16: half a step (1/254) and the step's own rounding (2^-11). float16 holds every bfloat16 of
# its range; below it (6e-5) it is off by at most 2^-25, which `_SMALLEST` allows on top for all types.
_BOUNDS = {"F32": 0.0, "F16": 2.0**-11, "Q8_0": 1 / 254 + 2.0**-11}
_SMALLEST = 2.0**-24
_BLOCK = 32


@dataclass(frozen=True)
class Checked:
    """What a file says that the engines need, and what was found right, in words."""

    stops: tuple[int, ...]
    pre: str
    adds_bos: bool
    context: int
    """Tokens that fit the model."""
    remarks: tuple[str, ...]


def check_gguf(file: Path, folder: Path, tokenizer: Any, *, quantization: str, stops: Sequence[int]) -> Checked:
    """Read a GGUF file back.

    Args:
        file: The file.
        folder: The saved model that it was made from.
        tokenizer: The model's, loaded.
        quantization: What the file is meant to be, "f16" or "q8_0".
        stops: Tokens that end an answer, the one that was trained first.

    Raises:
        ExportError: it cannot be read, or something in it is not as it should be.
    """
    from gguf import GGUFReader

    from training.models.loading import load_config

    try:
        reader = GGUFReader(file)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise failed("The GGUF file cannot be read.", file, found=str(error)[:200]) from error
    checked = _check_settings(reader, file, tokenizer, stops)
    _check_merges(reader, file, folder)
    config = load_config(str(folder))
    _check_shape(reader, file, config)
    remark = _check_tensors(reader, file, folder, config, quantization)
    _check_rule(checked.pre, file, folder)
    return replace(checked, remarks=(*checked.remarks, remark))


def _value(reader: Any, name: str) -> Any:
    field = reader.get_field(name)
    return None if field is None else field.contents()


def _check_settings(reader: Any, file: Path, tokenizer: Any, stops: Sequence[int]) -> Checked:
    template = _value(reader, "tokenizer.chat_template")
    if template != tokenizer.chat_template:
        raise failed(
            "The chat template in the file is not the one that was trained with.",
            file,
            found=repr(template)[:120],
            expected=repr(tokenizer.chat_template)[:120],
        )
    found = [_value(reader, f"tokenizer.ggml.{use}_token_id") for use in ("eos", "eot", "eom")]
    ends = tuple(dict.fromkeys(int(number) for number in found if number is not None))
    if not stops or stops[0] not in ends or not set(ends) <= set(stops):
        raise failed(
            "The file does not stop where the trained answers stop.",
            file,
            found=_spelled(ends, tokenizer),
            expected=_spelled(stops, tokenizer),
        )
    tokens = _value(reader, "tokenizer.ggml.tokens") or []
    wrong = [token for token, number in tokenizer.get_vocab().items() if tokens[number : number + 1] != [token]]
    if wrong:
        raise failed("The file's tokens are not the model's.", file, found=f"{len(wrong)} differ, such as {wrong[0]!r}")
    remarks = (
        "the chat template in the file is the one that was trained with",
        f"the file stops at {_spelled(ends, tokenizer)}",
        f"all {len(tokenizer.get_vocab())} tokens and their merges are the model's",
    )
    pre = str(_value(reader, "tokenizer.ggml.pre"))
    context = int(_value(reader, f"{_value(reader, 'general.architecture')}.context_length") or 0)
    return Checked(ends, pre, bool(_value(reader, "tokenizer.ggml.add_bos_token")), context, remarks)


def _spelled(ids: Sequence[int], tokenizer: Any) -> str:
    return ", ".join(f"`{token}`" for token in tokenizer.convert_ids_to_tokens(list(ids))) or "nothing"


def _check_shape(reader: Any, file: Path, config: Any) -> None:
    """The numbers by which a reader builds the model, where the file states them."""
    arch = _value(reader, "general.architecture")
    wanted = {
        "block_count": config.num_hidden_layers,
        "embedding_length": config.hidden_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None),
        "attention.key_length": getattr(config, "head_dim", None),
        "attention.layer_norm_rms_epsilon": getattr(config, "rms_norm_eps", None),
        "rope.freq_base": (getattr(config, "rope_parameters", None) or {}).get("rope_theta"),
    }
    for name, value in wanted.items():
        found = _value(reader, f"{arch}.{name}")
        if isinstance(found, int | float) and value is not None and not math.isclose(found, value, rel_tol=1e-5):
            raise failed("The file describes another model.", file, found=f"{name} {found}", expected=str(value))


def _check_merges(reader: Any, file: Path, folder: Path) -> None:
    from gguf import SpecialVocab

    wanted = SpecialVocab(folder, load_merges=True).merges
    found = _value(reader, "tokenizer.ggml.merges") or []
    # A vocabulary with scores in place of merges has none.
    if found != wanted and str(_value(reader, "tokenizer.ggml.model")) == "gpt2":
        raise failed(
            "The file's merges are not the model's.", file, found=f"{len(found)} merges", expected=str(len(wanted))
        )


def _check_rule(pre: str, file: Path, folder: Path) -> None:
    """The name of the rule by which text is cut, where the rule is one that we can name."""
    try:
        known = pre_tokenizer_name(folder)
    except ExportError:
        return
    if pre != known:
        raise failed("The file cuts text into words in another way than in training.", file, found=pre, expected=known)


def _check_tensors(reader: Any, file: Path, folder: Path, config: Any, quantization: str) -> str:
    """Every tensor within the rounding of its type. A family whose names we do not know is left to the answers."""
    from gguf.quants import dequantize

    wanted = {"f16": "F16", "q8_0": "Q8_0"}[quantization]
    if not any(tensor.tensor_type.name == wanted for tensor in reader.tensors):
        raise failed("The file is not of the type that was asked for.", file, found=_types(reader), expected=wanted)
    try:
        family = family_of(config)
    except ExportError:
        return "the tensors were not compared one by one (names of this architecture are the converter's own)"
    found = {tensor.name: tensor for tensor in reader.tensors}
    worst = 0.0
    for name, values in tensors(folder, config, family):
        tensor = found.pop(name, None)
        if tensor is None or tuple(int(length) for length in reversed(tensor.shape)) != values.shape:
            raise failed("A tensor is missing, or has another shape.", file, found=name)
        kind = tensor.tensor_type
        unpacked = dequantize(tensor.data, kind).reshape(values.shape)
        error = _largest_error(values, unpacked)
        worst = max(worst, error)
        if not error <= _BOUNDS.get(kind.name, -1.0):
            raise failed(
                "A tensor of the file is not the model's.",
                file,
                found=f"{name} ({kind.name}) is off by {error:.2%} of its block's largest value",
                expected=f"at most {_BOUNDS.get(kind.name, 0.0):.2%}, the rounding of its type",
            )
    if found:
        raise failed("The file holds tensors that the model does not.", file, found=", ".join(sorted(found)[:3]))
    return f"all tensors ({_types(reader)}) are the model's; largest error {worst:.3%} of a block's largest value"


def _largest_error(values: Any, unpacked: Any) -> float:
    """The largest difference of a value, as a share of the largest value among the 32 that share a scale with it."""
    import numpy as np

    width = _BLOCK if values.size % _BLOCK == 0 else 1
    blocks, other = values.reshape(-1, width), unpacked.reshape(-1, width)
    differences = np.abs(blocks - other) - _SMALLEST
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(differences > 0, differences / np.abs(blocks).max(axis=1, keepdims=True), 0.0)
    # A difference that is no number is no 0.
    return float("inf") if not np.isfinite(other).all() else float(shares.max(initial=0.0))


def _types(reader: Any) -> str:
    counts: dict[str, int] = {}
    for tensor in reader.tensors:
        counts[tensor.tensor_type.name] = counts.get(tensor.tensor_type.name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
