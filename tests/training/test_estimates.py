"""Steps, tokens, time and disk of a run before it starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.estimates import (
    UNKNOWN,
    Estimate,
    checkpoint_bytes,
    disk_needed,
    efficiency,
    estimate,
    operations_per_token,
    past_speed,
    product_rate,
)
from training.models.catalogue import CATALOGUE
from training.models.loading import Machine
from training.models.machine_memory import MachineMemory, machine_memory
from training.models.memory import memory_parts
from training.recipe import METHODS, Recipe

pytestmark = pytest.mark.usefixtures("one_thread")

GPU = MachineMemory(Machine("cuda", "bfloat16"), 80 * 10**9, 79 * 10**9)
CPU = MachineMemory(Machine("cpu", "bfloat16"), 16 * 10**9, 12 * 10**9)
SHAPES = {entry.id: entry.shape for entry in CATALOGUE}
SMALL, LLAMA_8B = SHAPES["embedded"], SHAPES["meta-llama/Llama-3.1-8B-Instruct"]
LENGTHS = [100] * 90 + [300] * 10


def estimated(recipe: Recipe, lengths: list[int] = LENGTHS, **options: Any) -> Estimate:
    return estimate(recipe, lengths, **{"shape": SMALL, "machine": CPU, "tokens_per_second": 100.0, **options})


def test_steps_and_tokens_are_those_of_all_passes_over_the_cut_rows() -> None:
    recipe = Recipe("m", batch_size=8, micro_batch_size=4, epochs=2, max_length=200)
    found = estimated(recipe)
    assert found.steps == 25  # 2 x 100 rows in batches of 8
    assert found.tokens == 25 * 8 * 110  # 90 rows of 100 tokens and 10 that are cut to 200
    assert found.seconds == pytest.approx(found.tokens / 100)
    assert found.memory_parts == memory_parts(recipe, SMALL, machine=CPU, longest=200)
    assert found.memory == sum(found.memory_parts.values()) and found.available == CPU.free


def test_a_time_budget_bounds_the_time_and_the_steps() -> None:
    recipe = Recipe("m", batch_size=8, micro_batch_size=8, epochs=2, max_seconds=60.0)
    found = estimated(recipe)
    assert found.seconds == 60 and found.steps == 60 * 100 // (8 * 120)
    assert estimated(replace(recipe, max_seconds=1e6)).seconds == pytest.approx(25 * 8 * 120 / 100)
    assert estimated(replace(recipe, max_seconds=0.001)).steps == 1
    assert estimated(replace(recipe, max_steps=7)).steps == 7


def test_no_rows_give_an_estimate_all_the_same() -> None:
    assert estimated(Recipe("m", max_steps=1), []).steps == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, UNKNOWN),
        (0.4, "about 1 second"),
        (80, "about 80 seconds"),
        (100, "about 2 minutes"),
        (7200, "about 2.0 hours"),
    ],
)
def test_the_time_is_said_in_words(seconds: float | None, words: str) -> None:
    assert replace(estimated(Recipe("m")), seconds=seconds).time_sentence == words


@given(
    st.sampled_from(METHODS), st.sampled_from(["sft", "dpo", "kto"]), st.floats(1, 8000), st.floats(0, 1), st.booleans()
)
def test_an_operation_more_is_never_one_less(
    method: str, objective: str, width: float, share: float, again: bool
) -> None:
    recipe = Recipe("m", method=method, objective=objective, gradient_checkpointing=again and method != "prefix")

    def operations(changed: Recipe = recipe, **options: float) -> float:
        return operations_per_token(changed, LLAMA_8B, **{"width": width, "answer_share": share, **options})

    assert operations(width=width + 10) > operations()
    assert operations(answer_share=min(1, share + 0.1)) >= operations()
    assert operations(replace(recipe, method="full")) >= operations()
    if not recipe.gradient_checkpointing and method != "prefix":
        assert operations(replace(recipe, gradient_checkpointing=True)) > operations()
    assert operations(replace(recipe, objective="sft")) <= operations()


def test_training_takes_four_operations_for_each_frozen_number_and_six_for_each_trained_one() -> None:
    numbers = LLAMA_8B.linear_parameters + LLAMA_8B.vocabulary * LLAMA_8B.hidden_size
    options: dict[str, Any] = {"width": 0, "answer_share": 1.0}
    frozen = Recipe("m", method="ia3")
    assert operations_per_token(frozen, LLAMA_8B, **options) == 4 * numbers
    again = replace(frozen, gradient_checkpointing=True)
    assert operations_per_token(again, LLAMA_8B, **options) == 6 * numbers
    assert operations_per_token(Recipe("m", method="full"), LLAMA_8B, **options) == 6 * numbers
    adapter = operations_per_token(Recipe("m", method="lora"), LLAMA_8B, **options) - 4 * numbers
    assert adapter == 6 * LLAMA_8B.trainable(Recipe("m", method="lora"))


def test_more_rows_at_once_use_a_processor_better() -> None:
    few, many = (efficiency(Recipe("m"), CPU, tokens=tokens) for tokens in (50, 5000))
    assert 0 < few < many < 1
    assert efficiency(Recipe("m", method="lora"), GPU, tokens=50) > efficiency(Recipe("m"), GPU, tokens=50)


def a_run(home: Path, name: str, *, speed: float | None, state: str = "done", **knobs: Any) -> None:
    folder = home / "runs" / name
    folder.mkdir(parents=True)
    recipe = Recipe(**{"model": "m", **knobs})
    recipe.save(folder / "recipe.yaml")
    result = {"tokens_per_second": speed}
    status = {"run": name, "state": state, "model": recipe.model, "result": result}
    (folder / "run.json").write_text(json.dumps(status))


def test_the_speed_is_that_of_the_last_runs_that_were_alike(fitting_room_home: Path) -> None:
    recipe = Recipe("m")
    assert past_speed(recipe) is None
    a_run(fitting_room_home, "1", speed=1.0)
    for number, speed in (("2", 40.0), ("3", 500.0), ("4", 50.0)):
        a_run(fitting_room_home, number, speed=speed)
    a_run(fitting_room_home, "5", speed=7.0, state="failed")
    a_run(fitting_room_home, "6", speed=7.0, model="other")
    a_run(fitting_room_home, "7", speed=7.0, method="lora")
    a_run(fitting_room_home, "8", speed=7.0, precision="fp32")
    a_run(fitting_room_home, "9", speed=None)
    (fitting_room_home / "runs" / "91").mkdir()
    (fitting_room_home / "runs" / "91" / "run.json").write_text("{half a f")
    (fitting_room_home / "runs" / "4" / "recipe.yaml").write_text("a_knob_of_tomorrow: 1\n")
    assert past_speed(recipe) == pytest.approx(40.0)  # the middle of 500, 40 and 1
    found = estimate(recipe, LENGTHS, shape=SMALL, machine=CPU)
    assert found.seconds == pytest.approx(found.tokens / 40) and "last runs" in found.basis


def test_what_grpo_takes_is_not_known_before_a_run(fitting_room_home: Path) -> None:
    recipe = Recipe("m", objective="grpo", epochs=1)
    found = estimate(recipe, LENGTHS, shape=SMALL, machine=CPU)
    assert (found.seconds, found.time_sentence, found.steps) == (None, UNKNOWN, 50)
    assert estimate(replace(recipe, max_seconds=60.0), LENGTHS, shape=SMALL, machine=CPU).seconds == 60
    a_run(fitting_room_home, "1", speed=10.0, objective="grpo")
    assert estimate(recipe, LENGTHS, shape=SMALL, machine=CPU).seconds is not None


def test_a_product_is_timed_once_and_kept(fitting_room_home: Path) -> None:
    here = machine_memory()
    file = fitting_room_home / "cache" / "product_rates.json"
    file.parent.mkdir(parents=True)
    file.write_text("not ours")
    rate = product_rate(SMALL, here, dtype="float32")
    assert rate > 1e6
    kept = json.loads(file.read_text())
    assert list(kept.values()) == [rate]
    file.write_text(json.dumps(dict.fromkeys(kept, 123.0)))
    assert product_rate(SMALL, here, dtype="float32") == 123.0
    product_rate(LLAMA_8B, here, dtype="float32")
    assert len(json.loads(file.read_text())) == 2
    found = estimate(Recipe("m", precision="fp32"), LENGTHS, shape=SMALL, machine=here)
    assert found.seconds is not None and found.seconds > 0 and "timed here" in found.basis


def test_the_disk_holds_the_checkpoints_one_more_and_what_is_left_behind() -> None:
    recipe = Recipe("m", optimizer="adamw_torch", checkpoints_kept=2)
    trained = SMALL.trainable(recipe)
    assert checkpoint_bytes(recipe, SMALL, machine=CPU) == 12 * trained
    papers = disk_needed(recipe, SMALL, machine=CPU) - (3 * 12 + 4) * trained
    assert 0 < papers < 10**8
    full = replace(recipe, method="full")
    assert disk_needed(full, SMALL, machine=CPU) == (3 * 12 + 2) * SMALL.parameters + papers
    full = replace(full, precision="fp32", optimizer="auto")
    assert disk_needed(full, SMALL, machine=GPU) == (3 * 6 + 4) * SMALL.parameters + papers
