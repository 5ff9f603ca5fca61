"""A comparison while it runs: its state, its plan, what its probes find, and a line for each approach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from advisor.lineup import ARM_TITLES
from app.comparisons import asked_arms, request_of
from app.components.cards import error_parts_card
from app.components.comparison_plan import gaps_so_far, plan_view
from app.components.live import arm_states, cut_off, of_this_start, phase_of, progress_view, state_badge
from app.components.markup import duration, html, joined
from app.workspace import created
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of

_GO_ON = "Resume lets it go on from here: finished approaches are kept."


def live_view(run: RunFolder) -> Markup:
    """How a comparison stands: its state, its plan, what it does now, and a line for each arm."""
    state, failure = state_of(run), run.status().get("error")
    events = of_this_start(run.events()[0], created(run))
    now = time.time() if state not in ENDED else max((event["time"] for event in events), default=time.time())
    states = arm_states(events, asked_arms(run.path))
    states = cut_off(states) if state in ENDED else states
    said = _GO_ON if state in ("stopped", "interrupted") else "" if state in ENDED else _going(run, events)
    head = html('<p class="fr-status">{} {}</p>', state_badge(state), said)
    parts = [head, plan_view(events), gaps_so_far(events), progress_view(states, ARM_TITLES, now=now)]
    if failure:
        parts.append(error_parts_card({key: value for key, value in failure.items() if key != "kind"}))
    return joined(parts)


def _going(run: RunFolder, events: Sequence[Mapping[str, Any]]) -> str:
    """What a comparison does now, or else for how long it has been going on."""
    phase, spent = phase_of(events), duration(round(time.time() - created(run)))
    minutes = request_of(run.path).get("budget_minutes")
    planned = f" of {duration(60 * minutes)} planned" if minutes else ""
    return phase or f"{spent}{planned}. You can leave this page: it goes on."
