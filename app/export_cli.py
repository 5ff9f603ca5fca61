"""The command ``fitting-room export``: what a run made, as an adapter, a merged model or a GGUF file, proven.

The work is in `training.export`; here are its options, its progress, and how its outcome looks in a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app import commands
from app.cli_options import Debug, Json, run
from app.exports import ROWS, make, usual_folder
from app.progress import working
from app.run_reading import find_run
from dataset_tools.errors import UsageError
from training.export import KINDS, QUANTIZATIONS, check_repo_id, push
from training.export.attempts import recorded
from training.export.job import Tell
from training.export.report import ExportReport

_TOKEN = "HF_TOKEN"  # the name that the hub's own tools use
_Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, the beginning of its id, or its folder.")]


def export(
    named: _Run,
    to: Annotated[str, typer.Option("--to", help=f"One of: {', '.join(KINDS)}.")] = "adapter",
    out: Annotated[Path | None, typer.Option("--out", help="Folder to make; one under the home by default.")] = None,
    quantization: Annotated[
        str, typer.Option("--quantization", help=f"Of a GGUF file: {' or '.join(QUANTIZATIONS)}.")
    ] = "q8_0",
    rows: Annotated[int, typer.Option("--rows", help="Held-out rows to prove it on.")] = ROWS,
    comparison: Annotated[
        Path | None, typer.Option("--comparison", help="A comparison's folder or result.json, for the model card.")
    ] = None,
    push_to: Annotated[
        str | None,
        typer.Option("--push", metavar="ORG/NAME", help=f"Send it to the hub, with the token in {_TOKEN}."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository on the hub public.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Export what a run has learnt; the file is loaded again and proven before it is kept."""

    def work() -> dict[str, Any]:
        options: dict[str, Any] = {"to": to, "out": out, "quantization": quantization, "rows": rows}
        return export_run(named, **options, comparison=comparison, push_to=push_to, private=not public)

    run(work, print_export, as_json, debug)


COMMANDS = (export,)


def export_run(
    named: str,
    *,
    to: str,
    out: Path | None,
    quantization: str,
    rows: int,
    comparison: Path | None = None,
    push_to: str | None = None,
    private: bool = True,
) -> dict[str, Any]:
    """Export a run with progress, and push it where that is asked for; what ``--json`` says.

    Raises:
        UsageError: there is no such run, or an option is wrong.
        ExportError: the export or its proof failed, or the hub refused.
    """
    found = find_run(named)
    token = _token(push_to) if push_to else ""
    target, told = out or usual_folder(found.path.name, to, quantization), _comparison(comparison)
    with working(commands.console, f"Exporting {found.path.name} ...", at_once=True) as say:

        def work(note: Tell) -> ExportReport:
            def tell(phase: str) -> None:
                note(phase)
                say(phase[:1].upper() + phase[1:] + " ...")

            return make(found, to, target, quantization=quantization, rows=rows, comparison=told, tell=tell)

        report = recorded(found, to, quantization=quantization, folder=target.expanduser().absolute(), work=work)
        pushed = None
        if push_to:
            say(f"Sending it to {push_to} ...")
            pushed = push(report.folder, push_to, token, private=private)
    return {**report.to_dict(), "pushed": pushed}


def print_export(result: dict[str, Any]) -> None:
    """An export's outcome for people."""
    proof = result["proof"]
    trained = proof["against_adapter"]
    size = f"{result['bytes'] / 1e6:.1f} MB"
    commands.output.print(f"[green]Proven[/] {result['kind']}, {size}: {proof['rows']} rows with {proof['engine']}")
    commands.output.print(
        f"beside the adapter as it was trained: {trained['same_answers']:.0%} of the answers and "
        f"{trained['next_token']:.1%} of the next tokens are the same"
    )
    scores = proof["scores"]
    if scores:
        low, high = (100 * end for end in scores["interval"])
        commands.output.print(
            f"score {100 * scores['artefact']:.1f}, the adapter's {100 * scores['adapter']:.1f} "
            f"(difference {low:+.1f} to {high:+.1f})"
        )
    for line in (*proof["checks"], *result["notes"]):
        commands.output.print(f"[dim]- {commands.escape(line)}[/]", highlight=False, soft_wrap=True)
    commands.output.print(f"Export: {commands.escape(result['folder'])}", highlight=False, soft_wrap=True)
    commands.output.print("How to serve it stands in its README.md.", highlight=False)
    if result["pushed"]:
        commands.output.print(f"Pushed: {commands.escape(result['pushed'])}", highlight=False, soft_wrap=True)


def _token(repo_id: str) -> str:
    """The hub's token, from the environment or typed without being shown; never from the command line.

    Raises:
        UsageError: the repository's name is none, or there is no token and nobody to ask.
    """
    check_repo_id(repo_id)
    token = os.environ.get(_TOKEN, "").strip()
    if not token and sys.stdin.isatty():
        token = str(typer.prompt("Token for the hub", hide_input=True, err=True)).strip()
    if not token:
        raise UsageError(
            "The hub wants a token.",
            expected=f"{_TOKEN} in the environment, or a terminal to type it in",
            next_step=f"Set {_TOKEN} to a token with the right to write.",
        )
    return token


def _comparison(path: Path | None) -> dict[str, Any] | None:
    """A comparison's result.json.

    Raises:
        UsageError: it cannot be read.
    """
    if path is None:
        return None
    file = path / "result.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("This comparison cannot be read.", where=str(file), found=str(error)[:200]) from error
    if not isinstance(found, dict) or "arms" not in found:
        raise UsageError("This is no comparison's result.", where=str(file), expected="the folder of a comparison")
    return found
