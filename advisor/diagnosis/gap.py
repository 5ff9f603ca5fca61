"""What a gap is, and how it is said: a size with its interval, and one sentence. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from advisor.statistics import Interval
from advisor.verdict import FEWEST_ROWS

TITLES = {
    "format": "Format",
    "behaviour": "Behaviour",
    "knowledge": "Knowledge",
    "retrieval": "Retrieval",
    "reading": "Reading",
    "capacity": "Capacity",
    "noise": "Noise in the answers",
    "tries": "Right among eight tries",
    "likelihood-behaviour": "Likelihood with worked examples",
    "likelihood-knowledge": "Likelihood with passages",
    "likelihood-both": "Likelihood with both",
}
"""The gaps by name, in the order in which they are told where none is larger."""

_HELPS = {
    "format": "it knows more than it gets points for; an instruction, worked examples or a fixed form of the output "
    "can close that",
    "behaviour": "it can do more than it does unasked; worked examples show that, and training may go further",
    "knowledge": "it lacks facts that the documents hold; retrieval can close that",
    "retrieval": "the right passages are there and are not found; better search comes before training",
    "reading": "the passages hold the answer and it is missed all the same; training or a larger model may close that",
    "capacity": "the larger model can do what this one cannot",
    "noise": "see whether these answers contradict each other, or are all right",
}

_LOSSES = ("reading", "noise")  # told as points missed; the others as points gained

Unit = Literal["score", "nats", "tries"]
_HARDLY_ANY = 0.1  # a score of the best tries below which nothing is there to draw out. A judgement.


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that may keep the answers from being right, and how much it takes away.

    Attributes:
        name: its stable name; see ``TITLES``.
        title: its name for people.
        size: what closing it would add to the mean score, where 1.0 is 100 points (``unit`` "score"); or by how much
            the wanted answer gets likelier, in nats a token (``unit`` "nats"); or what the best of several drawn
            answers scores above the model's own (``unit`` "tries"). None where it was not measured.
        interval: the ends of the size's paired 95% interval.
        rows: examples that it was measured on.
        sentence: the finding, in plain English; of a gap that was not measured, why not.
        unit: of size and interval.
        answers: how many answers were spent on it that no other gap had asked for.
    """

    name: str
    title: str
    size: float | None
    interval: tuple[float, float] | None
    rows: int
    sentence: str
    unit: Unit = "score"
    answers: int = 0

    @property
    def sure(self) -> bool:
        """Whether its interval is above 0, on as many rows as can tell anything apart (six)."""
        return self.interval is not None and self.interval[0] > 0 and self.rows >= FEWEST_ROWS

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a report."""
        plain = asdict(self)
        if self.size is not None and self.interval is not None:
            plain |= {"size": round(self.size, 4), "interval": [round(end, 4) for end in self.interval]}
        return plain


def main_gap(gaps: Sequence[Gap]) -> Gap | None:
    """The largest gap whose interval is above 0; None where no gap is sure.

    Lacking knowledge is made up of what the search brings and of what it does not find, so it is never the smaller of
    the two: where the search misses more than half of it, retrieval is the gap that is named. A likelihood never is.
    """
    sure = {gap.name: gap for gap in gaps if gap.sure and gap.unit == "score"}
    largest = max(sure.values(), key=_size, default=None)
    missed = sure.get("retrieval")
    if largest is not None and largest.name == "knowledge" and missed is not None:
        return missed if 2 * _size(missed) > _size(largest) else largest
    return largest


def _size(gap: Gap) -> float:
    return gap.size or 0.0


def in_order(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """The largest first; then what was not measured; then likelihoods, which are on another scale."""

    def place(gap: Gap) -> tuple[bool, bool, float]:
        measured = gap.size is not None
        by_size = measured and gap.unit == "score"
        return (gap.unit != "score", not measured, -_size(gap) if by_size else 0.0)

    return tuple(sorted(gaps, key=place))


def measured(name: str, size: Interval, *, rows: int, what: str, besides: str = "", answers: int = 0) -> Gap:
    """A gap on the scale of the scores.

    Args:
        name: The gap's.
        size: Its estimate and interval.
        rows: That it was measured on.
        what: The finding, with ``{}`` where the points stand.
        besides: A sentence more for the reader.
        answers: Spent on it.
    """
    sign = "" if name in _LOSSES else "+"
    points = f"{100 * size.estimate:{sign}.1f} points [{100 * size.low:{sign}.1f}, {100 * size.high:{sign}.1f}]"
    sentence = f"{TITLES[name]}: {what.format(points)} on {_rows(rows)}: {_reading_of(name, size, rows)}."
    if besides:
        sentence = f"{sentence} {besides}"
    return Gap(name, TITLES[name], size.estimate, (size.low, size.high), rows, sentence, answers=answers)


def likelier(name: str, size: Interval, *, rows: int) -> Gap:
    """A difference of likelihoods to the bare prompt, in nats a token."""
    surely = (
        "surely so" if size.low > 0 and rows >= FEWEST_ROWS else "surely not" if size.high <= 0 else "may be chance"
    )
    sentence = (
        f"{TITLES[name]}: the wanted answer gets likelier by {size.estimate:+.2f} nats a token "
        f"[{size.low:+.2f}, {size.high:+.2f}] on {_rows(rows)}: {surely}. This is no score: a likelier answer need not "
        "be the one that is given."
    )
    return Gap(name, TITLES[name], size.estimate, (size.low, size.high), rows, sentence, unit="nats")


def among_tries(gain: Interval, *, best: float, rows: int, answers: int) -> Gap:
    """What the best of several drawn answers scores above the model's own, and what that says.

    Args:
        gain: The paired difference.
        best: The mean score of the best ones.
        rows: That it was measured on.
        answers: That were drawn.
    """
    if rows < FEWEST_ROWS:
        reading = "too few rows to tell anything"
    elif best < _HARDLY_ANY:
        reading = "hardly any try is right, so knowledge or capacity is missing and no prompt will draw it out"
    elif gain.low > 0:
        reading = "it can do more than it does; a prompt or training may draw that out"
    else:
        reading = "it does about what it can"
    size = f"{100 * gain.estimate:+.1f} points [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    sentence = (
        f"{TITLES['tries']}: with worked examples the best of eight drawn answers scores {100 * best:.1f}, {size} "
        f"against its own, on {_rows(rows)}: {reading}. The best of eight is partly luck."
    )
    ends = (gain.low, gain.high)
    return Gap("tries", TITLES["tries"], gain.estimate, ends, rows, sentence, unit="tries", answers=answers)


def unmeasured(name: str, why: str, *, answers: int = 0) -> Gap:
    """A gap that could not be measured, and why not."""
    unit: Unit = "tries" if name == "tries" else "score"
    sentence = f"{TITLES[name]}: not measured, as {why}."
    return Gap(name, TITLES[name], None, None, 0, sentence, unit=unit, answers=answers)


def _reading_of(name: str, size: Interval, rows: int) -> str:
    """What follows from the size: what closes the gap, or that there may be none."""
    if rows < FEWEST_ROWS:
        return "too few rows to tell anything"
    if size.low > 0:
        return _HELPS[name]
    if size.high <= 0:
        return "no gap here"
    return f"no sure gap, though one of up to {100 * size.high:.1f} points may be there"


def _rows(count: int) -> str:
    return f"{count:,} example" + ("s" if count != 1 else "")
