from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from dataset_tools.errors import UsageError
from training.knobs import KNOBS
from training.recipe import METHODS, OBJECTIVES, Recipe, default_learning_rate, derive_recipe, describe, to_dict

PLAIN: dict[str, Any] = {"hidden_size": 576, "context": 2048, "has_accelerator": False}


def test_few_rows_are_seen_often_in_small_batches_and_many_rarely() -> None:
    recipes = [derive_recipe("m", [50] * rows, **PLAIN) for rows in (20, 99, 100, 499, 500, 1999, 2000, 50_000)]
    assert [recipe.epochs for recipe in recipes] == [6.0, 6.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0]
    assert [recipe.batch_size for recipe in recipes] == [8] * 4 + [16] * 4


def test_no_row_is_cut_where_the_context_allows() -> None:
    assert derive_recipe("m", [10, 700, 30], **PLAIN).max_length == 700
    assert derive_recipe("m", [10, 7000, 30], **PLAIN).max_length == 2048


@pytest.mark.parametrize("longest", [1, 100, 700, 4096, 100_000])
@pytest.mark.parametrize("accelerator", [False, True])
def test_the_batch_is_computed_in_equal_parts_that_fit_at_once(longest: int, accelerator: bool) -> None:
    recipe = derive_recipe("m", [longest] * 600, hidden_size=576, context=10**6, has_accelerator=accelerator)
    assert recipe.batch_size % recipe.micro_batch_size == 0
    at_once = 16_384 if accelerator else 4_096
    assert recipe.micro_batch_size == 1 or recipe.micro_batch_size * longest <= at_once


def test_the_learning_rate_falls_with_width_and_rises_with_the_batch() -> None:
    # tinker-cookbook's rule by hand: 1.5 * 5e-4 * (2000 / 2000) ** 0.781 * sqrt(128 / 128)
    assert default_learning_rate(2000, 128) == pytest.approx(7.5e-4)
    assert default_learning_rate(4000, 128) == pytest.approx(7.5e-4 * 0.5**0.781)
    assert default_learning_rate(2000, 8) == pytest.approx(7.5e-4 / 4)
    assert default_learning_rate(576, 8) == pytest.approx(4 * 7.5e-4 / 4 * (2000 / 576) ** 0.781)
    assert default_learning_rate(64, 128) == pytest.approx(2e-3)


def test_an_empty_dataset_still_gives_a_recipe() -> None:
    assert derive_recipe("m", [], **PLAIN).max_length == 1


def test_without_a_budget_nothing_is_fitted() -> None:
    recipe = Recipe("m")
    assert recipe.fitted(seconds_per_token=1.0, lengths=[10] * 50) is recipe


@pytest.mark.parametrize("budget", [1.0, 30.0, 300.0, 3000.0, 1e6])
def test_the_fitted_steps_keep_to_the_budget_and_to_the_passes(budget: float) -> None:
    lengths = [100] * 200
    recipe = Recipe("m", batch_size=16, micro_batch_size=8, epochs=3, max_seconds=budget)
    fitted = recipe.fitted(seconds_per_token=0.001, lengths=lengths)
    assert fitted.max_steps is not None and fitted.max_steps >= 1
    rows = fitted.max_steps * fitted.batch_size
    assert rows <= max(3 * len(lengths) + fitted.batch_size, fitted.batch_size)
    assert rows * 100 * 0.001 <= max(budget, 4 * 100 * 0.001)  # at least one smallest batch is taken
    assert fitted.batch_size % fitted.micro_batch_size == 0


def test_a_short_budget_gets_more_and_smaller_steps_at_a_lower_rate() -> None:
    recipe = Recipe("m", batch_size=16, micro_batch_size=16, max_seconds=30.0)
    fitted = recipe.fitted(seconds_per_token=0.001, lengths=[100] * 1000)
    assert fitted.batch_size == 4
    assert fitted.learning_rate == pytest.approx(recipe.learning_rate / 2)  # the square root of 4 / 16
    plenty = replace(recipe, max_seconds=1e6).fitted(seconds_per_token=0.001, lengths=[100] * 1000)
    assert (plenty.batch_size, plenty.learning_rate) == (16, recipe.learning_rate)
    assert plenty.max_steps == math.ceil(1000 * recipe.epochs / 16)


def test_an_odd_batch_is_still_computed_in_equal_parts() -> None:
    fitted = Recipe("m", batch_size=6, micro_batch_size=2, max_seconds=0.001)
    fitted = fitted.fitted(seconds_per_token=1.0, lengths=[100] * 50)
    assert fitted.batch_size % fitted.micro_batch_size == 0


