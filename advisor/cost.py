"""What arms cost to run, when training pays back, and what the user's situation says for and against an arm.

No part of the verdict, which rests on scores alone. A figure in dollars is made from prices: the defaults are
assumptions, and every sentence that rests on them says so. Formulas: SCIENCE 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, get_args

from advisor.verdict import DEFAULT_MARGIN, Verdict
from dataset_tools.errors import UsageError

AnswersChange = Literal["never", "yearly", "monthly", "weekly", "daily"]
RunsOn = Literal["here", "own_gpu", "hosted"]

DECODE_WEIGHT = 5.0
"""How many prompt tokens take as long as one answer token. An assumption, from this project's own measurement on two
CPU cores in batches of 16: about 1,800 prompt tokens and 350 answer tokens a second. For one request at a time on a GPU
it is far higher, and prefix caching then saves a smaller share of the time."""

HOURS_A_MONTH = 730

# How often an arm is set up again. "never" is once a year too, with a newer base model: a judgement.
_SETUPS_A_MONTH: dict[AnswersChange, float] = {
    "never": 1 / 12,
    "yearly": 1 / 12,
    "monthly": 1.0,
    "weekly": 52 / 12,
    "daily": 365 / 12,
}
_OFTEN: tuple[AnswersChange, ...] = ("weekly", "daily")
# Judgements: from this many prompt tokens on, of which less than this share comes first in every prompt, it is worth
# saying that prefix caching does not help.
_LONG_PROMPT, _LITTLE_SHARED = 500, 0.5


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars. The defaults are ASSUMPTIONS; ``assumed`` says whether any default may be among them.

    Attributes:
        prompt: per million prompt tokens. Assumed .10: hosted inference of a 4B model, Prime Intellect's list
            (docs.primeintellect.ai/hosted-training/models-and-pricing, read 2026-09-20); a 9B model .20 there.
        cached_prompt: per million prompt tokens that a cache holds. Assumed .01, a tenth of ``prompt``: Mistral's rule
            (docs.mistral.ai/studio-api/conversations/advanced/prompt-caching, read 2026-11-21); others take .25 or .5.
        answer: per million answer tokens. Assumed .30: the same list as ``prompt``.
        machine_hour: of a machine with one GPU. Assumed 1.60: an L40S by the hour, Runware's list (runware.ai/pricing,
            read 2026-10-07).
        assumed: False where the user gave the prices.

    Raises:
        UsageError: a price is not a number of at least 0.
    """

    prompt: float = 0.10
    cached_prompt: float = 0.01
    answer: float = 0.30
    machine_hour: float = 1.60
    assumed: bool = True

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 <= value < math.inf:
                raise UsageError(
                    "A price must be a number of at least 0.",
                    where=f"price {each.name}",
                    found=str(value),
                    expected="dollars, such as 0.10",
                    next_step="Leave it out to have it assumed.",
                )

    @property
    def note(self) -> str:
        """What a sentence with a figure from these prices ends with: " (assumed prices)" or nothing."""
        return " (assumed prices)" if self.assumed else ""


@dataclass(frozen=True, slots=True)
class Situation:
    """The user's four answers.

    Attributes:
        requests_a_month: how many the model will answer.
        answers_change: how often the right answers change.
        must_cite: whether an answer must name its source.
        runs_on: here (this machine, at no price), own_gpu (a machine paid by the hour), hosted (paid by the token).

    Raises:
        UsageError: an answer is none of these.
    """

    requests_a_month: int = 10_000
    answers_change: AnswersChange = "yearly"
    must_cite: bool = False
    runs_on: RunsOn = "here"

    def __post_init__(self) -> None:
        if self.requests_a_month < 0:
            raise UsageError(
                "The number of requests is at least 0.",
                where="requests a month",
                found=str(self.requests_a_month),
                expected="a whole number, such as 10000",
            )
        for where, found, known in (
            ("how often answers change", self.answers_change, get_args(AnswersChange)),
            ("where it will run", self.runs_on, get_args(RunsOn)),
        ):
            if found not in known:
                raise UsageError("There is no such answer.", where=where, found=found, expected=", ".join(known))


