"""Would more rows help the tuned model? It is trained on a quarter and on half of them too, and a curve is fitted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from advisor.arms import ArmResult
from advisor.learning_curve import Curve, Point, fit, sentence
from advisor.likelihood import mean_nats
from advisor.models import Models
from advisor.statistics import mean_interval
from advisor.task import Task
from dataset_tools.example import Example

# Nested shares of the rows, beside all of them.
_SHARES = (0.25, 0.5)
# Fewer rows than this are no training.
_FEWEST = 8
# Sizes that the fan is drawn at, as multiples of all rows.
_AHEAD = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


def learning_curve(
    task: Task,
    models: Models,
    whole: ArmResult,
    *,
    max_new_tokens: int,
    seed: int,
    seconds: float | None,
    on_event: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Train on nested parts of the pool, answer the test rows with each, and fit curves to scores and losses.

    Args:
        task: Hands out the rows.
        models: Trains and answers.
        whole: The arm that was tuned on all rows.
        max_new_tokens: The most tokens of an answer.
        seed: For the order in which parts are taken, and for training.
        seconds: What training on all rows took; a part of the rows may take that part of it. None: no limit.
        on_event: Told of the runs' events.
    """
    order = random.Random(seed).sample(range(len(task.pool)), len(task.pool))
    sizes = sorted({max(_FEWEST, round(share * len(task.pool))) for share in _SHARES})
    scores = [Point(len(task.pool), whole.scores)]
    losses = _losses(task, models, whole.training)
    lost = [Point(len(task.pool), losses)] if losses else []
    for size in [size for size in sizes if size < len(task.pool)]:
        rows = [task.pool[place] for place in sorted(order[:size])]
        limit = seconds * size / len(task.pool) if seconds is not None else None
        name = f"qlora-{size}-rows"
        trained = models.train(name, rows, task.validation, seconds=limit, seed=seed, on_event=on_event)
        answers = models.tuned(trained.adapter).answer(
            [example.prompt for example in task.test],
            max_new_tokens=max_new_tokens,
            tools=[example.tools for example in task.test],
        )
        wanted = [example.completion for example in task.test]
        asked = [example.prompt for example in task.test]
        scores.append(Point(size, task.metric.scores([answer.text for answer in answers], wanted, asked)))
        losses = _losses(task, models, {"adapter": str(trained.adapter)})
        if losses and lost:
            lost.append(Point(size, losses))
    return _told(sorted(scores, key=lambda point: point.n), sorted(lost, key=lambda point: point.n))


def _losses(task: Task, models: Models, training: dict[str, Any] | None) -> tuple[float, ...]:
    """Nats a token of each wanted answer under the tuned model; none where they are not to be had."""
    adapter = (training or {}).get("adapter")
    if not adapter:
        return ()
    rows: Sequence[Example] = task.test
    found = models.nll([row.prompt for row in rows], [row.completion for row in rows], adapter=Path(adapter))
    return tuple(total / max(1, count) for total, count in found) if found else ()


def _told(scores: Sequence[Point], losses: Sequence[Point]) -> dict[str, Any]:
    if len(scores) < 2:
        return {"points": [], "fan": [], "sentence": "There are too few rows for a learning curve.", "what": "rows"}
    curve = fit(scores)
    told: dict[str, Any] = {
        "what": "training rows",
        "points": [_point(point) for point in scores],
        "fan": _fan(curve),
        "sentence": sentence(curve),
    }
    if len(losses) > 1:
        lost = fit(losses, higher_is_better=False)
        told["loss"] = {
            "points": [_lost(point) for point in losses],
            "fan": _fan(lost),
            "sentence": sentence(lost),
        }
    return told


def _point(point: Point) -> dict[str, Any]:
    interval = mean_interval(point.values)
    return {
        "n": point.n,
        "score": round(interval.estimate, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }


def _lost(point: Point) -> dict[str, Any]:
    found = mean_nats(point.values)
    return {"n": point.n, "loss": round(found.estimate, 4), "interval": [round(found.low, 4), round(found.high, 4)]}


def _fan(curve: Curve) -> list[dict[str, Any]]:
    sizes = [round(curve.n * times) for times in _AHEAD]
    return [{"n": n, **{name: round(value, 4) for name, value in curve.fan(n)._asdict().items()}} for n in sizes]
