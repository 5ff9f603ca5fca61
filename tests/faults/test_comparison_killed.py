"""A comparison that is killed outright goes on where it was: what was answered is not asked again."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from advisor.comparison import run_comparison, start_comparison
from advisor.request import ComparisonRequest
from training.runs.folder import RunFolder
from training.runs.supervisor import is_alive, state_of

pytestmark = pytest.mark.usefixtures("one_thread")
ARMS = ("zero-shot", "few-shot-fixed", "few-shot")


def answers_in(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'answers.sqlite3'}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    except sqlite3.Error:
        return 0


def killed_after(run: RunFolder, answers: int) -> None:
    deadline = time.time() + 300
    while answers_in(run.path) < answers:
        assert time.time() < deadline and not (run.path / "result.json").exists()
        time.sleep(0.01)
    os.kill(int((run.path / "pid").read_text()), signal.SIGKILL)
    while is_alive(run.path):
        time.sleep(0.05)


def test_after_a_kill_the_answers_that_were_kept_are_taken_and_the_rest_is_asked(
    tiny_model: Path, tmp_path: Path
) -> None:
    colours = ("red", "blue", "green")
    rows = [{"prompt": f"what is {number}?", "completion": colours[number % 3]} for number in range(90)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    request = ComparisonRequest(data, arms=ARMS, model=str(tiny_model), limit=12, budget_minutes=2)
    run = start_comparison(request, tmp_path / "comparison")
    killed_after(run, 4)
    kept = answers_in(run.path)
    assert state_of(run) == "interrupted" and not (run.path / "result.json").exists()
    with closing(sqlite3.connect(run.path / "answers.sqlite3")) as store, store:
        store.execute("UPDATE answers SET text = 'kept from before'")
    result = run_comparison(request, folder=run.path)
    items = [json.loads(line) for line in (run.path / "items.jsonl").read_text().splitlines()]
    answered = [arm["answer"] for item in items for arm in item["arms"].values()]
    assert {arm["name"] for arm in result["arms"] if not arm["skipped"]} == set(ARMS)
    assert "kept from before" in answered and set(answered) != {"kept from before"}
    assert answers_in(run.path) > kept
    with closing(sqlite3.connect(run.path / "answers.sqlite3")) as store:
        found = store.execute("SELECT COUNT(*) FROM answers WHERE text = 'kept from before'").fetchone()[0]
    assert found == kept  # none of them was written over
