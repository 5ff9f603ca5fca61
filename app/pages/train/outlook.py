"""What a drafted recipe would take, and whether it can start: estimated anew at each change, the rows measured once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from app.components.run_form import label_of
from app.components.run_ready import Outlook
from app.pages.data import dataset_at
from app.pages.train.drafting import Choice, continuing, objectives_for
from dataset_tools import Example, load_examples
from dataset_tools.errors import FittingRoomError
from dataset_tools.formats import kto
from training.models.catalogue import CATALOGUE, Entry, entry_for, fits
from training.models.machine_memory import machine_memory
from training.planning import Plan, plan_training, replan, row_facts
from training.readiness import RowFacts
from training.recipe import METHODS, Recipe


@lru_cache(maxsize=8)
def plan_for(data: Path, choice: Choice) -> Plan:
    """The plan for a project's rows. Its files never change, so the last few are kept."""
    objective = choice.objective or first_objective(data)
    examples = [row for row in _all_rows(data) if objective == "kto" or row.desirable is not False]
    plan = plan_training(examples, model=choice.model, method=choice.method, objective=objective)
    return replan(plan, continuing(plan.recipe, Path(choice.start_from))) if choice.start_from else plan


@lru_cache(maxsize=8)
def objectives_of(data: Path) -> Mapping[str, str]:
    """Of each objective, why a project's rows do not serve it; empty where they do."""
    return objectives_for(_all_rows(data))


@lru_cache(maxsize=2)
def _all_rows(data: Path) -> tuple[Example, ...]:
    """A project's rows, those with a thumb down among them, which other pages do not want to see."""
    found = dataset_at(data)
    return load_examples(data, thumbs_down=True).examples if found.format == kto.NAME else found.examples


def first_objective(data: Path) -> str:
    """The first objective that a project's rows serve."""
    return next((name for name, why in objectives_of(data).items() if not why), "sft")


@lru_cache(maxsize=8)
def _facts(data: Path, choice: Choice, longest: int) -> RowFacts:
    """What is left of a project's rows where they are cut to so many tokens."""
    return row_facts(plan_for(data, choice), longest)


def drafted_plan(data: Path, choice: Choice, recipe: Recipe) -> Plan:
    """The plan for a project's rows with a recipe that was changed; the rows are measured once."""
    return replan(plan_for(data, choice), recipe, facts=_facts(data, choice, recipe.max_length))


def outlook_of(plan: Plan, wrong: Mapping[str, str]) -> Outlook:
    """What a run with this plan would do and take; what cannot be, of the plan or of a knob, is among the reasons."""
    taken = plan.estimate
    return Outlook(
        sentence=plan.sentence,
        rows=len(plan.train),
        held_out=len(plan.validation),
        longest=plan.longest,
        steps=taken.steps,
        tokens=taken.tokens,
        memory=taken.memory,
        memory_parts=taken.memory_parts,
        available=taken.available,
        seconds=taken.seconds,
        basis=taken.basis,
        disk=taken.disk,
        reasons=tuple(f"{label_of(name)}: {why}" for name, why in wrong.items()) or plan.readiness.reasons,
        warnings=plan.readiness.warnings,
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
