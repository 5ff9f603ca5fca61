"""What people said reaches a comparison's report when a session is closed, and the card of a run that was voted on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.human.reporting import close_session, people_said, said_of_run, tell_comparison, tell_newest
from advisor.human.session import Session
from advisor.human.sources import from_comparison
from advisor.human.store import VoteStore
from tests.advisor.human_support import ARMS, session, vote, votes_for
from tests.app.results import older, whole
from training.export.card import model_card
from training.export.report import ExportReport, Fidelity, Proof
from training.export.source import Base, Source
from training.recipe import Recipe
from training.runs.folder import RunFolder

NAMES = ("few-shot", "zero-shot")
SEED = 0  # of the queue, whose one repeat then comes last: it is no vote of its own


@pytest.fixture
def store() -> Iterator[VoteStore]:
    with VoteStore.open() as opened:
        yield opened


def finished(folder: Path, *, reports: bool = True) -> Path:
    """A comparison's folder with its result and twelve rows, on which the two approaches differ."""
    folder.mkdir()
    for name in ("report.md", "report.html") if reports else ():
        (folder / name).write_text("as it was made")
    result = whole() | {"model": "embedded"} if reports else older()
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "request.json").write_text(json.dumps({"data": str(folder / "result.json")}))
    answer = {"score": 0.0, "prompt_tokens": 3, "answer_tokens": 2, "stopped": True}
    lines = [
        {"index": at, "record": at + 1, "prompt": f"q {at}", "wanted": "w"}
        | {"arms": {name: {"answer": f"{name} {at}", **answer} for name in NAMES}}
        for at in range(12)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def vote_on(store: VoteStore, made: Session, best: str, *, count: int = 12) -> None:
    for _ in range(count):
        (task,) = store.tasks(made.id, "ann")
        store.vote(task.token, "left" if task.left.startswith(best) else "right", rater="ann")


def test_a_closed_session_stands_in_the_comparisons_reports(store: VoteStore, tmp_path: Path) -> None:
    folder = finished(tmp_path / "c")
    measured = (folder / "result.json").read_bytes()
    made = store.add(from_comparison(folder, title="Tickets <b>", seed=SEED))
    assert tell_comparison(store, folder) and "What people said" not in (folder / "report.md").read_text()
    vote_on(store, made, "few-shot")
    assert close_session(store, made.id).closed is not None
    markdown, page = (folder / "report.md").read_text(), (folder / "report.html").read_text()
    line = "Tickets <b>: Few-shot (nearest examples) was preferred to text in 100% of 12 decisive votes"
    assert f"## What people said\n\n- {line} (95% interval" in markdown and "12 votes by one rater" in markdown
    assert "The session is closed." in markdown and "decides it; neither was better on 0% of the items." in markdown
    assert '<section id="people"><h2>What people said</h2>' in page and "Tickets &lt;b&gt;: Few-shot" in page
    assert (folder / "result.json").read_bytes() == measured


def test_of_an_open_session_the_report_says_how_many_votes_there_are_and_one_without_votes_is_not_told(
    store: VoteStore, tmp_path: Path
) -> None:
    folder = finished(tmp_path / "c")
    made, empty = (
        store.add(from_comparison(folder, title="First", seed=SEED)),
        store.add(from_comparison(folder, title="Second", seed=SEED)),
    )
    vote_on(store, made, "few-shot", count=5)
    close_session(store, empty.id)
    told = (folder / "report.md").read_text().split("## What people said")[1].split("##")[0]
    assert "First: so far 5 votes by one rater, of 12 that are planned. The session is open" in told
    assert "Second" not in told and not any(name in told.lower() for name in ("few-shot", "zero-shot", "%", "prefer"))
    vote_on(store, made, "few-shot", count=1)
    tell_newest(folder)  # as whoever opens the report has it done
    assert "First: so far 6 votes by one rater" in (folder / "report.md").read_text()
    (folder / "report.md").write_text("untouched")
    tell_newest(folder)  # nothing new: nothing is made anew
    assert (folder / "report.md").read_text() == "untouched"
    (kept,) = json.loads((folder / "votes.json").read_text())
    assert kept["session"] == made.id and not kept["closed"]


def test_a_comparison_of_before_there_were_reports_gets_none(store: VoteStore, tmp_path: Path) -> None:
    folder = finished(tmp_path / "c", reports=False)
    made = store.add(from_comparison(folder, seed=SEED))
    vote_on(store, made, "few-shot")
    assert close_session(store, made.id).closed is not None
    assert json.loads((folder / "votes.json").read_text())[0]["closed"]
    assert not (folder / "report.md").exists() and not (folder / "report.html").exists()


def test_what_people_said_goes_along_with_a_copied_folder(store: VoteStore, tmp_path: Path) -> None:
    folder = finished(tmp_path / "c")
    made = store.add(from_comparison(folder, seed=SEED))
    vote_on(store, made, "few-shot")
    close_session(store, made.id)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert tell_comparison(store, copy)  # of the copy nobody has voted
    assert json.loads((copy / "votes.json").read_text()) == []


@pytest.mark.parametrize("damage", ["result.json", "items.jsonl", "everything"])
def test_a_session_is_closed_though_its_comparison_is_damaged_or_gone(
    damage: str, store: VoteStore, tmp_path: Path
) -> None:
    folder = finished(tmp_path / "c")
    made = store.add(from_comparison(folder, seed=SEED))
    if damage == "everything":
        shutil.rmtree(folder)
    else:
        (folder / damage).write_text('{"arms": [')
    assert close_session(store, made.id).closed is not None
    assert close_session(store, store.add(session(3)).id).closed is not None  # one without a comparison


def test_ties_raters_and_agreement_are_told() -> None:
    made = replace(session(10, title="T"), closed=1.0)
    votes = [*votes_for([1, 1, 1, 0, 0]), *(replace(one, rater="bob") for one in votes_for([1, 1, -1, 0, 0]))]
    votes = [replace(one, number=at) for at, one in enumerate(votes, 1)]
    votes.append(vote(0, "right", number=11, repeat=True, left=ARMS[1], right=ARMS[0]))
    first, raters = people_said(made, votes, {ARMS[0]: "Tuned"})
    assert first.startswith(f"T: Tuned was preferred to {ARMS[1]} in 83% of 6 decisive votes (95% interval ")
    assert first.endswith("which does not decide it; neither was better on 40% of the items.")
    assert raters.startswith("10 votes by 2 raters; their agreement: alpha ") and "on 100% of 1 repeats" in raters
    assert people_said(made, []) == []
    (line, _) = people_said(made, votes_for([0]))
    assert "No vote preferred" in line
    (still,) = people_said(replace(made, closed=None), votes_for([1]))
    assert still.startswith("T: so far 1 vote by one rater, of 10 ") and "preferred" not in still


def test_a_run_that_was_an_approach_of_a_comparison_is_known(store: VoteStore, tmp_path: Path) -> None:
    folder = finished(tmp_path / "c")
    run = RunFolder(tmp_path / "runs" / "20260101-000000-abcdef")
    run.path.mkdir(parents=True)
    (folder / "training").mkdir()
    (folder / "training" / "few-shot.json").write_text(json.dumps({"run": str(run.path)}))
    made = store.add(from_comparison(folder, seed=SEED))
    vote_on(store, made, "few-shot")
    (open_yet,) = said_of_run(store, run)
    assert "so far 12 votes by one rater" in open_yet and "preferred" not in open_yet
    close_session(store, made.id)
    assert "this model was preferred to Zero-shot" in said_of_run(store, run)[0]
    assert said_of_run(store, RunFolder(tmp_path / "runs" / "another")) == []


def test_the_model_card_says_what_people_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    source = Source(run, {}, Recipe("embedded"), Base("tiny", "tiny", False, None), tmp_path, (), True)
    found = Fidelity(next_token=1.0, divergence=0.0, tokens=40, same_answers=1.0, common_prefix=1.0)
    proof = Proof("transformers", 6, True, found, scores=None, checks=(), against_16_bit=None)
    report = ExportReport("adapter", "run", tmp_path, {}, proof)
    said = ["T: this model was preferred to <tiny> in 83% of 6 votes.", "10 votes\nby 2 raters."]
    card = model_card(source, report, name="desk", serving="", votes=said)
    lines = "- T: this model was preferred to &lt;tiny> in 83% of 6 votes.\n- 10 votes by 2 raters.\n"
    assert f"## What people said\n\n{lines}" in card
    assert "What people said" not in model_card(source, report, name="desk", serving="")
