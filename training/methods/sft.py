"""Supervised fine-tuning by trl's SFTTrainer, on token ids and labels of our own rendering, with a leaner loss."""

from __future__ import annotations

import functools
from typing import Any

from dataset_tools.errors import RunError
from training.methods.answer_loss import add_answer_loss, has_plain_head
from training.methods.rows import IGNORED
from training.methods.trainer import SteadyTrainer
from training.recipe import Recipe


def supervised_trainer(loaded: Any, recipe: Recipe, *, arguments: dict[str, Any], **parts: Any) -> Any:
    """A trainer that learns the labelled tokens.

    Args:
        loaded: A `LoadedModel` to train.
        recipe: The run's.
        arguments: Those of `common_arguments`.
        parts: ``train_dataset``, ``eval_dataset`` and ``callbacks``.
    """
    from trl import SFTConfig

    config = SFTConfig(**arguments, max_length=recipe.max_length, dataset_kwargs={"skip_prepare_dataset": True})
    trainer = _trainer_class()(model=loaded.model, args=config, processing_class=loaded.tokenizer, **parts)
    trainer.use_lean_loss()
    return trainer


def check_stop_is_trained(trainer: Any, tokenizer: Any) -> None:
    """Look at a batch as the trainer's own collator makes it: every row's last label must be a stop token.

    Where padding and end-of-turn are one token, a collator that masks padding masks stopping away with it, and the
    tuned model never ends its answers.

    Raises:
        RunError: a row of the batch does not train its end.
    """
    rows = [trainer.train_dataset[index] for index in range(min(4, len(trainer.train_dataset)))]
    # A row that was cut to max_length has lost its end, and lint says so; it must not fail the run.
    rows = [row for row in rows if row["input_ids"][-1] in tokenizer.all_special_ids]
    for labels in trainer.data_collator(rows)["labels"].tolist() if rows else []:
        trained = [label for label in labels if label != IGNORED]
        if not trained or trained[-1] not in tokenizer.all_special_ids:
            raise RunError(
                "The end-of-turn token is not trained, so the tuned model would not stop.",
                found=f"last trained token {tokenizer.decode(trained[-1:])!r}" if trained else "no trained token",
                expected=f"{tokenizer.eos_token!r} as the last trained token of each row",
                next_step="Choose a base model whose chat template ends each turn with a special token.",
            )


@functools.cache
def _trainer_class() -> Any:
    import torch
    from trl import SFTTrainer
    from trl.trainer.utils import add_fused_lm_head

    class SupervisedTrainer(SteadyTrainer, SFTTrainer):  # type: ignore[misc]
        """SFTTrainer, whose loss computes logits where labels are and no metrics beside it."""

        def use_lean_loss(self) -> None:
            model = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
            # On a GPU trl's kernels leave the prompt out as well; asked for the loss alone they need one pass less.
            self._by_trl = model.device.type != "cpu" or not has_plain_head(model)
            if self._by_trl:
                add_fused_lm_head(model, outputs=("log_probs",))
            else:
                add_answer_loss(model)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if self.aux_loss_enabled or return_outputs:  # of a mixture of experts
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            tokens = num_items_in_batch
            if tokens is None:
                tokens = (inputs["labels"][:, 1:] != IGNORED).sum()
            return self._summed_loss(model, inputs) / torch.as_tensor(tokens).clamp(min=1)

        def _summed_loss(self, model: Any, inputs: Any) -> Any:
            if self._by_trl:
                return -model(**inputs, use_cache=False, fused_lm_head=True).log_probs.sum()
            return model(**inputs, answer_loss=True)["loss"]

        def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
            rows = self.eval_dataset if eval_dataset is None else eval_dataset
            labels = [sum(label != IGNORED for label in row) for row in rows["labels"]]
            self._labels_per_row = max(1, sum(labels)) / max(1, len(labels))
            return super().get_eval_dataloader(eval_dataset)

        def prediction_step(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            """The mean over rows of what this gives is the mean over all trained tokens, however rows are batched."""
            if self.aux_loss_enabled:
                return super().prediction_step(model, inputs, *args, **options)
            inputs = self._prepare_inputs(inputs)
            with torch.no_grad(), self.compute_loss_context_manager():
                loss = self._summed_loss(model, inputs) / (len(inputs["input_ids"]) * self._labels_per_row)
            return loss.detach(), None, None

    return SupervisedTrainer
