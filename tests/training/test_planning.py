"""From rows to a plan, and whether it can start."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import DataError
from dataset_tools.example import Example, Message
from training.estimates import estimate
from training.models.catalogue import CATALOGUE
from training.models.loading import Machine
from training.models.machine_memory import MachineMemory
from training.models.memory import memory_needed
from training.planning import plan_rows, plan_training, replan, row_facts, within_memory
from training.readiness import Readiness, RowFacts, readiness, what_would_fit
from training.recipe import Recipe
from training.runs import locks

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = MachineMemory(Machine("cpu", "bfloat16"), 16 * 10**9, 12 * 10**9)
GPU = MachineMemory(Machine("cuda", "bfloat16"), 80 * 10**9, 79 * 10**9)
SHAPES = {entry.id: entry.shape for entry in CATALOGUE}
SMALL, LLAMA_8B = SHAPES["embedded"], SHAPES["meta-llama/Llama-3.1-8B-Instruct"]
PLENTY = RowFacts(total=400, usable=400, lengths=[100] * 400, held_out=40)
ROOMY = 10**12


def judged(recipe: Recipe, rows: RowFacts = PLENTY, **options: Any) -> Readiness:
    settings: dict[str, Any] = {"shape": SMALL, "machine": CPU, "disk_free": ROOMY, **options}
    known = {"shape": settings["shape"], "machine": settings["machine"], "tokens_per_second": 100.0}
    return readiness(recipe, rows, estimate=estimate(recipe, rows.lengths, **known), **settings)


def test_nothing_in_the_way_is_ready() -> None:
    assert judged(Recipe("m")) == Readiness()
    assert judged(Recipe("m")).ready and judged(Recipe("m")).sentence == "Ready."


def small(free: float, total: float = 16) -> dict[str, Any]:
    return {"machine": replace(CPU, free=int(free * 10**9), total=int(total * 10**9))}


NOT_READY: list[tuple[str, Recipe, RowFacts, dict[str, Any], str]] = [
    ("one row", Recipe("m"), RowFacts(1, 1, [9], 0), {}, r"too few rows .*\(1\)"),
    (
        "all too long",
        Recipe("m", max_length=50),
        RowFacts(9, 0, [], 0),
        {},
        "All 9 rows lose .* 50 tokens: raise max_length",
    ),
    (
        *("all longer than the model", Recipe("m", max_length=8192), RowFacts(9, 0, [], 0), {}),
        "8192 tokens: the model holds no more",
    ),
    ("no pairs", Recipe("m", objective="dpo"), RowFacts(9, 0, [], 0), {}, "better and a worse answer .* objective sft"),
    ("long prompts", Recipe("m", objective="grpo"), RowFacts(9, 0, [], 0), {}, "None of 9 prompts .* raise max_length"),
    ("one pair", Recipe("m", objective="dpo"), RowFacts(9, 1, [5], 0), {}, "Only one of 9 rows .* dpo"),
    (
        *("thumbs up", Recipe("m", objective="kto"), replace(PLENTY, thumbs=(400, 0)), {}),
        "All 400 thumbs point up, .* objective sft",
    ),
    ("thumbs down", Recipe("m", objective="kto"), replace(PLENTY, thumbs=(0, 400)), {}, "All 400 thumbs point down"),
    (
        "beyond the context",
        Recipe("m", max_length=9000),
        PLENTY,
        {},
        "9000 tokens do not fit .* set max_length to 8192",
    ),
    (
        *("virtual tokens beyond it", Recipe("m", method="prompt", max_length=8192), PLENTY, {}),
        "8208 tokens do not fit .* set max_length to 8176",
    ),
    ("no adapter", Recipe("m", start_from="/no/such/folder"), PLENTY, {}, "not an adapter .* Save the adapter again"),
    (
        *("a full memory", Recipe("m"), replace(PLENTY, lengths=[1000] * 400), small(4)),
        r"4\.0 GB of this machine's 16 GB are free: close other programs, or set micro_batch_size to \d",
    ),
    (
        *("a small machine", Recipe("m"), replace(PLENTY, lengths=[1000] * 400), small(3, 3.5)),
        r"this machine has 3\.5 GB: set micro_batch_size to \d\.",
    ),
    ("no disk for two", Recipe("m"), PLENTY, {"disk_free": 10**8}, "two checkpoints take 0.1 GB: free some space"),
    (
        "no disk for all",
        Recipe("m"),
        PLENTY,
        {"disk_free": 2 * 10**8},
        "writes up to 0.3 GB: .* lower checkpoints_kept",
    ),
    ("as few as can be", Recipe("m", checkpoints_kept=2), PLENTY, {"disk_free": 15 * 10**7}, "free some space, or let"),
]


@pytest.mark.parametrize(
    ("recipe", "rows", "options", "reason"), [case[1:] for case in NOT_READY], ids=[c[0] for c in NOT_READY]
)
def test_what_stands_in_the_way_is_said_with_the_knob_to_turn(
    recipe: Recipe, rows: RowFacts, options: dict[str, Any], reason: str
) -> None:
    import re

    found = judged(recipe, rows, **options)
    assert not found.ready and len(found.reasons) == 1, found.reasons
    assert re.search(reason, found.reasons[0]), found.reasons[0]
    assert found.reasons[0].endswith(".") and found.sentence == f"Not ready, because: {found.reasons[0]}"


def test_a_precision_that_the_machine_has_not_got_is_a_reason(tiny_model: Path) -> None:
    recipe = Recipe(str(tiny_model), precision="fp16")
    plan = plan_rows(rows_of(30), [], model="ignored", recipe=recipe, machine=CPU)
    assert any("fp16 needs an accelerator" in reason for reason in plan.readiness.reasons)


WARNED: list[tuple[str, Recipe, RowFacts, dict[str, Any], str]] = [
    ("few rows", Recipe("m", max_steps=99), RowFacts(30, 30, [9] * 30, 8), {}, "30 rows are few"),
    ("rows left out", Recipe("m"), replace(PLENTY, total=410), {}, "10 of 410 rows teach nothing"),
    ("rows cut", Recipe("m", max_length=50), PLENTY, {}, "400 rows are longer than 50 tokens .* raise max_length"),
    ("none held out", Recipe("m"), replace(PLENTY, held_out=0), {}, "No rows are held out"),
    ("few steps", Recipe("m", max_steps=10), PLENTY, {}, "10 steps are few"),
    ("a queue", Recipe("m"), PLENTY, {"busy": True}, "wait for its end"),
    ("a reward", Recipe("m", objective="grpo"), PLENTY, {}, "task's metric"),
]


@pytest.mark.parametrize(
    ("recipe", "rows", "options", "warning"), [case[1:] for case in WARNED], ids=[c[0] for c in WARNED]
)
def test_what_is_worth_knowing_is_a_warning_and_no_obstacle(
    recipe: Recipe, rows: RowFacts, options: dict[str, Any], warning: str
) -> None:
    import re

    found = judged(recipe, rows, **options)
    assert found.ready and len(found.warnings) == 1, found
    assert re.search(warning, found.warnings[0]), found.warnings[0]


def test_a_memory_that_is_close_is_a_warning() -> None:
    needed = estimate(Recipe("m"), PLENTY.lengths, shape=SMALL, machine=CPU, tokens_per_second=1.0).memory
    found = judged(Recipe("m"), machine=replace(CPU, free=int(1.05 * needed)))
    assert found.ready and "memory is close" in found.warnings[0]


ADVICE = [
    (CPU, SMALL, Recipe("m", max_length=1000), 4.0, "set micro_batch_size to "),
    (GPU, LLAMA_8B, Recipe("m", max_length=4000), 12.0, "set gradient_checkpointing to true and micro_batch_size to 1"),
    (GPU, LLAMA_8B, Recipe("m", method="lora", max_length=2000), 14.0, "choose the method qlora, with"),
    (GPU, LLAMA_8B, Recipe("m", max_length=100_000), 20.0, "lower max_length to 12500, with"),
    (GPU, LLAMA_8B, Recipe("m", max_length=1000), 6.0, "choose a smaller model, such as "),
    (GPU, LLAMA_8B, Recipe("m", max_length=1000), 0.5, "use a machine with more memory"),
]


@pytest.mark.parametrize(("machine", "shape", "recipe", "free", "advice"), ADVICE, ids=[case[-1] for case in ADVICE])
def test_the_advice_is_the_least_change_that_fits(
    machine: MachineMemory, shape: Any, recipe: Recipe, free: float, advice: str
) -> None:
    machine = replace(machine, free=int(free * 10**9))
    rows = RowFacts(400, 400, [recipe.max_length] * 400, 40)
    assert memory_needed(recipe, shape, machine=machine) > machine.free
    assert what_would_fit(recipe, rows, shape, machine).startswith(advice)


def test_rows_at_once_are_cut_down_to_the_memory_and_the_batch_stays() -> None:
    recipe = Recipe("m", batch_size=16, micro_batch_size=16, max_length=2048)
    for free, expected in ((790, (16, False)), (79, (4, False)), (30, (1, False)), (14, (4, True)), (4, (16, False))):
        machine = replace(GPU, free=int(free * 10**9))
        found = within_memory(recipe, LLAMA_8B, lengths=[2048] * 20, machine=machine)
        assert found.batch_size == 16
        assert (found.micro_batch_size, found.gradient_checkpointing) == expected, free
        if free > 4:
            assert memory_needed(found, LLAMA_8B, machine=machine) <= machine.free
    few = replace(recipe, micro_batch_size=2)
    assert within_memory(few, LLAMA_8B, lengths=[2048] * 20, machine=GPU) == few


def rows_of(count: int, **more: Any) -> list[Example]:
    return [replace(Example.of(f"what is {number}", "red" * (number % 5 + 1)), **more) for number in range(count)]


def test_a_plan_says_what_the_run_takes_and_that_it_can_start(tiny_model: Path) -> None:
    plan = plan_training(rows_of(100), model=str(tiny_model), machine=CPU)
    assert plan.readiness.ready, plan.readiness
    assert len(plan.train) + len(plan.validation) == 100 and plan.validation
    assert plan.estimate.steps == plan.recipe.steps(len(plan.train))
    assert plan.estimate.memory <= plan.estimate.available == CPU.free
    assert plan.tokens <= plan.estimate.tokens <= 1.2 * plan.recipe.epochs * plan.tokens
    assert str(len(plan.train)) in plan.sentence


def test_a_given_recipe_is_kept_as_it_is(tiny_model: Path) -> None:
    recipe = Recipe(str(tiny_model), method="ia3", max_length=12, epochs=1, seed=9)
    plan = plan_rows(rows_of(60), [], model="ignored", recipe=recipe, machine=CPU)
    assert plan.recipe == recipe
    assert any("lose their end" in warning for warning in plan.readiness.warnings)
    assert plan.tokens <= 12 * 60


@pytest.mark.parametrize(
    "changes",
    [{"rank": 4}, {"max_length": 12}, {"max_length": 10**6}, {"method": "ia3"}, {"objective": "grpo"}],
    ids=str,
)
def test_a_plan_with_another_recipe_is_the_one_that_planning_anew_gives(
    tiny_model: Path, changes: dict[str, Any]
) -> None:
    long = [Example.of("what is the colour of the river " * 9, "red")] * 5
    plan = plan_rows([*rows_of(60), *long], rows_of(9), model=str(tiny_model), machine=CPU)
    recipe = replace(plan.recipe, **changes)
    anew = plan_rows(plan.train, plan.validation, model="ignored", recipe=recipe, machine=CPU)
    assert replan(plan, recipe, machine=CPU) == anew
    assert (anew.facts.usable < plan.facts.usable) == (recipe.max_length == 12)


def test_rows_are_not_read_again_for_a_recipe_that_cuts_none_of_them(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_rows(rows_of(60), [], model=str(tiny_model), machine=CPU)
    monkeypatch.setattr("training.planning.load_tokenizer", None)
    for length in (plan.longest, plan.recipe.max_length, 10**6):
        assert row_facts(plan, length) is plan.facts
    with pytest.raises(TypeError):
        row_facts(plan, plan.longest - 1)


def test_where_prompts_are_learnt_too_the_output_head_is_reckoned_for_all_tokens(tiny_model: Path) -> None:
    plan = plan_rows(rows_of(60), [], model=str(tiny_model), machine=CPU)
    every = replan(plan, replace(plan.recipe, completion_only=False), machine=CPU).estimate
    assert plan.basis.answer_share < 1
    assert every.seconds is not None and plan.estimate.seconds is not None
    assert every.seconds > plan.estimate.seconds


def test_method_and_objective_can_be_asked_for(tiny_model: Path) -> None:
    pairs = rows_of(60, rejected=(Message("assistant", "green"),))
    plan = plan_rows(pairs, pairs[:9], model=str(tiny_model), method="lora", objective="dpo", machine=CPU)
    assert (plan.recipe.method, plan.recipe.objective) == ("lora", "dpo")
    assert plan.readiness.ready
    drawn = plan_rows(rows_of(60), [], model=str(tiny_model), objective="grpo", machine=CPU).recipe
    assert 16 <= drawn.max_completion < 100
    assert "grpo" in str(plan_rows(rows_of(60), [], model=str(tiny_model), objective="grpo", machine=CPU).readiness)


@pytest.mark.parametrize(
    ("examples", "objective", "reason"),
    [
        (rows_of(30), "dpo", "a better and a worse answer"),
        (rows_of(30, desirable=True), "kto", "All 30 thumbs point up"),
        (rows_of(30, desirable=False), "sft", "All 30 rows lose their answer"),
        ([Example.of("what is the colour of the river " * 400, "red")] * 30, "sft", "the model holds no more"),
        ([Example.of("what is the colour of the river " * 400, "red")] * 30, "grpo", "None of 30 prompts"),
    ],
)
def test_rows_that_do_not_suit_are_a_reason_and_no_crash(
    tiny_model: Path, examples: list[Example], objective: str, reason: str
) -> None:
    plan = plan_rows(examples, [], model=str(tiny_model), objective=objective, machine=CPU)
    assert any(reason in text for text in plan.readiness.reasons), plan.readiness


def test_too_few_rows_for_a_plan_are_refused(tiny_model: Path) -> None:
    with pytest.raises(DataError, match="too few rows"):
        plan_training(rows_of(1), model=str(tiny_model))
    assert not plan_rows([], [], model=str(tiny_model), machine=CPU).readiness.ready


def test_while_another_run_holds_the_machine_its_memory_counts_as_free_again(
    tiny_model: Path, fitting_room_home: Path
) -> None:
    full = replace(CPU, free=10**8)
    assert not plan_rows(rows_of(60), [], model=str(tiny_model), machine=full).readiness.ready
    with locks.accelerator(my_turn=lambda: True, on_wait=lambda: None):
        found = plan_rows(rows_of(60), [], model=str(tiny_model), machine=full).readiness
    assert found.ready and any("wait for its end" in warning for warning in found.warnings)


def test_a_program_to_tell_that_is_not_installed_is_a_reason(tiny_model: Path) -> None:
    recipe = Recipe(str(tiny_model), report_to="mlflow")
    assert importlib.util.find_spec("mlflow") is None, "this test needs a machine without mlflow"
    plan = plan_rows(rows_of(60), [], model="ignored", recipe=recipe, machine=CPU)
    assert "mlflow is not installed: pip install mlflow, or set report_to to none." in plan.readiness.reasons
