from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.errors import DiskFullError
from dataset_tools.writing import (
    append_jsonl_line,
    json_line,
    write_bytes_atomically,
    write_jsonl,
    write_text_atomically,
)

DISK_FULL = OSError(errno.ENOSPC, "No space left on device")


def test_text_is_written_as_it_is_and_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    write_text_atomically(path, "one\r\ntwo\u2028é\n")
    assert path.read_bytes() == "one\r\ntwo\u2028é\n".encode()


def test_an_old_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_text_atomically(link, "new")
    assert target.read_text() == "precious"
    assert not link.is_symlink() and link.read_text() == "new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(*_: object) -> None:
        raise DISK_FULL

    monkeypatch.setattr(os, step, full)
    with pytest.raises(DiskFullError, match="no space"):
        write_text_atomically(path, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_another_os_error_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_text_atomically(tmp_path / "folder", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_rows_come_back_from_json_lines(tmp_path: Path) -> None:
    rows = [{"prompt": "a\nb\u2028", "completion": "\ud800"}, {"n": 1.5}, None]
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, iter(rows)) == 3
    assert [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] == rows


def test_appended_lines_come_back_and_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_jsonl_line(path, {"step": 1})
    with path.open("ab") as file:
        file.write(b'{"step": 2, "lo')
    append_jsonl_line(path, {"step": 3})
    assert path.read_bytes() == b'{"step": 1}\n{"step": 2, "lo\n{"step": 3}\n'


def test_nan_is_refused_because_it_is_not_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        json_line({"loss": float("nan")})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_makes_one_line_that_gives_it_back(value: object) -> None:
    line = json_line(value)
    assert line.count(b"\n") == 1 and json.loads(line) == value
