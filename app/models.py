"""The models that the pages answer with: loaded when they are first asked for, the last two kept, one at work."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.answering.answer import Answer, Progress
from dataset_tools import Message

if TYPE_CHECKING:
    from app.streaming import Streamed

_KEPT = 2
_LEAST_TOKENS, _MOST_TOKENS, _SLACK = 24, 256, 1.5
MOST_STREAMED = 512
"""Tokens of an answer that is watched and can be stopped."""


@dataclass
class Models:
    """A base model is named by its name, a tuned one by its base and its adapter's folder."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loaded: OrderedDict[tuple[str, Path | None], Any] = field(default_factory=OrderedDict)

    def answer(
        self,
        name: str,
        prompts: Sequence[Sequence[Message]],
        *,
        adapter: Path | None = None,
        wanted: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Answer]:
        """Answer prompts greedily.

        Args:
            name: The base model.
            prompts: Messages, one list a prompt.
            adapter: The folder of an adapter to put on the base.
            wanted: Wanted answers, to know how long an answer may get; 256 tokens without them.
            progress: Told how many of the prompts are answered, often; what it raises ends the work.

        Raises:
            ModelError: the model or the adapter cannot be loaded.
        """
        with self._lock:
            answerer = self._get(name, adapter)
            room = _room(answerer.tokenizer, wanted)
            return list(answerer.answer(prompts, max_new_tokens=room, progress=progress))

    def stream(
        self,
        name: str,
        prompt: Sequence[Message],
        *,
        adapter: Path | None = None,
        draw: bool = False,
        on_text: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> str:
        """The text of an answer that is watched; see `watch`."""
        return self.watch(name, prompt, adapter=adapter, draw=draw, on_text=on_text, stop=stop).text

    def watch(
        self,
        name: str,
        prompt: Sequence[Message],
        *,
        adapter: Path | None = None,
        draw: bool = False,
        on_text: Callable[[str], None],
        stop: Callable[[], bool],
        on_start: Callable[[], None] = lambda: None,
    ) -> Streamed:
        """Answer one prompt, and tell how far the answer is; see `app.streaming`.

        Args:
            name: The base model.
            prompt: Its messages.
            adapter: The folder of an adapter to put on the base.
            draw: Draw the answer, so that it differs from the greedy one.
            on_text: Is given the answer so far, after each token.
            stop: Asked after each token; the answer so far is the result where it says True.
            on_start: Called once the model is loaded and no other answer is in its way.

        Raises:
            ModelError: the model or the adapter cannot be loaded.
            UsageError: the prompt leaves no room for an answer.
        """
        from app.streaming import stream_answer

        with self._lock:
            answerer = self._get(name, adapter)
            on_start()
            most = MOST_STREAMED
            return stream_answer(answerer, prompt, max_new_tokens=most, draw=draw, on_text=on_text, stop=stop)

    def _get(self, name: str, adapter: Path | None) -> Any:
        key = (name, adapter)
        if key not in self._loaded:
            while len(self._loaded) >= _KEPT:
                self._loaded.popitem(last=False)
            self._loaded[key] = _load(name, adapter)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _load(name: str, adapter: Path | None) -> Any:
    from advisor.answering.local import LocalAnswerer
    from training.models.loading import load_model, load_tuned

    return LocalAnswerer(load_tuned(name, adapter) if adapter else load_model(name))


def _room(tokenizer: Any, wanted: Sequence[str]) -> int:
    """Half more tokens than the longest wanted answer, within bounds."""
    if not wanted:
        return _MOST_TOKENS
    longest = max(len(ids) for ids in tokenizer(list(wanted), add_special_tokens=False)["input_ids"])
    return max(_LEAST_TOKENS, min(_MOST_TOKENS, int(_SLACK * longest) + 8))
