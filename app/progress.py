"""Progress of a comparison or a training run in the terminal, on stderr, from the events that they log."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from advisor.approaches import ARM_TITLES


class TerminalProgress:
    """A live block of bars, one an arm; a plain line an event where stderr is no terminal.

    Use as a context manager, and call it with each event.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = console.is_terminal
        self.bars: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._last = ""
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:46}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not self.live,
        )

    def __enter__(self) -> TerminalProgress:
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)

    def __call__(self, event: dict[str, Any]) -> None:
        """Show one event."""
        arm = event.get("arm", "")
        kind = event["event"]
        if kind == "phase":
            self._note(arm or "preparing", event["phase"])
        elif kind == "arm":
            self._arm(arm, event)
        elif kind == "step":
            note = f"step {event['step']} of {event['steps']}, loss {event['loss']:.2f}, {_seconds(event['eta'])} left"
            self._note(arm or "training", note, done=event["step"], total=event["steps"])
        elif kind == "evaluation":
            self._note(arm or "training", f"validation loss {event['validation_loss']:.3f}")
        elif kind == "health":
            self._note(arm or "training", f"{event['stop_rate']:.0%} of held-out answers end by themselves")
        elif kind == "waiting":
            self._wait(event["seconds"])

    def _arm(self, arm: str, event: dict[str, Any]) -> None:
        state, total = event["state"], event.get("total")
        if state == "answering":
            self._note(arm, f"answering {event['done']} of {total}", done=event["done"], total=total)
        elif state == "done":
            low, high = event["interval"]
            self._finish(arm, f"{100 * event['score']:.1f}  [{100 * low:.1f} to {100 * high:.1f}]")
        elif state == "skipped":
            self._finish(arm, f"left out: {event['reason']}")
        else:
            self._note(arm, "getting ready" if state == "preparing" else "training starts")

    def _wait(self, seconds: float) -> None:
        """Say what still goes on; a terminal's spinner and clock say it by themselves."""
        if not self.live and self._last in self._said:
            line = f"{ARM_TITLES.get(self._last, self._last)}: {self._said[self._last]} ... {seconds:.0f} s"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

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
        bar = self._bar(name)
        self.progress.update(bar, note=note, completed=done, total=total)
        self._last = name
        if not self.live and self._said.get(name) != note:
            self._said[name] = note
            line = f"{ARM_TITLES.get(name, name)}: {note}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _finish(self, name: str, note: str) -> None:
        self._note(name, note, done=1, total=1)
        self.progress.stop_task(self.bars[name])


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
