"""Runs that learn from people's votes: which tuned model they go on from, and how they are started. No components.

A model that was voted on is trained further, not its base: what people liked of it stays, and DPO and KTO hold the new
one to where it started.
"""

from __future__ import annotations

from typing import Any

from advisor.human import Session, TunedArm, VoteStore, parent_of
from advisor.training_worker import WORKER
from app.commands import is_unprepared
from app.contestants import PARENT
from app.pages.train.drafting import Choice
from app.pages.train.outlook import plan_for
from app.run_reading import known_runs
from app.tuned_again import FROM_VOTES
from app.workspace import Project
from dataset_tools.errors import FittingRoomError
from training.models.loading import default_model
from training.planning import Plan
from training.recipe import OBJECTIVES, Recipe
from training.runs.folder import RunFolder
from training.runs.supervisor import start_training


def choice_for(objective: str | None, votes: str | None = None) -> Choice | None:
    """The choice of a page whose address names an objective, and perhaps a session of votes; None where it names none.

    A session that is not there, or is open, is none: its arms are not told.
    """
    if not objective or objective not in OBJECTIVES:
        return None
    try:
        with VoteStore.open() as store:
            session = store.session(votes) if votes else None
            parent = parent_in(store, session) if session is not None else None
    except FittingRoomError:
        session = parent = None
    if session is None or session.closed is None:
        return Choice(default_model(), objective=objective)
    return choice_after(session, parent, objective)


def parent_in(store: VoteStore, session: Session) -> TunedArm | None:
    """The tuned model that is trained further on a session's votes; None where none took part, or it is gone."""
    return parent_of(session, store.votes(session.id), known_runs())


def choice_after(session: Session, parent: TunedArm | None, objective: str) -> Choice:
    """What is trained on the votes of a session: its parent further, or where there is none the default model.

    Raises:
        UsageError: the parent is gone by now.
        RunError: likewise.
    """
    if parent is None:
        return Choice(default_model(), objective=objective, votes=session.id)
    recipe, made = parent.recipe(), str(parent.contestant().adapter)
    about: dict[str, Any] = {"objective": objective, "votes": session.id, "parent": parent.name}
    if recipe.method == "full":  # a model by itself: it is the base of what comes after it
        return Choice(made, method="full", **about)
    return Choice(recipe.model, method=recipe.method, start_from=made, **about)


def goes_on(choice: Choice, recipe: Recipe) -> bool:
    """Whether a recipe trains the choice's parent further; the user may have taken that out."""
    if not choice.parent:
        return False
    return recipe.start_from == choice.start_from if choice.start_from else recipe.model == choice.model


def begin_run(project: Project, plan: Plan, choice: Choice) -> RunFolder:
    """Start a run of a project in a process of its own; its folder says which votes and which parent it has.

    Raises:
        RunError: it cannot be started.
    """
    facts: dict[str, Any] = {"estimate": plan.estimate.promised, "title": project.title}
    facts |= {FROM_VOTES: choice.votes} if choice.votes else {}
    facts |= {PARENT: choice.parent} if goes_on(choice, plan.recipe) else {}
    run = start_training(plan.recipe, plan.train, validation=plan.validation, worker=WORKER, **facts)
    project.with_run(run)
    return run


def begun(project: Project, choice: Choice) -> RunFolder | None:
    """Start a run with derived settings; None where it cannot be started so, which the Train page explains.

    A model that has to be prepared first, which takes minutes, is prepared there too, where it is told.
    """
    if is_unprepared(choice.model):
        return None
    try:
        plan = plan_for(project.training_path, choice)
    except FittingRoomError:
        return None
    served = plan.recipe.objective == choice.objective and not plan.readiness.reasons
    return begin_run(project, plan, choice) if served else None
