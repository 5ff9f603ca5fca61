from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_tools.reading import Problem, UnreadableError, open_rows, read_source

MAP = pyarrow.map_(pyarrow.string(), pyarrow.float64())
ROWS = [{"prompt": f"q {n}", "completion": None if n == 3 else "é\n" * n} for n in range(1000)]


def _parquet(table: pyarrow.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, **options)
    return file.getvalue()


def _arrow_file(table: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    with pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    return file.getvalue()


def _arrow_stream(table: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    with pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    return file.getvalue()


@pytest.mark.parametrize("save", [_parquet, _arrow_file, _arrow_stream])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_rows_come_with_their_record_as_line(
    write: Callable[..., Path], save: Callable[[pyarrow.Table], bytes], pack: Callable[[bytes], bytes]
) -> None:
    source = read_source(write(pack(save(pyarrow.Table.from_pylist(ROWS)))))
    assert source.container == "parquet" and source.columns == ("prompt", "completion")
    assert [row.value for row in source.rows] == ROWS
    assert [(row.line, row.record) for row in source.rows] == [(n, n) for n in range(1, 1001)]
    assert source.problems == ()


def test_rows_are_read_again_and_by_two_readers_at_once(write: Callable[..., Path]) -> None:
    stream = open_rows(write(_parquet(pyarrow.Table.from_pylist(ROWS))))
    problems: list[Problem] = []
    pairs = zip(stream.read(problems.append), stream.read(problems.append), strict=True)
    assert all(first == second for first, second in pairs)
    assert len(list(stream.read(problems.append))) == len(ROWS)


def test_the_index_of_pandas_is_left_out(messy: Path) -> None:
    source = read_source(messy / "tldr_columns.parquet")
    assert source.columns == ("instruction", "response", "source")
    assert len(source.rows) == json.loads((messy / "expected.json").read_text())["tldr_columns.parquet"]["units_total"]


def test_nested_columns_come_as_lists_and_objects(messy: Path) -> None:
    source = read_source(messy / "coffee_messages.parquet")
    assert len(source.rows) == 120
    for row in source.rows:
        assert isinstance(row.value, dict)
        assert all(set(message) == {"role", "content"} for message in row.value["messages"])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pyarrow.array([datetime.date(2024, 2, 29), None]), ["2024-02-29", None]),
        (pyarrow.array([datetime.datetime(2024, 2, 29, 1, 2, 3)], pyarrow.timestamp("us")), ["2024-02-29T01:02:03"]),
        (pyarrow.array([1_700_000_000], pyarrow.timestamp("s", "UTC")), ["2023-11-14T22:13:20+00:00"]),
        (pyarrow.array([datetime.time(1, 2)]), ["01:02:00"]),
        (pyarrow.array([decimal.Decimal("3.50")]), ["3.50"]),
        (pyarrow.array([1.5, float("nan"), float("inf")]), [1.5, None, None]),
        (pyarrow.array([True, None]), [True, None]),
        (pyarrow.array([2**63], pyarrow.uint64()), [2**63]),
        (pyarrow.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pyarrow.array(["é".encode(), None]), ["é", None]),
        (pyarrow.array([[b"a", b"b"]]), [["a", "b"]]),
        (pyarrow.array([[("k", 1.5)], [], None], MAP), [{"k": 1.5}, [], None]),
        (pyarrow.array([{"a": [{"b": datetime.date(2024, 1, 1)}]}]), [{"a": [{"b": "2024-01-01"}]}]),
        (pyarrow.array([["a"], []], pyarrow.large_list(pyarrow.large_string())), [["a"], []]),
        (pyarrow.nulls(2), [None, None]),
    ],
)  # fmt: skip
def test_every_kind_of_column_becomes_plain_values(
    write: Callable[..., Path], column: pyarrow.Array, values: list[object]
) -> None:
    source = read_source(write(_parquet(pyarrow.table({"x": column}))))
    assert [row.value for row in source.rows] == [{"x": value} for value in values]
    assert json.dumps(values, allow_nan=False) and source.problems == ()


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([b"good", b"\xff\x00", b"fine"]),
        pyarrow.array([{"bytes": b"good"}, {"bytes": b"\x89PNG\xff"}, None]),
        pyarrow.Array.from_buffers(
            pyarrow.string(), 3, pyarrow.array([b"good", b"\xff\x00", b"fine"]).buffers()
        ),
        pyarrow.array([0, 2**62, 1], pyarrow.timestamp("s")),
    ],
)  # fmt: skip
def test_a_value_that_is_no_text_is_told_and_only_that_value_left_out(
    write: Callable[..., Path], column: pyarrow.Array
) -> None:
    source = read_source(write(_arrow_file(pyarrow.table({"prompt": ["a", "b", "c"], "x": column}))))
    assert [row.value["prompt"] for row in source.rows if isinstance(row.value, dict)] == ["a", "b", "c"]
    assert [row.value["x"] is None for row in source.rows if isinstance(row.value, dict)][:2] == [False, True]
    assert [(p.check, p.record) for p in source.problems] == [("unreadable-value", 2)]


