"""Preference tuning by trl's DPOTrainer and KTOTrainer, on token ids of our own rendering.

The reference that the model is held to is the model as it was when the run began: the base where the adapter is fresh,
the earlier adapter where one is continued.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

from training.methods.trainer import SteadyTrainer
from training.models.loading import load_model
from training.recipe import Recipe

# trl takes kto's data as balanced where the weighted counts of wanted and unwanted answers are 1 to 4/3 to one.
_BALANCED = (1.0, 4 / 3)


def pair_trainer(loaded: Any, recipe: Recipe, *, arguments: dict[str, Any], **parts: Any) -> Any:
    """A trainer that learns to prefer the better answer of each pair (DPO, arxiv.org/abs/2305.18290).

    Args:
        loaded: A `LoadedModel` to train.
        recipe: The run's.
        arguments: Those of `common_arguments`.
        parts: ``train_dataset``, ``eval_dataset`` and ``callbacks``.
    """
    from trl import DPOConfig

    config = DPOConfig(**arguments, max_length=recipe.max_length, beta=recipe.beta)
    return _build(_pair_trainer_class(), loaded, recipe, args=config, **parts)


def thumb_trainer(loaded: Any, recipe: Recipe, *, arguments: dict[str, Any], **parts: Any) -> Any:
    """A trainer that learns from single answers that were judged (KTO, arxiv.org/abs/2402.01306).

    The rarer kind of answer is weighted up where one kind outnumbers the other.

    Args:
        loaded: A `LoadedModel` to train.
        recipe: The run's.
        arguments: Those of `common_arguments`.
        parts: ``train_dataset``, ``eval_dataset`` and ``callbacks``.
    """
    from trl import KTOConfig

    labels = parts["train_dataset"]["label"]
    wanted, unwanted = thumb_weights(sum(labels), len(labels) - sum(labels))
    # The order is ours; trl asks for "sequential" because it pairs neighbours beforehand, which we do in each batch.
    arguments = {**arguments, "train_sampling_strategy": "sequential"}
    # A row alone in its batch has no neighbour to be weighed against.
    arguments["dataloader_drop_last"] = len(labels) % recipe.micro_batch_size == 1 and len(labels) > 1
    config = KTOConfig(
        **arguments,
        max_length=recipe.max_length,
        beta=recipe.beta,
        desirable_weight=wanted,
        undesirable_weight=unwanted,
    )
    collate = _mismatching_collator(loaded.tokenizer.pad_token_id, recipe.max_length)
    return _build(_thumb_trainer_class(), loaded, recipe, args=config, data_collator=collate, **parts)


def thumb_weights(wanted: int, unwanted: int) -> tuple[float, float]:
    """Weights of wanted and unwanted answers that bring their weighted counts into the ratio that KTO wants.

    1 to 4/3 wanted for each unwanted (arxiv.org/abs/2402.01306, section 4.2; trl warns outside of it).
    """
    if not wanted or not unwanted:
        return 1.0, 1.0
    ratio = wanted / unwanted
    if ratio < _BALANCED[0]:
        return round(_BALANCED[0] / ratio, 4), 1.0
    if ratio > _BALANCED[1]:
        return 1.0, round(ratio / _BALANCED[1], 4)
    return 1.0, 1.0


def _build(trainer_class: Any, loaded: Any, recipe: Recipe, **parts: Any) -> Any:
    reference = None
    if recipe.method == "full":  # trl would load it by a way of its own
        reference = load_model(loaded.name, dtype="float32", tokenizer=loaded.tokenizer).model.requires_grad_(False)
    with warnings.catch_warnings():
        # Of trl's adapter "ref" beside a prefix: its name is part of "prefix_tuning_", which only matters to saving it.
        warnings.filterwarnings("ignore", message="Adapter name 'ref' should not be contained in the prefix")
        trainer = trainer_class(model=loaded.model, ref_model=reference, processing_class=loaded.tokenizer, **parts)
    for name, parameter in loaded.model.named_parameters():
        if ".ref." in name:  # peft leaves a second prompt trainable
            parameter.requires_grad_(False)
    peft_config = getattr(loaded.model, "peft_config", {})
    if "ref" in peft_config and recipe.start_from is None and recipe.method not in ("prefix", "prompt"):
        # A fresh adapter changes nothing yet, so the base alone is the reference, without a second adapter to compute.
        loaded.model.delete_adapter("ref")
    return trainer


def _mismatching_collator(pad: int, max_length: int) -> Any:
    """The collator of trl for kto, on rows that are given the answer of their neighbour in the batch.

    From such mismatched pairs KTO estimates how far the model has moved at all.
    """
    from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

    collate = DataCollatorForUnpairedPreference(pad_token_id=pad, max_length=max_length)

    def paired(rows: list[dict[str, Any]]) -> Any:
        answers = [row["completion_ids"] for row in rows]
        neighbours = [answers[-1], *answers[:-1]]
        return collate([{**row, "KL_completion_ids": ids} for row, ids in zip(rows, neighbours, strict=True)])

    return paired


@functools.cache
def _pair_trainer_class() -> Any:
    from trl import DPOTrainer

    class PairTrainer(SteadyTrainer, DPOTrainer):  # type: ignore[misc]
        """DPOTrainer in our order."""

    return PairTrainer


@functools.cache
def _thumb_trainer_class() -> Any:
    from trl import KTOTrainer

    class ThumbTrainer(SteadyTrainer, KTOTrainer):  # type: ignore[misc]
        """KTOTrainer in our order."""

    return ThumbTrainer
