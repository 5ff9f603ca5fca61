"""A sign of life while one long step says nothing: loading a model, warming up, a slow answer. It measures nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

BEAT = 1.5  # seconds of silence; a user is promised a sign every 2


class Heartbeat:
    """Calls ``say`` with the seconds of silence, again and again, whenever nothing was heard for 1.5 seconds.

    Use as a context manager, and call `heard` whenever something was said. ``say`` is called in a thread of its own.
    """

    def __init__(self, say: Callable[[float], None]) -> None:
        self._say = say
        self._ended = threading.Event()
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def heard(self) -> None:
        """Something was said: the silence begins anew."""
        self._last = time.monotonic()

    def __enter__(self) -> Heartbeat:
        self.heard()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        said = 0
        while not self._ended.wait(0.25):
            silence = time.monotonic() - self._last
            due = int(silence / BEAT)
            if due > said:
                self._say(silence)
            said = due