def test_two_columns_of_one_name_are_told(write: Callable[..., Path]) -> None:
    table = pyarrow.table([["a"], ["b"]], names=["x", "x"])
    assert [problem.check for problem in read_source(write(_arrow_file(table))).problems] == ["duplicate-keys"]


@pytest.mark.parametrize("save", [_parquet, _arrow_file, _arrow_stream])
@pytest.mark.parametrize(
    "table", [pyarrow.table({"x": pyarrow.array([], pyarrow.string())}), pyarrow.table({"__index_level_0__": [1]})]
)
def test_a_file_without_rows_is_empty(
    write: Callable[..., Path], save: Callable[[pyarrow.Table], bytes], table: pyarrow.Table
) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_source(write(save(table)))
    assert caught.value.check == "empty-file"


@pytest.mark.parametrize("save", [_parquet, _arrow_file])
def test_a_broken_file_is_refused_and_named(write: Callable[..., Path], save: Callable[[pyarrow.Table], bytes]) -> None:
    data = save(pyarrow.Table.from_pylist(ROWS))
    for cut in (8, 100, len(data) - 20):
        with pytest.raises(UnreadableError, match=r"Parquet|Arrow") as caught:
            read_source(write(data[:cut]))
        assert caught.value.check == "binary-file" and caught.value.next_step


def test_a_file_that_breaks_off_gives_the_rows_before_and_says_so(write: Callable[..., Path]) -> None:
    data = _arrow_stream(pyarrow.Table.from_pylist(ROWS))
    source = read_source(write(data[: len(data) * 3 // 4]))
    assert [row.value for row in source.rows] == ROWS[: len(source.rows)]
    assert 0 < len(source.rows) < 1000
    [problem] = source.problems
    assert problem.check == "binary-file" and problem.record == len(source.rows) + 1


def test_no_damage_crashes_the_reader(write: Callable[..., Path]) -> None:
    draw = random.Random(0)
    table = pyarrow.Table.from_pylist(ROWS[:50])
    for data in (_parquet(table), _parquet(table, compression="none"), _arrow_file(table), _arrow_stream(table)):
        for _ in range(40):
            spoiled = bytearray(data)
            for _ in range(draw.choice((1, 3, 20))):
                spoiled[draw.randrange(len(data))] = draw.randrange(256)
            try:
                source = read_source(write(bytes(spoiled)))
            except UnreadableError:
                continue
            assert len(source.rows) <= source.records


def test_a_large_file_is_not_held_in_memory(write: Callable[..., Path]) -> None:
    draw = random.Random(0)
    rows = [{"prompt": draw.randbytes(20_000).hex()} for _ in range(1000)]
    path = write(
        _parquet(pyarrow.Table.from_pylist(rows), compression="none", use_dictionary=False, write_batch_size=16)
    )
    del rows
    before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    held = 0
    for _ in open_rows(path).read(lambda problem: None):
        held = max(held, pyarrow.total_allocated_bytes() - before)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 39_000_000
    assert held < 20_000_000 and peak < 25_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.lists(st.text(max_size=3), max_size=2)), min_size=1, max_size=5))
def test_what_was_written_is_read_back(write: Callable[..., Path], pairs: list[tuple[str, list[str]]]) -> None:
    rows = [{"a": text, "b": parts} for text, parts in pairs]
    assert [row.value for row in read_source(write(_parquet(pyarrow.Table.from_pylist(rows)))).rows] == rows
