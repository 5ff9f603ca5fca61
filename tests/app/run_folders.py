"""Folders of runs as a training process leaves them, written by hand; for tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools import Example
from training.home import home
from training.recipe import Recipe
from training.runs.folder import RunFolder

BEGAN = 1_790_000_000.0
HEALTH = {
    "alive": True,
    "logit_change": 12.0,
    "stop_rate": 1.0,
    "card": [
        {
            "id": "alive",
            "light": "green",
            "title": "Does the training show",
            "value": "by up to 12",
            "reason": "It does.",
            "knob": None,
        },
        {
            "id": "gap",
            "light": "amber",
            "title": "Does it learn or memorise",
            "value": "loss 0.2, 0.9",
            "reason": "It recites.",
            "knob": "epochs",
        },
    ],
}


def steps(count: int, *, of: int = 10, every: int = 4) -> list[dict[str, Any]]:
    """The events of a training up to a step: the loss falls from 3 by a tenth each time."""
    told: list[dict[str, Any]] = [{"event": "training", "rows": 3, "steps": of, "batch_size": 2}]
    for step in range(1, count + 1):
        values = {"learning_rate": 1e-3, "gradient_norm": 1.0, "tokens_per_second": 50.0, "eta": float(of - step)}
        loss = round(3 - step / 10, 3)
        told.append({"event": "step", "step": step, "steps": of, "loss": loss, "memory": 10**9, **values})
        if step % every == 0:
            told.append({"event": "evaluation", "step": step, "validation_loss": loss + 0.5})
    return told


def write_run(
    name: str,
    state: str,
    events: Sequence[dict[str, Any]] = (),
    *,
    folder: Path | None = None,
    recipe: Recipe | None = None,
    result: dict[str, Any] | None = None,
    **facts: Any,
) -> RunFolder:
    """A run in the home (or in a folder elsewhere), one second between two events."""
    run = RunFolder((folder or home() / "runs" / name).resolve())
    run.path.mkdir(parents=True)
    (recipe or Recipe("embedded")).save(run.path / "recipe.yaml")
    run.write_rows("train", [Example.of("Which colour?", "red"), Example.of("And this?", "blue")])
    run.write_rows("validation", [])
    told = [{"event": "state", "state": "queued"}, *events]
    if state in ("done", "stopped", "failed", "interrupted"):
        told.append({"event": "state", "state": state})
        facts = {"ended": BEGAN + len(told) - 1, **facts}
    if result is not None:
        facts["result"] = result
        run.adapter.mkdir()
    log = "".join(json.dumps({"time": BEGAN + number, **event}) + "\n" for number, event in enumerate(told))
    (run.path / "events.jsonl").write_text(log)
    (run.path / "worker.log").write_text("")
    status = {"run": name, "state": state, "created": BEGAN, "started": BEGAN, "rows": 2, "model": "embedded", **facts}
    (run.path / "run.json").write_text(json.dumps(status))
    return run


RESULT = {
    "steps": 10,
    "passes": 2.0,
    "loss": 2.0,
    "validation_loss": 2.25,
    "training_seconds": 12.5,
    "tokens_per_second": 50.0,
    "health": HEALTH,
}
