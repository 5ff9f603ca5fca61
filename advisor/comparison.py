"""A comparison from request to verdict: every arm on the same rows, then one advice from the scores.

It owns a folder like any run (`training.runs.folder`): request.json, events.jsonl, one file in arms/ for each arm that
is whole, and at the end items.jsonl, report.md and result.json. Asked again for the same thing in the same folder, it
takes finished arms as they are and goes on with the rest.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.answering import LocalAnswerer
from advisor.approaches import APPROACHES, Approach, Tools
from advisor.arms import ArmResult, answer_all, prepare
from advisor.budget import DEFAULT_CPU_MINUTES, Budget
from advisor.report.markdown import to_markdown
from advisor.request import NO_DOCUMENTS, ComparisonRequest, require_model
from advisor.results import items, judge, to_result
from advisor.retrieval import load_documents
from advisor.task import Task, make_task
from dataset_tools.dataset import load_examples
from dataset_tools.errors import FittingRoomError, RunError, UsageError
from dataset_tools.example import Example
from dataset_tools.writing import write_jsonl, write_text_atomically
from training.home import home
from training.models import embedded
from training.models.loading import default_model, load_config, load_model, load_tokenizer, load_tuned, machine
from training.planning import plan_rows
from training.runs.folder import ENDED, RunFolder
from training.runs.heartbeat import Heartbeat
from training.runs.process import held, is_alive, launch
from training.runs.supervisor import start_training, watch

OnEvent = Callable[[dict[str, Any]], None]
# Rows of the probe that the budget sizes the test set from; an answer is cut at a quarter over the longest wanted.
_PROBE_ROWS, _ANSWER_SLACK, _LONGEST_ANSWER = 8, 1.25, 512
PREPARING = "preparing the embedded model, once; about 40 s"


class StoppedError(RunError):
    """Somebody asked the comparison to stop. What was finished is kept."""


def comparisons_folder() -> Path:
    """Where comparisons are kept."""
    return home() / "comparisons"


def folder_for(request: ComparisonRequest, folder: Path | None = None) -> RunFolder:
    """The folder of this request: the one given, or one named after its data and its fingerprint.

    Raises:
        UsageError: the folder holds something else, or is no folder.
    """
    path = folder or comparisons_folder() / f"{request.data.resolve().parent.name}-{request.fingerprint()}"
    asked = path / "request.json"
    if path.exists() and not path.is_dir():
        raise UsageError("This is a file, not a folder.", where=str(path), next_step="Choose a folder with --out.")
    if asked.exists() and _fingerprint_in(asked) != request.fingerprint() and not _failed_at_once(path):
        raise UsageError(
            "This folder holds another comparison.",
            where=str(path),
            next_step="Choose another folder with --out, or leave it out.",
        )
    if not asked.exists() and path.is_dir() and any(path.iterdir()):
        raise UsageError("This folder holds other files.", where=str(path), next_step="Choose an empty one with --out.")
    return RunFolder(path)


def _fingerprint_in(file: Path) -> str | None:
    """The fingerprint that a request.json holds; None where it is none of ours."""
    try:
        kept = json.loads(file.read_text("utf-8"))
    except ValueError:
        return None
    return kept.get("fingerprint") if isinstance(kept, dict) else None


def _failed_at_once(folder: Path) -> bool:
    """Whether it holds a comparison that failed with nothing finished, so that another may take its place."""
    try:
        state = RunFolder(folder).status()["state"]
    except RunError:
        return False
    return state == "failed" and not any((folder / "arms").glob("*"))


def start_comparison(request: ComparisonRequest, folder: Path | None = None) -> RunFolder:
    """Run the comparison in a process of its own, which outlives this one; its folder, to watch."""
    run = _open(request, folder)
    launch("advisor.worker", run.path)
    return run


def run_comparison(
    request: ComparisonRequest, *, folder: Path | None = None, on_event: OnEvent | None = None
) -> dict[str, Any]:
    """Run the comparison in this process; the content of its result.json.

    What can be refused before a file is read or a model loaded is refused first, and leaves nothing behind.

    Raises:
        UsageError: the model or the folder is none that can be used.
        FittingRoomError: the data, the documents, the model or the run has errors; or it is running already.
        StoppedError: somebody asked it to stop.
    """
    run = folder_for(request, folder)
    finished = _finished(run)
    if finished is None:
        name = request.model or default_model()
        if on_event and name != embedded.NAME and not os.path.isdir(name):
            on_event({"event": "phase", "phase": f"looking for the model {name}"})
        require_model(name)
        opened = _open(request, folder)
        with held(opened):  # so that everybody sees that it is at work
            return carry_out(request, opened, on_event=on_event)
    if on_event:
        on_event({"event": "phase", "phase": f"this was finished before; remove {run.path} to run it again"})
    return finished


def _finished(run: RunFolder) -> dict[str, Any] | None:
    """The result of a comparison that is whole, arms and all; None where something is still to be done."""
    try:
        result: dict[str, Any] = json.loads((run.path / "result.json").read_text("utf-8"))
        names = [arm["name"] for arm in result["arms"] if not arm["skipped"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if all((run.path / "arms" / f"{name}.json").exists() for name in names) else None


def carry_out(request: ComparisonRequest, run: RunFolder, *, on_event: OnEvent | None = None) -> dict[str, Any]:
    """Run the comparison in a folder that was opened for it: the worker's part of `start_comparison`.

    It heeds a request to stop that was made since. Raises as `run_comparison` does.
    """
    try:
        result = _Comparison(request, run, on_event).run()
    except StoppedError:
        run.update(state="stopped", ended=time.time())
        raise
    except FittingRoomError as error:
        run.log("failed", error=error.to_dict())
        run.update(state="failed", ended=time.time(), error=error.to_dict())
        raise
    except KeyboardInterrupt:
        run.update(state="interrupted", ended=time.time())
        raise
    run.update(state="done", ended=time.time())
    return result


def _open(request: ComparisonRequest, folder: Path | None) -> RunFolder:
    run = folder_for(request, folder)
    if is_alive(run.path) and run.status()["state"] not in ENDED:
        raise RunError(
            "This comparison is running already.",
            where=str(run.path),
            next_step="Wait for it, or stop it first; its progress is in events.jsonl.",
        )
    (run.path / "arms").mkdir(parents=True, exist_ok=True)
    asked = {"fingerprint": request.fingerprint(), **request.to_dict()}
    write_text_atomically(run.path / "request.json", json.dumps(asked, indent=2) + "\n")
    run.stop_request.unlink(missing_ok=True)
    run.update(state="preparing", created=time.time(), data=str(request.data), error=None, kind="comparison")
    return run


@dataclass
class _Comparison:
    """The state of one comparison while it runs."""

    request: ComparisonRequest
    run_folder: RunFolder
    on_event: OnEvent | None
    left_out: list[str] = field(default_factory=list)
    _last_progress: float = 0.0
    _arm: str = ""
    _heart: Heartbeat = field(init=False, repr=False)

    def run(self) -> dict[str, Any]:
        self._heart = Heartbeat(self._wait)
        with self._heart:
            return self._run()

    def _run(self) -> dict[str, Any]:
        began = time.time()
        self.tell("phase", phase="reading the data")
        task, rows = self._read()
        self.model = self.request.model or default_model()
        unprepared = self.model == embedded.NAME and not embedded.is_prepared()
        self.tell("phase", phase=PREPARING if unprepared else "loading the model")
        minutes = self.request.budget_minutes or (None if machine().has_accelerator else DEFAULT_CPU_MINUTES)
        self.budget = Budget(minutes, began)
        self.tools = self._tools(task)
        arms, reasons = self._choose_arms()
        results = self._run_arms(arms, reasons)
        verdict = judge(self.tools.task, results)
        result = to_result(
            self.tools.task,
            results,
            reasons,
            verdict,
            about={
                "model": self.model,
                "rows_read": rows,
                "seconds": round(time.time() - began, 1),
                "budget_minutes": minutes,
                "left_out": self._left_out(),
                "removed_passages": self.tools.removed_passages,
                "folder": str(self.run_folder.path),
            },
        )
        write_jsonl(self.run_folder.path / "items.jsonl", items(self.tools.task, results))
        write_text_atomically(self.run_folder.path / "report.md", to_markdown(result, self.request))
        text = json.dumps(result, indent=2, ensure_ascii=False)
        write_text_atomically(self.run_folder.path / "result.json", text + "\n")
        self.tell("verdict", kind=verdict.kind, sentence=verdict.sentence)
        self.tell("done")
        return result

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

    def _read(self) -> tuple[Task, int]:
        request = self.request
        examples = self._load(request.data)
        test = self._load(request.test) if request.test else None
        self.documents = load_documents(request.documents) if request.documents else ()
        task = make_task(
            examples, test, kind=request.task_type, metric=request.metric, limit=request.limit, seed=request.seed
        )
        if task.removed_as_leaks:
            self.left_out.append(f"{task.removed_as_leaks} training rows that are test rows, or nearly")
        return task, len(examples) + len(test or ())

    def _load(self, path: Path) -> tuple[Example, ...]:
        """The usable rows of a file; those that are not are said to be left out."""
        dataset = load_examples(path, columns=self.request.columns)
        unusable = dataset.report.rows - len(dataset.examples)
        if unusable:
            self.left_out.append(
                f"{unusable} of {dataset.report.rows} rows of {path.name} with errors; fitting-room lint names them"
            )
        return dataset.examples

    def _tools(self, task: Task) -> Tools:
        accelerated = machine().has_accelerator
        context = min(load_config(self.model).max_position_embeddings, 8192 if accelerated else 2048)
        return Tools(
            task=task,
            tokenizer=load_tokenizer(self.model),
            context=context,
            documents=self.documents,
            passages=(3, 300) if accelerated else (2, 200),
            demonstrations=(8, min(4000, context * 3 // 5)) if accelerated else (6, min(1200, context * 3 // 5)),
        )

    def _choose_arms(self) -> tuple[list[Approach], dict[str, str]]:
        """The arms to run, and for each of the others why not."""
        arms, reasons = [], {}
        for approach in APPROACHES:
            if self.request.arms and approach.name not in self.request.arms:
                continue
            if approach.needs_documents and not self.documents:
                reasons[approach.name] = NO_DOCUMENTS
                self.tell("arm", arm=approach.name, state="skipped", reason=reasons[approach.name])
            else:
                arms.append(approach())
        return arms, reasons

    def _run_arms(self, arms: Sequence[Approach], reasons: dict[str, str]) -> list[ArmResult]:
        kept = {arm.name: self.run_folder.path / "arms" / f"{arm.name}.json" for arm in arms}
        missing = [arm for arm in arms if not kept[arm.name].exists()]
        base = LocalAnswerer(load_model(self.model, tokenizer=self.tools.tokenizer)) if missing else None
        self._size_test_set([arm.name for arm in arms], base)
        self.run_folder.update(state="running")
        results = []
        for arm in arms:
            if kept[arm.name].exists():
                result = ArmResult.load(kept[arm.name])
                self.tell("phase", phase=f"{arm.title}: kept from the run before")
            else:
                assert base is not None
                waiting = [other.name for other in missing if other.needs_training and other.name not in reasons]
                run = self._run_arm(arm, base, [name for name in waiting if not kept[name].exists()])
                if isinstance(run, str):
                    reasons[arm.name] = run
                    self.tell("arm", arm=arm.name, state="skipped", reason=run)
                    continue
                result = run
                result.save(kept[arm.name])
            results.append(result)
            self.budget.learn(arm.name, result.seconds / len(result.scores))
            row = result.to_dict([example.completion for example in self.tools.task.test], self.tools.task.metric)
            self.tell("arm", arm=arm.name, state="done", score=row["score"], interval=row["interval"])
        return results

    def _size_test_set(self, arms: Sequence[str], base: LocalAnswerer | None) -> None:
        """Fit the number of test rows to the budget, once: a comparison that goes on keeps its rows.

        A number of rows that was asked for is kept to, whatever the budget.
        """
        plan = self.run_folder.path / "arms" / "plan.json"
        task, rows = self.tools.task, None
        if plan.exists():
            rows = json.loads(plan.read_text("utf-8"))["test_rows"]
        elif base is not None and self.budget.minutes is not None and not self.request.limit:
            rows = self.budget.affordable_rows(arms, seconds_per_row=self._probe(base))
        if rows is not None and rows < len(task.test):
            self.left_out.append(f"{len(task.test) - rows} of {len(task.test)} test rows, to keep to the time budget")
            self.tools.task = task.limited(rows)
        write_text_atomically(plan, json.dumps({"test_rows": len(self.tools.task.test)}) + "\n")
        self.tell("test rows", total=len(self.tools.task.test))

    def _probe(self, base: LocalAnswerer) -> float:
        """Seconds that zero-shot takes for a row, after a first few that warm up."""
        prompts = [example.prompt for example in self.tools.task.test[:_PROBE_ROWS]]
        self.tell("phase", phase="timing a few answers to fit the budget")
        base.answer(prompts[:2], max_new_tokens=4)
        began = time.perf_counter()
        base.answer(prompts, max_new_tokens=self._longest_answer, progress=self._probing)
        return (time.perf_counter() - began) / len(prompts)

    def _probing(self, done: int, total: int) -> None:
        if time.time() - self._last_progress > 1:
            self._last_progress = time.time()
            self.tell("phase", phase=f"timing a few answers to fit the budget: {done} of {total}")

    @property
    def _longest_answer(self) -> int:
        return min(_LONGEST_ANSWER, int(self.tools.longest_answer * _ANSWER_SLACK) + 8)

    def _run_arm(self, arm: Approach, base: LocalAnswerer, tuned_to_come: Sequence[str]) -> ArmResult | str:
        """One arm, or why it was left out."""
        test = self.tools.task.test
        self.tell("arm", arm=arm.name, state="preparing", done=0, total=len(test))
        training: dict[str, Any] = {}
        if arm.needs_training:
            seconds = self.budget.training_seconds(arm.name, tuned_to_come, rows=len(test))
            if seconds == 0:
                return f"too little of the {self.budget.minutes:g} minutes is left to train; raise --budget"
            self.tools.train = self._trainer(arm.name, seconds, training)
        setup = prepare(arm, self.tools)
        answerer = base
        if arm.adapter is not None:
            answerer = LocalAnswerer(load_tuned(self.model, arm.adapter, tokenizer=self.tools.tokenizer))
        return answer_all(
            arm,
            answerer,
            test,
            metric=self.tools.task.metric,
            max_new_tokens=self._longest_answer,
            setup_seconds=setup,
            progress=self._progress(arm.name),
            training=training or None,
        )

    def _progress(self, arm: str) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            if done == total or time.time() - self._last_progress > 0.5:
                self._last_progress = time.time()
                self.tell("arm", arm=arm, state="answering", done=done, total=total)

        return progress

    def _tell_training(self, arm: str, event: dict[str, Any]) -> None:
        """Pass on what a training run says of its progress; how it ends is said by the arm."""
        if event["event"] in ("phase", "training", "step", "evaluation", "health"):
            values = {key: value for key, value in event.items() if key not in ("event", "time")}
            self.tell(event["event"], **values, arm=arm)

    def _trainer(self, arm: str, seconds: float | None, training: dict[str, Any]) -> Any:
        """A function that trains on rows as `Tools.train` asks; what came out is noted in `training`."""

        def train(rows: Sequence[Example], held_out: Sequence[Example]) -> Path:
            self.tools.task.guard.require_clean(self.tools.task.pool, "training")
            plan = plan_rows(
                rows,
                held_out,
                model=self.model,
                max_seconds=seconds,
                seed=self.request.seed,
                tokenizer=self.tools.tokenizer,
            )
            self.tell("arm", arm=arm, state="training", reason=plan.sentence)
            options: dict[str, Any] = {"quick": True, "part_of": self.run_folder.path.name}
            run = start_training(plan.recipe, plan.train, validation=plan.validation, **options)
            outcome = watch(run, lambda event: self._tell_training(arm, event))
            training.update(outcome)
            if outcome["passes"] < plan.recipe.epochs - 0.01:
                self.left_out.append(
                    f"{arm}: {outcome['passes']:g} of {plan.recipe.epochs:g} passes over the training rows, "
                    f"to keep to {self.budget.minutes:g} minutes"
                )
            return run.adapter

        return train
