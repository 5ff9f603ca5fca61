"""One arm of a comparison: prepared, answered, scored, and kept on the disk as soon as it is whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.answering import Answer, Answerer
from advisor.approaches import Approach, Tools
from advisor.metrics import Metric
from advisor.statistics import mean_interval
from dataset_tools.example import Example, Message
from dataset_tools.writing import write_text_atomically


@dataclass(frozen=True)
class ArmResult:
    """What an arm did on the test rows, in the task's order.

    ``seconds`` is the time to answer all rows in batches, ``setup_seconds`` the time to prepare (index, train).
    """

    name: str
    title: str
    answers: tuple[Answer, ...]
    scores: tuple[float, ...]
    seconds: float
    setup_seconds: float
    training: dict[str, Any] | None = None

    def to_dict(self, wanted: Sequence[str], metric: Metric) -> dict[str, Any]:
        """The arm's row of ``result.json``."""
        interval, count = mean_interval(self.scores), len(self.scores)
        return {
            "name": self.name,
            "title": self.title,
            "score": round(interval.estimate, 4),
            "interval": [round(interval.low, 4), round(interval.high, 4)],
            "n": count,
            "tokens_per_request": round(sum(answer.tokens for answer in self.answers) / count, 1),
            "prompt_tokens_per_request": round(sum(answer.prompt_tokens for answer in self.answers) / count, 1),
            "seconds_per_request": round(self.seconds / count, 3),
            "setup_seconds": round(self.setup_seconds, 1),
            "stop_rate": round(sum(answer.stopped for answer in self.answers) / count, 3),
            "skipped": None,
            "details": {
                name: round(value, 4)
                for name, value in metric.details([answer.text for answer in self.answers], wanted).items()
            },
            "training": self.training,
        }

    def save(self, file: Path) -> None:
        """Keep the arm's answers and scores."""
        values = {
            **self.__dict__,
            "answers": [[a.text, a.prompt_tokens, a.answer_tokens, a.stopped] for a in self.answers],
        }
        write_text_atomically(file, json.dumps(values, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, file: Path) -> ArmResult:
        """An arm that was kept."""
        values = json.loads(file.read_text("utf-8"))
        answers = tuple(Answer(*answer) for answer in values.pop("answers"))
        return cls(answers=answers, scores=tuple(values.pop("scores")), **values)


def skipped(name: str, title: str, reason: str) -> dict[str, Any]:
    """The row of ``result.json`` for an arm that was not run."""
    empty = ("score", "interval", "tokens_per_request", "seconds_per_request", "setup_seconds")
    return {"name": name, "title": title, **dict.fromkeys(empty), "n": 0, "skipped": reason}


def prepare(approach: Approach, tools: Tools) -> float:
    """Let the approach prepare itself; the seconds it took."""
    began = time.perf_counter()
    approach.prepare(tools)
    return time.perf_counter() - began


def answer_all(
    approach: Approach,
    answerer: Answerer,
    test: Sequence[Example],
    *,
    metric: Metric,
    max_new_tokens: int,
    setup_seconds: float,
    progress: Callable[[int, int], None],
    training: dict[str, Any] | None = None,
) -> ArmResult:
    """Build the prompts, answer them, score the answers. Making the prompts (retrieval) counts as answering time."""
    began = time.perf_counter()
    prompts: list[tuple[Message, ...]] = approach.prompts(test)
    tools = [example.tools for example in test]
    answers = answerer.answer(prompts, max_new_tokens=max_new_tokens, progress=progress, tools=tools)
    seconds = time.perf_counter() - began
    scores = metric.scores([answer.text for answer in answers], [example.completion for example in test])
    return ArmResult(approach.name, approach.title, tuple(answers), scores, seconds, setup_seconds, training)
