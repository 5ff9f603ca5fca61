"""Where the marks of a report's plots lie: positions in per cent of the plot, for the template to draw as SVG.

Per cent, so that a plot fits any width while its text keeps its size. It knows no colours and writes no markup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from advisor.cost import DECODE_WEIGHT, pareto
from advisor.report.facts import Arm, Result, curve_of, is_paid, request_cost, scored, shown_arm
from advisor.report.figures import between, duration, money, points, signed

_IN_POINTS = ("format", "behaviour", "knowledge", "retrieval", "reading", "capacity", "noise")
_FEWEST_ITEMS = 6  # for the spread of a cost; a judgement


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from ``low`` to ``high``, and its ticks as (position, label)."""

    low: float
    high: float
    logarithmic: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    def at(self, value: float) -> float:
        """The position of a value in per cent, at most the ends."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return round(100 * (value - low) / (high - low), 2) if high > low else 50.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a plot with bars: a value with the ends of its interval, all as positions."""

    title: str
    text: str
    note: str
    at: float
    low: float
    high: float
    tone: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Rows on one axis; ``mark`` is where a line across all rows stands, ``label`` what it is (``is_zero``: zero)."""

    rows: tuple[Bar, ...]
    axis: Axis
    mark: float | None = None
    label: str = ""
    is_zero: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A numbered point with intervals on both axes (None: not known), all as positions from the top left."""

    number: int
    title: str
    text: str
    x: float
    y: float
    x_ends: tuple[float, float] | None
    y_ends: tuple[float, float]
    tone: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """Cost against score; ``front`` are the arms that no other beats in both, as a line from left to right."""

    dots: tuple[Dot, ...]
    x: Axis
    y: Axis
    x_name: str
    front: tuple[tuple[float, float], ...]
    has_spread: bool


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """A learning curve: measured dots, and the outlines of its fan's bands as SVG points."""

    dots: tuple[Dot, ...]
    x: Axis
    y: Axis
    wide: str
    narrow: str
    middle: str
    y_name: str


def scores_plot(result: Result) -> Bars:
    """The score of each arm that was run, with its 95% interval, and the baseline as a line."""
    arms, shown = scored(result), shown_arm(result)
    baseline = result.get("baseline")
    highest = max([arm["interval"][1] for arm in arms] + [baseline["score"] if baseline else 0.0])
    axis = _points_axis(0.0, min(1.0, highest * 1.04))
    rows = tuple(
        Bar(
            arm["title"],
            points(arm["score"]),
            between(arm["interval"]),
            axis.at(arm["score"]),
            axis.at(arm["interval"][0]),
            axis.at(arm["interval"][1]),
            _tone(arm, shown),
        )
        for arm in arms
    )
    if not baseline:
        return Bars(rows, axis)
    return Bars(rows, axis, axis.at(baseline["score"]), f"{baseline['name']} ({points(baseline['score'])})")


def gaps_plot(result: Result) -> Bars | None:
    """The gaps of the diagnosis that are measured in points; None where there is none."""
    gaps = [gap for gap in result.get("gaps") or () if gap.get("size") is not None and gap["name"] in _IN_POINTS]
    if not gaps:
        return None
    ends = [gap.get("interval") or (gap["size"], gap["size"]) for gap in gaps]
    sizes = [gap["size"] for gap in gaps]
    axis = _points_axis(min(0.0, *sizes, *(low for low, _ in ends)), max(0.05, *sizes, *(high for _, high in ends)))
    rows = tuple(
        Bar(
            gap["title"],
            signed(gap["size"]),
            gap["sentence"],
            axis.at(gap["size"]),
            axis.at(low),
            axis.at(high),
            "best" if low > 0 else "plain",
        )
        for gap, (low, high) in zip(gaps, ends, strict=True)
    )
    return Bars(rows, axis, axis.at(0.0), is_zero=True)


def gap_lines(result: Result) -> list[str]:
    """The sentences of the gaps that `gaps_plot` leaves out: not measured, or not in points."""
    gaps = result.get("gaps") or ()
    return [gap["sentence"] for gap in gaps if gap.get("size") is None or gap["name"] not in _IN_POINTS]


def cost_plot(result: Result, items: Sequence[Mapping[str, Any]]) -> Scatter | None:
    """Cost of a request against score; None with fewer than two arms or where nothing costs anything."""
    arms, shown = scored(result), shown_arm(result)
    paid = is_paid(result)
    unit = 1000.0 if paid else 1.0
    costs = {arm["name"]: unit * request_cost(result, arm) for arm in arms}
    if len(arms) < 2 or max(costs.values()) <= 0:
        return None
    spreads = {arm["name"]: _cost_spread(result, arm, items) for arm in arms}
    ends = {name: _around(costs[name], spread) for name, spread in spreads.items()}
    x = _axis(0.0, 1.05 * max(high for _, high in ends.values()), name=money if paid else duration)
    y = _points_axis(0.0, min(1.0, max(arm["interval"][1] for arm in arms) * 1.04))
    dots = tuple(
        Dot(
            number,
            arm["title"],
            f"{points(arm['score'])} points, {money(costs[arm['name']]) if paid else duration(costs[arm['name']])}",
            x.at(costs[arm["name"]]),
            _up(y, arm["score"]),
            (x.at(ends[arm["name"]][0]), x.at(ends[arm["name"]][1])) if spreads[arm["name"]] else None,
            (_up(y, arm["interval"][0]), _up(y, arm["interval"][1])),
            _tone(arm, shown),
        )
        for number, arm in enumerate(arms, 1)
    )
    scores = {arm["name"]: float(arm["score"]) for arm in arms if not arm.get("dropped")}
    front = tuple((x.at(costs[name]), _up(y, scores[name])) for name in pareto(costs, scores))
    x_name = "dollars for 1,000 requests, with prefix caching" if paid else "time of a request on this machine"
    return Scatter(dots, x, y, x_name, front, any(spreads.values()))


