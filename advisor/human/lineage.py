"""Which of a session's arms are tuned models, and which of them a model is tuned again from. It trains nothing."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.human.contestants import Contestant, checkpoint_of
from advisor.human.session import Session
from advisor.human.votes import Vote, counted
from dataset_tools.errors import RunError, UsageError
from training.recipe import Recipe
from training.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class TunedArm:
    """An arm of a session that a training run has made.

    Attributes:
        arm: its name in the session.
        run: the run.
        step: the step of the run's checkpoint; None for what the run made in the end.
    """

    arm: str
    run: RunFolder
    step: int | None = None

    @property
    def name(self) -> str:
        """What a user calls it: ``RUN``, or ``RUN@STEP``."""
        return self.run.path.name + (f"@{self.step}" if self.step is not None else "")

    def recipe(self) -> Recipe:
        """How it was trained.

        Raises:
            UsageError: the recipe is gone, or no recipe any more.
        """
        return Recipe.load(self.run.path / "recipe.yaml")

    def contestant(self) -> Contestant:
        """What answers for it; its adapter is a folder with its recipe beside.

        Raises:
            UsageError: the checkpoint or the recipe is gone.
            RunError: the run has left no model.
        """
        if self.step is not None:
            return checkpoint_of(self.run, self.step)
        recipe = self.recipe()
        made = self.run.artefact(recipe.method)
        if not made.is_dir():
            raise RunError(
                "This run has left no model.",
                where=str(self.run.path),
                next_step="Train without an earlier model, or choose another run.",
            )
        return Contestant(self.name, recipe.model, made)


def tuned_arms(session: Session, runs: Sequence[RunFolder]) -> tuple[TunedArm, ...]:
    """The arms of a session that are tuned models, in the session's order.

    An arm is a run (or a checkpoint, ``RUN@STEP``) by its name, or an approach of the comparison that the session was
    made from, whose folder says which run was trained for it.

    Args:
        session: the session.
        runs: those that are looked among; names come from files of others, and are never joined to a path.
    """
    known = {run.path.name: run for run in runs}
    found = (_tuned(arm, known) or _trained_for(session, arm) for arm in session.arms)
    return tuple(arm for arm in found if arm is not None)


def parent_of(session: Session, votes: Sequence[Vote], runs: Sequence[RunFolder]) -> TunedArm | None:
    """The tuned model that is trained further on a session's votes; None where none took part, or it is gone.

    Of several it is the one that most votes preferred, then the newer one: what is tuned further should be the best
    there is.
    """
    wins = Counter(vote.winner for vote in counted(votes))
    ranked = sorted(
        tuned_arms(session, runs), key=lambda each: (wins[each.arm], each.run.path.name, each.step or 0), reverse=True
    )
    return next((each for each in ranked if _is_there(each)), None)


def named_arm(name: str, runs: Sequence[RunFolder]) -> TunedArm | None:
    """The run, or the checkpoint of one, of this name (``RUN`` or ``RUN@STEP``) among these; None where none is."""
    return _tuned(name, {run.path.name: run for run in runs})


def _tuned(arm: str, known: dict[str, RunFolder]) -> TunedArm | None:
    if arm in known:
        return TunedArm(arm, known[arm])
    run, _, step = arm.rpartition("@")
    return TunedArm(arm, known[run], int(step)) if run in known and step.isascii() and step.isdigit() else None


def _trained_for(session: Session, arm: str) -> TunedArm | None:
    """The run that was trained for an approach of the session's comparison."""
    if not session.source or Path(arm).name != arm:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((Path(session.source) / "training" / f"{arm}.json").read_text("utf-8"))
        return TunedArm(arm, RunFolder(Path(noted["run"]).resolve()))
    return None


def _is_there(arm: TunedArm) -> bool:
    with contextlib.suppress(RunError, UsageError):
        return arm.contestant().adapter is not None
    return False
