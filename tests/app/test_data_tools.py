"""What the Data page does to a project's rows: mended, mapped, split, undone; and how single rows are found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.checking import Checks, together, waiting_report
from app.components.working import while_working
from app.pages.data.splitting import size_in
from app.row_reading import as_columns, fields_of, first_usable, guess_task, read_as, row_at
from app.versions import downloads, fixed, own_rows, said_columns, tools_folder, undone, with_columns, with_split
from app.workspace import Project, Workspace
from dataset_tools import DataError, UsageError, lint, load_examples
from dataset_tools.split_files import split_file

Make = Callable[..., Project]
COLUMNS = {"prompt": "Ticket Body", "completion": "Queue We Want"}


def row(prompt: str, completion: str) -> str:
    return json.dumps({"prompt": prompt, "completion": completion})


def good_rows(count: int) -> list[str]:
    return [row(f"What is {number} plus {number * 7}?", f"It is {number * 8}.") for number in range(count)]


def tickets(count: int = 40) -> list[str]:
    queues = ["refund", "delivery", "login"]
    rows = [f"Ticket {number} {'xyzw'[number % 4] * number},{queues[number % 3]},ann" for number in range(count)]
    return ["Ticket Body,Queue We Want,Agent", *rows]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A project with these lines as its training rows."""
    workspace = Workspace(tmp_path / "home")

    def make_project(lines: list[str], name: str = "rows.jsonl", test: list[str] | None = None) -> Project:
        project = workspace.create()
        for role, content in (("training", lines), ("test", test)):
            if content is not None:
                file = tmp_path / "cache" / str(role) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(content) + "\n", "utf-8")
                project = project.add_rows(role, file)  # type: ignore[arg-type]
        return project

    return make_project


def test_a_fix_makes_a_new_file_and_undo_brings_the_old_one_back(make: Make) -> None:
    before = make([*good_rows(20), good_rows(21)[20] + ",", "{broken"])
    kept = before.training_path.read_bytes()
    after = fixed(before, None)
    assert len(load_examples(after.training_path).examples) == 21
    assert before.training_path.read_bytes() == kept
    assert after.history[-1].what == "1 row mended, 1 row left out"
    assert Project.load(after.folder) == after
    again = undone(after)
    assert (again.training, again.history) == (before.training, ())


def test_a_fix_that_finds_nothing_changes_nothing(make: Make) -> None:
    project = make(good_rows(20))
    files = sorted(project.folder.iterdir())
    assert fixed(project, None) == project
    assert sorted(project.folder.iterdir()) == files


def test_what_was_left_out_can_be_downloaded_and_says_why(make: Make) -> None:
    project = fixed(make([*good_rows(20), "{broken"]), None)
    rejects = project.history[-1].rejects
    assert rejects is not None
    (rejected,) = [json.loads(line) for line in downloads(project)[rejects].read_text("utf-8").splitlines()]
    assert (rejected["text"], rejected["check"]) == ("{broken", "invalid-json")


def test_nothing_is_downloaded_but_what_the_project_names(make: Make) -> None:
    project = fixed(make([*good_rows(20), "{broken"]), None)
    found = downloads(project)
    assert "project.json" not in found
    assert all(path.is_file() and project.folder in path.parents for path in found.values())
    assert set(found) == {own_rows(project).name, own_rows(undone(project)).name, project.history[-1].rejects}


