"""A training run on the page: whether it can start, how it stands, and how healthy the result is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.components.cards import banner, error_parts_card, tiles
from app.components.live import state_badge
from app.components.markup import NOTHING, counted, duration, html, joined
from training.planning import Plan

Event = Mapping[str, Any]
# Below these an adapter that is alive is still suspicious: answers that run on show as a stop rate well under 1.
_GOOD_STOP_RATE = 0.9


def ready_card(plan: Plan) -> Markup:
    """What a run would do, when nothing stands in its way."""
    recipe = plan.recipe
    steps = recipe.max_steps or -(-len(plan.train) * recipe.epochs // recipe.batch_size)
    facts: list[tuple[str, object]] = [
        ("rows to train on", f"{len(plan.train):,}"),
        ("rows held out", f"{len(plan.validation):,}"),
        ("steps", f"{steps:,.0f}"),
        ("tokens a pass", f"{plan.tokens:,}"),
        ("longest row", f"{recipe.max_length:,} tokens"),
    ]
    if recipe.max_seconds:
        facts.append(("time budget", duration(recipe.max_seconds)))
    return joined([banner("good", "Ready", plan.sentence), tiles(facts)])


def not_ready_card(parts: Mapping[str, str | None]) -> Markup:
    """Why a run cannot start, and what to do about it."""
    return error_parts_card({**parts, "what": f"Not ready: {parts.get('what')}"})


def run_view(status: Mapping[str, Any], events: Sequence[Event], *, state: str) -> Markup:
    """A run from its start to its end: phase or step, speed, time left; then the outcome."""
    phases = [str(event["phase"]) for event in events if event["event"] == "phase"]
    steps = [event for event in events if event["event"] == "step"]
    going = state in ("queued", "preparing", "running", "stopping")
    doing = (phases[-1] if phases and (not steps or "adapter" in phases[-1]) else "") if going else ""
    head = html('<p class="fr-status" data-state="{}">{} {}</p>', state, state_badge(state), doing)
    parts = [head, _progress(events, steps[-1]) if steps else NOTHING]
    if status.get("error"):
        parts.append(error_parts_card({key: value for key, value in status["error"].items() if key != "kind"}))
    if status.get("result"):
        parts.append(health_card(status["result"]))
    return joined(parts)


def _progress(events: Sequence[Event], last: Event) -> Markup:
    share = last["step"] / max(1, last["steps"])
    checks = [event["validation_loss"] for event in events if event["event"] == "evaluation"]
    facts: list[tuple[str, object]] = [
        ("step", f"{last['step']:,} of {last['steps']:,}"),
        ("training loss", f"{last['loss']:.3f}"),
        ("validation loss", f"{checks[-1]:.3f}" if checks else "-"),
        ("tokens a second", f"{last['tokens_per_second']:,.0f}"),
        ("left", duration(last["eta"])),
    ]
    bar = html('<div class="fr-bar"><span style="width:{:.0f}%"></span></div>', 100 * share)
    return joined([bar, tiles(facts)])


def health_card(result: Mapping[str, Any]) -> Markup:
    """Whether the adapter does something, and whether its answers end."""
    health = result["health"]
    learnt = (
        f"{counted(result['steps'], 'step')} in {duration(result['training_seconds'])}, "
        f"{result['passes']:g} passes over the rows. "
    )
    if not health["alive"]:
        text = "The adapter hardly changes what the model says. Train longer, or with a higher learning rate."
        return banner("bad", "The adapter is not alive", learnt + text, badge="Health")
    stops = f"{100 * health['stop_rate']:.0f}% of the checked answers end by themselves."
    if health["stop_rate"] < _GOOD_STOP_RATE:
        text = f"{learnt}{stops} Answers that run on were cut off: look at some before you use it."
        return banner("warn", "It does not always stop where it should", text, badge="Health")
    return banner("good", "The adapter is alive and stops where it should", learnt + stops, badge="Health")
