"""The recipe that the form drafts: what is typed, what follows from it, what is wrong with it, and YAML in."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.pages.train.drafting import (
    as_text,
    draft,
    idle_knobs,
    lacking_methods,
    objectives_for,
    read_recipe,
    texts_of,
    value_of,
)
from dataset_tools import Example, Message, UsageError, load_examples
from training.planning import Plan, plan_training
from training.recipe import METHODS, Recipe


@pytest.fixture(scope="module")
def plan(tiny_model: Path, rows_file: Path) -> Plan:
    return plan_training(load_examples(rows_file).examples, model=str(tiny_model))


def test_an_untouched_form_is_the_derived_recipe(plan: Plan) -> None:
    drafted = draft(plan, texts_of(plan.recipe))
    assert drafted.wrong == {} and drafted.texts == drafted.derived
    assert asdict(drafted.recipe) == pytest.approx(asdict(plan.recipe))
    assert draft(plan, {}).recipe == plan.recipe


def test_what_is_typed_replaces_what_was_derived(plan: Plan) -> None:
    drafted = draft(plan, {"epochs": "0,5", "learning_rate": " 3e-4 ", "max_seconds": "2", "dry_run": "false"})
    changed = drafted.recipe
    assert (changed.epochs, changed.learning_rate, changed.max_seconds, changed.dry_run) == (0.5, 3e-4, 120.0, False)
    assert drafted.states["epochs"].value == "0,5" and drafted.states["epochs"].derived == as_text(
        "", plan.recipe.epochs
    )
    assert draft(plan, {"max_seconds": "", "max_steps": "12"}).recipe.max_steps == 12


def test_what_follows_from_a_knob_follows_until_it_is_changed_itself(plan: Plan) -> None:
    assert draft(plan, {"rank": "4"}).recipe.alpha == 8
    assert draft(plan, {"rank": "4", "alpha": "5"}).recipe.alpha == 5
    halved = draft(plan, {"batch_size": "4"})
    assert halved.wrong == {} and halved.recipe.micro_batch_size == 4 and halved.texts["micro_batch_size"] == "4"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("learning_rate", "nix", "no number"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "nan", "no number"),
        ("learning_rate", "1e999", "no number"),
        ("learning_rate", "", "needs a value"),
        ("rank", "2.5", "whole number"),
        ("dropout", "1", "share"),
        ("micro_batch_size", "3", "divisor"),
        ("batch_size", "0", "above 0"),
        ("checkpoints_kept", "1", "2 or more"),
        ("dry_run", "perhaps", "true or false"),
        ("schedule", "wild", "one of"),
        ("max_steps", "-3", "above 0"),
        ("seed", "x", "no number"),
    ],
)
def test_a_wrong_value_is_told_at_its_knob_and_leaves_the_others(plan: Plan, name: str, text: str, why: str) -> None:
    drafted = draft(plan, {name: text, "epochs": "7"})
    assert list(drafted.wrong) == [name] and why in drafted.wrong[name]
    assert drafted.states[name].value == text and drafted.recipe.epochs == 7


def test_several_wrong_values_are_told_at_once(plan: Plan) -> None:
    drafted = draft(plan, {"rank": "-1", "warmup": "2", "epochs": "x"})
    assert sorted(drafted.wrong) == ["epochs", "rank", "warmup"]


def test_the_cards_and_the_model_are_not_changed_by_fields(plan: Plan) -> None:
    drafted = draft(plan, {"method": "full", "objective": "dpo", "model": "other", "no_such_knob": "1"})
    assert drafted.recipe == plan.recipe and not {"method", "objective"} & set(drafted.states)


@pytest.mark.parametrize("name", sorted(Recipe.__dataclass_fields__))
def test_every_knob_reads_back_as_it_is_shown(name: str) -> None:
    recipe = Recipe("m", max_seconds=90.0, max_steps=7, start_from="/somewhere", learning_rate=1.25e-5)
    value = getattr(recipe, name)
    assert value_of(name, as_text(name, value)) == pytest.approx(value)


def test_knobs_without_effect_say_why() -> None:
    assert set(idle_knobs(Recipe("m"))) == {"virtual_tokens", "beta", "generations", "max_completion"}
    other = Recipe("m", method="prompt", objective="dpo", max_steps=5)
    assert {"rank", "completion_only", "epochs"} <= set(idle_knobs(other)) and "beta" not in idle_knobs(other)


def test_a_saved_recipe_is_read_back_into_the_form(tmp_path: Path) -> None:
    recipe = Recipe("m", method="lora", epochs=1.5, max_seconds=60.0, dry_run=False)
    recipe.save(tmp_path / "recipe.yaml")
    texts = read_recipe((tmp_path / "recipe.yaml").read_text())
    assert texts == texts_of(recipe) and texts["max_seconds"] == "1"
    assert read_recipe("learning_rate: 3e-4\n") == {"learning_rate": "0.0003"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "just words",
        "- a list",
        "banana: 3",
        "{",
        "method: sorcery",
        "objective: [1]",
        "model: \x00\n",
        "x" * 200_000,
    ],
)
def test_a_pasted_text_that_is_no_recipe_is_refused_without_naming_our_files(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_recipe(text)
    assert "/tmp" not in str(refused.value)


def test_yaml_cannot_make_anything_but_plain_values() -> None:
    with pytest.raises(UsageError):
        read_recipe("seed: !!python/object/apply:os.getcwd []")
    assert yaml.safe_load("a: 1") == {"a": 1}


def test_objectives_suit_the_rows_that_hold_what_they_learn_from() -> None:
    plain = [Example.of("q", "a")]
    pair = replace(plain[0], rejected=(Message("assistant", "b"),))
    down = replace(plain[0], desirable=False)

    def suits(*rows: Any) -> set[str]:
        return {name for name, why in objectives_for(rows).items() if not why}

    assert suits(*plain) == {"sft", "grpo"}
    assert suits(*plain, pair) == {"sft", "dpo", "kto", "grpo"}
    assert suits(*plain, down) == {"sft", "kto", "grpo"}
    assert suits(down) == set()


def test_what_a_method_lacks_is_told_for_every_method() -> None:
    assert set(lacking_methods()) == set(METHODS) and lacking_methods()["lora"] == ""