def test_a_saved_recipe_is_read_back_as_it_was(tmp_path: Path) -> None:
    recipe = Recipe(
        "org/model", learning_rate=1.5e-5, max_steps=7, max_seconds=2.5, gradient_checkpointing=True, seed=9
    )
    recipe.save(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe
    assert set(to_dict(recipe)) == {field.name for field in fields(Recipe)}


def test_a_rate_as_people_write_it_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("model: m\nlearning_rate: 3e-4\n")  # YAML 1.1 reads this as text
    assert Recipe.load(tmp_path / "recipe.yaml").learning_rate == 3e-4


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model: m\nlearning_rat: 0.1\n", "learning_rat"),
        ("- model\n", "no mapping"),
        ("just text", "no mapping"),
        ("", "no mapping"),
        ("model: [unclosed\n", "cannot be read"),
        ("learning_rate: 0.1\n", "names no model"),
        ("model: m\nbatch_size: eight\n", "batch_size"),
        ("model: m\nbatch_size: 2.5\n", "batch_size"),
        ("model: m\nlearning_rate: fast\n", "learning_rate"),
        ("model: m\nlearning_rate: .nan\n", "learning_rate"),
        ("model: m\nepochs: .inf\n", "epochs"),
        ("model: m\nrank: true\n", "rank"),
        ("model: 7\n", "model"),
        ("model: m\ngradient_checkpointing: 1\n", "gradient_checkpointing"),
        ("model: m\nseed: null\n", "seed"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError, match=named):
        Recipe.load(tmp_path / "recipe.yaml")


def test_a_recipe_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml"):
        Recipe.load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"model: \xff\xfe\x00")
    with pytest.raises(UsageError, match=r"bytes\.yaml"):
        Recipe.load(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    "bad",
    [
        *({name: 0} for name in ("learning_rate", "batch_size", "micro_batch_size", "epochs", "max_length", "rank")),
        {"alpha": -1},
        {"max_steps": 0},
        {"max_seconds": 0.0},
        {"max_seconds": -5.0},
        {"dropout": 1.0},
        {"warmup": -0.1},
        {"max_gradient_norm": -1.0},
        {"evaluations": 0},
        {"batch_size": 8, "micro_batch_size": 16},
        {"batch_size": 8, "micro_batch_size": 3},
        {"method": "lora!"},
        {"objective": "rlhf"},
        {"schedule": "cubic"},
        {"optimizer": "lomo"},
        {"precision": "float32"},
        {"report_to": "all"},
        {"weight_decay": -0.01},
        {"beta": 0.0},
        {"generations": 1},
        {"max_completion": 0},
        {"virtual_tokens": 0},
        {"patience": -1},
        {"checkpoints_kept": 1},
        {"objective": "kto", "batch_size": 4, "micro_batch_size": 1},
        {"objective": "grpo", "batch_size": 6, "micro_batch_size": 2, "generations": 4},
        {"method": "prefix", "gradient_checkpointing": True},
        {"method": "full", "start_from": "adapter"},
    ],
    ids=str,
)
def test_a_value_that_cannot_train_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Recipe("m", **bad)


def test_the_description_names_what_bounds_the_run() -> None:
    assert "3 passes" in describe(Recipe("m", epochs=3.0), 50)
    timed = describe(Recipe("m", max_steps=12, max_seconds=90.0), 50)
    assert "12 steps" in timed and "within 90 s" in timed and "50 rows" in timed


def test_every_knob_has_its_help_and_no_help_is_for_a_knob_that_is_none() -> None:
    assert set(KNOBS) == {field.name for field in fields(Recipe)}
    for name, knob in KNOBS.items():
        assert knob.help.endswith(".") and knob.usual and knob.why, name
        assert not {"\n"} & set(knob.help + knob.usual + knob.why), f"{name}: one line each"


def test_a_simple_form_shows_few_knobs() -> None:
    assert 3 <= sum(not knob.advanced for knob in KNOBS.values()) <= 8


