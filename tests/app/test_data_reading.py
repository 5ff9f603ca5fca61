"""Which sheet of a workbook the Data page reads, and in which encoding a text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from app.checking import Checked, Checks
from app.pages.data.reading_choice import ReadingSection
from app.pages.data.section import PageParts
from app.row_reading import fields_of, guessed_encoding, row_at, sheets_of
from app.versions import fixed, own_rows, said_columns, said_reading, undone, with_columns, with_reading
from app.workspace import Project, Workspace
from dataset_tools import DataError, FittingRoomError, UsageError, lint, load_examples
from dataset_tools.reading import Reading

Bring = Callable[[Path], Project]
RUSSIAN = [f"Где посылка номер {number}?" for number in range(12)]


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """A project with this file as its training rows."""
    workspace = Workspace(tmp_path / "home")
    return lambda file: workspace.create().add_rows("training", file)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Notes, hidden sums, and two sheets of rows; the first that can be seen holds the notes."""
    made = openpyxl.Workbook()
    made.remove(made["Sheet"])
    sheets = {"Sums": ["a", "b"], "Notes": ["prompt", "completion"], "Rows": ["Ticket", "Queue"], "Empty": []}
    for name, header in sheets.items():
        sheet = made.create_sheet(name)
        sheet.append(header)
        for number in range(12 if header else 0):
            sheet.append([f"{name} {number}", ("yes", "no")[number % 2]])
    made["Rows"].append(["Rows 11", "no"])
    made["Sums"].sheet_state = "hidden"
    path = tmp_path / "tickets.xlsx"
    made.save(path)
    return path


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes("\n".join(["prompt,completion", *(f"{text},да" for text in RUSSIAN)]).encode("koi8-r"))
    return path


def prompts(project: Project) -> list[str]:
    return [example.prompt[-1].content for example in load_examples(project.training_path).examples]


def test_another_sheet_is_read_by_every_page_and_stays_with_the_project(bring: Bring, book: Path) -> None:
    project = bring(book)
    assert sheets_of(own_rows(project)) == ("Notes", "Rows", "Empty", "Sums")
    assert prompts(project)[0] == "Notes 0"
    other = with_reading(project, Reading(sheet="Rows"))
    assert Project.load(other.folder) == other
    assert (own_rows(other), said_reading(other)) == (own_rows(project), Reading(sheet="Rows"))
    assert fields_of(own_rows(other), reading=said_reading(other)) == ("Ticket", "Queue")
    shown = row_at(own_rows(other), 3, reading=said_reading(other))
    assert shown is not None and (shown.line, "Rows 2" in shown.text) == (4, True)
    mapped = with_columns(other, {"prompt": "Ticket", "completion": "Queue"})
    assert prompts(mapped) == [*(f"Rows {number}" for number in range(12)), "Rows 11"]
    report = Checks().of(mapped, patience=60).report
    assert report is not None and report.usable == 13
    back = with_reading(mapped, None)
    assert (said_reading(back), said_columns(back), prompts(back)[0]) == (None, None, "Notes 0")


def test_rows_of_another_sheet_are_mended_and_the_sheet_comes_back_by_an_undo(bring: Bring, book: Path) -> None:
    project = with_columns(
        with_reading(bring(book), Reading(sheet="Rows")), {"prompt": "Ticket", "completion": "Queue"}
    )
    after = fixed(project, ["exact-duplicate"])
    assert (said_reading(after), prompts(after)) == (None, [f"Rows {number}" for number in range(12)])
    back = undone(after)
    assert (said_reading(back), len(prompts(back))) == (Reading(sheet="Rows"), 13)


def test_a_sheet_without_rows_changes_nothing(bring: Bring, book: Path) -> None:
    project = bring(book)
    for name, error in (("Empty", DataError), ("Nowhere", UsageError)):
        with pytest.raises(error):
            with_reading(project, Reading(sheet=name))
        assert Project.load(project.folder) == project


