"""The Build page in a real browser with a real model: chat, documents, rows by hand, and nothing lost on a reload."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
Serving = Callable[..., AbstractContextManager[str]]
HOSTILE = '<img src=x onerror="window.hit=1">'


@pytest.fixture(scope="module")
def building(serving: Serving, reciting_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("building-home")
    with serving(home, FITTING_ROOM_MODEL=str(reciting_model), OMP_NUM_THREADS="1") as address:
        yield address


def begin(page: Any, app: str) -> None:
    """Open the page with an empty dataset of its own."""
    page.goto(f"{app}/build")
    page.locator("#begin-dataset:enabled").click()
    page.locator("#note").get_by_text("A new, empty dataset.").wait_for()


def counts(page: Any) -> dict[str, int]:
    tiles = page.locator("#dataset [data-count]").all()
    return {tile.get_attribute("data-count"): int(tile.locator("b").inner_text()) for tile in tiles}


def wait_for_count(page: Any, name: str, count: int) -> None:
    page.locator(f"#dataset [data-count={name}] b").get_by_text(str(count), exact=True).wait_for()


def rows_of(page: Any, link: str) -> list[dict[str, Any]]:
    with page.expect_download() as started:
        page.get_by_role("link", name=link).click()
    return [json.loads(line) for line in Path(started.value.path()).read_text("utf-8").splitlines()]


def write_row(page: Any, prompt: str, answer: str, tags: str = "") -> None:
    page.locator("#new-row").click()
    page.locator("#rows-table [name=prompt]").fill(prompt)
    page.locator("#rows-table [name=answer]").fill(answer)
    page.locator("#rows-table [name=tags]").fill(tags)
    page.get_by_role("button", name="Add this row").click()
    page.locator("#rows-table [name=prompt]").wait_for(state="detached")


def test_a_corrected_conversation_is_kept_survives_a_reload_and_is_exported(
    page: Any, building: str, recited: str
) -> None:
    begin(page, building)
    page.locator("#say textarea").fill("How long is the warranty?")
    page.locator("#say textarea").press("Enter")
    page.get_by_role("button", name="Edit the answer").click()
    field = page.locator("#talk textarea")
    assert field.input_value() == recited
    field.fill("Two years.")
    field.press("Control+Enter")
    page.get_by_role("button", name="Answer 1 is worse").click()
    page.get_by_text("A preference pair is kept").wait_for()
    page.locator("#add-talk").click()
    page.locator("#talk-state").get_by_text("in the dataset", exact=True).wait_for()
    assert counts(page)["accepted"] == 2
    page.locator("#say textarea").fill("And for limescale?")
    page.locator("#send").click()
    page.locator("#talk-state").get_by_text("changed since it was added").wait_for()

    page.reload()
    page.locator("#talk").get_by_text("And for limescale?").wait_for()
    page.locator("#undo-step").click()
    page.locator("#talk-state").get_by_text("in the dataset", exact=True).wait_for()
    assert rows_of(page, "Download JSONL") == [
        {
            "messages": [
                {"role": "user", "content": "How long is the warranty?"},
                {"role": "assistant", "content": "Two years."},
            ]
        }
    ]
    (pair,) = rows_of(page, "Pairs")
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("Two years.", recited)


def test_documents_become_candidates_with_their_reasons_and_a_person_decides(
    page: Any, building: str, tmp_path: Path, kettle: str
) -> None:
    begin(page, building)
    document = tmp_path / "kettle.md"
    document.write_text(kettle, "utf-8")
    page.get_by_role("tab", name="From documents").click()
    page.locator("#build-documents input[type=file]").set_input_files(document)
    page.locator("#sources").get_by_text("1 document, 1 passage").wait_for()
    page.locator("#write-questions:enabled").click()
    page.locator("#writing [data-state=done]").wait_for()
    assert "1 waiting for you, 2 rejected" in page.locator("#outcome").inner_text()

    page.reload()
    page.get_by_role("tab", name="From documents").click()
    waiting = page.locator("#candidates .fr-candidate")
    waiting.get_by_text("How long is the warranty").wait_for()
    waiting.locator("summary").click()
    assert "warranty of two years" in waiting.locator(".fr-passage").inner_text()
    waiting.get_by_role("button", name="Accept").click()
    wait_for_count(page, "accepted", 1)
    page.get_by_label("Rejected (2)").check()
    page.locator("#candidates").get_by_text("unsupported", exact=True).wait_for()
    page.locator("#accept-all").get_by_text("Accept all 2").wait_for()
    page.locator("#accept-all").click()
    wait_for_count(page, "accepted", 3)
    page.locator("#undo-dataset").click()
    wait_for_count(page, "accepted", 1)
    assert counts(page)["rejected"] == 2


def test_rows_by_hand_are_written_found_corrected_and_undone(page: Any, building: str) -> None:
    begin(page, building)
    page.get_by_role("tab", name="By hand").click()
    write_row(page, "When is the shop open?", "From 9 to 18.", "hours, shop")
    write_row(page, "Where is the shop?", "In Ghent.")
    wait_for_count(page, "accepted", 2)
    page.locator("#undo-dataset").click()
    page.locator("#note").get_by_text("Undone: added 1 row.").wait_for()
    assert counts(page)["accepted"] == 1
    write_row(page, "Where is the shop?", "In Ghent.")
    search = page.locator("#search-rows").locator("input, textarea")
    search.fill("ghent")
    search.press("Enter")
    page.locator("#rows-table tbody tr").nth(1).wait_for(state="detached")
    page.locator("#rows-table").get_by_role("button", name="Edit").click()
    page.locator("#rows-table [name=m1]").fill("In Ghent, in the Long Street.")
    page.locator("#rows-table").get_by_role("button", name="Save").click()
    page.locator("#rows-table").get_by_text("Long Street").wait_for()
    page.locator("#rows-table").get_by_role("button", name="Delete").click()
    page.get_by_text("No row fits this filter.").wait_for()
    assert counts(page)["accepted"] == 1


def test_what_is_built_becomes_the_projects_training_data(page: Any, building: str) -> None:
    begin(page, building)
    page.get_by_role("tab", name="By hand").click()
    write_row(page, "When is the shop open?", "From 9 to 18.")
    page.locator("#use-draft:enabled").click()
    page.locator("#used").get_by_role("link", name="See them on Data").click()
    page.locator(".fr-files").get_by_text("built here.jsonl").first.wait_for()


def test_hostile_texts_are_shown_as_text(page: Any, building: str) -> None:
    begin(page, building)
    page.locator("#say textarea").fill(f"{HOSTILE} said")
    page.locator("#say textarea").press("Enter")
    page.locator("#talk").get_by_text(f"{HOSTILE} said").wait_for()
    page.get_by_role("button", name="Edit the answer").click()
    page.locator("#talk textarea").fill(f"</textarea>{HOSTILE} ${{window.hit=1}} {{{{this}}}}")
    page.get_by_role("button", name="Save").click()
    page.locator("#add-talk:enabled").click()
    wait_for_count(page, "accepted", 1)
    page.get_by_role("tab", name="By hand").click()
    page.locator("#rows-table").get_by_role("button", name="Edit").click()
    shown = page.locator("#rows-table [name=m1]").input_value()
    assert shown == f"</textarea>{HOSTILE} ${{window.hit=1}} {{{{this}}}}"
    assert page.locator("#talk img, #rows-table img, #dataset img").count() == 0
    assert page.evaluate("window.hit") is None


def test_two_users_with_two_projects_do_not_meet(page: Any, browser: Any, building: str) -> None:
    begin(page, building)
    second = browser.new_context().new_page()
    second.set_default_timeout(120_000)
    begin(second, building)
    page.get_by_role("tab", name="By hand").click()
    write_row(page, "Whose is this?", "Mine.")
    page.reload()
    wait_for_count(page, "accepted", 1)
    second.reload()
    second.locator("#begin-dataset:enabled").wait_for()
    assert counts(second)["accepted"] == 0
    assert page.url != second.url
    second.context.close()


@pytest.mark.parametrize("project", ["no-such-project", "..%2F..", "%2Fetc"])
@pytest.mark.parametrize("name", ["dataset.jsonl", "..%2Fproject.json", "draft.jsonl"])
def test_a_download_is_one_of_the_exports_of_a_project_or_nothing(
    page: Any, building: str, project: str, name: str
) -> None:
    assert page.request.get(f"{building}/draft/{project}/{name}").status == 404
