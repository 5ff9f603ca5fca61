"""The command line: the same functions as the pages, with ``--json`` for scripts.

With ``--json`` one JSON document goes to stdout; progress goes to stderr always. Exit codes: 0 done, 1 the data or the
run has errors, 2 wrong use, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app import commands

cli = typer.Typer(
    name="fitting-room",
    help="Bring your examples, get measured advice: zero-shot, few-shot, RAG or QLoRA, on your own rows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(help="Examples: JSONL, JSON or CSV, with prompts and wanted answers.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", hidden=True)]
Model = Annotated[str | None, typer.Option("--model", help="Model id or folder; the embedded model by default.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results; one under the home by default.")]
Test = Annotated[Path | None, typer.Option("--test", help="Your own test rows; the examples are split without.")]
Docs = Annotated[Path | None, typer.Option("--docs", help="Documents for RAG: a folder, or JSONL with 'text'.")]
Arms = Annotated[str | None, typer.Option("--arms", help="Approaches, separated by commas; all by default.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Answer at most this many test rows.")]
Budget = Annotated[float | None, typer.Option("--budget", help="Minutes for everything; 10 without a GPU.")]
Seed = Annotated[int, typer.Option("--seed", help="For splits, draws and training.")]


@cli.command()
def lint(file: File, as_json: Json = False, model: Model = None, debug: Debug = False) -> None:
    """Say what is wrong with a dataset, row by row."""
    _run(lambda: commands.lint_file(file, model=model), commands.print_lint, as_json, debug)


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
    _run(lambda: commands.compare_file(file, options, out=out), commands.print_comparison, as_json, debug)


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
    _run(
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
    result = _run(lambda: commands.run_demo(example, minutes=budget), commands.print_comparison, as_json, debug)
    if open_app and not as_json:
        _run(lambda: commands.serve_app(port=port, folder=Path(result["folder"])), None, False, debug)


@cli.command()
def serve(port: Annotated[int, typer.Option("--port")] = 7860, debug: Debug = False) -> None:
    """Serve the app on this machine."""
    _run(lambda: commands.serve_app(port=port), None, False, debug)


@cli.command()
def prepare(debug: Debug = False) -> None:
    """Prepare the embedded models (about 20 seconds, once)."""
    _run(commands.prepare_models, None, False, debug)


@cli.command()
def schema(name: Annotated[str, typer.Argument(help="prompt_completion or messages")], debug: Debug = False) -> None:
    """Print the JSON Schema of a dataset format."""
    _run(lambda: commands.schema_of(name), lambda value: print(json.dumps(value, indent=2)), False, debug)


def _run(work: Any, show: Any, as_json: bool, debug: bool) -> Any:
    """Do the work, show or print its result, and turn errors into one message and an honest exit code."""
    try:
        result = work()
    except KeyboardInterrupt:
        commands.console.print(
            "\nStopped. What was finished is kept: `compare` goes on from there, `train` has saved its adapter."
        )
        raise typer.Exit(130) from None
    except Exception as error:  # the edge of the process: whatever it was, one message that helps, and no traceback
        if debug:
            raise
        told = commands.explain(error)
        if as_json:
            print(json.dumps({"error": told.to_dict()}, indent=2))
        commands.console.print(f"[bold red]Error:[/] {commands.escape(str(told))}", highlight=False, soft_wrap=True)
        raise typer.Exit(told.exit_code) from error
    if as_json:
        _print_json(result)
    elif show is not None:
        show(result)
    if isinstance(result, dict) and result.get("verdict") in ("fix_first", "do_not_train"):
        raise typer.Exit(1)
    return result


def _print_json(value: Any) -> None:
    """Print as the terminal's encoding allows: a path may hold what no encoding can write."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


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
