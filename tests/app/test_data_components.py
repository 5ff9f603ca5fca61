"""What the Data page shows of findings, rows, tokens, fixes and tools: all of it escaped, nothing of it made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.components.actions import Act
from app.components.diffs import plan_view
from app.components.findings import OPEN_ROW, findings_view, verdict_banner
from app.components.row_views import RowNote, chat_view, row_view, text_view, token_texts, tokens_view
from app.components.tool_views import changes_card, conversion_view, file_link, lengths_view, split_view
from app.row_reading import FileRow
from app.workspace import Change, Project, StoredFile
from dataset_tools import Example, Finding, Message, Report, render
from dataset_tools.checks import Hit
from dataset_tools.conversion import Conversion
from dataset_tools.data_card import data_card
from dataset_tools.example import ToolCall
from dataset_tools.fixes import Diff, FixPlan, PlannedFix
from dataset_tools.losses import Loss
from dataset_tools.split_files import split_file

HOSTILE = '<img src=x onerror="hit()">'


def report_of(findings: list[Finding], skipped: tuple[str, ...] = ()) -> Report:
    return Report("rows.jsonl", "messages", 300, 250, "fix_first", tuple(findings), skipped)


def finding(check: str, count: int, text: str = "wrong") -> Finding:
    hits = tuple(Hit(f"{text} {number}", number, number) for number in range(1, min(count, 200) + 1))
    return Finding(check, "error", f"title of {check} {text}", f"why {text}", count, hits, fix=text)


def plan_of(*fixes: PlannedFix) -> FixPlan:
    return FixPlan("rows.jsonl", "jsonl", "utf-8", 9, 9, fixes, {HOSTILE: 1}, 2, ())


def project_in(folder: Path) -> Project:
    stored = StoredFile("training-1.jsonl", HOSTILE)
    return Project(folder, title=HOSTILE, training=stored, history=(Change(HOSTILE, stored, rejects=HOSTILE),))


def test_texts_of_files_are_escaped_wherever_they_are_shown(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    row = FileRow(1, 1, HOSTILE, None, HOSTILE)
    calls = (ToolCall(HOSTILE, HOSTILE),)
    example = Example((Message("user", HOSTILE, name=HOSTILE), Message("assistant", HOSTILE, tool_calls=calls)))
    loss = Loss(HOSTILE, "not held", 1, HOSTILE, 1)
    made = Conversion(tmp_path, tmp_path, None, "messages", HOSTILE, (HOSTILE,), 1, 1, (loss,))
    fix = PlannedFix("id", "check", HOSTILE, False, 1, (Diff(1, 1, HOSTILE, (f"{HOSTILE}!",)),), HOSTILE)
    dropped = PlannedFix("id", "check", HOSTILE, False, 1, (Diff(1, 1, HOSTILE, ()),))
    shown = [
        findings_view(report_of([finding("a", 2, HOSTILE)], (f"{HOSTILE}: {HOSTILE}",))),
        row_view(row, 1, [RowNote("check", "error", HOSTILE)], text_view(row)),
        chat_view(example),
        plan_view(plan_of(fix, dropped)),
        changes_card(project),
        file_link(project, HOSTILE, HOSTILE),
        conversion_view(project, made, "tools"),
    ]
    assert all("<img" not in text for text in shown)
    assert all("&lt;img" in text or "%3Cimg" in text for text in shown)


def test_five_findings_have_three_rows_each_and_the_others_are_folded() -> None:
    names = [f"check-{number}" for number in range(8)]
    shown = findings_view(report_of([finding(name, 4) for name in names]))
    first, folded = shown.split("3 more findings")
    assert [name for name in names if f"<code>{name}</code>" in first] == names[:5]
    assert [name for name in names if f"<code>{name}</code>" in folded] == names[5:]
    assert first.count("<li>") == 15 and folded.count("<li>") == 3


def test_every_kept_line_of_a_finding_opens_its_row() -> None:
    shown = findings_view(report_of([finding("a", 1_000)]))
    lines = shown[shown.index('class="fr-lines"') :]
    opened = [int(number) for number in re.findall(r'data-do="open-row" data-record="(\d+)"', lines)]
    assert opened == list(range(1, 201))
    assert "and 994 more" in lines and "194 of them kept" in lines


def test_a_finding_of_the_whole_file_opens_nothing() -> None:
    whole = Finding("a", "info", "title", "why", 1, (Hit("all of it"),))
    shown = findings_view(report_of([whole]))
    assert OPEN_ROW not in shown and "whole file" in shown


def test_skipped_checks_stand_together_under_their_reason() -> None:
    shown = findings_view(report_of([], ("a: no model", "b: no test file", "c: no model")))
    assert "2 checks skipped: no model" in shown and "a, c" in shown
    assert "1 check skipped: no test file" in shown


def test_the_verdict_counts_what_can_be_used() -> None:
    assert "250 of 300 rows can be used" in verdict_banner(report_of([]))


def test_a_click_brings_back_a_number_or_nothing() -> None:
    assert Act.of({"data": {"do": OPEN_ROW, "record": "7"}}).number("record") == 7


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize("text", ["plain words", " blanks  between ", "line\nline\ttab", "<|im_end|> inside"])
def test_tokens_in_a_row_are_the_text(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(token_texts(ids, tokenizer)) == text


def test_a_part_of_a_character_is_shown_by_its_name(tokenizer: Any) -> None:
    ids = tokenizer("\U0001f600", add_special_tokens=False)["input_ids"]
    assert len(ids) > 1
    assert token_texts(ids, tokenizer) == tokenizer.convert_ids_to_tokens(ids)


def test_the_trained_tokens_are_those_of_the_mask(tokenizer: Any) -> None:
    example = Example.of(f"what is {HOSTILE}", "the answer")
    rendered = render(example, tokenizer)
    shown = tokens_view(example, rendered, tokenizer, limit=None, name="tiny")
    tokens = re.findall(r'<span class="fr-tok([^"]*)" title', shown)
    assert [int("fr-on" in looks) for looks in tokens] == rendered.mask
    assert sum("fr-special" in looks for looks in tokens) == sum(
        token in tokenizer.all_special_ids for token in rendered.ids
    )
    assert f"{len(rendered.ids)} tokens" in shown and f"{rendered.trained} trained" in shown
    assert "<img" not in shown


def test_tokens_behind_the_limit_are_marked_as_cut_off(tokenizer: Any) -> None:
    example = Example.of("what is it", "the answer")
    rendered = render(example, tokenizer)
    shown = tokens_view(example, rendered, tokenizer, limit=5, name="tiny")
    looks = re.findall(r'<span class="fr-tok([^"]*)" title', shown)
    assert ["fr-cut" in each for each in looks] == [place >= 5 for place in range(len(looks))]


def test_a_row_that_cannot_be_used_is_shown_as_it_stands_with_the_reason() -> None:
    shown = text_view(FileRow(7, 7, "{broken", None, "it ends too early"))
    assert "{broken" in shown and "it ends too early" in shown


def test_a_diff_marks_the_words_that_differ() -> None:
    before = json.dumps({"role": "gpt", "content": "hello " * 100 + "end"})
    after = before.replace('"gpt"', '"assistant"').replace("end", "END")
    fix = PlannedFix("roles", "roles", "map the role", True, 1, (Diff(3, 3, before, (after,)),))
    shown = plan_view(plan_of(fix))
    assert re.findall(r"<del>(.*?)</del>", shown) == ["gpt", "end"]
    assert re.findall(r"<ins>(.*?)</ins>", shown) == ["assistant", "END"]
    assert shown.count("hello") < 60, "what is the same is left out where it is long"


def test_a_plan_says_what_is_safe_and_what_is_left() -> None:
    safe = PlannedFix("a", "a", "mend it", True, 1, ())
    unsafe = PlannedFix("b", "b", "drop it", False, 2, ())
    shown = plan_view(plan_of(safe, unsafe))
    assert shown.index("safe") < shown.index("Mend it") < shown.index("to be confirmed") < shown.index("Drop it")
    assert "2 records cannot be read" in shown


def test_lengths_and_labels_are_drawn_and_counts_of_a_split_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    labels = ["red", "green", "blue"]
    rows = [{"prompt": f"{'ab'[n % 2] * (n + 3)} {n * 77}", "completion": labels[n % 3]} for n in range(60)]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    shown = lengths_view(data_card(path))
    assert shown.count("<svg") == 3 and all(label in shown for label in labels)
    result = split_file(path, tmp_path / "split", test=12, validation=0)
    parts = split_view(project_in(tmp_path), result, "tools/split")
    assert f"<b>{result.counts['test']}</b><span>test rows</span>" in parts
    assert "validation rows" not in parts and "No leak" in parts
    assert re.findall(r'href="/files/[^"]*/tools/split/(\w+)\.jsonl"', parts) == ["train", "test"]
