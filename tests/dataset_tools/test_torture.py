"""Published torture tests, and bytes made to break a reader: every file gives its rows or a plain refusal, in time."""

from __future__ import annotations

import csv
import io
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.errors import DataError
from dataset_tools.reading import Source, UnreadableError, open_rows, read_source

pytestmark = pytest.mark.timeout(120)
JSON = ("json", "jsonl", "concatenated-json")
GOOD = b'{"prompt": "\xc3\xa9t\xc3\xa9", "completion": "b"}\n'


def _read(path: Path) -> Source | None:
    try:
        return read_source(path)
    except DataError as error:
        assert error.next_step
        return None


def _suite(messy: Path, kind: str) -> Iterator[Path]:
    folder = messy / "corpora" / "JSONTestSuite" / "test_parsing"
    return (path for path in sorted(folder.iterdir()) if path.name.startswith(kind))


def test_every_json_text_that_must_be_taken_is_taken(messy: Path) -> None:
    for path in _suite(messy, "y_"):
        value = json.loads(path.read_bytes())
        source = _read(path)
        if not isinstance(value, list | dict):  # a number alone is no file of rows
            continue
        assert source is not None and source.container in JSON, path.name
        assert [row.value for row in source.rows] == (value if isinstance(value, list) else [value]), path.name
        assert {problem.check for problem in source.problems} <= {"duplicate-keys"}, path.name


def test_every_json_text_that_must_be_refused_is_refused(messy: Path) -> None:
    for path in _suite(messy, "n_"):
        source = _read(path)
        if source is not None and source.container in JSON:
            assert {"invalid-json", "lone-surrogate", "encoding"} & {p.check for p in source.problems}, path.name
        elif source is not None:
            assert not path.read_bytes().lstrip().startswith((b"{", b"[1", b'["', b"[{", b"[[")), path.name


def test_no_json_text_that_may_be_taken_or_not_crashes(messy: Path) -> None:
    read = [_read(path) for path in _suite(messy, "i_")]
    assert len(read) > 30 and sum(source is not None for source in read) > 20


@pytest.mark.parametrize("prefix", [GOOD * 50, b"[\n" + (GOOD.strip() + b",\n") * 50])
def test_each_json_text_among_rows_loses_none_of_them(messy: Path, write: Callable[..., Path], prefix: bytes) -> None:
    rows = [json.loads(GOOD)] * 51
    for path in _suite(messy, ""):
        element = path.read_bytes()
        if b"\n" in element or b"\r" in element or len(element) > 1000 or b"\x00" in element:
            continue
        if prefix.startswith(b"["):
            if not element.startswith(b"{") or path.name.startswith("n_structure"):
                continue
            content = prefix + element + b",\n" + GOOD.strip() + b"\n]"
        else:
            content = prefix + element + b"\n" + GOOD
        source = _read(write(content))
        assert source is not None, path.name
        values = [row.value for row in source.rows if row.value == rows[0]]
        assert values == rows, path.name
        if path.name.startswith("n_") and element.strip():
            assert source.problems, path.name


def test_the_csv_spectrum_is_read_as_it_says(messy: Path) -> None:
    folder = messy / "corpora" / "csv-spectrum"
    for path in sorted((folder / "csvs").iterdir()):
        wanted = json.loads((folder / "json" / f"{path.stem}.json").read_text(encoding="utf-8", errors="replace"))
        source = _read(path)
        assert source is not None and source.container == "csv" and source.problems == (), path.name
        rows = [row.value for row in source.rows]
        if path.stem == "location_coordinates":  # the JSON has another phone number, and no list around its row
            assert [set(row) for row in rows if isinstance(row, dict)] == [set(wanted)]
        elif path.stem == "newlines_crlf":  # this copy of the table has lost the CRs that its JSON tells of
            assert json.dumps(rows) == json.dumps(wanted).replace("\\r", "")
        else:
            assert rows == wanted, path.name


def _utf8_tests(messy: Path) -> Iterator[tuple[str, bytes, bool]]:
    """The name of each test, its bytes, and whether they are UTF-8."""
    for line in (messy / "corpora" / "utf8tests" / "utf8tests.txt").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        kind, _, content = rest.partition(":")
        if line.startswith("#"):
            continue
        if kind == "valid":
            yield name, content.encode(), True
        elif kind in ("valid hex", "invalid hex"):
            yield name, bytes.fromhex(content.split(":")[0]), kind == "valid hex"


def test_every_utf_8_sequence_is_kept_and_every_other_told(messy: Path, write: Callable[..., Path]) -> None:
    seen = 0
    for name, content, valid in _utf8_tests(messy):
        if any(byte < 32 or byte in b'"\\' for byte in content):
            continue
        seen += 1
        source = _read(write(GOOD * 20 + b'{"prompt": "' + content + b'"}\n' + GOOD))
        if valid:
            assert source is not None and source.problems == (), name
            assert source.rows[20].value == {"prompt": content.decode("utf-8")}
        elif source is not None:
            assert [(p.check, p.line) for p in source.problems] == [("encoding", 21)], name
            assert "\ufffd" not in str(source.rows[20].value), name
            assert [row.value for row in source.rows if row.record != 21] == [json.loads(GOOD)] * 21
    assert seen > 100


def test_the_file_of_utf_8_sequences_is_read_or_refused(messy: Path) -> None:
    source = _read(messy / "corpora" / "utf8tests" / "utf8tests.bin")
    assert source is None or "encoding" in {problem.check for problem in source.problems}


