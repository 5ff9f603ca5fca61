"""The arms of a comparison against each other on the test rows: heats first, then one by one against the best so far.

It owns the order in which arms answer and when one leaves; how an arm answers is `advisor.arms`' part, when it is out
of the race `advisor.statistics.racing`'s, and what is planned before and said after it `advisor.course`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from advisor.answering import Answerer
from advisor.approaches import Approach, Prompt, Tools
from advisor.arms import ArmResult, Leader, Likely, Round, answer_all, heat, joined, out_of_the_race, prepare
from advisor.budget import MOST_LIKELIHOODS, Budget
from advisor.likelihood import Likelihoods, likelihoods
from advisor.lineup import ARMS, Arm
from advisor.models import Models
from advisor.plan import longest_answer
from advisor.request import ComparisonRequest
from advisor.results import wider
from dataset_tools.example import Example

_BETWEEN = 0.5  # seconds between two words about the same arm's answers


@dataclass(frozen=True)
class _Entry:
    """An arm that is ready to answer: prepared, and trained where it is."""

    approach: Approach
    answerer: Answerer
    setup_seconds: float
    training: dict[str, Any]


@dataclass
class Race:
    """The arms of one comparison while they answer.

    Attributes:
        request: What was asked.
        folder: The comparison's; what an arm did is kept in its ``arms``.
        models: What answers and what is trained.
        budget: What is left of the time.
        parts: What approaches work with, for each fold.
        tell: Told of all that happens, as ``(event, **values)``.
        left_out: What was left out to keep to the time; added to.
        finished: Arms that an earlier start left out for good, with the reason.
    """

    request: ComparisonRequest
    folder: Path
    models: Models
    budget: Budget
    parts: Sequence[Tools]
    tell: Callable[..., None]
    left_out: list[str]
    finished: Mapping[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    _ready: dict[str, _Entry] = field(default_factory=dict)
    _last_progress: float = 0.0

    def run(self, arms: Sequence[Arm]) -> list[ArmResult]:
        """What each did, in their order; those that were left out are in ``skipped`` with the reason."""
        results: list[ArmResult] = []
        order = self._order(arms)
        for place, arm in enumerate(order):
            if self._kept(arm).exists():
                result = ArmResult.load(self._kept(arm))
                self.tell("phase", phase=f"{arm.title}: kept from the run before")
            else:
                to_train = [other.name for other in order[place:] if other.approach.needs_training]
                ran = self.finished.get(arm.name) or self._run(arm, to_train, self._leader(results))
                if isinstance(ran, str):
                    self._skip(arm, ran)
                    continue
                result = ran
                result.save(self._kept(arm))
            results.append(result)
            self.budget.learn(arm.name, result.seconds / len(result.scores))
            self._tell_done(result)
        return [result for arm in arms for result in results if result.name == arm.name]

    def _kept(self, arm: Arm) -> Path:
        return self.folder / "arms" / f"{arm.name}.json"

    def _skip(self, arm: Arm, reason: str) -> None:
        self.skipped[arm.name] = reason
        self.tell("arm", arm=arm.name, state="skipped", reason=reason)

    def _tell_done(self, result: ArmResult) -> None:
        wanted, metric = [example.completion for example in self._test], self._task.metric
        row = result.to_dict(wanted, metric, wider=wider(result.name, len(self.parts)))
        dropped = {"reason": result.dropped.sentence} if result.dropped else {}
        self.tell("arm", arm=result.name, state="done", score=row["score"], interval=row["interval"], **dropped)

    @property
    def _task(self) -> Any:
        return self.parts[0].task

    @property
    def _test(self) -> tuple[Example, ...]:
        """All test rows: of one fold after the other, where there are folds."""
        return tuple(example for tools in self.parts for example in tools.task.test)

    # Who comes when

    def _order(self, arms: Sequence[Arm]) -> list[Arm]:
        """The order in which arms answer all rows: what costs nothing, the best of the heats, what must be trained.

        The sooner the best has answered all rows, the sooner the others are seen to be worse. Within folds there are no
        heats, and the cheaper comes first.
        """
        racing = [arm for arm in arms if arm.approach.asks_model and not arm.approach.needs_training]
        if len(self.parts) > 1 or len(racing) < 2 or heat(len(self._test)) == len(self._test):
            return list(arms)
        free = [arm for arm in arms if not arm.approach.asks_model]
        trained = [arm for arm in arms if arm.approach.needs_training]
        scores = {arm.name: self._heat(arm) for arm in racing}
        return [*free, *sorted(racing, key=lambda arm: (-scores[arm.name], arm.rank)), *trained]

    def _heat(self, arm: Arm) -> float:
        """What an arm scores on the first few rows; what it answers is stored, and counts when it goes on."""
        if self._kept(arm).exists():
            return float(sum(ArmResult.load(self._kept(arm)).scores[: heat(len(self._test))]))
        if arm.name in self.finished:
            return 0.0
        total = len(self._test)
        self.tell("arm", arm=arm.name, state="preparing", done=0, total=total)
        entry, few = self._enter(arm, 0, None), self._test[: heat(total)]
        answers = entry.answerer.answer(
            entry.approach.prompts(few),
            max_new_tokens=longest_answer(self.parts[0]),
            progress=self._progress(arm.name, 0),
            tools=[example.tools for example in few],
        )
        wanted, asked = [example.completion for example in few], [example.prompt for example in few]
        scores = self._task.metric.scores([answer.text for answer in answers], wanted, asked)
        self._ready[arm.name] = entry
        self.tell("arm", arm=arm.name, state="waiting", done=len(few), total=total)
        return float(sum(scores))

    def _leader(self, results: Sequence[ArmResult]) -> Leader | None:
        """The best of the arms that have answered all rows; the cheaper of those that are level."""
        whole = [result for result in results if result.dropped is None]
        if not whole:
            return None
        best = max(whole, key=lambda result: (sum(result.scores), -ARMS[result.name].rank))
        return Leader(best.name, best.title, best.scores, ARMS[best.name].rank)

    # One arm

    def _run(self, arm: Arm, to_train: Sequence[str], leader: Leader | None) -> ArmResult | str:
        """One arm on all folds, or why it was left out."""
        rows, folds = len(self._test), len(self.parts)
        if arm.name not in self._ready:
            self.tell("arm", arm=arm.name, state="preparing", done=0, total=rows)
        seconds = None
        if arm.approach.needs_training:
            seconds = self.budget.training_seconds(arm.name, [*to_train, *[arm.name] * (folds - 1)], rows=rows)
            if seconds == 0:
                return f"too little of the {self.budget.minutes:g} minutes is left to train; raise --budget"
            if len(to_train) + folds > 2:
                self.models.expect_trainings()
        made: list[ArmResult] = []
        dropped, asked = None, Round(self._test, self._task.metric, longest_answer(self.parts[0]), leader=leader)
        for place, part in enumerate(self.parts):
            done = sum(len(result.scores) for result in made)
            made.append(self._run_part(arm, place, seconds, replace(asked, test=part.task.test), done=done))
            dropped = made[-1].dropped
            if folds > 1:
                scores = [score for result in made for score in result.scores]
                dropped = out_of_the_race(arm, scores, asked)
            if dropped:
                break
        return joined(made, dropped)

    def _run_part(self, arm: Arm, place: int, seconds: float | None, asked: Round, *, done: int) -> ArmResult:
        """One arm on one fold; with several it races its leader after each fold, and not within one."""
        entry = self._ready.pop(arm.name, None) or self._enter(arm, place, seconds)
        return answer_all(
            arm,
            entry.approach,
            entry.answerer,
            asked if len(self.parts) == 1 else replace(asked, leader=None),
            tokenizer=self.parts[0].tokenizer,
            setup_seconds=entry.setup_seconds,
            progress=self._progress(arm.name, done),
            training=entry.training or None,
            likely=None if arm.elsewhere else self._likely(arm, entry.approach.adapter),
        )

    def _enter(self, arm: Arm, place: int, seconds: float | None) -> _Entry:
        """Make an arm ready to answer the rows of a fold."""
        answerer, training = self.models.endpoint() if arm.elsewhere else self.models.base(), dict[str, Any]()
        assert answerer is not None
        part, folds = self.parts[place], len(self.parts)
        tools = copy(part)  # which shares the indexes that were made
        tools.base, tools.trial = answerer, self._trial(arm, answerer)
        if arm.approach.needs_training:
            tools.train = self._trainer(arm.name, seconds, training, fold=place + 1 if folds > 1 else None)
        approach = arm.approach()
        setup = prepare(approach, tools)
        self.parts[0].removed_passages = max(self.parts[0].removed_passages, tools.removed_passages)
        if approach.adapter is not None:
            answerer = self.models.tuned(approach.adapter)
        return _Entry(approach, answerer, setup, training)

    def _likely(self, arm: Arm, adapter: Path | None) -> Likely:
        """How likely an arm's model finds the wanted answers, as far as there is time for such a figure."""

        def likely(prompts: Sequence[Prompt], examples: Sequence[Example]) -> Likelihoods:
            pressing = self.budget.minutes is not None and len(self._test) > MOST_LIKELIHOODS
            if pressing:
                return Likelihoods(skipped=f"there is a time budget, and more than {MOST_LIKELIHOODS} test rows")
            seconds = self.budget.likelihood_seconds(folds=len(self.parts))
            if not seconds or self.models.nll((), (), adapter=adapter) is None:  # which loads the model
                return Likelihoods(skipped="the time budget is used up" if not seconds else "the model gives none")
            self.tell("phase", phase="how likely it finds the wanted answers", arm=arm.name)
            began = time.perf_counter()

            def nll(some: Sequence[Prompt], wanted: Sequence[str]) -> list[tuple[float, int]]:
                return self.models.nll(some, wanted, adapter=adapter) or []

            found = likelihoods(prompts, examples, nll=nll, seconds=seconds)
            self.budget.likelihoods_took += time.perf_counter() - began
            return found

        return likely

    def _trial(self, arm: Arm, answerer: Answerer) -> Any:
        """A way to try prompts on validation rows, as `Tools.trial` asks."""

        def trial(prompts: Sequence[Prompt], examples: Sequence[Example]) -> tuple[float, ...]:
            if not prompts:
                return ()
            self.tell("arm", arm=arm.name, state="tuning", done=0, total=len(prompts))
            declared = [example.tools for example in examples]
            answers = answerer.answer(prompts, max_new_tokens=longest_answer(self.parts[0]), tools=declared)
            wanted, asked = [example.completion for example in examples], [example.prompt for example in examples]
            scores: tuple[float, ...] = self._task.metric.scores([answer.text for answer in answers], wanted, asked)
            return scores

        return trial

    def _progress(self, arm: str, before: int) -> Callable[[int, int], None]:
        rows = len(self._test)

        def progress(done: int, total: int) -> None:
            if done == total or time.time() - self._last_progress > _BETWEEN:
                self._last_progress = time.time()
                self.tell("arm", arm=arm, state="answering", done=before + done, total=rows)

        return progress

    # Training

    def _trainer(self, arm: str, seconds: float | None, training: dict[str, Any], *, fold: int | None) -> Any:
        """A function that trains on rows as `Tools.train` asks; what came out is noted in `training`."""

        def train(rows: Sequence[Example], held_out: Sequence[Example]) -> Path:
            self._task.guard.require_clean(self._task.pool, "training")
            trained = self.models.train(
                arm if fold is None else f"{arm}-fold-{fold}",
                rows,
                held_out,
                seconds=seconds,
                seed=self.request.seed,
                on_event=lambda event: self.tell_training(arm, event),
            )
            training.update(trained.outcome)
            passes, wanted = trained.outcome["passes"], trained.outcome["epochs"]
            if passes < wanted - 0.01 and self.budget.minutes is not None:
                self.left_out.append(
                    f"{arm}: {passes:g} of {wanted:g} passes over the training rows, "
                    f"to keep to {self.budget.minutes:g} minutes"
                )
            return trained.adapter

        return train

    def tell_training(self, arm: str, event: Mapping[str, Any]) -> None:
        """Pass on what a training run says of its progress; how it ends is said by the arm."""
        if event["event"] == "plan":
            self.tell("arm", arm=arm, state="training", reason=event["sentence"])
        elif event["event"] in ("phase", "training", "step", "evaluation", "health"):
            values = {key: value for key, value in event.items() if key not in ("event", "time", "arm")}
            self.tell(event["event"], **values, arm=arm)
