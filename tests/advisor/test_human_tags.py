"""Where tags come from: the row's own groups, a column that is named, labels, or the keys of JSON; ten at most."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.human.result import result_of
from advisor.human.sources import from_answers, from_comparison
from advisor.human.tags import MOST_TAGS, few_tags, tags_of
from dataset_tools.errors import UsageError
from tests.advisor.human_support import comparison_folder, votes_for

BLANK = [""] * 12


@pytest.mark.parametrize(
    "row",
    [
        lambda at: {"prompt": "p", "Category": "ab"[at % 2]},
        lambda at: {"prompt": "p", "metadata": {"topic": "ab"[at % 2], "id": at}},
        lambda at: {"prompt": "p", "id": f"x{at}", "tags": [["a"], ["b"]][at % 2], "source": str(at)},
        lambda at: {"prompt": "p", "subset": f"its own {at}", "difficulty": "ab"[at % 2]},
    ],
)
def test_the_field_that_groups_the_rows_gives_the_tags(row: Any) -> None:
    assert tags_of([row(at) for at in range(12)], BLANK, used={"prompt"}) == [("a",), ("b",)] * 6


def test_what_is_asked_or_wanted_is_no_tag_and_a_missing_one_is_none() -> None:
    rows: list[Any] = [{"category": "ab"[at % 2], "type": "xy"[at % 2]} for at in range(12)]
    assert tags_of(rows, BLANK, used={"category"})[0] == ("x",)
    assert tags_of([None, {"type": None}, *rows[2:]], BLANK, used={"category"})[:3] == [(), (), ("x",)]
    assert (
        tags_of([{"id": at} for at in range(12)], [f"answer number {at}, in words." for at in range(12)]) == [()] * 12
    )


def test_a_named_column_is_taken_whatever_it_holds() -> None:
    rows = [{"a": {"b": at % 3}, "whose": f"own {at % 3}"} for at in range(6)]
    assert tags_of(rows, [""] * 6, column="a.b") == [("0",), ("1",), ("2",)] * 2
    assert tags_of(rows, [""] * 6, column="whose")[0] == ("own 0",)
    with pytest.raises(UsageError, match="No row has"):
        tags_of(rows, [""] * 6, column="a.c")


def test_wanted_answers_tell_rows_apart_where_nothing_else_does() -> None:
    labels = ["refund", "shipping", "other thing"] * 12
    assert tags_of([None] * 36, labels)[:3] == [("refund",), ("shipping",), ("other thing",)]
    objects = [json.dumps({"id": at, "name": f"n{at}", "intent": ("Play", "Book")[at % 2]}) for at in range(24)]
    assert tags_of([None] * 24, objects)[:2] == [("Play",), ("Book",)]


def test_there_are_ten_tags_at_most_and_the_rest_is_other() -> None:
    many = [(f"t{at // (1 + at % 3)}",) for at in range(60)] + [("often",)] * 30
    found = few_tags(many)
    assert len({tag for each in found for tag in each}) == MOST_TAGS
    assert found[-1] == ("often",) and ("other",) in found and len(found) == len(many)
    assert few_tags([("a", "a"), ("b",)]) == [("a",), ("b",)]


def comparison_of(data: list[dict[str, Any]], folder: Path, **asked: Any) -> Path:
    """A comparison whose request names its data."""
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in data))
    made = comparison_folder(folder / "c", rows=len(data), answer=lambda row, name: f"{name}{row}")
    (made / "request.json").write_text(json.dumps({"data": str(file), "test": None, **asked}))
    return made


def test_a_comparisons_rows_have_the_tags_of_its_data_and_results_are_told_by_them(tmp_path: Path) -> None:
    data = [{"prompt": f"question {at}", "completion": f"w{at}", "topic": "ab"[at % 2]} for at in range(12)]
    made = from_comparison(comparison_of(data, tmp_path))
    assert [item.tags for item in made.items] == [("a",), ("b",)] * 6
    found = result_of(made, votes_for([1, -1] * 6, a=made.arms[0], b=made.arms[1]))
    assert set(found.by_tag) == {"a", "b"}
    sides = {tag: (one.wins, one.losses) for tag, (one,) in found.by_tag.items()}
    assert sorted(sides.values()) == [(0, 6), (6, 0)]


def test_a_row_that_is_another_one_by_now_gives_no_tag(tmp_path: Path) -> None:
    data = [{"prompt": f"question {at}", "completion": f"w{at}", "topic": "ab"[at % 2]} for at in range(12)]
    made = comparison_of(data, tmp_path)
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(data)))
    assert [item.tags for item in from_comparison(made).items] == [()] * 12
    (tmp_path / "data.jsonl").unlink()
    assert [item.tags for item in from_comparison(made).items] == [()] * 12
    with pytest.raises(UsageError, match="No row has"):
        from_comparison(made, tag_column="topic")


def test_files_of_answers_have_the_tags_of_the_first(tmp_path: Path) -> None:
    files = [tmp_path / "one.jsonl", tmp_path / "other.jsonl"]
    for name, file in zip("ab", files, strict=True):
        rows = [{"prompt": f"question {at}", "answer": f"{name}{at}", "kind": "xy"[at % 2]} for at in range(8)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = from_answers(*files, seed=1)
    assert made.arms == ("one", "other") and [item.tags for item in made.items][:2] == [("x",), ("y",)]
    few = from_answers(*files, rows=3, tag_column="kind", seed=1)
    assert len(few.items) == 3 and all(item.tags for item in few.items)
    assert [item.record for item in few.items] == sorted(item.record for item in few.items)
    with pytest.raises(UsageError):
        from_answers(*files, rows=0)
