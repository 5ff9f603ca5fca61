"""What a comparison does in the time there is: which arms, on how many rows, and what is spent on probing and tuning.

It is decided once and kept in ``arms/plan.json``: a comparison that goes on keeps to it. It runs no arm; all that it
asks a model is a few answers, to see how long they take.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advisor.answering import Answerer
from advisor.approaches import Tools
from advisor.budget import Budget
from advisor.lineup import Arm, asked_for, why_not
from advisor.models import Models
from advisor.request import ComparisonRequest
from advisor.statistics import smallest_visible_gap
from dataset_tools.example import Example
from dataset_tools.writing import write_text_atomically
from training.models.loading import machine
from training.runs.folder import RunFolder

Tell = Callable[[str], None]
# Rows of the probe that the budget sizes the test set from; an answer is cut at a quarter over the longest wanted.
_PROBE_ROWS, _ANSWER_SLACK, _LONGEST_ANSWER = 8, 1.25, 512


def longest_answer(tools: Tools) -> int:
    """The most tokens that an answer may have: a quarter more than the longest wanted one, and 512 at most."""
    return min(_LONGEST_ANSWER, int(tools.longest_answer * _ANSWER_SLACK) + 8)


def prompt_sizes(context: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many passages and worked examples a prompt gets on this machine, with their tokens: as `Tools` takes them."""
    if machine().has_accelerator:
        return (3, 300), (8, min(4000, context * 3 // 5))
    return (2, 200), (6, min(1200, context * 3 // 5))


def choose_arms(request: ComparisonRequest, tools: Tools) -> tuple[list[Arm], dict[Arm, str]]:
    """The arms that can be run, of those that were asked for; and of each of the others why not."""
    endpoint = request.endpoint is not None
    asked = asked_for(request.arms, endpoint=endpoint)
    reasons = {arm: why_not(arm, tools, documents=bool(tools.documents), endpoint=endpoint) for arm in asked}
    return [arm for arm in asked if not reasons[arm]], {arm: reason for arm, reason in reasons.items() if reason}


@dataclass
class Planner:
    """Makes the plan of one comparison.

    Attributes:
        request: What was asked.
        run_folder: Where the plan is kept.
        models: What answers and what is trained.
        budget: The time there is.
        parts: The tools of each fold.
        tell: Told in words what takes long.
    """

    request: ComparisonRequest
    run_folder: RunFolder
    models: Models
    budget: Budget
    parts: Sequence[Tools]
    tell: Tell
    _last_told: float = 0.0

    def plan(self, arms: Sequence[Arm]) -> dict[str, Any]:
        """What will be done, as ``result.json`` has it. The parts keep to it from here on: their rows, their tuning.

        A number of test rows that was asked for is kept to, whatever the budget.
        """
        plan = self._kept()
        if plan is not None:
            rows, self.budget.seconds_per_row = plan["test_rows"], plan["seconds_per_row"]
            self.budget.seconds_per_score = plan.get("seconds_per_score", 0.0)
        else:
            rows = self._affordable(arms)
        if rows is not None and rows < self._test_rows:
            for tools in self.parts:
                tools.task = tools.task.limited(-(-rows // len(self.parts)))
        if plan is None:
            plan = self._planned(arms)
            write_text_atomically(self._file, json.dumps(plan) + "\n")
        for tools in self.parts:
            tools.tuning_answers = plan["tuning_answers"]
        return plan

    @property
    def _file(self) -> Path:
        return self.run_folder.path / "arms" / "plan.json"

    @property
    def _test_rows(self) -> int:
        return sum(len(tools.task.test) for tools in self.parts)

    def _kept(self) -> dict[str, Any] | None:
        """The plan of a run before."""
        if not self._file.exists():
            return None
        kept: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
        return kept

    def _affordable(self, arms: Sequence[Arm]) -> int | None:
        """How many test rows the budget is enough for; None where nothing limits them. It is found by a probe."""
        limited = self.budget.minutes is not None
        seconds = self._probe(self.models.base()) if limited and any(arm.approach.asks_model for arm in arms) else 0
        names = [arm.name for arm in arms]
        affordable = self.budget.affordable_rows(names, seconds_per_row=seconds) if seconds else None
        return None if self.request.limit else affordable

    def _planned(self, arms: Sequence[Arm]) -> dict[str, Any]:
        tools, rows = self.parts[0], self._test_rows
        names, task, validation = [arm.name for arm in arms], tools.task, len(tools.task.validation)
        trains = any(arm.approach.needs_training for arm in arms)
        memory = self.models.training_memory(task.pool, task.validation) if trains else None
        probed = min(self.budget.probed_rows(documents=bool(tools.documents)), validation or len(task.pool))
        return {
            "test_rows": rows,
            "visible_gap": round(smallest_visible_gap(rows), 4),
            "seconds_per_row": self.budget.seconds_per_row,
            "seconds_per_score": self.budget.seconds_per_score,
            "tuning_answers": self.budget.tuning_answers(names * len(self.parts)) if validation else 0,
            "probe_rows": probed if len(arms) > 1 else 0,
            "sampled_rows": min(probed, self.budget.sampled_rows()) if len(arms) > 1 else 0,
            "arms": [
                {
                    "name": arm.name,
                    "seconds": round(self.budget.forecast(arm.name, rows), 1),
                    "dollars": self._dollars(self.budget.forecast(arm.name, rows)),
                    "memory": memory if arm.approach.needs_training else None,
                    "trains": arm.approach.needs_training,
                }
                for arm in arms
            ],
        }

    def _dollars(self, seconds: float) -> float | None:
        """What so long on the machine costs; None where no machine is paid for by the hour."""
        request = self.request
        return seconds / 3600 * request.prices.machine_hour if request.situation.runs_on == "own_gpu" else None

    def _probe(self, base: Answerer) -> float:
        """Seconds that zero-shot takes for a row, after a first few that warm up.

        Answers of a probe that was stopped are stored and would take no time: a new one is made on other rows.
        """
        begun, test = self.run_folder.status().get("probes", 0), self.parts[0].task.test
        self.run_folder.update(probes=begun + 1)
        first = begun * _PROBE_ROWS % len(test)
        prompts = [example.prompt for example in test[first : first + _PROBE_ROWS]]
        self.tell("timing a few answers to fit the budget")
        base.answer(prompts[:2], max_new_tokens=4)
        began = time.perf_counter()
        answers = base.answer(prompts, max_new_tokens=longest_answer(self.parts[0]), progress=self._probing)
        seconds = (time.perf_counter() - began) / len(prompts)
        if self.parts[0].task.metric.judged is not None:
            asked = test[first : first + _PROBE_ROWS]
            self.budget.seconds_per_score = self._judging([answer.text for answer in answers], asked)
        return seconds

    def _judging(self, answers: Sequence[str], asked: Sequence[Example]) -> float:
        """Seconds that a judge takes for an answer, after a first one for which it is loaded."""
        metric, wanted = self.parts[0].task.metric, [example.completion for example in asked]
        prompts = [example.prompt for example in asked]
        self.tell("timing the judge to fit the budget")
        metric.scores(answers[:1], wanted[:1], prompts[:1])
        began = time.perf_counter()
        if len(answers) > 1:
            metric.scores(answers[1:], wanted[1:], prompts[1:])
        return (time.perf_counter() - began) / max(1, len(answers) - 1)

    def _probing(self, done: int, total: int) -> None:
        if time.time() - self._last_told > 1:
            self._last_told = time.time()
            self.tell(f"timing a few answers to fit the budget: {done} of {total}")
