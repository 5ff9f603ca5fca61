from __future__ import annotations

import gc
import gzip
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from dataset_tools.reading import UnreadableError, open_rows, packed, read_source

ROWS = [{"prompt": f"question {n}", "completion": "é" * n} for n in range(300)]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


def _zstd(data: bytes) -> bytes:
    packed_data: bytes = pyarrow.compress(data, codec="zstd", asbytes=True)
    return packed_data


PACK = pytest.mark.parametrize("pack", [gzip.compress, _zstd])


@PACK
@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.jsonl"])
def test_packed_rows_are_read_whatever_the_name(
    write: Callable[..., Path], pack: Callable[[bytes], bytes], name: str
) -> None:
    source = read_source(write(pack(LINES), name))
    assert (source.container, source.encoding, source.path.name) == ("jsonl", "utf-8", name)
    assert [row.value for row in source.rows] == ROWS and source.problems == ()


@PACK
@pytest.mark.parametrize(
    ("content", "container"),
    [
        (json.dumps(ROWS), "json"),
        ("prompt,completion\na,b\n", "csv"),
        ("<s>[INST] a [/INST] b </s>\n" * 3, "text"),
        ('{"a": 1}{"b": 2}', "concatenated-json"),
    ],
)
def test_every_container_may_be_packed(
    write: Callable[..., Path], pack: Callable[[bytes], bytes], content: str, container: str
) -> None:
    assert read_source(write(pack(content.encode()))).container == container


@PACK
def test_archives_one_after_the_other_are_one_file(write: Callable[..., Path], pack: Callable[[bytes], bytes]) -> None:
    source = read_source(write(pack(LINES[:1000]) + pack(LINES[1000:])))
    assert [row.value for row in source.rows] == ROWS


@PACK
def test_a_broken_archive_is_refused_and_not_read_in_part(
    write: Callable[..., Path], pack: Callable[[bytes], bytes]
) -> None:
    data = pack(LINES * 20)
    for broken in (data[:100], data[: len(data) // 2], data[:-3], data[:200] + bytes(50) + data[250:]):
        with pytest.raises(UnreadableError, match="broken") as caught:
            read_source(write(broken))
        assert caught.value.check == "binary-file" and caught.value.next_step


@PACK
def test_an_archive_with_nothing_or_no_text_in_it_says_so(
    write: Callable[..., Path], pack: Callable[[bytes], bytes]
) -> None:
    for content, check in ((b"", "empty-file"), (b"\n \n", "empty-file"), (bytes(5000), "binary-file")):
        with pytest.raises(UnreadableError) as caught:
            read_source(write(pack(content)))
        assert caught.value.check == check
    with pytest.raises(UnreadableError, match=r"gzip|zstd"):
        read_source(write(pack(pack(LINES))))


@PACK
def test_a_bomb_is_stopped_at_the_cap_and_leaves_nothing_behind(
    write: Callable[..., Path], pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(packed, "MAX_UNPACKED", 5_000_000)
    path = write(pack(b'{"prompt": "' + b"a" * 50_000_000 + b'"}\n'))
    assert path.stat().st_size < 60_000
    with pytest.raises(UnreadableError) as caught:
        read_source(path)
    assert caught.value.check == "too-large"
    del caught
    gc.collect()
    assert list(folder.iterdir()) == []


@PACK
def test_the_unpacked_file_lives_as_long_as_it_is_read(
    write: Callable[..., Path], pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    stream = open_rows(write(pack(LINES)))
    assert [value for _, _, value in stream.read(lambda problem: None)] == ROWS
    assert [value for _, _, value in stream.read(lambda problem: None)] == ROWS
    assert len(list(folder.iterdir())) == 1
    rows = stream.read(lambda problem: None)
    next(rows)
    del stream
    assert len(list(rows)) == len(ROWS) - 1
    del rows
    gc.collect()
    assert list(folder.iterdir()) == []


@PACK
def test_no_damage_crashes_the_reader(write: Callable[..., Path], pack: Callable[[bytes], bytes]) -> None:
    draw = random.Random(0)
    data = pack(LINES)
    for _ in range(100):
        spoiled = bytearray(data)
        for _ in range(draw.choice((1, 3, 20))):
            spoiled[draw.randrange(len(data))] = draw.randrange(256)
        try:
            source = read_source(write(bytes(spoiled)))
        except UnreadableError:
            continue
        assert len(source.rows) <= source.records
