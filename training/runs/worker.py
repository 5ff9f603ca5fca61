"""The process that trains: ``python -m training.runs.worker FOLDER``. It owns its run's folder and reports there.

Started by `training.runs.supervisor`; nothing else writes to the folder but a request to stop.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.errors import FittingRoomError, RunError
from dataset_tools.example import Example
from dataset_tools.rendering import Rendered, render
from training.recipe import Recipe
from training.runs.folder import RunFolder

# Rows for the checks after training, and for the validation loss on a machine without an accelerator.
_HEALTH_ROWS, _VALIDATION_ROWS = 8, 32


def main() -> int:
    """Run the training of the folder that the command line names; 0 where it ended well."""
    from training.quiet import quiet_libraries

    quiet_libraries()
    run = RunFolder(Path(sys.argv[1]))
    try:
        run.update(state="preparing", pid=os.getpid(), started=time.time())
        result = train(run)
        state = "stopped" if run.stop_request.exists() else "done"
        run.log(state, **result)
        run.update(state=state, ended=time.time(), result=result)
    except FittingRoomError as error:
        _fail(run, error.to_dict())
        return error.exit_code
    except Exception as error:  # the edge of the process: whatever it was, the run must not look alive
        traceback.print_exc()
        _fail(run, explain(error).to_dict())
        return 1
    return 0


def explain(error: Exception) -> FittingRoomError:
    """An error of a library -> one that says what to do."""
    text = str(error).strip()[:300] or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return RunError(
            "The machine ran out of memory.",
            found=text,
            next_step="Train with a smaller micro_batch_size or max_length in the recipe, or a smaller base model.",
        )
    if isinstance(error, OSError) and error.errno == 28:
        return RunError("The disk is full.", found=text, next_step="Free some space and start the run again.")
    return RunError(f"Training failed: {type(error).__name__}.", found=text, next_step="worker.log tells more.")


def train(run: RunFolder) -> dict[str, Any]:
    """Train as the folder's recipe says; the result as ``train --json`` gives it (without run and state)."""
    from training.methods import qlora
    from training.models.loading import load_model, load_tokenizer

    began = time.time()
    recipe = Recipe.load(run.path / "recipe.yaml")
    run.log("phase", phase="reading the rows")
    tokenizer = load_tokenizer(recipe.model)
    examples, held_out = run.read_rows("train"), run.read_rows("validation")
    rows = [render(example, tokenizer).truncated(recipe.max_length) for example in examples]
    validation = [render(row, tokenizer).truncated(recipe.max_length) for row in held_out[:_VALIDATION_ROWS]]
    validation = [row for row in validation if row.trained]
    dataset = qlora.to_dataset(rows, recipe.max_length)  # before the model is loaded: it may refuse the rows
    run.log("phase", phase="loading the model in 4 bits")
    loaded = load_model(recipe.model, four_bit=True, tokenizer=tokenizer)
    model = qlora.add_adapter(loaded, recipe)
    if recipe.max_seconds:
        run.log("phase", phase="timing a step to fit the budget")
        speed = qlora.probe_seconds_per_token(model, rows, pad=tokenizer.pad_token_id, count=recipe.micro_batch_size)
        recipe = recipe.fitted(seconds_per_token=speed, lengths=[len(row.ids) for row in rows])
        recipe.save(run.path / "recipe.yaml")
    trainer = qlora.build_trainer(
        model,
        tokenizer,
        recipe,
        train=dataset,
        validation=qlora.to_dataset(validation, recipe.max_length) if validation else None,
        folder=run.path,
        callbacks=[_reporter(run, rows, recipe)],
    )
    run.update(state="running")
    run.log("training", rows=len(trainer.train_dataset), steps=trainer.args.max_steps, batch_size=recipe.batch_size)
    outcome = trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    validation_losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    if validation and trainer.state.log_history[-1]["step"] != _last_evaluation(trainer.state.log_history):
        validation_losses.append(trainer.evaluate()["eval_loss"])
    _save(run, trainer, recipe)
    run.log("phase", phase="checking the adapter")
    health = _health(trainer.model, tokenizer, held_out or examples, rows)
    run.log("health", **health)
    seconds = outcome.metrics["train_runtime"]
    seen = _mean_length(rows) * trainer.state.global_step * recipe.batch_size
    return {
        "adapter": str(run.adapter),
        "recipe": str(run.adapter / "recipe.yaml"),
        "steps": trainer.state.global_step,
        "passes": round(trainer.state.global_step * recipe.batch_size / len(rows), 2),
        "seconds": round(time.time() - began, 1),
        "training_seconds": round(seconds, 1),
        "tokens_per_second": round(seen / seconds, 1),
        "loss": _finite(sum(losses[-5:]) / len(losses[-5:])) if losses else None,
        "validation_loss": _finite(validation_losses[-1]) if validation_losses else None,
        "health": health,
    }


def _finite(value: float | None) -> float | None:
    """A number for JSON, which knows no NaN and no infinity (a gradient norm is infinite where float16 overflows)."""
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _last_evaluation(history: list[dict[str, Any]]) -> int:
    return max((entry["step"] for entry in history if "eval_loss" in entry), default=-1)


def _save(run: RunFolder, trainer: Any, recipe: Recipe) -> None:
    """The adapter and its recipe, moved into place in one step. Not trainer.save_model: that adds a pickle."""
    half_done = run.path / "adapter.part"
    shutil.rmtree(half_done, ignore_errors=True)
    trainer.model.save_pretrained(str(half_done), safe_serialization=True)
    recipe.save(half_done / "recipe.yaml")
    half_done.rename(run.adapter)
    shutil.rmtree(run.path / "trainer", ignore_errors=True)
    run.log("saved", adapter=str(run.adapter))


def _health(model: Any, tokenizer: Any, examples: Sequence[Example], rows: Sequence[Rendered]) -> dict[str, Any]:
    from training.health import check_health

    longest = max(row.trained for row in rows)
    return dict(check_health(model, tokenizer, examples[:_HEALTH_ROWS], max_new_tokens=min(2 * longest, 256)))


def _mean_length(rows: Sequence[Rendered]) -> float:
    return sum(len(row.ids) for row in rows) / len(rows)


def _fail(run: RunFolder, error: dict[str, Any]) -> None:
    run.log("failed", error=error)
    run.update(state="failed", ended=time.time(), error=error)


def _reporter(run: RunFolder, rows: Sequence[Rendered], recipe: Recipe) -> Any:
    """A trainer callback that writes events and heeds a request to stop."""
    from transformers import TrainerCallback

    tokens_per_step = _mean_length(rows) * recipe.batch_size

    class Reporter(TrainerCallback):  # type: ignore[misc]
        """Loss, speed and time left at each step; the validation loss as it is taken."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = time.time()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            late = recipe.max_seconds and time.time() - self.began > 1.5 * recipe.max_seconds
            if run.stop_request.exists() or late:
                control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            spent = time.time() - self.began
            if "eval_loss" in logs:
                run.log("evaluation", step=state.global_step, validation_loss=_finite(logs["eval_loss"]))
            elif "loss" in logs:
                run.log(
                    "step",
                    step=state.global_step,
                    steps=args.max_steps,
                    loss=_finite(logs["loss"]),
                    learning_rate=logs.get("learning_rate"),
                    gradient_norm=_finite(logs.get("grad_norm")),
                    tokens_per_second=round(tokens_per_step * state.global_step / spent, 1),
                    eta=round(spent / state.global_step * (args.max_steps - state.global_step), 1),
                )

    return Reporter()


if __name__ == "__main__":
    sys.exit(main())
