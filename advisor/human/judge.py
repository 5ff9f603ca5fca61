"""A model as a judge of the same pairs, and what its judgement is worth beside people's. It is no rater of a session.

Each pair is shown in both orders; a judge that does not say the same twice has said "tie". Its agreement with people
comes first, its score after that, and the score that counts is rectified by people's votes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from advisor.answering import Answerer
from advisor.answering.answer import Progress
from advisor.human.result import winners
from advisor.human.session import Session
from advisor.human.tallies import wilson
from advisor.human.votes import Vote, counted
from advisor.report.figures import prompt_text
from advisor.statistics import Interval
from dataset_tools.example import Message

JUDGE_PROMPT = """Two answers to the same request are below. Which one is better?

[Request]
{request}

[Answer A]
{a}

[Answer B]
{b}

Judge how well each does what the request asks; neither its length nor its place matters. Say only A, B or TIE."""
"""The judge's prompt, as it is written down with its result."""

MARGIN_OVER_CHANCE = 0.1
"""How far above agreement by chance the lower end of the judge's agreement must lie to be of use. A judgement."""

_SAID = re.compile(r"\W*(?:answer\s+)?(A|B|TIE)\b(?=\W*$|\s*[.,:;!*)\]]|\s+is\b)", re.IGNORECASE)
_MOST_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said of one pair: the arm that it prefers in both orders, None for a tie.

    ``consistent`` is False where the two orders contradict each other, ``readable`` where an answer named no choice.
    """

    item: int
    a: str
    b: str
    winner: str | None
    consistent: bool
    readable: bool


@dataclass(frozen=True)
class JudgeResult:
    """A judge beside people, for the win rate of ``a`` against ``b`` (a tie is half a win).

    Attributes:
        a: one arm.
        b: the other.
        judged: pairs that the judge has seen.
        consistent: the share on which it said the same in both orders.
        compared: pairs with votes of people as well.
        agreement: the share of these on which both say the same (a, b or tie), with Wilson's interval.
        chance: the agreement that two would reach who choose as often, but without looking.
        usable: whether the agreement's lower end lies above ``chance`` by `MARGIN_OVER_CHANCE`.
        score: the win rate by the judge alone, with its interval.
        rectified: the win rate by the judge, put right by people's votes; None with fewer than two of these.
        prompt: the judge's prompt.
        sentence: the agreement, then the score.
    """

    a: str
    b: str
    judged: int
    consistent: float
    compared: int
    agreement: Interval | None
    chance: float
    usable: bool
    score: Interval
    rectified: Interval | None
    prompt: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json`` and reports."""
        return asdict(self)


