"""What ``fitting-room train`` and ``distill`` do, and how their results look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from advisor.distillation import distill
from advisor.request import check_choices, require_model
from advisor.training_worker import WORKER, scorer_for
from app.commands import PREPARING_LINE, console, escape, input_file, is_unprepared, output
from app.progress import TerminalProgress, working
from dataset_tools import Example, UsageError, load_examples, write_jsonl
from dataset_tools.formats import format_named
from training.mixing import mix, shares
from training.models.loading import default_model, load_model
from training.planning import Plan, plan_training, replan
from training.recipe import Recipe, to_dict
from training.runs.supervisor import start_training, watch

# A teacher's answer is cut off at so many tokens: far above what tasks with a wanted answer need.
_TEACHER_TOKENS = 512


@dataclass(frozen=True)
class TrainingWishes:
    """What the user wants of a training run; None and empty mean that it is derived from the rows.

    Attributes:
        model: The base model.
        recipe: A recipe.yaml in place of a derived recipe.
        method: What is trained, of a derived recipe.
        objective: What is learnt, of a derived recipe.
        knobs: ``NAME=VALUE`` for single knobs of the recipe.
        also: ``FILE=WEIGHT`` for further files that are mixed in.
        minutes: A time budget.
        columns: Which column holds what.
        seed: For everything random.
    """

    model: str | None = None
    recipe: Path | None = None
    method: str = "qlora"
    objective: str = "sft"
    knobs: Sequence[str] = ()
    also: Sequence[str] = ()
    minutes: float | None = None
    columns: dict[str, str] | None = None
    seed: int = 0


def train_file(file: Path, wishes: TrainingWishes, *, out: Path | None = None) -> dict[str, Any]:
    """Train on a file's rows with progress bars; the result as ``train --json`` gives it.

    What is wrong with the options is told first, and what is wrong with the rows before a model is prepared.
    """
    check_choices(budget_minutes=wishes.minutes, columns=wishes.columns)
    chosen = Recipe.load(wishes.recipe) if wishes.recipe else None
    named = wishes.model or (chosen.model if chosen else default_model())
    given = with_knobs(chosen or Recipe(named, method=wishes.method, objective=wishes.objective), wishes.knobs)
    _require_free(out)
    with working(console, f"Looking for the model {named} ..."):
        require_model(named)
    path = input_file(file)
    with working(console, f"Reading {path.name} ..."):
        examples = _mixed(path, wishes, objective=given.objective)
    unprepared = is_unprepared(named)
    with working(console, PREPARING_LINE if unprepared else "Planning the training ...", at_once=unprepared):
        plan = _plan(examples, wishes, given, chosen=chosen, model=named)
    console.print(plan.sentence, highlight=False)
    for warning in plan.readiness.warnings:
        console.print(f"Note: {warning}", highlight=False)
    if not plan.readiness.ready:
        raise UsageError("This training cannot start.", found=" ".join(plan.readiness.reasons))
    facts: dict[str, Any] = {"estimate": plan.estimate.promised, "title": file.stem}
    run = start_training(plan.recipe, plan.train, validation=plan.validation, folder=out, worker=WORKER, **facts)
    with TerminalProgress(console) as progress:
        return watch(run, progress)


def _plan(
    examples: Sequence[Example], wishes: TrainingWishes, given: Recipe, *, chosen: Recipe | None, model: str
) -> Plan:
    seconds = wishes.minutes * 60 if wishes.minutes else None
    options: dict[str, Any] = {"model": model, "max_seconds": seconds, "seed": wishes.seed}
    if chosen is not None:
        recipe = replace(given, model=model, max_seconds=seconds) if seconds else replace(given, model=model)
        return plan_training(examples, **options, recipe=recipe)
    plan = plan_training(examples, **options, method=given.method, objective=given.objective)
    return replan(plan, with_knobs(plan.recipe, wishes.knobs)) if wishes.knobs else plan


def with_knobs(recipe: Recipe, knobs: Sequence[str]) -> Recipe:
    """The recipe with single knobs changed, each given as ``NAME=VALUE`` with a value as in a recipe.yaml.

    Raises:
        UsageError: there is no such knob, or it cannot have this value.
    """
    known, changes = to_dict(recipe), dict[str, Any]()
    for text in knobs:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(
                "There is no such knob.",
                where="--set",
                found=text,
                expected=f"NAME=VALUE, with one of {', '.join(known)}",
            )
        changes[name] = _value(value, like=known[name])
    return replace(recipe, **changes) if changes else recipe


def _value(text: str, *, like: Any) -> Any:
    """A value as YAML reads it; a number such as 3e-4, which YAML takes for text, as a number."""
    value = yaml.safe_load(text)
    if isinstance(value, str) and not isinstance(like, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _mixed(path: Path, wishes: TrainingWishes, *, objective: str) -> Sequence[Example]:
    """The file's rows, and those of the files to mix in, by their weights (the file's own is 1)."""
    sources = [(_rows(path, wishes.columns, objective=objective), 1.0)]
    for text in wishes.also:
        name, _, weight = text.rpartition("=")
        if not name or not weight.replace(".", "", 1).isdigit():
            raise UsageError("This is no file with a weight.", where="--also", found=text, expected="FILE=WEIGHT")
        sources.append((_rows(input_file(Path(name)), None, objective=objective), float(weight)))
    if len(sources) == 1:
        return sources[0][0]
    names = [path.name, *(Path(text.rpartition("=")[0]).name for text in wishes.also)]
    told = (f"{share.taken} rows of {name}" for name, share in zip(names, shares(sources), strict=True))
    console.print(f"Mixed: {', '.join(told)}.", highlight=False)
    return mix(sources, seed=wishes.seed)


def _rows(path: Path, columns: dict[str, str] | None, *, objective: str) -> Sequence[Example]:
    return load_examples(path, columns=columns, thumbs_down=objective == "kto").examples


def _require_free(folder: Path | None) -> None:
    """Refuse a folder for a run that holds something: a run writes files with names such as train.jsonl into it."""
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError("This is a file, not a folder.", where=str(folder), next_step="Choose a folder with --out.")
    if any(folder.iterdir()):
        held = "a run already" if (folder / "run.json").exists() else "other files"
        raise UsageError(
            f"This folder holds {held}.",
            where=str(folder),
            found=", ".join(sorted(path.name for path in folder.iterdir())[:6]),
            expected="a new folder, or an empty one",
            next_step="Choose another folder with --out, or leave it out.",
        )


def distill_file(
    file: Path,
    out: Path,
    *,
    teacher: str,
    demonstrations: int = 4,
    at_least: float = 0.5,
    columns: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write a file of rows whose answers are a teacher's: those that score well against the wanted ones."""
    from advisor.answering import LocalAnswerer

    if out.exists():
        raise UsageError("This file is there already.", where=str(out), next_step="Choose another name with --out.")
    require_model(teacher)
    examples = load_examples(input_file(file), columns=columns).examples
    if not 0 <= demonstrations < len(examples):
        raise UsageError(
            "So many demonstrations cannot be shown.", found=str(demonstrations), expected="fewer than rows"
        )
    with working(console, f"Loading the teacher {teacher} ...", at_once=True):
        answerer = LocalAnswerer(load_model(teacher))
    with console.status("The teacher answers ...") as status:
        made = distill(
            examples,
            answerer,
            max_new_tokens=_TEACHER_TOKENS,
            demonstrations=examples[:demonstrations],
            scorer=scorer_for(examples),
            at_least=at_least,
            progress=lambda done, total: status.update(f"The teacher has answered {done} of {total} ..."),
        )
    form = format_named("messages")
    write_jsonl(out, [form.from_example(example) for example in made.examples])
    return {"file": str(out), "rows": len(made.examples), "asked": made.asked, "left_out": made.left_out}


