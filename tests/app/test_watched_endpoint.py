"""One answer of a real small server that is watched as it comes: streamed or not, bounded, and stopped at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.watched_endpoint import WatchedEndpoint
from dataset_tools import Message, ModelError
from tests.advisor.test_endpoint import KEY, Reply, Server, completion

ASKED = (Message("user", "What is the colour of the house?"),)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def events(*pieces: str, finish: str = "stop", usage: bool = True) -> Reply:
    told: list[dict[str, Any]] = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    told.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    told += [{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}] if usage else []
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in told) + ": still there\n\ndata: [DONE]\n\n"
    return 200, {"content-type": "text/event-stream"}, text


def test_an_endpoint_streams_its_answer(server: Server) -> None:
    endpoint, told = WatchedEndpoint(server.url, "small", key=KEY), list[str]()
    server.reply = lambda body, times: events("It ", "is", " blue.")
    answer = endpoint.watch(ASKED, max_new_tokens=32, on_text=told.append, stop=lambda: False)
    assert (answer.text, answer.prompt_tokens, answer.answer_tokens) == ("It is blue.", 9, 3)
    assert told == ["It ", "It is", "It is blue."] and answer.reason == "ended" and answer.seconds > 0
    ((_, headers, body),) = server.requests
    assert body["stream"] is True and body["temperature"] == 0 and body["max_tokens"] == 32
    assert headers["authorization"] == f"Bearer {KEY}"
    server.reply = lambda body, times: events("It ", "is", finish="length", usage=False)
    cut = endpoint.watch(ASKED, max_new_tokens=2, on_text=told.append, stop=lambda: False)
    assert cut.reason == "limit" and cut.answer_tokens == 0
    told.clear()
    halted = endpoint.watch(ASKED, max_new_tokens=2, on_text=told.append, stop=lambda: bool(told))
    assert (halted.text, halted.reason) == ("It", "stopped")


def test_an_endpoint_that_knows_no_streaming_or_other_names_is_asked_its_way(server: Server) -> None:
    def reply(body: dict[str, Any], times: int) -> Reply:
        for name in ("stream_options", "max_tokens"):
            if name in body:
                use = " Use 'max_completion_tokens'." if name == "max_tokens" else ""
                return 400, {}, json.dumps({"error": {"message": f"{name} is not known.{use}"}})
        return completion("yes", finish="length")

    server.reply = reply
    answer = WatchedEndpoint(server.url, "small").watch(
        ASKED, max_new_tokens=5, on_text=lambda text: None, stop=lambda: False
    )
    assert (answer.text, answer.reason) == ("yes", "limit") and len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((401, {}, f"wrong key {KEY}"), "refused"),
        (
            (200, {"content-type": "text/event-stream"}, 'data: {"error": {"message": "full"}}\n\n'),
            "broke its answer off",
        ),
        ((200, {"content-type": "text/event-stream"}, "data: {nonsense\n\n"), "broke its answer off"),
        ((200, {}, "{}"), "no chat completion"),
    ],
)
def test_an_endpoint_that_fails_is_told_at_once_without_the_key(server: Server, reply: Reply, said: str) -> None:
    server.reply = lambda body, times: reply
    with pytest.raises(ModelError, match=said) as error:
        WatchedEndpoint(server.url, "small", key=KEY).watch(
            ASKED, max_new_tokens=5, on_text=lambda text: None, stop=lambda: False
        )
    assert KEY not in str(error.value.to_dict()) and len(server.requests) == 1


def test_nobody_at_the_address_is_told(server: Server) -> None:
    server.close()
    with pytest.raises(ModelError, match="does not answer"):
        WatchedEndpoint(server.url, "small", timeout=2).watch(
            ASKED, max_new_tokens=5, on_text=lambda text: None, stop=lambda: False
        )


def test_a_silent_server_is_not_waited_for_once_it_is_to_stop(server: Server) -> None:
    heard, over = threading.Event(), threading.Event()

    def reply(body: dict[str, Any], times: int) -> Reply:
        heard.set()
        over.wait(60)
        return completion("late")

    server.reply = reply
    answer = WatchedEndpoint(server.url, "small", timeout=60).watch(
        ASKED, max_new_tokens=5, on_text=lambda text: None, stop=heard.is_set
    )
    assert (answer.text, answer.reason) == ("", "stopped") and not over.is_set()  # the server says nothing to the end
    over.set()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_a_reply_without_an_end_is_given_up(server: Server, kind: str) -> None:
    server.reply = lambda body, times: (200, {"content-type": kind}, "data: " + 9 * 2**20 * "x")
    with pytest.raises(ModelError, match="more than any answer takes"):
        WatchedEndpoint(server.url, "small").watch(
            ASKED, max_new_tokens=5, on_text=lambda text: None, stop=lambda: False
        )
