"""What a run does at each step besides learning: tell of it, stop where asked to, seal checkpoints, answer samples."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_tools.errors import RunError
from dataset_tools.example import Example
from training.recipe import Recipe
from training.runs import checkpoints
from training.runs.folder import RunFolder

# Tokens of a sample's answer: enough to see where it goes, and no more than an evaluation's time.
_SAMPLE_TOKENS = 48


class StopRequested(Exception):
    """Raised inside a step or an evaluation that would go on for too long, once the run was asked to stop."""


def finite(value: float | None) -> float | None:
    """A number for JSON, which knows no NaN and no infinity (a gradient norm is infinite where float16 overflows)."""
    return round(value, 4) if value is not None and math.isfinite(value) else None


def reporter(run: RunFolder, recipe: Recipe, *, tokens_per_step: float) -> Any:
    """A trainer's callback that writes an event for each step and each validation loss.

    It ends the run with an error where the loss is no number any more, which no further step would mend.
    """
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began, self.first = time.time(), state.global_step

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "eval_loss" in logs:
                run.log("evaluation", step=state.global_step, validation_loss=finite(logs["eval_loss"]))
            elif "loss" in logs:
                self._step(args, state, logs)
                _refuse_nan(logs["loss"], state.global_step, recipe)

        def _step(self, args: Any, state: Any, logs: Mapping[str, Any]) -> None:
            done, spent = state.global_step - self.first, max(time.time() - self.began, 1e-6)
            run.log(
                "step",
                step=state.global_step,
                steps=args.max_steps,
                loss=finite(logs["loss"]),
                learning_rate=logs.get("learning_rate"),
                gradient_norm=finite(logs.get("grad_norm")),
                tokens_per_second=round(tokens_per_step * done / spent, 1),
                eta=round(spent / max(1, done) * (args.max_steps - state.global_step), 1),
                memory=memory_in_use(),
                **({"reward": finite(logs["reward"])} if "reward" in logs else {}),
            )

    return Reporter()


def _refuse_nan(loss: float, step: int, recipe: Recipe) -> None:
    if not math.isfinite(loss):
        raise RunError(
            "The training loss is no number any more, so nothing more can be learnt.",
            found=f"{loss} at step {step}",
            expected="a finite loss",
            next_step=f"Train again with a lower learning_rate than {recipe.learning_rate:.1e}: a third of it.",
        )


def memory_in_use() -> int:
    """The most bytes that were in use so far: of the accelerator where there is one, else of this process."""
    import resource

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    # Linux's ru_maxrss begins with what the program had that started this one: a small run of a large app looked large.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes


def stopper(run: RunFolder, *, seconds: float | None) -> Any:
    """A callback that ends the training after the step in which it was asked to, or in which the time is over.

    A long step or evaluation is left in its middle; what the steps before have learnt is kept.
    """
    from transformers import TrainerCallback

    class Stopper(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = time.time()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            late = seconds is not None and time.time() - self.began > seconds
            if run.stop_request.exists() or late:
                control.should_training_stop = control.should_save = True
                control.should_evaluate = False

        def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if run.stop_request.exists():
                raise StopRequested

        on_prediction_step = on_substep_end

    return Stopper()


def sealer(inputs: Mapping[str, str]) -> Any:
    """A callback that makes each saved checkpoint one that counts."""
    from transformers import TrainerCallback

    class Sealer(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", inputs=inputs)

    return Sealer()


def sampler(run: RunFolder, tokenizer: Any, prompts: Sequence[Example]) -> Any:
    """A callback that answers the same few prompts before the first step and at each evaluation."""
    from transformers import TrainerCallback

    class Sampler(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0:
                rows = [{"prompt": example.prompt[-1].content, "wanted": example.completion} for example in prompts]
                run.log("sample_prompts", rows=rows)
                self._answer(state.global_step, kwargs["model"])

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._answer(state.global_step, kwargs["model"])

        def _answer(self, step: int, model: Any) -> None:
            from training.generation import generate

            training = model.training
            answers = generate(model.eval(), tokenizer, prompts, max_new_tokens=_SAMPLE_TOKENS)
            model.train(training)
            run.log("samples", step=step, answers=[answer.text for answer in answers])

    return Sampler()