def test_another_encoding_is_read_by_every_page(bring: Bring, legacy: Path) -> None:
    project = bring(legacy)
    assert guessed_encoding(own_rows(project)) not in (None, "utf-8")
    said = with_reading(project, Reading(encoding="koi8-r"))
    assert prompts(said) == RUSSIAN
    assert lint(own_rows(said), reading=said_reading(said)).usable == 12
    assert not [path for path in said.folder.iterdir() if "fixes" in path.name or "rejects" in path.name]
    with pytest.raises(UsageError, match="not in this encoding"):
        with_reading(said, Reading(encoding="ascii"))
    assert prompts(Project.load(said.folder)) == RUSSIAN


def test_an_encoding_that_is_certain_is_no_guess(tmp_path: Path) -> None:
    line = json.dumps({"prompt": "größer?", "completion": "ja"}, ensure_ascii=False)
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path = tmp_path / f"{codec}.jsonl"
        path.write_bytes("\n".join([line] * 12).encode(codec))
        assert guessed_encoding(path) is None
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(b"\n".join([line.encode()] * 12 + [line.encode("cp1252")]))
    assert guessed_encoding(mixed) == "utf-8"
    assert sheets_of(mixed) == ()


# --- the dropdowns ----------------------------------------------------------------------------------------------------


@pytest.fixture
def section(tmp_path: Path) -> ReadingSection:
    import gradio as gr

    made = ReadingSection()

    async def build() -> None:
        with gr.Blocks():
            made.build(gr)
            parts = PageParts(Workspace(tmp_path / "home"), Checks(), gr.State(""), gr.HTML(), [], lambda _: {})
            made.wire(parts)

    with ThreadPoolExecutor(1) as pool:  # see tests/app/test_build_page.py
        pool.submit(asyncio.run, build()).result()
    return made


def _shown(section: ReadingSection, project: Project) -> dict[str, Any]:
    """What can be seen of the dropdowns, by name: their choices and what is chosen."""
    updates = section.show(project, Checked(report=lint(own_rows(project), reading=said_reading(project))))
    boxes = {"sheet": updates[section.sheet], "encoding": updates[section.encoding]}
    seen = {name: ([value for _, value in box.choices], box.value) for name, box in boxes.items() if box.visible}
    assert updates[section.area].visible == bool(seen)
    return seen


def test_the_sheets_are_shown_where_there_are_several(section: ReadingSection, bring: Bring, book: Path) -> None:
    project = bring(book)
    names = ["Notes", "Rows", "Empty", "Sums"]
    assert _shown(section, project) == {"sheet": (names, "Notes")}
    assert _shown(section, with_reading(project, Reading(sheet="Rows"))) == {"sheet": (names, "Rows")}


def test_encodings_are_shown_where_one_was_guessed(section: ReadingSection, bring: Bring, legacy: Path) -> None:
    project = bring(legacy)
    choices, chosen = _shown(section, project)["encoding"]
    assert (chosen, {"cp1252", "koi8-r", "shift_jis"} <= set(choices)) == ("", True)
    assert _shown(section, with_reading(project, Reading(encoding="koi8-r")))["encoding"] == (choices, "koi8-r")


def test_nothing_is_shown_where_there_is_nothing_to_say(section: ReadingSection, bring: Bring, tmp_path: Path) -> None:
    one = openpyxl.Workbook()
    assert one.active is not None
    for cells in (["prompt", "completion"], ["a", "b"]):
        one.active.append(cells)
    one.save(tmp_path / "one.xlsx")
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"prompt": "a", "completion": "b"}\n' * 3)
    for file in (tmp_path / "one.xlsx", plain):
        assert _shown(section, bring(file)) == {}
    assert not section.show(None, None)[section.area].visible


def test_what_cannot_be_read_so_leaves_the_dropdown_as_it_was(
    section: ReadingSection, bring: Bring, book: Path
) -> None:
    project = bring(book)
    steps = section.say_sheet(project.id, "Empty")
    updates: list[dict[Any, Any]] = []
    with pytest.raises(FittingRoomError):
        updates.extend(steps)
    assert updates[-1][section.sheet].value == "Notes"
