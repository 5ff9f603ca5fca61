"""The command ``fitting-room evaluate``: its options, and how its outcome looks in a terminal.

The work is in `app.contestants` and `advisor.human`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app import commands
from app.cli_options import Debug, Json, Limit, MetricName, run
from app.contestants import BASE, evaluate_run

_LONGEST_SHOWN = 200


def evaluate(
    named: Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of its id, or its folder.")],
    against: Annotated[
        str, typer.Option("--against", help="Another run, or a model; the run's base model by default.")
    ] = BASE,
    test: Annotated[
        Path | None, typer.Option("--test", help="Your own test rows; those that the run kept back without.")
    ] = None,
    metric: MetricName = None,
    limit: Limit = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a run's model and another answer held-out rows, and say which is better by the task's metric."""
    options: dict[str, Any] = {"test": test, "metric": metric, "limit": limit}
    run(lambda: evaluate_run(named, against=against, **options), _print_evaluation, as_json, debug)


COMMANDS = (evaluate,)


def _print_evaluation(told: dict[str, Any]) -> None:
    commands.output.print(f"[bold]{commands.escape(told['sentence'])}[/]", highlight=False, soft_wrap=True)
    for title, key in ((told["title"], "score"), (told["against"], "against_score")):
        mean, low, high = (100 * value for value in told[key])
        _say(f"{title}: {told['metric']} {mean:.1f} ({low:.1f} to {high:.1f}) on {told['rows']} rows")
    for heading, rows in (("Better", told["best"]), ("Worse", told["worst"])):
        for row in rows:
            _show_row(heading, row, _say)
    for note in told["notes"]:
        _say(f"- {note}")


def _show_row(heading: str, row: dict[str, Any], say: Callable[[str], None]) -> None:
    say("")
    say(f"{heading} ({100 * row['score']:.0f}, the other {100 * row['against_score']:.0f}): {_short(row['prompt'])}")
    for label, key in (("wanted", "wanted"), ("answer", "answer"), ("other", "against")):
        say(f"  {label}: {_short(row[key])}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def _say(text: str) -> None:
    commands.output.print(commands.escape(text), highlight=False, soft_wrap=True)
