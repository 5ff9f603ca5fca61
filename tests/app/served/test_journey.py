"""The journey in a real browser with a real, tiny model: compare, read the verdict, train, read the answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

Serving = Callable[..., AbstractContextManager[str]]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def compared(home: Path, tiny_model: Path, serving: Serving) -> Iterator[str]:
    with serving(home, FITTING_ROOM_MODEL=str(tiny_model)) as address:
        yield address


def result_in(home: Path) -> tuple[Path, dict[str, Any]]:
    file = max((home / "comparisons").glob("*/result.json"), key=lambda file: file.stat().st_mtime)
    return file.parent, json.loads(file.read_text("utf-8"))


def only_arms(page: Any, *names: str) -> None:
    """Tick these; the settings are folded away where there is a comparison already."""
    page.locator("#arms input").first.wait_for(state="attached")
    if not page.locator("#arms input").first.is_visible():
        page.get_by_text("Approaches and settings").click()
    for box in page.locator("#arms input").all():
        box.set_checked(box.get_attribute("name") in names)


def test_a_bundled_example_is_compared_and_its_verdict_survives_a_reload(page: Any, compared: str, home: Path) -> None:
    page.goto(compared)
    page.locator("#use-ticket_routing").click()
    page.get_by_role("link", name="Compare approaches").click()
    only_arms(page, "zero-shot", "few-shot-fixed")
    page.locator("#limit").locator("input, textarea").fill("8")
    page.get_by_label("Minutes at most").fill("1")
    page.locator("#start").click()
    page.locator("[data-arm=zero-shot]").wait_for()
    page.locator("#verdict").wait_for()
    folder, result = result_in(home)
    assert result["verdict"]["sentence"] in page.locator("#verdict").inner_text()
    assert [arm["name"] for arm in result["arms"]] == ["zero-shot", "few-shot-fixed"]
    assert result["task"]["rows"]["test"] == 8

    page.reload()
    page.get_by_text(result["verdict"]["sentence"]).wait_for()
    page.get_by_label("All rows").check()
    page.get_by_text("8 rows, page 1 of 2").wait_for()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download result.json").click()
    assert json.loads(Path(started.value.path()).read_text("utf-8")) == result
    assert folder.name in started.value.suggested_filename


def test_a_comparison_that_was_started_elsewhere_opens_by_its_address(page: Any, compared: str, home: Path) -> None:
    folder, result = result_in(home)
    page.goto(f"{compared}/compare?comparison={folder.name}")
    page.locator("#verdict").wait_for()
    assert result["verdict"]["sentence"] in page.locator("#verdict").inner_text()


def test_a_run_is_trained_watched_and_answers_beside_its_base(
    page: Any, tiny_model: Path, serving: Serving, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("trained-home")
    with serving(home, FITTING_ROOM_MODEL=str(tiny_model)) as app:
        page.goto(app)
        page.locator("#use-ticket_routing").click()
        page.get_by_role("link", name="Compare approaches").wait_for()
        page.goto(f"{app}/train")
        page.locator("#ready .fr-tile").first.wait_for()
        page.get_by_text("Advanced").click()
        from playwright.sync_api import expect

        passes = page.get_by_label("Passes over the rows")
        expect(passes).to_have_value("4")  # the derived value comes first, and would overtake what is typed
        passes.fill("0.5")
        passes.press("Tab")
        page.wait_for_timeout(
            500
        )  # the field hands its value over after the keys, as a person's hand leaves it time to
        expect(passes).to_have_value("0.5")
        page.locator("#train").click()
        page.locator("[data-state=done]").wait_for()
        run = next((home / "runs").iterdir())
        assert "epochs: 0.5" in (run / "recipe.yaml").read_text("utf-8")
        assert (run / "adapter" / "adapter_model.safetensors").is_file()

        page.get_by_role("link", name="Evaluate side by side").click()
        page.locator("#prompt textarea").fill("<b>what</b> is the colour?")
        page.locator("#ask-both").click()
        page.locator("#answers [data-state=done]").nth(1).wait_for()
        page.get_by_role("button", name="Best of these").first.click()
        page.locator("#side-note").get_by_text("preference pair").wait_for()
        answers = page.locator("#answers").inner_text()
        page.reload()  # the conversation is there again
        page.locator("#answers [data-state=done]").nth(1).wait_for()
        assert page.locator("#answers").inner_text() == answers and "<b>what</b>" in answers
        page.get_by_role("tab", name="Held-out rows").click()
        page.locator("#answer-both").click()
        page.locator("#rows .fr-tile").first.wait_for()
        assert page.locator("#rows [data-held]").count() == 8
        page.locator("#rows [data-do=label][data-row='2']").click()
        page.locator("#rows [data-form] textarea").fill("NEW-LABEL")
        page.get_by_role("button", name="Save").click()
        page.locator("#held-note").get_by_text("1 label called wrong").wait_for()
        page.get_by_role("button", name="Put right in the dataset").click()
        page.locator("#held-note").get_by_text("1 label put right").wait_for()
