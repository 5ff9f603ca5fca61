"""A finished comparison in a real browser: the verdict, the folds with their charts, the report, the downloads."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from app.security import POLICY, SEALED

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("one_thread")]
Serving = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def compared(compared_home: Path, tiny_model: Path, serving: Serving) -> Iterator[str]:
    with serving(compared_home, FITTING_ROOM_MODEL=str(tiny_model), OMP_NUM_THREADS="1") as address:
        yield address


@pytest.fixture
def folder(compared_home: Path) -> Path:
    (folder,) = (compared_home / "comparisons").iterdir()
    return folder


def test_a_finished_comparison_is_read_from_its_verdict_to_its_rows(page: Any, compared: str, folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text("utf-8"))
    page.goto(f"{compared}/compare?comparison={folder.name}")
    page.get_by_text(result["verdict"]["sentence"]).wait_for()
    page.locator("#numbers .fr-tile").nth(2).wait_for()
    page.locator(".fr-plot .barlayer").first.wait_for(state="attached")
    for name in ("gaps", "cost", "curve", "holding", "setups", "labels", "pairs"):
        page.locator(f"#fold-{name} > button").click()
    page.locator("#fold-gaps .fr-gap").first.wait_for()
    page.locator("#fold-curve").get_by_text(result["learning_curve"]["sentence"]).wait_for()
    for name in ("cost", "curve"):
        chart = page.locator(f"#fold-{name} .main-svg").first
        chart.wait_for()
        page.wait_for_function(
            "(both) => { const [chart, fold] = both.map((part) => part.getBoundingClientRect().width);"
            " return Math.abs(chart - fold) < 80; }",
            arg=[chart.element_handle(), page.locator(f"#fold-{name}").element_handle()],
        )
    page.locator("#fold-labels .fr-confusion").wait_for()
    page.get_by_label("All rows").check()
    page.locator("#items .fr-item").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_form_is_as_the_comparison_was_asked_for(page: Any, compared: str, folder: Path) -> None:
    page.goto(f"{compared}/compare?comparison={folder.name}")
    page.locator("#verdict").wait_for()
    page.locator("#situation > button").click()
    from playwright.sync_api import expect

    expect(page.locator("#requests textarea, #requests input")).to_have_value("50000")
    expect(page.locator("#runs-on input")).to_have_value("At a host that is paid by the token")
    page.locator("#judge").wait_for()
    page.locator("#margin textarea, #margin input").fill("none")
    page.locator("#judge").click()
    page.get_by_text("Smallest difference that matters: this is no number above 0.").wait_for()


def test_the_report_opens_in_a_tab_of_its_own_where_nothing_can_run(page: Any, compared: str, folder: Path) -> None:
    page.goto(f"{compared}/compare?comparison={folder.name}")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report").click()
    opened.value.get_by_text("Do it again").wait_for()
    with urllib.request.urlopen(f"{compared}/report/{folder.name}") as reply:
        assert reply.headers["Content-Type"].startswith("text/html")
        assert SEALED in reply.headers.get_all(POLICY)
    (folder / "kept.html").write_bytes((folder / "report.html").read_bytes())
    try:
        (folder / "report.html").write_text("<p id=told>still</p><script>told.textContent = 'run'</script>")
        page.goto(f"{compared}/report/{folder.name}")
        assert page.locator("#told").inner_text() == "still"
    finally:
        (folder / "kept.html").replace(folder / "report.html")


def test_the_table_of_the_rows_is_downloaded(page: Any, compared: str, folder: Path) -> None:
    page.goto(f"{compared}/compare?comparison={folder.name}")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download items.csv").click()
    rows = list(csv.reader(io.StringIO(Path(started.value.path()).read_text("utf-8"))))
    items = (folder / "items.jsonl").read_text("utf-8").splitlines()
    arms = sum(len(json.loads(line)["arms"]) for line in items)
    assert len(rows) == 1 + arms
