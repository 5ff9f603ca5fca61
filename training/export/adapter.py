"""The adapter as it was trained, with its recipe and the tokenizer it was trained with. Nothing in it is changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_tools.writing import write_text_atomically
from training.export.merged import make_tokenizer_portable
from training.export.report import ExportError
from training.export.source import Source, data_hash

WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"


def copy_adapter(source: Source, folder: Path, *, tokenizer: Any) -> None:
    """Copy the adapter's weights, byte for byte; the base is named as the world knows it, not by a path of ours."""
    shutil.copyfile(source.artefact / WEIGHTS, folder / WEIGHTS)
    config = json.loads((source.artefact / _CONFIG).read_text("utf-8"))
    config["base_model_name_or_path"] = source.base.title
    write_text_atomically(folder / _CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    tokenizer.save_pretrained(folder)
    make_tokenizer_portable(folder)


def refuse_whole_model(source: Source) -> None:
    """Refuse a run that has no adapter.

    Raises:
        ExportError: it trained the whole model.
    """
    if source.is_full:
        raise ExportError(
            "This run trained the whole model, so there is no adapter.",
            where=str(source.artefact),
            next_step="Export it as a model: --to merged.",
        )


def save_recipe(source: Source, folder: Path) -> None:
    """Put the recipe beside an export. Paths of this machine are left out of it."""
    replace(source.recipe, model=source.base.title, start_from=None).save(folder / "recipe.yaml")


def check_copy(source: Source, folder: Path) -> str:
    """Compare the copied weights with the run's own; what was found, in words.

    Raises:
        ExportError: they differ.
    """
    mine, copied = (data_hash(path / WEIGHTS) for path in (source.artefact, folder))
    if mine != copied:
        raise ExportError(
            "The copied adapter is not the run's adapter.",
            where=str(folder / WEIGHTS),
            found=f"sha256 {copied}",
            expected=f"sha256 {mine}",
            next_step="Look at the disk, then export again.",
        )
    return f"the adapter's weights are the run's, byte for byte (sha256 {copied[:16]}...)"
