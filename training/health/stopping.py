"""Do the answers end by themselves, and are they about as long as the wanted ones?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dataset_tools.rendering import Rendered
from training.generation import Generated, padding_token, stop_tokens
from training.health.card import HealthFinding, Light, grey
from training.health.intervals import rate_interval
from training.health.likelihood import token_scores

_ID, _TITLE = "stopping", "Do the answers end"
# Judgement: users see one run-on answer in ten; below half, the stop token was hardly learnt.
GOOD_STOP_RATE, POOR_STOP_RATE = 0.9, 0.5
# Judgement: answers of another length than wanted are worth a look beyond a factor of 2 and some tokens.
_LENGTH_FACTOR, _LENGTH_TOKENS = 2.0, 8
# An answer loops where its last characters occur this often in it.
_LOOP_CHARACTERS, _LOOP_TIMES = 20, 3


@dataclass(frozen=True, slots=True)
class Stopping:
    """How answers ended.

    Attributes:
        rows: answers judged; those whose wanted answer would itself have been cut off are left out.
        ended: how many of them ended by themselves.
        tokens: their mean length in tokens, stop token included.
        wanted: the mean length of the wanted answers.
        limit: where answers were cut off.
        looping: how many of those that did not end repeat themselves.
        stop_probability: the mean probability of the stop token after whole wanted answers; None if not looked at.
    """

    rows: int
    ended: int
    tokens: float
    wanted: float
    limit: int
    looping: int = 0
    stop_probability: float | None = None

    @property
    def rate(self) -> float | None:
        """The share that ended; None of nothing."""
        return self.ended / self.rows if self.rows else None


def measure_stopping(
    model: Any, tokenizer: Any, answers: Sequence[Generated], wanted: Sequence[Rendered], *, limit: int
) -> Stopping:
    """Look at greedy answers beside the rows they answer; ask for the stop token's probability where many run on."""
    kept = [(answer, row) for answer, row in zip(answers, wanted, strict=True) if row.trained < limit]
    if not kept:
        return Stopping(0, 0, 0.0, 0.0, limit)
    ended = sum(answer.ended for answer, _ in kept)
    probability = None
    if ended < GOOD_STOP_RATE * len(kept):
        probability = _stop_probability(model, tokenizer, [row for _, row in kept])
    return Stopping(
        rows=len(kept),
        ended=ended,
        tokens=fmean(answer.tokens for answer, _ in kept),
        wanted=fmean(row.trained for _, row in kept),
        limit=limit,
        looping=sum(not answer.ended and loops(answer.text) for answer, _ in kept),
        stop_probability=probability,
    )


def _stop_probability(model: Any, tokenizer: Any, rows: Sequence[Rendered]) -> float | None:
    """The mean probability of the stop token after the whole wanted answer; None where no row ends with one."""
    stops = stop_tokens(model, tokenizer)
    whole = [row for row in rows if row.ids[-1] in stops and row.mask[-1]]
    ends = [Rendered(row.ids, [0] * (len(row.ids) - 1) + [1]) for row in whole]
    scores = token_scores(model, ends, pad=padding_token(tokenizer))
    return fmean(math.exp(-row.nll[0]) for row in scores) if scores else None


def loops(text: str) -> bool:
    """Whether a text repeats its own end."""
    end = text[-_LOOP_CHARACTERS:]
    return len(end) == _LOOP_CHARACTERS and text.count(end) >= _LOOP_TIMES


def judge_stopping(seen: Stopping) -> HealthFinding:
    """The light: by the share that ended (`GOOD_STOP_RATE`, `POOR_STOP_RATE`), then by the answers' length."""
    if seen.rate is None:
        reason = f"The wanted answers are longer than the {seen.limit} tokens after which answers were cut off here."
        return grey(_ID, _TITLE, reason)
    low, high = rate_interval(seen.ended, seen.rows)
    value = f"{seen.ended} of {seen.rows} end, {seen.tokens:.0f} tokens on average ({seen.wanted:.0f} wanted)"
    figures = {"stop_rate": seen.rate, "low": low, "high": high, "tokens": seen.tokens, "wanted_tokens": seen.wanted}
    if seen.stop_probability is not None:
        figures["stop_probability"] = seen.stop_probability
    if seen.rate < GOOD_STOP_RATE:
        why, knob = _why_it_runs_on(seen)
        light: Light = "red" if seen.rate < POOR_STOP_RATE else "amber"
        reason = f"The others were cut off after {seen.limit} tokens. {why}"
        return HealthFinding(_ID, light, _TITLE, value, reason, knob, figures)
    if seen.wanted and abs(seen.tokens - seen.wanted) > _LENGTH_TOKENS:
        factor = seen.tokens / seen.wanted
        if factor > _LENGTH_FACTOR or factor < 1 / _LENGTH_FACTOR:
            much = "longer" if factor > 1 else "shorter"
            reason = f"They end, but are much {much} than the wanted answers. More steps or more rows teach the length."
            return HealthFinding(_ID, "amber", _TITLE, value, reason, "epochs", figures)
    reason = f"They stop where they should; {seen.rows} rows leave a rate from {low:.0%} to {high:.0%} possible."
    return HealthFinding(_ID, "green", _TITLE, value, reason, None, figures)


def _why_it_runs_on(seen: Stopping) -> tuple[str, str]:
    """The likeliest cause, and the knob."""
    if seen.stop_probability is None:
        return "No wanted answer ends with the stop token: raise max_length, so that rows keep their end.", "max_length"
    if seen.stop_probability < 0.5:
        learnt = f"{seen.stop_probability:.2g}"
        why = f"The stop token is hardly learnt: its probability after a whole wanted answer is {learnt}. Train longer."
        return why, "epochs"
    if 2 * seen.looping >= seen.rows - seen.ended:
        return "Most of them repeat themselves, a sign of too strong a training.", "learning_rate"
    return "The stop token is learnt, but the answers drift away from their ends: more rows help.", "data"
