"""A training run on the page: how it stands, what it does and did, what it had to say. Pure functions to HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.components.cards import Tone, badge, error_parts_card, tiles
from app.components.markup import NOTHING, duration, html, joined
from app.components.run_series import Event, Phase, last
from app.components.run_sparks import size
from app.run_reading import RunSummary

_STATES: dict[str, tuple[Tone, str]] = {
    "queued": ("warn", "waiting"),
    "preparing": ("warn", "preparing"),
    "running": ("warn", "running"),
    "stopping": ("warn", "stopping"),
    "done": ("good", "done"),
    "stopped": ("plain", "stopped"),
    "failed": ("bad", "failed"),
    "interrupted": ("bad", "interrupted"),
}


def state_of_run(state: str) -> Markup:
    """A run's state as a small label."""
    tone, word = _STATES.get(state, ("plain", state))
    return badge(word, tone)


def when(created: float) -> str:
    """A moment for people: ``21 Nov 2026, 15:38``."""
    return f"{datetime.fromtimestamp(created):%d %b %Y, %H:%M}" if created else "-"


def run_title(summary: RunSummary, title: str, settings: str) -> Markup:
    """Which run this is, and how it trains."""
    return html(
        '<div class="fr-run-title"><h2>{}</h2><p class="fr-quiet">{} · {}</p><p>{}</p></div>',
        title or summary.run,
        when(summary.created),
        summary.run,
        settings,
    )


def run_head(summary: RunSummary, events: Sequence[Event], *, saying: object, asked_to_stop: bool = False) -> Markup:
    """How a run stands: its state, how far it is, and its figures.

    Args:
        summary: Of the run.
        events: Of the run.
        saying: What is to be said of the state, in a sentence.
        asked_to_stop: Whether it was asked to stop and has not yet.
    """
    state = "stopping" if asked_to_stop and summary.live else summary.state
    busy = " fr-working" if summary.live and state != "queued" else ""
    head = html('<p class="fr-status{}" data-state="{}">{} {}</p>', busy, state, state_of_run(state), saying)
    if summary.step is None:
        return head
    share = summary.step / max(1, summary.steps or summary.step)
    bar = html(
        '<div class="fr-bar" role="progressbar" aria-valuenow="{}" aria-valuemin="0" aria-valuemax="{}" '
        'aria-label="Steps"><span style="width:{:.1f}%"></span></div>',
        summary.step,
        summary.steps or summary.step,
        100 * min(1.0, share),
    )
    return joined([head, bar, tiles(_figures(summary, events))])


def _figures(summary: RunSummary, events: Sequence[Event]) -> list[tuple[str, object]]:
    step, speed = last(events, "step") or {}, summary.tokens_per_second
    facts: list[tuple[str, object]] = [
        ("step", f"{summary.step:,} of {summary.steps:,}" if summary.steps else f"{summary.step:,}"),
        ("training loss", _figure(summary.loss)),
        ("validation loss", _figure(summary.validation_loss)),
        ("tokens a second", f"{speed:,.0f}" if speed else "-"),
    ]
    if step.get("memory"):
        facts.append(("memory at most", size(step["memory"])))
    if summary.live and summary.eta is not None:
        facts.append(("left", duration(summary.eta) if summary.eta else "the checks"))
    elif summary.seconds is not None:
        facts.append(("took", duration(summary.seconds)))
    return facts


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def what_to_say(
    summary: RunSummary,
    *,
    waiting_for: Sequence[str] = (),
    spent: float | None = None,
    goes_on_from: int = 0,
    kept: bool = False,
) -> str:
    """A run's state in a sentence.

    Args:
        summary: Of the run.
        waiting_for: What the runs are called that come first, where it waits.
        spent: Seconds in the phase that goes on.
        goes_on_from: The step of its newest checkpoint, 0 without one.
        kept: Whether what it has made is there.
    """
    ago = f" · {duration(round(spent))}" if spent is not None and spent >= 1 else ""
    again = f"from step {goes_on_from:,}" if goes_on_from else "from the start"
    match summary.state:
        case "queued" if waiting_for:
            return f"Waits for {', then for '.join(waiting_for)}: one machine trains one run at a time."
        case "queued":
            return f"Its process starts{ago}"
        case "preparing" | "running" | "stopping":
            return f"{_capital(summary.phase or 'starting')}{ago}"
        case "done":
            return _done(summary)
        case "stopped" if not kept:
            return f"Nothing of what it had learnt is kept. Resume goes on {again}."
        case "stopped":
            return f"What it had learnt by then is kept. Resume goes on {again}."
        case "failed":
            return f"Resume tries again, {again}."
        case _:
            return f"Its process is gone without a word: killed, or the machine went off. Resume goes on {again}."