def alive_text(alive: bool | None) -> str:
    """Whether an adapter does anything, in the terminal's colours; None where that was not looked at."""
    if alive is None:
        return "not compared with its base"
    return "[green]alive[/]" if alive else "[red]dead: its answers are the base's[/]"


def print_training(result: dict[str, Any]) -> None:
    """A training run's outcome for people."""
    health = result["health"]
    alive = alive_text(health["alive"])
    output.print(f"{result['state'].capitalize()}: {result['steps']} steps in {result['seconds']:.0f} s")
    if result["validation_loss"] is not None and result["loss"] is not None:
        output.print(f"loss {result['loss']:.3f}, validation loss {result['validation_loss']:.3f}")
    rate = health["stop_rate"]
    ends = (
        "whether answers end was not looked at" if rate is None else f"{rate:.0%} of held-out answers end by themselves"
    )
    output.print(f"adapter {alive}; {ends}")
    for finding in health.get("card", ()):
        if finding["light"] in ("amber", "red"):
            style = "yellow" if finding["light"] == "amber" else "red"
            output.print(f"[{style}]{finding['light']}[/]: {escape(finding['title'])}: {escape(finding['reason'])}")
    output.print(f"Adapter: {escape(result['adapter'])}", highlight=False, soft_wrap=True)
    output.print(f"Next: fitting-room export {escape(result['run'])} --to gguf", highlight=False, soft_wrap=True)


def print_distilled(result: dict[str, Any]) -> None:
    """What a teacher's answers came to, for people."""
    output.print(f"{result['rows']} of {result['asked']} answers are kept as rows: {escape(result['file'])}")
    for reason, count in result["left_out"].items():
        output.print(f"left out: {count} {escape(reason)}")
