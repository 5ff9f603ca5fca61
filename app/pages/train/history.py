"""The third tab: all runs and comparisons of this machine, losses over each other, and where settings differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.comparisons import comparison_summary
from app.components.actions import Act, acting_html, on_act
from app.components.cards import section
from app.components.charts import overlay_chart
from app.components.markup import NOTHING, joined
from app.components.run_series import Points, curve
from app.components.run_table import MOST_COMPARED, differences_table, runs_table
from app.components.wiring import on
from app.pages.train.section import PageParts, Section, Updates, View, changed
from app.run_reading import (
    data_hash,
    differing_settings,
    figures_of,
    known_comparisons,
    known_runs,
    newest_first,
    recipe_of,
    status_of,
    summary_of,
)
from training.runs.folder import RunFolder

_AXES = (("Steps", "step"), ("Passes over the rows", "passes"), ("Minutes", "minutes"))
_PARTS = ("train", "validation")


class HistorySection(Section):
    """The table, the overlay and the differences."""

    def build(self, gr: Any) -> None:
        """Lay the components out."""
        gr.HTML(
            section("All runs", "Tick trainings to lay their losses over each other, and to see where they differ.")
        )
        self.table = acting_html(elem_id="runs")
        with gr.Row(visible=False, elem_classes="fr-axes") as self.options:
            self.axis = gr.Radio(_AXES, value="step", label="Across", elem_id="axis", min_width=240)
            self.scale = gr.Checkbox(label="Logarithmic", elem_id="log-overlay", min_width=120)
        self.chart = gr.Plot(show_label=False, visible=False, elem_classes="fr-plot", elem_id="overlay")
        self.differences = gr.HTML(elem_id="differences")
        self.outputs = [self.table, self.options, self.chart, self.differences]

    def wire(self, parts: PageParts) -> None:
        """Say what happens when they are used."""
        self.parts = parts
        on_act(self.table, self.act, inputs=[parts.view], **parts.base)
        for option in (self.axis, self.scale):
            on(option.input, self.turn, inputs=[self.axis, self.scale, parts.view], **parts.base)

    def show(self, view: View) -> Updates:
        """The whole tab."""
        return self.table_of(view) | self.comparison(view)

    def look(self, view: View, sent: Mapping[str, int]) -> tuple[Updates, dict[str, int]]:
        """What is not as it was sent last."""
        fresh, marks = changed(self.table_of(view), sent)
        key, runs = str(self.chart._id), self.compared(view)
        mark = hash((view.compared, view.axis, tuple(len(self.parts.logs.of(run)) for run in runs)))
        if view.compared and marks.get(key) != mark:
            fresh |= self.comparison(view)
        return fresh, {**marks, key: mark}

    def table_of(self, view: View) -> Updates:
        """The table of all runs."""
        runs, comparisons = known_runs(), known_comparisons()
        summaries = [
            comparison_summary(run) if run in comparisons else summary_of(run)
            for run in newest_first([*runs, *comparisons])
        ]
        titles = {**self.parts.titles(), **self.parts.comparison_titles(comparisons)}
        shown = runs_table(summaries, titles, chosen=view.compared, shown=view.run, everything=view.everything)
        return {self.table: shown}

    def compared(self, view: View) -> list[RunFolder]:
        """The runs that are compared, as far as they are still there."""
        there = {run.path.name: run for run in known_runs()}
        return [there[name] for name in view.compared if name in there]

    def comparison(self, view: View) -> Updates:
        """The overlay and the differences; nothing where no run is chosen."""
        import gradio as gr

        runs, titles = self.compared(view), self.parts.titles()
        curves = [(name_of(run, titles), *losses(run, self.parts, view.axis)) for run in runs]
        titled = {value: title for title, value in _AXES}
        options: dict[str, Any] = {"x": titled[view.axis].lower(), "logarithmic": view.logarithmic_overlay}
        figure = overlay_chart(curves, **options) if runs else None
        return {
            self.options: gr.Row(visible=bool(runs)),
            self.chart: gr.Plot(figure, visible=True) if figure else gr.Plot(visible=False),
            self.differences: self.differing(runs, titles) if len(runs) > 1 else NOTHING,
        }

    def differing(self, runs: Sequence[RunFolder], titles: Mapping[str, str]) -> Any:
        """Where these runs differ."""
        table = differences_table(
            [name_of(run, titles) for run in runs],
            differing_settings(runs),
            hashes={part: [data_hash(run, part) for run in runs] for part in _PARTS},
            figures=[figures_of(run) for run in runs],
        )
        return joined(
            [section("Where they differ", "Settings that are not the same, the rows, and what came of it."), table]
        )

    def act(self, act: Act, view: View) -> Updates:
        """A run is opened, or compared."""
        if act.do == "all":
            view = replace(view, everything=True)
            return {self.parts.view: view, **self.table_of(view)}
        name = act.get("run")
        if self.parts.run_named(name) is None:
            return self.table_of(view)
        if act.do == "open":
            return self.parts.show(replace(view, run=name, asking=""))
        if act.do == "compare":
            there = tuple(other for other in view.compared if other != name)
            view = replace(view, compared=there if name in view.compared else (*there, name)[:MOST_COMPARED])
            return {self.parts.view: view, **self.show(view)}
        return {}

    def turn(self, axis: str, logarithmic: bool, view: View) -> Updates:
        """Lay the losses along something else, or on another scale."""
        known = axis if axis in {value for _, value in _AXES} else "step"
        view = replace(view, axis=known, logarithmic_overlay=bool(logarithmic))
        return {self.parts.view: view, **self.comparison(view)}


def name_of(run: RunFolder, titles: Mapping[str, str]) -> str:
    """What a run is called beside others: the time in its id, the project it belongs to."""
    title = titles.get(run.path.name)
    return f"{title} · {run.path.name}" if title else run.path.name


def losses(run: RunFolder, parts: PageParts, axis: str) -> tuple[Points, Points]:
    """A run's training and validation losses along an axis."""
    events = parts.logs.of(run)
    both = curve(events, "step", "loss"), curve(events, "evaluation", "validation_loss")
    if axis == "step":
        return both
    if axis == "minutes":
        began = next((event["time"] for event in events if event["event"] == "step"), 0.0)
        told = [event for kind in ("evaluation", "step") for event in events if event["event"] == kind]
        times = {float(event["step"]): max(0.0, event["time"] - began) / 60 for event in told}
        return _moved(both[0], times), _moved(both[1], times)
    recipe, rows = recipe_of(run), status_of(run).get("rows")
    share = recipe.batch_size / rows if recipe and rows else 1.0
    passes = {step: step * share for points in both for step, _ in points}
    return _moved(both[0], passes), _moved(both[1], passes)


def _moved(points: Points, places: Mapping[float, float]) -> Points:
    """The points at other places along the axis."""
    return [(places[step], value) for step, value in points]
