"""Objects run together are read a few at a time, with the rows and the problems of reading them whole."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.reading import Problem, array_stream
from dataset_tools.reading.concatenated import read_concatenated
from dataset_tools.reading.object_stream import stream_objects
from dataset_tools.reading.source import Place

SOUND = ['{"prompt": "a", "completion": "b"}', '{\n  "prompt": "}{",\n  "completion": "d"\n}', '{"prompt": "\\u00e9"}']
ODD = [
    '{"prompt": "c", "prompt": "d"}',
    '{"prompt": NaN}',
    '{"prompt": "broken", }',
    '{"prompt": "a" "completion": "b"}',
    '{"prompt": "\\ud800"}',
    '{"prompt": {"deep": oops}, "b": {"c": 1}}',
    "// a note",
    "7",
    "]",
]


def _streamed(text: str) -> tuple[list[Place], list[Problem]]:
    @contextmanager
    def opened() -> Iterator[TextIO]:
        yield io.StringIO(text, newline="")

    problems: list[Problem] = []
    return list(stream_objects(opened, problems.append)), _sorted(problems)


def _whole(text: str) -> tuple[list[Place], list[Problem]]:
    parsed = read_concatenated(text)
    return [(row.line, row.record, row.value) for row in parsed.rows], _sorted(parsed.problems)


def _sorted(problems: list[Problem]) -> list[Problem]:
    """Without columns, which are counted from another place, and in one order."""
    plain = (replace(problem, message=re.sub(r"at column \d+", "", problem.message)) for problem in problems)
    return sorted(plain, key=repr)


@pytest.mark.parametrize("between", ["", " ", ",", ",\n", "\n", " \n\n "])
@pytest.mark.parametrize("end", ["", "\n", '{"prompt": "cut o', " and more"])
def test_objects_in_steps_are_the_objects_whole(monkeypatch: pytest.MonkeyPatch, between: str, end: str) -> None:
    monkeypatch.setattr(array_stream, "_CHUNK", 37)
    rng = random.Random(0)
    text = " \n" + between.join(rng.choice(SOUND) for _ in range(80)) + end
    assert _streamed(text) == _whole(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SOUND * 3 + ODD), min_size=1, max_size=14), st.sampled_from(["", " ", ",\n", "\n\n"]))
def test_faults_among_objects_are_those_of_reading_them_whole(objects: list[str], between: str) -> None:
    text = between.join([SOUND[0], *objects])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_stream, "_CHUNK", 37)
        assert _streamed(text) == _whole(text)
