"""How good the advice is: regret, false confidence and effort of the advisor, beside simple policies, on known truth.

    python benchmarks/advisor.py --data ../shared/data/dev [--tasks banking77,sentiment] [--hidden 200] [--pool 400]
        [--rows 50,100,200] [--draws 40] [--seed 0] [--minutes 20] [--train] [--model embedded]

First every arm answers the hidden rows of each task; answers are kept in the home's folder `advisor-bench`, so that it
may be stopped and goes on where it was. These scores are the truth. Then users are simulated: each draws n test rows
from the hidden ones with replacement, arms race as they do in the product, and the verdict's arm is compared with the
best one. With --minutes it stops answering in time, and says what was left out. See docs/advisor-bench.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, whose files hide packages

from advisor.approaches import Tools
from advisor.arms import ArmResult, Leader, Round, heat, looks, out_of_the_race
from advisor.dropouts import with_dropouts
from advisor.lineup import ARMS, Arm, asked_for, why_not
from advisor.models import LocalModels
from advisor.results import baseline_scores
from advisor.retrieval import load_documents
from advisor.task import make_task
from advisor.verdict import DEFAULT_MARGIN, ArmScores, BaselineScores, Verdict, decide
from dataset_tools import load_examples
from training.home import home
from training.quiet import quiet_libraries

TASKS = ("banking77", "sentiment", "snips_json", "xquad_rag")
ADVICE = ("winner", "tie", "cheaper")
Floats = npt.NDArray[np.float64]


class OutOfTimeError(Exception):
    """The minutes are over. What was answered is kept."""


@dataclass
class Truth:
    """A task's arms, from cheap to dear, with their scores on all hidden rows."""

    name: str
    baseline: tuple[str, Floats]
    metric: str
    scores: dict[str, Floats] = field(default_factory=dict)

    def means(self) -> dict[str, float]:
        """What each arm is truly worth."""
        return {arm: float(scores.mean()) for arm, scores in self.scores.items()}


@dataclass(frozen=True)
class Outcome:
    """One simulated user: the verdict, how far each choice is below the best, and what it took."""

    task: str
    rows: int
    verdict: Verdict
    regret: dict[str, float]
    effort: float
    covered: tuple[bool, ...]
    wrong_sign: tuple[bool, ...]


# The truth


