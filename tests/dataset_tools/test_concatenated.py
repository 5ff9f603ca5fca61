from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools.reading.concatenated import is_concatenated, read_concatenated, split_objects

ROWS = [{"prompt": f"question {n}", "completion": {"nested": [n, {"prompt": "inner"}]}} for n in range(6)]
PRETTY = [json.dumps(row, indent=2) for row in ROWS]
COMPACT = [json.dumps(row) for row in ROWS]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("".join(COMPACT), [1] * 6),
        (" ".join(COMPACT), [1] * 6),
        (", ".join(COMPACT) + "\n", [1] * 6),
        (",\n".join(COMPACT), [1, 2, 3, 4, 5, 6]),
        ("\n".join(PRETTY), [1, 12, 23, 34, 45, 56]),
        ("\n\n".join(PRETTY) + "\n", [1, 13, 25, 37, 49, 61]),
        (",\n".join(PRETTY), [1, 12, 23, 34, 45, 56]),
        ("\r\n".join(text.replace("\n", "\r\n") for text in PRETTY), [1, 12, 23, 34, 45, 56]),
        ("}{".join(PRETTY).replace("}}{{", "}{"), [1, 11, 21, 31, 41, 51]),
        ("\n".join(map(" ".join, zip(COMPACT[::2], COMPACT[1::2], strict=True))), [1, 1, 2, 2, 3, 3]),
    ],
)  # fmt: skip
def test_objects_run_together_are_told_and_read_with_their_lines(text: str, lines: list[int]) -> None:
    assert is_concatenated(text.encode())
    parsed = read_concatenated(text)
    assert [row.value for row in parsed.rows] == ROWS
    assert [row.line for row in parsed.rows] == lines
    assert [(problem.check, problem.line) for problem in parsed.problems] == [("objects-run-together", None)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(COMPACT),
        "\n\n".join(COMPACT),
        "\n".join([*COMPACT[:3], '{"prompt": "cut', '{"a": 1,}', "// note", *COMPACT[3:]]),
        "\n".join([COMPACT[0] + COMPACT[1], *COMPACT[2:], COMPACT[0] + " " + COMPACT[1]]),
        "\n".join([PRETTY[0], *COMPACT[1:]]),
        "\n".join([COMPACT[0] + ",", *COMPACT[1:]]),
        COMPACT[0],
        PRETTY[0],
        json.dumps(ROWS, indent=1),
        json.dumps(ROWS),
        "prompt,completion\na,b\n",
        "{name} wrote,b\n{name} read,d\n",
        "",
        "{",
        "{" * 100_000,
    ],
)
def test_other_texts_are_not_taken_for_objects_run_together(text: str) -> None:
    assert not is_concatenated(text.encode())


def test_the_first_bytes_of_a_long_file_tell_it_wherever_they_end() -> None:
    data = "\n".join(PRETTY * 20).encode()
    wanted = range(data.index(b"\n}\n{", 200), len(data), 97)
    assert all(is_concatenated(data[:end]) for end in wanted)
    lines = "\n".join(COMPACT * 20).encode()
    assert not any(is_concatenated(lines[:end]) for end in range(1, len(lines), 97))


def test_objects_longer_than_the_first_mib_are_seen() -> None:
    long = json.dumps({"prompt": "x" * 2**21}, indent=1)
    assert is_concatenated(f"{long}\n{long}".encode())
    assert len(read_concatenated(f"{long}\n{long}").rows) == 2


@pytest.mark.parametrize(
    "broken", ['{"prompt": oops}', '{"prompt": "x", }', '{"prompt": [1, {"a": 2}', '{"prompt": NaN}']
)
@pytest.mark.parametrize("separator", ["\n", "\n\n", ",\n"])
def test_a_broken_object_loses_no_other(broken: str, separator: str) -> None:
    parsed = read_concatenated(separator.join([*PRETTY[:2], broken, *PRETTY[2:]]))
    assert [row.value for row in parsed.rows] == ROWS
    assert [row.record for row in parsed.rows] == [1, 2, 4, 5, 6, 7]
    [problem] = [problem for problem in parsed.problems if problem.check == "invalid-json"]
    assert problem.record == 3
    assert parsed.records == 7


