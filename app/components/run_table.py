"""All runs and comparisons as a table to choose from, and where the runs that were chosen differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.components.actions import act_button
from app.components.cards import empty
from app.components.layout import address
from app.components.markup import NOTHING, counted, duration, html, joined
from app.components.runs import state_of_run, when
from app.run_reading import FIGURES, RunSummary

MOST_COMPARED = 6
_NEWEST = 20


def runs_table(
    runs: Sequence[RunSummary],
    titles: Mapping[str, str],
    *,
    chosen: Sequence[str] = (),
    shown: str = "",
    everything: bool = False,
) -> Markup:
    """The runs, the newest first, each with a button that opens it and one that compares it.

    Args:
        runs: Their summaries.
        titles: What the projects are called that they belong to, by the run.
        chosen: The runs that are compared.
        shown: The run that the page shows.
        everything: Show all of them, and not the newest alone.
    """
    if not runs:
        return empty("No training or comparison has been started on this machine yet.")
    full = len(chosen) >= MOST_COMPARED
    listed = runs if everything else [run for number, run in enumerate(runs) if number < _NEWEST or run.run in chosen]
    rows = joined(_row(run, titles.get(run.run, ""), chosen=chosen, shown=shown, full=full) for run in listed)
    more = act_button("all", f"Show all {len(runs):,} runs") if len(listed) < len(runs) else NOTHING
    heads = joined(
        html("<th{}>{}</th>", Markup(' class="fr-number"') if number else "", title)
        for title, number in (
            ("", False),
            ("Run", False),
            ("State", False),
            ("Model and method", False),
            ("Step, rows", True),
            ("Loss, validation", True),
            ("Took", True),
        )
    )
    return html(
        '<div class="fr-scroll"><table class="fr-table fr-runs"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
        '</div><div class="fr-acts">{}</div>',
        heads,
        rows,
        more,
    )


def _row(run: RunSummary, title: str, *, chosen: Sequence[str], shown: str, full: bool) -> Markup:
    if run.kind == "comparison":
        return _comparison_row(run, title)
    compared = run.run in chosen
    pick = act_button(
        "compare",
        "✓" if compared else "+",
        kind="good" if compared else "",
        label=f"{'Do not compare' if compared else 'Compare'} {run.run}",
        free=compared or not full,
        run=run.run,
    )
    opened = act_button("open", title or run.run, label=f"Show {run.run}", run=run.run)
    took = duration(run.seconds)
    if run.eta is not None:
        took = f"{duration(run.eta)} left" if run.eta else "finishing"
    cells: list[tuple[str, object]] = [
        ("", pick),
        ("", html("{}<small>{}</small>", opened, when(run.created))),
        ("", state_of_run(run.state)),
        ("", html("{}<small>{}</small>", run.model, _method(run))),
        ("step", html("{}<small>{}</small>", _step(run), counted(run.rows, "row") if run.rows else "")),
        ("loss", html("{}<small>{}</small>", _figure(run.loss), _figure(run.validation_loss))),
        ("took", took),
    ]
    shown_cells = joined(
        html('<td class="fr-number" data-name="{}">{}</td>', name, value) if name else html("<td>{}</td>", value)
        for name, value in cells
    )
    return html('<tr data-run="{}"{}>{}</tr>', run.run, _marked(run.run == shown), shown_cells)


def _comparison_row(run: RunSummary, title: str) -> Markup:
    """A comparison: its approaches stand where the steps of a training do, its advice where the method does."""
    about = run.verdict or run.phase or "a verdict is still to come"
    opened = html('<a href="{}">{}</a>', address("compare", comparison=run.run), title or run.run)
    arms = f"{run.step or 0} of {counted(run.steps, 'approach', 'approaches')}" if run.steps else "-"
    return html(
        '<tr data-run="{}" data-kind="comparison"><td></td><td>{}<small>{}</small></td><td>{}</td>'
        '<td>Comparison<small>{}</small></td><td class="fr-number" data-name="step">{}<small>{}</small></td>'
        '<td class="fr-number" data-name="loss">-</td><td class="fr-number" data-name="took">{}</td></tr>',
        run.run,
        opened,
        when(run.created),
        state_of_run(run.state),
        about,
        arms,
        counted(run.rows, "test row") if run.rows else "",
        duration(run.seconds),
    )


def _step(run: RunSummary) -> str:
    return f"{run.step or 0:,} of {run.steps:,}" if run.steps else "-"


def _marked(shown: bool) -> Markup:
    return Markup(' class="fr-shown"') if shown else NOTHING


def _method(run: RunSummary) -> str:
    return run.method if run.objective in ("", "sft") else f"{run.method}, {run.objective}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def differences_table(
    names: Sequence[str],
    settings: Sequence[tuple[str, Sequence[Any]]],
    *,
    hashes: Mapping[str, Sequence[str | None]],
    figures: Sequence[Mapping[str, Any]],
) -> Markup:
    """Settings that differ, rows, and figures of several runs side by side.

    Args:
        names: What the runs are called.
        settings: The knobs that differ, with each run's value.
        hashes: The sha256 of each run's rows, by what the rows are for.
        figures: Each run's figures, by their names.
    """
    rows = [_diff_row(html("<code>{}</code>", knob), [_plain(value) for value in values]) for knob, values in settings]
    if not settings:
        rows.append(_diff_row("Settings", ["the same"] * len(names)))
    for part, each in hashes.items():
        same = all(value == each[0] for value in each)
        shown = ["the same"] * len(names) if same else [(value or "none")[:12] for value in each]
        rows.append(_diff_row(f"{part.capitalize()} rows (sha256)", shown))
    for name, title in FIGURES:
        values = [figure.get(name) for figure in figures]
        if any(value is not None for value in values):
            rows.append(_diff_row(title.capitalize(), [_plain(value) for value in values], figure=True))
    heads = joined(html("<th>{}</th>", name) for name in names)
    return html(
        '<div class="fr-scroll"><table class="fr-table fr-differ"><thead><tr><th></th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        heads,
        joined(rows),
    )


def _diff_row(title: object, values: Sequence[str], *, figure: bool = False) -> Markup:
    cells = joined(html("<td>{}</td>", value) for value in values)
    kind = Markup(' class="fr-figure"') if figure else NOTHING
    return html('<tr{}><th scope="row">{}</th>{}</tr>', kind, title, cells)


def _plain(value: Any) -> str:
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)