def judge_pairs(
    session: Session, answerer: Answerer, *, items: Sequence[int] | None = None, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """Let a model judge the session's pairs, each in both orders.

    Args:
        session: the session.
        answerer: the model.
        items: only these items.
        progress: told how many of the prompts are answered.
    """
    pairs = [pair for pair in session.pairs() if items is None or pair[0] in items]
    orders = [order for item, a, b in pairs for order in ((item, a, b), (item, b, a))]
    answers = answerer.answer(
        [judge_prompt(session, item, first, second) for item, first, second in orders],
        max_new_tokens=_MOST_TOKENS,
        progress=progress,
    )
    said = [read_choice(answer.text) for answer in answers]
    found = []
    for at, (item, a, b) in enumerate(pairs):
        first, second = said[2 * at], said[2 * at + 1]
        one, two = {"A": a, "B": b}.get(first or ""), {"A": b, "B": a}.get(second or "")
        readable = first is not None and second is not None
        found.append(Verdict(item, a, b, one if one == two else None, readable and one == two, readable))
    return tuple(found)


def judge_prompt(session: Session, item: int, first: str, second: str) -> tuple[Message, ...]:
    """What the judge is asked of an item, with one arm's answer as A and another's as B."""
    prompt = session.items[item].prompt
    request = prompt[0].content if len(prompt) == 1 else prompt_text([message.to_dict() for message in prompt])
    values = {"request": request, "a": session.answer(item, first) or "", "b": session.answer(item, second) or ""}
    # In one pass: what the answers say is never read as a place of the prompt.
    text = re.sub(r"\{(request|a|b)\}", lambda place: values[place[1]], JUDGE_PROMPT)
    return (Message("user", text),)


def read_choice(text: str) -> str | None:
    """A, B or TIE, where the answer begins with it; None where it names none."""
    found = _SAID.match(text.strip())
    if found is None or (found[1] == "a" and found.end() < len(text.strip())):  # "a" is a word as well
        return None
    return found[1].upper()


def judge_result(
    session: Session, votes: Sequence[Vote], verdicts: Sequence[Verdict], *, a: str, b: str
) -> JudgeResult:
    """The judge beside people's votes on two arms.

    Raises:
        ValueError: the judge has seen no pair of these arms.
    """
    seen = {one.item: one for one in verdicts if {one.a, one.b} == {a, b}}
    if not seen:
        raise ValueError("the judge has seen no pair of these arms")
    own = [vote for vote in counted(votes) if {vote.left, vote.right} == {a, b}]
    people = {item: winner for item, winner in winners(own).items() if item in seen}
    agreed = sum(seen[item].winner == winner for item, winner in people.items())
    agreement = Interval(agreed / len(people), *wilson(agreed / len(people), len(people))) if people else None
    chance = _chance([seen[item].winner for item in people], list(people.values()))
    usable = agreement is not None and agreement.low > chance + MARGIN_OVER_CHANCE
    marks = {item: _mark(one.winner, a) for item, one in seen.items()}
    values: dict[int, list[float]] = {}
    for vote in own:
        values.setdefault(vote.item, []).append((1 + vote.value_for(a)) / 2)
    labels = {item: sum(values[item]) / len(values[item]) for item in people}
    score = rectified_mean([], [], list(marks.values()))
    rectified = None
    if len(people) > 1:
        rest = [mark for item, mark in marks.items() if item not in people]
        rectified = rectified_mean([labels[item] for item in people], [marks[item] for item in people], rest)
    return JudgeResult(
        a=a,
        b=b,
        judged=len(seen),
        consistent=sum(one.consistent for one in seen.values()) / len(seen),
        compared=len(people),
        agreement=agreement,
        chance=chance,
        usable=usable,
        score=score,
        rectified=rectified,
        prompt=JUDGE_PROMPT,
        sentence=_sentence(agreement, chance, usable=usable, score=score, rectified=rectified),
    )


def rectified_mean(labels: Sequence[float], marks: Sequence[float], others: Sequence[float]) -> Interval:
    """The mean of labels, sharpened by marks that a judge gave to these items and to others; 95%, in [0, 1].

    PPI++ (Angelopoulos, Duchi & Zrnic 2023, https://arxiv.org/abs/2311.01453): mean(labels) - k (mean(marks) -
    mean(others)) with k = cov(labels, marks) / ((1 + n/N) var(marks)), between 0 and 1, and the variance
    var(labels - k marks)/n + k^2 var(others)/N. A bad judge gets k = 0, and the labels alone remain. Student's t with
    n - 1 degrees in place of the normal, as n is small. Without labels it is the plain mean of the judge's marks.

    Args:
        labels: people's values in [0, 1]; none, or two or more.
        marks: the judge's of the same items.
        others: the judge's of items without a label; may be empty.
    """
    import numpy as np
    from scipy.stats import t

    y, f, g = (np.asarray(values, dtype=np.float64) for values in (labels, marks, others))
    if not y.size:
        y, f, g = g, np.zeros(g.size), np.zeros(0)
    n, total = y.size, g.size
    k = 0.0
    if total and f.var() > 0:
        k = float(np.clip(np.cov(y, f)[0, 1] / ((1 + n / total) * np.append(f, g).var(ddof=1)), 0, 1))
    estimate = float(y.mean() - (k * (f.mean() - g.mean()) if total else 0.0))
    variance = float((y - k * f).var(ddof=1)) / n if n > 1 else 0.25
    variance += k**2 * float(g.var(ddof=1)) / total if total > 1 else 0.0
    # Where all labels agree the variance is not 0 in truth: one more of either end, as in `paired_interval`.
    variance = max(variance, 0.5 / (n + 2) ** 2)
    half = float(t.ppf(0.975, max(1, n - 1))) * math.sqrt(variance)
    return Interval(*(min(1.0, max(0.0, value)) for value in (estimate, estimate - half, estimate + half)))


def _mark(winner: str | None, arm: str) -> float:
    return 0.5 if winner is None else float(winner == arm)


def _chance(one: Sequence[str | None], other: Sequence[str | None]) -> float:
    """The agreement of two who choose independently, each as often as seen (Cohen 1960)."""
    if not one:
        return 1 / 3
    first, second = Counter(one), Counter(other)
    return sum(first[value] * second[value] for value in first) / (len(one) * len(other))


def _sentence(
    agreement: Interval | None, chance: float, *, usable: bool, score: Interval, rectified: Interval | None
) -> str:
    if agreement is None:
        return "Nobody has voted on what the judge has seen, so nothing is known of its worth; its score is not shown."
    mean, low, high = (100 * value for value in agreement)
    told = f"The judge agrees with people on {mean:.0f}% ({low:.0f} to {high:.0f}; by chance {100 * chance:.0f}%)."
    if not usable:
        return f"{told} That is too low, or known too little, to use it: go by people's votes alone."
    own = f"By the judge alone the win rate is {100 * score.estimate:.0f}%"
    if rectified is None:
        return f"{told} {own}."
    mean, low, high = (100 * value for value in rectified)
    return f"{told} {own}, put right by people's votes {mean:.0f}% ({low:.0f} to {high:.0f}); ties count half."
