"""The command line: what each command prints and where, and the exit codes that scripts rely on."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from advisor.approaches import ARM_TITLES
from advisor.metrics import metric_for, metric_names
from dataset_tools.task_type import TaskKind
from training.models.loading import check_adapter
from training.recipe import Recipe
from training.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")
Call = Callable[..., Any]


def test_a_good_file_lints_with_exit_code_0_and_one_document(call: Call, rows_file: Path) -> None:
    result = call("lint", rows_file, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {"file", "format", "rows", "verdict", "findings"} <= set(report)
    assert (report["file"], report["format"], report["rows"]) == (str(rows_file), "prompt_completion", 48)
    assert report["verdict"] == "train"
    assert {finding["severity"] for finding in report["findings"]} <= {"info"}


def test_a_bad_file_lints_with_exit_code_1_and_says_where_it_is_wrong(
    call: Call, rows_file: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    lines = rows_file.read_text().splitlines()
    bad.write_text("\n".join([*lines[:20], '{"prompt": "x"}', "{broken", *lines[20:], lines[3]]) + "\n")
    result = call("lint", bad, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["verdict"]) == (1, "fix_first")
    for finding in report["findings"]:
        assert {"check", "severity", "message", "count", "lines", "records"} <= set(finding)
        assert finding["severity"] in ("error", "warning", "info")
    errors = {line for finding in report["findings"] if finding["severity"] == "error" for line in finding["lines"]}
    assert {21, 22} <= errors
    shown = call("lint", bad)
    assert shown.exit_code == 1
    assert shown.stdout.startswith("Fix first: ") and "error" in shown.stdout and "21" in shown.stdout


def test_lint_uses_the_models_own_tokens(call: Call, rows_file: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.jsonl"
    row = {"prompt": "what colour is it " * 400, "completion": "RED-1"}
    long.write_text(rows_file.read_text() + json.dumps(row) + "\n")
    findings = json.loads(call("lint", long, "--json").stdout)["findings"]
    (too_long,) = [finding for finding in findings if finding["check"] == "answer-truncated"]
    assert too_long["lines"] == [49] and "1024" in too_long["message"]  # the tiny model's context


def test_lint_runs_the_checks_that_were_named_and_knows_a_wrong_name(call: Call, rows_file: Path) -> None:
    report = json.loads(call("lint", rows_file, "--checks", "structure", "--json").stdout)
    assert report["skipped"] == [] and {finding["family"] for finding in report["findings"]} <= {"structure"}
    wrong = call("lint", rows_file, "--checks", "colour")
    assert wrong.exit_code == 2 and "there is no such check" in wrong.stderr


def test_rows_of_a_test_file_that_are_trained_on_are_named(call: Call, rows_file: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text("".join(line + "\n" for line in rows_file.read_text().splitlines()[:3]))
    report = json.loads(call("lint", rows_file, "--checks", "leaks", "--test", test, "--json").stdout)
    (leak,) = [finding for finding in report["findings"] if finding["check"] == "leak-exact"]
    assert leak["lines"][:3] == [1, 2, 3] and report["verdict"] == "fix_first"


def test_fixes_are_shown_made_and_undone_and_the_source_stays(call: Call, rows_file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    lines = rows_file.read_text().splitlines()
    bad.write_text("\n".join([*lines[:20], lines[20] + ",", '{"prompt": "x", "completion": ""}', *lines[21:]]) + "\n")
    before = bad.read_bytes()
    shown = call("fix", bad)
    assert shown.exit_code == 0 and "leave out the comma behind the row" in shown.stdout
    assert "line 21" in shown.stdout and "--safe, --all or --only" in shown.stdout
    result = json.loads(call("fix", bad, "--safe", "--json").stdout)
    target = Path(result["target"])
    assert (result["rows"], result["changed"], result["dropped"]) == (49, 1, 0)
    again = call("fix", bad, "--all", "--out", target)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    assert json.loads(call("fix", bad, "--all", "--out", target, "--overwrite", "--json").stdout)["rows"] == 48
    assert call("fix", bad, "--safe", "--out", tmp_path / "fixed.csv").exit_code == 2
    assert target.with_name(target.name + ".rejects.jsonl").exists()
    assert call("lint", target, "--checks", "structure").exit_code == 0
    assert call("fix", target, "--undo").exit_code == 0
    assert target.read_bytes() == before == bad.read_bytes()
    assert call("fix", bad, "--safe", "--all").exit_code == 2
    assert call("fix", bad, "--only", "sweep").exit_code == 2


def test_a_conversion_ends_with_what_was_lost(call: Call, tmp_path: Path) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.csv"
    row = {"prompt": "p", "completion": "c", "source": "web"}
    source.write_text(json.dumps(row) + "\n" + json.dumps({**row, "prompt": "q"}) + "\n")
    result = json.loads(call("convert", source, target, "--to", "prompt_completion", "--json").stdout)
    assert (result["written"], [loss["path"] for loss in result["losses"]]) == (2, ["source"])
    assert target.read_text().splitlines() == ["prompt,completion", "p,c", "q,c"]
    assert call("convert", source, target, "--to", "prompt_completion").exit_code == 2
    assert call("convert", source, tmp_path / "b.xlsx", "--to", "prompt_completion").exit_code == 2
    shown = call("convert", source, target, "--to", "sharegpt", "--overwrite")
    assert (shown.exit_code == 2 and "tables" in shown.stderr + shown.stdout) or "csv" in shown.stderr
    assert call("convert", source, tmp_path / "c.jsonl", "--to", "messages").stdout.count("source") >= 1


def test_a_split_has_no_leak_and_columns_can_be_named(call: Call, rows_file: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
    table.write_text("what,then\n" + "".join(f"{row['prompt']!s},{row['completion']}\n" for row in rows))
    out = tmp_path / "parts"
    wrong = call("split", table, "--out", out)
    assert wrong.exit_code == 1 and not out.exists()
    named = ("--column", "prompt=what", "--column", "completion=then")
    result = json.loads(call("split", table, "--out", out, *named, "--test", "10", "--json").stdout)
    assert result["counts"]["test"] <= 10 and result["leaks"]["clean"]
    assert sorted(path.name for path in out.iterdir()) == [
        "split.json",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert call("split", table, "--out", out, "--column", "prompt").exit_code == 2


def test_a_card_is_printed_or_written(call: Call, rows_file: Path, tmp_path: Path) -> None:
    shown = call("card", rows_file, "--licence", "CC0-1.0")
    assert shown.exit_code == 0 and "CC0-1.0" in shown.stdout
    page = tmp_path / "card.html"
    assert call("card", rows_file, "--out", page).exit_code == 0 and "<svg" in page.read_text()
    assert call("card", rows_file, "--out", tmp_path / "card.txt").exit_code == 2


def test_a_comparison_prints_one_document_to_stdout_and_its_progress_to_stderr(
    call: Call, rows_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = call("compare", rows_file, "--arms", "zero-shot, few-shot", "--limit", 5, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((out / "result.json").read_text())
    assert [(arm["name"], arm["n"]) for arm in json.loads(result.stdout)["arms"]] == [("zero-shot", 5), ("few-shot", 5)]
    lines = [line for line in result.stderr.splitlines() if not line.startswith("  ... ")]
    assert lines[0] == "preparing: reading the data"
    assert any(line.startswith("Few-shot (nearest examples): answering 5 of 5") for line in lines)
    assert all(first != second for first, second in itertools.pairwise(lines))  # nothing is said twice
    people = call("compare", rows_file, "--arms", "zero-shot,few-shot", "--limit", 5, "--out", out)
    assert people.exit_code == 0
    verdict = json.loads(result.stdout)["verdict"]["sentence"]
    assert verdict in " ".join(people.stdout.split())
    assert "Zero-shot" in people.stdout and f"{out}/report.html" in people.stdout
    assert "answering" not in people.stdout


def test_a_comparison_goes_to_the_home_by_default_and_the_result_says_where(
    call: Call, rows_file: Path, fitting_room_home: Path
) -> None:
    result = json.loads(call("compare", rows_file, "--arms", "zero-shot", "--limit", 2, "--json").stdout)
    folder = Path(result["folder"])
    assert folder.parent == fitting_room_home / "comparisons"
    assert {"result.json", "report.md", "items.jsonl"} <= {file.name for file in folder.iterdir()}


def test_training_prints_its_outcome_and_keeps_a_safe_adapter(
    call: Call, rows_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    recipe = Recipe(str(tiny_model), batch_size=4, micro_batch_size=4, max_steps=2, evaluations=1, max_length=256)
    recipe.save(tmp_path / "recipe.yaml")
    result = call("train", rows_file, "--recipe", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    promised = "run state adapter recipe steps seconds tokens_per_second loss validation_loss health"
    assert set(promised.split()) <= set(outcome) and {"alive", "stop_rate"} <= set(outcome["health"])
    assert (outcome["run"], outcome["state"], outcome["steps"]) == ("run", "done", 2)
    check_adapter(Path(outcome["adapter"]))
    assert Recipe.load(Path(outcome["recipe"])) == recipe
    held_out = {row.question for row in RunFolder(tmp_path / "run").read_rows("validation")}
    trained = {row.question for row in RunFolder(tmp_path / "run").read_rows("train")}
    assert held_out and trained and not held_out & trained
    assert "step 2 of 2" in result.stderr
    again = call("train", rows_file, "--recipe", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--json")
    assert (again.exit_code, json.loads(again.stdout)["error"]["kind"]) == (2, "UsageError")
    assert "holds a run already" in again.stderr


@pytest.mark.parametrize("name", ["prompt_completion", "messages"])
def test_a_schema_is_printed(name: str, call: Call) -> None:
    result = call("schema", name)
    assert result.exit_code == 0 and json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("words", [("--help",), ("compare", "--help"), ("train", "-h"), ("lint", "-h")], ids=" ".join)
def test_help_is_given(words: tuple[str, ...], call: Call) -> None:
    result = call(*words)
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_the_help_of_compare_lists_what_can_be_named(call: Call) -> None:
    words = set(re.findall(r"[\w-]+", call("compare", "--help").stdout))
    assert {*ARM_TITLES, *metric_names(), *get_args(TaskKind)} <= words
    assert {metric_for(kind).name for kind in get_args(TaskKind)} <= set(metric_names())


def test_columns_with_other_names_are_compared_and_trained_on(
    call: Call, rows_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """The label stands in a column that would be taken for no answer, the text in one of two that might be it."""
    lines = rows_file.read_text().splitlines()
    for name, part in (("rows", lines[:40]), ("test", lines[40:])):
        rows = [json.loads(line) for line in part]
        odd = [{"shelf": row["completion"], "note": "no", "memo": row["prompt"], "by": "me"} for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in odd))
    named = ("--column", "prompt=memo", "--column", "completion=shelf")
    files = (tmp_path / "rows.jsonl", "--test", tmp_path / "test.jsonl")
    words = ("compare", *files, "--arms", "zero-shot,few-shot", "--out", tmp_path / "out", "--json")
    assert call(*words).exit_code == 1
    result = json.loads(call(*words, *named).stdout)
    assert (result["rows_read"], result["task"]["rows"]["test"]) == (48, 8)
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    expected = {(row["prompt"], row["completion"]) for row in map(json.loads, lines[40:])}
    assert {(item["prompt"], item["wanted"]) for item in items} == expected
    assert "--column prompt=memo --column completion=shelf" in (tmp_path / "out" / "report.md").read_text()
    recipe = Recipe(str(tiny_model), batch_size=4, micro_batch_size=4, max_steps=1, evaluations=1, max_length=256)
    recipe.save(tmp_path / "recipe.yaml")
    train = ("train", files[0], "--recipe", tmp_path / "recipe.yaml", "--out", tmp_path / "run", "--json")
    assert json.loads(call(*train, *named).stdout)["steps"] == 1
    rows = RunFolder(tmp_path / "run").read_rows("train")
    assert rows and {(row.question, row.completion) for row in rows} <= {
        (row["prompt"], row["completion"]) for row in map(json.loads, lines)
    }


def test_without_a_command_the_help_is_shown_as_wrong_use(call: Call) -> None:
    result = call()
    assert result.exit_code == 2 and "compare" in result.output


def test_a_file_name_that_is_no_text_does_no_harm(call: Call, start: Any, rows_file: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    Path(os.fsdecode(odd)).write_bytes(rows_file.read_bytes())
    assert os.fsencode(json.loads(call("lint", os.fsdecode(odd), "--json").stdout)["file"]) == odd
    process = start("lint", os.fsdecode(odd))  # a terminal's encoding is that of a real process
    stdout, stderr = process.communicate()
    assert (process.returncode, b"rror" in stderr) == (0, False), stderr
    assert stdout.startswith(b"Ready to train: ") and b"48 rows" in stdout
