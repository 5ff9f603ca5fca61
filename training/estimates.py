"""What a training run will take, before it is started: memory by part, steps, tokens, time and disk.

Memory and disk follow from the recipe and the model's shape. The time needs a speed: that of the last runs of this
model here, else a matrix product that is timed once. The dry run replaces all of it by facts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.errors import FittingRoomError
from dataset_tools.writing import write_text_atomically
from training.home import cache, home
from training.methods.arguments import dtype_of, optimizer_of
from training.models.machine_memory import MachineMemory
from training.models.memory import OPTIMIZER_BYTES, memory_parts
from training.models.shape import ModelShape
from training.recipe import LORA_LIKE, Recipe
from training.runs.folder import RunFolder

UNKNOWN = "not known before the dry run"
# How many of the last runs a speed is taken from.
_RUNS = 3
# Share of a matrix product's rate that training reaches. On a GPU from SCIENCE 6 (20% of the peak in 4 bits, 31% else,
# PEFT's bench; a large product reaches about 80% of it). On a CPU measured: embedded model, one core, bf16.
_EFFICIENCY_GPU_4BIT, _EFFICIENCY_GPU, _EFFICIENCY_CPU = 0.25, 0.39, 0.5
# Going through the weights costs, besides its tokens, as much as so many more (unpacking, small operations). Measured
# on a CPU as above: 4 parts of 135 tokens took 1.6 times as long as one of 540.
_TOKENS_PER_PASS = 150
# Seconds to time a product, and the rows of it.
_PATIENCE, _PRODUCT_ROWS = 0.25, 512
# Rows, events, samples and logs of a run.
_PAPERS = 20_000_000
# Keys of a recipe that change the speed by much.
_ALIKE = ("model", "method", "objective", "precision", "gradient_checkpointing")


@dataclass(frozen=True)
class Estimate:
    """What a run will take: bytes of memory and disk, seconds of its steps (None: not known).

    ``memory_parts`` is what `memory_parts` gives, ``memory`` its sum and ``available`` what is free. ``tokens`` are
    those of all steps. ``basis`` says in words where the time comes from.
    """

    memory_parts: dict[str, int]
    memory: int
    available: int
    steps: int
    tokens: int
    seconds: float | None
    disk: int
    basis: str

    @property
    def promised(self) -> dict[str, Any]:
        """The figures that a run is held against, for its run.json."""
        return {"memory": self.memory, "seconds": self.seconds, "disk": self.disk}

    @property
    def time_sentence(self) -> str:
        """The time in words."""
        if self.seconds is None:
            return UNKNOWN
        minutes = self.seconds / 60
        for limit, value, unit in ((1.5, self.seconds, "seconds"), (90, minutes, "minutes")):
            if minutes < limit:
                return f"about {max(1, round(value))} {unit if round(value) > 1 else unit[:-1]}"
        return f"about {minutes / 60:.1f} hours"


def estimate(
    recipe: Recipe,
    lengths: Sequence[int],
    *,
    shape: ModelShape,
    machine: MachineMemory,
    answer_share: float = 0.5,
    tokens_per_second: float | None = None,
) -> Estimate:
    """Estimate a run.

    Args:
        recipe: How it trains.
        lengths: Tokens of each training row (of a pair: of its longer half).
        shape: The base model's.
        machine: What it runs on.
        answer_share: Share of the tokens that are trained on; the output head is computed for those alone.
        tokens_per_second: The speed, where it is known; else it is looked for here.

    Raises:
        UsageError: the machine cannot train in the recipe's precision.
    """
    cut = [min(length, recipe.max_length) for length in lengths] or [recipe.max_length]
    parts = memory_parts(recipe, shape, machine=machine, longest=max(cut))
    steps = recipe.steps(len(lengths))
    mean = sum(cut) / len(cut)
    speed, basis = tokens_per_second, "the speed that was given"
    if speed is None:
        speed, basis = _speed(recipe, shape, machine, mean=mean, answer_share=answer_share)
    seconds = None if speed is None else steps * recipe.batch_size * mean / speed
    if recipe.max_seconds is not None and recipe.max_steps is None:
        seconds, basis = min(seconds or recipe.max_seconds, recipe.max_seconds), "the time budget"
        if speed is not None:
            steps = max(1, min(steps, int(seconds * speed / (recipe.batch_size * mean))))
    return Estimate(
        parts,
        sum(parts.values()),
        machine.free,
        steps,
        round(steps * recipe.batch_size * mean),
        seconds,
        disk_needed(recipe, shape, machine=machine),
        basis,
    )


def checkpoint_bytes(recipe: Recipe, shape: ModelShape, *, machine: MachineMemory) -> int:
    """The size of one checkpoint: what is trained in float32, and what the optimiser keeps of it."""
    return int((4 + OPTIMIZER_BYTES[optimizer_of(recipe, machine.device)]) * shape.trainable(recipe))


def disk_needed(recipe: Recipe, shape: ModelShape, *, machine: MachineMemory) -> int:
    """Bytes that a run writes: its checkpoints, one more while it is being written, and what it leaves behind."""
    size = (2 if dtype_of(recipe, machine.device) != "float32" else 4) if recipe.method == "full" else 4
    artefact = size * shape.trainable(recipe)
    return (recipe.checkpoints_kept + 1) * checkpoint_bytes(recipe, shape, machine=machine) + artefact + _PAPERS


def past_speed(recipe: Recipe) -> float | None:
    """Tokens a second that the last runs like this one reached on this machine; None where there was none.

    Like this one are finished runs of the same model, method, objective, precision and checkpointing; of the last three
    the middle one counts, as any of them may have shared the machine with other work.
    """
    found: list[float] = []
    for file in sorted((home() / "runs").glob("*/run.json"), reverse=True):
        run = RunFolder(file.parent)
        try:
            status = run.status()
            speed = (status.get("result") or {}).get("tokens_per_second")
            if status.get("state") != "done" or status.get("model") != recipe.model or not speed:
                continue
            past = Recipe.load(run.path / "recipe.yaml")
        except FittingRoomError:  # a run of another version, or half deleted
            continue
        if all(getattr(past, name) == getattr(recipe, name) for name in _ALIKE):
            found.append(float(speed))
        if len(found) == _RUNS:
            break
    return statistics.median(found) if found else None


def _speed(
    recipe: Recipe, shape: ModelShape, machine: MachineMemory, *, mean: float, answer_share: float
) -> tuple[float | None, str]:
    past = past_speed(recipe)
    if past is not None:
        return past, "the last runs of this model on this machine"
    if recipe.objective == "grpo":  # most of it is drawing answers, one token after the other
        return None, UNKNOWN
    if recipe.objective != "sft" and not machine.device.has_accelerator:
        answer_share = 1.0  # without Triton, trl computes the head for every token
    rate = product_rate(shape, machine, dtype=dtype_of(recipe, machine.device))
    operations = operations_per_token(recipe, shape, width=mean, answer_share=answer_share)
    return rate * efficiency(recipe, machine, tokens=mean * recipe.micro_batch_size) / operations, (
        "a matrix product that was timed here; the dry run will tell better"
    )


def efficiency(recipe: Recipe, machine: MachineMemory, *, tokens: float) -> float:
    """The share of a matrix product's rate that training reaches with so many tokens at once."""
    if machine.device.has_accelerator:
        return _EFFICIENCY_GPU_4BIT if recipe.method == "qlora" else _EFFICIENCY_GPU
    return _EFFICIENCY_CPU * tokens / (tokens + _TOKENS_PER_PASS)


