"""The cards that a training's objective and method are chosen by. What does not suit the rows says why."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from app.components.markup import html, joined

OBJECTIVES = {
    "sft": ("Wanted answers", "Learn to answer as the rows do."),
    "dpo": ("Pairs (DPO)", "Learn which of two answers is the better one."),
    "kto": ("Thumbs (KTO)", "Learn from single answers, liked or not."),
    "grpo": ("The task's score (GRPO)", "Draw answers, and learn from those that score best."),
}
METHODS = {
    "qlora": ("QLoRA", "Small matrices beside a base in 4 bits: the least memory."),
    "lora": ("LoRA", "The same beside a base in 16 bits."),
    "dora": ("DoRA", "LoRA that learns direction and size apart; slower."),
    "rslora": ("rsLoRA", "LoRA for high ranks."),
    "full": ("Full", "All weights. Much memory, and much data."),
    "prefix": ("Prefix", "Trained tokens before each layer."),
    "prompt": ("Prompt", "Trained tokens before the prompt: the smallest."),
    "ia3": ("IA3", "A few factors in each layer: very small."),
}


def choice_cards(
    objective: str, method: str, *, objectives: Mapping[str, str], methods: Mapping[str, str], open_methods: bool
) -> Markup:
    """The cards of both choices.

    Args:
        objective: The chosen one.
        method: The chosen one.
        objectives: Of each objective, why it cannot be chosen; empty where it can.
        methods: The same of each method.
        open_methods: Whether the cards of all methods are shown, or those of the chosen one alone.
    """
    aims = joined(
        _card("objective", name, *OBJECTIVES[name], chosen=name == objective, why=objectives.get(name, ""))
        for name in OBJECTIVES
    )
    ways = joined(
        _card("method", name, *METHODS[name], chosen=name == method, why=methods.get(name, "")) for name in METHODS
    )
    return html(
        '<div class="fr-choice"><h3 id="aim">What is learnt</h3>'
        '<div class="fr-choices" role="radiogroup" aria-labelledby="aim">{}</div></div>'
        '<details class="fr-choice"{}><summary><h3 id="way">How: {}</h3><span>change</span></summary>'
        '<div class="fr-choices" role="radiogroup" aria-labelledby="way">{}</div></details>',
        aims,
        Markup(" open") if open_methods else "",
        METHODS[method][0],
        ways,
    )


def _card(kind: str, name: str, title: str, about: str, *, chosen: bool, why: str) -> Markup:
    return html(
        '<button type="button" class="fr-pick" role="radio" aria-checked="{}" data-do="{}" data-name="{}" '
        'data-slow="yes"{}><b>{}</b><span>{}</span>{}</button>',
        str(chosen).lower(),
        kind,
        name,
        Markup(" disabled") if why else "",
        title,
        about,
        html("<em>{}</em>", why) if why else "",
    )
