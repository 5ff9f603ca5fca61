from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_tools.errors import DataError, UsageError
from dataset_tools.reading import UnreadableError, opening, read_source


def test_a_missing_file_is_named_and_a_close_name_offered(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    with pytest.raises(UsageError, match=r"did you mean train\.jsonl\?"):
        read_source(tmp_path / "trian.jsonl")
    with pytest.raises(UsageError, match="check the path"):
        read_source(tmp_path / "no" / "such" / "folder.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        read_source(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        read_source(tmp_path / "pipe")


@pytest.mark.parametrize("content", [b"", b"\n \t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_an_empty_file_is_refused(write: Callable[..., Path], content: bytes) -> None:
    with pytest.raises(DataError, match="empty") as caught:
        read_source(write(content))
    assert isinstance(caught.value, UnreadableError) and caught.value.check == "empty-file"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"PK\x03\x04\x14\x00", "ZIP"),
        (b"\x89PNG\r\n\x1a\n\x00", "PNG"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (bytes(range(256)) * 40, "control bytes"),
        (b'{"prompt": "\x00\x01\x02\x03"}', "control bytes"),
    ],
)
def test_a_binary_file_is_refused_and_named(write: Callable[..., Path], content: bytes, kind: str) -> None:
    with pytest.raises(UnreadableError, match=kind) as caught:
        read_source(write(content))
    assert caught.value.check == "binary-file" and caught.value.next_step


def test_a_stray_nul_in_a_long_text_does_not_make_it_binary(write: Callable[..., Path]) -> None:
    text = '{"prompt": "a", "completion": "b"}\n' * 50
    source = read_source(write(text + '{"prompt": "\x00"}\n' + text))
    assert len(source.rows) == 100
    assert [(problem.check, problem.line) for problem in source.problems] == [("invalid-json", 51)]


@pytest.mark.parametrize("content", ['[{"prompt": "a"}]', "prompt,completion\na,b\n", '{"a": 1}\n'.encode("utf-16")])
def test_a_file_over_the_limit_is_refused_before_it_is_read(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, content: str | bytes
) -> None:
    monkeypatch.setattr(opening, "MAX_BYTES", 10)
    with pytest.raises(UnreadableError, match="too large") as caught:
        read_source(write(content))
    assert caught.value.check == "too-large"


def test_json_lines_may_have_any_size(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_BYTES", 10)
    assert len(read_source(write('{"prompt": "a"}\n' * 5)).rows) == 5
