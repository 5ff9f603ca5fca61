"""The command line: the same functions as the pages, with ``--json`` for scripts.

With ``--json`` one JSON document goes to stdout; progress goes to stderr always. Exit codes: 0 done, 1 the data or the
run has errors, 2 wrong use, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app import commands, data_cli
from app.cli_options import Arms, Budget, Debug, Docs, File, Json, Limit, Model, Out, Seed, Test, run

cli = typer.Typer(
    name="fitting-room",
    help="Bring your examples, get measured advice: zero-shot, few-shot, RAG or QLoRA, on your own rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in data_cli.COMMANDS:
    cli.command()(command)


@cli.command()
def compare(
    file: File,
    test: Test = None,
    docs: Docs = None,
    arms: Arms = None,
    limit: Limit = None,
    budget: Budget = None,
    model: Model = None,
    task: Annotated[str | None, typer.Option("--task", help="Kind of task, instead of the detected one.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Metric, instead of the kind's own.")] = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run every approach on the same rows and give one measured verdict."""
    options: dict[str, Any] = {"test": test, "documents": docs, "limit": limit, "budget_minutes": budget}
    options |= {"model": model, "task_type": task, "metric": metric, "seed": seed, "arms": commands.arm_names(arms)}
    run(lambda: commands.compare_file(file, options, out=out), commands.print_comparison, as_json, debug)


@cli.command()
def train(
    file: File,
    model: Model = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="A recipe.yaml instead of derived settings.")] = None,
    budget: Budget = None,
    out: Out = None,
    seed: Seed = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune on the examples (QLoRA) with settings derived from them, and check the result."""
    run(
        lambda: commands.train_file(file, model=model, recipe=recipe, budget=budget, out=out, seed=seed),
        commands.print_training,
        as_json,
        debug,
    )


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
    """Prepare the embedded models (about 20 seconds, once)."""
    run(commands.prepare_models, None, False, debug)


def main() -> None:
    """The entry point of ``fitting-room``."""
    import signal

    from training.quiet import quiet_libraries

    quiet_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Asked to end (a closed terminal, a service manager), end as with Ctrl-C: save, and take training runs along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cli()


if __name__ == "__main__":
    main()
