"""Models that answer held-out rows, as a user names them on the command line, and the rows that they may be asked.

What they answer, and how it is compared, is in `advisor.human`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from advisor.human.automatic import evaluate
from advisor.human.contestants import Contestant, Telling, checkpoint_of
from advisor.human.lineage import TunedArm, named_arm
from advisor.metrics import metric_for, metric_named
from advisor.task import LeakGuard
from app import commands
from app.progress import working
from app.run_reading import find_run, has_artefact, known_runs, model_title
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, RunError, UsageError
from dataset_tools.example import Example
from dataset_tools.task_type import detect_task_type
from training.home import cache
from training.models import embedded
from training.models.loading import default_model
from training.recipe import Recipe
from training.runs.folder import RunFolder

BASE = "base"
PARENT = "parent"
"""The name of a run's parent on the command line, and of the same in run.json."""


def answers_folder() -> Path:
    """Where the answers of contestants are kept."""
    return cache() / "evaluations"


def evaluate_run(
    named: str, *, against: str = BASE, test: Path | None = None, metric: str | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Evaluate a run with progress; what ``--json`` says.

    Raises:
        UsageError: there is no such run or model, or an option is wrong.
        RunError: a run has made nothing that could answer.
        DataError: there is no row that the run was not trained on.
        ModelError: a model cannot be loaded.
    """
    if limit is not None and limit < 1:
        raise UsageError("At least one row is answered.", where="--limit", found=str(limit))
    found = find_run(named)
    one = _of_run(found)
    other, trained = _other(found, against)
    rows, notes = held_out_rows(found, test, trained)
    rows = rows[:limit]
    wanted = [row.completion for row in rows]
    asked = metric or found.status().get("metric")
    chosen = metric_named(str(asked)) if asked else metric_for(detect_task_type(wanted).kind)
    with working(commands.console, f"Answering {len(rows)} rows ...", at_once=True) as say:
        options: dict[str, Any] = {"rows": rows, "metric": chosen, "folder": answers_folder()}
        evaluation = evaluate(one, other, **options, tell=answering(say))
    return {"run": found.path.name, **evaluation.to_dict(), "notes": notes}


def answering(say: Any) -> Telling:
    """Tell how far a contestant is, by what `working` gives."""
    return lambda title, done, total: say(f"{title}: answering {done} of {total}")


def contestants_named(names: Sequence[str]) -> tuple[list[Contestant], list[RunFolder]]:
    """What a user names: ``RUN``, ``RUN@STEP``, ``base``, ``parent``, a model, ``URL#MODEL``; and the runs among them.

    ``base`` is the base of the first run, or this machine's default model where no run is named; ``parent`` is what the
    run before it was tuned again from, on people's votes.

    Raises:
        UsageError: there is no such run, checkpoint or model.
        RunError: a run has made nothing that could answer.
        ModelError: a model cannot be had.
    """
    found: list[Contestant | None] = []
    runs: list[RunFolder] = []
    for name in names:
        if name == BASE:
            found.append(None)
        elif name == PARENT:
            parent = _parent(runs)
            runs.append(parent.run)
            found.append(parent.contestant())
        elif name.startswith(("http://", "https://")):
            found.append(_of_address(name))
        elif name == embedded.NAME or _is_model(name):
            found.append(Contestant(model_title(name), name))
        else:
            run, _, step = name.rpartition("@") if name.rpartition("@")[2].isdigit() else (name, "", "")
            runs.append(find_run(run))
            found.append(checkpoint_of(runs[-1], int(step)) if step else _of_run(runs[-1]))
    base = Recipe.load(runs[0].path / "recipe.yaml").model if runs else default_model()
    return [each or Contestant(model_title(base), base) for each in found], runs


def held_out_rows(
    found: RunFolder | None, test: Path | None, trained: Iterable[RunFolder]
) -> tuple[list[Example], list[str]]:
    """The rows to ask, without those that a run was trained on, and what is to be known of them.

    Args:
        found: the run whose held-out rows are taken where there is no ``test``.
        test: the user's own test rows.
        trained: runs whose training rows, and those nearly equal to them, are left out.

    Raises:
        UsageError: the file of test rows is not there.
        DataError: there is no such row.
    """
    notes = []
    if test is not None:
        given: Sequence[Example] = load_examples(test).examples
    elif found is not None and (found.path / "validation.jsonl").is_file():
        given = [row for row in found.read_rows("validation") if row.desirable is not False]
        notes.append("These rows checked the training as it ran: rows of your own with --test tell more surely.")
    else:
        given = []
    kept, left_out = not_trained_on(given, trained)
    notes += left_out
    if not kept:
        raise DataError(
            "There is no row to evaluate on that was not trained on.",
            where=str(test or (found.path if found else "--test")),
            found=f"{len(given)} rows, all of them trained on" if given else "no held-out row",
            next_step="Give test rows of your own with --test.",
        )
    return kept, notes


def not_trained_on(given: Sequence[Example], trained: Iterable[RunFolder]) -> tuple[list[Example], list[str]]:
    """These rows without those that runs were trained on, or nearly the same; and how many were left out, in words."""
    learnt = [row for run in trained for row in run.read_rows("train")]
    kept = list(LeakGuard(learnt, given).clean(given)) if learnt and given else list(given)
    left = len(given) - len(kept)
    told = f"{left} of {len(given)} rows were left out: they, or nearly the same, were trained on."
    return kept, [told] if left else []


def _of_run(found: RunFolder) -> Contestant:
    """What a run has made.

    Raises:
        RunError: nothing, so far.
    """
    if not has_artefact(found):
        raise RunError(
            "This run has made nothing that could answer.",
            where=str(found.path),
            found=f"state {found.status().get('state')!r}",
            next_step=f"`fitting-room runs show {found.path.name}` tells how it stands.",
        )
    recipe = Recipe.load(found.path / "recipe.yaml")
    return Contestant(found.path.name, recipe.model, found.artefact(recipe.method))


def _other(found: RunFolder, against: str) -> tuple[Contestant, list[RunFolder]]:
    """What a run is held against, and the runs whose training rows must not be asked."""
    if against == BASE:
        model = Recipe.load(found.path / "recipe.yaml").model
        return Contestant(f"its base, {model_title(model)}", model), [found]
    if against == embedded.NAME or _is_model(against):
        return Contestant(model_title(against), against), [found]
    other = find_run(against)
    return _of_run(other), [found, other]


def _parent(runs: Sequence[RunFolder]) -> TunedArm:
    """What the last of these runs goes on from.

    Raises:
        UsageError: it goes on from none that is there.
    """
    found = named_arm(str(runs[-1].status().get(PARENT) or ""), known_runs()) if runs else None
    if found is None:
        raise UsageError(
            "There is no parent to compare with.",
            where="--contestants",
            found=f"{runs[-1].path.name} goes on from no run that is there" if runs else "no run before it",
            expected=f"a run that was tuned again on people's votes: RUN,{PARENT}",
        )
    return found


def _of_address(name: str) -> Contestant:
    """A model behind an address, ``URL#MODEL``; its key, if any, is in FITTING_ROOM_ENDPOINT_KEY.

    Raises:
        UsageError: it names no model, or the address is none.
    """
    url, _, model = name.partition("#")
    if not model.strip():
        raise UsageError(
            "A model behind an address is the address and its name there.",
            where="--contestants",
            found="no model's name",
            expected="http://localhost:11434/v1#qwen3:4b",
        )
    return Contestant(model.strip(), model.strip(), endpoint=url)


def _is_model(name: str) -> bool:
    return os.path.isfile(os.path.join(os.path.expanduser(name), "config.json"))
