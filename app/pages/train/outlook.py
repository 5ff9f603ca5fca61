"""What a drafted recipe would take, and whether it can start: estimated anew at each change, the rows measured once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from app.components.run_form import label_of
from app.components.run_ready import Outlook
from app.pages.data import dataset_at
from app.pages.train.drafting import Choice, Draft, objectives_for
from dataset_tools.errors import FittingRoomError
from training.estimates import estimate
from training.home import home
from training.methods.rows import TrainingRows, training_rows
from training.models.catalogue import CATALOGUE, Entry, entry_for, fits
from training.models.loading import load_tokenizer
from training.models.machine_memory import machine_memory
from training.models.shape import ModelShape
from training.planning import Plan, plan_training
from training.readiness import RowFacts, readiness
from training.recipe import METHODS, Recipe, describe
from training.runs import locks

_UNCUT = 2**31  # more tokens than any row has


@dataclass(frozen=True)
class Measured:
    """The rows of a plan in tokens before any is cut, and the share of them that is trained on."""

    lengths: tuple[int, ...]
    share: float
    shape: ModelShape


@lru_cache(maxsize=8)
def plan_for(data: Path, choice: Choice) -> Plan:
    """The plan for a project's rows. Its files never change, so the last few are kept."""
    examples = dataset_at(data).examples
    objective = choice.objective or first_objective(data)
    return plan_training(examples, model=choice.model, method=choice.method, objective=objective)


@lru_cache(maxsize=8)
def objectives_of(data: Path) -> Mapping[str, str]:
    """Of each objective, why a project's rows do not serve it; empty where they do."""
    return objectives_for(dataset_at(data).examples)


def first_objective(data: Path) -> str:
    """The first objective that a project's rows serve."""
    return next((name for name, why in objectives_of(data).items() if not why), "sft")


@lru_cache(maxsize=8)
def measured(data: Path, choice: Choice) -> Measured:
    """The lengths of the rows that a project's plan trains on."""
    plan = plan_for(data, choice)
    rows = _rows(data, choice, Recipe(plan.recipe.model, objective=plan.recipe.objective, max_length=_UNCUT))
    trained = sum(sum(label >= 0 for label in labels) for labels in rows.columns.get("labels", ()))
    share = trained / sum(rows.lengths) if trained else 0.5
    return Measured(tuple(rows.lengths), share, entry_for(choice.model).shape)


@lru_cache(maxsize=8)
def _cut(data: Path, choice: Choice, longest: int, objective: str) -> tuple[int, int, int]:
    """Rows that are left, and thumbs up and down, where rows are cut to so many tokens."""
    rows = _rows(data, choice, Recipe(choice.model, objective=objective, max_length=longest))
    up = sum(rows.columns.get("label", ()))
    return len(plan_for(data, choice).train) - rows.left_out, up, len(rows) - up


def _rows(data: Path, choice: Choice, recipe: Recipe) -> TrainingRows:
    return training_rows(plan_for(data, choice).train, load_tokenizer(choice.model), recipe)


def outlook_of(data: Path, choice: Choice, drafted: Draft) -> Outlook:
    """What a run with this draft would do and take; what cannot be is among the reasons."""
    plan = plan_for(data, choice)
    recipe = drafted.recipe
    rows, machine, busy = measured(data, choice), machine_memory(), locks.is_taken(home() / "accelerator.lock")
    taken = estimate(recipe, rows.lengths, shape=rows.shape, machine=machine, answer_share=rows.share)
    usable, *thumbs = _cut(data, choice, min(recipe.max_length, max(rows.lengths, default=1)), recipe.objective)
    facts = RowFacts(
        len(plan.train), usable, rows.lengths, len(plan.validation), (thumbs[0], thumbs[1]) if any(thumbs) else (0, 0)
    )
    free = shutil.disk_usage(home()).free
    judged = readiness(recipe, facts, estimate=taken, shape=rows.shape, machine=machine, disk_free=free, busy=busy)
    wrong = tuple(f"{label_of(name)}: {why}" for name, why in drafted.wrong.items())
    return Outlook(
        sentence=describe(recipe, len(plan.train)),
        rows=len(plan.train),
        held_out=len(plan.validation),
        longest=max((min(length, recipe.max_length) for length in rows.lengths), default=0),
        steps=taken.steps,
        tokens=taken.tokens,
        memory=taken.memory,
        memory_parts=taken.memory_parts,
        available=taken.available,
        seconds=taken.seconds,
        basis=taken.basis,
        disk=taken.disk,
        reasons=wrong or judged.reasons,
        warnings=judged.warnings,
    )


def methods_of(data: Path, choice: Choice, lacking: Mapping[str, str]) -> dict[str, str]:
    """Of each method, why it cannot be chosen; empty where it can.

    Args:
        data: The project's rows.
        choice: The choice of the page.
        lacking: What this machine has not got installed for a method.
    """
    recipe, machine = plan_for(data, choice).recipe, machine_memory()
    entry, reasons = entry_for(choice.model), dict(lacking)
    for method in METHODS:
        if not reasons.get(method):
            tried = replace(recipe, method=method, gradient_checkpointing=False, start_from=None)
            fit = fits(entry, machine, recipe=tried)
            reasons[method] = "" if fit.fits else _capital(fit.sentence)
    return reasons


@lru_cache(maxsize=8)
def models_offered(data: Path, choice: Choice) -> tuple[tuple[str, str], ...]:
    """The base models of the catalogue: each one's name, and its licence, size, and whether it fits this machine."""
    recipe = plan_for(data, choice).recipe
    return tuple((entry.id, about_model(entry, recipe)) for entry in CATALOGUE)


def about_model(entry: Entry, recipe: Recipe) -> str:
    """What there is to know of a base model before it is chosen."""
    count = entry.parameters
    size = (
        f"{count / 1e9:,.1f}B" if count >= 1e9 else f"{count / 1e6:,.0f}M" if count >= 1e6 else f"{count / 1e3:,.0f}k"
    )
    terms = "terms to be accepted on the hub" if entry.gated else ""
    facts = [
        entry.title,
        entry.licence or "licence not stated",
        terms,
        f"{size} parameters",
        f"{entry.context:,} tokens of context",
    ]
    with contextlib.suppress(FittingRoomError):  # this machine cannot train so at all, which the card says
        facts.append(fits(entry, machine_memory(), recipe=recipe).sentence)
    return " · ".join(fact for fact in facts if fact)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
