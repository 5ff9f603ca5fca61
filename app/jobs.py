"""Work that goes on in a thread of the server while pages come, are reloaded, and go. It keeps nothing on the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from dataset_tools.errors import FittingRoomError, RunError, UsageError

JobState = Literal["running", "done", "stopped", "failed"]


@dataclass
class Job:
    """One piece of work, as its thread writes and pages read it.

    Attributes:
        what: What it is about: the words that were sent.
        turn: The turn of a conversation that it answers anew; None for a new one.
        text: What is written so far.
        done: How much is done, of ``total``.
        error: Why it failed.
    """

    what: str = ""
    turn: int | None = None
    text: str = ""
    done: int = 0
    total: int = 0
    state: JobState = "running"
    error: FittingRoomError | None = None
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def stop(self) -> None:
        """Ask it to stop where it can do so without a loss."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self.state == "running"


Key = tuple[str, str]  # whose it is, and of what kind


class Jobs:
    """The jobs of the server, the last one of each key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Key, Job] = {}

    def get(self, key: Key) -> Job | None:
        """The job that runs under a key, or the last one that did."""
        return self._jobs.get(key)

    def running(self, key: Key) -> bool:
        """Whether a job is at work under a key."""
        job = self.get(key)
        return job is not None and job.running

    def forget(self, key: Key) -> None:
        """Drop a job that has ended."""
        with self._lock:
            if key in self._jobs and not self._jobs[key].running:
                del self._jobs[key]

    def start(self, key: Key, job: Job, work: Callable[[Job], None]) -> Job:
        """Let `work` go on in a thread of its own; it is handed the job, to write to.

        Raises:
            UsageError: one is at work under this key.
        """
        with self._lock:
            if self.running(key):
                raise UsageError("This is being done already.", next_step="Wait until it has ended, or stop it.")
            self._jobs[key] = job
        threading.Thread(target=_run, args=(job, work), daemon=True, name=" ".join(key)).start()
        return job


def _run(job: Job, work: Callable[[Job], None]) -> None:
    """Do the work. An error of the user's is kept for the page; one of ours goes to the log with its traceback."""
    try:
        work(job)
        job.state = "stopped" if job.stopping else "done"
    except FittingRoomError as error:
        job.error = error
    finally:
        if job.running:
            job.error = job.error or RunError(
                "This failed for a reason that the app does not know.",
                next_step="Try again; the terminal that serves the app shows what happened.",
            )
            job.state = "failed"
