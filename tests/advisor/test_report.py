"""The report and result.json of made-up arms: what they say, that it is right, and that odd text does no harm."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from advisor.approaches import ARM_TITLES
from advisor.arms import ArmResult
from advisor.report import items_csv, to_markdown
from advisor.report.figures import points
from advisor.request import ComparisonRequest
from advisor.results import baseline_scores, items, judge
from advisor.task import Task, make_task
from app.command_line import cli
from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from tests.advisor.report_support import arm, result_of, with_everything


@pytest.fixture(scope="module")
def task(make_tickets: Any) -> Task:
    return make_task(make_tickets(40), make_tickets(40, start=60))


def report_of(result: dict[str, Any], tmp_path: Path, **options: Any) -> str:
    (tmp_path / "rows.jsonl").touch()
    return to_markdown(result, ComparisonRequest(tmp_path / "rows.jsonl", **options))


def test_the_winner_is_named_first_and_marked_in_the_table(task: Task, tmp_path: Path) -> None:
    result = result_of(task, arm(task, "zero-shot", 5), arm(task, "few-shot", 38))
    assert (result["verdict"]["kind"], result["verdict"]["arm"]) == ("winner", "few-shot")
    lines = report_of(result, tmp_path).splitlines()
    assert lines[2] == f"**{result['verdict']['sentence']}**"
    assert lines[2].startswith("**Few-shot (nearest examples): it beats the only other approach")
    (marked,) = [line for line in lines if line.startswith("| **")]
    low, high = result["arms"][1]["interval"]
    assert marked == (
        f"| **Few-shot (nearest examples)** | 95.0 | {points(low)} to {points(high)} | 124 | 0.50 | 3 s |"
    )


def test_where_nothing_wins_no_arm_is_marked(task: Task, tmp_path: Path) -> None:
    result = result_of(task, arm(task, "zero-shot", 0), arm(task, "few-shot", 1))
    assert (result["verdict"]["kind"], result["verdict"]["arm"]) == ("nothing_works", None)
    report = report_of(result, tmp_path)
    assert "Nothing works yet" in report and "| **" not in report


def test_the_figures_are_those_of_the_answers(task: Task) -> None:
    row = result_of(task, arm(task, "zero-shot", 10), arm(task, "few-shot", 30))["arms"][0]
    assert (row["score"], row["n"], row["stop_rate"]) == (0.25, 40, 0.25)
    assert (row["tokens_per_request"], row["prompt_tokens_per_request"]) == (124.5, 119.5)
    assert (row["seconds_per_request"], row["setup_seconds"]) == (0.5, 3.0)
    low, high = row["interval"]
    assert 0.14 < low < 0.15 and 0.40 < high < 0.41  # Wilson's interval of 10 of 40
    assert row["details"]["label_validity"] == 0.25


def test_pairs_are_the_differences_of_the_scores_on_the_same_rows(task: Task, tmp_path: Path) -> None:
    result = result_of(task, arm(task, "zero-shot", 10), arm(task, "few-shot-fixed", 20), arm(task, "qlora", 30))
    pairs = {(pair["a"], pair["b"]): pair["difference"] for pair in result["pairs"]}
    assert pairs == {
        ("qlora", "few-shot-fixed"): 0.25,
        ("qlora", "zero-shot"): 0.5,
        ("few-shot-fixed", "zero-shot"): 0.25,
    }
    assert "| qlora | zero-shot | +50.0 |" in report_of(result, tmp_path)


def test_arms_come_in_the_order_of_cost_with_the_skipped_ones_in_their_place(task: Task, tmp_path: Path) -> None:
    reason = "a reason with | a bar\nand two lines"
    result = result_of(task, arm(task, "qlora", 30), arm(task, "zero-shot", 5), reasons={"rag": reason})
    assert [row["name"] for row in result["arms"]] == ["zero-shot", "rag", "qlora"]
    expected = {
        "name": "rag",
        "title": ARM_TITLES["rag"],
        "score": None,
        "interval": None,
        "n": 0,
        "tokens_per_request": None,
        "seconds_per_request": None,
        "setup_seconds": None,
        "skipped": reason,
    }
    assert result["arms"][1].items() >= expected.items()
    report = report_of(result, tmp_path)
    assert "| RAG (retrieved passages) | skipped | a reason with \\| a bar and two lines | | | |" in report


def test_the_baseline_is_the_better_of_the_commonest_answer_and_the_copied_question(task: Task) -> None:
    always = baseline_scores(task)
    assert always.name == "always giving the commonest answer"
    assert sum(always.scores) == 10  # four queues in turn, forty rows
    echo = make_task(
        [Example.of(f"say again: {word * 3}", word * 3) for word in ("ba", "do", "ki", "lu", "me", "no", "pi", "ra")],
        [Example.of(f"say again: {word * 3}", word * 3) for word in ("so", "tu", "va", "wi", "xe", "yo", "za", "qu")],
        metric="token-f1",
    )
    assert baseline_scores(echo).name == "copying the question" and sum(baseline_scores(echo).scores) == 8


def test_items_keep_conversations_whole_and_every_answer(make_tickets: Any) -> None:
    chat = Example(
        (Message("system", "Be brief."), Message("user", "Which queue for a ship?"), Message("assistant", "X"))
    )
    task = make_task(make_tickets(20), [*make_tickets(4, start=60), chat])
    written = list(items(task, [arm(task, "zero-shot", 2), arm(task, "few-shot", 5)]))
    assert [item["index"] for item in written] == [0, 1, 2, 3, 4]
    place = task.test.index(chat)
    assert written[place]["prompt"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which queue for a ship?"},
    ]
    assert all(isinstance(item["prompt"], str) for item in written if item["index"] != place)
    assert [item["arms"]["zero-shot"]["score"] for item in written] == [1, 1, 0, 0, 0]
    assert [item["arms"]["few-shot"]["answer"] for item in written] == [row.completion for row in task.test]
    json.dumps(written)


def test_an_arm_comes_back_from_the_disk_as_it_was(task: Task, tmp_path: Path) -> None:
    kept = arm(task, "qlora", 12, training={"steps": 3, "loss": None, "health": {"alive": True}})
    kept.save(tmp_path / "qlora.json")
    assert ArmResult.load(tmp_path / "qlora.json") == kept


def test_without_any_arm_there_is_no_verdict(task: Task) -> None:
    with pytest.raises(DataError, match="nothing to compare"):
        judge(task, [])


def test_what_was_left_out_is_listed(task: Task, tmp_path: Path) -> None:
    result = result_of(task, arm(task, "zero-shot", 5))
    assert "## Left out\n\nNothing.\n" in report_of(result, tmp_path)
    result = result_of(task, arm(task, "zero-shot", 5), left_out=["2 training rows", "90 of 100 test rows"])
    assert "## Left out\n\n- 2 training rows\n- 90 of 100 test rows\n" in report_of(result, tmp_path)


def test_each_new_part_of_a_result_has_its_place_and_none_is_missed_in_an_older_one(task: Task, tmp_path: Path) -> None:
    plain = result_of(task, arm(task, "zero-shot", 5), arm(task, "few-shot", 28), arm(task, "qlora", 30))
    headings = ["Before you use it", "What holds the model back", "Would more help?", "What would change the advice"]
    before = report_of(plain, tmp_path)
    assert not any(heading in before for heading in headings)
    full = with_everything(plain)
    after = report_of(full, tmp_path)
    assert [line[3:] for line in after.splitlines() if line.startswith("## ") and line[3:] in headings] == headings
    assert "- It answers 3 of 8 harmful requests. Serve it with a filter in front." in after
    assert "a gap of about 21.0 points" in after and "is worth 68.0 points (55.0 to 79.0)" in after
    assert "- Zero-shot: Dropped after 32 rows: surely worse than few-shot. Only 12% of its answers end" in after
    assert "chosen from 2 on rows held back for it (24 answers)" in after
    assert after.index("fitting-room compare again") > after.index("## Again")


def test_lone_halves_of_characters_do_not_keep_a_report_from_being_written(task: Task, tmp_path: Path) -> None:
    result = result_of(task, arm(task, "zero-shot", 5), left_out=["half \ud800 a character"])
    (tmp_path / "report.md").write_text(report_of(result, tmp_path), "utf-8")
    (tmp_path / "items.csv").write_text(items_csv([item("half \ud800")]), "utf-8")


def item(answer: str, *, prompt: Any = "p", wanted: str = "w") -> dict[str, Any]:
    answered = {"answer": answer, "score": 0.5, "prompt_tokens": 7, "answer_tokens": 2, "stopped": True}
    return {"index": 0, "record": 3, "prompt": prompt, "wanted": wanted, "arms": {"zero-shot": answered}}


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_has_one_line_an_arm_and_item_with_every_answer(task: Task) -> None:
    written = list(items(task, [arm(task, "zero-shot", 2), arm(task, "few-shot", 5)]))
    lines = read_csv(items_csv(written))
    assert len(lines) == 2 * len(task.test)
    assert [line["arm"] for line in lines[:3]] == ["zero-shot", "few-shot", "zero-shot"]
    for line in lines:
        kept = written[int(line["index"])]
        assert (line["prompt"], line["wanted"], int(line["record"])) == (kept["prompt"], kept["wanted"], kept["record"])
        answered = kept["arms"][line["arm"]]
        assert (line["answer"], float(line["score"])) == (answered["answer"], answered["score"])


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_text_of_a_row_or_a_model_begins_as_a_formula(sign: str) -> None:
    evil = sign + "cmd|' /C calc'!A0,\"x\""
    (line,) = read_csv(items_csv([item(evil, prompt=evil, wanted=evil)]))
    assert line["prompt"] == line["wanted"] == line["answer"] == "'" + evil


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_comes_back_from_the_table(text: str) -> None:
    (line,) = read_csv(items_csv([item(text)]))
    assert line["answer"] in (text, "'" + text)
    assert not line["answer"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_the_table_follows_rfc_4180() -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Say "a, b"'}]
    assert items_csv([item("two\nlines", prompt=talk)]) == (
        "index,record,prompt,wanted,arm,answer,score,prompt_tokens,answer_tokens,stopped\r\n"
        '0,3,"system: Be brief.\n\nuser: Say ""a, b""",w,zero-shot,"two\nlines",0.5,7,2,True\r\n'
    )


