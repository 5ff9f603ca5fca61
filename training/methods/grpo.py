"""Learning from the task's own score by trl's GRPOTrainer (arxiv.org/abs/2402.03300): no wanted answer is imitated.

For each prompt some answers are drawn, scored, and those above their group's mean are made likelier.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from dataset_tools.errors import UsageError
from dataset_tools.example import Example
from training.methods.order import EpochOrder, RepeatedOrder
from training.methods.trainer import SteadyTrainer
from training.recipe import Recipe
from training.scoring import Scorer


def reward_trainer(
    loaded: Any,
    recipe: Recipe,
    *,
    arguments: dict[str, Any],
    scorer: Scorer | None,
    train: Sequence[Example],
    validation: Sequence[Example],
    **parts: Any,
) -> Any:
    """A trainer whose reward is the scorer.

    `Recipe.beta` is for dpo and kto; here nothing holds the model to its start but the small steps (trl's default).

    Args:
        loaded: A `LoadedModel` to train.
        recipe: The run's.
        arguments: Those of `common_arguments`.
        scorer: The task's metric.
        train: The examples that the rows' indices point to.
        validation: Those of the rows to evaluate on.
        parts: ``train_dataset``, ``eval_dataset`` and ``callbacks``.

    Raises:
        UsageError: there is no scorer.
    """
    from trl import GRPOConfig

    if scorer is None:
        raise UsageError(
            "The objective grpo learns from a score, and no metric was given.",
            expected="a task with a metric",
            next_step="Choose a metric for the task, or the objective sft.",
        )
    unit = recipe.generations
    whole = math.ceil(arguments["per_device_eval_batch_size"] / unit) * unit  # all answers to a prompt at once
    config = GRPOConfig(
        **{**arguments, "per_device_eval_batch_size": whole, "remove_unused_columns": False},
        num_generations=recipe.generations,
        max_completion_length=recipe.max_completion,
    )
    held_out = parts.pop("eval_dataset")
    if held_out is not None:  # both kinds of rows reach one reward
        moved = [row + len(train) for row in held_out["row"]]
        held_out = held_out.remove_columns("row").add_column("row", moved)
    return _trainer_class()(
        model=loaded.model,
        reward_funcs=[_reward(scorer, [*train, *validation])],
        args=config,
        processing_class=loaded.tokenizer,
        eval_dataset=held_out,
        **parts,
    )


def _reward(scorer: Scorer, examples: Sequence[Example]) -> Callable[..., list[float]]:
    """The scorer as trl calls it: with the drawn answers' texts, and the columns of the dataset for each."""

    def score(completions: list[str], row: list[int], **_: Any) -> list[float]:
        return [float(value) for value in scorer([examples[index] for index in row], completions)]

    return score


@functools.cache
def _trainer_class() -> Any:
    from trl import GRPOTrainer

    class RewardTrainer(SteadyTrainer, GRPOTrainer):  # type: ignore[misc]
        """GRPOTrainer on prompts that are rendered already, in our order."""

        def settle(self, recipe: Recipe, **rows: Any) -> None:
            super().settle(recipe, **rows)
            order = EpochOrder(rows["lengths"], batch=recipe.batch_size // recipe.generations, seed=recipe.seed)
            self.order = RepeatedOrder(
                order,
                answers=recipe.generations,
                prompts=self.args.generation_batch_size // recipe.generations,
                times=self.num_iterations * self.args.steps_per_generation,
            )

        def _get_eval_sampler(self, eval_dataset: Any) -> Any:
            rows = super()._get_eval_sampler(eval_dataset)
            return [row for row in rows for _ in range(self.num_generations_eval)]

        def _generate_single_turn(self, *args: Any, **options: Any) -> Any:
            with warnings.catch_warnings():  # a prompt's positions are left to the model, as they should be
                warnings.filterwarnings("ignore", message="Position ids are not supported for parameter efficient")
                return super()._generate_single_turn(*args, **options)

        def _tokenize_prompts(self, prompts: list[str]) -> Any:
            return self.processing_class(prompts, add_special_tokens=False)["input_ids"], None, {}

    return RewardTrainer