def curve_plot(result: Result, *, loss: bool = False) -> CurvePlot | None:
    """The learning curve of the scores with its fan, or that of the losses; None where none was measured."""
    curve = curve_of(result, loss=loss)
    if curve is None:
        return None
    measured, fan = curve["points"], curve["fan"]
    sizes = sorted({float(step["n"]) for step in (*measured, *fan)})
    values = [end for step in measured for end in step["interval"]] + [
        step[key] for step in fan for key in ("p5", "p95")
    ]
    in_points = not loss and max(values) <= 1
    room = 0.06 * (max(values) - min(values)) or 0.01
    low, high = max(0.0, min(values) - room), max(values) + room
    y = _points_axis(low, min(high, 1.0)) if in_points else _axis(low, high, name="{:.2f}".format)
    x = Axis(sizes[0], sizes[-1], logarithmic=True)
    x = Axis(sizes[0], sizes[-1], True, tuple(_apart([(x.at(size), f"{size:,g}") for size in sizes])))
    dots = tuple(
        Dot(
            number,
            f"{step['n']:,g}",
            f"{points(step['value']) if in_points else format(step['value'], '.3f')}",
            x.at(step["n"]),
            _up(y, step["value"]),
            None,
            (_up(y, step["interval"][0]), _up(y, step["interval"][1])),
            "best",
        )
        for number, step in enumerate(measured, 1)
    )

    def line(key: str, steps: Sequence[Mapping[str, Any]]) -> str:
        return " ".join(f"{x.at(step['n'])},{_up(y, step[key])}" for step in steps)

    back = fan[::-1]
    wide, narrow = (f"{line(above, fan)} {line(below, back)}" for above, below in (("p95", "p5"), ("p75", "p25")))
    return CurvePlot(dots, x, y, wide, narrow, line("p50", fan), "score of 100" if in_points else "loss, nats a token")


def _tone(arm: Arm, shown: Arm | None) -> str:
    if shown and arm["name"] == shown["name"]:
        return "best"
    return "dropped" if arm.get("dropped") else "plain"


def _up(axis: Axis, value: float) -> float:
    """SVG counts from the top."""
    return round(100 - axis.at(value), 2)


def _axis(low: float, high: float, *, name: Any) -> Axis:
    """An axis from ``low`` to ``high`` with three to six round ticks (steps of 1, 2 or 5 times a power of ten)."""
    span = high - low
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * size for factor in (1, 2, 5, 10) if span / (factor * size) <= 5)
    bare = Axis(low, high)
    marks = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Axis(low, high, ticks=tuple((bare.at(mark * step), name(mark * step)) for mark in marks))


def _points_axis(low: float, high: float) -> Axis:
    """An axis of shares whose ticks are in points."""
    high = high if high > low else low + 0.05
    return _axis(low, high, name=lambda share: f"{100 * share:g}" if abs(100 * share) >= 1e-9 else "0")


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks that have room beside each other, from the right."""
    kept: list[tuple[float, str]] = []
    for tick in reversed(ticks):
        if not kept or kept[-1][0] - tick[0] >= 9:
            kept.append(tick)
    return kept[::-1]


def _cost_spread(result: Result, arm: Arm, items: Sequence[Mapping[str, Any]]) -> float | None:
    """Half the 95% interval of an arm's mean cost as a share of it, from the tokens of each item; None with few items.

    mean +- 1.96 SE. Tokens are weighed by their prices where they are paid for one by one, else by the time they take
    (`advisor.cost.DECODE_WEIGHT`, an assumption). The tokens that all prompts share are taken as cached.
    """
    answered = [item["arms"][arm["name"]] for item in items if arm["name"] in item["arms"]]
    if len(answered) < _FEWEST_ITEMS or any("prompt_tokens" not in answer for answer in answered):
        return None
    cost = result.get("cost") or {}
    prices = cost.get("prices") or {}
    by_token = is_paid(result) and (cost.get("situation") or {}).get("runs_on") == "hosted"
    known = by_token and {"prompt", "cached_prompt", "answer"} <= set(prices)
    own, held, written = (
        (prices["prompt"], prices["cached_prompt"], prices["answer"]) if known else (1.0, 0.0, DECODE_WEIGHT)
    )
    shared = arm.get("shared_prefix_tokens") or 0.0
    work = [
        own * max(0.0, answer["prompt_tokens"] - shared) + held * shared + written * answer["answer_tokens"]
        for answer in answered
    ]
    mean = fmean(work)
    return 1.96 * stdev(work) / math.sqrt(len(work)) / mean if mean > 0 else None


def _around(cost: float, spread: float | None) -> tuple[float, float]:
    return (cost * (1 - (spread or 0.0)), cost * (1 + (spread or 0.0)))
