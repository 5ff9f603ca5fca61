"""The health card of a trained model: one light a question, the reason, and the knob to turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from app.components.cards import Tone, banner
from app.components.markup import NOTHING, html, joined
from training.knobs import KNOBS

_WORDS = {"green": "good", "amber": "look at it", "red": "do not use it yet", "grey": "not measured"}
_TITLES: dict[str, tuple[Tone, str]] = {
    "green": ("good", "Healthy"),
    "amber": ("warn", "Look at this before you use it"),
    "red": ("bad", "Do not use it yet"),
    "grey": ("plain", "Not checked"),
}
_ORDER = ("red", "amber", "green", "grey")
# Of runs that were made before there were cards: below this, answers that run on are worth a look.
_GOOD_STOP_RATE = 0.9


def health_card(health: Mapping[str, Any] | None) -> Markup:
    """The card; nothing where nothing was checked."""
    if not health:
        return NOTHING
    items = health.get("card")
    if not items:
        return _without_card(health)
    lights = [item["light"] for item in items]
    worst = next((light for light in _ORDER if light in lights), "grey")
    tone, title = _TITLES[worst]
    shown = joined(_finding(item) for item in sorted(items, key=lambda item: _ORDER.index(item["light"])))
    return html(
        '<section class="fr-card fr-health" data-light="{}"><header><span class="fr-badge fr-{}">Health</span>'
        "<h3>{}</h3></header><ul>{}</ul></section>",
        worst,
        tone,
        title,
        shown,
    )


def _finding(item: Mapping[str, Any]) -> Markup:
    light = item["light"] if item["light"] in _WORDS else "grey"
    return html(
        '<li class="fr-{}-light"><i role="img" aria-label="{}" title="{}"></i><div><b>{}</b> <span>{}</span>'
        "<p>{}</p>{}</div></li>",
        light,
        _WORDS[light],
        _WORDS[light],
        item["title"],
        item["value"],
        item["reason"],
        _knob(item.get("knob")),
    )


def _knob(name: str | None) -> Markup:
    if not name:
        return NOTHING
    if name not in KNOBS:
        return html('<p class="fr-turn">Turn: <b>{}</b></p>', "the rows" if name == "data" else name)
    return html('<p class="fr-turn">Turn: <code>{}</code> Usual: {}</p>', name, KNOBS[name].usual)


def _without_card(health: Mapping[str, Any]) -> Markup:
    """The two figures that older runs know."""
    if health.get("alive") is False:
        text = "The adapter hardly changes what the model says. Train longer, or with a higher learning rate."
        return banner("bad", "The adapter is not alive", text, badge="Health")
    stops = f"{100 * health['stop_rate']:.0f}% of the checked answers end by themselves."
    if health["stop_rate"] < _GOOD_STOP_RATE:
        text = f"{stops} Answers that run on were cut off: look at some before you use it."
        return banner("warn", "It does not always stop where it should", text, badge="Health")
    return banner("good", "The adapter is alive and stops where it should", stops, badge="Health")
