"""An answer of a model behind a chat endpoint, as it is written. Many answers at once are `advisor.answering`'s.

Somebody sits before it, so a request that fails is told at once and not sent again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from advisor.answering import EndpointAnswerer
from app.streaming import OnText, StopReason, Streamed
from dataset_tools.errors import ModelError
from dataset_tools.example import Message

_LONGEST = 100_000  # characters; no server that keeps to the limit of tokens comes near it


class WatchedEndpoint(EndpointAnswerer):
    """The same endpoint, asked for one answer that streams (server-sent events, as OpenAI's ``stream`` has them)."""

    def watch(
        self, prompt: Sequence[Message], *, max_new_tokens: int, on_text: OnText, stop: Callable[[], bool]
    ) -> Streamed:
        """Answer one prompt by temperature 0, and tell how far the answer is.

        Args:
            prompt: Its messages.
            max_new_tokens: The most tokens of the answer.
            on_text: Is given the answer so far.
            stop: Asked after each piece; the answer so far is the result where it says True.

        Raises:
            ModelError: the server cannot be reached, refuses, or answers in another form.
        """
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message.to_dict() for message in prompt],
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        with httpx.Client(timeout=self._timeout, headers=headers) as client:
            try:
                return self._attempts(client, body, max_new_tokens, on_text=on_text, stop=stop)
            except httpx.RequestError as error:
                slow = isinstance(error, httpx.TimeoutException)
                found = f"no reply within {self._timeout:g} s" if slow else f"{type(error).__name__}: {error}"
                raise ModelError(
                    "The endpoint does not answer.",
                    where=self._shown_url,
                    found=self._clean(found),
                    expected="a server that is up and has capacity",
                    next_step="Check the address, or try again later.",
                ) from error

    def _attempts(
        self, client: Any, body: dict[str, Any], room: int, *, on_text: OnText, stop: Callable[[], bool]
    ) -> Streamed:
        """The answer; asked again without what the server says it does not know."""
        for _ in range(3):
            limit_name = self._limit_name
            began = time.perf_counter()
            with client.stream("POST", self._url, json={**body, limit_name: room}) as reply:
                if reply.status_code == 200:
                    return self._watched(reply, began, on_text=on_text, stop=stop)
                reply.read()
            if reply.status_code == 400 and "stream_options" in reply.text and "stream_options" in body:
                del body["stream_options"]
            elif not self._takes_another_name(reply, limit_name):
                break
        raise self._refused(reply)

    def _watched(self, reply: Any, began: float, *, on_text: OnText, stop: Callable[[], bool]) -> Streamed:
        if "text/event-stream" not in reply.headers.get("content-type", ""):  # it does not stream
            reply.read()
            answer = self._read(reply)
            on_text(answer.text)
            reason: StopReason = "ended" if answer.stopped else "limit"
            return Streamed(
                answer.text, answer.prompt_tokens, answer.answer_tokens, time.perf_counter() - began, reason
            )
        text, usage, reason = "", dict[str, Any](), "stopped"
        for event in self._events(reply.iter_lines()):
            usage = event.get("usage") or usage
            piece, ended = _piece(event)
            text = (text + piece)[:_LONGEST].lstrip()
            if piece:
                on_text(text)
            if ended:
                reason = "ended" if ended == "stop" else "limit"
            if stop() or len(text) == _LONGEST:
                break
        asked, answered = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        return Streamed(text.strip(), asked, answered, time.perf_counter() - began, reason)

    def _events(self, lines: Iterable[str]) -> Iterable[Mapping[str, Any]]:
        for line in lines:
            kind, _, data = line.partition(":")
            if kind != "data" or data.strip() == "[DONE]":
                yield {}  # a sign of life: whoever watches is asked whether to stop
                continue
            try:
                event = json.loads(data)
            except ValueError:
                event = None
            if not isinstance(event, dict) or event.get("error"):
                raise ModelError(
                    "The endpoint broke its answer off.",
                    where=self._shown_url,
                    found=self._clean(data.strip()),
                    expected="pieces of a chat completion",
                    next_step="Try again; the server's own log may say why.",
                )
            yield event


def _piece(event: Mapping[str, Any]) -> tuple[str, str]:
    """What an event adds to the answer, and why the answer ends with it; empty where it does not."""
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else ""
    # Half of a surrogate pair, which JSON can hold, could not be sent to a browser.
    plain = text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
    return plain, str(choice.get("finish_reason") or "")
