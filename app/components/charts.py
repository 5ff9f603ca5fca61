"""The two charts: scores with their intervals, and the losses of a training run. Readable in light and in dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ACCENT, _PLAIN, _TEXT, _GRID = "#14a098", "#94a3b8", "#7c8899", "rgba(130,145,165,.22)"
_VALIDATION = "#e08a1e"
_SMOOTHING = 0.85  # share of the past in the running mean of the training loss; the raw losses stay visible


def scores_chart(result: Mapping[str, Any], best: str | None) -> Any:
    """Score of each arm out of 100, with its 95% interval; a dotted line where no model is needed."""
    import plotly.graph_objects as go

    arms = [arm for arm in reversed(result["arms"]) if not arm["skipped"]]
    figure = go.Figure(
        go.Bar(
            x=[100 * arm["score"] for arm in arms],
            y=[arm["title"].replace(" (", "<br>(") for arm in arms],
            orientation="h",
            width=0.52,
            marker_color=[_ACCENT if arm["name"] == best else _PLAIN for arm in arms],
            marker_cornerradius=5,
            error_x={
                "type": "data",
                "array": [100 * (arm["interval"][1] - arm["score"]) for arm in arms],
                "arrayminus": [100 * (arm["score"] - arm["interval"][0]) for arm in arms],
                "color": _TEXT,
                "thickness": 1.6,
                "width": 6,
            },
            hovertemplate="%{y}: %{x:.1f} points<extra></extra>",
        )
    )
    baseline = result.get("baseline")
    if baseline:
        figure.add_vline(
            x=100 * baseline["score"],
            line={"color": _VALIDATION, "dash": "dot", "width": 1.6},
            annotation={"text": baseline["name"], "font": {"size": 11.5, "color": _VALIDATION}, "yanchor": "bottom"},
            annotation_position="top",
        )
    _dress(figure, height=110 + 46 * len(arms))
    figure.update_layout(xaxis_range=[0, 104], xaxis_title="score out of 100", showlegend=False)
    figure.update_yaxes(showgrid=False, automargin=True)
    return figure


def loss_chart(events: Iterable[Mapping[str, Any]]) -> Any:
    """Training loss, raw and smoothed, and validation loss over the steps; None before the first step."""
    import plotly.graph_objects as go

    events = list(events)
    steps = [event for event in events if event["event"] == "step"]
    checks = [event for event in events if event["event"] == "evaluation"]
    if not steps:
        return None
    x, raw = [event["step"] for event in steps], [event["loss"] for event in steps]
    figure = go.Figure()
    figure.add_scatter(x=x, y=raw, mode="lines", name="each step", line={"color": _PLAIN, "width": 1}, opacity=0.6)
    figure.add_scatter(x=x, y=smoothed(raw), mode="lines", name="training loss", line={"color": _ACCENT, "width": 2.4})
    if checks:
        figure.add_scatter(
            x=[event["step"] for event in checks],
            y=[event["validation_loss"] for event in checks],
            mode="lines+markers",
            name="validation loss",
            line={"color": _VALIDATION, "width": 2},
        )
    _dress(figure, height=320)
    figure.update_layout(xaxis_title="step", yaxis_title="loss", yaxis_rangemode="tozero")
    figure.update_xaxes(range=[0, max(steps[-1]["steps"], x[-1])])
    return figure


def smoothed(values: list[float]) -> list[float]:
    """The running mean with exponential weights, corrected for its start (Adam, arxiv.org/abs/1412.6980, section 3)."""
    mean, weight, means = 0.0, 0.0, []
    for value in values:
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        weight = _SMOOTHING * weight + (1 - _SMOOTHING)
        means.append(mean / weight)
    return means


def _dress(figure: Any, *, height: int) -> None:
    """Transparent, with middle greys that are readable on white and on near-black."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 16, "t": 36, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _TEXT, "size": 13, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "y": 1.14, "x": 0},
        modebar={
            "remove": ["zoom", "pan", "select", "lasso", "zoomin", "zoomout", "autoscale", "resetscale", "toimage"]
        },
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, title_font_size=13)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, title_font_size=13)