class Scoring:
    """Has every arm of every task answer the hidden rows, one arm after another over all tasks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.ends = time.time() + 60 * options.minutes if options.minutes else float("inf")
        folder = home() / "advisor-bench"
        (folder / "arms").mkdir(parents=True, exist_ok=True)
        self.models = LocalModels(options.model, folder)
        self.left_out: list[str] = []

    def run(self) -> list[Truth]:
        """The tasks with the arms that are whole; the cheapest arms of all tasks come first."""
        opened = {name: self._open(name) for name in self.options.tasks}
        truths = {name: Truth(name, _baseline(tools), tools.task.metric.name) for name, (tools, _) in opened.items()}
        for arm in asked_for(None, endpoint=False):
            for name, (tools, documents) in opened.items():
                reason = self._score(arm, truths[name], tools, documents=documents)
                if reason:
                    self.left_out.append(f"{name}, {arm.name}: {reason}")
        return [truth for truth in truths.values() if len(truth.scores) > 1]

    def _open(self, name: str) -> tuple[Tools, bool]:
        """A task's hidden rows, and a pool of the size that a user may have."""
        folder, draw = Path(self.options.data) / name, random.Random(self.options.seed)
        train, test = (load_examples(folder / f"{part}.jsonl").examples for part in ("train", "test"))
        pool = draw.sample(train, min(self.options.pool, len(train)))
        hidden = draw.sample(test, min(self.options.hidden, len(test)))
        docs = next((path for path in (folder / "docs.jsonl", folder / "docs") if path.exists()), None)
        context = self.models.context
        tools = Tools(  # what a comparison takes on a CPU; settings are the defaults, as nothing is tuned
            task=make_task(pool, hidden, seed=self.options.seed),
            tokenizer=self.models.tokenizer,
            context=context,
            documents=load_documents(docs) if docs else (),
            passages=(2, 200),
            demonstrations=(6, min(1200, context * 3 // 5)),
        )
        return tools, docs is not None

    def _score(self, arm: Arm, truth: Truth, tools: Tools, *, documents: bool) -> str:
        """Add the arm's scores to the truth, or say why not."""
        if arm.approach.needs_documents and not documents:
            return ""
        if arm.approach.needs_training and not self.options.train:
            return "is trained; --train scores it too"
        reason = why_not(arm, tools, documents=documents, endpoint=False)
        if reason:
            return reason
        try:
            answers = self._answers(arm, truth.name, tools)
        except OutOfTimeError as stopped:
            return str(stopped)
        wanted = [example.completion for example in tools.task.test]
        truth.scores[arm.name] = np.array(tools.task.metric.scores(answers, wanted))
        _say(f"{truth.name}, {arm.name}: {100 * truth.scores[arm.name].mean():.1f}")
        return ""

    def _answers(self, arm: Arm, task: str, tools: Tools) -> list[str]:
        test, began = tools.task.test, time.time()

        def progress(done: int, total: int) -> None:
            if time.time() > self.ends and done < total:
                raise OutOfTimeError(f"out of time with {done} of {total} rows answered, which are kept")

        if time.time() > self.ends:
            raise OutOfTimeError("out of time before it began")
        tools.base = self.models.base()
        tools.train = self._trainer(f"{task}-{arm.name}")
        approach = arm.approach()
        approach.prepare(tools)
        given = approach.answers(test)
        if given is not None:
            return [answer.text for answer in given]
        answerer = self.models.tuned(approach.adapter) if approach.adapter else tools.base
        longest = min(512, int(tools.longest_answer * 1.25) + 8)
        declared = [example.tools for example in test]
        answers = answerer.answer(approach.prompts(test), max_new_tokens=longest, tools=declared, progress=progress)
        _say(f"{task}, {arm.name}: {len(answers)} rows in {time.time() - began:.0f} s")
        return [answer.text for answer in answers]

    def _trainer(self, name: str) -> Callable[[Any, Any], Path]:
        def train(rows: Any, held_out: Any) -> Path:
            seconds = min(self.ends - time.time(), 60 * self.options.train_minutes)
            return self.models.train(
                name, rows, held_out, seconds=seconds, seed=self.options.seed, on_event=lambda event: None
            ).adapter

        return train


def _baseline(tools: Tools) -> tuple[str, Floats]:
    found = baseline_scores(tools.task)
    return found.name, np.array(found.scores)


# Simulated users


def simulate(truth: Truth, *, rows: int, draws: int, seed: int, margin: float) -> list[Outcome]:
    """So many users with so many test rows each."""
    draw = np.random.default_rng([seed, rows, *truth.name.encode()])
    hidden = truth.baseline[1].size
    return [_user(truth, draw.integers(hidden, size=rows), margin) for _ in range(draws)]


def _user(truth: Truth, drawn: npt.NDArray[np.int64], margin: float) -> Outcome:
    """One user: the race, the verdict, and what each policy would have taken."""
    seen = {arm: scores[drawn] for arm, scores in truth.scores.items()}
    results = race(seen)
    name, baseline = truth.baseline
    whole = [
        ArmScores(each.name, each.title, each.scores, ARMS[each.name].rank) for each in results if not each.dropped
    ]
    verdict = decide(whole, baseline=BaselineScores(name, tuple(baseline[drawn])), margin=margin)
    verdict = with_dropouts(verdict, results, margin=margin)
    worth = truth.means()
    best = max(worth.values())
    choices = {"the advisor": verdict.arm or verdict.best, **policies(seen)}
    pairs = [(pair.interval, worth[pair.a] - worth[pair.b]) for pair in verdict.pairs]
    return Outcome(
        truth.name,
        len(drawn),
        verdict,
        {policy: best - worth[arm] for policy, arm in choices.items()},
        sum(len(each.scores) for each in results) / (len(results) * len(drawn)),
        tuple(low <= true <= high for (low, high), true in pairs),
        tuple((low > 0 and true < 0) or (high < 0 and true > 0) for (low, high), true in pairs),
    )


def race(seen: dict[str, Floats]) -> list[ArmResult]:
    """The arms in the order of the race, each as far as it goes against the best of those that are whole."""
    results: dict[str, ArmResult] = {}
    for name in race_order(seen):
        scores = seen[name]
        whole = [each for each in results.values() if not each.dropped]
        best = max(whole, key=lambda each: (sum(each.scores), -ARMS[each.name].rank), default=None)
        leader = Leader(best.name, best.title, best.scores, ARMS[best.name].rank) if best else None
        asked: Any = Round([None] * len(scores), None, 0, leader=leader)  # type: ignore[list-item, arg-type]
        dropped, upto = None, len(scores)
        for upto in looks(asked) if ARMS[name].approach.asks_model else [len(scores)]:
            dropped = out_of_the_race(ARMS[name], scores[:upto].tolist(), asked)
            if dropped:
                break
        answered = tuple(float(score) for score in scores[:upto])
        results[name] = ArmResult(name, ARMS[name].title, (), answered, 0.0, 0.0, dropped=dropped)
    return [results[name] for name in seen]


def race_order(seen: dict[str, Floats]) -> list[str]:
    """As `advisor.race` has it: what asks no model, the best of the heats, what is trained."""

    def place(name: str) -> tuple[int, float, int]:
        approach, scores = ARMS[name].approach, seen[name]
        group = 2 if approach.needs_training else 1 if approach.asks_model else 0
        return group, -float(scores[: heat(scores.size)].sum()) if group == 1 else 0.0, ARMS[name].rank

    return sorted(seen, key=place)


def policies(seen: dict[str, Floats]) -> dict[str, str]:
    """What simple rules take. The raw leader has seen all rows of all arms, of equals the cheapest."""
    chosen = {"highest raw score": max(seen, key=lambda arm: (float(seen[arm].mean()), -ARMS[arm].rank))}
    shots = "few-shot" if "few-shot" in seen else "few-shot-fixed"
    if shots in seen:
        chosen["always few-shot"] = shots
        chosen["RAG with documents, else few-shot"] = "rag" if "rag" in seen else shots
    if "qlora" in seen:
        chosen["always QLoRA"] = "qlora"
    chosen["always zero-shot"] = "zero-shot"
    return chosen


# What is told


def told(truths: Sequence[Truth], outcomes: Sequence[Outcome], *, margin: float) -> str:
    """The tables."""
    parts = [_truths(truths), _regrets(outcomes)]
    parts += [_honesty(outcomes, margin=margin)]
    return "\n\n".join(parts)


def _truths(truths: Sequence[Truth]) -> str:
    arms = [name for name in ARMS if any(name in truth.scores for truth in truths)]
    rows = []
    for truth in truths:
        means = truth.means()
        cells = [f"{100 * means[arm]:.1f}" if arm in means else "-" for arm in arms]
        rows.append([truth.name, truth.metric, str(truth.baseline[1].size), _points(truth.baseline[1].mean()), *cells])
    return _table(["task", "metric", "hidden rows", "baseline", *arms], rows)


def _regrets(outcomes: Sequence[Outcome]) -> str:
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.regret))
    sizes = sorted({outcome.rows for outcome in outcomes})
    rows = []
    for name in names:
        cells = []
        for size in sizes:
            values = [each.regret[name] for each in outcomes if each.rows == size and name in each.regret]
            cells.append(_spread(values))
        rows.append([name, *cells])
    return _table(["regret in points: mean, 90th percentile", *(f"{size} test rows" for size in sizes)], rows)


