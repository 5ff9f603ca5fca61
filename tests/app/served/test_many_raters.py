"""Blind votes of many at once on one server, and on a server that is killed while they come in."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from advisor.human import VoteStore
from tests.advisor.human_support import session as made_session
from tests.app.served import forked

pytestmark = pytest.mark.browser
KINDS = ("left", "right", "tie", "both_bad", "skip")
ROWS = 10


class Server:
    """The app in a process of its own, always at one address."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home, self.address = home, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process, address = forked.start(self.home, port=self.port)
        assert address.startswith(self.address), "the server did not start at its address"

    def end(self) -> None:
        """Without a farewell: ``kill -9``."""
        self.process.kill()
        self.process.join()


class Rater:
    """Somebody who votes over HTTP, as the page's script does it: each act an event of the view."""

    def __init__(self, address: str, session: str, name: str) -> None:
        self.name, self.session, self.acknowledged = name, session, list[tuple[str, str]]()
        self._http = httpx.Client(base_url=address, trust_env=False, timeout=60)
        config = self._http.get("/config").raise_for_status().json()
        (view,) = (part["id"] for part in config["components"] if part["props"].get("elem_id") == "votes")
        heard = (each for each in config["dependencies"] if [view, "submit"] in each["targets"])
        (self._event,) = heard
        self._place = self._event["outputs"].index(view)
        self.shown = self.act("join", {"rater": name})

    def act(self, do: str, fields: dict[str, str] | None = None, **data: str) -> str:
        """The page that answers an act; it is kept, and its batch compared by whoever sent one."""
        event = {"data": {"do": do, "session": self.session, "rater": self.name, **data}, "fields": fields or {}}
        body = {"data": [], "event_data": event, "fn_index": self._event["id"], "session_hash": self.name}
        reply = self._http.post("/gradio_api/run/predict", json=body).raise_for_status().json()
        value = reply["data"][self._place]
        self.shown = value["value"] if isinstance(value, dict) else value
        return self.shown

    @property
    def tokens(self) -> list[str]:
        return re.findall('data-task="([^"]+)"', self.shown)

    @property
    def done(self) -> int:
        (count,) = re.findall('data-done="([^"]+)"', self.shown)
        return int(count)

    def vote(self) -> None:
        """Vote on the item that is shown. It counts as acknowledged once the reply names its batch."""
        token, number = self.tokens[0], len(self.acknowledged)
        kind, batch = KINDS[number % len(KINDS)], f"{self.name}-{number}"
        votes = json.dumps([{"token": token, "kind": kind, "comment": f"{self.name} {number}"}])
        assert f'data-batch="{batch}"' in self.act("vote", votes=votes, batch=batch)
        self.acknowledged.append((token, kind))

    def vote_on_all(self) -> Rater:
        while self.tokens:
            self.vote()
        return self

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("raters-home"))
    yield running
    running.end()


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[VoteStore]:
    monkeypatch.setenv("FITTING_ROOM_HOME", str(server.home))
    with VoteStore.open() as store:
        yield store


def votes_of(store: VoteStore, session: str, rater: str) -> list[Any]:
    return [vote for vote in store.votes(session) if vote.rater == rater]


def test_ten_raters_at_once_lose_no_vote_and_see_no_other_queue(server: Server, store: VoteStore, browser: Any) -> None:
    from playwright.sync_api import expect

    session = store.add(made_session(ROWS)).id
    names = [f"rater-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        people = list(pool.map(lambda name: Rater(server.address, session, name), names))
        voting = [pool.submit(rater.vote_on_all) for rater in people]
        pages, contexts = {}, []
        for name in ("browser-1", "browser-2"):
            contexts.append(browser.new_context())
            page = pages[name] = contexts[-1].new_page()
            page.set_default_timeout(120_000)
            page.goto(f"{server.address}/evaluate?session={session}&rater={name}")
        for page in pages.values():
            page.locator("#votes [data-task]:visible").wait_for()
        own = {
            name: page.locator("#votes [data-task]").first.get_attribute("data-task") for name, page in pages.items()
        }
        for number in range(1, ROWS + 2):  # a tenth comes twice
            for page in pages.values():
                page.locator("#votes [data-task]:visible").wait_for()
                page.keyboard.press("ArrowLeft")
                expect(page.locator("#votes [data-count]")).to_have_text(str(number), timeout=60_000)
        for page in pages.values():
            expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", str(ROWS + 1), timeout=60_000)
            page.get_by_text("everything in your queue").wait_for()
        for context in contexts:
            context.close()
        for each in voting:
            each.result()
    given = {name: votes_of(store, session, name) for name in (*names, *pages)}
    assert {name: len(votes) for name, votes in given.items()} == dict.fromkeys(given, ROWS + 1)
    for rater in people:
        assert [vote.kind for vote in given[rater.name]] == [kind for _, kind in rater.acknowledged]
        assert {vote.comment.split()[0] for vote in given[rater.name]} == {rater.name}
        rater.close()
    tokens = [token for rater in people for token, _ in rater.acknowledged]
    assert len(set(tokens)) == len(tokens) == 8 * (ROWS + 1) and not set(own.values()) & set(tokens)
    numbers = [vote.number for vote in store.votes(session)]
    assert numbers == list(range(1, 10 * (ROWS + 1) + 1))


def test_a_server_that_is_killed_keeps_what_it_has_acknowledged_and_raters_go_on(
    server: Server, store: VoteStore, browser: Any
) -> None:
    from playwright.sync_api import expect

    session = store.add(made_session(40)).id
    people = [Rater(server.address, session, f"rater-{number}") for number in range(4)]
    enough = threading.Event()

    def until_it_is_gone(rater: Rater) -> None:
        while rater.tokens:
            try:
                rater.vote()
            except httpx.TransportError:
                return
            if len(rater.acknowledged) >= 3:
                enough.set()

    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{server.address}/evaluate?session={session}&rater=ann")
    page.locator("#votes [data-task]:visible").wait_for()
    page.keyboard.press("t")
    expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "1")
    with ThreadPoolExecutor(len(people)) as pool:
        voting = [pool.submit(until_it_is_gone, rater) for rater in people]
        assert enough.wait(60)
        server.end()
        for each in voting:
            each.result()
    page.keyboard.press("b")  # while there is no server: the page keeps it, and sends it until it is answered
    server.start()
    for rater in people:
        kept = votes_of(store, session, rater.name)
        kinds = [kind for _, kind in rater.acknowledged]
        assert [vote.kind for vote in kept][: len(kinds)] == kinds and len(kept) - len(kinds) in (0, 1)
        again = Rater(server.address, session, rater.name)
        assert again.done == len(kept) and not {token for token, _ in rater.acknowledged} & set(again.tokens)
        again.acknowledged = [("", "")] * len(kept)
        again.vote()
        assert len(votes_of(store, session, rater.name)) == len(kept) + 1
        again.close()
        rater.close()
    expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "2", timeout=60_000)
    page.keyboard.press("t")
    expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "3", timeout=60_000)
    context.close()
    assert [vote.kind for vote in votes_of(store, session, "ann")] == ["tie", "both_bad", "tie"]
