"""The only place of the product that loads a model: the base, its 4-bit form, an adapter, embedder, reranker.

Everything is loaded with ``trust_remote_code=False`` and from safetensors; a folder with a pickle in place of an
adapter is refused, because peft would fall back to it (peft has no switch against that).
"""

from __future__ import annotations

import os
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from dataset_tools.errors import ModelError
from training.models import embedded
from training.recipe import Recipe

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
_ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}
# transformers makes its names as they are asked for, and two threads that ask for the first time break each other.
_IMPORTING = threading.Lock()
# Seconds to wait for a connection to the hub before its cache is all there is.
_HUB_PATIENCE = 4.0


@dataclass(frozen=True)
class Machine:
    """What the models run on: a torch device name and the dtype that is fast there."""

    device: str
    dtype: str

    @property
    def has_accelerator(self) -> bool:
        """Whether there is a GPU."""
        return self.device != "cpu"


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model with its tokenizer, ready to answer (evaluation mode)."""

    model: Any
    tokenizer: Any
    name: str

    @property
    def context(self) -> int:
        """Tokens that fit the model."""
        return int(getattr(self.model.config, "max_position_embeddings", 2048))


def machine() -> Machine:
    """Look at the hardware: CUDA with bfloat16, else the CPU with bfloat16 where it has instructions for it."""
    import torch

    if torch.cuda.is_available():
        return Machine("cuda", "bfloat16" if torch.cuda.is_bf16_supported() else "float16")
    fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return Machine("cpu", "bfloat16" if fast else "float32")


def default_model() -> str:
    """``FITTING_ROOM_MODEL``, or the embedded model."""
    return os.environ.get("FITTING_ROOM_MODEL") or embedded.NAME


def locate(name: str) -> str:
    """A model's name as the user gave it -> a folder, or an id for the hub.

    Raises:
        ModelError: neither a folder that holds a model, nor a well-formed hub id.
    """
    if name == embedded.NAME:
        return str(embedded.language_model())
    folder = Path(os.path.expanduser(name))  # unlike Path.expanduser and Path.is_dir, these never raise
    if name and os.path.isdir(folder):
        if not (folder / "config.json").is_file():
            raise ModelError(
                "This folder holds no model.",
                where=str(folder),
                found=", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "an empty folder",
                expected="config.json, a tokenizer and *.safetensors, as save_pretrained writes them",
                next_step="Give the folder of a saved model, a hub id, or leave --model out for the embedded one.",
            )
        return str(folder.resolve())
    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            "This is neither a folder nor a model id.",
            found=repr(name),
            expected="a folder that exists, or an id such as 'org/model'",
            next_step="Check the path, or leave --model out for the embedded model.",
        )
    return name


def _from_pretrained(load: Any, name: str, **options: Any) -> Any:
    """Call a library's loader with the product's safety settings, and say plainly why a model cannot be had."""
    from safetensors import SafetensorError

    where = locate(name)
    if not os.path.isdir(where) and not _hub_reachable():
        options["local_files_only"] = True
    try:
        return load(where, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"The model {name!r} cannot be loaded.",
            where=where,
            found=first_line(error),
            expected="a model with safetensors weights and a tokenizer, on this machine or reachable on the hub",
            next_step="Check the id and the network, give a local folder, or leave --model out for the embedded model.",
        ) from error


def _hub_reachable() -> bool:
    """Whether the hub can be connected to. The library alone would try again and again for the better part of a minute.

    A proxy may reach what a plain connection does not, so where there is one the library is left to try.
    """
    from huggingface_hub.constants import ENDPOINT

    address = urlsplit(ENDPOINT)
    if not address.hostname or getproxies():
        return True
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((address.hostname, port), timeout=_HUB_PATIENCE).close()
    except OSError:
        return False
    return True


def first_line(error: Exception) -> str:
    """What a library's error says, for a message of ours: its first line, at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model, with a padding token that is not its end-of-turn token where it has another.

    Padding with the end-of-turn token invites the trap that a collator masks both away, so that stopping is never
    trained.

    Raises:
        ModelError: it cannot be had, or it has no chat template.
    """
    with _IMPORTING:
        from transformers import AutoTokenizer

    tokenizer = _from_pretrained(AutoTokenizer.from_pretrained, name)
    if not tokenizer.chat_template:
        raise ModelError(
            f"The model {name!r} has no chat template, so it is no instruction model.",
            expected="a tokenizer with a chat template",
            next_step="Choose the '-Instruct' or '-it' form of the model.",
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def load_config(name: str) -> Any:
    """A model's configuration, without its weights.

    Raises:
        ModelError: it cannot be had.
    """
    with _IMPORTING:
        from transformers import AutoConfig

    return _from_pretrained(AutoConfig.from_pretrained, name)


def load_model(name: str, *, dtype: str | None = None, four_bit: bool = False, tokenizer: Any = None) -> LoadedModel:
    """Load a base model for this machine.

    Args:
        name: The embedded model's name, a folder, or a hub id.
        dtype: "float32", "bfloat16" or "float16"; None takes what is fast here.
        four_bit: Quantise the linear layers to NF4 with double quantisation, as QLoRA trains on.
        tokenizer: One that is loaded already.
    """
    import torch

    with _IMPORTING:
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    here = machine()
    options: dict[str, Any] = {
        "dtype": getattr(torch, dtype or here.dtype),
        "use_safetensors": True,
        "device_map": {"": here.device},
    }
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=options["dtype"],
        )
    tokenizer = tokenizer or load_tokenizer(name)
    model = _from_pretrained(AutoModelForCausalLM.from_pretrained, name, **options)
    if four_bit:
        _keep_weights_trainable(model)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return LoadedModel(model.eval(), tokenizer, name)


def _keep_weights_trainable(model: Any) -> None:
    """Keep bitsandbytes (0.50) from repacking 4-bit weights for CPU inference.

    In evaluation mode, on a CPU with AVX512-BF16, it repacks them for a kernel that has no backward pass, for good:
    after the first validation of a training run the adapters below would get no gradient, without a word.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def load_tuned(name: str, adapter: Path, *, dtype: str | None = None, tokenizer: Any = None) -> LoadedModel:
    """A base with an adapter on top, as they were trained together; or the fully tuned model that lies in the folder.

    A base that was trained on in 4 bits (qlora; `trained_in_four_bits`) is quantised again, and its NF4 weights are
    unpacked once into `dtype`: the same numbers as the 4-bit model computes with, several times faster to answer with
    on a CPU, where bitsandbytes unpacks them anew at every step.

    Raises:
        ModelError: the folder is no adapter in safetensors, or belongs to another base.
    """
    if is_whole_model(adapter):
        whole = load_model(str(adapter), dtype=dtype, tokenizer=tokenizer)
        return LoadedModel(whole.model, whole.tokenizer, name)
    check_adapter(adapter)
    four_bit = trained_in_four_bits(adapter)
    base = load_model(name, dtype=dtype, four_bit=four_bit, tokenizer=tokenizer)
    if four_bit:
        base.model.dequantize()
    return with_adapter(base, adapter)


