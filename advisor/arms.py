"""One arm of a comparison: prepared, answered, scored, and kept on the disk as soon as it is whole.

It may leave the race before the last row: when another arm is surely better, or when it is dearer and not ahead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from advisor.answering import Answer, Answerer, StoredAnswerer
from advisor.answering.local import common_prefix
from advisor.approaches import Approach, Prompt, Tools
from advisor.likelihood import Likelihoods, joined_likelihoods, shown
from advisor.lineup import Arm
from advisor.metrics import Metric
from advisor.statistics import mean_interval, race_decision, stretched
from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts
from dataset_tools.writing import write_text_atomically

Likely = Callable[[Sequence[Prompt], Sequence[Example]], Likelihoods]
"""How likely a model finds the examples' wanted answers after these prompts."""

# Prompts that the shared beginning is taken from; it is shorter with each one, and settled after a few.
_PROMPTS_FOR_PREFIX = 32
# As often an arm is looked at, if that leaves as many rows to answer at once: fewer take hardly less time, as a batch
# takes as many steps as its longest answer has tokens.
_LOOKS, _FEWEST_AT_ONCE = 8, 16
# A dearer arm that is level at half of the rows is dropped only where half says something: a judgement.
_ROWS_FOR_FUTILITY = 100


@dataclass(frozen=True)
class Dropped:
    """Why an arm did not answer all rows: after so many of them it could not win any more."""

    rows: int
    why: str
    leader: str
    sentence: str