def test_a_recipe_from_before_the_newer_knobs_is_read_with_their_defaults(tmp_path: Path) -> None:
    old = {"model": "embedded", "method": "qlora", "learning_rate": 0.002, "batch_size": 8, "epochs": 4.0, "rank": 16}
    (tmp_path / "recipe.yaml").write_text("".join(f"{name}: {value}\n" for name, value in old.items()))
    recipe = Recipe.load(tmp_path / "recipe.yaml")
    assert recipe == Recipe("embedded", learning_rate=0.002, batch_size=8, epochs=4.0, rank=16)
    assert (recipe.objective, recipe.completion_only, recipe.start_from) == ("sft", True, None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("accelerator", [False, True])
def test_each_method_and_objective_derives_a_recipe_that_can_be_saved(
    method: str, objective: str, accelerator: bool, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"hidden_size": 4096, "context": 8192, "has_accelerator": accelerator}
    for rows in (0, 60, 700):
        for longest in (30, 9000):
            recipe = derive_recipe("m", [longest] * rows, method=method, objective=objective, **options)
            recipe.save(tmp_path / "recipe.yaml")
            assert Recipe.load(tmp_path / "recipe.yaml") == recipe
            assert (recipe.method, recipe.objective) == (method, objective)
            assert describe(recipe, rows)


def test_rates_of_methods_and_objectives_stand_in_the_published_ratios() -> None:
    lora = default_learning_rate(4096, 16)
    assert lora == pytest.approx(1.5e-4, rel=0.05)  # SCIENCE 6, times 1.5, for an 8B model
    assert default_learning_rate(4096, 16, method="full") == pytest.approx(lora / 10)
    for objective in ("dpo", "kto", "grpo"):
        assert 5e-6 <= default_learning_rate(4096, 16, objective=objective) <= 1e-5
    assert default_learning_rate(4096, 16, method="ia3") == default_learning_rate(64, 4, method="ia3") == 5e-3
    assert all(default_learning_rate(4096, 16, method=name) == lora for name in ("qlora", "lora", "dora", "rslora"))


def test_rslora_starts_at_the_strength_of_lora() -> None:
    lora, rslora = (derive_recipe("m", [50] * 50, method=method, **PLAIN) for method in ("lora", "rslora"))
    assert rslora.alpha / math.sqrt(rslora.rank) == lora.alpha / lora.rank


def test_virtual_tokens_take_their_place_in_the_context() -> None:
    for method in ("prefix", "prompt"):
        recipe = derive_recipe("m", [5000], method=method, **PLAIN)
        assert recipe.max_length + recipe.virtual_tokens == PLAIN["context"]


def test_preferences_are_seen_less_often_and_a_kto_row_is_never_alone() -> None:
    for rows in (50, 300, 1000, 5000):
        sft, dpo = (derive_recipe("m", [50] * rows, objective=name, **PLAIN) for name in ("sft", "dpo"))
        assert dpo.epochs <= min(2.0, sft.epochs)
    assert derive_recipe("m", [100_000] * 50, objective="kto", **{**PLAIN, "context": 10**6}).micro_batch_size == 2


def test_drawn_answers_may_be_twice_as_long_as_the_longest_wanted_one() -> None:
    lengths = [derive_recipe("m", [50] * 50, objective="grpo", longest_answer=n, **PLAIN) for n in (2, 40, 4000)]
    assert [recipe.max_completion for recipe in lengths] == [16, 80, 512]


def test_steps_count_the_answers_of_each_prompt_for_grpo() -> None:
    assert Recipe("m", batch_size=8, epochs=2.0).steps(30) == 8
    assert Recipe("m", batch_size=8, epochs=2.0, objective="grpo", generations=4).steps(30) == 30
    assert Recipe("m", max_steps=5).steps(10**6) == 5
    assert Recipe("m", epochs=0.01).steps(1) == 1


@pytest.mark.parametrize("objective", ["kto", "grpo"])
@pytest.mark.parametrize("batch", [4, 8, 12, 16, 24])
def test_a_batch_that_a_budget_shrinks_still_serves_its_objective(objective: str, batch: int) -> None:
    recipe = Recipe("m", objective=objective, batch_size=batch, micro_batch_size=4, max_seconds=0.5)
    fitted = recipe.fitted(seconds_per_token=0.01, lengths=[100] * 300)  # raises where it does not
    assert fitted.max_steps is not None and fitted.batch_size <= batch


def test_the_description_names_method_objective_and_start() -> None:
    assert "DoRA (rank 16)" in describe(Recipe("m", method="dora"), 9)
    assert "16 virtual tokens" in describe(Recipe("m", method="prompt"), 9)
    told = describe(Recipe("m", method="lora", objective="dpo", start_from="earlier"), 9)
    assert "preference pairs" in told and "continuing an earlier adapter" in told
