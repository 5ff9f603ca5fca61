"""A comparison while it runs: from its events to how each arm stands, and from that to bars. It waits for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from app.components.approaches import why_not_here
from app.components.cards import Tone, badge
from app.components.markup import NOTHING, duration, html, joined

_STATES: dict[str, tuple[Tone, str]] = {
    "waiting": ("plain", "waiting"),
    "preparing": ("warn", "preparing"),
    "tuning": ("warn", "choosing settings"),
    "training": ("warn", "training"),
    "answering": ("warn", "answering"),
    "done": ("good", "done"),
    "dropped": ("plain", "left the race"),
    "skipped": ("plain", "skipped"),
}
_OVER = ("done", "dropped", "skipped")
RUN_STATES: dict[str, tuple[Tone, str]] = {
    "queued": ("warn", "starting"),
    "preparing": ("warn", "preparing"),
    "running": ("warn", "running"),
    "stopping": ("warn", "stopping"),
    "done": ("good", "done"),
    "stopped": ("plain", "stopped"),
    "failed": ("bad", "failed"),
    "interrupted": ("bad", "interrupted"),
}


@dataclass(frozen=True)
class ArmState:
    """How an arm stands. ``share`` is the part that is done, 0 to 1; times are in seconds since the epoch."""

    name: str
    state: str = "waiting"
    share: float = 0.0
    detail: str = ""
    began: float | None = None
    ended: float | None = None


def arm_states(events: Iterable[Mapping[str, Any]], arms: Sequence[str]) -> list[ArmState]:
    """The arms after these events: those asked for, in their order, then any other that the events name."""
    states = {name: ArmState(name) for name in arms}
    for event in events:
        name = event.get("arm")
        if name is None:
            states |= _planned(states, event) if event["event"] == "plan" else {}
            continue
        state = states.get(name, ArmState(name))
        if event["event"] == "arm":
            state = _after_arm_event(state, event)
        elif event["event"] == "step":
            loss = "no number" if event["loss"] is None else f"{event['loss']:.2f}"
            detail = f"step {event['step']} of {event['steps']}, loss {loss}"
            detail += f", {duration(event['eta'])} left" if event.get("eta") is not None else ""
            state = replace(state, share=event["step"] / max(1, event["steps"]), detail=detail)
        elif event["event"] == "phase":
            state = replace(state, detail=str(event["phase"]))
        states[name] = replace(state, began=state.began or event.get("time"))
    return list(states.values())


def _planned(states: Mapping[str, ArmState], plan: Mapping[str, Any]) -> dict[str, ArmState]:
    """The arms that wait, with how long each takes to answer as the plan has it."""
    seconds = {arm["name"]: arm["seconds"] for arm in plan.get("arms", ()) if arm["seconds"]}
    waiting = [state for name, state in states.items() if name in seconds and state.state == "waiting"]
    return {
        state.name: replace(state, detail=f"about {duration(round(seconds[state.name], 1))} to answer")
        for state in waiting
    }


def of_this_start(events: Iterable[Mapping[str, Any]], started: float) -> list[Mapping[str, Any]]:
    """The events since a run was started, or started again; of those before, what belongs to arms it has finished."""
    events = list(events)
    kept = {
        event.get("arm")
        for event in events
        if event["time"] < started and event["event"] == "arm" and event["state"] in ("done", "skipped")
    }
    return [event for event in events if event["time"] >= started or event.get("arm") in kept]


def _after_arm_event(state: ArmState, event: Mapping[str, Any]) -> ArmState:
    kind = str(event["state"])
    if kind == "answering":
        done, total = event["done"], event["total"]
        return replace(state, state=kind, share=done / max(1, total), detail=f"{done} of {total} rows")
    if kind == "done":
        low, high = (100 * end for end in event["interval"])
        detail = f"{100 * event['score']:.1f} points [{low:.0f}, {high:.0f}]"
        if event.get("reason"):  # its bar stays where it has left
            return replace(state, state="dropped", detail=f"{detail}; {event['reason']}", ended=event.get("time"))
        return replace(state, state=kind, share=1.0, detail=detail, ended=event.get("time"))
    if kind == "waiting":  # after its heat
        detail = f"{event['done']} of {event['total']} rows; the best so far goes first"
        return replace(state, state=kind, detail=detail)
    if kind == "tuning":
        return replace(state, state=kind, share=0.0, detail=_trying(event), ended=None)
    if kind == "preparing":
        return ArmState(state.name, kind, began=event.get("time"))
    return replace(state, state=kind, share=0.0, detail=why_not_here(str(event.get("reason") or "")), ended=None)


def _trying(event: Mapping[str, Any]) -> str:
    total = event.get("total")
    return f"{total} answers on rows held back for it" if total else ""


def progress_view(states: Iterable[ArmState], titles: Mapping[str, str], *, now: float) -> Markup:
    """One line an arm: its name, a bar, and how far it is."""
    return html('<div class="fr-scroll">{}</div>', joined(_line(state, titles, now) for state in states))


def _line(state: ArmState, titles: Mapping[str, str], now: float) -> Markup:
    tone, word = _STATES.get(state.state, ("plain", state.state))
    spent = (state.ended or now) - state.began if state.began and state.state != "skipped" else None
    bar = html('<div class="fr-bar"><span style="width:{:.0f}%"></span></div>', 100 * state.share)
    detail = html('<span class="fr-quiet">{}</span>', state.detail)
    return html(
        '<div class="fr-arm" data-arm="{}" data-state="{}"><div><b>{}</b><br>{}</div><div>{}{}</div>'
        '<span class="fr-quiet">{}</span></div>',
        state.name,
        state.state,
        titles.get(state.name, state.name),
        badge(word, tone),
        NOTHING if state.state == "skipped" else bar,
        detail,
        duration(spent) if spent is not None else "",
    )


def phase_of(events: Iterable[Mapping[str, Any]]) -> str:
    """What the run itself does now; nothing once its arms speak for themselves."""
    phase = "starting"
    for event in events:
        if event["event"] == "phase" and "arm" not in event:
            phase = str(event["phase"])
        elif event["event"] == "arm":
            phase = ""
    return phase


def cut_off(states: Iterable[ArmState]) -> list[ArmState]:
    """The arms of a run that has ended early: what was under way or still to come is not finished."""
    return [state if state.state in _OVER else _not_finished(state) for state in states]


def _not_finished(state: ArmState) -> ArmState:
    return replace(state, state="not finished", detail="" if state.state == "waiting" else state.detail)


def state_badge(state: str) -> Markup:
    """A run's state as a small label."""
    tone, word = RUN_STATES.get(state, ("plain", state))
    return badge(word, tone)
