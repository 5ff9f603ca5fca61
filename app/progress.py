"""Progress in the terminal, on stderr: of a comparison or a training run, from the events that they log, and of any
other work that takes a while.

Where stderr is no terminal, each change is a line, and a silence is broken by a short one before 2 seconds are over.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from advisor.lineup import ARM_TITLES
from training.runs.heartbeat import BEAT, Heartbeat


@contextlib.contextmanager
def working(console: Console, text: str, *, at_once: bool = False) -> Iterator[Callable[[str], None]]:
    """Say that work goes on for as long as the block takes; what it gives is called with another text to say.

    Args:
        console: Where it is said: a spinner in a terminal, else lines.
        text: What is done, such as "Checking rows.jsonl ...".
        at_once: Say the first line at once, where there is no terminal; else only of work that takes over a second.
    """
    if console.is_terminal:
        with console.status(escape(text)) as status:
            yield lambda text: status.update(escape(text))
        return
    with Lines(console) as lines:
        lines.say(text, hurry=at_once)
        yield lines.say


class Lines:
    """Progress as lines of a log. Use as a context manager, and `say` what happens.

    What is in no hurry, such as a count that goes up, is said at most every 1.5 seconds. When nothing was said for as
    long, a short line says so: "... 3 s".
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._heart = Heartbeat(self._break_silence)
        self._lock = threading.Lock()
        self._held_back = self._last_line = ""
        self._last_time = float("-inf")

    def __enter__(self) -> Lines:
        self._heart.__enter__()
        self._last_time = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heart.__exit__(kind, error, trace)

    def say(self, line: str, *, hurry: bool = False) -> None:
        """Say a line, now or when its time has come; one that was said last is not said again."""
        with self._lock:
            if line == self._last_line:
                self._held_back = ""
            elif hurry or time.monotonic() - self._last_time >= BEAT:
                self._print(line)
            else:
                self._held_back = line

    def _break_silence(self, seconds: float) -> None:
        with self._lock:
            if self._held_back:
                self._print(self._held_back)
            else:
                self._console.print(f"  ... {seconds:.0f} s", highlight=False)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._last_line, self._held_back, self._last_time = line, "", time.monotonic()
        self._heart.heard()


class TerminalProgress:
    """A live block of bars, one an arm; lines where stderr is no terminal.

    Use as a context manager, and call it with each event.
    """

    def __init__(self, console: Console) -> None:
        self.bars: dict[str, TaskID] = {}
        self._lines = None if console.is_terminal else Lines(console)
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:46}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=self._lines is not None,
        )

    def __enter__(self) -> TerminalProgress:
        (self._lines or self.progress).__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._lines or self.progress).__exit__(kind, error, trace)

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event. That the last one still goes on is shown without being told."""
        arm = event.get("arm", "")
        kind = event["event"]
        if kind == "phase":
            self._note(arm or "preparing", event["phase"])
        elif kind == "arm":
            self._arm(arm, event)
        elif kind == "plan":
            self._note("preparing", _planned(event))
        elif kind == "step":
            loss = "no number" if event["loss"] is None else f"{event['loss']:.2f}"
            note = f"step {event['step']} of {event['steps']}, loss {loss}, {_seconds(event['eta'])} left"
            self._note(arm or "training", note, done=event["step"], total=event["steps"])
        elif kind == "evaluation" and event["validation_loss"] is not None:
            self._note(arm or "training", f"validation loss {event['validation_loss']:.3f}")
        elif kind == "health" and event["stop_rate"] is not None:
            self._note(arm or "training", f"{event['stop_rate']:.0%} of held-out answers end by themselves")

    def _arm(self, arm: str, event: dict[str, Any]) -> None:
        state, total = event["state"], event.get("total")
        if state == "answering":
            self._note(arm, f"answering {event['done']} of {total}", done=event["done"], total=total)
        elif state == "done":
            low, high = event["interval"]
            dropped = f", {event['reason']}" if event.get("reason") else ""
            self._finish(arm, f"{100 * event['score']:.1f}  [{100 * low:.1f} to {100 * high:.1f}]{dropped}")
        elif state == "skipped":
            self._finish(arm, f"left out: {event['reason']}")
        elif state == "waiting":
            note = f"{event['done']} of {total} answered; the best so far goes first"
            self._note(arm, note, done=event["done"], total=total)
        else:
            self._note(arm, _DOING.get(state, "training starts"))

    def _bar(self, name: str) -> TaskID:
        if name not in self.bars:
            for other, bar in self.bars.items():
                if other == "preparing":
                    self.progress.stop_task(bar)
                    self.progress.update(bar, visible=False)
            title = ARM_TITLES.get(name, name.capitalize())
            self.bars[name] = self.progress.add_task(title, total=None, note="")
        return self.bars[name]

    def _note(self, name: str, note: str, *, done: int | None = None, total: int | None = None) -> None:
        if self._lines is None:
            self.progress.update(self._bar(name), note=note, completed=done, total=total)
        else:
            self._lines.say(f"{ARM_TITLES.get(name, name)}: {note}", hurry=done is None or done == total)

    def _finish(self, name: str, note: str) -> None:
        self._note(name, note, done=1, total=1)
        if name in self.bars:
            self.progress.stop_task(self.bars[name])


_DOING = {"preparing": "getting ready", "tuning": "choosing settings on rows held back for it"}


def _planned(plan: Mapping[str, Any]) -> str:
    """What a comparison sets out to do, and what it can show."""
    gap = f"gaps of {100 * plan['visible_gap']:.0f} points and more will show"
    choosing = f"; {plan['tuning_answers']} answers each to choose settings" if plan["tuning_answers"] else ""
    return f"{len(plan['arms'])} approaches on {plan['test_rows']} test rows: {gap}{choosing}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