def _done(summary: RunSummary) -> str:
    early = summary.step is not None and summary.steps is not None and summary.step < summary.steps
    return "It ended by itself: the validation loss did not get better any more." if early else "It has run to its end."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def phases_list(phases: Sequence[Phase], *, folded: bool) -> Markup:
    """What a run did so far, each with its time; the last one goes on where it has none."""
    if not phases:
        return NOTHING
    items = joined(
        html(
            '<li class="{}"><span>{}</span><i>{}</i></li>',
            "fr-now" if phase.seconds is None else "fr-past",
            _capital(phase.name),
            "now" if phase.seconds is None else duration(round(phase.seconds, 1)),
        )
        for phase in phases
    )
    shown = html('<ol class="fr-phases">{}</ol>', items)
    if not folded:
        return shown
    return html('<details class="fr-fold"><summary>What it did, and for how long</summary>{}</details>', shown)


def notes_view(events: Sequence[Event], notes: Sequence[str]) -> Markup:
    """What was changed on the way, and which checkpoint was kept."""
    chosen = last(events, "chosen")
    parts = [html("<li><i></i>{}</li>", note) for note in notes]
    if chosen is not None:
        tried = ", ".join(_candidate(each) for each in chosen.get("candidates", ()))
        text = f"Kept: the weights of step {chosen['step']:,}, the best by {chosen['by']}"
        parts.append(html("<li><i></i>{}.</li>", f"{text} ({tried})" if tried else text))
    return html('<ul class="fr-notes">{}</ul>', joined(parts)) if parts else NOTHING


def _candidate(candidate: Mapping[str, Any]) -> str:
    score = f", score {100 * candidate['score']:.1f}" if candidate.get("score") is not None else ""
    return f"step {candidate['step']:,}: {_figure(candidate.get('validation_loss'))}{score}"


def dry_run_view(events: Sequence[Event], *, estimate: Mapping[str, Any] | None) -> Markup:
    """What the dry run measured, beside what was estimated before."""
    facts = last(events, "dry_run")
    if facts is None:
        return NOTHING
    steps = (last(events, "training") or {}).get("steps")
    at_most = f", {duration(steps * facts['seconds_per_step'])} at most for all {steps:,}" if steps else ""
    guessed = (estimate or {}).get("memory")
    beside = f" (estimated: {size(guessed)})" if guessed else ""
    lines = [
        f"{duration(facts['seconds_per_step'])} for a step on the longest rows{at_most}",
        f"{size(facts['memory'])} of memory{beside}",
        f"{size(facts['checkpoint_bytes'])} for a checkpoint, {size(facts['free_bytes'])} free",
    ]
    items = joined(html("<li><i></i>{}</li>", line) for line in lines)
    return html('<div class="fr-dry"><h3>The dry run measured</h3><ul class="fr-notes">{}</ul></div>', items)


def run_error(status: Mapping[str, Any], state: str) -> Markup:
    """Why a run failed, and what to do about it."""
    error = status.get("error")
    if not error or state not in ("failed", "interrupted"):
        return NOTHING
    return error_parts_card({key: value for key, value in error.items() if key != "kind"})
