"""GRPO on the tiny model: the scorer is the reward, asked about the right rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from dataset_tools.errors import DataError, UsageError
from dataset_tools.example import Example
from dataset_tools.rendering import render_prompts
from tests.training.methods_support import EXAMPLES, METHODS, logged, recipe_of, trainer_of, weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("method", METHODS)
def test_rewards_reach_what_the_method_trains(method: str, tiny_model: Path, tmp_path: Path) -> None:
    import torch

    loaded, trainer = trainer_of(recipe_of(tiny_model, method=method, objective="grpo", generations=4), tmp_path)
    before = weights(loaded.model)
    trainer.train()
    rewards, losses = logged(trainer, "reward"), logged(trainer, "loss")
    assert len(rewards) == 3 and all(0 <= reward <= 1 for reward in rewards) and len(set(rewards)) > 1
    assert all(map(math.isfinite, losses + logged(trainer, "eval_loss")))
    after = dict(loaded.model.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and changed <= {name for name, weight in after.items() if weight.requires_grad}


def test_the_scorer_is_asked_about_each_answer_with_its_own_row(tiny_model: Path, tmp_path: Path) -> None:
    asked: list[Example] = []

    def score(examples: Sequence[Example], answers: Sequence[str]) -> list[float]:
        asked.extend(examples)
        assert len(answers) == len(examples)
        return [0.5] * len(answers)

    recipe = recipe_of(tiny_model, method="lora", objective="grpo", max_steps=6)
    held_out = [Example.of("and the house", "blue"), Example.of("and the river", "green")]
    _, trainer = trainer_of(recipe, tmp_path, scorer=score, validation=held_out)
    trainer.train()
    trained = [example for example in asked if example in EXAMPLES]
    assert set(trained) == set(EXAMPLES), "12 rows, two to each batch of four answers: one epoch"
    assert len(trained) == 6 * recipe.batch_size
    assert all(trained[place] is trained[place + 1] for place in range(0, len(trained), 2)), "two answers to each"
    assert [example for example in asked if example in held_out] == [row for row in held_out for _ in range(2)]


def test_prompts_are_given_to_the_model_as_they_are_rendered_everywhere(tiny_model: Path, tmp_path: Path) -> None:
    loaded, trainer = trainer_of(recipe_of(tiny_model, method="lora", objective="grpo"), tmp_path)
    ids, _, _ = trainer._tokenize_prompts(list(trainer.train_dataset["prompt"]))
    assert ids == render_prompts([row.prompt for row in EXAMPLES], loaded.tokenizer)


def test_a_model_learns_what_is_rewarded(tiny_model: Path, tmp_path: Path) -> None:
    def letters(examples: Sequence[Example], answers: Sequence[str]) -> list[float]:
        return [sum(sign.isascii() and sign.isalpha() for sign in answer) / max(1, len(answer)) for answer in answers]

    batch = {"batch_size": 16, "micro_batch_size": 16, "generations": 8}
    recipe = recipe_of(tiny_model, method="lora", objective="grpo", max_steps=25, schedule="constant", **batch)
    _, trainer = trainer_of(recipe, tmp_path, scorer=letters, validation=[])
    trainer.train()
    rewards = logged(trainer, "reward")
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.08


def test_a_resumed_run_draws_the_same_answers(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    recipe = recipe_of(tiny_model, method="lora", objective="grpo", max_steps=4, evaluations=2)
    whole = trainer_of(recipe, tmp_path, validation=[])[1]
    whole.train()
    resumed = trainer_of(recipe, tmp_path, validation=[])[1]
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-2"))
    assert logged(resumed, "reward") == logged(whole, "reward")
    ended = dict(resumed.model.named_parameters())
    assert all(torch.equal(weight, ended[name]) for name, weight in whole.model.named_parameters())


def test_fewer_rows_than_a_batch_needs_are_still_trained_on(tiny_model: Path, tmp_path: Path) -> None:
    recipe = recipe_of(tiny_model, method="lora", objective="grpo", batch_size=16, micro_batch_size=4)
    _, trainer = trainer_of(recipe, tmp_path, train=EXAMPLES[:3], validation=[])
    trainer.train()
    assert trainer.state.global_step == 3


def test_without_a_metric_there_is_nothing_to_learn_from(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no metric was given"):
        trainer_of(recipe_of(tiny_model, method="lora", objective="grpo"), tmp_path, scorer=None)


def test_prompts_that_do_not_fit_are_left_out_and_counted(tiny_model: Path, tmp_path: Path) -> None:
    long = Example.of("what is the colour of " * 40, "red")
    recipe = recipe_of(tiny_model, method="lora", objective="grpo", max_length=50)
    _, trainer = trainer_of(recipe, tmp_path, train=[long, *EXAMPLES])
    assert trainer.left_out["train"] == 1 and 0 not in trainer.train_dataset["row"]
    with pytest.raises(DataError, match="prompts shorter than 50 tokens"):
        trainer_of(recipe, tmp_path, train=[long])
