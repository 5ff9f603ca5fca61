"""Small charts of a run: one line over the steps, drawn as SVG, with values for the pointer. No library is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from markupsafe import Markup

from app.components.markup import NOTHING, html, joined
from app.components.run_series import Event, Points, curve, last, thinned

_MOST_POINTS = 160  # of a line; more could not be told apart in so small a chart
SPARK_SCRIPT = """
element.addEventListener('pointermove', (event) => {
  const figure = event.target.closest('[data-points]');
  if (!figure) return;
  const box = figure.querySelector('svg').getBoundingClientRect(), points = JSON.parse(figure.dataset.points);
  const at = 100 * (event.clientX - box.left) / box.width;
  const near = points.reduce((one, other) => Math.abs(other[0] - at) < Math.abs(one[0] - at) ? other : one);
  const output = figure.querySelector('output'), line = figure.querySelector('line');
  figure.dataset.last ??= output.textContent;
  output.textContent = near[1];
  line.setAttribute('x1', near[0]); line.setAttribute('x2', near[0]);
});
element.addEventListener('pointerout', (event) => {
  const figure = event.target.closest('[data-points]');
  if (!figure || figure.contains(event.relatedTarget) || figure.dataset.last === undefined) return;
  figure.querySelector('output').textContent = figure.dataset.last;
  const line = figure.querySelector('line');
  line.setAttribute('x1', -9); line.setAttribute('x2', -9);
});
"""
"""Lets the pointer read the values of the small charts in an HTML component (its ``js_on_load``)."""


def sparks(events: Sequence[Event]) -> Markup:
    """Learning rate, gradient norm and memory over the steps, and the reward where there is one."""
    end = int((last(events, "step") or {}).get("steps") or 0)
    charts = [
        spark("Learning rate", curve(events, "step", "learning_rate"), form="{:.2e}".format, end=end),
        spark("Gradient norm", curve(events, "step", "gradient_norm"), form="{:.3g}".format, end=end),
        spark("Peak memory", curve(events, "step", "memory"), form=size, end=end),
        spark("Reward", curve(events, "step", "reward"), form="{:.3g}".format, end=end),
    ]
    shown = joined(chart for chart in charts if chart)
    return html('<div class="fr-sparks">{}</div>', shown) if shown else NOTHING


def size(number: float) -> str:
    """Bytes for people: ``340 MB``, ``1.24 GB``."""
    if number < 1e9:
        return f"{number / 1e6:,.0f} MB" if number >= 1e6 else f"{number / 1e3:,.0f} kB"
    return f"{number / 1e9:,.2f} GB" if number < 1e11 else f"{number / 1e9:,.0f} GB"


def spark(title: str, points: Points, *, form: Callable[[float], str], end: int, note: str = "") -> Markup:
    """A small line over the steps with its last value; the pointer reads the others (see `SPARK_SCRIPT`).

    Args:
        title: What is drawn.
        points: Over the steps.
        form: A value as text.
        end: The last step of the run.
        note: What else is to be said about it.
    """
    if not points:
        return NOTHING
    shown = thinned(points, _MOST_POINTS)
    low, high = min(value for _, value in shown), max(value for _, value in shown)
    room, width = (high - low) or 1.0, max(end, shown[-1][0], 1)
    places = [(100 * step / width, 38 - 36 * (value - low) / room) for step, value in shown]
    line = " ".join(f"{across:.2f},{down:.2f}" for across, down in places)
    told = [
        [round(across, 2), f"step {step:,}: {form(value)}"]
        for (across, _), (step, value) in zip(places, shown, strict=True)
    ]
    return html(
        '<figure class="fr-chart fr-spark" data-points="{}"><figcaption><b>{}</b><output>{}</output></figcaption>'
        '<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="fr-cursor-line" x1="-9" x2="-9" y1="0" y2="40"/><polyline points="{}"/></svg>'
        "<small><span>{} to {}</span><span>{}</span></small></figure>",
        json.dumps(told),
        title,
        form(shown[-1][1]),
        f"{title} over the steps",
        line,
        form(low),
        form(high),
        note,
    )
