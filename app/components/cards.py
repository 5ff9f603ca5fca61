"""Cards: what happened, what is ready, what to do next. Pure functions from data to escaped HTML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from markupsafe import Markup

from app.components.markup import NOTHING, html, joined
from dataset_tools.errors import FittingRoomError

Tone = Literal["good", "warn", "bad", "plain"]
_ERROR_PARTS = (("where", "Where"), ("found", "Found"), ("expected", "Expected"), ("next_step", "What to do"))


def error_card(error: FittingRoomError) -> Markup:
    """An error with its cause and what to do."""
    return error_parts_card({key: value for key, value in error.to_dict().items() if key != "kind"})


def error_parts_card(parts: dict[str, str | None]) -> Markup:
    """The same for an error that was kept as a dict, as runs do."""
    rows = joined(html("<dt>{}</dt><dd>{}</dd>", label, parts[key]) for key, label in _ERROR_PARTS if parts.get(key))
    what = parts.get("what") or "Something went wrong."
    what = what[:1].upper() + what[1:]
    return html('<div class="fr-card fr-bad" role="alert"><h3>{}</h3><dl class="fr-facts">{}</dl></div>', what, rows)


def banner(tone: Tone, title: object, text: object = "", *, badge: str = "") -> Markup:
    """A coloured statement: a verdict, a state."""
    chip = html('<span class="fr-badge fr-{}">{}</span>', tone, badge) if badge else NOTHING
    detail = html("<p>{}</p>", text) if text else NOTHING
    return html('<div class="fr-card fr-banner fr-{}">{}<h3>{}</h3>{}</div>', tone, chip, title, detail)


def tiles(facts: Iterable[tuple[str, object]]) -> Markup:
    """A row of small figures, each with its name."""
    each = (html('<div class="fr-tile"><b>{}</b><span>{}</span></div>', value, name) for name, value in facts)
    return html('<div class="fr-tiles">{}</div>', joined(each))


def empty(text: object) -> Markup:
    """What stands where there is nothing yet: what to do."""
    return html('<div class="fr-empty">{}</div>', text)


def section(title: str, text: object = "") -> Markup:
    """A heading inside a page."""
    return html('<div class="fr-section"><h2>{}</h2><p>{}</p></div>', title, text)


def link(address: str, text: str, *, main: bool = False) -> Markup:
    """A link that looks like a button."""
    return html('<a class="fr-button{}" href="{}">{}</a>', " fr-main" if main else "", address, text)


def next_steps(*links: Markup, text: object = "") -> Markup:
    """The end of a page: where to go now."""
    return html('<div class="fr-next"><span>{}</span><div>{}</div></div>', text, joined(links))


def badge(text: object, tone: Tone = "plain") -> Markup:
    """A small label."""
    return html('<span class="fr-badge fr-{}">{}</span>', tone, text)
