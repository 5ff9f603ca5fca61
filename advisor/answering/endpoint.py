"""Answers from a model behind an OpenAI-compatible chat endpoint: a hosted one, or a server of one's own.

Greedy by temperature 0, which servers that batch do not keep to the last digit. The key goes into one header and
nowhere else: no error, no log and no file has it.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from advisor.answering.answer import Answer, OnAnswer, Progress
from dataset_tools.errors import ModelError, UsageError
from dataset_tools.example import Message

_PATH = "/chat/completions"
# Too many requests, and what may be over in a moment (529: overloaded, as some providers say it).
_PASSING = {408, 425, 429, 500, 502, 503, 504, 529}
_ATTEMPTS, _LONGEST_PAUSE = 6, 60.0
_SHOWN = 300  # characters of what a server says
_SECRETS = ("key", "token", "secret", "sig")  # in the name of a query's part: addresses are logged


class EndpointAnswerer:
    """Greedy answers from a model that is asked over HTTP."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        concurrency: int = 8,
        timeout: float = 60,
        pause: float = 1.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: Of the server, of its ``/v1``, or of the whole path to its chat completions.
            model: The model's name there.
            key: Sent as a bearer token; none where the server needs none.
            concurrency: Requests at the same time.
            timeout: Seconds to wait for an answer, and a second time where it failed, and so on, six times in all.
            pause: Seconds before the second attempt, doubled for each that follows, unless the server names its own.

        Raises:
            UsageError: the address is none, or holds a password or a key; or the key cannot be sent.
        """
        self.model = model
        self._url, self._shown_url = _address(url)
        self._key = _sendable(key)
        self._concurrency = max(1, concurrency)
        self._timeout = timeout
        self._pause = pause
        self._limit_name = "max_tokens"

    @property
    def identity(self) -> str:
        """What tells this model from others: its address and its name there."""
        return f"{self._shown_url}#{self.model}"

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        progress: Progress | None = None,
        tools: Sequence[str | None] | None = None,
        on_answer: OnAnswer | None = None,
    ) -> list[Answer]:
        """Answer all prompts; see `Answerer.answer`. Where one fails for good, the rest is not asked.

        Tokens are those that the server counted, 0 where it says nothing of them.

        Raises:
            ModelError: the server cannot be reached, refuses, or answers in another form.
        """
        import httpx

        declared = list(tools or [None] * len(prompts))
        answers: list[Answer | None] = [None] * len(prompts)
        ending = threading.Event()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=self._concurrency)
        with (
            httpx.Client(timeout=self._timeout, headers=headers, limits=limits) as client,
            ThreadPoolExecutor(self._concurrency) as pool,
        ):
            jobs: dict[Future[Answer | None], int] = {
                pool.submit(self._ask, client, prompt, max_new_tokens, given, ending): place
                for place, (prompt, given) in enumerate(zip(prompts, declared, strict=True))
            }
            try:
                for done, job in enumerate(as_completed(jobs), 1):
                    answer = job.result()
                    if answer is None:  # another one failed, and is still to come
                        continue
                    answers[jobs[job]] = answer
                    if on_answer:
                        on_answer(jobs[job], answer)
                    if progress:
                        progress(done, len(prompts))
            finally:  # whatever went wrong, nothing further is sent, and no pause is waited for
                ending.set()
                pool.shutdown(cancel_futures=True)
        return [answer for answer in answers if answer is not None]

    def _ask(
        self, client: Any, prompt: Sequence[Message], max_new_tokens: int, tools: str | None, ending: threading.Event
    ) -> Answer | None:
        """One answer; None where the work was ended before. An error ends the work for the others."""
        try:
            return self._attempt(client, prompt, max_new_tokens, tools, ending)
        except ModelError:
            ending.set()
            raise

    def _attempt(
        self, client: Any, prompt: Sequence[Message], max_new_tokens: int, tools: str | None, ending: threading.Event
    ) -> Answer | None:
        """One answer, after as many attempts as it takes."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [message.to_dict() for message in prompt],
            "temperature": 0,
        }
        if tools is not None:
            body["tools"] = json.loads(tools)
        for attempt in range(1, _ATTEMPTS + 1):
            if ending.is_set():
                return None
            limit_name = self._limit_name
            reply, problem = self._send(client, {**body, limit_name: max_new_tokens})
            if reply is not None and reply.status_code == 200:
                return self._read(reply)
            if reply is not None and self._takes_another_name(reply, limit_name):
                continue
            if reply is not None and reply.status_code not in _PASSING:
                raise self._refused(reply)
            if attempt < _ATTEMPTS:
                ending.wait(self._wait(attempt, reply))
        raise ModelError(
            "The endpoint does not answer.",
            where=self._shown_url,
            found=f"{problem}, after {_ATTEMPTS} attempts",
            expected="a server that is up and has capacity",
            next_step="Check the address, try again later, or ask fewer at the same time.",
        )

    def _send(self, client: Any, body: dict[str, Any]) -> tuple[Any, str]:
        """The reply, or None; and what went wrong, if anything did."""
        import httpx

        try:
            reply = client.post(self._url, json=body)
        except httpx.TimeoutException:
            return None, f"no reply within {self._timeout:g} s"
        except httpx.RequestError as error:
            return None, self._clean(f"{type(error).__name__}: {error}")
        return reply, f"status {reply.status_code}: {self._said(reply)}"

    def _takes_another_name(self, reply: Any, used: str) -> bool:
        """Whether the server wants the newer name of the token limit, which is taken from now on."""
        newer = "max_completion_tokens"
        if reply.status_code != 400 or used == newer or newer not in reply.text:
            return False
        self._limit_name = newer
        return True

    def _wait(self, attempt: int, reply: Any) -> float:
        """Seconds: what the server asks for, else twice as long each time, a random part of it so that not all come."""
        asked = reply.headers.get("retry-after", "") if reply is not None else ""
        if asked.replace(".", "", 1).isdigit():
            return min(float(asked), _LONGEST_PAUSE)
        doubled: float = self._pause * 2 ** (attempt - 1)
        return min(doubled, _LONGEST_PAUSE) * random.uniform(0.5, 1)

    def _read(self, reply: Any) -> Answer:
        """The answer in a reply of the usual form."""
        try:
            content = reply.json()
            choice, usage = content["choices"][0], content.get("usage") or {}
            text = choice["message"]["content"] or ""
            counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
            stopped = choice.get("finish_reason") == "stop"
            # Half of a surrogate pair, which JSON can hold, could not be written to a file.
            text = text.encode("utf-8", "replace").decode("utf-8").strip()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ModelError(
                "The endpoint's reply is no chat completion.",
                where=self._shown_url,
                found=self._said(reply),
                expected="choices[0].message.content, as OpenAI's chat completions have it",
                next_step="Give the address of an OpenAI-compatible server, up to /v1.",
            ) from error
        return Answer(text, counts[0], counts[1], stopped)

    def _refused(self, reply: Any) -> ModelError:
        """The error for a reply that no further attempt would change."""
        steps = {
            401: "Check the key.",
            403: "Check the key, and whether it may use this model.",
            404: f"Check the address, and whether the server has a model {self.model!r}.",
        }
        other = "Read what the server says; shorten the prompts if they are too long."
        return ModelError(
            "The endpoint refused the request.",
            where=self._shown_url,
            found=f"status {reply.status_code}: {self._said(reply)}",
            expected="status 200",
            next_step=steps.get(reply.status_code, other),
        )

    def _said(self, reply: Any) -> str:
        """What the server says, without the key should it repeat it."""
        try:
            content = reply.json()
            error = content.get("error", content) if isinstance(content, dict) else content
            message = error.get("message", error) if isinstance(error, dict) else error
        except ValueError:
            message = reply.text
        return self._clean(" ".join(str(message).split()))

    def _clean(self, text: str) -> str:
        return (text.replace(self._key, "***") if self._key else text)[:_SHOWN]


