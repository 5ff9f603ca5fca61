"""Is it learning, or learning by heart: what training gained on its own rows, and how much of that held-out rows share.

The gain is the drop of the loss against the base on the same rows, so that rows which are easy or hard by themselves
cancel out. Where there is no base, the two losses themselves are laid side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from training.health.card import HealthFinding, Light, grey
from training.health.intervals import difference_interval, mean_and_error

_ID, _TITLE = "gap", "Does it learn or memorise"
_SCORE_ID, _SCORE_TITLE = "score_gap", "Score on training and held-out rows"
# Judgement: below half of the gain carried over it is mostly learning by heart; from three quarters on it is not.
GOOD_SHARE, POOR_SHARE = 0.75, 0.5
# Judgement: a gain, or a difference of gains, below this many nats per token is of no consequence.
SMALL = 0.1
# Judgement, where only two losses are known: nats per token between them.
GOOD_LOSS_GAP, POOR_LOSS_GAP = 0.2, 0.5
# A training score this far above the held-out one is a sign of overfitting (judgement).
SCORE_GAP = 0.15
_LESS = "Use fewer epochs, more rows, or some dropout."


@dataclass(frozen=True, slots=True)
class Gains:
    """What training gained, in nats per token, as means over rows of the rows' own means.

    ``train`` and ``validation`` are drops of the loss (positive is better), with their standard errors over rows;
    the losses are those after training.
    """

    train: float
    train_error: float
    validation: float
    validation_error: float
    train_loss: float
    validation_loss: float
    rows: tuple[int, int]


def gains(train: Sequence[tuple[float, float]], validation: Sequence[tuple[float, float]]) -> Gains | None:
    """From each row's loss (before, after) training, on training rows and on held-out rows; None below two of each."""
    if min(len(train), len(validation)) < 2:
        return None
    return Gains(
        *mean_and_error([before - after for before, after in train]),
        *mean_and_error([before - after for before, after in validation]),
        fmean(after for _, after in train),
        fmean(after for _, after in validation),
        (len(train), len(validation)),
    )


def judge_gains(seen: Gains) -> HealthFinding:
    """The light: by the share of the gain on training rows that held-out rows have too."""
    gap, error = seen.train - seen.validation, math.hypot(seen.train_error, seen.validation_error)
    figures = {
        "train_gain": seen.train,
        "validation_gain": seen.validation,
        "gap": gap,
        "error": error,
        "train_loss": seen.train_loss,
        "validation_loss": seen.validation_loss,
    }
    value = f"loss {seen.train_loss:.2f} on training rows, {seen.validation_loss:.2f} on held-out rows"
    if not math.isfinite(gap):
        return _broken(figures)
    if seen.validation < -max(2 * seen.validation_error, SMALL / 2):
        reason = f"Held-out answers are less likely than before the training (by {-seen.validation:.2f}). {_LESS}"
        return HealthFinding(_ID, "red", _TITLE, value, reason, "epochs", figures)
    if seen.train < SMALL / 2:
        reason = "Not even the training rows became likelier. Train longer, or with a higher learning rate."
        return HealthFinding(_ID, "amber", _TITLE, value, reason, "learning_rate", figures)
    share = seen.validation / seen.train
    figures["share"] = share
    if gap < SMALL or gap < 2 * error or share >= GOOD_SHARE:
        reason = f"Held-out rows share {min(share, 1):.0%} of what was gained on training rows."
        return HealthFinding(_ID, "green", _TITLE, value, reason, None, figures)
    light: Light = "red" if share < POOR_SHARE else "amber"
    reason = f"Held-out rows share only {max(share, 0):.0%} of what was gained on training rows. {_LESS}"
    return HealthFinding(_ID, light, _TITLE, value, reason, "epochs", figures)


def judge_losses(train: float | None, validation: float | None) -> HealthFinding:
    """The light from two losses alone (nats per token), as a run reports them last."""
    if train is None or validation is None:
        return grey(_ID, _TITLE, "There was no training loss, or no held-out row to take a loss from.")
    gap = validation - train
    figures = {"train_loss": train, "validation_loss": validation, "gap": gap}
    if not math.isfinite(gap):
        return _broken(figures)
    value = f"loss {train:.2f} on training rows, {validation:.2f} on held-out rows"
    if gap < GOOD_LOSS_GAP:
        return HealthFinding(_ID, "green", _TITLE, value, "The two lie close together.", None, figures)
    light: Light = "red" if gap > POOR_LOSS_GAP else "amber"
    reason = f"Held-out answers are less likely than those trained on, by {gap:.2f} nats per token. {_LESS}"
    return HealthFinding(_ID, light, _TITLE, value, reason, "epochs", figures)


def _broken(figures: dict[str, float]) -> HealthFinding:
    reason = "A loss is no finite number any more. Train with a lower learning rate."
    return HealthFinding(_ID, "red", _TITLE, "no number", reason, "learning_rate", figures)


def judge_score_gap(train: Sequence[float], validation: Sequence[float]) -> HealthFinding:
    """The light from the scores (0..1) of answers to training rows and to as many held-out rows."""
    if not train or not validation:
        return grey(_SCORE_ID, _SCORE_TITLE, "It takes training rows and held-out rows.")
    gap = fmean(train) - fmean(validation)
    low, high = difference_interval(train, validation)
    figures = {"train_score": fmean(train), "validation_score": fmean(validation), "gap": gap, "low": low, "high": high}
    value = f"{fmean(train):.0%} on {len(train)} training rows, {fmean(validation):.0%} on {len(validation)} held-out"
    points = f"{100 * gap:+.0f} points ({100 * low:+.0f} to {100 * high:+.0f})"
    if gap <= SCORE_GAP + 1e-9:  # scores are sums of fractions
        return HealthFinding(_SCORE_ID, "green", _SCORE_TITLE, value, f"The difference is {points}.", None, figures)
    if low > 0:
        reason = f"Training rows are answered better by {points}: it has learnt them by heart. {_LESS}"
        return HealthFinding(_SCORE_ID, "red", _SCORE_TITLE, value, reason, "epochs", figures)
    reason = f"Training rows are answered better by {points}; so few rows cannot tell whether that is chance. {_LESS}"
    return HealthFinding(_SCORE_ID, "amber", _SCORE_TITLE, value, reason, "epochs", figures)
