"""The recipe of a training run: every knob in one frozen place, derived from data, model and machine.

Sources: SCIENCE = the project's notes on published practice (QLoRA, arxiv.org/abs/2305.14314; "LoRA without regret",
thinkingmachines.ai/blog/lora; the tinker-cookbook's learning-rate rule). Saved as YAML beside each run.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from dataset_tools.errors import UsageError
from dataset_tools.writing import write_text_atomically

# What a knob of each annotated type may hold ("bool" is an int to Python, so it is told apart below).
_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
# Steps below which an adapter has learnt little, and the smallest batch that is worth going down to for them.
_WANTED_STEPS, _SMALLEST_BATCH = 60, 4


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune. Lengths are in tokens, times in seconds."""

    model: str
    """The base model: the embedded one's name, a folder, or a hub id."""
    method: str = "qlora"
    """Only "qlora" (NF4 with double quantisation, LoRA on all linear layers)."""
    learning_rate: float = 3e-4
    """Peak; reached after the warm-up, then falls linearly to zero."""
    batch_size: int = 8
    """Rows an optimiser step sees. LoRA takes large batches badly: below 32."""
    micro_batch_size: int = 8
    """Rows computed at once; the rest of the batch is accumulated."""
    epochs: float = 3.0
    """Passes over the rows."""
    max_steps: int | None = None
    """Optimiser steps; wins over `epochs` where set (a time budget sets it)."""
    max_seconds: float | None = None
    """Time budget of the training loop. A probe of the real step sizes `max_steps` from it."""
    max_length: int = 1024
    """Rows are cut to this many tokens; derived so that no row is cut where the model's context allows."""
    rank: int = 16
    """LoRA rank. Hardly matters at this size of data."""
    alpha: int = 32
    """LoRA scale: the adapter is multiplied by alpha / rank."""
    dropout: float = 0.0
    """LoRA dropout; 0.05 for few rows on a machine with an accelerator."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    max_gradient_norm: float = 0.3
    """Gradients are clipped to this norm (QLoRA, table 9)."""
    evaluations: int = 4
    """How often the validation loss is taken during the run."""
    gradient_checkpointing: bool = False
    """Recompute activations instead of keeping them: less memory, a third more time."""
    seed: int = 0
    """Of the adapter's start, the order of rows and dropout."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (kind, _, optional) = getattr(self, field.name), str(field.type).partition(" | ")
            fits = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
            if not fits and not (optional and value is None):
                raise UsageError(f"A recipe's {field.name} is of the wrong kind.", found=repr(value), expected=kind)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"A recipe's {field.name} must be finite.", found=repr(value))
        for name in ("learning_rate", "batch_size", "micro_batch_size", "epochs", "max_length", "rank", "alpha"):
            self._require(name, getattr(self, name) > 0, "above 0")
        for name in ("max_steps", "max_seconds"):
            self._require(name, getattr(self, name) is None or getattr(self, name) > 0, "above 0, or left out")
        for name in ("dropout", "warmup"):
            self._require(name, 0 <= getattr(self, name) < 1, "a share from 0 to below 1")
        self._require("max_gradient_norm", self.max_gradient_norm >= 0, "0 (no clipping) or above")
        self._require("evaluations", self.evaluations > 0, "above 0")
        self._require("micro_batch_size", self.batch_size % self.micro_batch_size == 0, "a divisor of batch_size")
        if self.method != "qlora":
            raise UsageError("This method is not known.", found=self.method, expected="qlora")

    def _require(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            raise UsageError(f"A recipe's {name} must be {expected}.", found=str(getattr(self, name)))

    def save(self, path: Path) -> None:
        """Write the recipe as YAML."""
        write_text_atomically(path, yaml.safe_dump(asdict(self), sort_keys=False))

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            UsageError: it is no YAML mapping, names a knob that does not exist or a value that cannot be, or no model.
        """
        try:
            values = yaml.safe_load(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError("The recipe cannot be read.", where=str(path), found=str(error)) from error
        known = {field.name for field in fields(cls)}
        unknown = set(values) - known if isinstance(values, dict) else {"no mapping of knobs"}
        if unknown:
            raise UsageError(
                "The recipe holds something unknown.",
                where=str(path),
                found=", ".join(sorted(unknown)),
                expected=", ".join(sorted(known)),
            )
        if "model" not in values:
            raise UsageError("The recipe names no model.", where=str(path), expected="a line such as `model: embedded`")
        numbers = {field.name for field in fields(cls) if str(field.type).startswith("float")}
        for name in numbers & {name for name, value in values.items() if isinstance(value, str)}:
            with contextlib.suppress(ValueError):  # YAML 1.1 reads 3e-4, without a dot, as text
                values[name] = float(values[name])
        return cls(**values)

    def fitted(self, *, seconds_per_token: float, lengths: Sequence[int]) -> Recipe:
        """The recipe with `max_steps` (and, for few steps, a smaller batch) that keep to `max_seconds`.

        Args:
            seconds_per_token: Forward and backward, as probed on the machine.
            lengths: Tokens of each training row.
        """
        wanted = math.ceil(len(lengths) * self.epochs / self.batch_size)
        if self.max_seconds is None:
            return self
        # On top for the optimiser, padding and validations: a judgement; one run took 1.6 times what was probed.
        per_row = seconds_per_token * (sum(lengths) / len(lengths)) * 1.4
        rows = max(self.max_seconds / per_row, _SMALLEST_BATCH)
        batch = self.batch_size
        while batch > _SMALLEST_BATCH and rows / batch < min(_WANTED_STEPS, wanted):
            batch //= 2
        steps = max(1, min(math.ceil(len(lengths) * self.epochs / batch), int(rows / batch)))
        return replace(
            self,
            batch_size=batch,
            micro_batch_size=math.gcd(self.micro_batch_size, batch),
            learning_rate=self.learning_rate * math.sqrt(batch / self.batch_size),
            max_steps=steps,
        )


def derive_recipe(
    model: str,
    lengths: Sequence[int],
    *,
    hidden_size: int,
    context: int,
    has_accelerator: bool,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Recipe:
    """The default recipe for these rows on this machine.

    Args:
        model: The base model's name.
        lengths: Tokens of each rendered training row.
        hidden_size: The model's width, which sets the learning rate.
        context: Tokens that fit the model.
        has_accelerator: Whether there is a GPU.
        max_seconds: A time budget for the training loop.
        seed: For everything random.
    """
    rows = len(lengths)
    longest = min(max(lengths, default=1), context)
    batch = 8 if rows < 500 else 16
    tokens_at_once = 16_384 if has_accelerator else 4_096
    micro = max(1, min(batch, 2 ** int(math.log2(max(1, tokens_at_once // longest)))))
    return Recipe(
        model=model,
        learning_rate=round(default_learning_rate(hidden_size, batch), 6),
        batch_size=batch,
        micro_batch_size=micro,
        epochs=_epochs(rows),
        max_seconds=max_seconds,
        max_length=longest,
        # Drawing the dropout masks takes a sixth of a step on a CPU (profiled), so steps are worth more there.
        dropout=0.05 if rows < 500 and has_accelerator else 0.0,
        gradient_checkpointing=has_accelerator and hidden_size >= 2048,
        seed=seed,
    )


def default_learning_rate(hidden_size: int, batch_size: int) -> float:
    """tinker-cookbook's rule for LoRA on the Llama family: 5e-4 (2000 / hidden)^0.781, times sqrt(batch / 128).

    Raised by the half, as "LoRA without regret" finds for short runs (15 instead of 10 times the full-tuning rate).
    Below a width of 1024, where the rule was not fitted, it is four times that, at most 2e-3: measured on the embedded
    model and the support desk's rows, 40 steps of 4 rows gave a validation loss of .91 at 5e-4, .75 at 1e-3 and .62 at
    2e-3.
    """
    rate = 1.5 * 5e-4 * (2000 / hidden_size) ** 0.781 * math.sqrt(batch_size / 128)
    return float(rate if hidden_size >= 1024 else min(4 * rate, 2e-3))


def _epochs(rows: int) -> float:
    """SCIENCE section 6: few rows are seen often, many rarely (a judgement, to be tested)."""
    for limit, epochs in ((100, 6.0), (500, 4.0), (2000, 3.0)):
        if rows < limit:
            return epochs
    return 2.0


def describe(recipe: Recipe, rows: int) -> str:
    """The recipe as one sentence for people."""
    length = f"{recipe.max_steps} steps" if recipe.max_steps else f"{recipe.epochs:g} passes"
    budget = f", within {recipe.max_seconds:.0f} s" if recipe.max_seconds else ""
    return (
        f"QLoRA (NF4, rank {recipe.rank}) on {rows} rows: {length} of batches of {recipe.batch_size}, "
        f"learning rate {recipe.learning_rate:.1e}, rows up to {recipe.max_length} tokens{budget}."
    )


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data."""
    return asdict(recipe)
