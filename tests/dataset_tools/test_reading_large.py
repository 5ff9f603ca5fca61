"""Large tables and arrays are read a few rows at a time, with the rows and the problems of reading them whole."""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.lint import lint
from dataset_tools.reading import Problem, array_stream, open_rows, read_source, reader
from dataset_tools.reading.array_stream import stream_array
from dataset_tools.reading.json_array import read_json
from dataset_tools.reading.source import Place

ELEMENTS = st.sampled_from(
    [
        '{"prompt": "a", "completion": "b"}',
        '{"prompt":\n "a",\n "completion": "}, {\\"prompt\\": 1"}',
        '{"prompt": "c", "prompt": "d", "completion": "e"}',
        '{"prompt": NaN}',
        '"text"',
        "12",
        "[1, 2]",
        '{"prompt": "broken", }',
        '{"prompt": "a" "completion": "b"}',
        '{"prompt": "\\ud800"}',
    ]
)
SOUND = ['{"prompt": "a", "completion": "b"}', '{"prompt": "c",\n "completion": "d, [e]"}', '{"prompt": "\\u00e9"}']


def _streamed(text: str) -> tuple[list[Place], list[Problem]]:
    @contextmanager
    def opened() -> Iterator[TextIO]:
        yield io.StringIO(text, newline="")

    problems: list[Problem] = []
    return list(stream_array(opened, problems.append)), problems


def _whole(text: str) -> tuple[list[Place], list[Problem]]:
    parsed = read_json(text)
    return [(row.line, row.record, row.value) for row in parsed.rows], parsed.problems


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps so small that elements are cut by them, as a large file's are now and then."""
    monkeypatch.setattr(array_stream, "_CHUNK", 37)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("between", [", ", ",\n", "\n  ,\n\n  "])
@pytest.mark.parametrize("end", ["]", "\n]\n", ",]", "", "] more", ',\n  {"prompt": "cut o'])
def test_an_array_in_steps_is_the_array_whole(between: str, end: str) -> None:
    rng = random.Random(0)
    text = " \n[\n  " + between.join(rng.choice(SOUND) for _ in range(60)) + end
    assert _streamed(text) == _whole(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(ELEMENTS, max_size=12), st.sampled_from([", ", ",\n  ", "\n"]), st.sampled_from(["]", "\n]", "", ",]"]))
def test_faults_in_an_array_are_those_of_reading_it_whole(elements: list[str], between: str, end: str) -> None:
    text = "[\n  " + between.join(elements) + end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_stream, "_CHUNK", 37)
        streamed, whole = _streamed(text), _whole(text)
    assert streamed[0] == whole[0]
    assert _without_columns(streamed[1]) == _without_columns(whole[1])


def _without_columns(problems: list[Problem]) -> list[Problem]:
    return [replace(problem, message=re.sub(r"at column \d+", "", problem.message)) for problem in problems]


TABLES = {
    "plain": "prompt,completion\n" + "".join(f'question {n},"answer, {n}"\n' for n in range(400)),
    "lines in cells": "prompt\tcompletion\r\n" + "".join(f'"a\nb {n}"\tc\r\n' for n in range(400)),
    "plain quotes": "prompt\tcompletion\n" + "".join(f'say "hi {n}\tc\n' for n in range(400)),
    "no header": "".join(f"This is the long question number {n}.,Yes it is number {n}.\n" for n in range(400)),
    "faults": "sep=;\nprompt;completion\n" + "".join(f"a {n};b{';c' * (n % 50 == 3)}\n\n" for n in range(400)),
    "stray quote": "prompt,completion\n" + "".join(f"{chr(34) * (n == 200)}a {n},b\n" for n in range(400)),
    "byte order mark": "\ufeffprompt,completion\n" + "a,é\n" * 400,
    "old line ends": "prompt,completion\r" + "a,b\r" * 400,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_large_table_is_read_as_a_small_one_is(
    name: str, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(TABLES[name], "rows.csv")
    held = read_source(path)
    monkeypatch.setattr(reader, "HELD_BYTES", 100)
    stream = open_rows(path)
    streamed = read_source(path)
    assert (streamed.rows, streamed.columns, streamed.container) == (held.rows, held.columns, held.container)
    order = sorted(streamed.problems, key=repr)
    assert order == sorted(held.problems, key=repr)
    assert list(stream.read(lambda problem: None)) == list(stream.read(lambda problem: None))


def test_lint_says_the_same_of_a_large_table_and_array(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"question {n % 90}", "completion": "" if n == 50 else "yes"} for n in range(200)]
    paths = [write(TABLES["faults"], "rows.csv"), write(json.dumps(rows, indent=1), "rows.json")]
    held = [lint(path).to_dict() for path in paths]
    monkeypatch.setattr(reader, "HELD_BYTES", 100)
    assert [lint(path).to_dict() for path in paths] == held


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_memory_does_not_grow_with_a_table_or_an_array(kind: str, tmp_path: Path) -> None:
    """Structure alone of 12 MB and of 48 MB, each in a process of its own: as much memory for both."""
    code = (
        "import resource, sys; from pathlib import Path; from dataset_tools.lint import lint\n"
        "report = lint(Path(sys.argv[1]), checks=['structure'])\n"
        "print(report.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    text = "word " * 190
    peaks = []
    for count in (12_000, 48_000):
        path = tmp_path / f"{count}.{kind}"
        with path.open("w") as file:
            file.write("prompt,completion\n" if kind == "csv" else "[\n")
            for number in range(count):
                row = f"{number} {text},yes\n" if kind == "csv" else json.dumps({"prompt": text, "completion": "yes"})
                file.write(row if kind == "csv" else (",\n" if number else "") + row)
            file.write("" if kind == "csv" else "]")
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        rows, peak = map(int, done.stdout.split())
        assert rows == count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 20_000  # KB; the 36 MB more would be there twice if held
