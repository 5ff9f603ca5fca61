"""Wrong labels that raters mark: the dataset is changed with its diff, the source stays, and all can be undone."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.human.pairs import preference_pairs
from advisor.human.relabelling import Mark, marks_of, relabel, write_replaced_test_set
from advisor.human.session import Session
from dataset_tools.dataset import load_examples
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Message
from dataset_tools.fixes import iterate_log, undo
from dataset_tools.fixes.log import log_path, rejects_path
from tests.advisor.human_support import session, vote, votes_for


def labelled(count: int = 6) -> Session:
    """A session whose rows have wanted answers."""
    made = session(count)
    return replace(made, items=tuple(replace(item, wanted=f"w{at}") for at, item in enumerate(made.items)))


def jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def rows_of(made: Session) -> list[dict[str, Any]]:
    return [
        {"id": at, "prompt": item.prompt[0].content, "completion": item.wanted, "note": ["kept", at]}
        for at, item in enumerate(made.items)
    ]


def test_marks_of_an_item_are_one_and_most_raters_say_what_is_right() -> None:
    made = labelled()
    votes = [
        vote(0, "left", bad_label=True, right_answer="a"),
        vote(0, "tie", rater="bob", number=7, bad_label=True, right_answer=" b "),
        vote(0, "skip", rater="cy", number=8, bad_label=True, right_answer="b"),
        vote(1, "left", bad_label=True),
        vote(2, "left"),
        vote(3, "left", bad_label=True, right_answer="a"),
        vote(3, "left", rater="bob", number=9, bad_label=True, right_answer="b"),
        vote(0, "left", repeat=True, number=10, bad_label=True),  # says no less than before
    ]
    marks = marks_of(made, votes)
    assert [(mark.wanted, mark.right, mark.raters) for mark in marks] == [("w0", "b", 3), ("w1", "", 1), ("w3", "", 2)]
    assert marks[2].said == ("a", "b") and marks[0].prompt == made.items[0].prompt


def test_the_right_answer_takes_the_wrong_ones_place_and_nothing_else_is_touched(tmp_path: Path) -> None:
    made = labelled()
    data = jsonl(tmp_path / "data.jsonl", [*rows_of(made), {**rows_of(made)[1], "completion": "another answer"}])
    before, out = data.read_bytes(), tmp_path / "out.jsonl"
    marks = marks_of(made, [vote(1, "left", bad_label=True, right_answer="right\n1"), vote(4, "tie", bad_label=True)])
    done = relabel(data, marks, out=out)
    assert data.read_bytes() == before and done.result is not None
    (diff,) = done.diffs
    assert json.loads(diff.before) == rows_of(made)[1] and (diff.line, diff.record) == (2, 2)
    assert [json.loads(line) for line in diff.after] == [{**rows_of(made)[1], "completion": "right\n1"}]
    old, new = before.splitlines(), out.read_bytes().splitlines()
    assert [at for at in range(7) if old[at] != new[at]] == [1]
    assert [mark.wanted for mark in done.unresolved] == ["w4"] and not done.missing
    assert done.sentence == "1 row gets the right answer; 1 with no known right answer stay as they are."
    assert [(entry["check"], entry["line"]) for entry in iterate_log(out)] == [("wrong-label", 2)]
    assert undo(out).file.read_bytes() == before


def test_rows_without_a_right_answer_go_to_the_rejects_where_that_is_asked_for(tmp_path: Path) -> None:
    made, out = labelled(), tmp_path / "out.jsonl"
    data = jsonl(tmp_path / "data.jsonl", rows_of(made))
    done = relabel(data, marks_of(made, [vote(4, "tie", bad_label=True)]), out=out, drop_unresolved=True)
    assert len(load_examples(out).examples) == 5 and done.unresolved == () and done.diffs[0].after == ()
    (gone,) = map(json.loads, rejects_path(out).read_text().splitlines())
    assert gone["row"] == rows_of(made)[4] and gone["reason"] == "marked as wrong by 1 rater"


def test_a_row_is_known_by_its_messages_and_by_its_answer(tmp_path: Path) -> None:
    made = labelled()
    rows = rows_of(made)
    rows[0] |= {"prompt": rows[0]["prompt"] + " "}
    rows[1] |= {"completion": "W1"}
    marks = marks_of(made, [vote(at, "left", bad_label=True, right_answer="x") for at in (0, 1)])
    done = relabel(jsonl(tmp_path / "data.jsonl", rows), marks)
    assert [diff.record for diff in done.diffs] == [1] and [mark.wanted for mark in done.missing] == ["w1"]
    assert done.result is None and not log_path(tmp_path / "out.jsonl").exists()
    with pytest.raises(DataError, match="None of the rows"):
        relabel(tmp_path / "data.jsonl", marks[1:])
    with pytest.raises(UsageError):
        relabel(tmp_path / "data.jsonl", marks, out=tmp_path / "data.jsonl")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, "ANSWER"], "k": 1},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "old"}]},
        {"instruction": "q", "input": "", "output": "old"},
        {"Review Text": "q", "Label": "old", "Rating": 3},
        {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "old"}]},
        {"prompt": "q", "chosen": "old", "rejected": "worse"},
    ],
)
def test_an_answer_is_changed_in_any_form_of_row(row: dict[str, Any], tmp_path: Path) -> None:
    if "messages" in row:
        row["messages"][-1] = {"role": "assistant", "content": "old"}
    data, out = jsonl(tmp_path / "data.jsonl", [row, row, row]), tmp_path / "out.jsonl"
    (example, *_) = load_examples(data).examples
    done = relabel(data, [Mark(example.prompt, "old", "new")], out=out)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        json.loads(json.dumps(row).replace('"old"', '"new"'))
    ] * 3
    assert len(done.diffs) == 3


def test_a_table_is_changed_by_the_columns_that_are_named(tmp_path: Path) -> None:
    data, out = tmp_path / "data.csv", tmp_path / "out.jsonl"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([["what came in", "where it goes"], *([f"mail {at}", f"w{at}"] for at in range(4))])
    columns = {"prompt": "what came in", "completion": "where it goes"}
    (example, *_) = load_examples(data, columns=columns).examples
    relabel(data, [Mark(example.prompt, "w0", "billing")], out=out, columns=columns)
    assert [row.completion for row in load_examples(out, columns=columns).examples] == ["billing", "w1", "w2", "w3"]


def test_test_rows_that_were_taken_go_out_of_the_test_set_with_those_that_are_nearly_the_same(tmp_path: Path) -> None:
    made, out = labelled(8), tmp_path / "new.jsonl"
    rows = rows_of(made)
    rows.append({"prompt": rows[2]["prompt"].lower() + " !", "completion": "again"})
    test = jsonl(tmp_path / "test.jsonl", rows)
    taken = preference_pairs(made, [votes_for([1] * 8)[at] for at in (2, 5)], use_test_rows=True)
    assert taken.to_replace == (2, 5)
    result = write_replaced_test_set(made, taken, test=test, out=out)
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [0, 1, 3, 4, 6, 7]
    assert result.dropped == 3 and len(rejects_path(out).read_text().splitlines()) == 3
    unasked = preference_pairs(made, votes_for([1] * 8))
    with pytest.raises(DataError, match="No row of this test set was taken"):
        write_replaced_test_set(made, unasked, test=test, out=tmp_path / "more.jsonl")


def test_a_mark_is_of_its_own_row_and_not_of_one_that_is_much_alike(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "system", "content": task}, {"role": "user", "content": text}, answer]}
        for task, text in (("mood", "good :)"), ("mood", "good :("), ("tone", "good :("))
        for answer in ({"role": "assistant", "content": "positive"},)
    ]
    prompt = (Message("system", "mood"), Message("user", "good :("))
    data = jsonl(tmp_path / "data.jsonl", rows)
    out = tmp_path / "out.jsonl"
    assert len(relabel(data, [Mark(prompt, "positive", "negative")], out=out).diffs) == 1
    assert [row.completion for row in load_examples(out).examples] == ["positive", "negative", "positive"]
    unsure = relabel(data, [Mark(prompt, "positive", "negative"), Mark(prompt, "positive", "mixed")])
    assert not unsure.diffs and "no known right answer" in unsure.sentence