def operations_per_token(recipe: Recipe, shape: ModelShape, *, width: float, answer_share: float) -> float:
    """Floating-point operations of training on one token of a row.

    2 for each number of the model forward, 2 backward, 2 for its own gradient where it is trained, 2 once more where
    activations are computed twice (arxiv.org/abs/2001.08361; SCIENCE 6 for frozen weights); attention 2 of the 4 times
    layers, width and row length forward that arxiv.org/abs/2204.02311 (appendix B) has, as the future is left out.

    Args:
        recipe: How it trains.
        shape: The base model's.
        width: Tokens of a row.
        answer_share: Share of the tokens that the output head is computed for.
    """
    full, again = recipe.method == "full", 1 if recipe.gradient_checkpointing else 0
    head = shape.vocabulary * shape.hidden_size * answer_share
    attention = 2 * shape.layers * shape.attention_width * width
    forward = 2 * (shape.linear_parameters + head) + attention
    backward = (4 if full else 2) * (shape.linear_parameters + head) + 2 * attention
    adapters = 6 * shape.trainable(recipe) if recipe.method in LORA_LIKE else 0
    once = forward * (1 + again) + backward + adapters
    # dpo: two answers, each by the reference as well. kto: the reference, and both once more on mismatched answers.
    return {"dpo": 2 * (once + forward), "kto": once + 3 * forward}.get(recipe.objective, once)


def product_rate(shape: ModelShape, machine: MachineMemory, *, dtype: str) -> float:
    """Operations a second of a matrix product of the model's widths on this machine, timed once and kept in the cache.

    Args:
        shape: The model's.
        machine: What computes.
        dtype: The torch dtype, by name.
    """
    import torch

    device = torch.cuda.get_device_name() if machine.device.has_accelerator else f"cpu/{torch.get_num_threads()}"
    key = f"{device}/{torch.__version__}/{dtype}/{shape.hidden_size}x{shape.ffn}"
    file = cache() / "product_rates.json"
    known = _rates_in(file)
    if key in known:
        return known[key]
    rate = _timed_product(shape, device=machine.device.device, dtype=dtype)
    write_text_atomically(file, json.dumps({**known, key: rate}, indent=2) + "\n")
    return rate


def _rates_in(file: Path) -> dict[str, float]:
    """The rates that were timed before; none where the file is not there or not ours."""
    try:
        return {str(key): float(rate) for key, rate in json.loads(file.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _timed_product(shape: ModelShape, *, device: str, dtype: str) -> float:
    """The best rate of some products within a quarter of a second: the least disturbed one."""
    import torch

    rows = _PRODUCT_ROWS if device == "cpu" else 8 * _PRODUCT_ROWS
    kind = getattr(torch, dtype)
    states = torch.ones(rows, shape.hidden_size, dtype=kind, device=device)
    weights = torch.ones(shape.hidden_size, shape.ffn, dtype=kind, device=device)
    best, end = float("inf"), None
    while end is None or time.perf_counter() < end:
        began = time.perf_counter()
        states @ weights
        if states.is_cuda:
            torch.cuda.synchronize()
        if end is None:  # the first one warms up
            end = time.perf_counter() + _PATIENCE
        else:
            best = min(best, time.perf_counter() - began)
    return 2 * rows * shape.hidden_size * shape.ffn / best
