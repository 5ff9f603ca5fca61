"""``fitting-room votes`` and ``fitting-room evaluate``: what they print and write, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.human import VoteStore, from_comparison
from app.command_line import cli
from tests.advisor.human_support import comparison_folder
from tests.training.export_support import HELD_OUT, TRAIN, tiny_run
from training.runs.folder import RunFolder
from training.runs.supervisor import runs_folder

PAIRS = [
    {
        "prompt": f"Say something of {number}.",
        "a": f"one {number}",
        "b": f"two {number}",
        "winner": "ab"[number % 4 == 0],
    }
    for number in range(24)
]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def call() -> Callable[..., Any]:
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    return file


@pytest.fixture
def imported(call: Callable[..., Any], pairs_file: Path) -> str:
    return str(json.loads(call("votes", "import", pairs_file, "--json").stdout)["session"])


def test_imported_votes_have_a_result_in_one_document(call: Callable[..., Any], imported: str) -> None:
    result = call("votes", "result", imported, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["session"] == imported and told["counted"] == 24
    assert told["decided"] and told["winner"] == "a"
    (pair,) = told["pairs"]
    assert {pair["tally"]["wins"], pair["tally"]["losses"]} == {6, 18}
    shown = call("votes", "result", imported[:-1])
    assert shown.exit_code == 0 and "You can stop: decided. a is preferred in 75%" in shown.stdout


@pytest.mark.parametrize(("form", "rows"), [("csv", 25), ("jsonl", 24), ("dpo", 24), ("kto", 48), ("sft", 0)])
def test_votes_are_exported_in_each_form(
    form: str, rows: int, call: Callable[..., Any], imported: str, tmp_path: Path
) -> None:
    out = tmp_path / f"out.{form}"
    result = call("votes", "export", imported, "--format", form, "--out", out, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["file"] == str(out) and len(out.read_text().splitlines()) == rows
    printed = call("votes", "export", imported, "--format", form)
    assert printed.exit_code == 0 and printed.stdout.splitlines() == out.read_text().splitlines()
    again = call("votes", "export", imported, "--format", form, "--out", out)
    assert again.exit_code == 2 and call("votes", "export", imported, "--out", out, "--overwrite").exit_code == 0


def test_an_export_can_be_imported_again(call: Callable[..., Any], imported: str, tmp_path: Path) -> None:
    out = tmp_path / "votes.csv"
    call("votes", "export", imported, "--out", out)
    again = json.loads(call("votes", "import", out, "--json").stdout)
    assert again["votes"] == 24 and again["session"] != imported
    both = [json.loads(call("votes", "result", name, "--json").stdout) for name in (imported, again["session"])]
    assert both[0]["winner"] == both[1]["winner"] == "a"


def test_test_rows_are_not_exported_for_training_unasked(
    call: Callable[..., Any], imported: str, tmp_path: Path
) -> None:
    test = tmp_path / "test.jsonl"
    rows = [{"prompt": row["prompt"], "completion": "x"} for row in PAIRS]
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = json.loads(call("votes", "export", imported, "--format", "dpo", "--test", test, "--json").stdout)
    assert told["rows"] == 0 and len(told["left_out"]) == 24 and "test rows" in told["sentence"]
    taken = call("votes", "export", imported, "--format", "dpo", "--test", test, "--use-test-rows", "--json")
    assert json.loads(taken.stdout)["rows"] == 24 and len(json.loads(taken.stdout)["to_replace"]) == 24


def test_arms_are_revealed_once_the_session_is_closed(call: Callable[..., Any], tmp_path: Path) -> None:
    folder = comparison_folder(tmp_path / "c")
    with VoteStore.open() as store:
        made = store.add(from_comparison(folder))
        task = store.tasks(made.id, "ann")[0]
        store.vote(task.token, "left", rater="ann")
    for words in (("result", folder), ("result", made.id, "--json"), ("export", folder)):
        told = call("votes", *words)
        assert told.exit_code == 0 and "qlora" not in told.stdout and "rag" not in told.stdout
    told = call("votes", "result", folder, "--close", "--json")
    assert set(json.loads(told.stdout)["reveal"].values()) == {"qlora", "rag"}


@pytest.mark.parametrize(
    "words",
    [
        *(("result", "nothing"), ("export", "nothing"), ("import", "missing.csv"), ("result", "a\0b")),
        ("export", "nothing", "--format", "xlsx"),
    ],
)
def test_wrong_use_is_told(words: tuple[str, ...], call: Callable[..., Any]) -> None:
    result = call("votes", *words, "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"]["what"]


def test_a_file_that_holds_no_votes_is_an_error_of_the_data(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"prompt": "x"}\n')
    result = call("votes", "import", tmp_path / "x.jsonl", "--json")
    assert result.exit_code == 1 and json.loads(result.stdout)["error"]["where"].endswith("x.jsonl:1")


@pytest.fixture
def tuned(tiny_model: Path, fitting_room_home: Path) -> RunFolder:
    runs_folder().mkdir(parents=True, exist_ok=True)
    return tiny_run(runs_folder() / "20260101-000000-abcdef", tiny_model, scale=0.5)


def test_a_run_is_evaluated_against_its_base_on_the_rows_that_it_kept_back(
    call: Callable[..., Any], tuned: RunFolder
) -> None:
    result = call("evaluate", tuned.path.name, "--metric", "chrf", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["run"], told["metric"], told["rows"]) == (tuned.path.name, "chrf", len(HELD_OUT))
    assert told["wins"] + told["losses"] + told["ties"] == len(HELD_OUT)
    assert told["difference"][0] == pytest.approx(told["score"][0] - told["against_score"][0])
    assert told["difference"][1] < told["difference"][0] < told["difference"][2]
    assert len(told["best"]) == min(5, told["wins"]) and len(told["worst"]) == min(5, told["losses"])
    assert told["wins"] + told["losses"] > 0  # the adapter is random, but it says something else
    assert "checked the training" in told["notes"][0]
    shown = call("evaluate", tuned.path, "--metric", "chrf")
    assert shown.exit_code == 0 and told["sentence"] in shown.stdout


def test_a_model_against_itself_is_no_better(call: Callable[..., Any], tuned: RunFolder) -> None:
    told = json.loads(call("evaluate", tuned.path.name, "--against", tuned.path.name, "--json").stdout)
    assert (told["wins"], told["losses"], told["ties"]) == (0, 0, len(HELD_OUT))
    assert told["difference"][0] == 0 and "not shown to differ" in told["sentence"]


def test_rows_that_were_trained_on_are_left_out(call: Callable[..., Any], tuned: RunFolder, tmp_path: Path) -> None:
    rows = [*TRAIN[:3], *HELD_OUT[:2]]
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps({"prompt": row.question, "completion": row.completion}) + "\n" for row in rows))
    told = json.loads(call("evaluate", tuned.path.name, "--test", test, "--json").stdout)
    assert told["rows"] == 2 and "3 of 5 rows were left out" in told["notes"][0]
    test.write_text(json.dumps({"prompt": TRAIN[0].question, "completion": "x"}) + "\n")
    result = call("evaluate", tuned.path.name, "--test", test, "--json")
    assert result.exit_code == 1 and "not trained on" in json.loads(result.stdout)["error"]["what"]


@pytest.mark.parametrize("words", [("nothing",), ("{run}", "--against", "nothing"), ("{run}", "--limit", "0")])
def test_a_wrong_call_to_evaluate_is_told(words: tuple[str, ...], call: Callable[..., Any], tuned: RunFolder) -> None:
    result = call("evaluate", *(word.format(run=tuned.path.name) for word in words), "--json")
    assert result.exit_code == 2 and json.loads(result.stdout)["error"]["what"]


def test_a_run_that_has_made_nothing_cannot_be_evaluated(call: Callable[..., Any], tuned: RunFolder) -> None:
    tuned.adapter.rename(tuned.path / "elsewhere")
    result = call("evaluate", tuned.path.name, "--json")
    assert result.exit_code == 1 and "made nothing" in json.loads(result.stdout)["error"]["what"]
