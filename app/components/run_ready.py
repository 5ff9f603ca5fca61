"""Whether a training can start, what it would do and what it would cost: the card above the Start button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from app.components.cards import Tone, error_parts_card
from app.components.markup import NOTHING, counted, duration, html, joined
from app.components.run_sparks import size

UNKNOWN_TIME = "not known before the dry run"
_SHADES = 8
# Seconds below which an estimate of the time is no more than that, and from which on it is one of minutes.
_A_FEW, _MINUTES = 10, 90


@dataclass(frozen=True)
class Outlook:
    """What a training would do, as the card shows it. Bytes, seconds; None is what is not known.

    ``basis`` says where the time comes from. ``reasons`` say why it cannot start; it can where there is none.
    """

    sentence: str
    rows: int
    held_out: int
    longest: int
    steps: int
    tokens: int
    memory: int | None = None
    memory_parts: Mapping[str, int] | None = None
    available: int | None = None
    seconds: float | None = None
    basis: str = ""
    disk: int | None = None
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()


def ready_card(outlook: Outlook, *, start: Markup) -> Markup:
    """The card with the Start button in it."""
    tone: Tone = "bad" if outlook.reasons else "good"
    title = "Not ready" if outlook.reasons else "Ready"
    return html(
        '<div class="fr-card fr-ready fr-{}"><div class="fr-ready-head"><div><h3>{}</h3><p>{}</p></div>{}</div>{}{}'
        "</div>{}",
        tone,
        title,
        outlook.sentence,
        start,
        _list("fr-reasons-not", outlook.reasons),
        _list("fr-warnings", outlook.warnings),
        facts(outlook),
    )


def _list(kind: str, texts: Sequence[str]) -> Markup:
    items = joined(html("<li><i></i>{}</li>", text) for text in texts)
    return html('<ul class="{}">{}</ul>', kind, items) if texts else NOTHING


def facts(outlook: Outlook) -> Markup:
    """Rows, steps, tokens, time, memory and disk as tiles; the memory by its parts."""
    tiles = [
        ("rows to train on", f"{outlook.rows:,}", f"{outlook.held_out:,} held out"),
        ("steps", f"{outlook.steps:,}", f"{outlook.tokens:,} tokens"),
        ("time", _time(outlook.seconds), "estimated" if outlook.seconds is not None else ""),
        ("longest row", counted(outlook.longest, "token"), ""),
    ]
    if outlook.disk is not None:
        tiles.append(("disk", size(outlook.disk), "for checkpoints and result"))
    each = joined(
        html(
            '<div class="fr-tile{}" title="{}"><b>{}</b><span>{}</span><small>{}</small></div>',
            " fr-unknown" if value == UNKNOWN_TIME else "",
            f"Estimated by {outlook.basis}" if name == "time" and outlook.basis else "",
            value,
            name,
            more,
        )
        for name, value, more in tiles
    )
    return html('<div class="fr-tiles">{}</div>{}', each, _memory(outlook))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN_TIME
    if seconds < _A_FEW:
        return "a few seconds"
    whole = seconds if seconds < _MINUTES else 60 * round(seconds / 60)  # no estimate is that exact
    return f"about {duration(whole)}"


def _memory(outlook: Outlook) -> Markup:
    """A bar of what there is, filled with what is needed, part by part."""
    if outlook.memory is None:
        return NOTHING
    parts = dict(outlook.memory_parts or {"needed": outlook.memory})
    whole = max(outlook.available or 0, sum(parts.values()), 1)
    filled = joined(
        html('<i class="fr-shade-{}" style="width:{:.2f}%"></i>', number % _SHADES, 100 * part / whole)
        for number, part in enumerate(parts.values())
    )
    legend = joined(
        html('<li><i class="fr-shade-{}"></i>{} <b>{}</b></li>', number % _SHADES, name.replace("_", " "), size(part))
        for number, (name, part) in enumerate(parts.items())
        if part
    )
    there = html(" of {} free", size(outlook.available)) if outlook.available else NOTHING
    fits = outlook.available is None or outlook.memory <= outlook.available
    return html(
        '<div class="fr-memory{}"><p><b>{}</b>{} <span>of memory, estimated</span></p>'
        '<div class="fr-stack" role="img" aria-label="Memory by part">{}</div><ul>{}</ul></div>',
        "" if fits else " fr-over",
        size(outlook.memory),
        there,
        filled,
        legend,
    )


def start_button(text: str, *, free: bool, token: str) -> Markup:
    """The button that starts a run. ``token`` makes two clicks on it one run."""
    return html(
        '<button type="button" id="train" class="fr-act fr-main fr-start" data-do="start" data-token="{}" data-once{}>'
        "{}</button>",
        token,
        "" if free else Markup(" disabled"),
        text,
    )


def not_ready_card(parts: Mapping[str, str | None]) -> Markup:
    """Why nothing could be derived at all, and what to do about it."""
    return error_parts_card({**parts, "what": f"Not ready: {parts.get('what')}"})


def recipe_card(text: str) -> Markup:
    """The recipe as YAML, to be read, copied and downloaded."""
    return html(
        '<details class="fr-fold fr-recipe"><summary>The same settings as YAML, for '
        "<code>fitting-room train DATA --recipe recipe.yaml</code></summary>"
        '<pre class="fr-raw">{}</pre><a class="fr-button" download="recipe.yaml" '
        'href="data:application/yaml;charset=utf-8,{}">Download recipe.yaml</a></details>',
        text,
        quote(text),
    )