def _honesty(outcomes: Sequence[Outcome], *, margin: float) -> str:
    sizes = sorted({outcome.rows for outcome in outcomes})
    by_size = [[each for each in outcomes if each.rows == size] for size in sizes]
    kinds = ("winner", "tie", "cheaper", "not_enough_evidence", "nothing_works")
    lines: list[tuple[str, Callable[[Sequence[Outcome]], str]]] = [
        (f"{kind}", lambda group, kind=kind: _percent([each.verdict.kind == kind for each in group]))  # type: ignore[misc]
        for kind in kinds
    ]

    def false(group: Sequence[Outcome], among: Sequence[str]) -> str:
        return _exact([each.regret["the advisor"] > margin for each in group if each.verdict.kind in among])

    def regret(group: Sequence[Outcome], given: bool) -> str:
        return _spread([each.regret["the advisor"] for each in group if (each.verdict.kind in ADVICE) == given])

    far = f"more than {100 * margin:g} points below the best"
    lines += [
        (f"winners {far} (false confidence)", lambda group: false(group, ["winner"])),
        (f"all advice given, {far}", lambda group: false(group, ADVICE)),
        ("regret where advice was given", lambda group: regret(group, True)),
        ("regret of the best bet where none was", lambda group: regret(group, False)),
        ("95% intervals of gaps that hold the true gap", lambda group: _percent([x for e in group for x in e.covered])),
        ("gaps told with the wrong sign", lambda group: _percent([x for e in group for x in e.wrong_sign])),
        ("answers spent, of all rows of all arms", lambda group: f"{100 * np.mean([e.effort for e in group]):.0f}%"),
    ]
    rows = [[title, *(line(group) for group in by_size)] for title, line in lines]
    return _table(["", *(f"{size} test rows" for size in sizes)], rows)


