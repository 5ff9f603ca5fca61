"""One comparison while it runs: reading, planning, a diagnosis, arm by arm, then the verdict and what it rests on.

It owns the order of the work and tells of it; what is to be done is `advisor.plan`'s part, how the arms answer
`advisor.race`'s, what is said of the scores `advisor.results`', and everything about models `advisor.models`'.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from advisor.answering import Answer, Answerer
from advisor.approaches import Prompt, Tools
from advisor.arms import ArmResult
from advisor.budget import DEFAULT_CPU_MINUTES, Budget
from advisor.curve import learning_curve
from advisor.diagnosis import Gap, diagnose
from advisor.diagnosis.probes import TEMPERATURE, TRIES
from advisor.judging import Judge, as_an_opinion, put_right
from advisor.lineup import Arm
from advisor.models import Models
from advisor.near_far import near_rows
from advisor.plan import Planner, choose_arms, longest_answer, prompt_sizes
from advisor.race import Race
from advisor.report import items_csv, to_html, to_markdown
from advisor.request import ComparisonRequest
from advisor.results import items, judged
from advisor.retrieval import embed
from advisor.rows import read_rows
from advisor.task import Task, own_metric
from dataset_tools.errors import RunError
from dataset_tools.example import Example
from dataset_tools.writing import write_jsonl, write_text_atomically
from training.models.loading import machine
from training.runs.folder import RunFolder
from training.runs.heartbeat import Heartbeat

OnEvent = Callable[[dict[str, Any]], None]


class StoppedError(RunError):
    """Somebody asked the comparison to stop. What was finished is kept."""


@dataclass
class Course:
    """The state of one comparison while it runs.

    Attributes:
        request: What was asked.
        run_folder: Where it is kept.
        models: What answers and what is trained.
        on_event: Told of all that happens.
        loading: What to say while the model is loaded for the first time.
    """

    request: ComparisonRequest
    run_folder: RunFolder
    models: Models
    on_event: OnEvent | None = None
    loading: str = "loading the model"
    left_out: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    _arm: str = ""
    _heart: Heartbeat = field(init=False, repr=False)

    def run(self) -> dict[str, Any]:
        """Do all of it; the content of result.json."""
        self._heart = Heartbeat(self._wait)
        with self._heart:
            return self._run()

    def _run(self) -> dict[str, Any]:
        began = time.time()
        self.tell("phase", phase="reading the data")
        self.judge = self._judge()
        read = read_rows(self.request, metric=self.judge.metric if self.judge else None)
        self.documents, self.left_out = read.documents, [*read.left_out]
        self.tell("phase", phase=self.loading)
        minutes = self.request.budget_minutes or (None if machine().has_accelerator else DEFAULT_CPU_MINUTES)
        self.budget = Budget(minutes, began)
        self.parts = [self.tools_for(task) for task in read.tasks]
        self.tools = self.parts[0]
        arms = self._choose_arms()
        plan = self._plan(arms)
        gaps = self._diagnose(plan["probe_rows"], arms, sampled=plan.get("sampled_rows", 0))
        results = self._run_arms(arms)
        curve = self._learning_curve(results)
        about = {
            "model": self.models.name,
            "rows_read": read.rows,
            "seconds": round(time.time() - began, 1),
            "budget_minutes": minutes,
            "left_out": self._left_out(),
            "removed_passages": self.tools.removed_passages,
            "folder": str(self.run_folder.path),
            "folds": len(self.parts),
            "plan": plan,
            "gaps": [gap.to_dict() for gap in gaps],
            "learning_curve": curve,
        }
        self.tell("phase", phase="weighing the evidence")
        whole = replace(self.tools.task, test=self.test)
        judgement = judged(whole, results, self.reasons, near=self._near(), request=self.request, about=about)
        rows = list(items(whole, results))
        if self.judge:
            judgement["judge"] = self._about_judge(results, rows)
            judgement["verdict"]["sentence"] = as_an_opinion(judgement["verdict"]["sentence"], judgement["judge"])
        result: dict[str, Any] = json.loads(json.dumps(judgement))  # as whoever reads the file gets it
        self._write(result, rows)
        self.tell("verdict", kind=result["verdict"]["kind"], sentence=result["verdict"]["sentence"])
        self.tell("done")
        return result

    def _write(self, result: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        """The reports and, last, the result itself: what is there is whole."""
        folder = self.run_folder.path
        write_jsonl(folder / "items.jsonl", rows)
        write_text_atomically(folder / "items.csv", items_csv(rows))
        write_text_atomically(folder / "report.md", to_markdown(result, self.request))
        write_text_atomically(folder / "report.html", to_html(result, rows))
        write_text_atomically(folder / "result.json", json.dumps(result, indent=2, ensure_ascii=False) + "\n")

    def _judge(self) -> Judge | None:
        """The model whose opinion is the metric, where one was asked for."""
        answerer = self.models.judge()
        return Judge(answerer, self.request.judge or "") if answerer else None

    def _about_judge(self, results: Sequence[ArmResult], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The judge's name and steadiness, and what people's votes say of it."""
        assert self.judge is not None
        prompts, wanted = [row.prompt for row in self.test], [row.completion for row in self.test]
        answers = [[answer.text for answer in result.answers] for result in results]
        return {
            **self.judge.about(prompts, wanted, answers, base=self.models.name),
            **put_right(self.run_folder.path, rows),
        }

    def _left_out(self) -> list[str]:
        removed = self.tools.removed_passages
        return [*self.left_out, *([f"{removed} passages that quote test rows with their answers"] if removed else [])]

    def tell(self, event: str, **values: Any) -> None:
        """Log an event, pass it on, and heed a request to stop."""
        self._heart.heard()
        self._arm = values.get("arm", "")
        self.run_folder.log(event, **values)
        if self.on_event:
            self.on_event({"event": event, **values})
        if self.run_folder.stop_request.exists():
            raise StoppedError(
                "The comparison was stopped.",
                where=str(self.run_folder.path),
                next_step="Start it again with the same settings: finished arms are kept.",
            )

    def _wait(self, silence: float) -> None:
        """Say that the last thing told still goes on. It is not logged: whoever reads the log has a clock."""
        if self.on_event:
            self.on_event({"event": "waiting", "arm": self._arm, "seconds": round(silence, 1)})

    # Reading and planning

    @property
    def test(self) -> tuple[Example, ...]:
        """All test rows: of one fold after the other, where there are folds."""
        return tuple(example for tools in self.parts for example in tools.task.test)

    def _near(self) -> Any:
        """Which test rows resemble one that was learnt from; (test rows,)."""
        import numpy as np

        def near(task: Task) -> Any:
            return near_rows(*(embed([task.distinct(row) for row in rows]) for rows in (task.test, task.pool)))

        return np.concatenate([near(tools.task) for tools in self.parts])

    def tools_for(self, task: Task) -> Tools:
        """What approaches work with on a task, in the sizes that this machine and the base model bear."""
        passages, demonstrations = prompt_sizes(self.models.context)
        return Tools(
            task=task,
            tokenizer=self.models.tokenizer,
            context=self.models.context,
            documents=self.documents,
            passages=passages,
            demonstrations=demonstrations,
            instructions=self.request.instructions,
        )

    def _choose_arms(self) -> list[Arm]:
        """The arms to run; for each of the others it is told why not."""
        arms, reasons = choose_arms(self.request, self.tools)
        for arm, reason in reasons.items():
            self._skip(arm, reason)
        return arms

    def _skip(self, arm: Arm, reason: str) -> None:
        self.reasons[arm.name] = reason
        self.tell("arm", arm=arm.name, state="skipped", reason=reason)

    def _plan(self, arms: Sequence[Arm]) -> dict[str, Any]:
        """What will be done, from here on kept to; and what is left out for it."""

        def tell(text: str) -> None:
            self.tell("phase", phase=text)

        total = len(self.test)
        plan = Planner(self.request, self.run_folder, self.models, self.budget, self.parts, tell).plan(arms)
        if len(self.test) < total:
            self.left_out.append(f"{total - len(self.test)} of {total} test rows, to keep to the time budget")
        self.tell("test rows", total=plan["test_rows"])
        self.tell("plan", **plan)
        return plan

    @property
    def _longest_answer(self) -> int:
        return longest_answer(self.tools)

    # The diagnosis

    def _diagnose(self, rows: int, arms: Sequence[Arm], *, sampled: int) -> tuple[Gap, ...]:
        """What the base model lacks, as far as a few probes on validation rows show it."""
        if not rows or not any(arm.approach.asks_model for arm in arms):
            return ()
        kept = self.run_folder.path / "arms" / "gaps.json"
        if kept.exists():
            return tuple(Gap(**values) for values in json.loads(kept.read_text("utf-8")))
        self.tell("phase", phase="probing what the base model lacks")
        larger = self.models.endpoint()

        def nll(prompts: Sequence[Prompt], completions: Sequence[str]) -> list[tuple[float, int]]:
            return self.models.nll(prompts, completions) or []

        def sample(prompts: Sequence[Prompt]) -> list[tuple[str, ...]] | None:
            most, seed = self._longest_answer, self.request.seed
            return self.models.sample(prompts, count=TRIES, temperature=TEMPERATURE, seed=seed, max_new_tokens=most)

        found = diagnose(
            self.tools,
            metric=own_metric(self.tools.task),
            answer=lambda prompts, examples: self._ask(self.models.base(), prompts, examples),
            nll=nll if self.models.nll((), ()) is not None else None,
            larger=(lambda prompts, examples: self._ask(larger, prompts, examples)) if larger else None,
            sample=sample if sample(()) is not None else None,
            sampled=sampled,
            rows=rows,
            tell=lambda text: self.tell("phase", phase=f"probing what the base model lacks: {text}"),
        )
        for gap in found:
            self.tell("gap", **gap.to_dict())
        write_text_atomically(kept, json.dumps([gap.to_dict() for gap in found]) + "\n")
        return found

    def _ask(self, answerer: Answerer, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[Answer]:
        return answerer.answer(
            prompts, max_new_tokens=self._longest_answer, tools=[example.tools for example in examples]
        )

    # The arms

    def _run_arms(self, arms: Sequence[Arm]) -> list[ArmResult]:
        self.run_folder.update(state="running")
        self.race = Race(
            self.request,
            self.run_folder.path,
            self.models,
            self.budget,
            self.parts,
            self.tell,
            self.left_out,
            finished=self._left_out_before(),
        )
        results = self.race.run(arms)
        self.reasons |= self.race.skipped
        return results

    def _left_out_before(self) -> dict[str, str]:
        """Of a comparison that was finished, the arms that it left out, with the reason: judging anew runs nothing."""
        try:
            result = json.loads((self.run_folder.path / "result.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {arm["name"]: str(arm["skipped"]) for arm in result["arms"] if arm["skipped"]}

    def _learning_curve(self, results: Sequence[ArmResult]) -> dict[str, Any] | None:
        """Whether more rows would help the tuned arm; None unless it was asked for."""
        whole = next((result for result in results if result.name == "qlora"), None)
        if not self.request.learning_curve or whole is None or whole.dropped:
            return None
        file = self.run_folder.path / "arms" / "learning_curve.json"
        if file.exists():
            kept: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return kept
        seconds = (whole.training or {}).get("training_seconds")
        tested = whole.scores[: len(self.tools.task.test)]  # of several folds the first, which its training belongs to
        curve = learning_curve(
            self.tools.task,
            self.models,
            replace(whole, scores=tested),
            max_new_tokens=self._longest_answer,
            seed=self.request.seed,
            seconds=seconds if self.budget.minutes is not None else None,
            on_event=lambda event: self.race.tell_training("qlora", event),
        )
        write_text_atomically(file, json.dumps(curve) + "\n")
        return curve
