"""What the health card holds: one finding a question, with a light, the reason, and the knob to turn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Light = Literal["green", "amber", "red", "grey"]
_WORST_FIRST: tuple[Light, ...] = ("red", "amber", "green", "grey")


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """The answer to one question about a tuned model.

    Attributes:
        id: its stable name: alive, stopping, gap, score_gap, forgetting, memorised, refusals, score.
        light: green (good), amber (look at it), red (do not use it before), grey (not measured; the reason says why).
        title: the question's subject, for people.
        value: what was measured, in a few words.
        reason: what that means, and what to do about it where it is amber or red.
        knob: the recipe's field to turn, or "data"; None where nothing is to be done.
        figures: the measured numbers by name; what is not finite is left out.
    """

    id: str
    light: Light
    title: str
    value: str
    reason: str
    knob: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.light in ("amber", "red")) != (self.knob is not None):
            raise ValueError("an amber or red finding names a knob, and no other does")

    def to_dict(self) -> dict[str, Any]:
        """The finding for JSON."""
        return {
            "id": self.id,
            "light": self.light,
            "title": self.title,
            "value": self.value,
            "reason": self.reason,
            "knob": self.knob,
            "figures": {name: round(value, 4) for name, value in self.figures.items() if math.isfinite(value)},
        }


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The health card of one trained model.

    Attributes:
        alive: whether it answers otherwise than its base; None where there was no base to compare with.
        logit_change: the largest change of a next-token score; None where it is unknown or no number.
        stop_rate: the share of answers that end by themselves, of those that could; None where none could.
        findings: the card, in the order it is shown.
    """

    alive: bool | None
    logit_change: float | None
    stop_rate: float | None
    findings: tuple[HealthFinding, ...]

    @property
    def light(self) -> Light:
        """The worst light of the card; grey only where all are grey."""
        lights = {finding.light for finding in self.findings}
        return next((light for light in _WORST_FIRST if light in lights), "grey")

    def __getitem__(self, id: str) -> HealthFinding:
        """The finding of this id.

        Raises:
            KeyError: the card has none.
        """
        for finding in self.findings:
            if finding.id == id:
                return finding
        raise KeyError(id)

    def to_dict(self) -> dict[str, Any]:
        """The card for JSON, as a run's result and ``train --json`` hold it."""
        return {
            "alive": self.alive,
            "logit_change": self.logit_change,
            "stop_rate": self.stop_rate,
            "light": self.light,
            "card": [finding.to_dict() for finding in self.findings],
        }


def grey(id: str, title: str, reason: str) -> HealthFinding:
    """A finding that was not measured, with the reason."""
    return HealthFinding(id, "grey", title, "not measured", reason)
