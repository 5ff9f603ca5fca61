"""Answers over HTTP, from a real small server: the right question, the right order, patience, and no key anywhere."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from advisor.answering import Answer, AnswerStore, EndpointAnswerer, StoredAnswerer
from dataset_tools.errors import ModelError, UsageError
from dataset_tools.example import Message, ToolCall

KEY = "sk-very-secret-0123456789"
Reply = tuple[int, dict[str, str], str]
PROMPTS = [[Message("user", f"question {number}")] for number in range(12)]


def completion(text: str, *, finish: str = "stop", **more: Any) -> Reply:
    content = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 4},
        **more,
    }
    return 200, {}, json.dumps(content)


class Server:
    """Answers each request by a function of its body and of how often that body has come."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any], int], Reply] = lambda body, times: completion("yes")
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with outer._lock:
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    times = sum(1 for _, _, other in outer.requests if other == body)
                status, headers, text = outer.reply(body, times)
                with outer._lock:
                    outer.at_once -= 1
                with contextlib.suppress(ConnectionError):  # whoever asked has gone
                    self.send_response(status)
                    for name, value in {**headers, "content-length": str(len(text.encode()))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(text.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def answerer(server: Server, **options: Any) -> EndpointAnswerer:
    return EndpointAnswerer(server.url, "small", **{"key": KEY, "pause": 0.01, **options})


def test_the_question_is_sent_as_chat_completions_have_it_at_temperature_0(server: Server) -> None:
    call = ToolCall("find", '{"what": "gate"}', id="1")
    prompt = [
        Message("system", "Be brief."),
        Message("user", "Where?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "yard", tool_call_id="1"),
    ]
    declared = '[{"type": "function", "function": {"name": "find"}}]'
    answerer(server).answer([prompt], max_new_tokens=32, tools=[declared])
    ((path, headers, body),) = server.requests
    assert (path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body == {
        "model": "small",
        "messages": [message.to_dict() for message in prompt],
        "temperature": 0,
        "max_tokens": 32,
        "tools": json.loads(declared),
    }


def test_without_a_key_or_tools_none_is_sent(server: Server) -> None:
    answerer(server, key=None).answer(PROMPTS[:1], max_new_tokens=4)
    ((_, headers, body),) = server.requests
    assert "authorization" not in headers and "tools" not in body


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/api/v1"])
def test_an_address_may_be_given_in_any_length(server: Server, end: str) -> None:
    root = server.url.removesuffix("/v1")
    EndpointAnswerer(f"{root}{end}", "small").answer(PROMPTS[:1], max_new_tokens=4)
    assert server.requests[0][0] == ("/api" if "api" in end else "") + "/v1/chat/completions"


@pytest.mark.parametrize(
    ("content", "finish", "wanted"),
    [
        (" Paris.\n", "stop", Answer("Paris.", 11, 4, True)),
        ("Par", "length", Answer("Par", 11, 4, False)),
        (None, "tool_calls", Answer("", 11, 4, False)),
        ("half \ud83d", "stop", Answer("half ?", 11, 4, True)),
    ],
)
def test_a_reply_becomes_an_answer(server: Server, content: Any, finish: str, wanted: Answer) -> None:
    server.reply = lambda body, times: completion(content, finish=finish)
    assert answerer(server).answer(PROMPTS[:1], max_new_tokens=4) == [wanted]


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_a_server_that_counts_no_tokens_gives_0(server: Server, usage: Any) -> None:
    server.reply = lambda body, times: completion("yes", usage=usage)
    assert answerer(server).answer(PROMPTS[:1], max_new_tokens=4) == [Answer("yes", 0, 0, True)]


def test_answers_keep_the_order_of_the_prompts_and_are_handed_out_once_each(server: Server) -> None:
    def slow_first(body: dict[str, Any], times: int) -> Reply:
        number = int(body["messages"][0]["content"].split()[1])
        time.sleep(0.03 if number == 0 else 0)
        return completion(f"answer {number}")

    server.reply = slow_first
    handed: list[tuple[int, Answer]] = []
    told: list[tuple[int, int]] = []
    answers = answerer(server).answer(
        PROMPTS,
        max_new_tokens=4,
        on_answer=lambda *both: handed.append(both),
        progress=lambda *both: told.append(both),
    )
    assert [answer.text for answer in answers] == [f"answer {number}" for number in range(12)]
    assert sorted(handed) == list(enumerate(answers)) and handed[0][0] != 0
    assert told == [(done, 12) for done in range(1, 13)]
    assert answerer(server).answer([], max_new_tokens=4) == []


def test_no_more_is_asked_at_once_than_allowed(server: Server) -> None:
    def slow(body: dict[str, Any], times: int) -> Reply:
        time.sleep(0.02)
        return completion("yes")

    server.reply = slow
    answerer(server, concurrency=3).answer(PROMPTS, max_new_tokens=4)
    assert 2 <= server.most_at_once <= 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(server: Server, status: int) -> None:
    server.reply = lambda body, times: completion("yes") if times > 2 else (status, {}, "busy")
    assert [a.text for a in answerer(server).answer(PROMPTS[:2], max_new_tokens=4)] == ["yes", "yes"]
    assert len(server.requests) == 6


def test_a_server_that_says_when_to_come_again_is_heeded(server: Server) -> None:
    server.reply = lambda body, times: completion("yes") if times > 1 else (429, {"retry-after": "0.3"}, "busy")
    began = time.monotonic()
    answerer(server, pause=0.0).answer(PROMPTS[:1], max_new_tokens=4)
    assert time.monotonic() - began >= 0.3


def test_a_server_that_stays_busy_is_given_up_with_what_it_said(server: Server) -> None:
    server.reply = lambda body, times: (503, {}, '{"error": {"message": "no capacity"}}')
    with pytest.raises(ModelError, match=r"(?s)does not answer.*status 503: no capacity, after 6 attempts"):
        answerer(server).answer(PROMPTS[:1], max_new_tokens=4)


def test_a_server_that_takes_too_long_is_given_up(server: Server) -> None:
    ending = threading.Event()

    def hang(body: dict[str, Any], times: int) -> Reply:
        ending.wait(5)
        return completion("late")

    server.reply = hang
    with pytest.raises(ModelError, match=r"no reply within 0\.05 s"):
        answerer(server, timeout=0.05).answer(PROMPTS[:1], max_new_tokens=4)
    ending.set()


def test_a_server_that_is_not_there_is_named(server: Server) -> None:
    asked = answerer(server)
    server.close()
    with pytest.raises(ModelError, match=r"(?s)does not answer.*127\.0\.0\.1.*ConnectError.*Check the address"):
        asked.answer(PROMPTS[:1], max_new_tokens=4)


@pytest.mark.parametrize(
    ("status", "step"), [(401, "Check the key"), (403, "Check the key"), (404, "'small'"), (400, "shorten")]
)
def test_what_will_not_pass_is_refused_at_once_and_the_rest_is_not_asked(
    server: Server, status: int, step: str
) -> None:
    server.reply = lambda body, times: (status, {}, '{"error": {"message": "that is not for you"}}')
    with pytest.raises(ModelError, match=rf"(?s)refused.*status {status}: that is not for you.*{step}"):
        answerer(server, concurrency=1).answer(PROMPTS, max_new_tokens=4)
    assert len(server.requests) <= 3


def test_a_redirection_is_not_followed_with_the_key(server: Server) -> None:
    server.reply = lambda body, times: (302, {"location": "http://127.0.0.1:9/"}, "")
    with pytest.raises(ModelError, match="status 302"):
        answerer(server).answer(PROMPTS[:1], max_new_tokens=4)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"choices": []}', '{"choices": [{"message": "no"}]}'])
def test_a_reply_in_another_form_is_told_from_an_answer(server: Server, text: str) -> None:
    server.reply = lambda body, times: (200, {}, text)
    with pytest.raises(ModelError, match="no chat completion"):
        answerer(server).answer(PROMPTS[:1], max_new_tokens=4)


def test_a_server_with_the_newer_name_of_the_limit_is_served(server: Server) -> None:
    def reply(body: dict[str, Any], times: int) -> Reply:
        if "max_tokens" in body:
            return 400, {}, '{"error": {"message": "use max_completion_tokens instead"}}'
        return completion(str(body["max_completion_tokens"]))

    server.reply = reply
    asked = answerer(server, concurrency=4)
    assert {a.text for a in asked.answer(PROMPTS, max_new_tokens=7)} == {"7"}
    before = len(server.requests)
    asked.answer(PROMPTS, max_new_tokens=7)
    assert len(server.requests) == before + len(PROMPTS)


def test_the_key_is_in_no_error_and_no_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = answerer(server)
    assert KEY not in repr(asked) and KEY not in str(asked)
    server.reply = lambda body, times: (401, {}, json.dumps({"error": {"message": f"wrong key: {KEY}"}}))
    with pytest.raises(ModelError) as refused:
        asked.answer(PROMPTS[:1], max_new_tokens=4)
    server.reply = lambda body, times: (200, {}, f"your key is {KEY}")
    with pytest.raises(ModelError) as unread:
        asked.answer(PROMPTS[:1], max_new_tokens=4)
    told = str(refused.value) + str(unread.value) + json.dumps(refused.value.to_dict())
    assert "***" in told and KEY not in told and KEY not in caplog.text
    assert "authorization" in server.requests[0][1]


@pytest.mark.parametrize(
    "url",
    [
        "host/v1",
        "ftp://host/v1",
        "http:///v1",
        f"https://me:{KEY}@host/v1",
        f"https://host:{KEY}/v1",
        f"https://host/v1?api_key={KEY}",
        "https://[::1/v1",
    ],
)
def test_an_address_that_is_none_or_holds_a_key_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="no address of an endpoint") as refused:
        EndpointAnswerer(url, "small")
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("key", [f"{KEY}\nX: y", f"Bearer {KEY}", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(UsageError, match="key cannot be sent") as refused:
        EndpointAnswerer("https://host/v1", "small", key=key)
    assert KEY not in str(refused.value) and key not in str(refused.value)


def test_where_the_work_is_ended_nothing_further_is_sent_and_what_came_is_kept(server: Server, tmp_path: Any) -> None:
    stopping = threading.Event()

    def stop(done: int, total: int) -> None:
        if done == 3:
            stopping.set()
            raise KeyboardInterrupt

    def after_three(body: dict[str, Any], times: int) -> Reply:
        if len(server.requests) > 3:
            stopping.wait(10)
        return completion("yes")

    server.reply = after_three
    store = AnswerStore(tmp_path / "answers.sqlite")
    stored = StoredAnswerer(answerer(server, concurrency=1), store, model_key="small")
    with pytest.raises(KeyboardInterrupt):
        stored.answer(PROMPTS, max_new_tokens=4, progress=stop)
    assert len(store) == 3 and len(server.requests) <= 6
    assert len(stored.answer(PROMPTS, max_new_tokens=4)) == 12
    assert (stored.taken, len(store)) == (3, 12)