def test_an_example_that_is_changed_leaves_the_example_as_it_was(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    example = workspace.open_example("ticket_routing")
    split_file(own_rows(example), tools_folder(example) / "split", test=20, validation=0)
    changed = with_split(example, tools_folder(example) / "split")
    assert changed.title == "Ticket routing, changed here"
    fresh = workspace.open_example("ticket_routing")
    assert fresh.id != changed.id and fresh.history == ()
    assert fresh.training_path.read_bytes() == example.training_path.read_bytes()
    assert undone(changed).title == "Ticket routing"


def test_nothing_can_be_undone_where_nothing_was_done(make: Make) -> None:
    with pytest.raises(UsageError, match="nothing to undo"):
        undone(make(good_rows(3)))


def test_a_test_file_that_is_brought_after_a_change_survives_its_undo(make: Make, tmp_path: Path) -> None:
    project = fixed(make([*good_rows(20), "{broken"]), None)
    file = tmp_path / "later" / "test.jsonl"
    file.parent.mkdir()
    file.write_text(row("q", "a"), "utf-8")
    project = project.add_rows("test", file)
    assert undone(project).test == project.test


def test_another_training_file_forgets_the_changes_of_the_first(make: Make, tmp_path: Path) -> None:
    project = fixed(make([*good_rows(20), "{broken"]), None)
    file = tmp_path / "later" / "other.jsonl"
    file.parent.mkdir()
    file.write_text(row("q", "a"), "utf-8")
    assert project.add_rows("training", file).history == ()


def test_said_columns_stay_with_the_project_and_every_page_can_read_the_rows(make: Make) -> None:
    project = make(tickets(), "tickets.csv")
    uploaded = own_rows(project)
    with pytest.raises(DataError):
        load_examples(project.training_path)
    mapped = with_columns(project, COLUMNS)
    assert Project.load(mapped.folder) == mapped
    assert (own_rows(mapped), said_columns(mapped)) == (uploaded, COLUMNS)
    assert {example.completion for example in load_examples(mapped.training_path).examples} == {
        "refund",
        "delivery",
        "login",
    }
    other = with_columns(mapped, {"prompt": "Ticket Body", "completion": "Agent"})
    assert {example.completion for example in load_examples(other.training_path).examples} == {"ann"}


def test_said_columns_hold_for_test_rows_with_the_same_ones(make: Make) -> None:
    mapped = with_columns(make(tickets(), "tickets.csv", test=tickets(5)), COLUMNS)
    assert mapped.test_path is not None
    assert len(load_examples(mapped.test_path).examples) == 5


def test_columns_that_no_row_has_change_nothing(make: Make) -> None:
    project = make(tickets(), "tickets.csv")
    with pytest.raises(DataError):
        with_columns(project, {"prompt": "Nothing", "completion": "Agent"})
    assert Project.load(project.folder) == project


def test_mapped_rows_are_mended_in_their_own_columns(make: Make) -> None:
    project = with_columns(make([*tickets(), "Ticket 1 y,,ann"], "tickets.csv"), COLUMNS)
    after = fixed(project, ["empty-field"])
    assert said_columns(after) == COLUMNS
    assert "Ticket Body" in own_rows(after).read_text("utf-8")
    assert len(load_examples(after.training_path).examples) == 40
    assert own_rows(undone(after)) == own_rows(project)


def test_a_split_is_taken_over_without_a_leak_and_undone(make: Make) -> None:
    project = make(good_rows(60))
    folder = tools_folder(project) / "split"
    result = split_file(own_rows(project), folder, test=15, validation=0)
    taken = with_split(project, folder)
    assert taken.test_path is not None
    train, test = (load_examples(path).examples for path in (taken.training_path, taken.test_path))
    assert (len(train), len(test)) == (result.counts["train"], result.counts["test"])
    assert not {example.question for example in train} & {example.question for example in test}
    assert (undone(taken).training, undone(taken).test) == (project.training, None)


def test_a_split_of_mapped_rows_is_read_by_every_page(make: Make) -> None:
    project = with_columns(make(tickets(), "tickets.csv"), COLUMNS)
    folder = tools_folder(project) / "split"
    split_file(own_rows(project), folder, test=8, validation=0, columns=COLUMNS)
    taken = with_split(project, folder)
    assert taken.test_path is not None
    assert load_examples(taken.test_path).examples[0].completion in ("refund", "delivery", "login")


def test_a_split_of_other_rows_is_refused(make: Make) -> None:
    project = make([*good_rows(60), "{broken"])
    folder = tools_folder(project) / "split"
    split_file(own_rows(project), folder, test=15, validation=0)
    with pytest.raises(UsageError, match="no split of these rows"):
        with_split(fixed(project, None), folder)


def test_a_row_is_found_by_its_number_wherever_it_is(make: Make) -> None:
    lines = good_rows(450)
    lines[203] = "{broken"
    path = make(lines).training_path
    for number in (1, 200, 201, 400, 401, 450):
        found = row_at(path, number)
        assert found is not None and found.example is not None
        assert found.example.question == f"What is {number - 1} plus {(number - 1) * 7}?"
        assert json.loads(found.text)["completion"] == found.example.completion
    broken = row_at(path, 204)
    assert broken is not None and (broken.text, broken.example) == ("{broken", None)
    assert broken.reason
    assert row_at(path, 451) is None


def test_the_first_row_that_is_shown_can_be_used(make: Make) -> None:
    assert first_usable(make(["{broken", row("a", ""), *good_rows(12)]).training_path) == 3
    assert first_usable(make(["{broken"]).training_path) == 1


@pytest.mark.parametrize("lines", [["[1, 2]"], [row("a", "")], ['{"messages": [{"role": "user", "content": "b"}]}']])
def test_a_row_that_cannot_be_used_has_a_reason(make: Make, lines: list[str]) -> None:
    number = 13
    found = row_at(make([*good_rows(12), *lines]).training_path, number)
    assert found is not None and found.example is None
    assert found.reason and found.text == lines[0]


def test_the_columns_of_a_file_are_told_and_how_they_are_read(make: Make) -> None:
    path = make(tickets(), "tickets.csv").training_path
    assert fields_of(path) == ("Ticket Body", "Queue We Want", "Agent")
    assert read_as(path) == {}
    assert read_as(path, columns=as_columns(COLUMNS)) == COLUMNS
    guess = guess_task(path, columns=as_columns(COLUMNS))
    assert guess is not None and guess.kind == "classification"
    assert read_as(make(good_rows(3)).training_path) == {"prompt": "prompt", "completion": "completion"}


def wait_for(project: Project) -> Any:
    """What is known of a project's rows once all of it is."""
    checks = Checks()
    while not (checked := checks.of(project, patience=0.1)).settled:
        time.sleep(0.05)
    return checked


def test_rows_are_checked_with_the_models_own_tokenizer(
    make: Make, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    checked = wait_for(make([*good_rows(40), row("word " * 3000, "long")]))
    found = {finding.check: finding for finding in checked.report.findings}
    assert checked.tokens == "checked"
    assert "token-lengths" in found
    assert found["answer-truncated"].lines == [41]
    assert checked.report.verdict == "fix_first"
    assert not any("no model was chosen" in line for line in checked.report.skipped)


def test_a_model_that_cannot_be_had_skips_the_checks_that_need_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tmp_path))
    checked = wait_for(make(good_rows(40)))
    assert checked.tokens == "skipped"
    assert "token-lengths: This folder holds no model." in checked.report.skipped
    assert checked.report.usable == 40


