"""Held-out rows: which fit a filter and a search, in which order, and what becomes of one that is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.components.held_out_rows import PAGE_ROWS, Open, held_out_table, score_tiles
from app.held_out import HeldOut, draft_row, gain, mean_scores, of_comparison, of_run, selected, usual_pair
from dataset_tools import Message
from training.runs.folder import RunFolder

HOSTILE = "<img src=x onerror='window.hit = 1'>"
# What qlora and zero-shot answered and scored, and whether qlora stopped.
ROWS = (
    ('{"a": 1}', 1.0, "no json", 0.0, True),
    ('{"a": 2', 0.25, '{"a": 2}', 1.0, True),
    ("[3]", 0.5, " [3] ", 0.5, True),
    ('{"a": 4}', 0.75, '{"b": 4}', 0.5, False),
)


def write(folder: Path, rows: int = 0) -> RunFolder:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for index in range(rows or len(ROWS)):
            tuned, score, base, other, stopped = ROWS[index % len(ROWS)]
            arms: dict[str, Any] = {
                "zero-shot": {"answer": base, "score": other, "stopped": True},
                "qlora": {"answer": tuned, "score": score, "stopped": stopped},
            }
            if index == 2:
                arms["rag"] = {"answer": "something else", "score": 0.0, "stopped": True}
            prompt: Any = f"Give the number.\n\nNumber {index} of Étienne {HOSTILE}"
            if index == 3:
                prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "and this"}]
            line = {"index": index, "record": 10 + index, "prompt": prompt, "wanted": f"wanted {index}", "arms": arms}
            file.write(json.dumps(line) + "\n")
    titles = {"zero-shot": "Zero-shot", "qlora": "Fine-tuned", "rag": "RAG"}
    arms = [{"name": name, "title": title, "score": 0.5, "skipped": None} for name, title in titles.items()]
    (folder / "result.json").write_text(json.dumps({"arms": arms}))
    (folder / "run.json").write_text(json.dumps({"state": "done", "created": 1.0}))
    return RunFolder(folder)


@pytest.fixture
def held(tmp_path: Path) -> HeldOut:
    return of_comparison(write(tmp_path / "comparison"), "Letters")


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ("all", [1, 2, 3, 4]),
        ("changed", [1, 2, 4]),
        ("better", [1, 4]),
        ("worse", [2]),
        ("disagree", [1, 2, 3, 4]),  # of row 3, two say the same and the third does not
        ("endless", [4]),
        ("invalid", [1, 2]),
        ("no such filter", [1, 2, 3, 4]),
    ],
)
def test_a_filter_keeps_the_rows_that_it_names(held: HeldOut, which: str, numbers: list[int]) -> None:
    found = selected(held, one="qlora", other="zero-shot", which=which)
    assert [row.number for row in found] == numbers


def test_rows_are_sorted_by_gain_and_loss_and_those_without_scores_come_last(held: HeldOut) -> None:
    def order(order: str, other: str) -> list[int]:
        return [row.number for row in selected(held, one="qlora", other=other, order=order)]

    assert order("gain", "zero-shot") == [1, 4, 3, 2]
    assert order("loss", "zero-shot") == [2, 3, 4, 1]
    assert order("gain", "rag") == [3, 1, 2, 4] and gain(held.rows[0], "qlora", "rag") is None


def test_a_search_finds_all_words_in_any_case_in_what_is_shown(held: HeldOut) -> None:
    def found(words: str) -> list[int]:
        return [row.number for row in selected(held, one="qlora", other="zero-shot", search=words)]

    assert found("ÉTIENNE give NUMBER") == [1, 2, 3] and found("") == [1, 2, 3, 4]
    assert found("json wanted NO") == [1] and found("BE brief") == [4]
    assert found("something else") == []  # an answer that is not shown


def test_the_tuned_arm_is_held_against_the_best_of_the_others(held: HeldOut) -> None:
    scores = mean_scores(held)
    assert scores["qlora"] == pytest.approx(0.625) and scores["rag"] == 0.0
    assert usual_pair(held, scores) == ("qlora", "zero-shot")
    nothing = HeldOut("", {}, (), tests=True)
    assert usual_pair(nothing, {}) == ("", "")


def test_the_table_shows_50_rows_a_page_escapes_them_and_says_once_what_all_begin_with(tmp_path: Path) -> None:
    held = of_comparison(write(tmp_path / "big", rows=2000), "Big")
    rows = selected(held, one="qlora", other="zero-shot")
    shown = str(held_out_table(held, rows, page=39, one="qlora", other="zero-shot"))
    assert shown.count("<tr data-held=") == PAGE_ROWS and 'data-held="2000"' in shown
    assert "1,951 to 2,000 of 2,000" in shown and "<img" not in shown
    assert shown.count("All begin with: Give the number.") == 1 and shown.count("Give the number.") == 1
    assert shown.count("does not stop") > 5 and "fr-held" in shown
    tiles = str(score_tiles(held, rows, one="qlora", other="zero-shot"))
    assert "62.5" in tiles and "50.0" in tiles and "1000 / 500" in tiles and "no proof" not in tiles


def test_a_row_that_is_open_has_a_form_and_the_others_have_buttons(held: HeldOut) -> None:
    rows = selected(held, one="qlora", other="zero-shot")
    fixing = str(held_out_table(held, rows, page=0, one="qlora", other="zero-shot", opened=Open(2, "fix")))
    assert 'data-do="save-fix"' in fixing and "{&#34;a&#34;: 2</textarea>" in fixing
    labelling = str(held_out_table(held, rows, page=0, one="qlora", other="zero-shot", opened=Open(2, "label")))
    assert 'data-do="save-label"' in labelling and "wanted 1</textarea>" in labelling
    assert labelling.count('data-do="label"') == 3 and "The others (1)" in labelling
    jumped = str(held_out_table(held, rows, page=0, one="qlora", other="zero-shot", opened=Open(3)))
    assert jumped.count("autofocus") == 1 and "<form" not in jumped and "data-form" not in jumped


def test_nothing_found_and_nothing_answered_are_said(held: HeldOut, tmp_path: Path) -> None:
    assert "No row fits" in held_out_table(held, [], page=0, one="qlora", other="zero-shot")
    nothing = of_run(RunFolder(tmp_path / "run"), "Run")
    assert nothing.rows == () and "no answer to a row yet" in held_out_table(nothing, [], page=0, one="", other="")


def test_a_test_row_waits_in_the_draft_and_says_what_it_is(held: HeldOut) -> None:
    row = held.rows[1]
    for deed, text, tag in (
        ("add", "wanted 1", "test row"),
        ("fix", "x", "corrected answer"),
        ("label", "y", "wrong label"),
    ):
        new = draft_row(held, row, deed, text)  # type: ignore[arg-type]
        assert new.status == "pending" and "test row" in new.tags and tag in new.tags
        assert new.example.completion == text and new.place == "test row 2, record 11 of its file"
        assert new.reason is not None and "measures nothing" in new.reason
    assert "the file says wanted 1" in str(draft_row(held, row, "label", "y").reason)
    assert draft_row(held, row, "fix", "x").source == "edit"
    talk = draft_row(held, held.rows[3], "add", "z").example
    assert talk.prompt == (Message("system", "Be brief."), Message("user", "and this"))
