"""A comparison's result as one self-contained HTML page, to keep, to send and to print.

Nothing is loaded from elsewhere, and there is no script; a content policy in the page forbids both. It computes no
figure of the verdict: what it shows stands in ``result.json`` and ``items.jsonl``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from advisor.report import facts, figures, plots, votes

if TYPE_CHECKING:
    from jinja2 import Environment

_SHOWN = 5  # wins, and losses
_LONGEST_PROMPT, _LONGEST_ANSWER = 1200, 700  # characters; items.jsonl has all of them
_SAME = 1e-9
_MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Line:
    """An arm's line of the table; its figures as they are shown, a dash where one is not known."""

    title: str
    tone: str
    score: str = ""
    interval: str = ""
    chance: str = ""
    tokens: str = ""
    time: str = ""
    setup: str = ""
    cost: str = ""
    near: str = ""
    far: str = ""
    nll: str = ""
    notes: tuple[str, ...] = ()
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A test row to read: what was asked and wanted, and two answers with their scores in points."""

    place: str
    prompt: str
    wanted: str
    ours: str
    ours_score: str
    theirs: str
    theirs_score: str


def to_html(result: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> str:
    """The report of a finished comparison as one page of UTF-8 text.

    Args:
        result: the content of ``result.json``; keys that came later may be missing.
        items: the lines of ``items.jsonl``, for the rows to read and the spread of costs; may be empty.
    """
    rows = list(items)
    arm, other = facts.shown_arm(result), facts.best_other(result)
    wins, losses = readings(result, rows)
    flips, pros = facts.changes(result)
    page = _environment().get_template("page.html")
    shown = page.render(
        headline=facts.headline(result),
        verdict=result["verdict"],
        tiles=facts.tiles(result),
        subtitle=_subtitle(result),
        scores=plots.scores_plot(result),
        power=facts.power_sentence(result),
        judge=facts.judge_lines(result),
        about_nll=facts.ABOUT_NLL,
        scatter=plots.cost_plot(result, rows),
        lines=[_line(result, each) for each in result["arms"]],
        gaps=plots.gaps_plot(result),
        gap_lines=plots.gap_lines(result),
        curve=plots.curve_plot(result),
        loss_curve=plots.curve_plot(result, loss=True),
        learning=_learning(result),
        ours=arm["title"] if arm else "",
        theirs=other["title"] if other else "",
        people=votes.people_said(result),
        wins=wins,
        losses=losses,
        conditions=result["verdict"].get("conditions") or [],
        confirmed=facts.confirmed_sentence(result),
        flips=flips,
        pros=pros,
        assumed=facts.is_paid(result) and (result.get("cost") or {}).get("assumed", True),
        left_out=facts.left_out(result),
        pairs=_pairs(result),
        confusion=_confusion(arm),
        settings=facts.settings(result),
        command=result.get("command"),
    )
    return figures.writable(shown)


def readings(
    result: Mapping[str, Any], items: Iterable[Mapping[str, Any]], *, most: int = _SHOWN
) -> tuple[list[Reading], list[Reading]]:
    """The rows where `facts.shown_arm` gains most on `facts.best_other`, and those where it loses most.

    Of equal ones the first of the test rows; at most ``most`` of each, long texts cut in their middle.
    """
    arm, other = facts.shown_arm(result), facts.best_other(result)
    if arm is None or other is None:
        return [], []
    both = [item for item in items if arm["name"] in item["arms"] and other["name"] in item["arms"]]

    def gain(item: Mapping[str, Any]) -> float:
        return float(item["arms"][arm["name"]]["score"] - item["arms"][other["name"]]["score"])

    ordered = sorted(both, key=gain)
    losses = [_reading(item, arm["name"], other["name"]) for item in ordered[:most] if gain(item) < -_SAME]
    ordered = sorted(both, key=gain, reverse=True)  # stable: the first rows stay first among equals
    wins = [_reading(item, arm["name"], other["name"]) for item in ordered[:most] if gain(item) > _SAME]
    return wins, losses


def _reading(item: Mapping[str, Any], ours: str, theirs: str) -> Reading:
    mine, other = item["arms"][ours], item["arms"][theirs]
    return Reading(
        place=f"Test row {item['index'] + 1}",
        prompt=figures.cut(figures.prompt_text(item["prompt"]), _LONGEST_PROMPT),
        wanted=figures.cut(item["wanted"], _LONGEST_ANSWER),
        ours=figures.cut(mine["answer"], _LONGEST_ANSWER),
        ours_score=f"{100 * mine['score']:.0f}",
        theirs=figures.cut(other["answer"], _LONGEST_ANSWER),
        theirs_score=f"{100 * other['score']:.0f}",
    )


def _line(result: Mapping[str, Any], arm: facts.Arm) -> Line:
    if arm["skipped"]:
        return Line(arm["title"], "skipped", skipped=str(arm["skipped"]))
    shown = facts.shown_arm(result)
    best = shown is not None and shown["name"] == arm["name"]
    chance = (result["verdict"].get("probability_best") or {}).get(arm["name"])
    near, far = arm.get("near"), arm.get("far")
    return Line(
        title=arm["title"],
        tone="best" if best else "dropped" if arm.get("dropped") else "plain",
        score=figures.points(arm["score"]),
        interval=figures.between(arm["interval"]),
        chance="-" if chance is None else figures.percent(chance),
        tokens=f"{arm['tokens_per_request']:,.0f}",
        time=figures.duration(arm["seconds_per_request"]),
        setup=figures.duration(arm["setup_seconds"]),
        cost=facts.cost_tile(result, arm).number if facts.is_paid(result) else "",
        near=facts.part_text(near) if near or far else "",
        far=facts.part_text(far) if near or far else "",
        nll=facts.nll_text(arm) if facts.has_nll(result) else "",
        notes=tuple(facts.arm_notes(arm)),
        skipped=None,
    )


def _subtitle(result: Mapping[str, Any]) -> str:
    task = result["task"]
    rows = figures.counted(task["rows"]["test"], "test row")
    return f"{rows} of {task['type']}, scored by {task['metric']} · model: {result.get('model', 'not told')}"


def _pairs(result: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Two titles, their difference, its interval, and what it shows."""
    names, found = facts.titles(result), []
    for pair in result.get("pairs") or ():
        low, high = pair["interval"]
        a, b = names.get(pair["a"], pair["a"]), names.get(pair["b"], pair["b"])
        shows = f"{a} is better" if low > 0 else f"{b} is better" if high < 0 else "may be chance"
        interval = figures.between((low, high), sign=True)
        found.append((a, b, figures.signed(pair["difference"]), interval, shows))
    return found


def _confusion(arm: facts.Arm | None) -> dict[str, Any] | None:
    """The advised arm's answers by label, where there are few enough labels to read."""
    table = (arm or {}).get("confusion")
    if not table or not 2 <= len(table["labels"]) <= _MOST_LABELS:
        return None
    others = [lost + unknown for lost, unknown in zip(table["others"], table["unknown"], strict=True)]
    return {"labels": table["labels"], "rows": list(zip(table["labels"], table["counts"], others, strict=True))}


def _learning(result: Mapping[str, Any]) -> dict[str, str]:
    curve = result.get("learning_curve") or {}
    lost = curve.get("loss") or {}
    return {
        "sentence": str(curve.get("sentence") or ""),
        "loss": str(lost.get("sentence") or ""),
        "what": str(curve.get("what") or "examples"),
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Everything is escaped, whatever the template's name ends with; a name that is not given is an error, not a blank.
    return Environment(
        loader=PackageLoader("advisor.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
