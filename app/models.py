"""The models that the pages answer with: loaded when first asked for, kept as far as memory goes, one at work.

Where another one does not fit beside those that are kept, the one that was asked longest ago goes first; so what the
pages hold never grows beyond a share of the machine's memory, however many models are asked.
"""

from __future__ import annotations

import gc
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
    from training.models.machine_memory import MachineMemory

# Of all memory: what kept models may hold together, and what is left free beside a new one (its cache of the
# conversation, a training that is started meanwhile). Judgements, not measured.
_SHARE, _SPARE = 0.5, 0.1
_MOST_KEPT = 8  # twice as many as there are panes
_LEAST_TOKENS, _MOST_TOKENS, _SLACK = 24, 256, 1.5
MOST_STREAMED = 512
"""Tokens of an answer that is watched and can be stopped."""


@dataclass
class Models:
    """A base model is named by its name, a tuned one by its base and its adapter's folder.

    ``memory`` looks at what the models are loaded into.
    """

    memory: Callable[[], MachineMemory] = lambda: _machine_memory()
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
            self._make_room(name)
            self._loaded[key] = _load(name, adapter)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _make_room(self, name: str) -> None:
        """Let go of models, those asked longest ago first, until another one of this base fits beside the rest."""
        sizes = {key: _bytes_of(answerer) for key, answerer in self._loaded.items()}
        need = next((size for (base, _), size in sizes.items() if base == name), None) or _estimated_bytes(name)
        while self._loaded and not self._fits(need, sum(sizes[key] for key in self._loaded)):
            self._loaded.popitem(last=False)
            _give_back()

    def _fits(self, need: int, held: int) -> bool:
        memory = self.memory()
        room = min(_SHARE * memory.total - held, memory.free - _SPARE * memory.total)
        return len(self._loaded) < _MOST_KEPT and need <= room


def _load(name: str, adapter: Path | None) -> Any:
    from advisor.answering.local import LocalAnswerer
    from training.models.loading import load_model, load_tuned

    return LocalAnswerer(load_tuned(name, adapter) if adapter else load_model(name))


def _machine_memory() -> MachineMemory:
    from training.models.machine_memory import machine_memory

    return machine_memory()


def _bytes_of(answerer: Any) -> int:
    """What a loaded model's weights take."""
    parts = [*answerer.model.parameters(), *answerer.model.buffers()]
    return sum(part.numel() * part.element_size() for part in parts)


def _estimated_bytes(name: str) -> int:
    """What the weights of a base model will take once it is loaded.

    Raises:
        ModelError: its configuration cannot be had.
    """
    from training.models.loading import load_config, machine
    from training.models.shape import shape_of

    return shape_of(load_config(name)).parameters * (4 if machine().dtype == "float32" else 2)


def _give_back() -> None:
    """Free what nobody holds any more; peft's models are cycles, which only the collector takes apart."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _room(tokenizer: Any, wanted: Sequence[str]) -> int:
    """Half more tokens than the longest wanted answer, within bounds."""
    if not wanted:
        return _MOST_TOKENS
    longest = max(len(ids) for ids in tokenizer(list(wanted), add_special_tokens=False)["input_ids"])
    return max(_LEAST_TOKENS, min(_MOST_TOKENS, int(_SLACK * longest) + 8))
