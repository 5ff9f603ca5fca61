"""``fitting-room train`` and ``distill``: what can be asked for, and what is refused before anything is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from app.training_commands import with_knobs
from dataset_tools.errors import UsageError
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")
Call = Callable[..., Result]
FEW_STEPS = ("--set", "max_steps=2", "--set", "batch_size=4", "--set", "micro_batch_size=2", "--set", "dry_run=false")


@pytest.mark.parametrize(
    ("knobs", "wanted"),
    [
        (["rank=4"], {"rank": 4}),
        (["learning_rate=3e-4"], {"learning_rate": 3e-4}),
        (["dry_run=false", "max_steps=7"], {"dry_run": False, "max_steps": 7}),
        (["max_steps=null"], {"max_steps": None}),
        (["start_from=some/folder"], {"start_from": "some/folder"}),
        ([], {}),
    ],
)
def test_knobs_are_read_as_a_recipe_file_reads_them(knobs: list[str], wanted: dict[str, Any]) -> None:
    recipe = with_knobs(Recipe("m"), knobs)
    assert {name: getattr(recipe, name) for name in wanted} == wanted


@pytest.mark.parametrize("knob", ["rang=4", "rank", "rank=many", "batch_size=-1", "=3"])
def test_a_knob_that_is_none_or_cannot_be_is_wrong_use(knob: str) -> None:
    with pytest.raises(UsageError):
        with_knobs(Recipe("m"), [knob])


def test_a_method_and_single_knobs_can_be_asked_for(call: Call, rows_file: Path) -> None:
    result = call("train", rows_file, "--method", "ia3", *FEW_STEPS, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    recipe = Recipe.load(Path(told["recipe"]))
    assert (recipe.method, recipe.max_steps, recipe.batch_size, told["steps"]) == ("ia3", 2, 4, 2)
    assert {finding["light"] for finding in told["health"]["card"]} <= {"green", "amber", "red", "grey"}


def test_rows_of_another_file_are_mixed_in_by_weight(call: Call, rows_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    rows = [{"prompt": f"say the word number {i} of many", "completion": f"word {i}"} for i in range(20)]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = call("train", rows_file, "--also", f"{other}=0.5", *FEW_STEPS, "--json")
    assert result.exit_code == 0, result.stderr
    assert "Mixed: " in result.stderr and "rows of other.jsonl" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "rang=4"), "There is no such knob"),
        (("--method", "magic"), "magic"),
        (("--objective", "dpo"), "cannot start"),
        (("--also", "nothing"), "no file with a weight"),
    ],
)
def test_what_cannot_be_is_refused_before_a_run_is_made(
    call: Call, rows_file: Path, fitting_room_home: Path, words: tuple[str, str], said: str
) -> None:
    result = call("train", rows_file, *words)
    assert result.exit_code == 2 and said in result.stderr
    assert not (fitting_room_home / "runs").exists()


def test_distilled_rows_never_take_the_place_of_a_file(call: Call, rows_file: Path, tiny_model: Path) -> None:
    before = rows_file.read_bytes()
    result = call("distill", rows_file, "--teacher", tiny_model, "--out", rows_file)
    assert result.exit_code == 2 and "is there already" in result.stderr
    assert rows_file.read_bytes() == before


def test_a_teacher_that_knows_nothing_leaves_no_file(
    call: Call, rows_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    result = call("distill", rows_file, "--teacher", tiny_model, "--out", tmp_path / "new.jsonl", "--at-least", "1")
    assert result.exit_code == 1 and "None of the teacher's answers" in result.stderr
    assert not (tmp_path / "new.jsonl").exists()
