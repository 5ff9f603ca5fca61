"""One answer of a local model, word by word, and what it took. Many answers at once are `advisor.answering`'s."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from advisor.answering.local import LocalAnswerer, stop_tokens
from dataset_tools import Message, UsageError
from dataset_tools.rendering import render_prompts
from training.models.loading import LoadedModel

# Drawn answers shall differ from the greedy one and still make sense: a choice of ours, not measured. The nucleus is
# that of Holtzman et al. 2020 (arxiv.org/abs/1904.09751).
TEMPERATURE, NUCLEUS = 0.8, 0.95
_LEAST_ROOM = 16  # tokens; with less left, an answer is cut off before it says anything

OnText = Callable[[str], None]
StopReason = Literal["ended", "limit", "stopped"]


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that was watched while it came.

    Attributes:
        text: The answer.
        prompt_tokens: Of the prompt; 0 where nobody counted.
        answer_tokens: Of the answer, its end-of-turn token included; 0 where nobody counted.
        seconds: From the prompt to the last token; loading a model is not counted.
        reason: Why it stopped: it ``ended`` by itself, ran into the ``limit``, or was ``stopped`` by whoever watched.
    """

    text: str
    prompt_tokens: int
    answer_tokens: int
    seconds: float
    reason: StopReason


def stream_answer(
    answerer: LocalAnswerer,
    messages: Sequence[Message],
    *,
    max_new_tokens: int,
    draw: bool = False,
    on_text: OnText,
    stop: Callable[[], bool],
) -> Streamed:
    """Answer one prompt, and tell how far the answer is after each token.

    Args:
        answerer: The model.
        messages: The prompt.
        max_new_tokens: The most tokens of the answer; fewer where the model's context ends.
        draw: Draw each token by its probability, so that the answer differs from time to time.
        on_text: Is given the answer so far.
        stop: Asked after each token; the answer so far is the result where it says True.

    Raises:
        UsageError: the prompt leaves no room for an answer.
    """
    import torch

    ids = torch.tensor(render_prompts([messages], answerer.tokenizer), device=answerer.model.device)
    room = int(getattr(answerer.model.config, "max_position_embeddings", 2048)) - ids.shape[1]
    if room < _LEAST_ROOM:
        raise UsageError(
            "This conversation is too long for the model.",
            found=f"{ids.shape[1]:,} tokens",
            expected=f"at most {ids.shape[1] + room - _LEAST_ROOM:,}, so that an answer fits",
            next_step="Add it to the dataset as it is, and begin a new conversation.",
        )
    stops = stop_tokens(LoadedModel(answerer.model, answerer.tokenizer, ""))
    writer = _Writer(answerer.tokenizer, stops, on_text)
    began = time.perf_counter()
    drawing = {"do_sample": True, "temperature": TEMPERATURE, "top_p": NUCLEUS, "top_k": 0}
    with torch.inference_mode():
        answerer.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=min(max_new_tokens, room),
            repetition_penalty=1.0,  # the model's own settings may hold one
            eos_token_id=sorted(stops),
            pad_token_id=answerer.tokenizer.pad_token_id,
            streamer=writer,
            stopping_criteria=[lambda ids, scores, **rest: torch.full((1,), stop(), device=ids.device)],
            **(drawing if draw else {"do_sample": False}),
        )
    reason: StopReason = "ended" if writer.ended else "stopped" if stop() else "limit"
    return Streamed(writer.text, ids.shape[1], writer.count, time.perf_counter() - began, reason)


class _Writer:
    """What `generate` writes to: the prompt first, then each token."""

    def __init__(self, tokenizer: Any, stops: set[int], on_text: OnText) -> None:
        self.text, self.count, self.ended = "", 0, False
        self._tokenizer, self._stops, self._on_text = tokenizer, stops, on_text
        self._tokens: list[int] | None = None

    def put(self, tokens: Any) -> None:
        """Take the next tokens."""
        if self._tokens is None:
            self._tokens = []
            return
        new = tokens.tolist()
        self.count, self.ended = self.count + len(new), any(token in self._stops for token in new)
        self._tokens += [token for token in new if token not in self._stops]
        # A character of several bytes may be there in part only; it shows as U+FFFD until the rest has come.
        self.text = self._tokenizer.decode(self._tokens, skip_special_tokens=True).strip()
        self._on_text(self.text.rstrip("\ufffd"))

    def end(self) -> None:
        """Nothing is held back."""
