"""What the trainers of all objectives share, mixed in before trl's own class.

The order of rows, the schedule, checkpoints without pickles that are not needed, and nothing sent or written that
nobody asked for. The loop is transformers'.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from training.methods.artefact import save_weights
from training.methods.attention import attention_for
from training.methods.order import EpochOrder, RepeatedOrder, longest_first
from training.methods.schedule import rate_share
from training.recipe import Recipe


class SteadyTrainer:
    """A mixin for trl's trainers; `settle` has to be called before training.

    ``left_out`` says how many examples gave no row: {"train": n, "validation": n}.
    """

    args: Any
    optimizer: Any
    lr_scheduler: Any
    model: Any
    recipe: Recipe
    order: EpochOrder | RepeatedOrder
    left_out: dict[str, int]
    _evaluation_order: list[int]
    _created_lr_scheduler: bool

    def settle(
        self, recipe: Recipe, *, lengths: Sequence[int], evaluation: Sequence[int], left_out: dict[str, int]
    ) -> None:
        """Say what is trained: the recipe, and the tokens of each training row and each row to evaluate on."""
        self.recipe, self.left_out = recipe, left_out
        self.order = EpochOrder(lengths, batch=recipe.batch_size, seed=recipe.seed)
        self._evaluation_order = longest_first(evaluation)

    def _get_train_sampler(self, *args: Any, **options: Any) -> Any:
        return self.order

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        if len(eval_dataset) == len(self._evaluation_order):
            return self._evaluation_order
        return range(len(eval_dataset))

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's schedule (`rate_share`)."""
        from torch.optim.lr_scheduler import LambdaLR

        if self.lr_scheduler is None:
            recipe, chosen = self.recipe, optimizer or self.optimizer
            share = partial(rate_share, steps=num_training_steps, warmup=recipe.warmup, schedule=recipe.schedule)
            self.lr_scheduler = LambdaLR(getattr(chosen, "optimizer", chosen), share)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        """One micro-batch, forward and backward, with the attention that is fast for its length."""
        step: Any = super()  # trl's, which the mixin stands before
        ids = inputs.get("input_ids") if isinstance(inputs, dict) else None  # GRPO's rows are only drawn in the step
        if ids is None:
            return step.training_step(model, inputs, *args, **options)
        with attention_for(self.model, ids.shape[1]):
            return step.training_step(model, inputs, *args, **options)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """The trained weights alone: transformers would add the tokenizer, and its arguments as a pickle."""
        save_weights(self.model, Path(output_dir or self.args.output_dir))

    def _prepare_dataset(self, dataset: Any, *args: Any, **options: Any) -> Any:
        return dataset  # rendered, cut and counted by training.methods.rows

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: it would go through all the model's parameters at each step."""
        return 0

    def create_model_card(self, *args: Any, **options: Any) -> None:
        """None: trl would write its own beside each checkpoint; ours comes with an export."""

    def _send_telemetry(self) -> None:
        """None: nothing leaves the machine unasked."""


def prepare_again(model: Any) -> None:
    """Take off what earlier trainers have wrapped around a model's forward (autocast, losses), so that it can be given
    to another one: a dry run and the real run train the same model.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    for wrapped in (model, inner):
        if not hasattr(wrapped, "_hf_hook"):  # accelerate's, of a model that is spread over devices
            for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
                wrapped.__dict__.pop(name, None)
    peft_config = getattr(model, "peft_config", {})
    if "ref" in peft_config:  # trl's copy of the adapter as it was at the start
        model.delete_adapter("ref")


@contextlib.contextmanager
def held_exact(model: Any) -> Iterator[None]:
    """Within, a trainer is made of the model; what is trained keeps its values, and is float32 afterwards.

    trl rounds adapters on a 4-bit base to bfloat16, as the QLoRA paper did. bfloat16 has 8 bits: a step of less than
    2^-8 of a weight vanishes in it, so late steps with small rates would learn nothing.
    """
    rounds = getattr(model, "is_loaded_in_4bit", False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() if rounds else parameter.data for parameter in trained]
    yield
    for parameter, value in zip(trained, before, strict=True):
        parameter.data = value.float()
