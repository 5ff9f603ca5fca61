"""Projects on the disk: files are moved in under names of ours, and nothing is looked up by a path from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.workspace import Project, Workspace, find
from dataset_tools import DataError, RunError, UsageError
from training.runs.folder import RunFolder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home")


def uploaded(folder: Path, name: str, text: str = "text") -> Path:
    """A file as the upload cache holds it: in a folder of its own."""
    file = folder / "cache" / str(len(list(folder.rglob("*")))) / name
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    return file


def test_a_project_is_the_same_after_a_restart(workspace: Workspace, tmp_path: Path) -> None:
    project = workspace.create().add_rows("training", uploaded(tmp_path, "rows.csv"))
    project = project.add_rows("test", uploaded(tmp_path, "test.csv"))
    project = project.add_documents([uploaded(tmp_path, "a.md"), uploaded(tmp_path, "b.txt")])
    project = project.with_run(RunFolder(tmp_path / "some-run"))
    assert Workspace(workspace.root).project(project.id) == project
    assert Project.load(project.folder) == project


def test_an_upload_is_moved_not_copied(workspace: Workspace, tmp_path: Path) -> None:
    upload = uploaded(tmp_path, "rows.jsonl", "content")
    project = workspace.create().add_rows("training", upload)
    assert project.training_path.read_text("utf-8") == "content"
    assert not upload.parent.exists()


@pytest.mark.parametrize("name", ["rows.jsonl\x7f", "..rows", "rows.exe", "CON.jsonl", "=cmd.csv", "é" * 90 + ".csv"])
def test_a_file_gets_a_name_of_ours(workspace: Workspace, tmp_path: Path, name: str) -> None:
    project = workspace.create().add_rows("training", uploaded(tmp_path, name))
    assert project.training_path.parent == project.folder
    assert project.training_path.name.removeprefix("training-")[6:] in (".jsonl", ".csv", ".data")
    assert project.training is not None
    assert len(project.training.name) <= 80
    assert project.training.name.isprintable()


def test_documents_of_one_name_do_not_overwrite_each_other(workspace: Workspace, tmp_path: Path) -> None:
    files = [uploaded(tmp_path, "Page.md", str(number)) for number in range(3)]
    project = workspace.create().add_documents(files)
    assert {project.path_of(stored).read_text("utf-8") for stored in project.documents} == {"0", "1", "2"}
    assert {project.path_of(stored).parent for stored in project.documents} == {project.documents_path}


def test_a_second_test_file_leaves_the_first_for_the_comparisons_that_used_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = workspace.create().add_rows("test", uploaded(tmp_path, "one.jsonl", "1"))
    second = first.add_rows("test", uploaded(tmp_path, "two.jsonl", "2"))
    assert first.test_path is not None
    assert first.test_path.read_text("utf-8") == "1"
    assert second.test_path != first.test_path


@pytest.mark.parametrize("asked", ["../..", "/etc", "", "no-such-project"])
def test_an_unknown_id_gives_the_project_used_last(workspace: Workspace, asked: str) -> None:
    project = workspace.create()
    assert workspace.project(asked) == project


def test_a_damaged_project_hides_no_other(workspace: Workspace) -> None:
    broken, whole = workspace.create(), workspace.create()
    (broken.folder / "project.json").write_text("{", "utf-8")
    assert workspace.projects() == [whole]
    with pytest.raises(RunError):
        Project.load(broken.folder)


def test_a_bundled_example_is_copied_once(workspace: Workspace) -> None:
    first = workspace.open_example("support_desk")
    assert workspace.open_example("support_desk") == first
    assert len(workspace.projects()) == 1
    assert first.documents_path is not None
    assert len(list(first.documents_path.iterdir())) == len(first.documents) == 18


def test_an_error_names_the_users_file(workspace: Workspace, tmp_path: Path) -> None:
    project = workspace.create().add_rows("training", uploaded(tmp_path, "mine.jsonl"))
    error = DataError("bad", where=f"{project.training_path}:7", next_step=f"look at {project.training_path}")
    shown = project.in_user_words(error)
    assert (shown.what, shown.where, shown.next_step) == ("bad", "mine.jsonl:7", "look at mine.jsonl")


def test_a_project_without_rows_says_so(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="no examples yet"):
        _ = workspace.create().training_path


def test_a_run_is_found_by_its_name_alone(tmp_path: Path) -> None:
    runs = [RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")]
    assert find(runs, "b") == runs[1]
    assert find(runs, "../a") is None
    assert find(runs, None) is None


def test_an_opened_comparison_comes_first_and_once(tmp_path: Path) -> None:
    opened = tmp_path / "elsewhere"
    assert Workspace(tmp_path, opened=opened).comparisons()[0] == RunFolder(opened)
