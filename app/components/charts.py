"""The charts: scores, costs and learning curves with their intervals, and the losses of one or of several runs.

Readable in light and in dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from advisor.report.facts import curve_of
from advisor.report.plots import Axis, cost_plot
from app.components.run_series import Points, curve, last, thinned

_ACCENT, _PLAIN, _TEXT, _GRID = "#14a098", "#94a3b8", "#7c8899", "rgba(130,145,165,.22)"
_OTHER = "#64748b"  # a dot with a white number in it
_VALIDATION = "#e08a1e"
_SEVERAL = ("#14a098", "#e08a1e", "#5b8def", "#d1548e", "#8a6fd1", "#6f9c2f")
_COST_NAMES = {"time of a request on this machine": "seconds a request, on this machine"}
_ROOM = 1.45  # how many times the last one a mark must be
_MOST_POINTS = 800  # of a line; more could not be told apart on a screen
_SMOOTHING = 0.85  # share of the past in the running mean of the training loss; the raw losses stay visible


def scores_chart(result: Mapping[str, Any], best: str | None) -> Any:
    """Score of each arm out of 100, with its 95% interval; a dotted line where no model is needed.

    The arms that left the race early are pale: their scores are of fewer rows.
    """
    import plotly.graph_objects as go

    arms = [arm for arm in reversed(result["arms"]) if not arm["skipped"]]
    figure = go.Figure(
        go.Bar(
            x=[100 * arm["score"] for arm in arms],
            y=[plain(arm["title"]).replace(" (", "<br>(") for arm in arms],
            orientation="h",
            width=0.52,
            marker_color=[_ACCENT if arm["name"] == best else _PLAIN for arm in arms],
            marker_opacity=[0.45 if arm.get("dropped") else 1.0 for arm in arms],
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
    figure.update_layout(xaxis_range=[0, 104], xaxis_title="score out of 100", showlegend=False)
    _dress(figure, height=110 + 46 * len(arms))
    figure.update_yaxes(showgrid=False, automargin=True, ticks="outside", ticklen=8, tickcolor="rgba(0,0,0,0)")
    return figure


def cost_chart(result: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> Any:
    """Cost of a request against score, both with 95% intervals, and the line of the arms that no other beats in both.

    None with fewer than two arms, or where nothing costs anything (`advisor.report.plots.cost_plot`).
    """
    import plotly.graph_objects as go

    plot = cost_plot(result, items)
    if plot is None:
        return None
    figure = go.Figure()
    if len(plot.front) > 1:
        line = {"x": [_back(plot.x, x) for x, _ in plot.front], "y": [_points(plot.y, y) for _, y in plot.front]}
        look = {"color": _ACCENT, "width": 1.6, "dash": "dot"}
        figure.add_scatter(**line, mode="lines", line=look, hoverinfo="skip", showlegend=False)
    for dot in plot.dots:
        x, y = _back(plot.x, dot.x), _points(plot.y, dot.y)
        low, high = (_points(plot.y, end) for end in dot.y_ends)
        ends = [_back(plot.x, end) for end in dot.x_ends] if dot.x_ends else [x, x]
        bars = {"type": "data", "color": _TEXT, "thickness": 1.2, "width": 4}
        figure.add_scatter(
            x=[x],
            y=[y],
            mode="markers+text",
            text=[str(dot.number)],
            textfont={"size": 11, "color": _TEXT if dot.tone == "dropped" else "white"},
            name=f"{dot.number}  {plain(dot.title)}",
            marker={
                "size": 19,
                "symbol": "circle-open" if dot.tone == "dropped" else "circle",
                "color": _ACCENT if dot.tone == "best" else _OTHER,
            },
            error_x={**bars, "array": [ends[1] - x], "arrayminus": [x - ends[0]]},
            error_y={**bars, "array": [high - y], "arrayminus": [y - low]},
            hovertemplate=f"{plain(dot.title)}: {plain(dot.text)}<extra></extra>",
            cliponaxis=False,
        )
    figure.update_layout(xaxis_title=_COST_NAMES.get(plot.x_name, plot.x_name), yaxis_title="score out of 100")
    _dress(figure, height=380 + 10 * len(plot.dots))
    _legend_above(figure)
    figure.update_xaxes(
        range=[-0.04 * plot.x.high, plot.x.high], tickprefix="$" if plot.x_name.startswith("dollars") else ""
    )
    figure.update_yaxes(range=[-5, 100 * plot.y.high])
    return figure


def _back(axis: Axis, position: float) -> float:
    """The value that stands at a position, in per cent, of a plain axis."""
    return axis.low + (axis.high - axis.low) * position / 100


def _points(axis: Axis, position: float) -> float:
    """A share in points, from its position in per cent from the top."""
    return 100 * _back(axis, 100 - position)


def _apart(marks: Sequence[float]) -> list[float]:
    """The marks of a logarithmic axis that have room beside each other, from the right."""
    kept: list[float] = []
    for mark in reversed(marks):
        if not kept or kept[-1] >= _ROOM * mark:
            kept.append(mark)
    return kept[::-1]


def curve_chart(result: Mapping[str, Any], *, loss: bool = False) -> Any:
    """The learning curve: measured scores with 95% intervals, and the fan of the curves that fit; None without one.

    Args:
        result: The content of ``result.json``.
        loss: Whether it is that of the losses, in nats a token.
    """
    import plotly.graph_objects as go

    found = curve_of(result, loss=loss)
    if found is None:
        return None
    points, fan, scale = found["points"], found["fan"], 1 if loss else 100
    figure, sizes = go.Figure(), [step["n"] for step in fan]
    for low, high, name, opacity in (("p5", "p95", "90% of the curves", 0.13), ("p25", "p75", "half of them", 0.22)):
        figure.add_scatter(
            x=[*sizes, *reversed(sizes)],
            y=[scale * step[high] for step in fan] + [scale * step[low] for step in reversed(fan)],
            fill="toself",
            fillcolor=f"rgba(20,160,152,{opacity})",
            mode="lines",
            line={"width": 0},
            name=name,
            hoverinfo="skip",
        )
    _add_line(
        figure, [(n, scale * step["p50"]) for n, step in zip(sizes, fan, strict=True)], "middle", color=_ACCENT, width=2
    )
    values = [scale * point["value"] for point in points]
    figure.add_scatter(
        x=[point["n"] for point in points],
        y=values,
        mode="markers",
        name="measured",
        marker={"size": 10, "color": _VALIDATION},
        error_y={
            "type": "data",
            "array": [scale * point["interval"][1] - value for point, value in zip(points, values, strict=True)],
            "arrayminus": [value - scale * point["interval"][0] for point, value in zip(points, values, strict=True)],
            "color": _TEXT,
            "thickness": 1.4,
            "width": 5,
        },
        hovertemplate="%{x} rows: " + ("%{y:.3f}" if loss else "%{y:.1f} points") + "<extra></extra>",
    )
    marks = _apart(sorted({*(point["n"] for point in points), *sizes}))
    name = "loss, nats a token" if loss else "score out of 100"
    figure.update_layout(xaxis_title=plain(found["what"]), yaxis_title=name)
    _dress(figure, height=360)
    _legend_above(figure)
    figure.update_xaxes(type="log", tickvals=marks, ticktext=[f"{mark:,g}" for mark in marks])
    return figure


def loss_chart(events: Sequence[Mapping[str, Any]], *, name: str = "", logarithmic: bool = False) -> Any:
    """Training loss, raw and smoothed, and validation loss on the same axes; None before the first step.

    Args:
        events: Of one run.
        name: Of the run: what a user has zoomed to stays while it is the same.
        logarithmic: Whether the losses are drawn on a logarithmic axis.
    """
    import plotly.graph_objects as go

    points, checks = curve(events, "step", "loss"), curve(events, "evaluation", "validation_loss")
    if not points:
        return None
    values = smoothed([value for _, value in points])
    means = [(step, mean) for (step, _), mean in zip(points, values, strict=True)]
    figure = go.Figure()
    _add_line(figure, points, "training loss, each step", color=_PLAIN, width=1.1, opacity=0.8)
    _add_line(figure, means, f"training loss, smoothed (EMA {_SMOOTHING})", color=_ACCENT, width=2.4)
    if checks:
        _add_line(figure, checks, "validation loss", color=_VALIDATION, width=2, markers=True)
    chosen, told = last(events, "chosen"), last(events, "step") or {}
    end = max(told.get("steps") or 0, points[-1][0])
    if chosen is not None:
        note = {"text": f"kept: step {chosen['step']}", "font": {"size": 11.5, "color": _TEXT}, "yanchor": "bottom"}
        side = "top left" if chosen["step"] > end / 2 else "top right"
        line = {"color": _TEXT, "dash": "dot", "width": 1.4}
        figure.add_vline(x=chosen["step"], line=line, annotation=note, annotation_position=side)
    _dress_losses(figure, name=name, logarithmic=logarithmic, x="step")
    figure.update_xaxes(range=[0, end])
    return figure


def overlay_chart(curves: Sequence[tuple[str, Points, Points]], *, x: str, logarithmic: bool = False) -> Any:
    """The losses of several runs over each other; None where none has one.

    Args:
        curves: Of each run its name, its training losses and its validation losses, over what `x` says.
        x: What the horizontal axis shows.
        logarithmic: Whether the losses are drawn on a logarithmic axis.
    """
    import plotly.graph_objects as go

    figure, drawn = go.Figure(), False
    for number, (name, points, checks) in enumerate(curves):
        color = _SEVERAL[number % len(_SEVERAL)]
        values = smoothed([value for _, value in points])
        means = [(at, mean) for (at, _), mean in zip(points, values, strict=True)]
        if means:
            _add_line(figure, means, name, color=color, width=2.2, group=name)
            drawn = True
        if checks:
            options: dict[str, Any] = {"dash": "dot", "markers": True, "group": name, "in_legend": False}
            _add_line(figure, checks, f"{name}, validation", color=color, width=1.8, **options)
    if not drawn:
        return None
    _dress_losses(figure, name="overlay", logarithmic=logarithmic, x=x)
    figure.update_xaxes(rangemode="tozero")
    return figure


def _add_line(
    figure: Any,
    points: Points,
    name: str,
    *,
    color: str,
    width: float,
    opacity: float = 1.0,
    markers: bool = False,
    dash: str = "solid",
    group: str | None = None,
    in_legend: bool = True,
) -> None:
    shown = thinned(points, _MOST_POINTS)
    name = plain(name)
    figure.add_scatter(
        x=[at for at, _ in shown],
        y=[value for _, value in shown],
        mode="lines+markers" if markers or len(shown) == 1 else "lines",
        name=name,
        line={"color": color, "width": width, "dash": dash},
        opacity=opacity,
        legendgroup=plain(group) if group else None,
        showlegend=in_legend,
        hovertemplate=f"%{{y:.4f}}  {name}<extra></extra>",
    )


def plain(text: str) -> str:
    """A text that Plotly draws as it stands: it reads a few HTML tags, and entities, in what it draws."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _dress_losses(figure: Any, *, name: str, logarithmic: bool, x: str) -> None:
    figure.update_layout(
        xaxis_title=x,
        yaxis_title="loss",
        yaxis_rangemode="tozero",
        yaxis_type="log" if logarithmic else "linear",
        hovermode="x unified",
        hoverlabel={"bgcolor": "rgba(22,30,48,.92)", "font": {"color": "#e8edf5"}, "bordercolor": "rgba(0,0,0,0)"},
        uirevision=f"{name} {logarithmic}",
    )
    _dress(figure, height=350)
    _legend_above(figure)


def _legend_above(figure: Any) -> None:
    """Above the plot, however many lines it takes: placed relative to the plot, it lies over one that is narrow."""
    figure.update_layout(legend={"yref": "container", "y": 1, "yanchor": "top", "itemsizing": "trace"}, margin_t=8)


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