def test_the_command_in_the_report_makes_the_same_comparison(tmp_path: Path) -> None:
    """It goes through a shell's splitting and the real command line, which is told to take no more than the request."""
    folder = tmp_path / "my 'odd' data"
    (folder / "docs").mkdir(parents=True)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    (folder / "rows.jsonl").write_text('{"what is asked": 1, "then": 2}\n')
    (folder / "test.jsonl").write_text('{"what is asked": 1, "then": 2}\n')
    request = ComparisonRequest(
        folder / "rows.jsonl",
        test=folder / "test.jsonl",
        documents=folder / "docs",
        arms=("zero-shot", "qlora"),
        limit=7,
        budget_minutes=2.5,
        model=str(folder / "model"),
        task_type="text",
        metric="rouge-l",
        seed=3,
        columns={"prompt": "what is asked", "completion": "then"},
    )
    words = shlex.split(request.command())
    assert words[:2] == ["fitting-room", "compare"]
    out = tmp_path / "out"
    asked = CliRunner().invoke(cli, [*words[1:], "--out", str(out), "--json"])
    assert asked.exit_code == 1  # there is no usable row in it
    assert ComparisonRequest.from_dict(json.loads((out / "request.json").read_text())) == request
    plain = ComparisonRequest(folder / "rows.jsonl")
    assert shlex.split(plain.command()) == ["fitting-room", "compare", str(folder / "rows.jsonl")]
