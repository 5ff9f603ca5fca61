"""Votes as files: written, read back as they were, and others' pairs with their published winners."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.human.importing import COLUMNS, read_votes, votes_csv, votes_jsonl
from advisor.human.result import result_of, winners
from advisor.human.session import Session
from advisor.human.store import VoteStore
from advisor.human.votes import Vote
from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Message
from tests.advisor.human_support import ARMS, session, vote, votes_for

AWKWARD = '=1+1 "quoted", \r\nsecond line; Zoë \U0001f600'


def awkward_session() -> tuple[Session, list[Vote]]:
    made = session(6, tags=("near", "=far"), questions=("Kinder?", "Shorter?"))
    talk = (Message("system", "Be brief."), Message("user", "=2+2?"))
    first = replace(made.items[0], prompt=talk, answers=(AWKWARD, "'=x"), wanted="@x")
    made = replace(made, items=(first, *made.items[1:]), closed=1.0)
    votes = [replace(one, answers=("left", ""), seconds=1.5, at=9.0) for one in votes_for([1, -1, 0, 1])]
    votes.append(vote(4, "both_bad", rater="=bob", comment=AWKWARD, edit="-better", edited="right"))
    votes.append(vote(5, "skip", rater="=bob", bad_label=True, right_answer="=1+1"))
    votes.append(vote(0, "right", number=8, repeat=True, left=ARMS[1], right=ARMS[0]))
    return made, votes


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_votes_that_were_written_read_back_as_they_were(form: str, tmp_path: Path) -> None:
    made, votes = awkward_session()
    file = tmp_path / f"votes.{form}"
    file.write_bytes((votes_csv if form == "csv" else votes_jsonl)(made, votes).encode())
    read = read_votes(file)
    assert set(read.session.arms) == set(ARMS) and read.session.held_out and read.session.closed is not None
    assert [(item.prompt, item.wanted, item.tags, item.record) for item in read.session.items] == [
        (item.prompt, item.wanted, item.tags, item.record) for item in made.items
    ]
    for item in range(6):
        for arm in ARMS:
            assert read.session.answer(item, arm) == made.answer(item, arm)
    questions = ("Kinder?", "Shorter?")
    assert read.session.questions == questions
    for one, other in zip(read.votes, votes, strict=True):
        assert one.answers[:1] == (other.answers or ("",))[:1]
        assert replace(one, number=0, answers=()) == replace(other, number=0, answers=())
    assert result_of(read.session, read.votes).winner == result_of(made, votes).winner


def test_no_cell_of_the_table_begins_like_a_formula() -> None:
    made, votes = awkward_session()
    table = list(csv.reader(io.StringIO(votes_csv(made, votes), newline="")))
    assert tuple(table[0]) == COLUMNS and len(table) == len(votes) + 1
    assert not [cell for row in table for cell in row if cell[:1] in tuple("=+-@\t\r\n")]


def test_an_open_session_is_written_without_the_names_of_its_arms() -> None:
    made, votes = session(4), votes_for([1, 1, -1, 0])
    for text in (votes_csv(made, votes), votes_jsonl(made, votes)):
        assert not any(arm in text for arm in ARMS)
        assert any(arm in votes_csv(replace(made, closed=1.0), votes) for arm in ARMS)


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.jsonl", '{"prompt": "x", "a": "1", "b": "2", "winner": "a"}\n{"prompt": "x"}\n', ":2"),
        ("a.jsonl", '{"prompt": "x", "a": "1", "b": "2", "winner": "nobody"}\n', ":1"),
        ("a.jsonl", "{\n", ":1"),
        ("a.jsonl", "[1]\n", ":1"),
        ("a.jsonl", "", "a.jsonl"),
        ("a.csv", "left_arm,right_arm,kind,item,prompt,left,right\nx,x,left,0,p,1,2\n", ":2"),
        ("a.csv", "left_arm,right_arm,kind,item,prompt,left,right\nx,y,best,0,p,1,2\n", ":2"),
        ("a.csv", "left_arm,right_arm,kind,item,prompt,left,right,edited\nx,y,left,0,p,1,2,middle\n", ":2"),
        ("a.csv", "prompt,a,b,winner\n,1,2,a\n", ":2"),
    ],
)
def test_a_row_that_is_no_vote_is_named(name: str, text: str, where: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_votes(tmp_path / name)
    assert str(caught.value.where).endswith(where)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_votes(tmp_path / "missing.csv")


def test_published_preferences_give_their_winners_back(shared_data: Path) -> None:
    file = shared_data / "dev" / "pref_llmbar" / "pairs.jsonl"
    if not file.is_file():
        pytest.skip("pref_llmbar is not there")
    published = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    read = read_votes(file)
    with VoteStore.open() as store:
        store.add(read.session, read.votes)
        kept, votes = store.session(read.session.id), store.votes(read.session.id)
    assert winners(votes) == {at: row["winner"] for at, row in enumerate(published)}
    found = result_of(kept, votes)
    (pair,) = found.pairs
    count = sum(row["winner"] == pair.tally.a for row in published)
    assert (pair.tally.wins, pair.tally.losses, found.counted) == (count, len(published) - count, len(published))
    assert set(found.by_tag) == {row["subset"] for row in published}
    assert {tag: one.judged for tag, (one,) in found.by_tag.items()} == {
        tag: sum(row["subset"] == tag for row in published) for tag in found.by_tag
    }