@dataclass(frozen=True, slots=True)
class RequestCost:
    """What one request costs: dollars and seconds, without and with prefix caching."""

    dollars: float
    dollars_cached: float
    seconds: float
    seconds_cached: float


@dataclass(frozen=True, slots=True)
class ArmCost:
    """What an arm was measured to take, on average over its requests.

    Attributes:
        name: its stable name.
        title: its name for people.
        prompt_tokens: of a prompt, all of it.
        shared_prefix_tokens: of that, what stands first and alike in every prompt: what a cache can hold.
        answer_tokens: of an answer.
        seconds: of a request, measured with the shared prefix computed once.
        setup_seconds: to prepare it: training, an index.
        trains: whether that is a training, which changed answers make necessary again.
        cites: whether its prompt holds the passages that its answers can name.

    Raises:
        ValueError: a figure is not a number of at least 0, or the shared prefix is longer than the prompt.
    """

    name: str
    title: str
    prompt_tokens: float
    shared_prefix_tokens: float
    answer_tokens: float
    seconds: float
    setup_seconds: float = 0.0
    trains: bool = False
    cites: bool = False

    def __post_init__(self) -> None:
        figures = (self.prompt_tokens, self.shared_prefix_tokens, self.answer_tokens, self.seconds, self.setup_seconds)
        if not all(0 <= figure < math.inf for figure in figures):
            raise ValueError("tokens and seconds are at least 0")
        if self.shared_prefix_tokens > self.prompt_tokens:
            raise ValueError("the shared prefix is part of the prompt")

    def request(self, prices: Prices, *, runs_on: RunsOn) -> RequestCost:
        """One request: by the token where it is hosted, by the time on a machine paid by the hour, free here.

        C = p_in (T - S) + p_cached S + p_out A with caching, p_in T + p_out A without. The seconds without caching are
        an estimate: the measured ones, times the work by `DECODE_WEIGHT`.
        """
        work = self.prompt_tokens + DECODE_WEIGHT * self.answer_tokens
        saved = self.shared_prefix_tokens / work if work else 0.0
        seconds = self.seconds / (1 - saved) if saved < 1 else self.seconds
        if runs_on == "hosted":
            answer = prices.answer * self.answer_tokens
            own = self.prompt_tokens - self.shared_prefix_tokens
            dollars = (prices.prompt * self.prompt_tokens + answer) / 1e6
            cached = (prices.prompt * own + prices.cached_prompt * self.shared_prefix_tokens + answer) / 1e6
            return RequestCost(dollars, cached, seconds, self.seconds)
        hourly = prices.machine_hour if runs_on == "own_gpu" else 0.0
        return RequestCost(hourly * seconds / 3600, hourly * self.seconds / 3600, seconds, self.seconds)

    def setup_dollars(self, prices: Prices, *, runs_on: RunsOn) -> float:
        """What preparing it once costs, on a machine paid by the hour; nothing here."""
        return 0.0 if runs_on == "here" else prices.machine_hour * self.setup_seconds / 3600


def break_even(
    tuned: ArmCost, prompted: ArmCost, prices: Prices, *, caching: bool, runs_on: RunsOn = "hosted"
) -> float | None:
    """After how many requests what the tuned arm costs more to prepare is paid back; None if it never is.

    R = (set-up of tuned - set-up of prompted) / (a request of prompted - a request of tuned). In dollars; in seconds
    where it runs here, where time is all it costs.
    """
    own, other = tuned.request(prices, runs_on=runs_on), prompted.request(prices, runs_on=runs_on)
    if runs_on == "here":
        extra = tuned.setup_seconds - prompted.setup_seconds
        saved = other.seconds_cached - own.seconds_cached if caching else other.seconds - own.seconds
    else:
        extra = tuned.setup_dollars(prices, runs_on=runs_on) - prompted.setup_dollars(prices, runs_on=runs_on)
        saved = other.dollars_cached - own.dollars_cached if caching else other.dollars - own.dollars
    return max(0.0, extra) / saved if saved > 0 else None


