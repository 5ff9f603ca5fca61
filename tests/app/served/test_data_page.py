"""The Data page in a real browser: findings with their lines, rows as text, errors as cards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
Write = Callable[[str, list[str]], Path]


def row(prompt: str, completion: str) -> str:
    return json.dumps({"prompt": prompt, "completion": completion})


def open_page(page: Any, app: str) -> None:
    """Open it and wait until it shows what was there before."""
    page.goto(app)
    page.locator(".fr-files, .fr-empty").first.wait_for()


def upload(page: Any, app: str, file: Path) -> None:
    open_page(page, app)
    page.locator("#training-file input[type=file]").set_input_files(file)


def test_an_upload_shows_its_findings_with_line_numbers(page: Any, app: str, jsonl: Write) -> None:
    lines = [row(f"What is {number} and {number}?", str(2 * number)) for number in range(30)]
    lines[6], lines[17] = "{broken", row("no answer", "")
    upload(page, app, jsonl("rows.jsonl", lines))
    table = page.locator(".fr-table")
    table.get_by_text("invalid-json").wait_for()
    lines_by_check = {
        found.locator("code").inner_text(): found.locator(".fr-lines").inner_text()
        for found in table.locator("tbody tr").all()
    }
    assert lines_by_check["invalid-json"] == "7"
    assert "18" in [shown for check, shown in lines_by_check.items() if check != "invalid-json"]
    assert "Fix first" in page.locator(".fr-banner").inner_text()


def test_the_preview_turns_from_row_to_row_and_round(page: Any, app: str, jsonl: Write) -> None:
    upload(page, app, jsonl("rows.jsonl", [row(f"question {number}", f"answer {number}") for number in range(3)]))
    conversation = page.locator("#conversation")
    conversation.get_by_text("question 0").wait_for()
    page.get_by_role("button", name="Next →").click()
    conversation.get_by_text("question 1").wait_for()
    page.get_by_role("button", name="← Previous").click()
    conversation.get_by_text("question 0").wait_for()
    page.get_by_role("button", name="← Previous").click()
    conversation.get_by_text("question 2").wait_for()
    assert "answer 2" in conversation.inner_text()


@pytest.mark.parametrize(
    "hostile",
    [
        '<img src=x onerror="window.hit = 1">',
        "<script>window.hit = 1</script>",
        "${window.hit = 1}",
        "{{#each this}}{{this}}{{/each}}",
        "![x](http://192.0.2.1/leak.png)",
    ],
)
def test_a_hostile_row_is_shown_as_text(page: Any, app: str, jsonl: Write, hostile: str) -> None:
    upload(page, app, jsonl("rows.jsonl", [row(f"{hostile} {number}", hostile) for number in range(12)]))
    conversation = page.locator("#conversation")
    conversation.get_by_text(f"{hostile} 0").wait_for()
    assert hostile in conversation.locator(".fr-wanted").inner_text()
    assert conversation.locator("img, script").count() == 0
    assert page.evaluate("window.hit") is None


def test_a_hostile_file_name_is_shown_as_text(page: Any, app: str) -> None:
    name = '<img src=x onerror="window.hit=1">.jsonl'
    open_page(page, app)
    data = "\n".join(row(f"question {number}", f"answer {number}") for number in range(12)).encode()
    page.locator("#training-file input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": data}
    )
    page.locator(".fr-files h2").get_by_text("onerror").wait_for()
    assert page.locator(".fr-files img").count() == 0
    assert page.evaluate("window.hit") is None


def test_a_file_without_rows_is_a_card_that_says_what_to_do(page: Any, app: str, tmp_path: Path) -> None:
    picture = tmp_path / "rows.jsonl"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    upload(page, app, picture)
    card = page.locator(".fr-card[role=alert]")
    card.wait_for()
    assert "PNG" in card.inner_text()
    assert "What to do" in card.inner_text()
    assert "projects" not in card.inner_text(), "the card names the user's file, not our path"


def test_an_upload_leaves_nothing_in_the_shared_cache_and_keeps_no_name_of_the_user(
    page: Any, app: str, home: Path, jsonl: Write
) -> None:
    upload(page, app, jsonl("my secret name.jsonl", [row(f"q {number}", f"a {number}") for number in range(12)]))
    page.get_by_role("heading", name="my secret name.jsonl").wait_for()
    assert not list(home.rglob("*secret*"))
    project = max((home / "projects").iterdir(), key=lambda folder: folder.stat().st_mtime)
    assert json.loads((project / "project.json").read_text("utf-8"))["training"]["name"] == "my secret name.jsonl"


def test_a_bundled_example_is_there_in_one_click_and_after_a_reload(page: Any, app: str) -> None:
    open_page(page, app)
    page.locator("#use-support_desk").click()
    page.get_by_role("heading", name="Support desk", level=2).wait_for()
    page.reload()
    page.get_by_role("heading", name="Support desk", level=2).wait_for()
    assert "18 documents" in page.locator(".fr-files").inner_text()
    assert page.get_by_role("link", name="Compare approaches").get_attribute("href").startswith("/compare?project=")
