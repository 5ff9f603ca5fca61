"""The command line, without its entry point (`app.cli`): the same functions as the pages, with ``--json`` for scripts.

With ``--json`` one JSON document goes to stdout; progress goes to stderr always. Exit codes: 0 done, 1 the data or the
run has errors, 2 wrong use, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app import commands, compare_cli, data_cli, evaluate_cli, export_cli, runs_cli, training_cli, votes_cli
from app.cli_options import Debug, Json, run

cli = typer.Typer(
    name="fitting-room",
    help="Bring your examples, get measured advice: zero-shot, few-shot, RAG or QLoRA, on your own rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (*compare_cli.COMMANDS, *data_cli.COMMANDS, *training_cli.COMMANDS, *export_cli.COMMANDS):
    cli.command()(command)
cli.add_typer(runs_cli.runs)
cli.add_typer(votes_cli.votes)
cli.command()(evaluate_cli.evaluate)


@cli.command()
def demo(
    example: Annotated[str, typer.Argument(help="support-desk or ticket-routing")] = "support-desk",
    budget: Annotated[float, typer.Option("--budget", help="Minutes for everything.")] = commands.DEMO_MINUTES,
    open_app: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the app with the result open.")] = True,
    port: Annotated[int, typer.Option("--port")] = 7860,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the whole comparison on a built-in example, then open the app with its result."""
    result = run(lambda: commands.run_demo(example, minutes=budget), commands.print_comparison, as_json, debug)
    if open_app and not as_json:
        run(lambda: commands.serve_app(port=port, folder=Path(result["folder"])), None, False, debug)


@cli.command()
def serve(port: Annotated[int, typer.Option("--port")] = 7860, debug: Debug = False) -> None:
    """Serve the app on this machine."""
    run(lambda: commands.serve_app(port=port), None, False, debug)


@cli.command()
def prepare(debug: Debug = False) -> None:
    """Prepare the embedded models (about 40 seconds, once)."""
    run(commands.prepare_models, None, False, debug)
