"""What a run leaves behind: an adapter or a whole model in safetensors, with the recipe beside it. No pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.recipe import Recipe

_ADAPTER = "default"  # peft's name for the one that is trained; "ref" is trl's copy of where it started


def save_artefact(model: Any, folder: Path, recipe: Recipe) -> None:
    """Save what was trained, so that it can be loaded again by `training.models.loading.load_tuned`.

    An adapter is saved as it is (float32). A fully tuned model is saved in the 16-bit type that it was trained in (in
    float32 where the precision was fp32), with the base's tokenizer: a folder that can be named as a model.

    Args:
        model: The trained model, with or without an adapter.
        folder: Where to; made if missing. Write to a new folder and move it, so that it is there whole or not at all.
        recipe: How it was trained; saved as recipe.yaml.
    """
    from training.methods.arguments import dtype_of
    from training.models.loading import load_tokenizer, machine

    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(model, "peft_config"):
        save_weights(model, folder)
        for card in folder.glob("README.md"):
            card.unlink()  # peft's own is an empty form
    else:
        save_weights(model, folder, dtype=dtype_of(recipe, machine()))
        load_tokenizer(recipe.model).save_pretrained(folder)
    recipe.save(folder / "recipe.yaml")


def save_weights(model: Any, folder: Path, *, dtype: str | None = None) -> None:
    """Save an adapter, or all weights of a model without one, in safetensors.

    Args:
        model: A transformers model, or a peft model.
        folder: Where to.
        dtype: The torch dtype, by name, for the weights of a whole model; None keeps theirs.
    """
    if hasattr(model, "peft_config"):
        # peft would ask the hub whether the vocabulary was extended, at each save.
        model.save_pretrained(str(folder), selected_adapters=[_ADAPTER], save_embedding_layers=False)
    elif dtype is None:
        model.save_pretrained(str(folder))
    else:
        model.save_pretrained(str(folder), state_dict=_cast(model, dtype))


def _cast(model: Any, dtype: str) -> dict[str, Any]:
    """The model's weights in another type; weights that share their memory still do."""
    import torch

    wanted, cast, made = getattr(torch, dtype), dict[int, Any](), dict[str, Any]()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            cast.setdefault(value.data_ptr(), value.to(wanted))
            made[name] = cast[value.data_ptr()]
        else:
            made[name] = value
    return made
