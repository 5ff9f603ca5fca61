"""What each knob of a recipe is for, its usual range and why: for forms, ``--help`` and the documentation.

One line each, for people who never read a paper. What is allowed at all is `training.recipe`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Knob:
    """The help for one knob.

    ``help`` says what it does, ``usual`` the range that people use, ``why`` the reason or the source of that range, and
    ``advanced`` is False for the few knobs that a simple form shows.
    """

    help: str
    usual: str
    why: str
    advanced: bool = True


_KNOBS = {
    "model": Knob(
        "The base model that is tuned: a name, a folder or a hub id.",
        "the smallest whose zero-shot answers make sense",
        "The base's own score predicts the tuned score better than any knob does (LoRA Land, r = .8).",
        advanced=False,
    ),
    "method": Knob(
        "Which weights are trained: small matrices beside a 4-bit base (qlora) or others.",
        "qlora; lora where memory allows; full only with much data",
        "With the learning rate tuned, the LoRA variants lie within 1-2% of each other (arxiv.org/abs/2602.04998).",
        advanced=False,
    ),
    "objective": Knob(
        "What is learnt: wanted answers (sft), pairs (dpo), thumbs (kto) or the task's own score (grpo).",
        "sft first; dpo or kto from about 200 judged answers on",
        "Preferences refine a model that can do the task already; below 200 pairs, edits taught by sft do more.",
        advanced=False,
    ),
    "learning_rate": Knob(
        "How far each step moves the weights.",
        "1e-4 to 2e-3 for LoRA; a tenth for full; a twentieth for dpo, kto, grpo",
        "The one knob that matters most. Loss jumps or turns NaN: a third. Loss hardly falls: three times.",
        advanced=False,
    ),
    "schedule": Knob(
        "How the learning rate changes after the warm-up.",
        "linear or cosine",
        "A rate that falls to zero ends in a better place than a constant one; linear and cosine hardly differ.",
    ),
    "batch_size": Knob(
        "Rows that one step learns from (answers, for grpo).",
        "8 below 500 rows, 16 above; below 32",
        "LoRA takes large batches badly (thinkingmachines.ai/blog/lora), and few rows need many steps.",
    ),
    "micro_batch_size": Knob(
        "Rows computed at once; the rest of the batch follows before the step is taken.",
        "as many as fit in memory, at most batch_size",
        "It changes speed and memory, not what is learnt. Out of memory: halve it.",
    ),
    "epochs": Knob(
        "How often each row is seen.",
        "6 below 100 rows, 4 below 500, 3 below 2000, else 2",
        "Too few and it has not learnt, too many and it recites; early stopping catches the second.",
        advanced=False,
    ),
    "max_steps": Knob(
        "Steps to take, whatever `epochs` says.",
        "left out; or 60 and more",
        "Below about 60 steps an adapter has learnt little.",
    ),
    "max_seconds": Knob(
        "A time budget for the training; the steps are fitted to it.",
        "left out",
        "A few real steps are timed first, so the budget holds on any machine.",
        advanced=False,
    ),
    "max_length": Knob(
        "Tokens after which a row is cut.",
        "the longest row",
        "A cut row loses the end of its answer and never learns to stop; long rows cost memory.",
    ),
    "completion_only": Knob(
        "Learn the answers only, and not the prompts as well.",
        "true",
        "Learning the prompts helps only where they are long, the answers short and the rows few"
        " (arxiv.org/abs/2405.14394).",
    ),
    "rank": Knob(
        "Size of the trained matrices (LoRA family).",
        "8 to 32",
        "Hardly matters below 5000 rows; raise it only if the training loss stalls.",
    ),
    "alpha": Knob(
        "Strength of the trained matrices: alpha / rank (rslora: alpha / sqrt(rank)).",
        "twice the rank (rslora: 8)",
        "It acts like the learning rate; keep it and tune the rate instead.",
    ),
    "dropout": Knob(
        "Share of the adapter's inputs left out at random in training.",
        "0 to 0.1",
        "Slows overfitting of few rows a little, and costs a sixth of a step on a CPU.",
    ),
    "virtual_tokens": Knob(
        "Trained tokens that stand before the prompt (prefix and prompt tuning).",
        "8 to 64",
        "More can hold more, and each takes a place in the context and time at every answer.",
    ),
    "beta": Knob(
        "How strongly dpo and kto hold the model to where it started.",
        "0.05 to 0.5",
        "0.1 in the papers (arxiv.org/abs/2305.18290, 2402.01306). Answers turn odd: raise it.",
    ),
    "generations": Knob(
        "Answers drawn for each prompt and compared with each other (grpo).",
        "4 to 16",
        "With too few all are equally good or bad and nothing is learnt; each costs its time.",
    ),
    "max_completion": Knob(
        "Tokens after which a drawn answer is cut off (grpo).",
        "twice the longest wanted answer",
        "A cut answer scores badly though it may have begun well; long ones cost time.",
    ),
    "warmup": Knob(
        "Share of the steps in which the learning rate rises.",
        "0.03 to 0.1",
        "The first steps' gradients are the largest and the least typical.",
    ),
    "weight_decay": Knob(
        "How strongly trained weights are drawn towards zero.",
        "0 to 0.01",
        "An adapter starts at zero and is small already.",
    ),
    "max_gradient_norm": Knob(
        "Longer gradients are shortened to this.",
        "0.3 to 1; 0 switches it off",
        "One odd row should not undo ten good ones (QLoRA, table 9: 0.3).",
    ),
    "optimizer": Knob(
        "The rule that turns gradients into steps.",
        "auto",
        "8-bit paged AdamW keeps the optimiser's memory small on a GPU; elsewhere plain AdamW is fastest.",
    ),
    "precision": Knob(
        "Numbers that are computed with.",
        "auto",
        "bf16 where the machine has it; fp16 can overflow; fp32 is exact and takes twice the memory.",
    ),
    "gradient_checkpointing": Knob(
        "Compute activations twice instead of keeping them.",
        "false while it fits",
        "Much less memory for a third more time.",
    ),
    "evaluations": Knob(
        "How often the validation loss is taken and a checkpoint saved.",
        "4 to 12",
        "Each costs a little time; the best checkpoint can only be one of these.",
    ),
    "patience": Knob(
        "Validations in a row without a better loss before the run ends by itself.",
        "2 to 4; 0 never",
        "What is learnt after the validation loss has turned is mostly recitation.",
    ),
    "checkpoints_kept": Knob(
        "Newest checkpoints that stay on the disk.",
        "2 to 5",
        "Among them the best one is chosen; each takes about three times the adapter's size.",
    ),
    "start_from": Knob(
        "An earlier adapter that is trained further.",
        "left out",
        "For more rows of the same task, or to refine an sft adapter by dpo, kto or grpo.",
    ),
    "dry_run": Knob(
        "Try the longest rows, a validation and a save before the real run.",
        "true",
        "Finds out-of-memory and a full disk in seconds instead of hours.",
    ),
    "report_to": Knob(
        "Another program that is sent the run's figures.",
        "none",
        "The run's own page shows them all. tensorboard writes into the run's folder; others to where you set them up.",
    ),
    "seed": Knob(
        "The number that everything random starts from.",
        "any; 3 different ones to see the spread",
        "Same seed, same machine and same versions: same adapter.",
    ),
}

KNOBS: Mapping[str, Knob] = MappingProxyType(_KNOBS)
"""The help for every knob of `training.recipe.Recipe`, by its name and in the order of a form."""
