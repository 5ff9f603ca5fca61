"""An answer of a model behind a chat endpoint, as it is written. Many answers at once are `advisor.answering`'s.

Somebody sits before it, so a request that fails is told at once and not sent again, and one that is to stop is broken
off at once, whether the server says anything or not.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from advisor.answering import EndpointAnswerer
from app.streaming import OnText, StopReason, Streamed
from dataset_tools.errors import ModelError
from dataset_tools.example import Message

_LONGEST = 100_000  # characters; no server that keeps to the limit of tokens comes near it
_MOST_BYTES = 8 * 2**20  # of a reply; the 512 tokens of an answer take some 150 kB of events
_SECONDS_BETWEEN_LOOKS = 0.1


@dataclass
class _Watch:
    """Who watches an answer, and what of it is there."""

    on_text: OnText
    stop: Callable[[], bool]
    text: str = ""
    began: float = field(default_factory=time.perf_counter)

    def ended(self, reason: StopReason, *, asked: int = 0, answered: int = 0) -> Streamed:
        """What was watched."""
        return Streamed(self.text.strip(), asked, answered, time.perf_counter() - self.began, reason)


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
            stop: Asked after each piece, and ten times a second; the answer so far is the result where it says True.

        Raises:
            ModelError: the server cannot be reached, refuses, says more than any answer takes, or answers in another
                form.
        """
        watch = _Watch(on_text, stop)
        # In a thread of its own: the caller's may have a loop that runs already.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self._until_stopped(prompt, max_new_tokens, watch)).result()

    async def _until_stopped(self, prompt: Sequence[Message], room: int, watch: _Watch) -> Streamed:
        """The answer, or what of it is there when it is to stop: a silent server is not waited for."""
        asking = asyncio.ensure_future(self._asked(prompt, room, watch))
        while not asking.done():
            await asyncio.wait({asking}, timeout=_SECONDS_BETWEEN_LOOKS)
            if not asking.done() and watch.stop():
                asking.cancel()
                await asyncio.wait({asking})
        return watch.ended("stopped") if asking.cancelled() else asking.result()

    async def _asked(self, prompt: Sequence[Message], room: int, watch: _Watch) -> Streamed:
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message.to_dict() for message in prompt],
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with httpx.AsyncClient(timeout=self._timeout, headers=headers) as client:
            try:
                return await self._attempts(client, body, room, watch)
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

    async def _attempts(self, client: Any, body: dict[str, Any], room: int, watch: _Watch) -> Streamed:
        """The answer; asked again without what the server says it does not know."""
        for _ in range(3):
            limit_name = self._limit_name
            watch.began = time.perf_counter()
            async with client.stream("POST", self._url, json={**body, limit_name: room}) as reply:
                if reply.status_code == 200:
                    return await self._watched(reply, watch)
                refused = await self._whole(reply)
            if refused.status_code == 400 and "stream_options" in refused.text and "stream_options" in body:
                del body["stream_options"]
            elif not self._takes_another_name(refused, limit_name):
                break
        raise self._refused(refused)

    async def _watched(self, reply: Any, watch: _Watch) -> Streamed:
        if "text/event-stream" not in reply.headers.get("content-type", ""):  # it does not stream
            answer = self._read(await self._whole(reply))
            watch.text = answer.text[:_LONGEST]
            watch.on_text(watch.text)
            counts = {"asked": answer.prompt_tokens, "answered": answer.answer_tokens}
            return watch.ended("ended" if answer.stopped else "limit", **counts)
        usage = dict[str, Any]()
        reason: StopReason = "stopped"
        async for event in self._events(reply):
            usage = event.get("usage") or usage
            piece, ended = _piece(event)
            watch.text = (watch.text + piece)[:_LONGEST].lstrip()
            if piece:
                watch.on_text(watch.text)
            if ended:
                reason = "ended" if ended == "stop" else "limit"
            if watch.stop() or len(watch.text) == _LONGEST:
                break
        asked, answered = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        return watch.ended(reason, asked=asked, answered=answered)

    async def _events(self, reply: Any) -> AsyncIterator[Mapping[str, Any]]:
        async for line in self._lines(reply):
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

    async def _lines(self, reply: Any) -> AsyncIterator[str]:
        rest = b""
        async for piece in self._pieces(reply):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
        yield rest.decode("utf-8", "replace")

    async def _whole(self, reply: Any) -> Any:
        """The reply with all that it says."""
        import httpx

        content = b"".join([piece async for piece in self._pieces(reply)])
        kind = {"content-type": reply.headers.get("content-type", "application/json")}
        return httpx.Response(reply.status_code, headers=kind, content=content)

    async def _pieces(self, reply: Any) -> AsyncIterator[bytes]:
        """What a reply says, piece by piece, as far as an answer may go.

        Raises:
            ModelError: it says more.
        """
        seen = 0
        async for piece in reply.aiter_bytes():
            seen += len(piece)
            if seen > _MOST_BYTES:
                raise ModelError(
                    "The endpoint says more than any answer takes.",
                    where=self._shown_url,
                    found=f"more than {_MOST_BYTES // 2**20} MB",
                    expected="a chat completion that keeps to the limit of tokens",
                    next_step="Check the address: this may be no endpoint of a chat model.",
                )
            yield piece


def _piece(event: Mapping[str, Any]) -> tuple[str, str]:
    """What an event adds to the answer, and why the answer ends with it; empty where it does not."""
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else ""
    # Half of a surrogate pair, which JSON can hold, could not be sent to a browser.
    plain = text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else ""
    return plain, str(choice.get("finish_reason") or "")