def with_adapter(base: LoadedModel, adapter: Path) -> LoadedModel:
    """A loaded base with an adapter on top, ready to answer.

    Raises:
        ModelError: the folder is no adapter in safetensors, or belongs to another base.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    check_adapter(adapter)
    try:
        model = PeftModel.from_pretrained(base.model, str(adapter), is_trainable=False)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            "The adapter does not fit this base model.",
            where=str(adapter),
            found=first_line(error),
            expected=f"an adapter trained on {base.name!r}",
            next_step="Choose the base that the adapter's recipe.yaml names.",
        ) from error
    return LoadedModel(model.eval(), base.tokenizer, base.name)


def is_whole_model(folder: Path) -> bool:
    """Whether full fine-tuning left this folder: a model by itself, and no adapter."""
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").exists()


def trained_in_four_bits(adapter: Path) -> bool:
    """Whether an adapter was trained on the 4-bit base, as the recipe beside it says; without one it was (qlora)."""
    recipe = adapter / "recipe.yaml"
    return Recipe.load(recipe).method == "qlora" if recipe.is_file() else True


def check_adapter(folder: Path) -> None:
    """Refuse a folder that is no safetensors adapter, or that holds a pickle.

    Raises:
        ModelError: with what was found.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    pickles = [name for name in names if Path(name).suffix in _PICKLES]
    if pickles or not set(names) >= _ADAPTER:
        raise ModelError(
            "This folder is not an adapter that can be loaded safely.",
            where=str(folder),
            found=f"pickled files: {', '.join(pickles)}" if pickles else ", ".join(names[:6]) or "nothing",
            expected="adapter_config.json and adapter_model.safetensors, and no pickled weights",
            next_step="Save the adapter again with safetensors.",
        )


def load_embedder() -> Any:
    """The sentence embedder (all-MiniLM-L6-v2; 384 numbers a text, unit length), on this machine's device."""
    from sentence_transformers import SentenceTransformer

    folder = embedded.embedder()
    return SentenceTransformer(str(folder), device=machine().device, trust_remote_code=False, local_files_only=True)


def load_reranker(name: str, *, named_by: str) -> Any:
    """A cross-encoder with one score for a pair of texts, from a folder or the hub, on this machine's device.

    Args:
        name: A folder, or an id that sentence-transformers' ``CrossEncoder`` takes.
        named_by: The setting that names it, for errors.

    Raises:
        ModelError: it cannot be loaded from safetensors, or gives more than one score for a pair.
    """
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder

    options = {"trust_remote_code": False, "model_kwargs": {"use_safetensors": True}}
    try:
        model = CrossEncoder(locate(name), device=machine().device, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            "The reranker cannot be loaded.",
            where=f"{named_by}={name}",
            found=first_line(error),
            expected="a cross-encoder with safetensors weights, on this machine or reachable on the hub",
            next_step=f"Correct {named_by}, or remove it to go without a reranker.",
        ) from error
    if model.num_labels != 1:
        raise ModelError(
            "This model is no reranker.",
            where=f"{named_by}={name}",
            found=f"{model.num_labels} scores for a pair",
            expected="one score for a pair of question and passage",
            next_step=f"Name a cross-encoder made for ranking, or remove {named_by}.",
        )
    return model


def read_gguf(file: Path) -> tuple[Any, Any]:
    """A GGUF file -> (model in bfloat16 with its weights unpacked, tokenizer)."""
    import torch

    with _IMPORTING:
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, options = str(file.parent), {"gguf_file": file.name, "trust_remote_code": False}
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True), **options
    )
    return model, AutoTokenizer.from_pretrained(folder, **options)
