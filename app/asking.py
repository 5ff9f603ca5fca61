"""One turn while several answer it: threads that write, panes that a page reads, and a way to stop. Nothing is kept."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from app.models import MOST_STREAMED, Models
from app.speakers import Speaker
from app.streaming import Streamed
from dataset_tools.errors import FittingRoomError, RunError
from dataset_tools.example import Message

PaneState = Literal["waiting", "preparing", "writing", "done", "failed"]
Conversation = tuple[Message, ...]


@dataclass
class Pane:
    """One answer as it comes.

    Attributes:
        speaker: Who answers.
        state: How far it is: ``waiting`` for others, ``preparing`` its model or prompt, ``writing``, ``done``, or
            ``failed``.
        text: What is written so far.
        told: The whole answer, once it is done.
        error: Why there is none.
    """

    speaker: Speaker
    state: PaneState = "waiting"
    text: str = ""
    told: Streamed | None = None
    error: FittingRoomError | None = None


class Asking:
    """A turn that is being answered. Models of this machine answer one after the other, endpoints beside them."""

    def __init__(self, models: Models, asked: Sequence[tuple[Speaker, Conversation]]) -> None:
        """Begin.

        Args:
            models: What the models of this machine are loaded into.
            asked: Who answers, each with the conversation that it has had; it ends with the user's words.
        """
        self.panes = [Pane(speaker) for speaker, _ in asked]
        self._models, self._stop, self._over = models, threading.Event(), threading.Event()
        work = list(zip(self.panes, (talk for _, talk in asked), strict=True))
        threading.Thread(target=self._run, args=(work,), daemon=True, name="side by side").start()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask all that answer to stop; what they have written stands."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait a while; whether all have answered, failed or stopped."""
        return self._over.wait(seconds)

    def _run(self, work: Sequence[tuple[Pane, Conversation]]) -> None:
        local = [each for each in work if not each[0].speaker.url]
        remote = [each for each in work if each[0].speaker.url]
        try:
            # Local ones one after the other: they share the machine. Each is a job: none ends another by failing.
            with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(max(1, len(remote))) as elsewhere:
                jobs = [here.submit(self._one, *each) for each in local]
                jobs += [elsewhere.submit(self._one, *each) for each in remote]
            for job in jobs:
                job.result()
        finally:
            for pane in self.panes:  # a mistake of ours goes to the log with its traceback, and leaves no pane waiting
                if pane.state not in ("done", "failed"):
                    pane.error = pane.error or RunError(
                        "This failed for a reason that the app does not know.",
                        next_step="Try again; the terminal that serves the app shows what happened.",
                    )
                    pane.state = "failed"
            self._over.set()

    def _one(self, pane: Pane, talk: Conversation) -> None:
        try:
            self._answer(pane, talk)
        except FittingRoomError as error:
            pane.error, pane.state = error, "failed"

    def _answer(self, pane: Pane, talk: Conversation) -> None:
        if self.stopping:
            pane.told, pane.state = Streamed("", 0, 0, 0.0, "stopped"), "done"
            return
        speaker, pane.state = pane.speaker, "preparing"
        prompt = speaker.prompt(talk)

        def on_text(text: str) -> None:
            pane.text, pane.state = text, "writing"

        if speaker.url:
            told = speaker.endpoint().watch(
                prompt, max_new_tokens=MOST_STREAMED, on_text=on_text, stop=lambda: self.stopping
            )
        else:
            told = self._models.watch(
                speaker.model,
                prompt,
                adapter=speaker.adapter(),
                on_text=on_text,
                stop=lambda: self.stopping,
                on_start=lambda: setattr(pane, "state", "writing"),
            )
        pane.told, pane.text, pane.state = told, told.text, "done"
