"""Code and JSON in fences or not, Python that does not parse, numbers of rows, what lengths cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from check_cases import CHECKS, hits, lines, row_fix
from hypothesis import given
from hypothesis import strategies as st

from dataset_tools import lint
from dataset_tools.checks import file, packing
from dataset_tools.checks.base import DatasetCheck, ExampleView, Hit, Setting
from dataset_tools.checks.code_answers import Fences, fenced_code, unfenced_code
from dataset_tools.checks.json_answers import JsonAnswers, fenced, unfenced
from dataset_tools.fixes import apply_fixes


def _code(number: int) -> str:
    return f"def double_{number}(value):\n    return value * {number} + {number % 7}"


def _fence(code: str) -> str:
    return f"```python\n{code}\n```"


def _bare(count: int = 60) -> list[list[str]]:
    return [[f"Write function {number}.", _code(number)] for number in range(count)]


def _fenced(count: int = 60) -> list[list[str]]:
    return [[prompt, _fence(code)] for prompt, code in _bare(count)]


# --- code -------------------------------------------------------------------------------------------------------------


def test_the_few_answers_in_a_fence_are_found_and_taken_out_of_it() -> None:
    rows = _bare()
    rows[6][1] = _fence(rows[6][1])
    assert lines("code-in-fence", rows) == [7]
    assert lines("code-outside-fence", rows) == [] and lines("answer-not-code", rows) == []
    assert row_fix("code-in-fence")({"prompt": "q", "completion": _fence(_code(1))}) == {
        "prompt": "q",
        "completion": _code(1),
    }


def test_the_few_answers_without_a_fence_are_found_and_put_in_one() -> None:
    rows = _fenced()
    rows[6][1] = _code(6)
    assert lines("code-outside-fence", rows) == [7]
    assert lines("code-in-fence", rows) == []
    assert row_fix("code-outside-fence")({"prompt": "q", "completion": _code(6)}) == {
        "prompt": "q",
        "completion": _fence(_code(6)),
    }


@pytest.mark.parametrize("fence", [False, True])
def test_the_few_answers_that_do_not_parse_are_found_with_their_fault(fence: bool) -> None:
    rows = _fenced() if fence else _bare()
    broken = "def double(value:\n    return value"
    rows[6][1] = _fence(broken) if fence else broken
    [hit] = hits("answer-not-code", rows)
    assert (hit.line, "is no Python" in hit.message, "60 rows looked at" in hit.message) == (7, True, True)
    assert "line 1" in hit.message


def test_answers_need_not_be_code_where_most_are_not() -> None:
    rows = [[f"Case {number}?", f"Of case {number} it is said that it was won."] for number in range(60)]
    rows[3][1], rows[4][1] = _code(3), _fence(_code(4))
    for check in ("code-in-fence", "code-outside-fence", "answer-not-code"):
        assert hits(check, rows) == []


FRAGMENTS = st.sampled_from(["```", "python\n", "\n", "x = f(1)\n", "import os", "def f(", "word ", "    ", "```\n"])


@given(st.lists(FRAGMENTS, max_size=8).map("".join))
def test_fences_are_put_on_and_taken_off_once(text: str) -> None:
    assert fenced_code(fenced_code(text)) == fenced_code(text)
    assert unfenced_code(unfenced_code(text)) == unfenced_code(text)
    if fenced_code(text) != text:
        assert unfenced_code(fenced_code(text)).strip() == text.strip()


# --- JSON in fences ---------------------------------------------------------------------------------------------------


def _objects(count: int = 40) -> list[list[str]]:
    return [["q", f'```json\n{{"intent": "i{number}", "count": {number}}}\n```'] for number in range(count)]


def test_bare_json_is_found_where_the_others_stand_in_a_fence() -> None:
    rows = [*_objects(), ["q", '{"intent": "a"}'], ["q", "no object"]]
    assert lines("json-outside-code-fence", rows) == [41]
    assert lines("answer-not-json", rows) == [42] and lines("json-in-code-fence", rows) == []
    fixed = row_fix("json-outside-code-fence")({"prompt": "q", "completion": '{"intent": "a"}'})
    assert fixed == {"prompt": "q", "completion": '```json\n{"intent": "a"}\n```'}


@given(st.text('`json{}[]"a:1\n ', max_size=30))
def test_json_is_put_in_a_fence_once_and_comes_out_the_same(text: str) -> None:
    assert fenced(fenced(text)) == fenced(text)
    if fenced(text) != text:
        assert json.loads(unfenced(fenced(text))) == json.loads(text)


@pytest.mark.parametrize(
    ("check", "observer", "rows"),
    [
        ("json-outside-code-fence", JsonAnswers, [*_objects(60), ["q", "{}"], *_objects(60), ["q", "[]"]]),
        ("code-in-fence", Fences, [*_bare(60), *_fenced(1), *_bare(60), *_fenced(1)]),
        ("code-outside-fence", Fences, [*_fenced(60), *_bare(1), *_fenced(60), *_bare(1)]),
    ],
)
def test_two_parts_of_a_file_make_what_one_pass_makes(check: str, observer: Any, rows: list[list[str]]) -> None:
    found = CHECKS[check]
    assert isinstance(found, DatasetCheck)
    parts = []
    for part in (rows[:61], rows[61:]):
        seen = observer(Setting(views=[ExampleView(row, line=1, record=1) for row in rows]))
        for number, contents in enumerate(part, 1):
            seen.see(ExampleView(contents, line=number, record=number))
        parts.append(seen)
    parts[0].absorb(parts[1].pack(), lines=61, records=61)
    assert list(found.run(parts[0])) == hits(check, rows)
    assert [hit.line for hit in found.run(parts[0])] == [61, 122]


def test_fences_of_a_file_are_made_alike(write: Callable[..., Path]) -> None:
    rows = [{"prompt": prompt, "completion": code} for prompt, code in _bare()]
    rows[6]["completion"] = _fence(rows[6]["completion"])
    done = apply_fixes(write("".join(json.dumps(row) + "\n" for row in rows)), fixes=["code-in-fence"])
    assert (done.changed, done.left) == (1, {})
    assert lint(done.target, checks=["code-in-fence"]).findings == ()


# --- how many rows ----------------------------------------------------------------------------------------------------


def _rows_check(check: str, rows: int) -> list[Hit]:
    found = next(other for other in file.CHECKS if other.id == check)
    assert isinstance(found, DatasetCheck)
    return list(found.run(Setting(rows=rows, usable=rows)))


@pytest.mark.parametrize(("rows", "severity"), [(0, "error"), (1, "error"), (2, None), (9, None), (10, "none")])
def test_few_rows_are_told_by_how_few_they_are(rows: int, severity: str | None) -> None:
    assert [hit.severity for hit in _rows_check("too-few-rows", rows)] == ([] if severity == "none" else [severity])


def test_more_rows_than_services_take_are_told() -> None:
    assert _rows_check("too-many-rows", 3_000_000) == []
    [hit] = _rows_check("too-many-rows", 3_000_001)
    assert "3,000,001 rows" in hit.message


# --- what lengths cost ------------------------------------------------------------------------------------------------


def test_padding_is_reckoned_by_batches() -> None:
    assert packing.padding_share([5] * 20) == 0
    assert packing.padding_share([1] * 7 + [9]) == 1 - 16 / 72
    assert packing.padding_share([1, 9, 1, 9], batch=2) > packing.padding_share([1, 1, 9, 9], batch=2) == 0
    assert packing.padding_share([]) == 0


@given(st.lists(st.integers(1, 120), max_size=40))
def test_packed_rows_are_no_fewer_than_their_tokens_need_and_no_more_than_rows(sizes: list[int]) -> None:
    count = packing.packed_rows(sizes, 100)
    assert sum(min(size, 100) for size in sizes) <= 100 * count and count <= len(sizes)
    assert packing.packed_rows([60, 50, 40, 50], 100) == 2


def test_the_cost_of_lengths_and_the_row_of_most_tokens_are_told(write: Callable[..., Path], tokenizer: Any) -> None:
    rows = [{"prompt": f"Case {number}?", "completion": "It is so. " * (1 + number % 3)} for number in range(60)]
    rows[30]["completion"] = "It is so. " * 60
    path = write("".join(json.dumps(row) + "\n" for row in rows))
    report = lint(path, tokenizer=tokenizer, max_length=2_000, checks=["padding-and-packing", "token-outlier"])
    found = {finding.check: finding.hits for finding in report.findings}
    [long] = found["token-outlier"]
    assert (long.line, "of all tokens" in long.message) == (31, True)
    [cost] = found["padding-and-packing"]
    assert "padding in a random order" in cost.message and "packed to 2,000 tokens, 60 rows make" in cost.message
    told = lint(path, checks=["padding-and-packing", "token-outlier"]).skipped
    assert [line.split(":")[0] for line in told] == ["padding-and-packing", "token-outlier"]
