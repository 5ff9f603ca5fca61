"""Training, measured: the plain script that articles show beside ours, on the same rows, in one run.

    python benchmarks/training.py [--rounds 3] [--steps 16] [--method qlora] [--model embedded]

Plain is trl's SFTTrainer on conversations, with a LoRA on the 4-bit base, and everything else as trl has it: rows in
random order, padded to the longest of the batch, logits for every position. Ours is what `fitting-room train` runs.
Both train the embedded model on the support desk's rows, with the same batch, rate, rank and number of steps, in
processes of their own, one after another and in turns; each tells its seconds a step, tokens (of rows, not padding) a
second, peak memory, and the loss on the same held-out rows before and after, taken in the same way.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BATCH, RATE, RANK, HELD_OUT = 8, 5e-4, 16, 24
WARM_UP = 2  # steps that are not timed


def rows() -> tuple[list[Any], list[Any]]:
    from dataset_tools.dataset import load_examples

    examples = list(load_examples(ROOT / "advisor" / "examples" / "support_desk" / "train.jsonl").examples)
    return examples[HELD_OUT:], examples[:HELD_OUT]


def held_out_loss(model: Any, tokenizer: Any, examples: list[Any]) -> float:
    """Mean loss over the answers' tokens, row by row, in the same way for everybody."""
    import torch

    from dataset_tools.rendering import render

    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for example in examples:
            row = render(example, tokenizer)
            logits = model(input_ids=torch.tensor([row.ids], device=model.device)).logits[0, :-1].float()
            targets = torch.tensor(row.ids[1:], device=model.device)
            losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
            mask = torch.tensor(row.mask[1:], device=model.device, dtype=torch.bool)
            total, count = total + float(losses[mask].sum()), count + int(mask.sum())
    return total / count


def plain_trainer(model_name: str, method: str, steps: int, train: list[Any], folder: Path) -> tuple[Any, Any, Any]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from training.models.loading import load_model, machine

    loaded = load_model(model_name, four_bit=method == "qlora")
    data = [{"prompt": _turns(example.prompt), "completion": _turns(example.messages[-1:])} for example in train]
    config = SFTConfig(
        str(folder),
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        bf16=machine().dtype == "bfloat16",
        use_cpu=not machine().has_accelerator,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )
    lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=Dataset.from_list(data),
        processing_class=loaded.tokenizer,
        peft_config=lora,
    )
    return trainer, trainer.model, loaded.tokenizer


def _turns(messages: Any) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def our_trainer(model_name: str, method: str, steps: int, train: list[Any], folder: Path) -> tuple[Any, Any, Any]:
    from training.methods import build_trainer, load_for_training
    from training.recipe import Recipe

    recipe = Recipe(
        model_name,
        method=method,
        learning_rate=RATE,
        batch_size=BATCH,
        micro_batch_size=BATCH,
        rank=RANK,
        alpha=2 * RANK,
        max_steps=steps,
        max_gradient_norm=1.0,
        evaluations=1,
    )
    loaded = load_for_training(recipe)
    trainer = build_trainer(loaded, recipe, train=train, validation=(), folder=folder, callbacks=[], steps=steps)
    trainer.args.save_strategy = "no"
    return trainer, loaded.model, loaded.tokenizer


def measure(which: str, model_name: str, method: str, steps: int) -> dict[str, Any]:
    """One side, in this process."""
    from training.quiet import quiet_libraries

    quiet_libraries()
    import torch
    from transformers import TrainerCallback

    train, held_out = rows()
    seconds, tokens = list[float](), list[int]()

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - self.began)

    with tempfile.TemporaryDirectory() as folder:
        build = plain_trainer if which == "plain" else our_trainer
        trainer, model, tokenizer = build(model_name, method, steps, train, Path(folder))
        before = held_out_loss(model, tokenizer, held_out)
        collate = trainer.data_collator

        def counting(batch: list[dict[str, Any]]) -> Any:
            tokens.append(sum(len(row["input_ids"]) for row in batch))
            return collate(batch)

        trainer.data_collator = counting
        trainer.add_callback(Clock())
        model.train()
        trainer.train()
        after = held_out_loss(model, tokenizer, held_out)
    on_gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if on_gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "tokens_per_second": sum(tokens[WARM_UP:steps]) / sum(seconds[WARM_UP:]),
        "seconds_per_step": statistics.mean(seconds[WARM_UP:]),
        "peak_mb": peak / 1e6,
        "last_losses": statistics.mean(losses[-4:]),
        "held_out_before": before,
        "held_out_after": after,
    }


def medians(measured: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in measured) for key in measured[0]}


def main() -> None:
    """Both sides in turns; the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--method", default="qlora", choices=["qlora", "lora"])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--only", choices=["plain", "ours"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measure(asked.only, asked.model, asked.method, asked.steps)))
        return
    found: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for number in range(asked.rounds):
        for which in ("plain", "ours") if number % 2 == 0 else ("ours", "plain"):
            options = ["--steps", str(asked.steps), "--method", asked.method, "--model", asked.model]
            # As a module: a script's own folder comes first on the path, and this file has a package's name.
            command = [sys.executable, "-m", "benchmarks.training", "--only", which, *options]
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found[which].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1}, {which}: {found[which][-1]}", file=sys.stderr, flush=True)
    print("| | tokens/s | s a step | peak MB | loss, last 4 steps | held-out loss before | after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    middle = {
        side: {key: statistics.median(one[key] for one in all_) for key in all_[0]} for side, all_ in found.items()
    }
    for side, figures in middle.items():
        print(
            f"| {side} | {figures['tokens_per_second']:.0f} | {figures['seconds_per_step']:.2f} "
            f"| {figures['peak_mb']:.0f} | {figures['last_losses']:.3f} | {figures['held_out_before']:.3f} "
            f"| {figures['held_out_after']:.3f} |"
        )
    ratio = middle["ours"]["tokens_per_second"] / middle["plain"]["tokens_per_second"]
    print(f"\nours / plain: {ratio:.2f} times the tokens a second")


if __name__ == "__main__":
    main()
