"""The model that a run trains: the base as its method needs it, with a fresh adapter or an earlier one on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataset_tools.errors import ModelError
from training.methods.arguments import dtype_of
from training.models.loading import LoadedModel, check_adapter, first_line, load_model, locate, machine
from training.recipe import LORA_LIKE, Recipe

_PEFT_TYPES = dict.fromkeys(LORA_LIKE, "LORA") | {"prefix": "PREFIX_TUNING", "prompt": "PROMPT_TUNING", "ia3": "IA3"}


def load_for_training(recipe: Recipe, tokenizer: Any = None) -> LoadedModel:
    """The model to train: everything frozen but what the method trains, which is held in float32.

    qlora takes the base in 4 bits (NF4, double quantisation), the other adapters in the machine's 16-bit type, and full
    fine-tuning in float32, as small steps would vanish in 16 bits. A fresh adapter starts as the recipe's seed says.

    Args:
        recipe: How to train.
        tokenizer: The base's, where it is loaded already.

    Raises:
        ModelError: the base cannot be had, its architecture does not take this method, or `recipe.start_from` is no
            adapter of this base and method.
        UsageError: this machine cannot train in the recipe's precision.
    """
    start = Path(recipe.start_from).expanduser() if recipe.start_from else None
    if start is not None:
        check_continues(start, recipe)
    dtype = "float32" if recipe.method == "full" else dtype_of(recipe, machine())
    loaded = load_model(recipe.model, dtype=dtype, four_bit=recipe.method == "qlora", tokenizer=tokenizer)
    if recipe.method == "full":
        model = loaded.model
        model.requires_grad_(True)
    else:
        loaded.model.requires_grad_(False)
        model = _continued(loaded, recipe, start) if start is not None else add_adapter(loaded, recipe)
    return LoadedModel(model, loaded.tokenizer, loaded.name)


def add_adapter(loaded: LoadedModel, recipe: Recipe) -> Any:
    """The base with a fresh adapter of the recipe's method (a peft model).

    Raises:
        ModelError: peft does not know where to put it in this architecture.
    """
    import torch
    from peft import get_peft_model

    torch.manual_seed(recipe.seed)
    loaded.model.requires_grad_(False)
    try:
        return get_peft_model(loaded.model, adapter_config(recipe))
    except (ValueError, AttributeError, NotImplementedError) as error:
        raise ModelError(
            f"The method {recipe.method} cannot be applied to this model.",
            where=loaded.name,
            found=first_line(error),
            expected="an architecture that peft knows this method for",
            next_step="Choose the method qlora or lora, which fit any model with linear layers.",
        ) from error


def adapter_config(recipe: Recipe) -> Any:
    """The configuration, in peft's terms, of a recipe's method.

    Where they sit: LoRA and its kin on all linear layers but the head (SCIENCE 6: MLP layers matter); IA3 on keys,
    values and the MLP, as its paper has it (arxiv.org/abs/2205.05638); a prefix starts at zero, which PEFT's method
    comparison found to learn where a random one did not; a prompt starts at random words of the vocabulary.
    """
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig

    if recipe.method in LORA_LIKE:
        return LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
            use_dora=recipe.method == "dora",
            use_rslora=recipe.method == "rslora",
            task_type="CAUSAL_LM",
        )
    if recipe.method == "ia3":
        return IA3Config(task_type="CAUSAL_LM")
    if recipe.method == "prefix":
        return PrefixTuningConfig(num_virtual_tokens=recipe.virtual_tokens, init_weights="zero", task_type="CAUSAL_LM")
    return PromptTuningConfig(
        num_virtual_tokens=recipe.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB", task_type="CAUSAL_LM"
    )


def check_continues(folder: Path, recipe: Recipe) -> None:
    """Refuse to continue an adapter that is none, that another method made, or that belongs to another base.

    The recipe saved beside it says so; without one, what peft wrote into its configuration.

    Raises:
        ModelError: with what was found.
    """
    check_adapter(folder)
    try:
        config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        kind = (config["peft_type"], bool(config.get("use_dora")), bool(config.get("use_rslora")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "The adapter's configuration cannot be read.", where=str(folder), found=first_line(error)
        ) from error
    beside = folder / "recipe.yaml"
    earlier = Recipe.load(beside) if beside.is_file() else None
    wanted = (_PEFT_TYPES[recipe.method], recipe.method == "dora", recipe.method == "rslora")
    if kind != wanted or (earlier is not None and earlier.method != recipe.method):
        raise ModelError(
            "The adapter to continue was made by another method.",
            where=str(folder),
            found=earlier.method if earlier is not None else kind[0],
            expected=recipe.method,
            next_step="Set the recipe's method to the adapter's, or leave start_from out.",
        )
    base = earlier.model if earlier is not None else str(config.get("base_model_name_or_path"))
    if base != recipe.model and _located(base) != locate(recipe.model):
        raise ModelError(
            "The adapter to continue belongs to another base model.",
            where=str(folder),
            found=base,
            expected=recipe.model,
            next_step="Set the recipe's model to the adapter's base, or leave start_from out.",
        )


def _located(name: str) -> str | None:
    try:
        return locate(name)
    except ModelError:
        return None


def _continued(loaded: LoadedModel, recipe: Recipe, folder: Path) -> Any:
    """The base with an earlier adapter, to be trained on: its own rank and scale, the recipe's dropout."""
    import torch
    from peft import PeftConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
    from safetensors import SafetensorError

    torch.manual_seed(recipe.seed)
    try:
        config = PeftConfig.from_pretrained(str(folder))
        if not config.is_prompt_learning:
            if recipe.method in LORA_LIKE:
                config.lora_dropout = recipe.dropout
            return PeftModel.from_pretrained(loaded.model, str(folder), config=config, is_trainable=True)
        config.inference_mode = False  # peft has no switch to load a prompt that is to be trained on
        model = get_peft_model(loaded.model, config)
        set_peft_model_state_dict(model, load_peft_weights(str(folder), device=str(model.device)))
        return model
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            "The adapter to continue does not fit this base model.",
            where=str(folder),
            found=first_line(error),
            expected=f"an adapter trained on {recipe.model!r}",
            next_step="Choose the base that the adapter's recipe.yaml names.",
        ) from error
