"""The commands for runs, trainings and comparisons: ``fitting-room runs list | show | stop | resume | diff | delete``.

What they do is in `app.runs_commands`.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from app import commands, runs_commands, stopping
from app.cli_options import Debug, Json, run
from dataset_tools.errors import UsageError

runs = typer.Typer(name="runs", help="List, watch, stop and resume trainings and comparisons.", no_args_is_help=True)
Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of its id, or its folder.")]
_WATCHES = "Watch it until its end; Ctrl-C leaves it be."


@runs.command("list")
def list_runs(as_json: Json = False, debug: Debug = False) -> None:
    """All training runs and comparisons of this machine, the newest first."""
    run(runs_commands.list_runs, runs_commands.print_list, as_json, debug)


@runs.command()
def show(
    named: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help=_WATCHES)] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """How a run stands: settings, phases, figures, health and files; of a comparison its verdict and approaches."""
    if follow:
        _watch(lambda: runs_commands.follow_run(named), as_json, debug)
    else:
        run(lambda: runs_commands.show_run(named), runs_commands.print_run, as_json, debug)


@runs.command()
def stop(
    named: Run,
    discard: Annotated[bool, typer.Option("--discard", help="Throw away what it has learnt.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop a run after its current step, and keep what it has learnt."""
    run(lambda: runs_commands.stop_run(named, discard=discard), _print_stopped, as_json, debug)


@runs.command()
def resume(
    named: Run,
    force: Annotated[bool, typer.Option("--force", help="Also where its rows or its recipe were changed.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help=_WATCHES)] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Go on with a run that was stopped, interrupted or has failed, from what it has finished."""
    work = lambda: runs_commands.resume_run(named, force=force, wait=wait)  # noqa: E731  # the same for both
    if wait:
        _watch(work, as_json, debug)
    else:
        run(work, _print_resumed, as_json, debug)


@runs.command()
def diff(first: Run, second: Run, as_json: Json = False, debug: Debug = False) -> None:
    """Where two runs differ: settings, rows and figures."""
    run(lambda: runs_commands.diff_runs(first, second), runs_commands.print_diff, as_json, debug)


@runs.command()
def delete(
    named: Run,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete a run with all that it has made and its copy of the rows."""

    def confirm(question: str) -> bool:
        if yes:
            return True
        if as_json or not sys.stdin.isatty():
            raise UsageError("Nothing was deleted.", expected="--yes, as nobody can be asked here")
        return typer.confirm(question)

    result = run(lambda: runs_commands.delete_run(named, confirm=confirm), _print_deleted, as_json, debug)
    if not result["deleted"]:
        raise typer.Exit(1)


def _watch(work: Any, as_json: bool, debug: bool) -> None:
    """Work that watches a run. Ctrl-C ends the watching, not the run: it lives in a process of its own."""
    result = run(work, _print_watched, as_json, debug)
    if result.get("left"):
        raise typer.Exit(stopping.EXIT_CODE)


def _print_watched(result: dict[str, Any]) -> None:
    if not result.get("left"):
        runs_commands.print_run(result)
        return
    name = commands.escape(result["run"])
    commands.console.print(
        f"\nNot watched any more; the run itself goes on.\n`fitting-room runs show {name} --follow` watches it again, "
        f"`fitting-room runs stop {name}` stops it.",
        highlight=False,
        soft_wrap=True,
    )


def _print_stopped(result: dict[str, Any]) -> None:
    name, state = commands.escape(result["run"]), result["state"]
    if not result["stopped"]:
        text = f"There is nothing to stop: {name} is {state}."
    elif result["discarded"]:
        text = f"{name} is {state}; what it has learnt is thrown away."
    else:
        text = f"{name} is {state}. `fitting-room runs show {name}` tells what it has learnt so far."
    commands.output.print(text, soft_wrap=True, highlight=False)


def _print_resumed(result: dict[str, Any]) -> None:
    name = commands.escape(result["run"])
    commands.output.print(f"{name} goes on. `fitting-room runs show {name} --follow` watches it.", soft_wrap=True)


def _print_deleted(result: dict[str, Any]) -> None:
    name = commands.escape(result["run"])
    commands.output.print(f"{name} is deleted." if result["deleted"] else f"{name} is kept.", soft_wrap=True)
