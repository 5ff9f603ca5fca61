"""What a comparison sets out to do, and what its probes have found so far; from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.components.markup import NOTHING, counted, duration, html, joined

Event = Mapping[str, Any]


def plan_view(events: Iterable[Event]) -> Markup:
    """The plan in a few sentences: how much is asked, what that can show, how long it takes. Empty before."""
    plan = next((event for event in reversed(list(events)) if event["event"] == "plan" and "arm" not in event), None)
    if plan is None:
        return NOTHING
    return html('<p class="fr-quiet fr-note" id="plan">{}</p>', " ".join(plan_sentences(plan)))


def plan_sentences(plan: Mapping[str, Any]) -> list[str]:
    """The plan of an event or of ``result.json``, in plain English."""
    arms, rows = plan.get("arms") or [], plan.get("test_rows")
    said = [f"The plan: {counted(len(arms), 'approach', 'approaches')} on {counted(rows or 0, 'test row')}."]
    if gap := plan.get("visible_gap"):
        said.append(f"Gaps of about {100 * gap:.0f} points and more will show; a smaller one may stay hidden.")
    seconds = sum(arm["seconds"] for arm in arms)
    trains = sum(arm["trains"] for arm in arms)
    if seconds:
        training = f", and {'one is' if trains == 1 else f'{trains} are'} trained before" if trains else ""
        said.append(f"Answering takes about {duration(round(seconds))} in all{training}.")
    if probes := plan.get("probe_rows"):
        said.append(f"{counted(probes, 'row')} held back for it show what the base model lacks.")
    if answers := plan.get("tuning_answers"):
        said.append(f"Each approach may try its settings with {counted(answers, 'answer')} on such rows.")
    return said


def gaps_so_far(events: Iterable[Event]) -> Markup:
    """What the probes have found, while the approaches run; empty where nothing was measured (yet)."""
    gaps = [event for event in events if event["event"] == "gap" and event.get("size") is not None]
    if not gaps:
        return NOTHING
    return html(
        '<details class="fr-fold" id="gaps-so-far"><summary>What the probes found: {}</summary><ul>{}</ul></details>',
        sure_gaps(gaps),
        joined(html("<li>{}</li>", gap["sentence"]) for gap in gaps),
    )


def sure_gaps(gaps: Sequence[Mapping[str, Any]]) -> str:
    """The gaps that are surely there, by their titles."""
    sure = [gap["title"].lower() for gap in gaps if gap.get("unit", "score") == "score" and _is_sure(gap)]
    return ", ".join(sure) if sure else "no sure gap"


def _is_sure(gap: Mapping[str, Any]) -> bool:
    low, _ = gap.get("interval") or (0.0, 0.0)
    return bool(low > 0)
