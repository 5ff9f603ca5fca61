"""Progress where stderr is no terminal: a line a change, few of them, and a sign in every silence."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from app.progress import Lines, TerminalProgress, working


def log() -> tuple[Console, Callable[[], list[str]]]:
    """A console that is no terminal, and what was printed on it so far, line by line."""
    file = io.StringIO()
    return Console(file=file, width=200), lambda: file.getvalue().splitlines()


def until(seen: Callable[[], bool], *, do: Callable[[], Any] = lambda: None) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        do()
        time.sleep(0.05)


def is_sign(line: str) -> bool:
    return re.fullmatch(r"  \.\.\. \d+ s", line) is not None


def test_changes_are_said_at_once_and_none_twice() -> None:
    console, lines = log()
    with TerminalProgress(console) as progress:
        for event in (
            {"event": "phase", "phase": "reading the data"},
            {"event": "phase", "phase": "loading the model"},
            {"event": "arm", "arm": "rag", "state": "skipped", "reason": "no [documents]"},
            {"event": "arm", "arm": "few-shot", "state": "preparing"},
            {"event": "arm", "arm": "few-shot", "state": "answering", "done": 5, "total": 5},
            {"event": "arm", "arm": "few-shot", "state": "answering", "done": 5, "total": 5},
            {"event": "arm", "arm": "few-shot", "state": "done", "score": 0.5, "interval": [0.25, 0.75]},
        ):
            progress(event)
        said = [line for line in lines() if not is_sign(line)]
    assert said == [
        "preparing: reading the data",
        "preparing: loading the model",
        "RAG (retrieved passages): left out: no [documents]",
        "Few-shot (nearest examples): getting ready",
        "Few-shot (nearest examples): answering 5 of 5",
        "Few-shot (nearest examples): 50.0  [25.0 to 75.0]",
    ]


def test_a_count_that_goes_up_quickly_fills_no_log_and_its_end_is_said() -> None:
    console, lines = log()
    with TerminalProgress(console) as progress:
        for done in range(1001):
            progress({"event": "arm", "arm": "zero-shot", "state": "answering", "done": done, "total": 1000})
    assert len(lines()) < 500
    assert lines()[-1] == "Zero-shot: answering 1000 of 1000"


def test_a_count_that_was_held_back_is_said_when_its_time_has_come() -> None:
    console, lines = log()
    with Lines(console) as progress:
        progress.say("read 1 of 90", hurry=True)
        progress.say("read 2 of 90")
        progress.say("read 3 of 90")
        until(lambda: any(is_sign(line) for line in lines()))
    said = [line for line in lines() if not is_sign(line)]
    assert said == ["read 1 of 90", "read 3 of 90"]


def test_events_that_say_nothing_new_do_not_put_the_sign_of_life_off() -> None:
    console, lines = log()
    event = {"event": "arm", "arm": "rag", "state": "answering", "done": 0, "total": 5}
    with TerminalProgress(console) as progress:
        progress({"event": "arm", "arm": "rag", "state": "preparing"})
        until(lambda: sum(is_sign(line) for line in lines()) > 1, do=lambda: progress(event))
    assert lines()[0] == "RAG (retrieved passages): getting ready"
    assert [line for line in lines()[1:] if not is_sign(line)] == ["RAG (retrieved passages): answering 0 of 5"]


def test_other_work_is_named_when_it_takes_a_while_or_at_once_where_it_is_known_to() -> None:
    console, lines = log()
    with working(console, "Checking rows.jsonl ..."):
        pass
    assert lines() == []
    with working(console, "Preparing the model ...", at_once=True):
        assert lines() == ["Preparing the model ..."]
    with working(console, "Checking [b] ...") as say:
        until(lambda: len(lines()) > 1)
        say("Checking [b]: 5,000 rows ...")
        until(lambda: is_sign(lines()[-1]))
    assert [line for line in lines() if not is_sign(line)] == [
        "Preparing the model ...",
        "Checking [b] ...",
        "Checking [b]: 5,000 rows ...",
    ]


def test_a_terminal_gets_bars_and_a_spinner_in_place_of_lines() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    with TerminalProgress(console) as progress:
        progress({"event": "phase", "phase": "loading the model"})
        progress({"event": "arm", "arm": "zero-shot", "state": "answering", "done": 3, "total": 5})
        progress({"event": "arm", "arm": "zero-shot", "state": "done", "score": 0.5, "interval": [0.25, 0.75]})
    with working(console, "Checking [b] ...") as say:
        say("Checking [c] ...")
    assert "Zero-shot" in file.getvalue() and "50.0  [25.0 to 75.0]" in file.getvalue()
    assert "Checking [" in file.getvalue() and not any(map(is_sign, file.getvalue().splitlines()))
