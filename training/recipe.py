"""The recipe of a training run: every knob in one frozen, validated place. Saved as YAML beside each run.

What each knob is for, its usual range and why stand in `training.knobs`; how the defaults follow from data, model and
machine in `training.derivation`. Nothing here looks at the machine: "auto" is resolved by `training.methods.arguments`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_tools.errors import UsageError
from training.recipe_file import read_values, write_values

if TYPE_CHECKING:
    from training.derivation import default_learning_rate, derive_recipe, describe

__all__ = ["Recipe", "default_learning_rate", "derive_recipe", "describe", "to_dict"]

METHODS = ("qlora", "lora", "dora", "rslora", "full", "prefix", "prompt", "ia3")
LORA_LIKE = ("qlora", "lora", "dora", "rslora")
OBJECTIVES = ("sft", "dpo", "kto", "grpo")
SCHEDULES = ("linear", "cosine", "constant")
PRECISIONS = ("auto", "bf16", "fp16", "fp32")
# The names that transformers' TrainingArguments takes; those that need a package beyond ours are left out.
OPTIMIZERS = (
    "auto",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "paged_adamw_8bit",
    "paged_adamw_32bit",
    "adafactor",
    "sgd",
)
REPORTERS = ("none", "tensorboard", "wandb", "mlflow", "trackio")
_CHOICES = {
    "method": METHODS,
    "objective": OBJECTIVES,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "optimizer": OPTIMIZERS,
    "report_to": REPORTERS,
}
# What a knob of each annotated type may hold ("bool" is an int to Python, so it is told apart below).
_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
# Numbers, with what they must be; None is left to the knobs that may be left out.
_ABOVE_ZERO = (
    *("learning_rate", "batch_size", "micro_batch_size", "epochs", "max_length", "rank", "alpha", "evaluations"),
    *("max_completion", "virtual_tokens", "beta"),
)
_SHARES = ("dropout", "warmup")
# Steps below which an adapter has learnt little, and the smallest batch that is worth going down to for them.
_WANTED_STEPS, _SMALLEST_BATCH = 60, 4


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune. Lengths are in tokens, times in seconds."""

    model: str
    """The base model: the embedded one's name, a folder, or a hub id."""
    method: str = "qlora"
    """What is trained: "qlora" (LoRA on a 4-bit base), "lora", "dora", "rslora", "full", "prefix", "prompt", "ia3"."""
    objective: str = "sft"
    """What is learnt: "sft" (the wanted answers), "dpo" (pairs), "kto" (thumbs), "grpo" (the task's own score)."""
    learning_rate: float = 3e-4
    """Peak; reached after the warm-up."""
    schedule: str = "linear"
    """How the rate goes on after the warm-up: "linear" or "cosine" towards zero, or "constant"."""
    batch_size: int = 8
    """Rows (for GRPO: answers) that an optimiser step sees. LoRA takes large batches badly: below 32."""
    micro_batch_size: int = 8
    """Rows (for GRPO: answers) computed at once; the rest of the batch is accumulated."""
    epochs: float = 3.0
    """Passes over the rows."""
    max_steps: int | None = None
    """Optimiser steps; wins over `epochs` where set (a time budget sets it)."""
    max_seconds: float | None = None
    """Time budget of the training loop. A probe of the real step sizes `max_steps` from it."""
    max_length: int = 1024
    """Rows are cut to this many tokens; derived so that no row is cut where the model's context allows."""
    completion_only: bool = True
    """Learn the answer alone; False learns the prompt's tokens too (sft only)."""
    rank: int = 16
    """LoRA rank. Hardly matters at this size of data."""
    alpha: int = 32
    """LoRA scale: the adapter is multiplied by alpha / rank (for rsLoRA: alpha / sqrt(rank))."""
    dropout: float = 0.0
    """LoRA dropout; 0.05 for few rows on a machine with an accelerator."""
    virtual_tokens: int = 16
    """Trained tokens before the prompt (prefix and prompt tuning)."""
    beta: float = 0.1
    """How strongly DPO and KTO hold the model to where it started."""
    generations: int = 4
    """Answers drawn for each prompt (GRPO); at least 2, as they are compared with each other."""
    max_completion: int = 256
    """Tokens after which a drawn answer is cut off (GRPO)."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = 0.0
    """Pull of the trained weights towards zero at each step (AdamW's)."""
    max_gradient_norm: float = 0.3
    """Gradients are clipped to this norm (QLoRA, table 9); 0 does not clip."""
    optimizer: str = "auto"
    """One that transformers knows by name; "auto" takes 8-bit paged AdamW on CUDA, else AdamW."""
    precision: str = "auto"
    """Of the computation: "bf16", "fp16" or "fp32"; "auto" takes what is fast on this machine."""
    gradient_checkpointing: bool = False
    """Recompute activations instead of keeping them: less memory, a third more time."""
    evaluations: int = 4
    """How often the validation loss is taken, and a checkpoint saved, during the run."""
    patience: int = 2
    """Stop after this many validations in a row without a better loss; 0 never stops early."""
    checkpoints_kept: int = 3
    """Newest checkpoints to keep; at least 2, so that a whole one is there while the next is being written."""
    start_from: str | None = None
    """The folder of an earlier adapter to continue; None starts afresh."""
    dry_run: bool = True
    """Try three steps on the longest rows, a validation and a save before the real run."""
    report_to: str = "none"
    """Who else is told of the run's figures: "tensorboard", "wandb", "mlflow", "trackio", or "none"."""
    seed: int = 0
    """Of the adapter's start, the order of rows and dropout."""

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_kind(field.name, str(field.type))
        for name, choices in _CHOICES.items():
            self._require(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        for name in _ABOVE_ZERO:
            self._require(name, getattr(self, name) > 0, "above 0")
        for name in ("max_steps", "max_seconds"):
            self._require(name, getattr(self, name) is None or getattr(self, name) > 0, "above 0, or left out")
        for name in _SHARES:
            self._require(name, 0 <= getattr(self, name) < 1, "a share from 0 to below 1")
        for name in ("weight_decay", "patience", "max_gradient_norm"):
            self._require(name, getattr(self, name) >= 0, "0 or above")
        self._require("micro_batch_size", self.batch_size % self.micro_batch_size == 0, "a divisor of batch_size")
        self._require("checkpoints_kept", self.checkpoints_kept >= 2, "2 or more")
        self._require("generations", self.generations >= 2, "2 or more")
        self._check_together()

    def _check_kind(self, name: str, annotation: str) -> None:
        value, (kind, _, optional) = getattr(self, name), annotation.partition(" | ")
        fits = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
        if not fits and not (optional and value is None):
            raise UsageError(f"A recipe's {name} is of the wrong kind.", found=repr(value), expected=kind)
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"A recipe's {name} must be finite.", found=repr(value))

    def _check_together(self) -> None:
        """What knobs rule out for each other."""
        if self.objective == "kto":  # a row is weighed against the answers of its neighbours (arxiv.org/abs/2402.01306)
            self._require("micro_batch_size", self.micro_batch_size >= 2, "2 or more where the objective is kto")
        if self.objective == "grpo":
            fits = self.batch_size % self.generations == 0
            self._require("batch_size", fits, f"a multiple of generations ({self.generations}) where it is grpo")
        if self.method == "prefix":  # the prefix is a key-value cache, which checkpointing switches off
            self._require("gradient_checkpointing", not self.gradient_checkpointing, "false where the method is prefix")
        if self.method == "full":
            self._require("start_from", self.start_from is None, "left out where the method is full: name it as model")

    def _require(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            raise UsageError(f"A recipe's {name} must be {expected}.", found=str(getattr(self, name)))

    def save(self, path: Path) -> None:
        """Write the recipe as YAML."""
        write_values(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe; a knob that the file does not name has its default.

        Raises:
            UsageError: it is no YAML mapping, names a knob that does not exist or a value that cannot be, or no model.
        """
        known = {field.name: str(field.type) for field in fields(cls)}
        numbers = {name for name, kind in known.items() if kind.startswith("float")}
        values = read_values(path, known=known, numbers=numbers)
        if "model" not in values:
            raise UsageError("The recipe names no model.", where=str(path), expected="a line such as `model: embedded`")
        return cls(**values)

    def steps(self, rows: int) -> int:
        """Optimiser steps for this many training rows; for GRPO each row counts for its `generations` answers."""
        if self.max_steps is not None:
            return self.max_steps
        seen = rows * (self.generations if self.objective == "grpo" else 1)
        return max(1, math.ceil(seen * self.epochs / self.batch_size))

    def fitted(self, *, seconds_per_token: float, lengths: Sequence[int]) -> Recipe:
        """The recipe with `max_steps` (and, for few steps, a smaller batch) that keep to `max_seconds`.

        Args:
            seconds_per_token: Forward and backward, as probed on the machine.
            lengths: Tokens of each training row.
        """
        if self.max_seconds is None:
            return self
        unlimited = replace(self, max_steps=None)
        wanted = unlimited.steps(len(lengths))
        # On top for the optimiser, padding and validations: a judgement; one run took 1.6 times what was probed.
        per_row = seconds_per_token * (sum(lengths) / len(lengths)) * 1.4
        rows = max(self.max_seconds / per_row, _SMALLEST_BATCH)
        batch, unit = self.batch_size, {"grpo": self.generations, "kto": 2}.get(self.objective, 1)
        while batch > _SMALLEST_BATCH and batch // 2 % unit == 0 and rows / batch < min(_WANTED_STEPS, wanted):
            batch //= 2
        fitted = replace(
            unlimited,
            batch_size=batch,
            micro_batch_size=math.gcd(self.micro_batch_size, batch),
            learning_rate=self.learning_rate * math.sqrt(batch / self.batch_size),
        )
        return replace(fitted, max_steps=max(1, min(fitted.steps(len(lengths)), int(rows / batch))))


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data."""
    return asdict(recipe)


def __getattr__(name: str) -> Any:
    """What `training.derivation` gives; it imports this module, so it is only loaded when one of them is asked for."""
    if name in ("default_learning_rate", "derive_recipe", "describe"):
        from training import derivation

        return getattr(derivation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
