"""Whether a run can start, and if not, why and which knob to turn. It looks at figures alone; nothing is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_tools.errors import FittingRoomError
from training.estimates import Estimate, checkpoint_bytes
from training.methods.adapters import check_continues
from training.methods.arguments import precision_of
from training.models.catalogue import CATALOGUE
from training.models.machine_memory import MachineMemory
from training.models.memory import largest_micro_batch, memory_needed
from training.models.shape import ModelShape
from training.recipe import Recipe

# Rows and steps below which little is learnt, and the share of the free memory above which it is close: judgements.
_FEW_ROWS, _FEW_STEPS, _CLOSE = 50, 60, 0.85
# A row cut to fewer tokens than this holds no task any more.
_SHORTEST = 64


@dataclass(frozen=True)
class RowFacts:
    """What a run would get of its rows.

    ``total`` rows are there to train on, ``usable`` of them teach something with this recipe; ``lengths`` are the
    usable rows' tokens before any is cut. ``thumbs`` counts wanted and unwanted answers (kto). ``held_out`` rows are
    kept for validation.
    """

    total: int
    usable: int
    lengths: Sequence[int]
    held_out: int
    thumbs: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Readiness:
    """Whether a run can start: the reasons why not, and what is worth knowing if it can; each is a sentence."""

    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.reasons

    @property
    def sentence(self) -> str:
        """Readiness in words, with all reasons."""
        return "Ready." if self.ready else f"Not ready, because: {' '.join(self.reasons)}"


def readiness(
    recipe: Recipe,
    rows: RowFacts,
    *,
    estimate: Estimate,
    shape: ModelShape,
    machine: MachineMemory,
    disk_free: int,
    busy: bool = False,
) -> Readiness:
    """Judge a run by its figures.

    Args:
        recipe: How it would train.
        rows: What it would get of its rows.
        estimate: What it would take.
        shape: The base model's.
        machine: What it would run on.
        disk_free: Bytes that are free where runs are kept.
        busy: Whether another run is at work, for whose end it would wait.
    """
    reasons = (
        *_rows(recipe, rows, shape),
        *_recipe(recipe, shape, machine),
        *_memory(recipe, rows, estimate, shape, machine),
        *_disk(recipe, estimate, shape, machine, disk_free),
    )
    return Readiness(reasons, tuple(_warnings(recipe, rows, estimate, shape, busy=busy)))


def _rows(recipe: Recipe, rows: RowFacts, shape: ModelShape) -> Iterator[str]:
    if rows.total < 2:
        yield f"There are too few rows to train on ({rows.total}): collect 2 at the very least, 50 to learn anything."
    elif rows.usable == 0:
        yield _why_none(recipe, rows.total, room=recipe.max_length < shape.context)
    elif rows.usable < 2:
        yield f"Only one of {rows.total} rows teaches anything with the objective {recipe.objective}: add more of them."
    elif recipe.objective == "kto" and 0 in rows.thumbs:
        way = "down" if rows.thumbs[0] == 0 else "up"
        yield (
            f"All {sum(rows.thumbs)} thumbs point {way}, so kto has nothing to tell apart: add answers of the other "
            "kind, or choose the objective sft for wanted ones."
        )


def _why_none(recipe: Recipe, total: int, *, room: bool) -> str:
    limit = f"{recipe.max_length} tokens"
    cure = "raise max_length, or shorten the prompts" if room else "the model holds no more, so shorten the prompts"
    if recipe.objective == "dpo":
        return (
            f"None of {total} rows has a better and a worse answer that fit {limit}, which dpo learns from: "
            "choose the objective sft, or add rejected answers."
        )
    if recipe.objective == "grpo":
        return f"None of {total} prompts is shorter than {limit}: {cure}."
    return f"All {total} rows lose their answer when they are cut to {limit}: {cure}."


def _recipe(recipe: Recipe, shape: ModelShape, machine: MachineMemory) -> Iterator[str]:
    virtual = recipe.virtual_tokens if recipe.method in ("prefix", "prompt") else 0
    drawn = recipe.max_completion if recipe.objective == "grpo" else 0
    if recipe.max_length + virtual + drawn > shape.context:
        yield (
            f"Rows of {recipe.max_length + virtual + drawn} tokens do not fit the model, which holds {shape.context}: "
            f"set max_length to {max(1, shape.context - virtual - drawn)} or less."
        )
    if recipe.report_to != "none" and importlib.util.find_spec(recipe.report_to) is None:
        yield f"{recipe.report_to} is not installed: pip install {recipe.report_to}, or set report_to to none."
    try:
        precision_of(recipe, machine.device)
        if recipe.start_from is not None:
            check_continues(Path(recipe.start_from).expanduser(), recipe)
    except FittingRoomError as error:
        yield " ".join(part for part in (error.what, error.next_step or f"Choose {error.expected}.") if part)


def _memory(
    recipe: Recipe, rows: RowFacts, estimate: Estimate, shape: ModelShape, machine: MachineMemory
) -> Iterator[str]:
    if estimate.memory <= machine.free or not rows.usable:
        return
    free = f"{machine.name} has {_gb(machine.total)}:"
    if estimate.memory <= machine.total:
        free = f"{_gb(machine.free)} of {machine.name}'s {_gb(machine.total)} are free: close other programs, or"
    advice = what_would_fit(recipe, rows, shape, machine)
    yield f"It needs about {_gb(estimate.memory)} of memory, and {free} {advice}."


def what_would_fit(recipe: Recipe, rows: RowFacts, shape: ModelShape, machine: MachineMemory) -> str:
    """The least change to a recipe that lets it fit the free memory, as an advice that names the knobs.

    Fewer rows at once come first, as they change nothing of what is learnt; then activations computed twice, 4-bit
    weights, shorter rows, and at last a smaller model (SCIENCE 6).
    """

    def fewer_rows(changed: Recipe) -> int:
        return largest_micro_batch(changed, shape, lengths=rows.lengths, machine=machine)

    if found := fewer_rows(recipe):
        return f"set micro_batch_size to {found}"
    again = replace(recipe, gradient_checkpointing=recipe.method != "prefix")
    if found := fewer_rows(again):
        return f"set gradient_checkpointing to true and micro_batch_size to {found}"
    packed = replace(again, method="qlora", gradient_checkpointing=True, start_from=None)
    if recipe.method != "qlora" and (found := fewer_rows(packed)):
        return f"choose the method qlora, with gradient_checkpointing and micro_batch_size {found}"
    length = min(max(rows.lengths, default=recipe.max_length), recipe.max_length) // 2
    while length >= _SHORTEST:
        if found := fewer_rows(replace(again, max_length=length)):
            return f"lower max_length to {length}, with gradient_checkpointing and micro_batch_size {found}"
        length //= 2
    small = replace(again, micro_batch_size=2 if recipe.objective == "kto" else 1)
    fitting = [entry for entry in CATALOGUE if memory_needed(small, entry.shape, machine=machine) <= machine.free]
    if fitting:
        return f"choose a smaller model, such as {max(fitting, key=lambda entry: entry.parameters).id}"
    return "use a machine with more memory"


def _disk(recipe: Recipe, estimate: Estimate, shape: ModelShape, machine: MachineMemory, free: int) -> Iterator[str]:
    two = 2 * checkpoint_bytes(recipe, shape, machine=machine)
    if free < two:
        yield (
            f"The disk has {_gb(free)} free, and two checkpoints take {_gb(two)}: free some space, or let "
            "FITTING_ROOM_HOME lie on a larger disk."
        )
    elif free < estimate.disk:
        fewer = " or lower checkpoints_kept," if recipe.checkpoints_kept > 2 else ""
        yield (
            f"The disk has {_gb(free)} free, and the run writes up to {_gb(estimate.disk)}: free some space,{fewer} or "
            "let FITTING_ROOM_HOME lie on a larger disk."
        )


def _warnings(recipe: Recipe, rows: RowFacts, estimate: Estimate, shape: ModelShape, *, busy: bool) -> Iterator[str]:
    cut = sum(length > recipe.max_length for length in rows.lengths)
    if busy:
        yield "Another run is at work; this one will wait for its end."
    if 2 <= rows.usable < _FEW_ROWS:
        yield f"{rows.usable} rows are few: 50 and more teach a task, some hundred teach it well."
    if 0 < rows.usable < rows.total:
        yield f"{rows.total - rows.usable} of {rows.total} rows teach nothing with this recipe and are left out."
    if cut:
        room = "raise max_length" if recipe.max_length < shape.context else "the model holds no more"
        yield f"{cut} rows are longer than {recipe.max_length} tokens and lose their end: {room}."
    if rows.held_out == 0:
        yield "No rows are held out, so nothing tells when to stop or which checkpoint is best."
    if estimate.steps < _FEW_STEPS:
        yield f"{estimate.steps} steps are few: below about {_FEW_STEPS} an adapter has learnt little."
    if _CLOSE * estimate.available < estimate.memory <= estimate.available:
        yield (
            f"The memory is close: about {_gb(estimate.memory)} of {_gb(estimate.available)}. Where it runs out, the "
            "run goes on with fewer rows at once."
        )
    if recipe.objective == "grpo":
        yield "The objective grpo needs the task's metric as its reward."


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size < 10e9 else f"{size / 1e9:.0f} GB"
