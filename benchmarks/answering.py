"""How fast answering is: one by one, in plain batches, and with the product's answerer, on the same rows in one run.

    python benchmarks/answering.py [--rows 64] [--rounds 3] [--data FILE] [--dtype bfloat16]

Each row is asked with the same 6 worked examples before it. Prints the median of the rounds for each way, the ratios,
and the share of rows on which ours gives the same text as plain batches (in float32, where both should agree).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, whose files hide packages

import advisor
from training.quiet import quiet_libraries

DEMONSTRATIONS, BATCH = 6, 16
EXAMPLE = Path(advisor.__file__).parent / "examples" / "support_desk"


def plain(loaded: Any, texts: list[str], *, batch: int, max_new_tokens: int) -> list[str]:
    """Plain generate of transformers on batches of rows, as they come."""
    import torch

    tokenizer, answers = loaded.tokenizer, []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            inputs = tokenizer(
                texts[start : start + batch],
                return_tensors="pt",
                padding=True,
                padding_side="left",
                add_special_tokens=False,
            )
            inputs = inputs.to(loaded.model.device)
            output = loaded.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
            new = output[:, inputs["input_ids"].shape[1] :]
            answers += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return answers


def timed(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Seconds, and what the work gave."""
    began = time.perf_counter()
    answers = work()
    return time.perf_counter() - began, answers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=EXAMPLE)
    parser.add_argument("--dtype", default=None)
    parser.add_argument("--max-new-tokens", type=int, default=40)
    options = parser.parse_args()
    quiet_libraries()

    from advisor.answering import LocalAnswerer
    from advisor.approaches.few_shot import with_demonstrations
    from dataset_tools import load_examples
    from dataset_tools.rendering import prompt_text
    from training.models.loading import load_model

    train = load_examples(options.data / "train.jsonl").examples
    asked = [*load_examples(options.data / "test.jsonl").examples, *train[DEMONSTRATIONS:]][: options.rows]
    prompts = [with_demonstrations(example, train[:DEMONSTRATIONS]) for example in asked]
    limit = options.max_new_tokens

    figures: dict[str, Any] = {"rows": len(prompts), "demonstrations": DEMONSTRATIONS}
    for dtype in [options.dtype] if options.dtype else ["bfloat16", "float32"]:
        # Two copies of the model, so that ours does not change how the plain ones attend.
        base, fast = load_model("embedded", dtype=dtype), LocalAnswerer(load_model("embedded", dtype=dtype))
        texts = [prompt_text(prompt, base.tokenizer) for prompt in prompts]
        ways: dict[str, Callable[[], list[str]]] = {
            "one by one": lambda base=base, texts=texts: plain(base, texts, batch=1, max_new_tokens=limit),  # type: ignore[misc]
            "batches of 16": lambda base=base, texts=texts: plain(base, texts, batch=BATCH, max_new_tokens=limit),  # type: ignore[misc]
            "ours": lambda fast=fast: [a.text for a in fast.answer(prompts, max_new_tokens=limit)],  # type: ignore[misc]
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        answers: dict[str, list[str]] = {}
        timed(ways["ours"])  # warm the kernels of all three
        for _ in range(options.rounds):
            for name, way in ways.items():
                spent, answers[name] = timed(way)
                seconds[name].append(spent)
        medians = {name: round(statistics.median(values), 2) for name, values in seconds.items()}
        same = sum(one == other for one, other in zip(answers["ours"], answers["batches of 16"], strict=True))
        figures[dtype] = {
            "median seconds": medians,
            "times one by one": round(medians["one by one"] / medians["ours"], 1),
            "times batches of 16": round(medians["batches of 16"] / medians["ours"], 1),
            "same answers as batches": f"{same} of {len(prompts)}",
        }
        print(json.dumps({dtype: figures[dtype]}, indent=2), flush=True)


if __name__ == "__main__":
    main()