def _sendable(key: str | None) -> str | None:
    """The key as it goes into a header.

    Raises:
        UsageError: it holds what no header can: a line end, a blank, a letter beyond ASCII.
    """
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(
            "This key cannot be sent.",
            found="blanks, line ends or letters beyond ASCII in it",
            expected="the key alone, as the provider shows it",
            next_step="Copy it again.",
        )
    return key or None


def _address(url: str) -> tuple[str, str]:
    """The whole address to post to, and the same without its query, for messages.

    Raises:
        UsageError: it is no address of the web, or holds a password or a key.
    """
    wrong = _wrong_with(url.strip())
    if wrong:
        raise UsageError(
            "This is no address of an endpoint.",
            found=wrong,
            expected="an address such as https://host/v1, with the key given apart from it",
            next_step="Give the address of an OpenAI-compatible server, up to /v1.",
        )
    parts = urlsplit(url.strip())
    path = parts.path.rstrip("/")
    if not path.endswith(_PATH):
        path = f"{path}{_PATH}" if path.endswith("/v1") else f"{path}/v1{_PATH}"
    whole = parts._replace(path=path, fragment="")
    return urlunsplit(whole), urlunsplit(whole._replace(query=""))


def _wrong_with(url: str) -> str:
    """What is wrong with an address, without repeating it; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed; its text may repeat a password
        return "a host or a port that cannot be read"
    if parts.scheme not in ("http", "https") or not host:
        return f"{parts.scheme or 'no'} scheme, {'a' if host else 'no'} host"
    if "@" in parts.netloc:
        return "a user's name or password in it"
    named = [name for name, _ in parse_qsl(parts.query) if any(secret in name.casefold() for secret in _SECRETS)]
    return f"a key in it, as {named[0]!r}" if named else ""
