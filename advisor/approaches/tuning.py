"""Choosing how an approach is set up, on validation rows alone. It knows no approach, and never sees a test row.

Successive halving (Jamieson & Talwalkar 2016, arxiv.org/abs/1502.07943) on the same rows for all settings, then the
cheapest setting within one standard error of the best (Breiman et al. 1984, for trees; paired differences here).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from dataset_tools.example import Example, Message

if TYPE_CHECKING:
    from advisor.approaches.approach import Tools

Prompt = tuple[Message, ...]
Prompts = Callable[[Sequence[Example]], list[Prompt]]

# Judgements: what is less than this many rows tells two settings apart no better than a coin.
_ROWS_FOR_MANY, _ROWS_FOR_TWO = 12, 6
# Rounding in means of a few scores must not decide.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to set an approach up.

    Attributes:
        name: For people: "the 6 nearest examples".
        values: The same for scripts: ``{"selection": "nearest", "count": 6}``.
        prompts: Makes the prompts of examples with this setting. What it costs to run is not declared but measured:
            tokens a prompt.
    """

    name: str
    values: dict[str, Any]
    prompts: Prompts


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried: its mean score on so many validation rows, and its mean tokens a prompt there."""

    name: str
    values: dict[str, Any]
    score: float
    rows: int
    tokens: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The setting that was chosen, every one that was tried for it, and how many answers that took.

    Without trials nothing was compared, and the setting is the default.
    """

    setting: Setting
    trials: tuple[Trial, ...] = ()
    answers: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a report."""
        return {
            "setting": self.setting.name,
            "values": self.setting.values,
            "answers": self.answers,
            "trials": [
                {
                    "name": trial.name,
                    "values": trial.values,
                    "score": round(trial.score, 4),
                    "rows": trial.rows,
                    "tokens": round(trial.tokens, 1),
                }
                for trial in self.trials
            ],
        }


def most_settings(tools: Tools) -> int:
    """How many settings the validation rows and the budget of answers can tell apart; 1 where there is no choice.

    A setting needs 12 answers or more; with fewer than 12 rows two settings are compared, with fewer than 6 none.
    """
    rows = len(tools.task.validation)
    if tools.trial is None or rows < _ROWS_FOR_TWO:
        return 1
    affordable = max(1, tools.tuning_answers // _ROWS_FOR_MANY)
    return min(2, affordable) if rows < _ROWS_FOR_MANY else affordable


def can_tune(tools: Tools) -> bool:
    """Whether two settings or more can be compared."""
    return most_settings(tools) > 1


def choose(settings: Sequence[Setting], tools: Tools) -> Tuned:
    """The cheapest setting within one standard error of the best, as measured on validation rows.

    All settings answer the first half of the rows; the better half of them (two at least) answers the rest. Where the
    budget (`Tools.tuning_answers`) does not reach for all, the first settings are tried; settings that make the same
    prompts are tried once. With nothing to compare, the first setting is taken as the default.

    Args:
        settings: The default first, then in the order in which they are worth trying.
        tools: Hands out the validation rows, the budget and the way to try prompts.

    Raises:
        ValueError: there is no setting.
    """
    if not settings:
        raise ValueError("there is no setting to choose")
    candidates = _candidates(settings, tools)
    if len(candidates) < 2:
        return Tuned(settings[0])
    rows = _affordable_rows(len(candidates), tools)
    for candidate in candidates:
        candidate.measure(tools, rows)
        candidate.answer(tools, up_to=rows // 2)
    ranked = sorted(candidates, key=lambda candidate: (-candidate.mean, candidate.tokens))
    finalists = ranked[: _finalists(len(candidates))]
    for candidate in finalists:
        candidate.answer(tools, up_to=rows)
    chosen = _cheapest_as_good(finalists)
    return Tuned(
        chosen.setting,
        tuple(candidate.trial for candidate in candidates),
        sum(len(candidate.scores) for candidate in candidates),
    )


@dataclass
class _Candidate:
    """A setting with its prompts for the validation rows, and the scores of those that were answered."""

    setting: Setting
    made: list[Prompt]
    tokens: float = 0.0
    scores: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return fmean(self.scores)

    @property
    def trial(self) -> Trial:
        return Trial(self.setting.name, self.setting.values, self.mean, len(self.scores), self.tokens)

    def measure(self, tools: Tools, rows: int) -> None:
        """What a prompt costs, over the rows of the trial."""
        self.tokens = fmean(tools.tokens_of(prompt) for prompt in self.made[:rows])

    def answer(self, tools: Tools, *, up_to: int) -> None:
        """Have the rows up to this one answered and scored, those that are not yet."""
        assert tools.trial is not None
        done = len(self.scores)
        self.scores += tools.trial(self.made[done:up_to], tools.task.validation[done:up_to])


def _candidates(settings: Sequence[Setting], tools: Tools) -> list[_Candidate]:
    """The first settings that the budget reaches for, without those that make the prompts of an earlier one."""
    most = most_settings(tools)
    if most < 2 or len(settings) < 2:
        return []
    candidates: list[_Candidate] = []
    for setting in settings:
        made = setting.prompts(tools.task.validation)
        if all(made != other.made for other in candidates):
            candidates.append(_Candidate(setting, made))
        if len(candidates) == most:
            break
    return candidates


def _finalists(settings: int) -> int:
    """The better half, but never one alone: the last choice is made on all rows."""
    return max(2, math.ceil(settings / 2))


def _affordable_rows(settings: int, tools: Tools) -> int:
    """The most validation rows that this many settings can be tried on."""

    def answers(rows: int) -> int:
        return settings * (rows // 2) + _finalists(settings) * (rows - rows // 2)

    counts = range(len(tools.task.validation), 1, -1)
    return next((rows for rows in counts if answers(rows) <= tools.tuning_answers), 2)


def _cheapest_as_good(finalists: Sequence[_Candidate]) -> _Candidate:
    """The one with the fewest tokens whose paired gap to the best is within its standard error; all have all rows."""
    best = max(finalists, key=lambda candidate: (candidate.mean, -candidate.tokens))

    def as_good(candidate: _Candidate) -> bool:
        gaps = [one - other for one, other in zip(best.scores, candidate.scores, strict=True)]
        return fmean(gaps) <= stdev(gaps) / math.sqrt(len(gaps)) + _ROUNDING

    return min((candidate for candidate in finalists if as_good(candidate)), key=lambda candidate: candidate.tokens)