def test_test_rows_among_the_training_rows_are_a_leak(
    make: Make, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTING_ROOM_MODEL", str(tiny_model))
    lines = good_rows(40)
    checked = wait_for(make(lines, test=lines[10:12]))
    assert {finding.check: finding.lines for finding in checked.report.findings}["leak-exact"] == [11, 12]


def test_two_reports_make_one_with_the_worse_verdict(tokenizer_rows: Path) -> None:
    plain = lint(tokenizer_rows)
    strict = lint(tokenizer_rows, checks=["structure"])
    merged = together(waiting_report(plain), strict)
    assert merged.findings == plain.findings
    assert merged.verdict == max(plain.verdict, strict.verdict, key=["train", "fix_first", "do_not_train"].index)


@pytest.fixture
def tokenizer_rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*good_rows(30), "{broken"]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "size"), [("", None), (None, None), ("40", 40), ("20%", 0.2), ("0.25", 0.25), ("0,25", 0.25), ("0", 0)]
)
def test_a_size_is_read(text: str | None, size: float | None) -> None:
    assert size_in(text, "Test rows") == size


@pytest.mark.parametrize("text", ["many", "-3", "1.5", "150%", "nan", "inf", "100%"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Test rows"):
        size_in(text, "Test rows")


def test_work_says_how_far_it_is_and_gives_its_result() -> None:
    steps = while_working("part", "Counting", lambda tell: [tell(7), "done"][1])
    said, result = [], None
    while result is None:
        try:
            said.append(next(steps)["part"])
        except StopIteration as stop:
            result = stop.value
    assert result == "done"
    assert "Counting" in said[0] and said[-1] == ""


def test_an_error_of_the_work_is_raised_where_it_is_watched() -> None:
    def fail(tell: object) -> None:
        raise DataError("no rows")

    with pytest.raises(DataError, match="no rows"):
        list(while_working("part", "Failing", fail))