def _exact(flags: Sequence[bool]) -> str:
    """A share with its Clopper-Pearson interval. Draws from the same hidden rows are no independent tasks."""
    from scipy.stats import binomtest

    if not flags:
        return "none of 0"
    ends = binomtest(sum(flags), len(flags)).proportion_ci(method="exact")
    return f"{sum(flags)} of {len(flags)} [{100 * ends.low:.1f}%, {100 * ends.high:.1f}%]"


def _percent(flags: Sequence[bool]) -> str:
    return f"{100 * sum(flags) / len(flags):.1f}% of {len(flags)}" if flags else "-"


def _spread(values: Sequence[float]) -> str:
    return f"{_points(np.mean(values))}, {_points(np.quantile(values, 0.9))}" if values else "-"


def _points(value: Any) -> str:
    return f"{100 * float(value):.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data" / "dev")
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument("--hidden", type=int, default=200, help="rows of each task that make its truth")
    parser.add_argument("--pool", type=int, default=400, help="rows that arms learn from")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default=[50, 100, 200])
    parser.add_argument("--draws", type=int, default=40, help="users for each task and number of rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="for answering; the simulation takes one or two more")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--train", action="store_true", help="score the tuned arms too")
    parser.add_argument("--train-minutes", type=float, default=10, help="for each training")
    return parser.parse_args()


def main() -> None:
    """Score, simulate, print."""
    options = _options()
    quiet_libraries()
    scoring = Scoring(options)
    truths = scoring.run()
    outcomes = []
    for truth in truths:
        for rows in options.rows:
            _say(f"{truth.name}: {options.draws} users with {rows} test rows")
            outcomes += simulate(truth, rows=rows, draws=options.draws, seed=options.seed, margin=options.margin)
    print(f"Model {options.model}, pool of {options.pool} rows, {options.draws} users each, seed {options.seed}.\n")
    print(told(truths, outcomes, margin=options.margin) if outcomes else "Too little was answered to say anything.")
    if scoring.left_out:
        print("\nLeft out:\n" + "\n".join(f"- {line}" for line in scoring.left_out))


if __name__ == "__main__":
    main()