def test_a_broken_object_on_a_line_with_others_loses_none_of_them() -> None:
    parsed = read_concatenated("".join([*COMPACT[:2], '{"prompt": oops, "b": {"c": 1}}', *COMPACT[2:]]))
    assert [row.value for row in parsed.rows] == ROWS


def test_a_broken_pretty_object_is_one_problem_with_its_line() -> None:
    parsed = read_concatenated("\n".join([PRETTY[0], PRETTY[1].replace("question", '"question"'), PRETTY[2]]))
    assert [row.record for row in parsed.rows] == [1, 3]
    assert [(p.line, p.record) for p in parsed.problems if p.check == "invalid-json"] == [(13, 2)]


def test_text_between_objects_is_named() -> None:
    parsed = read_concatenated(f"{PRETTY[0]}\n// a {{note}}\n{PRETTY[1]} and {PRETTY[2]}\n]")
    assert [row.value for row in parsed.rows] == ROWS[:3]
    told = [(problem.line, problem.message) for problem in parsed.problems if problem.check == "invalid-json"]
    assert [line for line, _ in told] == [12, 23, 34]
    assert "// a" in told[0][1] and "and" in told[1][1]


def test_keys_that_come_twice_are_told() -> None:
    parsed = read_concatenated('{"a": 1, "a": 2}{"a": 3}')
    assert ("duplicate-keys", 1, 1) in [(p.check, p.line, p.record) for p in parsed.problems]


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ('{"a": 1} {"b": 2}', [{"a": 1}, {"b": 2}]),
        (' {"a": 1},{"b": {}}, \r', [{"a": 1}, {"b": {}}]),
        ('{"a": 1}', [{"a": 1}]),
        ("", []),
        ('{"a": 1} x {"b": 2}', []),
        ('{"a": 1} [1]', []),
        ('{"a": 1} {"b": NaN}', []),
        ('{"a": 1} {"b": 1e999}', []),
        ('{"a": 1, "a": 2} {"b": 2}', []),
        ('{"a": "\\ud800"} {"b": 2}', []),
        ('{"a": 1} {"b": 2', []),
        ('{"a":' * 100_000, []),
    ],
)
def test_a_line_is_split_only_where_every_object_is_whole(text: str, objects: list[object]) -> None:
    assert split_objects(text) == objects


# Each of these took time in proportion to the square of its length in a reader that looks ahead without a bound.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        '{"a":\n' * 37_000,
        '{"a"},' * 37_000,
        '{"a":1} x ' * 25_000,
        "{\n" * 100_000,
        '{"a\\"},' * 37_000,
        '{"a": "' + '{"b' * 75_000,
        '{"a": 1,\n' * 25_000,
        "{" + "\t\n" * 100_000,
        "".join(f'{{"k{n}": oops}}' for n in range(15_000)),
        '{"a": 1}' * 25_000 + "]" * 25_000,
    ],
)
def test_a_long_text_made_to_be_slow_is_read_in_time(text: str) -> None:
    is_concatenated(text.encode())
    assert read_concatenated(text).records > 0


OBJECTS = st.dictionaries(st.text(max_size=3), st.text('{}",\n', max_size=5) | st.integers(), max_size=3)


@given(
    st.lists(OBJECTS, min_size=1, max_size=6), st.sampled_from(["", " ", "\n", ",", ",\n", "\n\n"]), st.integers(0, 2)
)
def test_whatever_objects_are_run_together_come_back(objects: list[object], separator: str, indent: int) -> None:
    text = separator.join(json.dumps(value, indent=indent or None) for value in objects)
    assert [row.value for row in read_concatenated(text).rows] == objects
    assert split_objects(text) == objects


@given(st.text('{}[]",:\n a1\\', max_size=60))
def test_no_text_crashes_it(text: str) -> None:
    is_concatenated(text.encode())
    parsed = read_concatenated(text)
    assert len(parsed.rows) <= parsed.records