@dataclass(frozen=True)
class ArmResult:
    """What an arm did on the test rows, in the task's order.

    ``seconds`` is the time to answer its rows in batches, ``setup_seconds`` the time to prepare (index, choose
    settings, train), ``shared_prefix_tokens`` how many tokens all its prompts begin with alike.
    """

    name: str
    title: str
    answers: tuple[Answer, ...]
    scores: tuple[float, ...]
    seconds: float
    setup_seconds: float
    training: dict[str, Any] | None = None
    tuning: dict[str, Any] | None = None
    dropped: Dropped | None = None
    shared_prefix_tokens: int = 0
    likelihoods: Likelihoods = field(default_factory=Likelihoods)

    def to_dict(self, wanted: Sequence[str], metric: Metric, *, wider: float = 1.0) -> dict[str, Any]:
        """The arm's row of ``result.json``.

        Args:
            wanted: The wanted answers of all test rows.
            metric: Has scored them.
            wider: How much wider its interval is, where the rows were answered in folds.
        """
        count, interval = len(self.scores), stretched(mean_interval(self.scores), wider, bounds=(0.0, 1.0))
        details = metric.details([answer.text for answer in self.answers], wanted[:count])
        return {
            "name": self.name,
            "title": self.title,
            "score": round(interval.estimate, 4),
            "interval": [round(interval.low, 4), round(interval.high, 4)],
            "n": count,
            "tokens_per_request": round(sum(answer.tokens for answer in self.answers) / count, 1),
            "prompt_tokens_per_request": round(self.prompt_tokens, 1),
            "shared_prefix_tokens": self.shared_prefix_tokens,
            "seconds_per_request": round(self.seconds / count, 3),
            "setup_seconds": round(self.setup_seconds, 1),
            "stop_rate": round(sum(answer.stopped for answer in self.answers) / count, 3),
            "skipped": None,
            "dropped": self.dropped.__dict__ if self.dropped else None,
            "details": {name: round(value, 4) for name, value in details.items()},
            **shown(self.likelihoods),
            "tuning": self.tuning,
            "training": self.training,
        }

    @property
    def prompt_tokens(self) -> float:
        """Of a prompt, on average."""
        return sum(answer.prompt_tokens for answer in self.answers) / len(self.answers)

    @property
    def answer_tokens(self) -> float:
        """Of an answer, on average."""
        return sum(answer.answer_tokens for answer in self.answers) / len(self.answers)

    def save(self, file: Path) -> None:
        """Keep the arm's answers and scores."""
        values = {
            **self.__dict__,
            "answers": [[a.text, a.prompt_tokens, a.answer_tokens, a.stopped] for a in self.answers],
            "dropped": self.dropped.__dict__ if self.dropped else None,
            "likelihoods": asdict(self.likelihoods),
        }
        write_text_atomically(file, json.dumps(values, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, file: Path) -> ArmResult:
        """An arm that was kept."""
        values = json.loads(file.read_text("utf-8"))
        answers = tuple(Answer(*answer) for answer in values.pop("answers"))
        dropped, likely = values.pop("dropped", None), values.pop("likelihoods", None) or {}
        return cls(
            answers=answers,
            scores=tuple(values.pop("scores")),
            dropped=Dropped(**dropped) if dropped else None,
            likelihoods=Likelihoods(tuple(likely.get("values", ())), likely.get("skipped", "")),
            **values,
        )


def skipped(name: str, title: str, reason: str) -> dict[str, Any]:
    """The row of ``result.json`` for an arm that was not run."""
    empty = ("score", "interval", "tokens_per_request", "seconds_per_request", "setup_seconds", "dropped")
    return {"name": name, "title": title, **dict.fromkeys(empty), "n": 0, "skipped": reason}


@dataclass(frozen=True)
class Leader:
    """The best arm so far that has answered all rows, whom a challenger races."""

    name: str
    title: str
    scores: tuple[float, ...]
    rank: int


@dataclass(frozen=True)
class Round:
    """What an arm is asked: the rows, how they are scored, and whom it races.

    Attributes:
        test: The test rows, in the one order that all arms have.
        metric: Scores the answers.
        max_new_tokens: The most tokens of an answer.
        leader: Whom the arm races; None for the first.
    """

    test: Sequence[Example]
    metric: Metric
    max_new_tokens: int
    leader: Leader | None = None


def answer_all(
    arm: Arm,
    approach: Approach,
    answerer: Answerer,
    asked: Round,
    *,
    tokenizer: Any,
    setup_seconds: float,
    progress: Callable[[int, int], None],
    training: dict[str, Any] | None = None,
    likely: Likely | None = None,
) -> ArmResult:
    """Build the prompts, answer them, score the answers. Making the prompts (retrieval) counts as answering time.

    Answers that were stored before (by the probe, or a run that was stopped) count as long as when they were given.

    Against a leader it answers some rows after another (`looks`), and may be dropped in between. How likely its
    model finds the wanted answers is asked of ``likely`` at the end, where it asked a model and has gone all the way.
    """
    began = time.perf_counter()
    given = approach.answers(asked.test)
    prompts = approach.prompts(asked.test)
    making, before = time.perf_counter() - began, _spent(answerer)
    answers: list[Answer] = []
    scores: list[float] = []
    dropped = None
    for upto in looks(asked) if given is None else [len(asked.test)]:
        part = slice(len(answers), upto)
        answers += given or answerer.answer(
            prompts[part],
            max_new_tokens=asked.max_new_tokens,
            progress=lambda done, _, before=part.start: progress(before + done, len(asked.test)),  # type: ignore[misc]
            tools=[example.tools for example in asked.test[part]],
        )
        wanted = [example.completion for example in asked.test[part]]
        prompted = [example.prompt for example in asked.test[part]]
        scores += asked.metric.scores([answer.text for answer in answers[part]], wanted, prompted)
        dropped = out_of_the_race(arm, scores, asked)
        if dropped:
            break
    asking = _spent(answerer) - before
    measured = likely(prompts, asked.test) if likely and given is None and not dropped else Likelihoods()
    return ArmResult(
        arm.name,
        arm.title,
        tuple(answers),
        tuple(scores),
        making + asking,
        setup_seconds,
        training,
        approach.tuned.to_dict() if approach.tuned else None,
        dropped,
        _shared(prompts, tokenizer) if given is None else 0,
        measured,
    )


def _spent(answerer: Answerer) -> float:
    """Seconds that an answerer has spent so far, of which differences count."""
    return answerer.spent if isinstance(answerer, StoredAnswerer) else time.perf_counter()


def heat(rows: int) -> int:
    """How many of the test rows an arm answers first of all, so that the best may go first.

    An eighth, or 16; all of them where hardly any would be left.
    """
    first = max(_FEWEST_AT_ONCE, rows // _LOOKS)
    return first if first + first // 2 <= rows else rows


def looks(asked: Round) -> list[int]:
    """After how many rows an arm is looked at where it races a leader: each time that so many more are answered."""
    rows = len(asked.test)
    step = rows if asked.leader is None else heat(rows)
    return sorted({*range(step, rows - step // 2 + 1, step), rows})


def out_of_the_race(arm: Arm, scores: Sequence[float], asked: Round) -> Dropped | None:
    """Why the arm with these scores so far may leave; None where it goes on."""
    if asked.leader is None or len(scores) >= len(asked.test):
        return None
    differences = np.subtract(scores, asked.leader.scores[: len(scores)])
    dearer = arm.rank > asked.leader.rank and len(asked.test) >= _ROWS_FOR_FUTILITY
    decision = race_decision(differences, finished=False, planned=len(asked.test), dearer=dearer)
    if decision.action == "go on" or decision.why is None:
        return None
    gap = f"{100 * float(differences.mean()):+.1f} points against {asked.leader.title}"
    said = {
        "worse": f"surely worse after {len(scores)} of {len(asked.test)} rows: {gap}",
        "futile": f"dearer and not ahead after {len(scores)} of {len(asked.test)} rows: {gap}",
    }
    return Dropped(len(scores), decision.why, asked.leader.name, said[decision.why])


def joined(parts: Sequence[ArmResult], dropped: Dropped | None) -> ArmResult:
    """The results of one arm on several folds, one after another.

    Its training is that of the first fold, with the trainings of all folds in their order under ``folds``.
    """
    first = parts[0]
    if len(parts) == 1 and dropped is None:
        return first
    tuning = first.tuning
    if tuning is not None:
        tuning = {**tuning, "folds": [(part.tuning or {}).get("setting") for part in parts]}
    training = first.training
    if training is not None:
        training = {**training, "folds": [part.training for part in parts]}
    return ArmResult(
        first.name,
        first.title,
        tuple(answer for part in parts for answer in part.answers),
        tuple(score for part in parts for score in part.scores),
        sum(part.seconds for part in parts),
        sum(part.setup_seconds for part in parts),
        training,
        tuning,
        dropped or first.dropped,
        min(part.shared_prefix_tokens for part in parts),
        joined_likelihoods([part.likelihoods for part in parts]) if dropped is None else Likelihoods(),
    )


def _shared(prompts: Sequence[Any], tokenizer: Any) -> int:
    """How many tokens the prompts begin with alike: what a cache can hold from one request to the next."""
    return common_prefix(render_prompts(prompts[:_PROMPTS_FOR_PREFIX], tokenizer))


def prepare(approach: Approach, tools: Tools) -> float:
    """Let the approach prepare itself; the seconds it took."""
    began = time.perf_counter()
    approach.prepare(tools)
    return time.perf_counter() - began
