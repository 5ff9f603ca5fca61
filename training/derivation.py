"""From data, model and machine to a recipe: every default that depends on them, with its source.

SCIENCE = the project's notes on published practice (QLoRA, arxiv.org/abs/2305.14314; "LoRA without regret",
thinkingmachines.ai/blog/lora; the tinker-cookbook's learning-rate rule; PEFT's method comparison,
github.com/huggingface/peft/tree/main/method_comparison). What is marked a judgement was not found measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from training.recipe import LORA_LIKE, Recipe

_TITLES = {
    "qlora": "QLoRA (NF4, rank {rank})",
    "lora": "LoRA (rank {rank})",
    "dora": "DoRA (rank {rank})",
    "rslora": "rsLoRA (rank {rank})",
    "full": "Full fine-tuning",
    "prefix": "Prefix tuning ({virtual_tokens} virtual tokens)",
    "prompt": "Prompt tuning ({virtual_tokens} virtual tokens)",
    "ia3": "IA3",
}
_AIMS = {"dpo": " by preference pairs (DPO)", "kto": " by thumbs (KTO)", "grpo": " by the task's own score (GRPO)"}
# Tokens computed at once. A preference row is two answers, and its reference is computed beside it.
_AT_ONCE, _AT_ONCE_ACCELERATOR = 4_096, 16_384
_SEQUENCES = {"sft": 1, "dpo": 2, "kto": 2, "grpo": 1}
# Full fine-tuning: "LoRA without regret" finds LoRA's best rate at 10 times the full one.
_FULL_SHARE = 0.1
# Preference tuning of a 7-8B with LoRA: 5e-6 to 1e-5 (SCIENCE 6); its sft rate by the rule below is 1.5e-4.
_PREFERENCE_SHARE = 1 / 20
# PEFT's method comparison (3B): prefix (from zero) and IA3 on all attention 5e-3, prompt 1e-3.
_RATES = {"prefix": 5e-3, "ia3": 5e-3, "prompt": 1e-3}


def derive_recipe(
    model: str,
    lengths: Sequence[int],
    *,
    hidden_size: int,
    context: int,
    has_accelerator: bool,
    method: str = "qlora",
    objective: str = "sft",
    longest_answer: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Recipe:
    """The default recipe for these rows on this machine.

    Args:
        model: The base model's name.
        lengths: Tokens of each rendered training row (of a pair: of its longer half).
        hidden_size: The model's width, which sets the learning rate.
        context: Tokens that fit the model.
        has_accelerator: Whether there is a GPU.
        method: What is trained, as `Recipe.method` names it.
        objective: What is learnt, as `Recipe.objective` names it.
        longest_answer: Tokens of the longest wanted answer, which bounds the answers that GRPO draws.
        max_seconds: A time budget for the training loop.
        seed: For everything random.
    """
    rows, virtual = len(lengths), Recipe.virtual_tokens if method in ("prefix", "prompt") else 0
    longest = max(1, min(max(lengths, default=1), context - virtual))
    batch = 8 if rows < 500 else 16
    at_once = (_AT_ONCE_ACCELERATOR if has_accelerator else _AT_ONCE) // _SEQUENCES[objective]
    micro = max(1, min(batch, 2 ** int(math.log2(max(1, at_once // longest)))))
    return Recipe(
        model=model,
        method=method,
        objective=objective,
        learning_rate=round(default_learning_rate(hidden_size, batch, method=method, objective=objective), 8),
        batch_size=batch,
        micro_batch_size=max(micro, 2) if objective == "kto" else micro,
        epochs=_epochs(rows, objective),
        max_seconds=max_seconds,
        max_length=longest,
        # rsLoRA divides by the square root of the rank: 8 / sqrt(16) is LoRA's 32 / 16.
        alpha=8 if method == "rslora" else Recipe.alpha,
        # Drawing the dropout masks takes a sixth of a step on a CPU (profiled), so steps are worth more there.
        dropout=0.05 if method in LORA_LIKE and rows < 500 and has_accelerator else 0.0,
        # Twice the longest wanted answer (at least 16 tokens): a judgement; a wrong answer that rambles costs the time.
        max_completion=Recipe.max_completion if longest_answer is None else min(512, max(16, 2 * longest_answer)),
        gradient_checkpointing=has_accelerator and hidden_size >= 2048 and method != "prefix",
        seed=seed,
    )


def default_learning_rate(hidden_size: int, batch_size: int, *, method: str = "qlora", objective: str = "sft") -> float:
    """The peak learning rate for a model's width, a method and an objective.

    LoRA: tinker-cookbook's rule for the Llama family, 5e-4 (2000 / hidden)^0.781 times sqrt(batch / 128), raised by
    the half, as "LoRA without regret" finds for short runs (15 instead of 10 times the full-tuning rate). Below a width
    of 1024, where the rule was not fitted, it is four times that, at most 2e-3: measured on the embedded model and the
    support desk's rows, 40 steps of 4 rows gave a validation loss of .91 at 5e-4, .75 at 1e-3 and .62 at 2e-3.
    Full fine-tuning takes a tenth of it; the methods that train few numbers take fixed, much higher rates (PEFT's
    method comparison). Preference and reward objectives take a twentieth of the rate of their method, which for an 8B
    model is the 5e-6 to 1e-5 that is published.
    """
    rate = 1.5 * 5e-4 * (2000 / hidden_size) ** 0.781 * math.sqrt(batch_size / 128)
    rate = rate if hidden_size >= 1024 else min(4 * rate, 2e-3)
    rate = _RATES.get(method, rate * _FULL_SHARE if method == "full" else rate)
    return float(rate if objective == "sft" else rate * _PREFERENCE_SHARE)


def _epochs(rows: int, objective: str) -> float:
    """SCIENCE section 6: few rows are seen often, many rarely (a judgement, to be tested).

    Preference pairs are overfitted sooner and GRPO draws new answers at each pass: half as many, at most 2.
    """
    epochs = next((passes for limit, passes in ((100, 6.0), (500, 4.0), (2000, 3.0)) if rows < limit), 2.0)
    return epochs if objective == "sft" else min(2.0, epochs / 2)


def describe(recipe: Recipe, rows: int) -> str:
    """The recipe as one sentence for people."""
    title = _TITLES[recipe.method].format(rank=recipe.rank, virtual_tokens=recipe.virtual_tokens)
    length = f"{recipe.max_steps} steps" if recipe.max_steps else f"{recipe.epochs:g} passes"
    budget = f", within {recipe.max_seconds:.0f} s" if recipe.max_seconds else ""
    begin = ", continuing an earlier adapter" if recipe.start_from else ""
    return (
        f"{title}{_AIMS.get(recipe.objective, '')} on {rows} rows{begin}: {length} of batches of {recipe.batch_size}, "
        f"learning rate {recipe.learning_rate:.1e}, rows up to {recipe.max_length} tokens{budget}."
    )
