"""From per-item scores to one piece of advice: a winner, a tie, a cheaper choice, or why there is none yet.

A pure function of the scores, the cost order and the margin: no rule of thumb about the task enters. It does not run
arms, look at gates (forgetting, safety) or price anything; ``cost_rank`` is all it knows of money.

An arm is *safe* when no other arm is better by as much as the margin: for every other arm the lower end of the paired
95% interval of (this arm - other) is above -margin. It *beats* another when that lower end is above 0. "Beats every
other arm" and "is safe against every other arm" ask for all of several tests at once, so each is made at its full level
(intersection-union test: Berger 1982, https://doi.org/10.1080/00401706.1982.10487790).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from advisor.statistics import (
    Interval,
    Scores,
    expected_regret,
    mean_interval,
    paired_interval,
    probability_best,
    rows_needed,
    stretched,
)
from advisor.statistics.bootstrap import checked_scores

Kind = Literal["winner", "tie", "cheaper", "not_enough_evidence", "nothing_works"]

DEFAULT_MARGIN = 0.03
"""Three points: a difference that most users would not pay for. A judgement; the user sets it."""

USELESS_BELOW = 0.05
"""Five points of 100: if every arm is surely below this, the task as it stands is not solved at all. A judgement."""

FEWEST_ROWS = 6
"""Fewer test rows than this tell nothing apart: even 5 wins of 5 have p = 2 * .5^5 = .06 in the two-sided sign test
(6 of 6: .03), where the interval alone would call them a gain."""

_FORECAST_ROWS = 20
"""The fewest rows that are asked for where there are fewer than `FEWEST_ROWS`: the intervals' coverage was simulated
from here on (`advisor.statistics.paired_interval`)."""


@dataclass(frozen=True, slots=True)
class ArmScores:
    """One arm and its scores on the test items.

    Attributes:
        name: stable and unique: ``"few-shot"``.
        title: its name for people.
        scores: one an item, in [0, 1]; all arms on the same items in the same order.
        cost_rank: its place in the order of cost, the lower the cheaper; arms may share one.
        widening: how much wider its intervals are than those of one model's scores; see
            ``advisor.statistics.cross_fitting``. A pair has the wider of its two.
    """

    name: str
    title: str
    scores: Scores
    cost_rank: int
    widening: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", tuple(float(score) for score in self.scores))


@dataclass(frozen=True, slots=True)
class BaselineScores:
    """What needs no model, on the same items: the majority label, the input copied, the nearest example's answer.

    ``name`` stands in the middle of a sentence: "the majority label".
    """

    name: str
    scores: Scores

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", tuple(float(score) for score in self.scores))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two arms on the same items: the mean of ``a - b``, and its 95% interval. 1.0 is 100 points."""

    a: str
    b: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The advice, with all it rests on.

    Attributes:
        kind: what sort of advice it is.
        arm: the arm advised; the best bet for ``not_enough_evidence``; None for ``nothing_works``.
        sentence: the advice in plain English, with its figures in points (1.0 is 100 points).
        next_step: what to do now, in plain English.
        reasons: one sentence for each comparison that the advice rests on.
        rows_needed: test rows, in all, that would probably settle what is open (at least as many, where there are
            fewer than `FEWEST_ROWS`); None where rows do not help.
        pairs: every pair of arms, the one with the higher mean first.
        best: the arm with the highest mean.
        probability_best: for each arm, how likely it is the best of those that were run; adds up to 1.
        expected_regret: how far ``arm`` (or ``best``) is expected to be below the best; .01 is one point.
    """

    kind: Kind
    arm: str | None
    sentence: str
    next_step: str
    reasons: tuple[str, ...]
    rows_needed: int | None
    pairs: tuple[Pair, ...]
    best: str
    probability_best: dict[str, float]
    expected_regret: float


def decide(
    arms: Sequence[ArmScores], *, baseline: BaselineScores | None = None, margin: float = DEFAULT_MARGIN
) -> Verdict:
    """The advice that the scores support.

    The first of these that holds:

    1. not_enough_evidence: there are fewer than 6 test rows.
    2. nothing_works: every arm is surely below 5 points, or surely gains no more than the margin on the baseline.
    3. not_enough_evidence: the best arm's gain on the baseline may be nothing, or is surely no more than the margin
       while another arm's may be; or there is one arm and no baseline.
    4. The cheapest arm that is safe, and that beats the baseline where there is one (among equals in cost, the one
       with the higher mean). It is the *winner* if it beats every other arm; else a *tie* if its intervals with all
       arms that it does not beat lie inside the margin; else *cheaper*. One arm alone that beats the baseline is a
       winner. Neither tie nor cheaper is said of an arm that costs more than one it does not beat.
    5. not_enough_evidence, with a best bet: the arm of step 4 if there was one, else the highest mean (the cheapest of
       those that share it).

    Identical arms have an interval of about +-3/n: at 3 points of margin they are a tie from about 100 items on and
    not enough evidence before, never a winner. The order of the arms plays no part.

    Raises:
        ValueError: there is no arm, a name occurs twice, the arms or the baseline were not scored on the same items,
            a score is outside [0, 1], or the margin is not inside (0, 1).
    """
    evidence = _Evidence.of(arms, baseline=baseline, margin=margin)
    return (
        _too_few(evidence)
        or _nothing_works(evidence)
        or _gain_unclear(evidence)
        or _only_arm(evidence)
        or _advised(evidence)
        or _undecided(evidence)
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The arms from best to worst, and every comparison among them, made once."""

    arms: tuple[ArmScores, ...]
    baseline: BaselineScores | None
    margin: float
    gaps: dict[tuple[str, str], Interval]
    gains: dict[str, Interval]
    chances: dict[str, float]
    regrets: dict[str, float]

    @classmethod
    def of(cls, arms: Sequence[ArmScores], *, baseline: BaselineScores | None, margin: float) -> _Evidence:
        if not arms:
            raise ValueError("there is no arm to decide on")
        if len({arm.name for arm in arms}) < len(arms):
            raise ValueError("every arm has a name of its own")
        if not 0 < margin < 1:
            raise ValueError("the margin is inside (0, 1): .03 is three points")
        for arm in arms:
            checked_scores(arm.scores)
        ranked = tuple(sorted(arms, key=lambda arm: (-_mean(arm.scores), arm.cost_rank, arm.name)))
        gaps: dict[tuple[str, str], Interval] = {}
        for first, second in combinations(ranked, 2):
            gap = paired_interval(first.scores, second.scores)
            gap = stretched(gap, max(first.widening, second.widening))
            gaps[first.name, second.name] = gap
            gaps[second.name, first.name] = gap.negated()
        gains: dict[str, Interval] = {}
        if baseline:
            plain = {arm.name: paired_interval(arm.scores, baseline.scores) for arm in ranked}
            gains = {arm.name: stretched(plain[arm.name], arm.widening) for arm in ranked}
        scores = {arm.name: arm.scores for arm in ranked}
        return cls(ranked, baseline, margin, gaps, gains, probability_best(scores), expected_regret(scores))

    @property
    def best(self) -> ArmScores:
        return self.arms[0]

    @property
    def n(self) -> int:
        return len(self.best.scores)

    def gap(self, a: ArmScores, b: ArmScores) -> Interval:
        return self.gaps[a.name, b.name]

    def others(self, arm: ArmScores) -> list[ArmScores]:
        return [other for other in self.arms if other is not arm]

    def unbeaten(self, arm: ArmScores) -> list[ArmScores]:
        """The other arms that ``arm`` does not beat, best first."""
        return [other for other in self.others(arm) if self.gap(arm, other).low <= 0]

    def safe(self, arm: ArmScores) -> bool:
        gain = self.gains.get(arm.name)
        above_baseline = gain is None or gain.low > 0
        return above_baseline and all(self.gap(arm, other).low > -self.margin for other in self.others(arm))

    def inside_margin(self, arm: ArmScores, other: ArmScores) -> bool:
        gap = self.gap(arm, other)
        return -self.margin < gap.low and gap.high < self.margin

    def cheapest_safe(self) -> ArmScores | None:
        return min((arm for arm in self.arms if self.safe(arm)), key=lambda arm: arm.cost_rank, default=None)

    def rows_to_settle(self, arm: ArmScores, other: Scores) -> int:
        """Test rows, in all, that would probably settle the pair: a fifth more than there are, at least."""
        return self._more(rows_needed(np.subtract(arm.scores, other), margin=self.margin))

    def may_gain(self, arm: ArmScores) -> bool:
        """Whether the arm's gain on the baseline may be above the margin."""
        return self.gains[arm.name].high > self.margin

    def rows_to_settle_gain(self, baseline: BaselineScores) -> int:
        """Test rows, in all, that would probably show a gain on the baseline, or that no arm gains the margin.

        What settles it is an interval above 0 or below the margin, whichever is nearer to be reached from the gain that
        was seen: further away means fewer rows. To show a gain, the best arm's is enough.
        """
        shows_gain = self.may_gain(self.best) and self.gains[self.best.name].estimate > self.margin / 2
        needed = []
        for arm in [self.best] if shows_gain else filter(self.may_gain, self.arms):
            gain = self.gains[arm.name].estimate
            # With the interval's two pseudo-items: rows that all agreed so far do not prove that none will differ.
            differences = [*np.subtract(arm.scores, baseline.scores), 1.0, -1.0]
            needed.append(rows_needed(differences, margin=max(gain, self.margin - gain)))
        return self._more(max(needed))

    def _more(self, rows: int) -> int:
        """Never fewer than were not enough."""
        return max(rows, self.n + max(10, self.n // 5))


def _too_few(evidence: _Evidence) -> Verdict | None:
    best, n, baseline = evidence.best, evidence.n, evidence.baseline
    if n >= FEWEST_ROWS or (len(evidence.arms) == 1 and baseline is None):
        return None
    if baseline is not None and (len(evidence.arms) == 1 or evidence.gains[best.name].estimate <= 0):
        gap, name, scores = evidence.gains[best.name], baseline.name, baseline.scores
    else:
        rival = evidence.others(best)[0]
        gap, name, scores = evidence.gap(best, rival), rival.title, rival.scores
    shown, rows = _gap_text(gap, name, n), max(_FORECAST_ROWS, evidence.rows_to_settle(best, scores))
    sentence = (
        f"Not enough evidence yet: {_test_rows(n)} cannot tell anything apart. "
        f"Best bet: {best.title}, {shown}{_odds(evidence, best)}."
    )
    step = f"Label at least {_more_rows(rows, n)}: from so few, how many it takes cannot be told."
    return _verdict(evidence, "not_enough_evidence", best, sentence=sentence, next_step=step, rows=rows)


def _nothing_works(evidence: _Evidence) -> Verdict | None:
    best, n = evidence.best, evidence.n
    if all(_mean(arm.scores) < USELESS_BELOW for arm in evidence.arms):
        intervals = [mean_interval(arm.scores) for arm in evidence.arms]
        if max(interval.high for interval in intervals) < USELESS_BELOW:
            score = f"{_unsigned(intervals[0].estimate)} of 100 points"
            sentence = f"Nothing works yet: the best approach, {best.title}, scores {score} on {_test_rows(n)}."
            return _verdict(evidence, "nothing_works", None, sentence=sentence, next_step=_FIX_THE_TASK)
    if evidence.baseline is None or any(evidence.may_gain(arm) for arm in evidence.arms):
        return None
    gain = evidence.gains[best.name]
    shown = _gap_text(gain, evidence.baseline.name, n)
    if gain.estimate > 0:
        sentence = f"Nothing works well enough yet: the best approach, {best.title}, gains too little: {shown}."
    else:
        sentence = (
            f"Nothing works yet: the best approach, {best.title}, is not above {evidence.baseline.name}: {shown}."
        )
    return _verdict(evidence, "nothing_works", None, sentence=sentence, next_step=_FIX_THE_TASK)


def _gain_unclear(evidence: _Evidence) -> Verdict | None:
    """Whether any arm gains anything on the baseline is open: what was seen may be luck."""
    best, n, baseline = evidence.best, evidence.n, evidence.baseline
    if baseline is None or (evidence.gains[best.name].low > 0 and evidence.may_gain(best)):
        return None
    gain = evidence.gains[best.name]
    rows = evidence.rows_to_settle_gain(baseline)
    step = _label_more(rows, n)
    if gain.estimate <= 0:
        open_question = f": nothing is above {baseline.name}, but {_test_rows(n)} cannot rule out a gain"
        step = f"{_READ_BY_HAND} If so, {step[0].lower()}{step[1:]}"
    elif gain.low <= 0:
        open_question = f", not even that anything beats {baseline.name}"
    else:
        open_question = f", not even that anything gains {_unsigned(evidence.margin)} points on {baseline.name}"
    shown = _gap_text(gain, baseline.name, n)
    sentence = f"Not enough evidence yet{open_question}. Best bet: {best.title}, {shown}{_odds(evidence, best)}."
    return _verdict(evidence, "not_enough_evidence", best, sentence=sentence, next_step=step, rows=rows)


def _only_arm(evidence: _Evidence) -> Verdict | None:
    if len(evidence.arms) > 1:
        return None
    arm = evidence.best
    if evidence.baseline is None:
        score = mean_interval(arm.scores)
        ends = f"[{_unsigned(score.low)}, {_unsigned(score.high)}]"
        sentence = (
            f"Not enough evidence yet: only {arm.title} was run, with nothing to compare it to. "
            f"It scores {_unsigned(score.estimate)} of 100 points {ends} on {_test_rows(evidence.n)}."
        )
        step = "Run at least one more approach on the same rows."
        return _verdict(evidence, "not_enough_evidence", arm, sentence=sentence, next_step=step)
    shown = _gap_text(evidence.gains[arm.name], evidence.baseline.name, evidence.n)
    sentence = f"{arm.title}: it beats {evidence.baseline.name}, and no other approach was run; {shown}."
    step = f"Use it, or run other approaches on the same rows to see whether they do better. {_READ_SOME}"
    return _verdict(evidence, "winner", arm, sentence=sentence, next_step=step)


def _advised(evidence: _Evidence) -> Verdict | None:
    arm = evidence.cheapest_safe()
    if arm is None:
        return None
    rivals = evidence.unbeaten(arm)
    if not rivals:
        closest = evidence.others(arm)[0]
        whom = "every other approach" if len(evidence.arms) > 2 else "the only other approach"
        sentence = f"{arm.title}: it beats {whom}; {_gap_text(evidence.gap(arm, closest), closest.title, evidence.n)}."
        return _verdict(evidence, "winner", arm, sentence=sentence, next_step=f"Use it. {_READ_SOME}")
    if any(rival.cost_rank < arm.cost_rank for rival in rivals):
        return None
    margin = _unsigned(evidence.margin)
    shown = _gap_text(evidence.gap(arm, rivals[0]), rivals[0].title, evidence.n)
    price = "cheaper" if all(rival.cost_rank > arm.cost_rank for rival in rivals) else "no dearer"
    if all(evidence.inside_margin(arm, rival) for rival in rivals):
        tied = _listed([rival.title for rival in rivals])
        sentence = f"A tie within {margin} points: take {arm.title}, which is {price} than {tied}; {shown}."
        return _verdict(evidence, "tie", arm, sentence=sentence, next_step=f"Use it. {_READ_SOME}")
    sentence = f"{arm.title}: it is {price}, and no other approach is better by {margin} points or more; {shown}."
    step = f"Use it; label more test rows only if a gap below {margin} points would matter to you. {_READ_SOME}"
    return _verdict(evidence, "cheaper", arm, sentence=sentence, next_step=step)


def _undecided(evidence: _Evidence) -> Verdict:
    bet, n = evidence.cheapest_safe() or evidence.best, evidence.n
    rivals = evidence.unbeaten(bet)
    rival = next((rival for rival in rivals if not evidence.inside_margin(bet, rival)), rivals[0])
    shown = _gap_text(evidence.gap(bet, rival), rival.title, n)
    sentence = f"Not enough evidence yet. Best bet: {bet.title}, {shown}{_odds(evidence, bet)}."
    rows = evidence.rows_to_settle(bet, rival.scores)
    cheapest = min(rivals, key=lambda arm: arm.cost_rank)
    step, loss = _label_more(rows, n), evidence.gap(bet, cheapest).high
    if cheapest.cost_rank >= bet.cost_rank:
        step += f" Until then take {bet.title}: no approach that may be better is cheaper."
    elif loss > 0:
        step += f" If a loss of up to {_unsigned(loss)} points is fine with you, take {cheapest.title}: it is cheaper."
    return _verdict(evidence, "not_enough_evidence", bet, sentence=sentence, next_step=step, rows=rows)


_READ_BY_HAND = "Read 20 rows by hand: are the wanted answers right, and do they follow from the prompt?"
_FIX_THE_TASK = f"{_READ_BY_HAND} Then try a larger model, or add the documents that the answers come from."
_READ_SOME = "Read a few of its wrong answers first."


def _verdict(
    evidence: _Evidence,
    kind: Kind,
    arm: ArmScores | None,
    *,
    sentence: str,
    next_step: str,
    rows: int | None = None,
) -> Verdict:
    shown = arm or evidence.best
    pairs = []
    for a, b in combinations(evidence.arms, 2):
        gap = evidence.gap(a, b)
        pairs.append(Pair(a.name, b.name, gap.estimate, (gap.low, gap.high)))
    return Verdict(
        kind=kind,
        arm=arm.name if arm else None,
        sentence=sentence,
        next_step=next_step,
        reasons=_reasons(evidence, shown),
        rows_needed=rows,
        pairs=tuple(pairs),
        best=evidence.best.name,
        probability_best=evidence.chances,
        expected_regret=evidence.regrets[shown.name],
    )


def _reasons(evidence: _Evidence, arm: ArmScores) -> tuple[str, ...]:
    """What each comparison of ``arm`` shows, the baseline first."""
    compared = [(other.title, evidence.gap(arm, other)) for other in evidence.others(arm)]
    if evidence.baseline is not None:
        compared.insert(0, (evidence.baseline.name, evidence.gains[arm.name]))
    return tuple(f"{arm.title} {_reading(gap, name, evidence.margin)}: {_ends(gap)}." for name, gap in compared)


def _reading(gap: Interval, other: str, margin: float) -> str:
    if gap.low > 0:
        return f"beats {other}"
    if gap.high < 0:
        return f"is worse than {other}" + (", by less than the margin" if gap.low > -margin else "")
    if -margin < gap.low and gap.high < margin:
        return f"is as good as {other}, within the margin"
    if gap.low > -margin:
        return f"is not worse than {other} by as much as the margin, and may be better"
    if gap.high < margin:
        return f"is not better than {other} by as much as the margin, and may be worse"
    return f"and {other} are not told apart yet"


def _odds(evidence: _Evidence, arm: ArmScores) -> str:
    if len(evidence.arms) == 1:
        return ""
    chance, regret = evidence.chances[arm.name], evidence.regrets[arm.name]
    return f" ({chance:.0%} likely to be the best of those run; expected regret {_unsigned(regret)} points)"


def _label_more(rows: int, n: int) -> str:
    return f"Label about {_more_rows(rows, n)}: that would probably settle it."


def _more_rows(rows: int, n: int) -> str:
    more = _rounded(rows - n)
    return f"{more} more test rows ({n + more} in all)"


def _rounded(rows: int) -> int:
    """Up to two leading digits, since the figure is a forecast."""
    step = int(10 ** max(0, len(str(rows)) - 2))
    return -(-rows // step) * step


def _gap_text(gap: Interval, other: str, n: int) -> str:
    relation = "over" if gap.estimate > 0 else "against"
    ends = f"[{_signed(gap.low)}, {_signed(gap.high)}]"
    return f"{_signed(gap.estimate)} points {relation} {other} {ends} on {_test_rows(n)}"


def _ends(gap: Interval) -> str:
    return f"{_signed(gap.estimate)} points [{_signed(gap.low)}, {_signed(gap.high)}]"


def _signed(score: float) -> str:
    """In points, with a sign. A second digit where one would show a 0 that it is not."""
    points = 100 * score
    if round(points, 1) != 0:
        return f"{points:+.1f}"
    return f"{points:+.2f}" if round(points, 2) != 0 else "0.0"


def _unsigned(score: float) -> str:
    return f"{100 * score:.1f}"


def _test_rows(n: int) -> str:
    return f"{n} test row" + ("s" if n != 1 else "")


def _listed(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _mean(scores: Scores) -> float:
    return round(float(np.mean(scores)), 12)  # equal scores summed in another order are still a tie
