from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.repairs import MAX_CHARS, MENDS, Repair, repair, repair_elements, repaired_rows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
HELD = {"a": "x", "b": [1, {"c": None}]}


def _lone_free(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "mends"),
    [
        ('{"a": "x", "b": [1, {"c": null,},],}', ("trailing-comma",)),
        ('{"a": "x", "b": [1, {"c": null}]},', ("comma-after-row",)),
        ("{'a': 'x', 'b': [1, {'c': None}]}", ("single-quotes", "python-literal")),
        ("{u'a': u'x', u'b': [1, {u'c': None}]}", ("single-quotes", "python-literal")),
        ('{"a": "x", "b": [1, {"c": NaN}]}', ("nan",)),
        ('{"a": "x", "b": [1, {"c": -Infinity}]}', ("nan",)),
        ('{"a": "x", "b": [1, {"c": 1e999}]}', ("nan",)),
        ('{\u201ca\u201d: \u201cx\u201d, "b": [1, {"c": null}]}', ("curly-quotes",)),
        ('{a: "x", b: [1, {c: null}]}', ("bare-key",)),
        ('{"a": "x", "b": [1, {"c": null}]} // checked', ("comment",)),
        ('{"a": "x", /* why? */ "b": [1, {"c": null}]}', ("comment",)),
        ('\ufeff{"a":\u00a0"x", "b": [1, {"c": null}]}', ("odd-blank",)),
        ('{\n  "a": "x",\n  "b": [1, {"c": null}]\n}', ("several-lines",)),
        ('{"a": "y", "a": "x", "b": [1, {"c": null}]}', ("duplicate-key",)),
        ("{'a': 'x', \"b\": [1, {\"c\": NaN,}]},", ("trailing-comma", "comma-after-row", "single-quotes", "nan")),
    ],
)
def test_each_kind_of_fault_is_read_as_it_was_meant_and_named(text: str, mends: tuple[str, ...]) -> None:
    assert repair(text) == Repair((HELD,), mends)


def test_objects_that_share_a_line_come_apart() -> None:
    for between in ("", " ", ", "):
        found = repair(f'{{"a": 1}}{between}{{"b": 2}}')
        assert found is not None
        assert found.rows == ({"a": 1}, {"b": 2})
        assert found.safe


@pytest.mark.parametrize("text", ["# exported", '// {"a": 1}', "/* a */  // b"])
def test_a_comment_holds_no_row_and_is_told_from_a_text_that_cannot_be_read(text: str) -> None:
    assert repair(text) == Repair((), ("comment",))
    assert repaired_rows(text) == []


@pytest.mark.parametrize(
    ("text", "meant", "mends"),
    [
        ('{"a": "tab\there"}', "tab\there", ("control-character",)),
        ('{"a": "C:\\dir \\x41"}', "C:\\dir A", ("bad-escape",)),
        ("{'a': 'it\\'s \\x07 \\U0001f600'}", "it's \x07 \U0001f600", ("single-quotes",)),
        ('{"a": "half \\ud83d"}', "half \ufffd", ("lone-surrogate",)),
        ("{'a': '\\ud83d\\ude00'}", "\U0001f600", ("single-quotes",)),
    ],
)
def test_what_is_odd_inside_a_string_is_kept_as_its_letters(text: str, meant: str, mends: tuple[str, ...]) -> None:
    assert repair(text) == Repair(({"a": meant},), mends)


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": "Trivia: Wh',
        '{"a": 1',
        '{"a": 1}}',
        '{"a": 1} x',
        "{'a': 'it's'}",
        "{\u201ca\u201d: \u201che said \u201cno\u201d to me\u201d}",
        '{"a" "b"}',
        '{"a": }',
        '{,"a": 1}',
        '{"a": 1,, "b": 2}',
        '{"a": [1 2]}',
        '{"a": (1, 2)}',
        "{'a': b'x'}",
        '{"a": undefined}',
        '{"a": 01}',
        '{"a": 1.}',
        '{"a": 0x10}',
        '{"a": "x" "y"}',
        '["a", "b",]',
        '"a",',
        "",
        ",",
        "}",
        '{"a": 1}\n]',
        '{"a": ' * 2000,
        '{"a": /* ',
        '{"a": "\\',
        '{"a": ' + "9" * 5000 + ",}",
    ],
)
def test_what_is_not_certain_is_left_alone(text: str) -> None:
    assert repair(text) is None
    assert repaired_rows(text) == []


