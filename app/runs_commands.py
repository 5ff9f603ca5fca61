"""What ``fitting-room runs`` does, and how it looks in a terminal. Options and their errors are in `app.runs_cli`.

What it says of comparisons is in `app.comparison_commands`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from app import comparison_commands
from app.commands import console, escape, output
from app.comparisons import comparison_summary
from app.components.markup import duration
from app.components.run_series import last, notes, phases
from app.progress import TerminalProgress
from app.run_reading import (
    FIGURES,
    RunSummary,
    data_hash,
    differing_settings,
    figures_of,
    find_run,
    has_artefact,
    is_comparison,
    known_comparisons,
    known_runs,
    last_events,
    newest_first,
    recipe_of,
    result_of,
    summary_of,
)
from dataset_tools.errors import UsageError
from training.recipe import describe
from training.runs import supervisor
from training.runs.folder import ENDED, RunFolder

_STYLES = {"done": "green", "failed": "red", "interrupted": "red", "stopped": "yellow"}
_LIGHTS = {"green": "[green]●[/]", "amber": "[yellow]●[/]", "red": "[red]●[/]"}
_POLL = 0.3  # seconds between two looks at a run's events
_PARTS = ("train", "validation")
_NUMBERS = ("rows", "step", "loss", "val. loss")
_LEFT_OUT = ("model", "started", "method")  # where there is little room; the id tells when
_ROOM, _WIDE = 110, 160  # characters: that a whole table needs, and that a file or a pipe is given


def list_runs() -> dict[str, Any]:
    """All training runs and comparisons, the newest first."""
    runs = newest_first([*known_runs(), *known_comparisons()])
    return {"runs": [asdict(_summary(run)) for run in runs]}


def _summary(run: RunFolder) -> RunSummary:
    return comparison_summary(run) if is_comparison(run) else summary_of(run)


def show_run(named: str) -> dict[str, Any]:
    """All that there is to say about a run."""
    return _told(find_run(named, comparisons=True))


def _told(run: RunFolder) -> dict[str, Any]:
    if is_comparison(run):
        return comparison_commands.told(run)
    summary, status, recipe = summary_of(run), run.status(), recipe_of(run)
    events, _ = run.events()
    result = result_of(run, summary.state)
    return {
        **asdict(summary),
        "settings": describe(recipe, summary.rows or 0) if recipe else None,
        "recipe": asdict(recipe) if recipe else None,
        "phases": [asdict(phase) for phase in phases(events)],
        "figures": figures_of(run),
        "dry_run": _facts(events, "dry_run"),
        "notes": notes(events),
        "chosen": _facts(events, "chosen"),
        "health": result.get("health"),
        "error": status.get("error"),
        "next_step": next_step(run, summary),
        "files": _files(run),
    }


def _facts(events: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any] | None:
    found = last(events, kind)
    return {key: value for key, value in found.items() if key not in ("event", "time")} if found else None


def next_step(run: RunFolder, summary: RunSummary) -> str:
    """What to do about a run as it stands."""
    name = run.path.name
    if summary.live:
        return f"`fitting-room runs show {name} --follow` watches it, `fitting-room runs stop {name}` stops it."
    if summary.state == "done":
        return "`fitting-room serve` reads its answers beside the base's, on the Evaluate page."
    return f"`fitting-room runs resume {name}` goes on from its last checkpoint."


def _files(run: RunFolder) -> dict[str, str]:
    """The files of a run that are there, by what they are."""
    names = {
        "adapter": run.adapter,
        "model": run.path / "model",
        "recipe": run.path / "recipe.yaml",
        "rows": run.path / "train.jsonl",
        "checkpoints": run.checkpoints,
        "events": run.path / "events.jsonl",
        "log": run.path / "worker.log",
    }
    return {name: str(place) for name, place in names.items() if place.exists()}


def stop_run(named: str, *, discard: bool) -> dict[str, Any]:
    """Ask a run to stop, and wait until it has."""
    run = find_run(named, comparisons=True)
    before = supervisor.state_of(run)
    if before in ENDED:
        return {"run": run.path.name, "state": before, "stopped": False}
    if discard and is_comparison(run):
        raise UsageError(
            "What a comparison has finished is kept.",
            expected="stop without --discard",
            next_step=f"`fitting-room runs delete {run.path.name}` removes it once it has stopped.",
        )
    with console.status("Stopping after the current step ..."):
        state = supervisor.stop(run, keep=not discard)
    return {"run": run.path.name, "state": state, "stopped": True, "discarded": discard and state != "done"}


def resume_run(named: str, *, force: bool, wait: bool) -> dict[str, Any]:
    """Let a run go on; watch it to its end, or come back at once."""
    run = find_run(named, comparisons=True)
    position = run.events()[1]
    if is_comparison(run):
        comparison_commands.resume(run)
    else:
        supervisor.resume(run, force=force)
    if not wait:
        return {"run": run.path.name, "state": supervisor.state_of(run)}
    return _followed(run, position)


def follow_run(named: str) -> dict[str, Any]:
    """Watch a run until its end; then all that there is to say about it."""
    run = find_run(named, comparisons=True)
    return _followed(run, None)


def _followed(run: RunFolder, position: int | None) -> dict[str, Any]:
    """Watch a run to its end. Ctrl-C ends the watching alone: the result is marked as ``left`` then.

    Raises:
        RunError: it failed, or its process died.
    """
    try:
        with TerminalProgress(console) as progress:
            follow(run, progress, position=position)
    except KeyboardInterrupt:
        return {**_told(run), "left": True}
    if is_comparison(run):
        comparison_commands.require_result(run)
    else:
        supervisor.outcome(run)
    return _told(run)


def follow(run: RunFolder, on_event: Callable[[dict[str, Any]], None], *, position: int | None = None) -> str:
    """Tell of each event until the run has ended; its state then. Unlike `supervisor.watch` it never stops the run.

    Args:
        run: Any run.
        on_event: Is called with each event.
        position: The byte of the log to begin at; None tells how the run stands, then what is new.
    """
    if position is None:
        for event in sorted(last_events(run, ("phase", "step")).values(), key=lambda event: event["time"]):
            on_event(dict(event))
        position = run.events()[1]
    state = "queued"
    while state not in ENDED:
        state = supervisor.state_of(run)
        events, position = run.events(position)
        for event in events:
            on_event(event)
        if state not in ENDED:
            time.sleep(_POLL)
    return state


def diff_runs(first: str, second: str) -> dict[str, Any]:
    """Where two runs differ: their settings, their rows, and what came of them."""
    runs = [find_run(first), find_run(second)]
    if runs[0].path == runs[1].path:
        raise UsageError("These are the same run.", found=runs[0].path.name, expected="two runs")
    figures = [figures_of(run) for run in runs]
    hashes = {part: [data_hash(run, part) for run in runs] for part in _PARTS}
    return {
        "runs": [run.path.name for run in runs],
        "settings": [{"knob": knob, "values": values} for knob, values in differing_settings(runs)],
        "data": [{"part": part, "sha256": both, "same": both[0] == both[1]} for part, both in hashes.items()],
        "figures": [{"figure": name, "values": [each[name] for each in figures]} for name, _ in FIGURES],
    }


def delete_run(named: str, *, confirm: Callable[[str], bool]) -> dict[str, Any]:
    """Remove a run and all that it made, where the user confirms it."""
    run = find_run(named, comparisons=True)
    made = " with what it has made" if has_artefact(run) or is_comparison(run) else ""
    if not confirm(f"Delete the run {run.path.name}{made}, in {run.path}?"):
        return {"run": run.path.name, "deleted": False}
    supervisor.delete(run)
    return {"run": run.path.name, "deleted": True}


def print_list(result: Mapping[str, Any]) -> None:
    """The runs as a table."""
    if not result["runs"]:
        output.print("There is no run yet. `fitting-room compare FILE` or `fitting-room train FILE` starts one.")
        return
    shown = list(zip(*(_line(run).items() for run in result["runs"]), strict=True))
    if output.is_terminal and output.width < _ROOM:
        shown = [column for column in shown if column[0][0] not in _LEFT_OUT]
    table = Table(box=None, pad_edge=False)
    for column in shown:
        table.add_column(column[0][0], no_wrap=True, justify="right" if column[0][0] in _NUMBERS else "left")
    for cells in zip(*shown, strict=True):
        table.add_row(*(text for _, text in cells))
    (output if output.is_terminal else Console(width=_WIDE)).print(table)


def _line(run: Mapping[str, Any]) -> dict[str, str]:
    style = _STYLES.get(run["state"], "cyan")
    took = duration(run["seconds"])
    if run["eta"] is not None:
        took += f", {duration(run['eta'])} left"
    aim = "" if run["objective"] in ("", "sft") else f" {run['objective'].upper()}"
    return {
        "run": escape(run["run"]),
        "kind": run["kind"],
        "state": f"[{style}]{run['state']}[/]",
        "model": escape(run["model"]),
        "method": escape(f"{run['method']}{aim}"),
        "rows": _number(run["rows"], ",.0f"),
        "step": f"{run['step'] or 0} of {run['steps']}" if run["steps"] else _number(run["step"], ".0f"),
        "loss": _number(run["loss"], ".3f"),
        "val. loss": _number(run["validation_loss"], ".3f"),
        "started": _when(run["created"]),
        "took": took,
    }


def print_run(result: Mapping[str, Any]) -> None:
    """A run for people."""
    if result["kind"] == "comparison":
        return comparison_commands.show(result)
    style = _STYLES.get(result["state"], "cyan")
    took = f", {duration(result['seconds'])}" if result["seconds"] is not None else ""
    output.print(f"[bold]{escape(result['run'])}[/]  [{style}]{result['state']}[/]  {_when(result['created'])}{took}")
    if result["settings"]:
        output.print(escape(result["settings"]), soft_wrap=True, highlight=False)
    for line in (*_phase_lines(result), *_figure_lines(result), *_note_lines(result)):
        output.print(line, soft_wrap=True, highlight=False)
    _print_health(result["health"])
    _print_error(result["error"])
    for name, place in result["files"].items():
        output.print(f"[dim]{name}:[/] {escape(place)}", soft_wrap=True, highlight=False)
    output.print(f"[dim]next:[/] {escape(result['next_step'])}", soft_wrap=True, highlight=False)


def _phase_lines(result: Mapping[str, Any]) -> list[str]:
    """The phases in a line, those that are parts of one (named after a colon) taken together."""
    spent: dict[str, float | None] = {}
    for each in result["phases"]:
        name = each["name"].partition(":")[0]
        before = spent.get(name, 0.0)
        spent[name] = None if each["seconds"] is None or before is None else before + each["seconds"]
    told = [f"{escape(name)} {'...' if seconds is None else duration(seconds)}" for name, seconds in spent.items()]
    return [f"[dim]phases:[/] {', '.join(told)}"] if told else []


def _figure_lines(result: Mapping[str, Any]) -> list[str]:
    lines = []
    if result["step"] is not None:
        of = f" of {result['steps']}" if result["steps"] else ""
        left = f", {duration(result['eta'])} left" if result["eta"] is not None else ""
        lines.append(f"step {result['step']}{of}{left}")
    shown = [
        f"{title} {_number(result['figures'][name], '.3f')}"
        for name, title in (("loss", "training loss"), ("validation_loss", "validation loss"))
        if result["figures"][name] is not None
    ]
    if result["tokens_per_second"]:
        shown.append(f"{result['tokens_per_second']:,.0f} tokens a second")
    if result["dry_run"]:
        facts = result["dry_run"]
        shown.append(f"{facts['memory'] / 1e9:.2f} GB of memory in the dry run")
    return [*lines, *([", ".join(shown)] if shown else [])]


def _note_lines(result: Mapping[str, Any]) -> list[str]:
    lines = [f"[yellow]note:[/] {escape(note)}" for note in result["notes"]]
    if result["chosen"]:
        lines.append(f"kept: step {result['chosen']['step']}, the best by {escape(result['chosen']['by'])}")
    return lines


def _print_health(health: Mapping[str, Any] | None) -> None:
    if not health:
        return
    if not health.get("card"):  # of a run that was made before there were cards
        alive = "[green]alive[/]" if health["alive"] else "[red]dead: its answers are the base's[/]"
        output.print(f"adapter {alive}; {health['stop_rate']:.0%} of held-out answers end by themselves")
    for item in health.get("card", ()):
        light = _LIGHTS.get(item["light"], "[dim]○[/]")
        output.print(f"{light} {escape(item['title'])}: {escape(str(item['value']))}", soft_wrap=True, highlight=False)
        if item["light"] in ("amber", "red"):
            knob = f" Turn: {item['knob']}." if item.get("knob") else ""
            output.print(f"  [dim]{escape(item['reason'] + knob)}[/]", soft_wrap=True, highlight=False)


def _print_error(error: Mapping[str, Any] | None) -> None:
    if not error:
        return
    output.print(f"[bold red]{escape(str(error.get('what')))}[/]", soft_wrap=True, highlight=False)
    for part in ("where", "found", "expected", "next_step"):
        if error.get(part):
            output.print(f"  {part.replace('_', ' ')}: {escape(str(error[part]))}", soft_wrap=True, highlight=False)


def print_diff(result: Mapping[str, Any]) -> None:
    """Two runs side by side."""
    table = Table("", *map(escape, result["runs"]), box=None, pad_edge=False)
    for setting in result["settings"]:
        table.add_row(setting["knob"], *(escape(_plain(value)) for value in setting["values"]))
    if not result["settings"]:
        table.add_row("settings", "the same", "the same")
    for part in result["data"]:
        shown = ["the same"] * 2 if part["same"] else [(value or "none")[:12] for value in part["sha256"]]
        table.add_row(f"{part['part']} rows", *shown)
    titles = dict(FIGURES)
    for figure in result["figures"]:
        table.add_row(titles[figure["figure"]], *(_plain(value) for value in figure["values"]))
    output.print(table)


def _plain(value: Any) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _when(created: float) -> str:
    return f"{datetime.fromtimestamp(created):%d %b %H:%M}" if created else "-"
