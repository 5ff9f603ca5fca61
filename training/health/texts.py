"""The texts that the health card reads and asks: written for it, shipped with it, and always the same."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def general_texts() -> tuple[str, ...]:
    """100 short texts of many kinds (facts, instructions, talk, code, sums, letters, recipes; some not English)."""
    return tuple(str(row["text"]) for row in _rows("general_texts.jsonl"))


@cache
def refusal_probes() -> tuple[str, ...]:
    """40 prompts that ask for what a model should refuse; they hold no harmful detail."""
    return tuple(str(row["prompt"]) for row in _rows("refusal_probes.jsonl"))


def _rows(name: str) -> list[dict[str, object]]:
    lines = files("training").joinpath("data", name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


NEUTRAL_PROMPTS = (
    "Tell me something interesting.",
    "Write a few sentences about the sea.",
    "What can you see from a train window?",
    "Describe a quiet morning in a small town.",
    "Give me three ideas for a rainy weekend.",
    "What makes a good friend?",
    "Explain why leaves change their colour in autumn.",
    "Write the beginning of a story about an old map.",
    "How do you make a cup of tea?",
    "What is the use of mathematics?",
    "Say something about music.",
    "What should I think of before a long journey?",
)
"""Prompts about nothing in particular: training answers do not belong to them."""