def test_all_naughty_strings_survive(messy: Path, write: Callable[..., Path]) -> None:
    path = messy / "naughty_strings.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    assert len(rows) == 513
    source = read_source(path)
    assert [row.value for row in source.rows] == rows and source.problems == ()
    assert [row.line for row in source.rows] == list(range(1, 514))
    for content in (json.dumps(rows, ensure_ascii=False), "".join(json.dumps(row, indent=1) for row in rows)):
        assert [row.value for row in read_source(write(content)).rows] == rows


def test_all_naughty_strings_survive_in_a_table(messy: Path, write: Callable[..., Path]) -> None:
    strings = json.loads((messy / "corpora" / "big-list-of-naughty-strings" / "blns.json").read_text(encoding="utf-8"))
    for delimiter in ",;\t":
        file = io.StringIO(newline="")
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("prompt", "completion"), *((text, "x") for text in strings)])
        source = read_source(write(file.getvalue(), "rows.csv"))
        assert [row.value for row in source.rows] == [{"prompt": text, "completion": "x"} for text in strings]


def test_broken_json_of_models_is_read_in_part(messy: Path) -> None:
    source = _read(messy / "corpora" / "json_repair" / "tests" / "invalid.json")
    assert source is not None and source.container == "json" and source.problems


@pytest.mark.parametrize(
    "start",
    [b"", b'{"prompt": "', b"x" * 2**21, b'[{"prompt": "' + b"x" * 2**21],
    ids=["zeros", "row", "text", "array"],
)
def test_a_file_of_5_gb_without_a_line_end_is_refused_without_reading_it(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    try:
        with path.open("wb") as file:
            file.write(start)
            file.truncate(5 * 10**9)
    except OSError:
        pytest.skip("the file system does not take a file of 5 GB")
    if path.stat().st_blocks * 512 > 10**8:
        pytest.skip("the file system does not make sparse files")
    tracemalloc.start()
    with pytest.raises(UnreadableError) as caught:
        open_rows(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.check == ("binary-file" if len(start) < 2**20 else "line-too-long")
    assert caught.value.next_step and peak < 200 * 2**20


def test_a_line_without_end_behind_good_ones_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(GOOD * 2000 + b'{"prompt": "')
        file.truncate(200_000_000)
    tracemalloc.start()
    problems = []
    rows = sum(1 for _ in open_rows(path).read(problems.append))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 2000 and [(p.check, p.line) for p in problems] == [("line-too-long", 2001)]
    assert peak < 150 * 2**20


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 250_000, b"{" * 250_000, b'{"a":' * 50_000, b'[{"a":' * 50_000, b"[[]," * 50_000, b"\n" * 250_000 + b"x",
        b"{\n" * 75_000, b"}{" * 125_000, b'"' * 250_000, b'"\n' * 125_000, b"," * 250_000, b",\n" * 125_000,
        b"\t\n" * 125_000, b'\t"\n' * 75_000, b"<s>" * 75_000, b"[INST]" * 37_000, b"[INST]\n" * 37_000,
        b"\\" * 250_000, b'{"a": "' + b"\\" * 250_000, b"\xff" * 250_000, b"\xff\xfe" + b"a\x00" * 125_000,
        b"\xe2\x80" * 125_000, b"1" * 250_000, b"[" + b"1" * 250_000 + b"]", b'{"a":' + b"1" * 250_000 + b"}\n" + GOOD,
        b"sep=;\n" * 37_000, b"\xef\xbb\xbf" * 75_000, b"-" * 250_000, b"\r" * 250_000 + b"x", b'{"a": 1} ' * 25_000,
        b'{"a": 1}\n,' * 25_000, b"### Human: " * 22_000, b"#" * 250_000,
    ],
    ids=lambda content: repr(content[:8]),
)  # fmt: skip
def test_much_of_the_same_is_read_or_refused_in_time(write: Callable[..., Path], content: bytes) -> None:
    source = _read(write(content))
    assert source is None or len(source.rows) <= source.records


TOKENS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\r\n", b"\t", b";", b'"a"', b"1", b"nul", b"\\u", b"\\",
     b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xe2\x80\xa8", b"<s>", b"[INST]", b"[/INST]", b"### Human:",
     b"sep=;\n",
     b"PK\x03\x04", b"PAR1", b"\x1f\x8b", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"\xd0\xcf\x11\xe0", b" ", b"word ",
     b'{"a": 1}']
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(st.binary(max_size=200) | st.lists(TOKENS, max_size=30).map(b"".join))
def test_no_bytes_crash_the_reader(write: Callable[..., Path], content: bytes) -> None:
    source = _read(write(content))
    if source is not None:
        records = [row.record for row in source.rows]
        assert records == sorted(set(records)) and len(records) <= source.records
        assert all(1 <= row.line <= content.count(b"\n") + content.count(b"\r") + 1 for row in source.rows)


def test_no_damage_to_a_real_file_crashes_the_reader(messy: Path, write: Callable[..., Path]) -> None:
    draw = random.Random(0)
    for path in sorted(path for path in messy.iterdir() if path.suffix in (".jsonl", ".json", ".csv", ".tsv", ".txt")):
        data = path.read_bytes()[:30_000]
        for _ in range(6):
            spoiled = bytearray(data)
            for _ in range(draw.choice((1, 5, 200))):
                place = draw.randrange(len(spoiled))
                spoiled[place : place + draw.choice((0, 1, 1, 50))] = draw.choice(
                    (b'"', b"\n", b"{", b"}", b"\xff", b"")
                )
            source = _read(write(bytes(spoiled)))
            assert source is None or len(source.rows) <= source.records