def monthly_dollars(cost: ArmCost, situation: Situation, prices: Prices, *, caching: bool = True) -> float:
    """Requests and set-ups of a month in dollars; an arm is set up again whenever answers change."""
    each = cost.request(prices, runs_on=situation.runs_on)
    dollars = each.dollars_cached if caching else each.dollars
    setups = _SETUPS_A_MONTH[situation.answers_change]
    return situation.requests_a_month * dollars + setups * cost.setup_dollars(prices, runs_on=situation.runs_on)


def pareto(costs: Mapping[str, float], scores: Mapping[str, float]) -> tuple[str, ...]:
    """The arms that no other arm beats in cost or score without losing in the other, the cheapest first.

    By the figures as they are: whether two scores really differ is for the verdict.
    """
    names = sorted(set(costs) & set(scores), key=lambda name: (costs[name], -scores[name], name))

    def beaten(name: str) -> bool:
        return any(
            costs[other] <= costs[name]
            and scores[other] >= scores[name]
            and (costs[other] < costs[name] or scores[other] > scores[name])
            for other in names
        )

    return tuple(name for name in names if not beaten(name))


def considerations(
    verdict: Verdict, costs: Mapping[str, ArmCost], *, situation: Situation, prices: Prices | None = None
) -> tuple[str, ...]:
    """What the situation says for or against the advised arm and every arm that may be as good, in plain English.

    Empty where the verdict names no arm. An arm is left out where it is surely worse by the margin of 3 points, or has
    no cost.
    """
    prices = prices or Prices()
    running = _in_the_running(verdict, costs)
    found = [line for cost in running for line in _about(cost, situation, prices)]
    if running and situation.must_cite and not any(cost.cites for cost in running):
        citing = [cost.title for cost in _costs_of(costs) if cost.cites]
        found += [f"For {title}: it scores lower, but it can name its source." for title in citing]
    if len(running) > 1:
        found.append(_side_by_side(running, situation, prices))
    return tuple(found)


def flips(
    verdict: Verdict, costs: Mapping[str, ArmCost], *, situation: Situation, prices: Prices | None = None
) -> tuple[str, ...]:
    """What would turn the advice to another arm that may be as good: volume, change, citations.

    Empty where the verdict names no arm.
    """
    prices = prices or Prices()
    running = _in_the_running(verdict, costs)
    if not running or running[0].name != verdict.arm:
        return ()
    advised, others = running[0], running[1:]
    found = [_volume(advised, other, situation, prices) for other in others if other.trains != advised.trains]
    untrained = next((other for other in others if not other.trains), None)
    if advised.trains and untrained and situation.answers_change not in _OFTEN:
        found.append(
            f"If answers changed weekly or more often, take {untrained.title}: {advised.title} must be trained again "
            "each time."
        )
    citing = [each for each in _costs_of(costs) if each.cites and _behind(verdict, each.name) is not None]
    if citing and not advised.cites and not situation.must_cite:
        best = min(citing, key=lambda each: _behind(verdict, each.name) or 0.0)
        behind = 100 * (_behind(verdict, best.name) or 0.0)
        price = f", at {behind:.1f} points less" if behind > 0 else ""
        found.append(f"If answers had to name their source, take {best.title}{price}: {advised.title} cannot.")
    return tuple(line for line in found if line)


def _costs_of(costs: Mapping[str, ArmCost]) -> Iterable[ArmCost]:
    return sorted(costs.values(), key=lambda cost: (cost.trains, cost.prompt_tokens, cost.name))


def _behind(verdict: Verdict, name: str) -> float | None:
    """How far an arm's score is below the advised one's; None where the two were not compared."""
    for pair in verdict.pairs:
        if (pair.a, pair.b) == (verdict.arm, name):
            return pair.difference
        if (pair.a, pair.b) == (name, verdict.arm):
            return -pair.difference
    return None


