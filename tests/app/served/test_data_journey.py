"""The tools of the Data page in a real browser: from findings to mended rows and back, from odd columns to a file."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

pytestmark = pytest.mark.browser
Write = Callable[[str, list[str]], Path]
ODD = '<img src=x onerror="window.hit = 1">'  # the name of a column


def upload(page: Any, app: str, file: Path) -> None:
    """Open the page, wait until it shows what was there before, and bring a file."""
    page.goto(app)
    page.locator(".fr-files, .fr-empty").first.wait_for()
    page.locator("#training-file input[type=file]").set_input_files(file)
    page.get_by_role("heading", name=file.name).wait_for()


def chat(question: str, answer: str) -> str:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": turns})


def checks_shown(page: Any) -> list[str]:
    return [code.text_content() for code in page.locator("#findings tr code").all()]


def choose(page: Any, dropdown: str, option: str) -> None:
    page.locator(f"#{dropdown} input").click()
    page.locator(f"#{dropdown}").get_by_role("option", name=option).click()


def test_a_messy_file_is_looked_into_mended_and_brought_back(page: Any, app: str, jsonl: Write) -> None:
    lines = [chat(f"Where is parcel {17 * number}?", f"In the depot of street {number}.") for number in range(40)]
    lines[6], lines[11], lines[20] = lines[6] + ",", lines[11].replace("assistant", "gpt"), lines[19]
    lines[30] = chat("Where is parcel 510?", "")
    upload(page, app, jsonl("messy.jsonl", lines))
    page.locator("#findings").get_by_text("token-lengths").wait_for(state="attached")
    before = checks_shown(page)
    assert {"invalid-json", "unknown-role", "exact-duplicate", "empty-field"} <= set(before)

    page.locator("#findings").get_by_role("button", name="Show the row at line 12").first.click()
    page.locator("#conversation .fr-raw").get_by_text("gpt").wait_for()
    assert "Row 12 of 40" in page.locator("#conversation").inner_text()
    page.locator("#findings").get_by_role("button", name="Show the row at line 21").first.click()
    page.locator("#conversation").get_by_text("Where is parcel 323?").wait_for()
    page.get_by_label("Tokens").check()
    page.locator(".fr-tokens").wait_for()
    trained = page.locator(".fr-tokens .fr-on").all_inner_texts()
    assert "".join(trained).startswith("In the depot of street 19.") and trained[-1] == "<|im_end|>"

    page.locator("#fixes button").first.click()
    page.locator('[data-fix="unknown-role"] summary').click()
    assert page.locator('[data-fix="unknown-role"] del').inner_text() == "gpt"
    page.locator("#fix-safe").click()
    page.locator("#changes").get_by_text("2 rows mended").wait_for()
    page.locator("#summary").get_by_text("39 of 40 rows can be used").wait_for()
    assert set(checks_shown(page)) <= set(before) - {"invalid-json", "unknown-role"}
    with page.expect_download() as started:
        page.get_by_role("link", name="Download the rows as they are now").click()
    assert len(Path(started.value.path()).read_text("utf-8").splitlines()) == 40

    page.reload()
    page.locator("#undo").click()
    page.locator("#undo").wait_for(state="hidden")
    page.locator("#findings").get_by_text("unknown-role").wait_for()


def test_odd_columns_are_said_and_the_rows_converted_and_split(page: Any, app: str, jsonl: Write) -> None:
    rows = [f"Ticket {n} {'xyzw'[n % 4] * n},{['refund', 'delivery', 'login'][n % 3]},ann" for n in range(60)]
    upload(page, app, jsonl("tickets.csv", [f'"{ODD.replace(chr(34), chr(34) * 2)}",Queue We Want,Agent', *rows]))
    page.get_by_text("Which columns are what?").wait_for()
    choose(page, "prompt-column", ODD)
    choose(page, "answer-column", "Queue We Want")
    page.locator("#summary").get_by_text("Ready to use").wait_for()
    page.locator("#conversation .fr-wanted").get_by_text("refund").wait_for()
    assert page.evaluate("window.hit") is None

    page.reload()
    page.locator("#columns").get_by_text("as you said").wait_for()
    page.locator("#convert button").first.click()
    choose(page, "to-format", "Messages")
    page.locator("#convert-make").click()
    page.locator("#converted").get_by_text("60 rows written as messages").wait_for()
    assert "Agent" in page.locator("#converted .fr-losses").inner_text()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download messages.jsonl").click()
    first = json.loads(Path(started.value.path()).read_text("utf-8").splitlines()[0])
    assert first["messages"][1] == {"role": "assistant", "content": "refund"}

    page.locator("#lengths button").first.click()
    page.locator("#lengths svg").first.wait_for()
    page.locator("#split button").first.click()
    page.locator("#split-test").locator("input, textarea").fill("25%")
    page.locator("#split-make").click()
    page.locator("#split").get_by_text("No leak").wait_for()
    page.locator("#split-use").click()
    page.locator("#changes").get_by_text("Split into training and test rows").wait_for()
    assert "held out here" in page.locator(".fr-files").inner_text()
    assert page.evaluate("window.hit") is None


def test_another_sheet_of_a_workbook_is_read_when_it_is_chosen(page: Any, app: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("Plan of the year")
    for name, sheet in zip(("Notes", "Tickets"), book.worksheets, strict=True):
        sheet.append(["prompt", "completion"])
        for number in range(12):
            sheet.append([f"{name} {number}?", f"{name} {number}."])
    book.save(tmp_path / "tickets.xlsx")
    upload(page, app, tmp_path / "tickets.xlsx")
    conversation = page.locator("#conversation")
    conversation.get_by_text("Notes 0?").wait_for()
    assert not page.locator("#encoding").is_visible()
    choose(page, "sheet", "Plan of the year")
    conversation.get_by_text("Tickets 0?").wait_for()
    page.reload()
    conversation.get_by_text("Tickets 0?").wait_for()
    assert page.locator("#sheet input").input_value() == "Plan of the year"


@pytest.mark.parametrize("name", ["project.json", "..%2F..%2Fprojects", "%2Fetc%2Fhostname", "no-such-file", "tools"])
def test_a_download_is_a_file_that_the_project_names_or_nothing(app: str, home: Path, name: str) -> None:
    projects = [folder.name for folder in (home / "projects").glob("*")]
    for project in [*projects, "no-such-project", "..", "%2E%2E"]:
        connection = http.client.HTTPConnection(app.removeprefix("http://"))
        connection.request("GET", f"/files/{project}/{name}")
        assert connection.getresponse().status == 404
        connection.close()