@given(st.lists(OBJECTS.filter(_lone_free), min_size=1, max_size=3))
def test_what_python_prints_is_read_back(rows: list[dict[str, Any]]) -> None:
    text = " ".join(map(repr, rows))
    found = repair(text)
    if found is None:  # nothing was wrong with it: numbers and empty objects look alike in both languages
        assert [json.loads(text)] == rows
    else:
        assert [json.dumps(row) for row in found.rows] == [json.dumps(row) for row in rows]
        assert found.safe


@given(st.lists(OBJECTS.filter(_lone_free), min_size=1, max_size=3), st.sampled_from([None, 0, 2]), st.booleans())
def test_valid_json_with_commas_too_many_keeps_every_value(
    rows: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    text = "".join(json.dumps(row, indent=indent, ensure_ascii=ascii_only) + "," for row in rows)
    found = repair(text)
    assert found is not None
    assert found.safe
    assert [json.dumps(row) for row in found.rows] == [json.dumps(row) for row in rows]


@settings(max_examples=300)
@given(st.text("{}[]\"':,\\/*#\u201c\u201dntuUxNaN0e-. \n\t", max_size=60) | st.text(max_size=40))
def test_any_text_is_repaired_to_json_objects_or_left_alone(text: str) -> None:
    found = repair(text)
    if found is not None:
        assert set(found.mends) <= MENDS.keys()
        assert found.mends
        for row in found.rows:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
            assert json.loads(line) == row
            assert isinstance(row, dict)
    elements = repair_elements(text)
    assert elements is None or all(element.line >= 1 for element in elements)


@pytest.mark.parametrize(
    "piece",
    ['{"a":', "[", "{", '"', "'", "\\", "\\u", "/*", "#", '{"a":1},', "{'a':1}", '{"a":"', "1", "NaN", "\n{", ",", " "],
)
@pytest.mark.timeout(120)  # quadratic time would take hours
def test_adversarial_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    repair(text)
    repair('{"a": ' + text)
    repair_elements("[" + text)
    repair_elements("[\n" + "\n".join([piece] * (300_000 // len(piece))))


def test_a_text_over_the_cap_is_not_looked_at() -> None:
    assert repair('{"a": "' + "x" * MAX_CHARS + '",}') is None


def test_a_broken_array_gives_its_objects_with_their_lines_and_one_that_is_lost_loses_no_other() -> None:
    text = '[\n  {"a": 1},\n  {"a": 2,},\n  {"a": "cut\n  },\n  {\'a\': 4} // last\n  {"a": 5},\n]'
    elements = repair_elements(text)
    assert elements is not None
    assert [element.line for element in elements] == [2, 3, 4, 6, 7]
    assert [element.repair.rows if element.repair else None for element in elements] == [
        ({"a": 1},),
        ({"a": 2},),
        None,
        ({"a": 4},),
        ({"a": 5},),
    ]
    assert elements[2].text == '{"a": "cut\n  }'


def test_objects_run_together_give_their_lines_too() -> None:
    elements = repair_elements('{"a": 1} {"a": 2,}\n{"a": NaN}')
    assert elements is not None
    assert [(element.line, element.repair.mends if element.repair else None) for element in elements] == [
        (1, ()),
        (1, ("trailing-comma",)),
        (2, ("nan",)),
    ]


def test_the_published_broken_json_is_read_or_left_alone_and_never_crashes(messy: Path) -> None:
    folder = messy / "corpora" / "JSONTestSuite" / "test_parsing"
    files = sorted(folder.glob("*.json"))
    assert files
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        found = repair(text)
        assert found is None or found.mends
        repair_elements(text)
