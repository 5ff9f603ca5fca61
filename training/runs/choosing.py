"""Which of a run's last checkpoints to keep: the lowest validation loss, or the best score where there is a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dataset_tools.example import Example
from training.runs import checkpoints
from training.runs.callbacks import finite
from training.runs.folder import RunFolder
from training.scoring import Scorer

if TYPE_CHECKING:
    from training.runs.session import Material

# Held-out rows that each candidate answers.
_ROWS = 32


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that could be kept."""

    step: int
    validation_loss: float
    score: float | None = None


def choose_checkpoint(run: RunFolder, trainer: Any, material: Material, *, scorer: Scorer | None) -> None:
    """Give the trainer's model the weights of the best of the checkpoints that are still there; tells why.

    Without held-out rows the last step is taken: there is nothing to choose by.
    """
    losses = {entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry}
    folders = checkpoints.all_of(run.checkpoints)
    candidates = [Candidate(step, losses[step]) for step in sorted(folders) if step in losses]
    if len(candidates) < 2:
        return
    current = trainer.state.global_step
    if scorer is not None:
        run.log("phase", phase=f"scoring the last {len(candidates)} checkpoints on held-out rows")
        scored = []
        for candidate in candidates:
            current = _load(trainer, folders, candidate.step, current=current)
            score = _score(trainer.model, material, material.validation[:_ROWS], scorer=scorer)
            scored.append(Candidate(candidate.step, candidate.validation_loss, score))
        candidates = scored
    best = best_of(candidates)
    _load(trainer, folders, best.step, current=current)
    told = [asdict(candidate) | {"validation_loss": finite(candidate.validation_loss)} for candidate in candidates]
    run.log("chosen", step=best.step, by="score" if best.score is not None else "validation loss", candidates=told)


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The highest score, then the lowest validation loss, then the later step."""
    return max(candidates, key=lambda one: (one.score or 0.0, -one.validation_loss, one.step))


def _load(trainer: Any, folders: Any, step: int, *, current: int) -> int:
    if step != current:
        trainer._load_from_checkpoint(str(folders[step]))  # what transformers itself calls for its best checkpoint
    return step


def _score(model: Any, material: Material, rows: Sequence[Example], *, scorer: Scorer) -> float:
    from training.generation import generate

    answers = generate(model.eval(), material.tokenizer, rows, max_new_tokens=material.longest_answer)
    scores = scorer(rows, [answer.text for answer in answers])
    return sum(scores) / len(scores)
