"""What a verdict may say of the arms that left the race early: they are no part of it, and were run all the same.

`advisor.verdict.decide` takes arms that answered all rows. Of the others there is the advised arm's gap on the rows
that they did answer: where it is surely above 0 the arm is beaten, else "it beats every other approach" is not true. It
decides nothing anew: the advised arm stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from advisor.arms import ArmResult
from advisor.lineup import ARMS
from advisor.statistics import Interval, paired_interval
from advisor.verdict import Verdict


def with_dropouts(verdict: Verdict, results: Sequence[ArmResult], *, margin: float) -> Verdict:
    """The verdict, told with the arms that were dropped.

    A *winner* that does not surely beat one of them becomes *cheaper*, or a *tie* where all such gaps lie inside the
    margin, provided that those arms cost more; a *tie* becomes *cheaper* where one lies outside. Where such an arm
    costs less it is named, and the kind stays: it was no better than an arm that the advised one beats.

    Args:
        verdict: On the arms that answered all rows.
        results: All arms that were run.
        margin: The smallest difference that matters.
    """
    dropped = [result for result in results if result.dropped]
    advised = next((result for result in results if result.name == verdict.arm), None)
    if not dropped or advised is None or verdict.kind not in ("winner", "tie", "cheaper"):
        return verdict
    gaps = {each.name: paired_interval(advised.scores[: len(each.scores)], each.scores) for each in dropped}
    reasons = (*verdict.reasons, *(_reason(advised, each, gaps[each.name]) for each in dropped))
    level = [each for each in dropped if gaps[each.name].low <= 0]
    dearer = [each for each in level if ARMS[each.name].rank > ARMS[advised.name].rank]
    kind = verdict.kind
    if dearer and kind in ("winner", "tie"):
        inside = all(-margin < gaps[each.name].low and gaps[each.name].high < margin for each in dearer)
        kind = "tie" if inside else "cheaper"
    sentence = _sentence(verdict, results, advised, level, gaps)
    step = verdict.next_step
    if len(dropped) == len(results) - 1:  # it was taken for the only arm
        step = "Use it. Read a few of its wrong answers first."
    return replace(verdict, kind=kind, sentence=sentence, next_step=step, reasons=reasons)


def _sentence(
    verdict: Verdict,
    results: Sequence[ArmResult],
    advised: ArmResult,
    level: Sequence[ArmResult],
    gaps: dict[str, Interval],
) -> str:
    if verdict.kind != "winner":
        return f"{verdict.sentence}{_dropped_early(level)}"
    if not level:
        closest = min((each for each in results if each is not advised), key=lambda each: _gap(advised, each).estimate)
        whom = "every other approach" if len(results) > 2 else "the only other approach"
        return f"{advised.title}: it beats {whom}; {_shown(_gap(advised, closest), closest)}."
    closest = min(level, key=lambda each: (gaps[each.name].estimate, ARMS[each.name].rank))
    beaten = len(results) - 1 - len(level)
    others = f" It beats {'the other approach' if beaten == 1 else 'every other approach'}." if beaten else ""
    dearer = all(ARMS[each.name].rank > ARMS[advised.name].rank for each in level)
    relation = "is cheaper than" if dearer else "is not surely better than"
    return (
        f"{advised.title}: it {relation} {_listed([each.title for each in level])}, dropped early for not being ahead; "
        f"{_shown(gaps[closest.name], closest)}.{others}"
    )


def _dropped_early(level: Sequence[ArmResult]) -> str:
    """That some arms are not compared on all rows."""
    if not level:
        return ""
    was = "was" if len(level) == 1 else "were"
    return f" {_listed([each.title for each in level])} {was} dropped early for not being ahead."


def _gap(advised: ArmResult, other: ArmResult) -> Interval:
    return paired_interval(advised.scores[: len(other.scores)], other.scores)


def _reason(advised: ArmResult, other: ArmResult, gap: Interval) -> str:
    relation = "beats" if gap.low > 0 else "is worse than" if gap.high < 0 else "is not told apart from"
    return f"{advised.title} {relation} {other.title}, as far as that went: {_shown(gap, other)}."


def _shown(gap: Interval, other: ArmResult) -> str:
    relation = "over" if gap.estimate > 0 else "against"
    points = f"{100 * gap.estimate:+.1f}" if round(100 * gap.estimate, 1) else "0.0"
    ends = f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    return f"{points} points {relation} {other.title} {ends} on {len(other.scores)} test rows"


def _listed(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
