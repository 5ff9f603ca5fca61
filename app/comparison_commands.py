"""What ``fitting-room runs`` says of comparisons, and how they go on. `app.runs_commands` finds and stops them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from advisor.lineup import ARM_TITLES
from app.commands import escape, output
from app.comparisons import asked_arms, comparison_summary, finished_arms, go_on, read_result, request_of
from app.components.markup import duration
from app.run_reading import RunSummary
from dataset_tools.errors import RunError
from training.runs.folder import ENDED, RunFolder
from training.runs.supervisor import state_of

_FILES = ("result.json", "report.html", "report.md", "items.csv", "items.jsonl", "events.jsonl", "worker.log")


def told(run: RunFolder) -> dict[str, Any]:
    """All that there is to say about a comparison: how it stands, its verdict, and each of its approaches."""
    summary = comparison_summary(run)
    result = read_result(run) if summary.state in ENDED else None
    return {
        **asdict(summary),
        "verdict": result["verdict"] if result else None,
        "arms": _arms(run, result),
        "request": request_of(run.path),
        "error": run.status().get("error"),
        "next_step": _next_step(summary),
        "files": {name: str(run.path / name) for name in _FILES if (run.path / name).exists()},
    }


def _arms(run: RunFolder, result: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Each approach with its score, or with how far it is where there is no result yet."""
    if result:
        names = ("name", "title", "score", "interval", "n", "skipped", "dropped")
        return [{"state": "done", **{name: arm.get(name) for name in names}} for arm in result["arms"]]
    done = finished_arms(run)
    return [
        {"name": name, "title": ARM_TITLES.get(name, name), "state": "done" if name in done else "to come"}
        for name in dict.fromkeys([*asked_arms(run.path), *done])
    ]


def _next_step(summary: RunSummary) -> str:
    name = summary.run
    if summary.live:
        return f"`fitting-room runs show {name} --follow` watches it, `fitting-room runs stop {name}` stops it."
    if summary.state == "done":
        return "`fitting-room serve` shows it on the Compare page."
    return f"`fitting-room runs resume {name}` goes on; finished approaches are kept."


def resume(run: RunFolder) -> None:
    """Let a comparison go on that ended early.

    Raises:
        RunError: it is done, or at work.
        UsageError: its rows, its documents or its model are others by now.
    """
    if state_of(run) == "done":
        raise RunError(
            "This comparison is done; there is nothing to go on with.",
            where=str(run.path),
            next_step="`fitting-room compare` starts another one.",
        )
    go_on(run)


def require_result(run: RunFolder) -> None:
    """Make sure that a comparison that has ended was not cut short by an error.

    Raises:
        RunError: it failed or was interrupted.
    """
    state, error = state_of(run), run.status().get("error") or {}
    if state in ("failed", "interrupted"):
        raise RunError(
            error.get("what") or "The process of the comparison died.",
            where=error.get("where") or str(run.path / "worker.log"),
            found=error.get("found"),
            expected=error.get("expected"),
            next_step=error.get("next_step") or _next_step(comparison_summary(run)),
        )


def show(result: Mapping[str, Any]) -> None:
    """A comparison for people."""
    took = f", {duration(result['seconds'])}" if result["seconds"] is not None else ""
    output.print(f"[bold]{escape(result['run'])}[/]  comparison, {result['state']}{took}", highlight=False)
    if result["phase"]:
        output.print(f"[dim]now:[/] {escape(result['phase'])}", soft_wrap=True, highlight=False)
    if result["verdict"]:
        output.print(f"[bold]{escape(result['verdict']['sentence'])}[/]", soft_wrap=True, highlight=False)
        output.print(escape(result["verdict"]["next_step"]), soft_wrap=True, highlight=False)
    table = Table("approach", "score", "95% interval", box=None, pad_edge=False)
    for arm in result["arms"]:
        table.add_row(*(escape(cell) for cell in _cells(arm)))
    output.print(table)
    for line in filter(None, map(_note, result["arms"])):
        output.print(f"[dim]{escape(line)}[/]", soft_wrap=True, highlight=False)
    for part in ("what", "where", "found", "expected", "next_step") if result["error"] else ():
        if result["error"].get(part):
            output.print(escape(str(result["error"][part])), soft_wrap=True, highlight=False)
    for name, place in result["files"].items():
        output.print(f"[dim]{name}:[/] {escape(place)}", soft_wrap=True, highlight=False)
    output.print(f"[dim]next:[/] {escape(result['next_step'])}", soft_wrap=True, highlight=False)


def _cells(arm: Mapping[str, Any]) -> tuple[str, str, str]:
    if arm.get("score") is None:
        return arm["title"], "-", "left out" if arm.get("skipped") else arm["state"]
    low, high = (f"{100 * end:.1f}" for end in arm["interval"])
    return arm["title"], f"{100 * arm['score']:.1f}", f"{low} to {high}"


def _note(arm: Mapping[str, Any]) -> str:
    """Why an approach was left out, or left the race."""
    if arm.get("skipped"):
        return f"{arm['title']} was left out: {arm['skipped']}"
    return f"{arm['title']} left the race: {arm['dropped']['sentence']}" if arm.get("dropped") else ""
