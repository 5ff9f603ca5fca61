"""A blind session in a real browser: made of a comparison, voted on with keys, blind until it is ended, revealed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from advisor.human import VoteStore, from_comparison, result_of

pytestmark = pytest.mark.browser
Serving = Callable[..., AbstractContextManager[str]]
ARMS = ("zebra-tuned", "quokka-base", "okapi-shots")
TITLES = ("Ocelot", "Tapir", "Gnu")
DATA = Path(__file__).resolve().parents[1] / "data"  # its README says how the answers were made
REAL, REAL_ARMS = ("snips_json", "kjv_style"), {"qlora": 0.4, "zero-shot": 0.1}
HOSTILE = "<img src=x onerror='window.hit = 1'> ${window.hit = 1} {{value}}"


@pytest.fixture(scope="module")
def votes_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("votes-home")
    folder = home / "comparisons" / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for row in range(12):
            arms = {name: {"answer": f"{HOSTILE} {row} {number}"} for number, name in enumerate(ARMS)}
            file.write(json.dumps({"prompt": f"question {row}", "wanted": "w", "record": row + 1, "arms": arms}) + "\n")
    told = [
        {"name": name, "title": title, "score": 0.9 - number / 10, "skipped": None}
        for number, (name, title) in enumerate(zip(ARMS, TITLES, strict=True))
    ]
    (folder / "result.json").write_text(json.dumps({"arms": told}))
    (folder / "run.json").write_text(json.dumps({"state": "done", "created": 1.0}))
    for name in REAL:
        place = home / "comparisons" / name
        place.mkdir()
        (place / "items.jsonl").write_bytes((DATA / f"answers_{name}.jsonl").read_bytes())
        told = [{"name": arm, "title": arm, "score": score, "skipped": None} for arm, score in REAL_ARMS.items()]
        (place / "result.json").write_text(json.dumps({"arms": told}))
        (place / "run.json").write_text(json.dumps({"state": "done", "created": 0.5}))
    return home


@pytest.fixture(scope="module")
def served(votes_home: Path, serving: Serving, tiny_model: Path) -> Iterator[str]:
    with serving(votes_home, FITTING_ROOM_MODEL=str(tiny_model)) as address:
        yield address


def blind(text: str) -> bool:
    return not any(name in text for name in (*ARMS, *TITLES))


def bodies(requests: list[Any]) -> list[str]:
    """What the server answered to these requests, with their addresses; the list is emptied."""
    from playwright.sync_api import Error

    answered = [(request.url, request.response()) for request in requests]
    requests.clear()
    kept = [(url, reply) for url, reply in answered if reply is not None and reply.status == 200]
    texts = []
    for url, reply in kept:
        if "/assets/" not in url and "/static/" not in url:
            with contextlib.suppress(Error):  # it came as the page was left, and the browser has forgotten it
                texts.append(f"{url} {reply.text()}")
    return texts


def test_a_session_is_made_voted_on_with_keys_blind_to_its_end_and_revealed(
    page: Any, served: str, votes_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    monkeypatch.setenv("FITTING_ROOM_HOME", str(votes_home))
    page.goto(f"{served}/evaluate")
    page.get_by_role("tab", name="Blind votes").click()
    page.locator("#votes-title textarea, #votes-title input").fill("Beasts")
    page.locator("#votes-rubric textarea").fill("Which is friendlier?")
    page.get_by_label(TITLES[0]).wait_for()
    page.locator("#votes-start").click()
    page.locator("#votes input[name=rater]").wait_for()
    with VoteStore.open() as store:
        (made,) = store.sessions()
        assert made.arms == ARMS[:2]
        address = f"{served}/evaluate?session={made.id}"
        assert page.url == address and blind(page.content())

        requests: list[Any] = []
        texts: list[str] = []
        page.on("requestfinished", lambda request: requests.append(request))
        page.goto(address)
        page.locator("#votes input[name=rater]").fill("ann")
        page.keyboard.press("Enter")
        item = page.locator("#votes [data-task]:visible")
        item.wait_for()
        count = page.locator("#votes [data-count]")

        first = item.get_attribute("data-task")
        item.get_by_role("button", name="Left", exact=True).click()
        item.locator("textarea[name=comment]").fill("so it is")
        page.keyboard.press("b")  # a letter of the comment, no vote
        expect(count).to_have_text("0")
        page.keyboard.press("Escape")
        item.get_by_role("button", name="Edit the right answer").click()  # whatever is typed is no vote
        page.keyboard.press("End")
        page.keyboard.type(" tbsu")
        page.keyboard.press("Escape")
        item.get_by_role("button", name="Check the label").click()
        item.get_by_role("button", name="This label is wrong").click()
        page.keyboard.type("st")
        page.keyboard.press("Escape")
        expect(count).to_have_text("0")
        for key in ("ArrowLeft", "t", "b"):  # faster than the server answers: that many items lie ready
            page.keyboard.press(key)
        expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "3")
        for key in ("s", "ArrowRight"):
            page.keyboard.press(key)
        expect(count).to_have_text("5")
        expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "5")
        said = [vote.kind for vote in store.votes(made.id)]
        assert said == ["left", "tie", "both_bad", "skip", "right"]
        assert store.votes(made.id)[0].comment == "so it isb" and store.votes(made.id)[0].answers == ("left",)

        assert store.votes(made.id)[0].edit.endswith(" tbsu") and store.votes(made.id)[0].edited == "right"
        assert store.votes(made.id)[0].right_answer == "st" and not store.votes(made.id)[1].edit

        last = item.get_attribute("data-task")
        page.keyboard.press("u")
        expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "4")
        undone = item.get_attribute("data-task")
        assert undone not in (first, last) and len(store.votes(made.id)) == 4

        texts += bodies(requests)  # a browser forgets them when it leaves the page
        page.reload()
        item.wait_for()
        expect(count).to_have_text("4")
        assert item.get_attribute("data-task") == undone
        page.keyboard.press("ArrowRight")
        expect(page.locator("#votes [data-voting]")).to_have_attribute("data-done", "5")

        page.get_by_role("button", name="How it stands, and end").click()
        page.get_by_text("more votes").wait_for()
        assert blind(page.content()) and store.session(made.id).closed is None
        texts += bodies(requests)
        assert sum(map(len, texts)) > 10_000 and sum("question" in text for text in texts) > 5
        assert all(map(blind, texts))

        page.get_by_role("button", name="End and reveal").click()
        page.locator("#reveal").get_by_text(ARMS[0]).wait_for()
        page.locator("#reveal").get_by_text(ARMS[1]).wait_for()
        assert store.session(made.id).closed is not None
    with page.expect_download() as started:
        page.get_by_role("link", name="Download votes.csv").click()
    assert ARMS[0] in Path(started.value.path()).read_text("utf-8")
    page.get_by_role("button", name="Take these test rows all the same").click()
    page.get_by_role("link", name="Download dpo.jsonl").wait_for()
    page.get_by_role("button", name="Train on these pairs").wait_for()
    page.get_by_role("button", name="Look at the settings first").click()
    page.wait_for_url("**/train?project=*&objective=dpo&votes=*")
    page.locator('#choices [data-name="dpo"][aria-checked=true]').wait_for()
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("name", REAL)
def test_real_answers_of_base_and_tuned_are_read_voted_on_and_told(
    name: str, page: Any, served: str, votes_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import expect

    monkeypatch.setenv("FITTING_ROOM_HOME", str(votes_home))
    with VoteStore.open() as store:
        made = store.add(from_comparison(votes_home / "comparisons" / name))
        assert made.arms == ("qlora", "zero-shot") and len(made.pairs()) == 12
        answers = {item.prompt[0].content: item.answers for item in made.items}
        page.goto(f"{served}/evaluate?session={made.id}&rater=ann")
        item, count = page.locator("#votes [data-task]:visible"), page.locator("#votes [data-count]")
        for number in range(1, 14):  # 12 pairs, and one of them again
            item.wait_for()
            asked = item.locator(".fr-item .fr-text").text_content()
            sides = [item.locator(".fr-answers > .fr-answer > div").nth(side).text_content() for side in (0, 1)]
            assert set(sides) == {text.strip() for text in answers[asked]}  # JSON and all, as it was written
            page.keyboard.press("ArrowLeft" if sides[0] == answers[asked][0].strip() else "ArrowRight")
            expect(count).to_have_text(str(number))
        assert not any(arm in page.content() for arm in REAL_ARMS)
        page.get_by_text("everything in your queue").wait_for()
        page.get_by_role("button", name="How it stands, and end").click()
        page.get_by_role("button", name="End and reveal").click()
        page.locator("#reveal").get_by_text("qlora").first.wait_for()
        result = result_of(store.session(made.id), store.votes(made.id))
    tally = result.pairs[0].tally
    assert {tally.wins, tally.losses} == {12, 0} and (tally.a if tally.wins else tally.b) == "qlora"
    assert result.agreement.consistency is not None and result.agreement.consistency.estimate == 1.0