def _in_the_running(verdict: Verdict, costs: Mapping[str, ArmCost]) -> list[ArmCost]:
    """The advised arm, then those that are not surely worse than it by the margin, the cheapest first."""
    if verdict.arm is None:
        return []
    possible = {verdict.arm}
    for pair in verdict.pairs:
        if pair.a == verdict.arm and pair.interval[0] < DEFAULT_MARGIN:
            possible.add(pair.b)
        if pair.b == verdict.arm and pair.interval[1] > -DEFAULT_MARGIN:
            possible.add(pair.a)
    running = [cost for cost in _costs_of(costs) if cost.name in possible]
    return sorted(running, key=lambda cost: cost.name != verdict.arm)


def _about(cost: ArmCost, situation: Situation, prices: Prices) -> list[str]:
    found, often = [], situation.answers_change in _OFTEN
    if cost.trains and situation.answers_change in (*_OFTEN, "monthly"):
        each = _duration(cost.setup_seconds)
        found.append(
            f"Against {cost.title}: answers change {situation.answers_change}, and each time it must be trained again "
            f"({each})."
        )
    if cost.cites and not cost.trains and often:
        found.append(f"For {cost.title}: when answers change it needs new documents, no training.")
    if situation.must_cite:
        cites = "the passages stand in its prompt, so it can name its source"
        cannot = "it sees no documents, so it cannot name its source, and yours must"
        found.append(f"For {cost.title}: {cites}." if cost.cites else f"Against {cost.title}: {cannot}.")
    if cost.trains and situation.runs_on == "hosted":
        found.append(
            f"Against {cost.title}: not every host serves a tuned model at the base's price; a machine of its own is "
            f"about {_money(HOURS_A_MONTH * prices.machine_hour)} a month{prices.note}."
        )
    share = cost.shared_prefix_tokens / cost.prompt_tokens if cost.prompt_tokens else 1.0
    if cost.prompt_tokens >= _LONG_PROMPT and share < _LITTLE_SHARED:
        found.append(
            f"Against {cost.title}: only {share:.0%} of its {cost.prompt_tokens:,.0f} prompt tokens are alike in every "
            "request, so prefix caching saves little."
        )
    return found


def _side_by_side(running: list[ArmCost], situation: Situation, prices: Prices) -> str:
    if situation.runs_on == "here":
        shown = [f"{cost.title} {cost.seconds:.2g} s" for cost in running]
        return f"On this machine a request takes: {', '.join(shown)} (measured, many at a time)."
    shown = [f"{cost.title} {_money(monthly_dollars(cost, situation, prices))}" for cost in running]
    return f"{situation.requests_a_month:,} requests a month, with prefix caching: {', '.join(shown)}{prices.note}."


def _volume(advised: ArmCost, other: ArmCost, situation: Situation, prices: Prices) -> str | None:
    """From or up to which volume the trained one of the two is the cheaper one; None where no volume turns it."""
    tuned, prompted = (advised, other) if advised.trains else (other, advised)
    here, setups = situation.runs_on == "here", _SETUPS_A_MONTH[situation.answers_change]
    plain, cached = (
        break_even(tuned, prompted, prices, caching=caching, runs_on=situation.runs_on) for caching in (False, True)
    )
    if cached is None or cached * setups < 1:
        return None
    turn, now = cached * setups, situation.requests_a_month
    notes = [] if here or not prices.assumed else ["assumed prices"]
    if plain and plain < 0.7 * cached:
        estimate = "" if situation.runs_on == "hosted" else "an estimated "
        notes.insert(0, f"{estimate}{_count(plain * setups)} without prefix caching")
    volume = f"{_count(turn)} requests a month" + (f" ({'; '.join(notes)})" if notes else "")
    gain = "takes less time in all" if here else "is cheaper"
    if (now >= turn) == (tuned is advised):
        side = "Below" if tuned is advised else "Above"
        return f"{side} {volume} {other.title} {gain} than {advised.title}."
    side = "above" if tuned is advised else "below"
    return (
        f"At {now:,} requests a month {other.title} {gain} than {advised.title} already; the other way round {side} "
        f"{volume}."
    )


def _count(requests: float) -> str:
    """Up to two leading digits, since it is an estimate."""
    whole = max(1, round(requests))
    return f"{round(whole, 2 - len(str(whole))):,}"


def _money(dollars: float) -> str:
    if dollars >= 100:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 0.01 or dollars == 0 else "under $0.01"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
